//! Reads the forms of the page as browsers send them.

use axum::http::{HeaderMap, HeaderValue, header};
use url::form_urlencoded;

use crate::{
    flow::trimmed,
    http::problem::{Kind, Problem},
};

/// The most fields of a form. The longest one has four.
const MAX_FIELDS: usize = 16;

/// The fields of a form.
#[derive(Debug)]
pub struct Form(Vec<(String, String)>);

impl Form {
    /// Reads a body as a browser sends a form.
    ///
    /// # Errors
    ///
    /// A [`Problem`] when the body is no form, has a field twice, or is not UTF-8.
    pub fn read(headers: &HeaderMap, body: &[u8]) -> Result<Self, Problem> {
        let media_type = headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
        let media_type = media_type.split(|byte| *byte == b';').next().unwrap_or_default();
        if !media_type.trim_ascii().eq_ignore_ascii_case(b"application/x-www-form-urlencoded") {
            return Err(Problem::new(Kind::UnsupportedMediaType, "send the form as browsers do"));
        }
        let mut fields = Vec::new();
        for (name, value) in form_urlencoded::parse(body).take(MAX_FIELDS) {
            let is_twice = fields.iter().any(|(known, _): &(String, String)| *known == name);
            if is_twice || value.contains(char::REPLACEMENT_CHARACTER) {
                return Err(Problem::new(Kind::InvalidBody, "send each field of the form once, in UTF-8"));
            }
            fields.push((name.into_owned(), value.into_owned()));
        }
        Ok(Self(fields))
    }

    /// The sealed token that the page put into the form.
    pub fn token(&self) -> &str {
        self.text("form")
    }

    /// The text of a field; empty when it is missing.
    pub fn text(&self, name: &str) -> &str {
        self.find(name).unwrap_or_default()
    }

    /// The login without what does not count at its ends: keyboards of phones add a blank after a word that they suggest.
    pub fn login(&self) -> &str {
        trimmed(self.text("login"))
    }

    pub fn find(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}
