//! The addresses of the operations, which are the same few for all calls of a client.

use std::sync::{Mutex, PoisonError};

use progenitor_client::Error;
use reqwest::Url;

/// Remembers the addresses that it has parsed. Parsing one takes as long as all else that the SDK does about a request before it is sent.
#[derive(Debug, Default)]
pub(crate) struct Addresses(Mutex<Vec<(String, Url)>>);

impl Addresses {
    /// An address without a query, parsed. Code in `client.rs` that the build script writes calls this for each request.
    pub(crate) fn parsed<E>(&self, text: String) -> Result<Url, Error<E>> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, url)) = known.iter().find(|(known, _)| *known == text) {
            return Ok(url.clone());
        }
        // The builder has checked the part that comes from its caller.
        let url = Url::parse(&text).map_err(|_| Error::InvalidRequest("no address".to_owned()))?;
        known.push((text, url.clone()));
        Ok(url)
    }
}
