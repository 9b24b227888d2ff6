//! Tells the operator, once for each kind, that requests come in another way than the settings about proxies expect: many clients then share one
//! budget, and nothing else shows it.

use std::{
    net::IpAddr,
    sync::atomic::{AtomicU8, AtomicU32, Ordering},
};

use axum::http::HeaderMap;
use tracing::warn;

use super::client_address::ClientAddress;
use crate::config::{ForwardedHeader, Proxies};

/// How many requests must have come past all trusted networks, and none through one, before that is told.
const MANY: u32 = 100;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hint {
    /// Requests seem to come through a proxy, and none is trusted.
    NoProxyTrusted,
    /// A trusted proxy names the client in the header that is ignored.
    OtherHeader,
    /// A trusted proxy does not name the client.
    NoAddress,
    /// Something near sends a header like a proxy, and no trusted network holds it.
    OtherProxy,
    /// No request has come from any trusted network.
    NoNetworkMatches,
}

/// What the operator has been told.
#[derive(Debug, Default)]
pub struct ProxyHints {
    /// A bit for each kind.
    told: AtomicU8,
    /// The requests that came past all trusted networks; [`u32::MAX`] once one has come through.
    past: AtomicU32,
}

impl ProxyHints {
    /// Looks at one request.
    pub fn look(&self, peer: IpAddr, headers: &HeaderMap, proxies: &Proxies) {
        // The peer is the client then, whom no line names.
        if proxies.header == ForwardedHeader::ProxyProtocol {
            return;
        }
        for hint in [hint(peer, headers, proxies), self.count(peer, proxies)].into_iter().flatten() {
            let bit = 1 << hint as u8;
            if self.told.fetch_or(bit, Ordering::Relaxed) & bit == 0 {
                tell(hint, peer, proxies);
            }
        }
    }

    fn count(&self, peer: IpAddr, proxies: &Proxies) -> Option<Hint> {
        if proxies.trusted.is_empty() || self.past.load(Ordering::Relaxed) > MANY {
            return None;
        }
        if proxies.trust(peer) {
            self.past.store(u32::MAX, Ordering::Relaxed);
            return None;
        }
        let count = |past: u32| (past <= MANY).then_some(past + 1);
        let before = self.past.fetch_update(Ordering::Relaxed, Ordering::Relaxed, count);
        (before == Ok(MANY - 1)).then_some(Hint::NoNetworkMatches)
    }
}

/// Whether a request looks as if its client were not told apart from others, because of the settings.
fn hint(peer: IpAddr, headers: &HeaderMap, proxies: &Proxies) -> Option<Hint> {
    let [written, other] =
        [proxies.header, proxies.header.other()].map(|header| headers.contains_key(header.name()));
    let canonical = peer.to_canonical();
    // A stranger can send these headers too, but not from such an address.
    let is_private = match canonical {
        IpAddr::V4(peer) => peer.is_private(),
        IpAddr::V6(peer) => peer.is_unique_local(),
    };
    let is_near_proxy = (is_private || canonical.is_loopback()) && (written || other);
    if proxies.trusted.is_empty() {
        return (is_private || is_near_proxy).then_some(Hint::NoProxyTrusted);
    }
    if !proxies.trust(peer) {
        return is_near_proxy.then_some(Hint::OtherProxy);
    }
    let names_a_client = written && ClientAddress::is_named(peer, headers, proxies);
    match (names_a_client, other) {
        (true, _) => None,
        (false, true) => Some(Hint::OtherHeader),
        (false, false) => Some(Hint::NoAddress),
    }
}

