//! The addresses of the operations, which are the same few for all calls of a client.

use std::{
    fmt,
    sync::{Mutex, PoisonError},
};

use http::HeaderValue;
use reqwest::Url;

/// Remembers the addresses that it has parsed, one for each operation: the build script sees to it that no path holds a parameter of a call. Parsing one takes as long as all else that the SDK does about a request before it is sent.
pub(crate) struct Addresses {
    parsed: Mutex<Vec<(String, Url)>>,
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

    /// An address without a query, parsed; `None` when it is none.
    pub(crate) fn parsed(&self, text: String) -> Option<Url> {
        let mut known = self.parsed.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, url)) = known.iter().find(|(known, _)| *known == text) {
            return Some(url.clone());
        }
        let url = Url::parse(&text).ok()?;
        known.push((text, url.clone()));
        Some(url)
    }
}

impl fmt::Debug for Addresses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Addresses")
    }
}
