//! How long a connection may keep the gateway waiting. hyper has one deadline for "silent" and for "in the middle of a head", and a
//! connection may be silent for longer than a head may take. So hyper has the longer one, and this file watches heads.

use std::{
    future::Future,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::http::{HeaderValue, Request, Response, header};
use pin_project_lite::pin_project;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    task::yield_now,
    time::{Sleep, sleep},
};
use tower::Service;

use super::{
    connections::{Connection, IDLE, PARTIAL_HEAD, Place, SERVING, WRITING},
    turns::InTurns,
};
use crate::http::peer::Peer;

pin_project! {
    /// The stream of a connection. A head that does not end in time ends the connection.
    pub struct Watched<S> {
        #[pin]
        stream: S,
        connection: Arc<Connection>,
        head: Duration,
        // Runs while a head does not come at once, which is rare.
        deadline: Option<Pin<Box<Sleep>>>,
        // Runs when the connection is to give way.
        last_look: Option<LastLook>,
    }
}

/// Ends when the runtime has asked the system once more what has come: the scheduler of one thread, in which `main.rs` runs everything, does so
/// before it goes on with a task that has yielded.
type LastLook = Pin<Box<dyn Future<Output = ()> + Send>>;

impl<S> Watched<S> {
    pub fn new(stream: S, connection: Arc<Connection>, head: Duration) -> Self {
        Self { stream, connection, head, deadline: None, last_look: None }
    }
}

impl<S: AsyncRead> AsyncRead for Watched<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.project();
        let before = buffer.filled().len();
        let connection = this.connection;
        // hyper reads on when the reply has been written to its end.
        if connection.phase() == WRITING {
            connection.enter(IDLE);
        }
        match this.stream.poll_read(context, buffer) {
            Poll::Ready(read) => {
                *this.last_look = None;
                if buffer.filled().len() > before && connection.phase() == IDLE {
                    connection.enter(PARTIAL_HEAD);
                    *this.deadline = None;
                }
                Poll::Ready(read)
            }
            // What the client has sent by now may lie in the system's buffer unseen, above all on a connection that has just been accepted. A
            // request among it is served.
            Poll::Pending if connection.waits() && connection.should_close(context) => {
                let look = this.last_look.get_or_insert_with(|| Box::pin(yield_now()));
                ready!(look.as_mut().poll(context));
                *this.last_look = None;
                if connection.phase() == PARTIAL_HEAD {
                    return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
                }
                // As if the client had closed it, which ends the connection in good order.
                Poll::Ready(Ok(()))
            }
            Poll::Pending if connection.phase() == PARTIAL_HEAD => {
                let deadline = this.deadline.get_or_insert_with(|| Box::pin(sleep(*this.head)));
                ready!(deadline.as_mut().poll(context));
                Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
            }
            Poll::Pending => Poll::Pending,
        }
    }
}

impl<S: AsyncWrite> AsyncWrite for Watched<S> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.project().stream.poll_write(context, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.project().stream.poll_write_vectored(context, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.project().stream.poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.project().stream.poll_shutdown(context)
    }
}

/// The service of a connection. It tells the stream when a head has ended and when its reply begins, and the request who sent it.
#[derive(Clone)]
pub struct Serving<S> {
    service: S,
    place: Arc<Place>,
    client: Peer,
}

impl<S> Serving<S> {
    pub fn new(service: S, place: Arc<Place>, client: Peer) -> Self {
        Self { service, place, client }
    }
}

impl<S: Service<Request<B>, Response = Response<C>>, B, C> Service<Request<B>> for Serving<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = UnderWay<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.service.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<B>) -> UnderWay<S::Future> {
        self.place.connection.enter(SERVING);
        request.extensions_mut().insert(self.client);
        let reply = InTurns::new(self.service.call(request));
        UnderWay { reply, place: Arc::clone(&self.place) }
    }
}

pin_project! {
    /// A request until its reply begins.
    pub struct UnderWay<F: Future> {
        #[pin]
        reply: InTurns<F>,
        place: Arc<Place>,
    }
}

impl<F: Future<Output = Result<Response<C>, E>>, C, E> Future for UnderWay<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let mut reply = ready!(this.reply.poll(context));
        // So that its client sends no more over a connection that gives way after this reply.
        if this.place.connection.must_go()
            && let Ok(reply) = &mut reply
        {
            reply.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        this.place.connection.enter(WRITING);
        Poll::Ready(reply)
    }
}

#[cfg(test)]
mod tests {
    use std::{convert::Infallible, future::poll_fn, io::Write, net::Ipv4Addr, task::Poll, time::Duration};

    use axum::http::{Request, Response};
    use tokio::{
        io::AsyncReadExt,
        net::{TcpListener, TcpStream},
    };
    use tower::{Service, service_fn};

    use super::{IDLE, PARTIAL_HEAD, Peer, Serving, Watched};
    use crate::{
        clock::Clock,
        server::connections::{Connections, Most, Place},
    };

    /// The places of two connections, the first of which has to go.
    fn places() -> (Place, Place) {
        let connections = Connections::new(Most { all: 1, per_network: 9 }, None, Clock::system());
        let place = |last: u8| connections.place(Some(Ipv4Addr::new(10, 0, 0, last).into())).unwrap();
        (place(1), place(2))
    }

    /// What is read from a connection that was just accepted and has to go, and whether it ends in good order.
    async fn read_by_one_that_must_go(sent: &[u8], phase: u8) -> Result<Vec<u8>, ()> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        client.write_all(sent).unwrap();
        // Not asked for what has come when it is made, as one that was just accepted is.
        let accepted = listener.into_std().unwrap().accept().unwrap().0;
        accepted.set_nonblocking(true).unwrap();
        let (old, new) = places();
        old.connection.enter(phase);
        let stream = TcpStream::from_std(accepted).unwrap();
        let mut stream = Watched::new(stream, old.connection.clone(), Duration::from_secs(9));
        // Beside others that are never done, for a runtime without work asks the system all the time.
        let others = tokio::spawn(poll_fn::<(), _>(|context| {
            context.waker().wake_by_ref();
            Poll::Pending
        }));
        let reading = tokio::spawn(async move {
            let mut buffer = vec![0; 9];
            let count = stream.read(&mut buffer).await.map_err(|_| ())?;
            buffer.truncate(count);
            Ok(buffer)
        });
        let read = reading.await.unwrap();
        others.abort();
        drop(new);
        read
    }

    #[tokio::test]
    async fn a_request_that_has_arrived_is_read_before_its_connection_gives_way() {
        assert_eq!(read_by_one_that_must_go(b"POST", IDLE).await, Ok(b"POST".to_vec()));
        assert_eq!(read_by_one_that_must_go(b"", IDLE).await, Ok(Vec::new()));
        assert_eq!(read_by_one_that_must_go(b"POST", PARTIAL_HEAD).await, Ok(b"POST".to_vec()));
        assert_eq!(read_by_one_that_must_go(b"", PARTIAL_HEAD).await, Err(()));
    }

    #[tokio::test]
    async fn its_reply_says_that_the_connection_ends() {
        let (old, new) = places();
        let peer = Peer(([10, 0, 0, 1], 4711).into());
        for (place, told) in [(old, Some("close")), (new, None)] {
            let service = service_fn(async |_: Request<()>| Ok::<_, Infallible>(Response::new(())));
            let reply = Serving::new(service, place.into(), peer).call(Request::new(())).await.unwrap();
            let header = reply.headers().get("connection").map(|value| value.to_str().unwrap());
            assert_eq!(header, told);
        }
    }
}
