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

use axum::http::Request;
use pin_project_lite::pin_project;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    task::yield_now,
    time::{Sleep, sleep},
};
use tower::Service;

use super::connections::{Connection, IDLE, PARTIAL_HEAD, Place, SERVING, WRITING};
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

/// Ends when the runtime has asked the system once more what has come.
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

impl<S: Service<Request<B>>, B> Service<Request<B>> for Serving<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = UnderWay<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.service.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<B>) -> UnderWay<S::Future> {
        self.place.connection.enter(SERVING);
        request.extensions_mut().insert(self.client);
        UnderWay { reply: self.service.call(request), place: Arc::clone(&self.place) }
    }
}

pin_project! {
    /// A request until its reply begins.
    pub struct UnderWay<F> {
        #[pin]
        reply: F,
        place: Arc<Place>,
    }
}

impl<F: Future> Future for UnderWay<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let reply = ready!(this.reply.poll(context));
        this.place.connection.enter(WRITING);
        Poll::Ready(reply)
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io,
        net::Ipv4Addr,
        pin::Pin,
        task::{Context, Poll},
        time::Duration,
    };

    use tokio::io::{AsyncRead, AsyncReadExt, ReadBuf};

    use super::Watched;
    use crate::{
        clock::Clock,
        server::connections::{Connections, Most, Place},
    };

    /// A stream with something to read, of which it knows only when it is asked once more; or with nothing to read.
    struct Unseen {
        bytes: &'static [u8],
        is_known: bool,
    }

    impl AsyncRead for Unseen {
        fn poll_read(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            buffer: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            if !std::mem::replace(&mut self.is_known, true) || self.bytes.is_empty() {
                return Poll::Pending;
            }
            buffer.put_slice(self.bytes);
            Poll::Ready(Ok(()))
        }
    }

    /// What is read from a connection that was asked to go.
    async fn read_by_one_that_must_go(bytes: &'static [u8]) -> Vec<u8> {
        let connections = Connections::new(Most { all: 1, per_network: 9 }, None, Clock::system());
        let place =
            |last: u8| -> Option<Place> { connections.place(Some(Ipv4Addr::new(10, 0, 0, last).into())) };
        let (old, _new) = (place(1).unwrap(), place(2).unwrap());
        let mut stream =
            Watched::new(Unseen { bytes, is_known: false }, old.connection.clone(), Duration::from_secs(9));
        let mut buffer = vec![0; 9];
        let count = stream.read(&mut buffer).await.unwrap();
        buffer.truncate(count);
        buffer
    }

    #[tokio::test]
    async fn a_request_that_has_arrived_is_read_before_its_connection_gives_way() {
        assert_eq!(read_by_one_that_must_go(b"POST").await, b"POST");
        assert!(read_by_one_that_must_go(b"").await.is_empty());
    }
}
