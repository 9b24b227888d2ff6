//! Looks host names up by code of the SDK's user, in place of the system's resolver.

use std::{
    fmt,
    future::Future,
    io,
    net::{IpAddr, SocketAddr},
    pin::Pin,
    sync::Arc,
};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

type Lookup = Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send>>;

/// Code that looks a host name up.
#[derive(Clone)]
pub(crate) struct Resolver {
    look_up: Arc<dyn Fn(String) -> Lookup + Send + Sync>,
    /// Whether only addresses of this machine are taken: where calls are not encrypted, the key must not leave it.
    loopback_only: bool,
}

impl Resolver {
    pub(crate) fn new<F, R>(look_up: F) -> Self
    where
        F: Fn(String) -> R + Send + Sync + 'static,
        R: Future<Output = io::Result<Vec<IpAddr>>> + Send + 'static,
    {
        Self { look_up: Arc::new(move |name| Box::pin(look_up(name))), loopback_only: false }
    }

    pub(crate) fn loopback_only(self, loopback_only: bool) -> Self {
        Self { loopback_only, ..self }
    }
}

impl fmt::Debug for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Resolver")
    }
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let (looking_up, loopback_only) = ((self.look_up)(name.as_str().to_owned()), self.loopback_only);
        Box::pin(async move {
            let mut addresses = looking_up.await?;
            addresses.retain(|address| !loopback_only || address.is_loopback());
            if addresses.is_empty() {
                return Err("the resolver gave no address that may be called".into());
            }
            // The port is that of the URL.
            let addresses: Addrs = Box::new(addresses.into_iter().map(|address| SocketAddr::new(address, 0)));
            Ok(addresses)
        })
    }
}
