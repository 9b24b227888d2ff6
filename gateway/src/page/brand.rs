//! The look of the page: its style sheet with the broker's colour, its script, the logo and the links.

use std::fmt::Write;

use axum::{
    Router,
    http::{HeaderValue, Uri, header},
    routing::{MethodRouter, get},
};
use sha2::{Digest, Sha256};

use crate::config::{self, Logo};

const STYLE: &str = include_str!("../../templates/page/style.css");
const SCRIPT: &str = include_str!("../../templates/page/script.js");
/// A browser may keep what has its version in its address for as long as it likes.
const FOR_EVER: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");

/// The look of the page.
#[derive(Debug)]
pub struct Brand {
    settings: config::Page,
    style: String,
    /// A few digits that change with the style sheet, the script and the logo.
    pub version: String,
}

impl Brand {
    pub fn of(settings: config::Page) -> Self {
        let config::Accent { light, dark } = &settings.accent;
        let mut style = String::new();
        let _ = write!(style, ":root{{--accent:{light};--on-accent:#fff}}");
        let _ =
            write!(style, "@media(prefers-color-scheme:dark){{:root{{--accent:{dark};--on-accent:#000}}}}");
        style.push_str(STYLE);
        let mut hash = Sha256::new_with_prefix(&style);
        hash.update(SCRIPT);
        if let Some(logo) = &settings.logo {
            hash.update(&logo.bytes);
        }
        let digits = hash.finalize().iter().take(4).fold(String::new(), |mut digits, byte| {
            let _ = write!(digits, "{byte:02x}");
            digits
        });
        Self { settings, style, version: digits }
    }

    pub fn name(&self) -> Option<&str> {
        self.settings.name.as_deref()
    }

    pub fn has_logo(&self) -> bool {
        self.settings.logo.is_some()
    }

    pub fn support_url(&self) -> Option<&str> {
        self.settings.support_url.as_deref()
    }

    pub fn login_url(&self) -> Option<&str> {
        self.settings.login_url.as_deref()
    }

    pub fn privacy_url(&self) -> Option<&str> {
        self.settings.privacy_url.as_deref()
    }

    /// The style sheet, the script and the logo.
    pub fn routes(&self) -> Router {
        let (style, version) = (self.style.as_bytes().to_vec(), &self.version);
        let router = Router::new()
            .route("/password-reset/style.css", kept("text/css; charset=utf-8", style, version))
            .route(
                "/password-reset/script.js",
                kept("text/javascript; charset=utf-8", SCRIPT.into(), version),
            );
        match self.settings.logo.clone() {
            Some(Logo { bytes, media_type }) => {
                router.route("/password-reset/logo", kept(media_type, bytes, version))
            }
            None => router,
        }
    }
}

/// Serves a file, which may be kept under the address that holds its version. While a new version comes up, another gateway may be asked for it.
fn kept(media_type: &'static str, body: Vec<u8>, version: &str) -> MethodRouter {
    let version = version.to_owned();
    get(async move |uri: Uri| {
        let caching =
            if uri.query() == Some(&*version) { FOR_EVER } else { HeaderValue::from_static("no-cache") };
        let headers =
            [(header::CONTENT_TYPE, HeaderValue::from_static(media_type)), (header::CACHE_CONTROL, caching)];
        (headers, body.clone())
    })
}
