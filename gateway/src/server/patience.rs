//! How long a connection may keep the gateway waiting. hyper has one deadline for "silent" and for "in the middle of a head", and a
//! connection may be silent for longer than a head may take. So hyper has the longer one, and this file watches heads.

use std::{
    future::Future,
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use pin_project_lite::pin_project;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    sync::OwnedSemaphorePermit,
    time::{Sleep, sleep},
};
use tower::Service;

/// No request is under way.
const IDLE: u8 = 0;
/// A head has begun.
const PARTIAL_HEAD: u8 = 1;
/// A request has been read and has no reply yet.
const SERVING: u8 = 2;

/// What the stream and the service of one connection know together. It also holds the permit, so that the connection counts until the last
/// request on it is done.
#[derive(Debug)]
pub struct Connection {
    phase: AtomicU8,
    _permit: OwnedSemaphorePermit,
}

impl Connection {
    pub fn new(permit: OwnedSemaphorePermit) -> Arc<Self> {
        Arc::new(Self { phase: AtomicU8::new(IDLE), _permit: permit })
    }
}

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
        let phase = &this.connection.phase;
        match this.stream.poll_read(context, buffer) {
            Poll::Ready(read) => {
                if buffer.filled().len() > before && phase.load(Ordering::Relaxed) == IDLE {
                    phase.store(PARTIAL_HEAD, Ordering::Relaxed);
                    *this.deadline = None;
                }
                Poll::Ready(read)
            }
            Poll::Pending if phase.load(Ordering::Relaxed) == PARTIAL_HEAD => {
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

/// The service of a connection. It tells the stream when a head has ended and when its reply begins.
#[derive(Clone)]
pub struct Serving<S> {
    service: S,
    connection: Arc<Connection>,
}

impl<S> Serving<S> {
    pub fn new(service: S, connection: Arc<Connection>) -> Self {
        Self { service, connection }
    }
}

impl<S: Service<R>, R> Service<R> for Serving<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = UnderWay<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.service.poll_ready(context)
    }

    fn call(&mut self, request: R) -> UnderWay<S::Future> {
        self.connection.phase.store(SERVING, Ordering::Relaxed);
        UnderWay { reply: self.service.call(request), connection: Arc::clone(&self.connection) }
    }
}

pin_project! {
    /// A request until its reply begins.
    pub struct UnderWay<F> {
        #[pin]
        reply: F,
        connection: Arc<Connection>,
    }
}

impl<F: Future> Future for UnderWay<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let reply = ready!(this.reply.poll(context));
        this.connection.phase.store(IDLE, Ordering::Relaxed);
        Poll::Ready(reply)
    }
}
