//! `public_origin` and `allowed_origins`: the pages whose requests are answered.

use std::{net::SocketAddr, str::FromStr};

use url::Url;

use super::{listeners::LISTEN, loopback::is_loopback, reader::Reader, setting::settings};

/// The origin under which browsers see the gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicOrigin {
    /// As browsers write it, without a trailing slash.
    pub text: String,
    /// Whether browsers connect by https, to the gateway or to a proxy in front of it.
    pub https: bool,
}

impl PublicOrigin {
    /// The origin of a gateway that only this machine can reach.
    pub fn localhost(listen: SocketAddr) -> Self {
        Self { text: format!("http://localhost:{}", listen.port()), https: false }
    }
}

settings! {
    PUBLIC_ORIGIN: "public_origin", "GATEWAY_PUBLIC_ORIGIN",
        "an origin without a path, such as `https://reset.example.com`; https when `listen` is not loopback",
        "http://localhost:<port>";
    ALLOWED_ORIGINS: "allowed_origins", "GATEWAY_ALLOWED_ORIGINS",
        "exact origins, separated by commas, such as `https://www.example.com`; never `*`", "none";
}

/// A gateway that others can reach has no default: its name is not known here, and passwords must not travel in the clear.
pub(super) fn public(reader: &mut Reader<'_>) -> Option<PublicOrigin> {
    let listen = reader.peek(LISTEN, SocketAddr::from_str);
    let loopback = listen.is_none_or(|listen| listen.ip().is_loopback());
    match reader.get(PUBLIC_ORIGIN) {
        None if loopback => listen.map(PublicOrigin::localhost),
        None => {
            reader.fault(PUBLIC_ORIGIN, "is not set, and `listen` is not loopback");
            None
        }
        Some(_) => reader.parse(PUBLIC_ORIGIN, |text| {
            public_origin(text).and_then(|origin| if origin.https || loopback { Ok(origin) } else { Err(()) })
        }),
    }
}

/// Empty unless set: pages of the public origin need no leave.
pub(super) fn allowed(reader: &mut Reader<'_>) -> Vec<String> {
    reader.parse(ALLOWED_ORIGINS, allowed_origins).unwrap_or_default()
}

pub(super) fn public_origin(text: &str) -> Result<PublicOrigin, ()> {
    let url = Url::parse(text).ok().filter(is_origin).ok_or(())?;
    Ok(PublicOrigin { text: url.origin().ascii_serialization(), https: url.scheme() == "https" })
}

/// Origins as browsers write them. A page that came without https may have been changed on its way, unless it came
/// from this machine.
fn allowed_origins(text: &str) -> Result<Vec<String>, ()> {
    let origin = |text: &str| {
        let url = Url::parse(text.trim()).ok().filter(is_origin)?;
        (url.scheme() == "https" || is_loopback(&url)).then(|| url.origin().ascii_serialization())
    };
    text.split(',').map(|text| origin(text).ok_or(())).collect()
}

fn is_origin(url: &Url) -> bool {
    matches!(url.scheme(), "http" | "https")
        && url.path() == "/"
        && url.query().is_none()
        && url.fragment().is_none()
        && url.username().is_empty()
        && url.password().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_read_as_browsers_write_them() {
        assert_eq!(
            allowed_origins("https://WWW.example.com/, https://m.example.com:8443,http://localhost:3000")
                .unwrap(),
            ["https://www.example.com", "https://m.example.com:8443", "http://localhost:3000"]
        );
        for bad in ["*", "null", "www.example.com", "http://www.example.com", "https://a.example/path", ""] {
            assert_eq!(allowed_origins(bad), Err(()), "{bad}");
        }
    }
}
