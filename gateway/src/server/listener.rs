//! The listeners: they limit how long a client may take to send a request or to read its reply, limit the number of connections, and let
//! requests under way end before they stop, up to a deadline.

use std::{
    convert::Infallible,
    future::poll_fn,
    io,
    net::{SocketAddr, TcpListener},
    pin::Pin,
    sync::Arc,
    task::Poll,
    time::Duration,
};

use axum::{ServiceExt, http::Request, response::Response};
use axum_server::{Handle, accept::Accept};
use hyper::body::Incoming;
use rustls::ServerConfig;
use tokio::{net::TcpStream, task::yield_now, time::timeout};
use tokio_io_timeout::TimeoutStream;
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tokio_util::either::Either;
use tower::Service;

use super::{
    connections::{Connections, Place},
    patience::{Serving, Watched},
    proxy_protocol::{self, Header},
};
use crate::{
    config::{ForwardedHeader, Proxies},
    http::peer::Peer,
};

/// How long a client may take to send a head once it has begun.
const HEAD_DEADLINE: Duration = Duration::from_secs(10);
/// How long a new connection may stay open without sending its first request.
const FIRST_REQUEST_DEADLINE: Duration = Duration::from_secs(15);
/// How long a reply may go unread. Without this limit, a client that asks for much and reads nothing would hold a connection for ever.
const WRITE_DEADLINE: Duration = Duration::from_secs(10);
/// How many connections operators may have at once.
pub const MAX_OPERATORS: usize = 32;
/// More headers than an honest request within [`crate::http::edge::MAX_HEAD`] has, so that `edge` can answer with a problem document.
/// hyper allocates 32 bytes for each of them twice for each request. Up to 14 KiB are small for jemalloc, and cost a twentieth of what 16 KiB do.
const MAX_HEADERS: usize = 448;
/// Twice the head that `edge` lets through, so that `edge` can refuse a head of up to this size with a problem document.
const READ_BUFFER: usize = 2 * crate::http::edge::MAX_HEAD;

/// The errors of the system when the process (EMFILE) or the machine (ENFILE) has no descriptor left.
const NO_DESCRIPTORS: [i32; 2] = [24, 23];
/// How long the TLS handshake may take.
const HANDSHAKE_DEADLINE: Duration = Duration::from_secs(10);

/// How long a connection may keep a listener waiting.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// How long a connection that has served a request may be silent.
    pub idle: Duration,
    /// How long a head may take once it has begun.
    pub head: Duration,
}

impl Patience {
    /// Connections may be idle for so long.
    pub fn new(idle: Duration) -> Self {
        Self { idle, head: HEAD_DEADLINE }
    }
}

/// What a connection is asked when it comes. The settings may change meanwhile, so each connection is asked anew.
#[derive(Clone, Debug, Default)]
pub struct Entrance {
    /// The certificate, where the gateway itself speaks https.
    pub tls: Option<Arc<ServerConfig>>,
    /// The proxies that may say who came to them.
    pub proxies: Arc<Proxies>,
    /// Whether their connections begin with PROXY headers, where that is their way.
    pub header: Header,
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

    /// Serves requests until `stop` is called.
    ///
    /// # Errors
    ///
    /// An [`io::Error`] when the socket fails.
    pub async fn serve<S>(
        self,
        service: S,
        stop: Stop,
        patience: Patience,
        connections: Arc<Connections>,
        entrance: impl Fn() -> Entrance + Send + Sync + 'static,
    ) -> io::Result<()>
    where
        S: Service<Request<Incoming>, Response = Response, Error = Infallible>
            + Clone
            + Send
            + Sync
            + 'static,
        S::Future: Send,
    {
        let room = Arc::clone(&connections);
        let entering = Entering { connections, entrance: Arc::new(entrance), head: patience.head };
        let mut server = axum_server::from_tcp(self.socket)?
            .acceptor(entering)
            .handle(stop)
            .http1_only()
            .first_request_timeout(FIRST_REQUEST_DEADLINE)
            // Other errors are of connections that have come and gone.
            .accept_error_handler(move |_, error| {
                if NO_DESCRIPTORS.iter().any(|number| error.raw_os_error() == Some(*number)) {
                    room.make_room_for_descriptor();
                }
            });
        let mut http = server.http_builder().http1();
        http.header_read_timeout(patience.idle).max_buf_size(READ_BUFFER).max_headers(MAX_HEADERS);
        // A client that has closed its sending side still wants its answer. And a client that goes away must not cancel a call to Autoshares
        // that spends something, or nobody would learn how the call ended.
        http.half_close(true);
        server.serve(service.into_make_service()).await
    }
}

/// Lets connections in: finds a place for each, reads its PROXY header where a trusted proxy sends one, and shakes hands where the gateway speaks
/// https.
#[derive(Clone)]
struct Entering {
    connections: Arc<Connections>,
    entrance: Arc<dyn Fn() -> Entrance + Send + Sync>,
    head: Duration,
}

type Socket = Either<TcpStream, TlsStream<TcpStream>>;
type Entered = Pin<Box<TimeoutStream<Watched<Socket>>>>;

impl<S: Send + 'static> Accept<TcpStream, S> for Entering {
    type Stream = Entered;
    type Service = Serving<S>;
    type Future = Pin<Box<dyn Future<Output = io::Result<(Entered, Serving<S>)>> + Send>>;

    fn accept(&self, stream: TcpStream, service: S) -> Self::Future {
        let entering = self.clone();
        Box::pin(async move { entering.enter(stream, service).await })
    }
}

impl Entering {
    async fn enter<S>(self, mut stream: TcpStream, service: S) -> io::Result<(Entered, Serving<S>)> {
        let Entrance { tls, proxies, header } = (self.entrance)();
        let peer = stream.peer_addr()?;
        stream.set_nodelay(true)?;
        let is_proxy = proxies.trust(peer.ip());
        let no_room = || io::Error::other("there is no room");
        let place = self.connections.place((!is_proxy).then(|| peer.ip())).ok_or_else(no_room)?;
        let client = match proxies.header {
            ForwardedHeader::ProxyProtocol if is_proxy => {
                unless_it_gives_way(&place, proxy_protocol::read(&mut stream, header)).await?
            }
            _ => None,
        };
        if let Some(client) = client {
            place.count_for(client.ip()).ok_or_else(no_room)?;
        }
        let socket = match tls {
            None => Either::Left(stream),
            Some(config) => {
                let shaking = timeout(HANDSHAKE_DEADLINE, TlsAcceptor::from(config).accept(stream));
                let shaken = async { shaking.await.map_err(io::Error::other)? };
                Either::Right(unless_it_gives_way(&place, shaken).await?)
            }
        };
        let connection = Arc::clone(&place.connection);
        let mut stream = TimeoutStream::new(Watched::new(socket, connection, self.head));
        stream.set_write_timeout(Some(WRITE_DEADLINE));
        Ok((Box::pin(stream), Serving::new(service, Arc::new(place), Peer(client.unwrap_or(peer)))))
    }
}

/// What comes before the first request, in which a connection is as silent as one that waits for a request: it gives way to others.
async fn unless_it_gives_way<T>(
    place: &Place,
    beginning: impl Future<Output = io::Result<T>>,
) -> io::Result<T> {
    let gives_way = async {
        poll_fn(
            |context| if place.connection.should_close(context) { Poll::Ready(()) } else { Poll::Pending },
        )
        .await;
        // What has come by now is read first, as `Watched` does.
        yield_now().await;
    };
    tokio::select! {
        biased;
        begun = beginning => begun,
        () = gives_way => Err(io::ErrorKind::ConnectionAborted.into()),
    }
}
