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
    }
}

impl<S> Watched<S> {
    pub fn new(stream: S, connection: Arc<Connection>, head: Duration) -> Self {
        Self { stream, connection, head, deadline: None }
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
                if buffer.filled().len() > before && connection.phase() == IDLE {
                    connection.enter(PARTIAL_HEAD);
                    *this.deadline = None;
                }
                Poll::Ready(read)
            }
            Poll::Pending if connection.phase() == PARTIAL_HEAD => {
                if connection.should_close(context) {
                    return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
                }
                let deadline = this.deadline.get_or_insert_with(|| Box::pin(sleep(*this.head)));
                ready!(deadline.as_mut().poll(context));
                Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
            }
            // As if the client had closed it, which ends the connection in good order.
            Poll::Pending if connection.phase() == IDLE && connection.should_close(context) => {
                Poll::Ready(Ok(()))
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
    /// The client that a PROXY header named.
    client: Option<Peer>,
}

impl<S> Serving<S> {
    pub fn new(service: S, place: Arc<Place>, client: Option<Peer>) -> Self {
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
        if let Some(client) = self.client {
            request.extensions_mut().insert(client);
        }
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
