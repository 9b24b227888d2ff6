//! `public_origin` and `allowed_origins`: the pages whose requests are answered.

use std::{net::SocketAddr, str::FromStr};

use url::Url;

use super::{
    listeners::LISTEN,
    loopback::{is_loopback, is_loopback_origin},
    reader::{Reader, shortened},
    setting::settings,
};

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
        "exact origins, separated by commas, such as `https://www.example.com` or `capacitor://localhost`; never `*`", "none";
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
        Some(_) => {
            let origin = reader.parse(PUBLIC_ORIGIN, |text| {
                public_origin(text)
                    .and_then(|origin| if origin.https || loopback { Ok(origin) } else { Err(()) })
            });
            if let Some(origin) = origin.as_ref().filter(|origin| !keeps_cookies(origin)) {
                reader.warn(
                    PUBLIC_ORIGIN,
                    format_args!(
                        "browsers keep no `Secure` cookie for `{}`, so only clients that send `Reset-Flow` back can go on; use https",
                        origin.text
                    ),
                );
            }
            origin
        }
    }
}

/// Whether browsers keep a `Secure` cookie for an origin: over https, and from this machine.
fn keeps_cookies(origin: &PublicOrigin) -> bool {
    origin.https || Url::parse(&origin.text).is_ok_and(|url| is_loopback_origin(&url))
}

/// Empty unless set: pages of the public origin need no leave.
pub(super) fn allowed(reader: &mut Reader<'_>) -> Vec<String> {
    match reader.get(ALLOWED_ORIGINS).map(|text| allowed_origins(&text)) {
        None => Vec::new(),
        Some(Ok(origins)) => origins,
        Some(Err(fault)) => {
            reader.fault(ALLOWED_ORIGINS, fault);
            Vec::new()
        }
    }
}

pub(super) fn public_origin(text: &str) -> Result<PublicOrigin, ()> {
    let url = Url::parse(text).ok().filter(is_origin).ok_or(())?;
    Ok(PublicOrigin { text: url.origin().ascii_serialization(), https: url.scheme() == "https" })
}

/// Origins as browsers write them.
fn allowed_origins(text: &str) -> Result<Vec<String>, String> {
    if text.contains('@') {
        return Err("holds a user name or password, which no browser sends; take it out".to_owned());
    }
    text.split(',').map(|text| allowed_origin(text.trim())).collect()
}

fn allowed_origin(text: &str) -> Result<String, String> {
    let fault = |why: &str| Err(format!("holds `{}`, {why}", shortened(text)));
    if text.contains('*') {
        return fault("and a star is no origin: list each origin");
    }
    if text.eq_ignore_ascii_case("null") {
        return fault("which every page in a sandbox and every file sends, whoever made it");
    }
    let Ok(url) = Url::parse(text) else {
        return fault("which is no origin, such as `https://www.example.com`");
    };
    if NEVER_SENT.contains(&url.scheme()) || !text.contains("://") {
        return fault("which no browser sends as an origin");
    }
    if !is_bare(&url) || url.host_str().is_none_or(str::is_empty) {
        return fault("which is more or less than scheme, host and port: browsers send nothing else");
    }
    match url.scheme() {
        "https" => Ok(url.origin().ascii_serialization()),
        "http" if is_loopback(&url) => Ok(url.origin().ascii_serialization()),
        // A page that came without https may have been changed on its way, unless it came from this machine.
        "http" => fault("whose pages anybody on the way can change: use https"),
        // A hybrid app; its pages come with the app. The parser gives such an origin no text of its own.
        _ => {
            let host = url.host_str().unwrap_or_default();
            let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
            Ok(format!("{}://{host}{port}", url.scheme()))
        }
    }
}

/// Schemes whose pages have the origin `null`, or that have no pages.
const NEVER_SENT: &[&str] =
    &["about", "blob", "data", "file", "filesystem", "ftp", "javascript", "mailto", "ws", "wss"];

fn is_origin(url: &Url) -> bool {
    matches!(url.scheme(), "http" | "https") && is_bare(url)
}

/// Whether nothing stands in an address but scheme, host and port.
fn is_bare(url: &Url) -> bool {
    matches!(url.path(), "/" | "")
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
        for bad in [
            "*",
            "https://*.example.com",
            "null",
            "www.example.com",
            "localhost:5173",
            "http://www.example.com",
            "https://a.example/path",
            "https://a.example?x",
            "https://user@a.example",
            "file://",
            "file:///android_asset",
            "blob:https://a.example",
            "capacitor://",
            "capacitor:localhost",
            "capacitor://localhost/index.html",
            "wss://a.example",
            "https://a.example,",
            "",
        ] {
            let fault = allowed_origins(bad).unwrap_err();
            assert!(fault.starts_with("holds "), "{bad}: {fault}");
        }
        let secret = allowed_origins("https://user:canary@a.example").unwrap_err();
        assert!(!secret.contains("canary"), "{secret}");
    }

    #[test]
    fn a_hybrid_app_has_an_origin_of_its_own() {
        let apps = "capacitor://localhost,ionic://localhost/, tauri://localhost,app://localhost:8080,\
            chrome-extension://abcdefghijklmnopabcdefghijklmnop,Capacitor://localhost";
        assert_eq!(
            allowed_origins(apps).unwrap(),
            [
                "capacitor://localhost",
                "ionic://localhost",
                "tauri://localhost",
                "app://localhost:8080",
                "chrome-extension://abcdefghijklmnopabcdefghijklmnop",
                "capacitor://localhost",
            ]
        );
    }
}
