//! `public_origin` and `allowed_origins`: the pages whose requests are answered.

use std::{
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    str::FromStr,
};

use url::Url;

use super::{
    given::element, listeners::LISTEN, loopback::is_loopback_origin, reader::Reader, setting::settings,
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
        // The name leads to the usual addresses alone.
        let is_usual = listen.ip() == Ipv4Addr::LOCALHOST
            || listen.ip() == Ipv6Addr::LOCALHOST
            || listen.ip().is_unspecified();
        let place = if is_usual { format!("localhost:{}", listen.port()) } else { listen.to_string() };
        Self { text: format!("http://{place}"), https: false }
    }
}

settings! {
    PUBLIC_ORIGIN: "public_origin", "GATEWAY_PUBLIC_ORIGIN",
        "an origin without a path, such as `https://reset.example.com`; https when `listen` is not loopback", "http://localhost:<port>",
        "required, and https, when `listen` is not loopback, for passwords must not travel in the clear", address;
    ALLOWED_ORIGINS: "allowed_origins", "GATEWAY_ALLOWED_ORIGINS",
        "exact origins, separated by commas, such as `https://www.example.com` or `capacitor://localhost`; never `*`", "none",
        "the exact origins, beside the public one, whose pages may call, separated by commas: of the same site, of other sites, and of apps (`capacitor://localhost`)", list;
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
    if text.contains('@') || text.contains("%40") {
        return Err("holds a user name or password, which no browser sends; take it out".to_owned());
    }
    let checked =
        |text: &str| allowed_origin(text).map_err(|why| format!("holds `{}`, {why}", element(text)));
    text.split(',').map(|text| checked(text.trim())).collect()
}

/// An origin as browsers write it.
///
/// # Errors
///
/// Why no page of such an origin can be let in, as the rest of a sentence that begins with the origin.
pub fn allowed_origin(text: &str) -> Result<String, &'static str> {
    if text.contains('*') {
        return Err("and a star is no origin: list each origin");
    }
    if text.eq_ignore_ascii_case("null") {
        return Err("which every page in a sandbox and every file sends, whoever made it");
    }
    let Ok(url) = Url::parse(text) else {
        return Err("which is no origin, such as `https://www.example.com`");
    };
    if NEVER_SENT.contains(&url.scheme()) || !text.contains("://") {
        return Err("which no browser sends as an origin");
    }
    let is_near = |scheme| strsim::damerau_levenshtein(url.scheme(), scheme) == 1;
    if !matches!(url.scheme(), "http" | "https") && (is_near("http") || is_near("https")) {
        return Err("whose scheme is `https`, misspelt");
    }
    if !is_bare(&url) || url.host_str().is_none_or(str::is_empty) {
        return Err("which is more or less than scheme, host and port: browsers send nothing else");
    }
    if url.port() == Some(0) {
        return Err("and no page comes from port 0");
    }
    match url.scheme() {
        "https" => Ok(url.origin().ascii_serialization()),
        "http" if is_loopback_origin(&url) => Ok(url.origin().ascii_serialization()),
        // A page that came without https may have been changed on its way, unless it came from this machine.
        "http" => Err("whose pages anybody on the way can change: use https"),
        // A hybrid app; its pages come with the app. The parser gives such an origin no text of its own.
        _ => {
            let host = url.host_str().unwrap_or_default();
            let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
            Ok(format!("{}://{host}{port}", url.scheme()).to_ascii_lowercase())
        }
    }
}

/// Schemes whose pages have the origin `null`, or that have no pages and are mistaken for ones that have.
const NEVER_SENT: &[&str] = &[
    "about",
    "blob",
    "data",
    "file",
    "filesystem",
    "ftp",
    "intent",
    "javascript",
    "mailto",
    "ssh",
    "tel",
    "ws",
    "wss",
];

fn is_origin(url: &Url) -> bool {
    let is_one_host = url.host_str().is_some_and(|host| !host.contains('*')) && url.port() != Some(0);
    matches!(url.scheme(), "http" | "https") && is_bare(url) && is_one_host
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
            allowed_origins(
                "http://tauri.localhost,http://Shop.LOCALHOST:8080,http://127.0.0.1:5173,http://[::1]"
            )
            .unwrap(),
            ["http://tauri.localhost", "http://shop.localhost:8080", "http://127.0.0.1:5173", "http://[::1]"]
        );
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
            "htps://a.example",
            "httpss://a.example",
            "htttp://localhost",
            "ssh://a.example",
            "tel://5",
            "intent://a.example",
            "https://a.example:0",
            "capacitor://localhost:0",
            "http://localhost.example",
            "http://10.0.0.1",
            "https://user:word%40a.example",
        ] {
            let fault = allowed_origins(bad).unwrap_err();
            assert!(fault.starts_with("holds "), "{bad}: {fault}");
        }
        let secret = allowed_origins("https://user:canary@a.example").unwrap_err();
        assert!(!secret.contains("canary"), "{secret}");
        for app in ["help://localhost", "otp://localhost", "tap://localhost"] {
            assert!(allowed_origins(app).is_ok(), "{app}");
        }
    }

    #[test]
    fn a_public_origin_is_one_host() {
        assert!(public_origin("https://reset.example.com/").is_ok());
        for bad in [
            "https://*.example.com",
            "https://a.example:0",
            "https://",
            "capacitor://localhost",
            "https://a.example/x",
        ] {
            assert_eq!(public_origin(bad), Err(()), "{bad}");
        }
        let origin = |listen: &str| PublicOrigin::localhost(listen.parse().unwrap()).text;
        assert_eq!(origin("127.0.0.1:8080"), "http://localhost:8080");
        assert_eq!(origin("127.0.0.2:8080"), "http://127.0.0.2:8080");
        assert_eq!(origin("[fd00::1]:8080"), "http://[fd00::1]:8080");
    }

    #[test]
    fn a_hybrid_app_has_an_origin_of_its_own() {
        let apps = "capacitor://localhost,ionic://localhost/, tauri://localhost,app://localhost:8080,\
            chrome-extension://abcdefghijklmnopabcdefghijklmnop,Capacitor://LocalHost";
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
