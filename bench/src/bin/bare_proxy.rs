//! A proxy that only adds the header, made of hyper alone: what this stack costs without a gateway in it. It writes no log.
//!
//! `bare_proxy LISTEN UPSTREAM`, both as `address:port`.

use std::env;

use hyper::{Request, Uri, header::HeaderValue, server::conn::http1, service::service_fn};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioIo},
};
use tokio::net::TcpListener;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let mut arguments = env::args().skip(1);
    let (Some(listen), Some(upstream)) = (arguments.next(), arguments.next()) else {
        panic!("say where to listen and where the upstream is");
    };
    let listener = TcpListener::bind(listen).await.expect("the address is free");
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    let client: Client<_, hyper::body::Incoming> = Client::builder(TokioExecutor::new()).build(connector);
    while let Ok((stream, _)) = listener.accept().await {
        // A connection without it is slow and not wrong.
        let _ = stream.set_nodelay(true);
        let (client, upstream) = (client.clone(), upstream.clone());
        let serve = service_fn(move |mut request: Request<hyper::body::Incoming>| {
            let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
            let uri: Result<Uri, _> = format!("http://{upstream}{path}").parse();
            *request.uri_mut() = uri.expect("a path that came in a request is one");
            request.headers_mut().insert("et-app-key", HeaderValue::from_static("not-a-real-key"));
            client.request(request)
        });
        // The load hangs up when it has measured enough.
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), serve));
    }
}