fn tell(hint: Hint, peer: IpAddr, proxies: &Proxies) {
    match hint {
        Hint::NoProxyTrusted => warn!(
            %peer,
            "requests seem to come through a proxy, and `trusted_proxies` is not set: its clients share one budget"
        ),
        Hint::OtherProxy => warn!(
            %peer,
            "requests seem to come through a proxy that is in no network of `trusted_proxies`: its clients share one budget"
        ),
        Hint::NoNetworkMatches => warn!(
            %peer,
            "none of the first {MANY} requests came from a network of `trusted_proxies`: if they came through a proxy, its clients share one budget"
        ),
        Hint::NoAddress => warn!(
            %peer,
            header = proxies.header.name().as_str(),
            "a trusted proxy does not say from which address its clients come: they share one budget; let it write the header"
        ),
        Hint::OtherHeader => warn!(
            %peer,
            header = proxies.header.other().name().as_str(),
            "a trusted proxy names its clients in the header that `forwarded_header` does not name: its clients share one budget"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    fn proxies(trusted: &[&str]) -> Proxies {
        let trusted = trusted.iter().map(|network| network.parse().unwrap()).collect();
        Proxies { trusted, ..Proxies::default() }
    }

    #[test]
    fn a_proxy_that_nobody_told_about_is_noticed() {
        let hint = |peer: &str, trusted: &[&str], header: Option<(&'static str, &'static str)>| {
            let header = header.map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value)));
            hint(peer.parse().unwrap(), &header.into_iter().collect(), &proxies(trusted))
        };
        let headers = [("forwarded", "for=1.2.3.4"), ("x-forwarded-for", "1.2.3.4")];
        let [forwarded, forwarded_for] = headers.map(Some);
        assert_eq!(hint("10.0.0.1", &[], None), Some(Hint::NoProxyTrusted));
        assert_eq!(hint("fd00::1", &[], None), Some(Hint::NoProxyTrusted));
        assert_eq!(hint("127.0.0.1", &[], None), None);
        assert_eq!(hint("::1", &[], None), None);
        assert_eq!(hint("192.0.2.1", &[], forwarded), None);
        assert_eq!(hint("::1", &[], forwarded_for), Some(Hint::NoProxyTrusted));
        assert_eq!(hint("127.0.0.1", &[], forwarded), Some(Hint::NoProxyTrusted));
        let trusted = &["10.0.0.0/8"];
        assert_eq!(hint("10.0.0.1", trusted, forwarded), Some(Hint::OtherHeader));
        assert_eq!(hint("10.0.0.1", trusted, forwarded_for), None);
        assert_eq!(hint("::ffff:10.0.0.1", trusted, forwarded_for), None);
        let own = Some(("x-forwarded-for", "10.0.0.1"));
        assert_eq!(hint("10.0.0.1", trusted, own), None, "somebody on the proxy's machine");
        assert_eq!(hint("10.0.0.1", trusted, None), Some(Hint::NoAddress));
        for nobody in ["", " , ", "unknown", "-", "client.example"] {
            assert_eq!(
                hint("10.0.0.1", trusted, Some(("x-forwarded-for", nobody))),
                Some(Hint::NoAddress),
                "{nobody}"
            );
        }
        for header in [forwarded, forwarded_for] {
            assert_eq!(hint("192.0.2.1", trusted, header), None, "a stranger can send it too");
            for near in ["192.168.0.1", "127.0.0.1", "::ffff:172.16.0.1", "fd00::1"] {
                assert_eq!(hint(near, trusted, header), Some(Hint::OtherProxy), "{near}");
            }
        }
        assert_eq!(hint("192.168.0.1", trusted, None), None);
    }

    #[test]
    fn networks_that_never_match_are_noticed() {
        let [near, far] = ["10.0.0.1", "192.0.2.1"].map(|peer: &str| peer.parse().unwrap());
        let trusted = proxies(&["10.0.0.0/8"]);
        let (hints, some) = (ProxyHints::default(), |hints: &ProxyHints, count: u32, proxies: &Proxies| {
            (0..count).filter_map(|_| hints.count(far, proxies)).count()
        });
        assert_eq!(some(&hints, MANY - 1, &trusted), 0);
        assert_eq!(hints.count(far, &trusted), Some(Hint::NoNetworkMatches));
        assert_eq!(some(&hints, 3 * MANY, &trusted), 0, "once");
        let hints = ProxyHints::default();
        assert_eq!(some(&hints, MANY - 1, &trusted), 0);
        assert_eq!(hints.count(near, &trusted), None);
        assert_eq!(some(&hints, 3 * MANY, &trusted), 0, "one has matched");
        assert_eq!(some(&ProxyHints::default(), 3 * MANY, &proxies(&[])), 0, "nobody is trusted");
    }
}
