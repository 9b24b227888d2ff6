//! The listeners: deadlines before a request is read, a cap on connections, and a stop that drops nothing.

use std::{
    future::{Ready, ready},
    io,
    net::{SocketAddr, TcpListener},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use axum::Router;
use axum_server::{Handle, accept::Accept};
use tokio::{
    net::TcpStream,
    sync::{OwnedSemaphorePermit, Semaphore},
};
use tokio_io_timeout::TimeoutStream;
use tower::Service;

/// How long a head may take, and how long a connection may be silent between requests.
const HEADER_DEADLINE: Duration = Duration::from_secs(10);
/// How long a new connection may take to its first request.
const FIRST_REQUEST_DEADLINE: Duration = Duration::from_secs(15);
/// How long an answer may go unread. Without this, whoever asks for much and reads nothing would hold a connection for ever.
const WRITE_DEADLINE: Duration = Duration::from_secs(10);
/// Connections of clients. Each may need one to Autoshares, and a process commonly gets 1,024 descriptors.
pub const MAX_CLIENTS: usize = 450;
/// Connections of operators.
pub const MAX_OPERATORS: usize = 32;
/// More than [`crate::http::edge::MAX_HEAD`] can hold in any honest request, so that `edge` can answer with a problem document.
const MAX_HEADERS: usize = 512;
/// Twice the head that `edge` lets through, so that it can answer with a problem document up to there.
const READ_BUFFER: usize = 2 * crate::http::edge::MAX_HEAD;

/// A listener that is bound and not yet served.
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    address: SocketAddr,
}

/// Stops what it was given to, when asked.
pub type Stop = Handle<SocketAddr>;

impl Listener {
    /// Binds an address.
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

    /// The address, with the port that was given when 0 was asked for.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `stop` is told, at most so many connections at once.
    ///
    /// # Errors
    ///
    /// An [`io::Error`] when the socket fails.
    pub async fn serve(self, router: Router, stop: Stop, max_connections: usize) -> io::Result<()> {
        let capped = Capped { connections: Arc::new(Semaphore::new(max_connections)) };
        let mut server = axum_server::from_tcp(self.socket)?
            .acceptor(capped)
            .handle(stop)
            .http1_only()
            .first_request_timeout(FIRST_REQUEST_DEADLINE);
        let mut http = server.http_builder().http1();
        http.header_read_timeout(HEADER_DEADLINE).max_buf_size(READ_BUFFER).max_headers(MAX_HEADERS);
        // A client that has said all it has to say still wants its answer; and one that goes away must not cancel a call to Autoshares
        // that spends something, or nobody would learn what came of it.
        http.half_close(true);
        server.serve(router.into_make_service_with_connect_info::<SocketAddr>()).await
    }
}

/// Closes connections over the cap at once, which is cheaper for both sides than leaving them to wait.
#[derive(Clone)]
struct Capped {
    connections: Arc<Semaphore>,
}

impl<S> Accept<TcpStream, S> for Capped {
    type Stream = Pin<Box<TimeoutStream<TcpStream>>>;
    type Service = Counted<S>;
    type Future = Ready<io::Result<(Self::Stream, Counted<S>)>>;

    fn accept(&self, stream: TcpStream, service: S) -> Self::Future {
        let permit = Arc::clone(&self.connections).try_acquire_owned().map_err(io::Error::other);
        ready(permit.and_then(|permit| {
            stream.set_nodelay(true)?;
            let mut stream = TimeoutStream::new(stream);
            stream.set_write_timeout(Some(WRITE_DEADLINE));
            Ok((Box::pin(stream), Counted { service, _permit: Arc::new(permit) }))
        }))
    }
}

/// A connection's service; the connection counts as long as it lives.
#[derive(Clone)]
struct Counted<S> {
    service: S,
    _permit: Arc<OwnedSemaphorePermit>,
}

impl<S: Service<R>, R> Service<R> for Counted<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.service.poll_ready(context)
    }

    fn call(&mut self, request: R) -> S::Future {
        self.service.call(request)
    }
}
