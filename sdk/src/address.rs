//! The addresses of the operations, which are the same few for all calls of a client.

use std::{
    fmt,
    sync::{Mutex, PoisonError},
};

use http::HeaderValue;
use reqwest::Url;

use crate::operation::Operation;

/// Remembers the address of each operation, parsed: the build script sees to it that no path holds a parameter of a call. Composing and parsing one
/// takes as long as all else that the SDK does about a request before it is sent.
pub(crate) struct Addresses {
    parsed: Mutex<Vec<(Operation, Url)>>,
    host: Option<HeaderValue>,
}

impl Addresses {
    pub(crate) fn below(base_url: &Url) -> Self {
        let host = base_url.authority();
        Self { parsed: Mutex::default(), host: HeaderValue::from_str(host).ok() }
    }

    /// The `Host` header, which hyper would compose anew for each request.
    pub(crate) fn host(&self) -> Option<&HeaderValue> {
        self.host.as_ref()
    }

    /// The address of an operation, without a query. The first call composes it, and parses it; `None` when it is none.
    pub(crate) fn of(&self, operation: Operation, compose: impl FnOnce() -> String) -> Option<Url> {
        let mut known = self.parsed.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, url)) = known.iter().find(|(known, _)| *known == operation) {
            return Some(url.clone());
        }
        let url = Url::parse(&compose()).ok()?;
        known.push((operation, url.clone()));
        Some(url)
    }
}

impl fmt::Debug for Addresses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Addresses")
    }
}
