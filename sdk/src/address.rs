//! The addresses of the operations, which are the same few for all calls of a client.

use std::sync::{Mutex, PoisonError};

use http::HeaderValue;
use progenitor_client::Error;
use reqwest::Url;

/// Remembers the addresses that it has parsed. Parsing one takes as long as all else that the SDK does about a request before it is sent.
#[derive(Debug)]
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

    /// An address without a query, parsed. Code in `client.rs` that the build script writes calls this for each request.
    pub(crate) fn parsed<E>(&self, text: String) -> Result<Url, Error<E>> {
        let mut known = self.parsed.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, url)) = known.iter().find(|(known, _)| *known == text) {
            return Ok(url.clone());
        }
        // The builder has checked the part that comes from its caller.
        let url = Url::parse(&text).map_err(|_| Error::InvalidRequest("no address".to_owned()))?;
        known.push((text, url.clone()));
        Ok(url)
    }
}
