//! The listeners: they limit how long a client may take to send a request or to read its reply, limit the number of connections, and let
//! requests under way end before they stop, up to a deadline.

use std::{
    future::{Ready, ready},
    io,
    net::{SocketAddr, TcpListener},
    pin::Pin,
    sync::Arc,
    time::Duration,
};

use axum::Router;
use axum_server::{Handle, accept::Accept};
use tokio::{net::TcpStream, sync::Semaphore};
use tokio_io_timeout::TimeoutStream;

use super::patience::{Connection, Serving, Watched};

/// How long a client may take to send a head once it has begun.
const HEAD_DEADLINE: Duration = Duration::from_secs(10);
/// How long a new connection may stay open without sending its first request.
const FIRST_REQUEST_DEADLINE: Duration = Duration::from_secs(15);
/// How long a reply may go unread. Without this limit, a client that asks for much and reads nothing would hold a connection for ever.
const WRITE_DEADLINE: Duration = Duration::from_secs(10);
/// How many connections clients may have at once. Each may need one to Autoshares, and a process commonly gets 1,024 descriptors.
pub const MAX_CLIENTS: usize = 450;
/// How many connections operators may have at once.
pub const MAX_OPERATORS: usize = 32;
/// More headers than an honest request within [`crate::http::edge::MAX_HEAD`] has, so that `edge` can answer with a problem document.
const MAX_HEADERS: usize = 512;
/// Twice the head that `edge` lets through, so that `edge` can refuse a head of up to this size with a problem document.
const READ_BUFFER: usize = 2 * crate::http::edge::MAX_HEAD;

/// How many connections a listener has, and how long they may keep it waiting.
#[derive(Clone, Copy, Debug)]
pub struct ConnectionLimits {
    /// How many there may be at once.
    pub most: usize,
    /// How long a connection that has served a request may be silent.
    pub idle: Duration,
    /// How long a head may take once it has begun.
    pub head: Duration,
}

impl ConnectionLimits {
    /// So many connections, which may be idle for so long.
    pub fn new(most: usize, idle: Duration) -> Self {
        Self { most, idle, head: HEAD_DEADLINE }
    }
}

/// A socket that is bound and not yet served.
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    address: SocketAddr,
}

/// Stops the listener that it was given to.
pub type Stop = Handle<SocketAddr>;

impl Listener {
    /// Binds a socket to an address.
    ///
    /// # Errors
    ///
    /// An [`io::Error`] that names the address.
    pub fn bind(address: SocketAddr) -> io::Result<Self> {
        let named =
            |error: io::Error| io::Error::new(error.kind(), format!("cannot listen on {address}: {error}"));
        let socket = TcpListener::bind(address).map_err(named)?;
        Ok(Self { address: socket.local_addr()?, socket })
    }

    /// The bound address. Where the settings ask for port 0, it holds the port that the system chose.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves the routes until `stop` is called. A connection over the limit is closed at once.
    ///
    /// # Errors
    ///
    /// An [`io::Error`] when the socket fails.
    pub async fn serve(self, router: Router, stop: Stop, limits: ConnectionLimits) -> io::Result<()> {
        let ConnectionLimits { most, idle, head } = limits;
        let capped = Capped { connections: Arc::new(Semaphore::new(most)), head };
        let mut server = axum_server::from_tcp(self.socket)?
            .acceptor(capped)
            .handle(stop)
            .http1_only()
            .first_request_timeout(FIRST_REQUEST_DEADLINE);
        let mut http = server.http_builder().http1();
        http.header_read_timeout(idle).max_buf_size(READ_BUFFER).max_headers(MAX_HEADERS);
        // A client that has closed its sending side still wants its answer. And a client that goes away must not cancel a call to Autoshares
        // that spends something, or nobody would learn how the call ended.
        http.half_close(true);
        server.serve(router.into_make_service_with_connect_info::<SocketAddr>()).await
    }
}

/// Closes connections above the limit at once. Leaving them to wait would cost the gateway file descriptors and the client time.
#[derive(Clone)]
struct Capped {
    connections: Arc<Semaphore>,
    head: Duration,
}

impl<S> Accept<TcpStream, S> for Capped {
    type Stream = Pin<Box<TimeoutStream<Watched<TcpStream>>>>;
    type Service = Serving<S>;
    type Future = Ready<io::Result<(Self::Stream, Serving<S>)>>;

    fn accept(&self, stream: TcpStream, service: S) -> Self::Future {
        let permit = Arc::clone(&self.connections).try_acquire_owned().map_err(io::Error::other);
        ready(permit.and_then(|permit| {
            stream.set_nodelay(true)?;
            let connection = Connection::new(permit);
            let mut stream = TimeoutStream::new(Watched::new(stream, Arc::clone(&connection), self.head));
            stream.set_write_timeout(Some(WRITE_DEADLINE));
            Ok((Box::pin(stream), Serving::new(service, connection)))
        }))
    }
}
