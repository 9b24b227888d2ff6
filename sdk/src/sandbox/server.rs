//! The accept loop of the sandbox. It uses hyper directly, because `axum::serve` cannot close a connection without a reply, which
//! [`Fault::HangUp`](super::Fault::HangUp) needs.

use std::io;

use axum::Router;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::{net::TcpListener, task::JoinSet};
use tower::ServiceExt;

use super::fault::HangUp;

pub(super) async fn serve(listener: TcpListener, router: Router) {
    // When the sandbox is dropped, this future is dropped with it, and the set then aborts all connections.
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_) = connections.join_next() => continue,
        };
        let Ok((stream, _)) = accepted else {
            // Most likely the process has run out of file descriptors, so this waits until some may be free again.
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            continue;
        };
        let router = router.clone();
        let service = service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
            let router = router.clone();
            async move {
                let Ok(response) = router.oneshot(request).await;
                match response.extensions().get::<HangUp>() {
                    Some(HangUp) => Err(io::Error::from(io::ErrorKind::ConnectionAborted)),
                    None => Ok(response),
                }
            }
        });
        connections.spawn(async move {
            // An error here means that the client went away or that a fault closed the connection; neither is worth reporting.
            let _ = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}
