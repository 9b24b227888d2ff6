//! Finds the address of the client. A peer that is no trusted proxy is the client itself, whatever its headers say. A trusted proxy
//! appends the address that it saw to a header, so the header is read from right to left, up to the first address that is not a trusted
//! proxy's. Anybody may have written the text further left, so each element is cut off at the right end of what is left and read on its
//! own: no quote and no line of a client changes how the element of a proxy is read.
//!
//! Written by hand, for the crates that extract addresses take the leftmost one, or know a fixed number of proxies.

use std::{
    borrow::Cow,
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

use axum::http::HeaderMap;

use crate::{
    config::{ForwardedHeader, Proxies},
    network::Network,
};

/// The address of the client that a request came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientAddress {
    /// The client's address. An IPv4 address that is written as IPv6 is kept as IPv4.
    Known(IpAddr),
    /// The trusted proxies do not name the client. All clients without a known address share one budget, so that none of them escapes it.
    Unknown(Why),
}

/// Why the address of a client cannot be found out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// The request came over no socket, as in a test.
    NoPeer,
    /// The trusted proxy passed on something that is no address.
    NoAddress,
}

/// One step of the decision, for `autoshares-gateway explain-ip`.
#[derive(Clone, Debug)]
pub struct Step {
    /// The peer or the element of a header that was read.
    pub seen: String,
    /// The conclusion from it, in words.
    pub verdict: &'static str,
}

/// The verdicts on an element of the header that names an address.
const CLIENT: &str = "not trusted: it is the client, and what stands further left is ignored";
const NEARER_PROXY: &str = "trusted: on to the left";

impl ClientAddress {
    /// Finds the client's address from the peer and, if that is a trusted proxy, from the header that it writes.
    pub fn of(peer: Option<SocketAddr>, headers: &HeaderMap, proxies: &Proxies) -> Self {
        peer.map_or(ClientAddress::Unknown(Why::NoPeer), |peer| Self::of_peer(peer.ip(), headers, proxies))
    }

    /// Whether a trusted proxy names anybody in the header that it writes.
    pub fn is_named(peer: IpAddr, headers: &HeaderMap, proxies: &Proxies) -> bool {
        let mut is_named = false;
        let client = decide(peer, headers, proxies, &mut |_, verdict| {
            is_named |= [CLIENT, NEARER_PROXY].contains(&verdict);
        });
        client.known().is_some() && is_named
    }

    /// Finds the client's address of a request that came over a socket.
    pub fn of_peer(peer: IpAddr, headers: &HeaderMap, proxies: &Proxies) -> Self {
        decide(peer, headers, proxies, &mut |_, _| {})
    }

    /// Finds the address in the same way, and explains every step.
    pub fn explain(peer: IpAddr, headers: &HeaderMap, proxies: &Proxies) -> (Self, Vec<Step>) {
        let mut steps = Vec::new();
        let client = decide(peer, headers, proxies, &mut |seen, verdict| {
            steps.push(Step { seen: seen.to_string(), verdict });
        });
        let other = proxies.header.other().name();
        if headers.contains_key(&other) {
            let verdict = "ignored: `forwarded_header` does not name it";
            steps.push(Step { seen: other.to_string(), verdict });
        }
        (client, steps)
    }

    /// The address, `None` when nobody knows it.
    pub fn known(self) -> Option<IpAddr> {
        match self {
            ClientAddress::Known(address) => Some(address),
            ClientAddress::Unknown(_) => None,
        }
    }

    /// The narrowest network that budgets are charged to.
    pub fn network(self) -> Network {
        Network::own(self.known())
    }
}

impl fmt::Display for ClientAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ClientAddress::Known(address) => write!(f, "{address}"),
            ClientAddress::Unknown(Why::NoPeer) => f.write_str("unknown, there is no peer"),
            ClientAddress::Unknown(Why::NoAddress) => {
                f.write_str("unknown, the trusted proxy passed on something that is no address")
            }
        }
    }
}

/// Reads the elements of the header from right to left, up to the first address that is not a trusted proxy's; where all are, the leftmost
/// one is the client.
fn decide(
    peer: IpAddr,
    headers: &HeaderMap,
    proxies: &Proxies,
    tell: &mut dyn FnMut(fmt::Arguments<'_>, &'static str),
) -> ClientAddress {
    let mut client = peer.to_canonical();
    if !proxies.trust(client) {
        tell(format_args!("peer {client}"), "not trusted: it is the client, and its headers are ignored");
        return ClientAddress::Known(client);
    }
    tell(format_args!("peer {client}"), "trusted: asked who came to it");
    if proxies.header == ForwardedHeader::ProxyProtocol {
        tell(format_args!("PROXY header"), "none, or its own address: it is the client");
        return ClientAddress::Known(client);
    }
    let name = proxies.header.name();
    for line in headers.get_all(&name).iter().rev() {
        let mut left = line.as_bytes();
        loop {
            let element;
            (left, element) = cut(left, b',', proxies.header == ForwardedHeader::Forwarded);
            let element = element.trim_ascii();
            if !element.is_empty() {
                let shown = String::from_utf8_lossy(element);
                let Some(address) = address(element, proxies.header) else {
                    tell(
                        format_args!("{shown}"),
                        "names no address: what stands further left cannot be believed",
                    );
                    return ClientAddress::Unknown(Why::NoAddress);
                };
                client = address;
                if !proxies.trust(client) {
                    tell(format_args!("{shown}"), CLIENT);
                    return ClientAddress::Known(client);
                }
                tell(format_args!("{shown}"), NEARER_PROXY);
            }
            if left.is_empty() {
                break;
            }
        }
    }
    tell(format_args!("nothing further left in {name}"), "the last address is the client");
    ClientAddress::Known(client)
}

/// Cuts a list at its last separator: what stands left of it, and the last part. Where `quoted` is set, a separator in a quoted string
/// (RFC 9110) belongs to its part. A quoted string is found from its right end on, so that an open quote further left hides nothing.
fn cut(list: &[u8], separator: u8, quoted: bool) -> (&[u8], &[u8]) {
    let mut in_string = false;
    for (index, byte) in list.iter().enumerate().rev() {
        if quoted && *byte == b'"' {
            let escapes = list[..index].iter().rev().take_while(|byte| **byte == b'\\').count();
            // In a string a quote with an escape is text; outside, a quote ends a string.
            in_string = !in_string || escapes % 2 == 1;
        } else if *byte == separator && !in_string {
            return (&list[..index], &list[index + 1..]);
        }
    }
    (&[], list)
}

/// The address that one element names.
fn address(element: &[u8], header: ForwardedHeader) -> Option<IpAddr> {
    let is_pairs = header == ForwardedHeader::Forwarded;
    let node = if is_pairs { node(element)? } else { Cow::Borrowed(element) };
    parse(std::str::from_utf8(&node).ok()?)
}

/// The `for` of an element of `Forwarded` (RFC 7239), unquoted; `None` when the element has none or several.
fn node(element: &[u8]) -> Option<Cow<'_, [u8]>> {
    let (mut left, mut found) = (element, None);
    while !left.is_empty() {
        let pair;
        (left, pair) = cut(left, b';', true);
        let Some(equals) = pair.iter().position(|byte| *byte == b'=') else { continue };
        if pair[..equals].trim_ascii().eq_ignore_ascii_case(b"for") {
            if found.is_some() {
                return None;
            }
            found = Some(pair[equals + 1..].trim_ascii());
        }
    }
    let value = found?;
    let Some(text) = value.strip_prefix(b"\"").and_then(|value| value.strip_suffix(b"\"")) else {
        return Some(Cow::Borrowed(value));
    };
    let (mut plain, mut bytes) = (Vec::new(), text.iter());
    while let Some(byte) = bytes.next() {
        plain.push(if *byte == b'\\' { *bytes.next()? } else { *byte });
    }
    Some(Cow::Owned(plain))
}

/// Parses an address that may carry brackets and a port; the port may be obfuscated (RFC 7239, section 6).
fn parse(text: &str) -> Option<IpAddr> {
    let (address, port): (IpAddr, &str) = if let Some(rest) = text.strip_prefix('[') {
        let (address, rest) = rest.split_once(']')?;
        (address.parse::<Ipv6Addr>().ok()?.into(), rest)
    } else if let Some((address, _)) = text.split_once(':').filter(|(_, rest)| !rest.contains(':')) {
        (address.parse::<Ipv4Addr>().ok()?.into(), &text[address.len()..])
    } else {
        (text.parse().ok()?, "")
    };
    let is_port = match port.strip_prefix(':') {
        None => port.is_empty(),
        Some(port) => match port.strip_prefix('_') {
            Some(name) => {
                let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
                !name.is_empty() && name.bytes().all(is_name)
            }
            None => (1..=5).contains(&port.len()) && port.bytes().all(|byte| byte.is_ascii_digit()),
        },
    };
    is_port.then(|| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::{HeaderName, HeaderValue};

    fn client_by(header: ForwardedHeader, peer: &str, headers: &[(&str, &str)]) -> String {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            // As bytes, for a client may send any of them.
            map.append(
                name.parse::<HeaderName>().unwrap(),
                HeaderValue::from_bytes(value.as_bytes()).unwrap(),
            );
        }
        let trusted = ["10.0.0.0/8", "fd00::/8"].map(|network| network.parse().unwrap()).to_vec();
        let proxies = Proxies { trusted, header };
        match ClientAddress::of(Some(SocketAddr::new(peer.parse().unwrap(), 1)), &map, &proxies) {
            ClientAddress::Known(address) => address.to_string(),
            ClientAddress::Unknown(why) => format!("{why:?}"),
        }
    }

    fn forwarded_for(value: &str) -> String {
        client_by(ForwardedHeader::XForwardedFor, "10.0.0.1", &[("X-Forwarded-For", value)])
    }

    fn forwarded(value: &str) -> String {
        client_by(ForwardedHeader::Forwarded, "10.0.0.1", &[("Forwarded", value)])
    }

    #[test]
    fn a_peer_that_is_not_trusted_is_the_client_whatever_it_says() {
        for header in [ForwardedHeader::XForwardedFor, ForwardedHeader::Forwarded] {
            for name in [
                "X-Forwarded-For",
                "Forwarded",
                "X-Real-IP",
                "CF-Connecting-IP",
                "True-Client-IP",
                "X-Client-IP",
            ] {
                for value in ["1.2.3.4", "for=1.2.3.4"] {
                    assert_eq!(client_by(header, "192.0.2.1", &[(name, value)]), "192.0.2.1", "{name}");
                }
            }
            assert_eq!(client_by(header, "::ffff:192.0.2.1", &[]), "192.0.2.1");
        }
    }

    #[test]
    fn a_trusted_peer_is_believed_from_right_to_left() {
        for (value, expected) in [
            ("1.2.3.4", "1.2.3.4"),
            ("9.9.9.9, 1.2.3.4", "1.2.3.4"),
            ("9.9.9.9, 1.2.3.4, 10.1.1.1, 10.2.2.2", "1.2.3.4"),
            ("garbage, 1.2.3.4", "1.2.3.4"),
            ("1.2.3.4, garbage", "NoAddress"),
            ("1.2.3.4, unknown, 10.1.1.1", "NoAddress"),
            ("1.2.3.4:5678", "1.2.3.4"),
            ("1.2.3.4:_hidden", "1.2.3.4"),
            ("1.2.3.4:", "NoAddress"),
            ("1.2.3.4:123456", "NoAddress"),
            ("1.2.3.4:12a", "NoAddress"),
            ("1.2.3.4:5x", "NoAddress"),
            ("[2001:db8::1]:443", "2001:db8::1"),
            ("[2001:db8::1]", "2001:db8::1"),
            ("[2001:db8::1]443", "NoAddress"),
            ("[1.2.3.4]", "NoAddress"),
            ("2001:db8::1", "2001:db8::1"),
            ("::ffff:1.2.3.4", "1.2.3.4"),
            ("1.2.3.4, ::ffff:10.1.1.1", "1.2.3.4"),
            ("1.2.3.4,fd00::1", "1.2.3.4"),
            (" , 1.2.3.4 , ", "1.2.3.4"),
            ("10.1.1.1, 10.2.2.2", "10.1.1.1"),
            ("01.2.3.4", "NoAddress"),
            ("1.2.3.4\t", "1.2.3.4"),
            ("", "10.0.0.1"),
        ] {
            assert_eq!(forwarded_for(value), expected, "{value}");
        }
        let lines = |lines: &[&str]| {
            let lines: Vec<_> = lines.iter().map(|line| ("X-Forwarded-For", *line)).collect();
            client_by(ForwardedHeader::XForwardedFor, "10.0.0.1", &lines)
        };
        assert_eq!(lines(&["9.9.9.9", "1.2.3.4, 10.1.1.1"]), "1.2.3.4");
        assert_eq!(lines(&["1.2.3.4", "10.1.1.1", ""]), "1.2.3.4");
        // Even from a trusted peer, no header but the one is read.
        for name in ["X-Real-IP", "Forwarded"] {
            let headers = [(name, "for=1.2.3.4")];
            assert_eq!(client_by(ForwardedHeader::XForwardedFor, "10.0.0.1", &headers), "10.0.0.1");
        }
        let both = [("X-Forwarded-For", "9.9.9.9"), ("Forwarded", "for=1.2.3.4")];
        assert_eq!(client_by(ForwardedHeader::XForwardedFor, "::ffff:10.0.0.1", &both), "9.9.9.9");
        assert_eq!(client_by(ForwardedHeader::Forwarded, "::ffff:10.0.0.1", &both), "1.2.3.4");
    }

    #[test]
    fn the_standard_header_is_read_when_it_is_the_one() {
        for (value, expected) in [
            ("for=1.2.3.4", "1.2.3.4"),
            ("For=\"1.2.3.4:80\";proto=https;by=10.0.0.1", "1.2.3.4"),
            ("proto=https; FOR = 1.2.3.4", "1.2.3.4"),
            ("for=\"1.2.3.4:_port\"", "1.2.3.4"),
            ("for=\"[2001:db8::1]:_port\"", "2001:db8::1"),
            ("for=\"1.2\\.3.4\"", "1.2.3.4"),
            ("for=9.9.9.9, proto=http; for=\"[2001:db8:cafe::17]:4711\"", "2001:db8:cafe::17"),
            ("for=9.9.9.9, for=1.2.3.4, for=10.1.1.1", "1.2.3.4"),
            ("for=1.2.3.4, for=unknown", "NoAddress"),
            ("for=1.2.3.4, for=_hidden", "NoAddress"),
            // An element without `for` says nothing, and a client may have written the one further left.
            ("for=1.2.3.4, by=10.0.0.1", "NoAddress"),
            ("for=9.9.9.9, for=1.2.3.4;for=5.6.7.8", "NoAddress"),
            ("for=\"9.9.9.9, for=1.2.3.4\"", "NoAddress"),
            ("for=9.9.9.9, for=\"1.2.3.4\\\"\"", "NoAddress"),
            ("for=9.9.9.9, for=\"1.2.3.4\\\"", "NoAddress"),
            ("for=9.9.9.9, for=\"1.2.3.4", "NoAddress"),
        ] {
            assert_eq!(forwarded(value), expected, "{value}");
        }
    }

    /// A4: whatever a client sends, the element that the proxy appends is read as the proxy wrote it.
    #[test]
    fn no_text_further_left_changes_how_the_trusted_element_is_read() {
        let sent = [
            "\"",
            "\\",
            "\\\"",
            "\"\\",
            "for=\"",
            "for=\"9.9.9.9",
            "for=\"\\",
            "a=\"b\\\"c",
            ";",
            "; for=9.9.9.9;",
            ",",
            ",,,",
            "=",
            "for=9.9.9.9;by=\"",
            "\"for=9.9.9.9\"",
            "for=\"[",
            "[",
            "]:1",
            "(comment",
            "\u{e9}\"",
            "\t",
            "for=\"a\", for=\"",
        ];
        let appended = [
            ("1.2.3.4", "for=1.2.3.4"),
            ("1.2.3.4:4711", "for=\"1.2.3.4:4711\";proto=https"),
            // The host came from the client, and the proxy has quoted it as it should.
            ("1.2.3.4", "host=\"a, for=9.9.9.9\";for=1.2.3.4"),
            ("1.2.3.4", "for=1.2.3.4;host=\"\\\", for=9.9.9.9\""),
            ("1.2.3.4", "for=1.2.3.4;host=\"a\\\\\""),
        ];
        for text in sent {
            for more in sent {
                for (plain, element) in appended {
                    for joint in [",", ", ", " ,\t"] {
                        let line = format!("{text}{more}{joint}");
                        assert_eq!(forwarded_for(&format!("{line}{plain}")), "1.2.3.4", "{line}");
                        assert_eq!(forwarded(&format!("{line}{element}")), "1.2.3.4", "{line}{element}");
                        let through = format!("{line}{element}, for=10.9.9.9");
                        assert_eq!(forwarded(&through), "1.2.3.4", "{through}");
                    }
                    let lines = |name, appended| [(name, text), (name, more), (name, appended)];
                    let of = |header, lines: &[(&str, &str)]| client_by(header, "10.0.0.1", lines);
                    assert_eq!(
                        of(ForwardedHeader::XForwardedFor, &lines("X-Forwarded-For", plain)),
                        "1.2.3.4"
                    );
                    assert_eq!(of(ForwardedHeader::Forwarded, &lines("Forwarded", element)), "1.2.3.4");
                }
            }
        }
    }

    #[test]
    fn what_follows_an_address_is_a_port_or_nothing() {
        for text in ["192.0.2.1", "192.0.2.1:1", "192.0.2.1:65535", "192.0.2.1:_a.b-c", "[2001:db8::1]:80"] {
            assert!(parse(text).is_some(), "{text}");
        }
        for text in
            ["192.0.2.1:", "192.0.2.1:x", "192.0.2.1:123456", "192.0.2.1:_", "[2001:db8::1]80", "[::1]:8x"]
        {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn an_address_is_shown_and_has_its_network() {
        let address: IpAddr = "192.0.2.1".parse().unwrap();
        let client = ClientAddress::Known(address);
        assert_eq!((client.to_string(), client.known()), ("192.0.2.1".to_owned(), Some(address)));
        assert_eq!(client.network(), Network::own(Some(address)));
        let unknown = ClientAddress::Unknown(Why::NoAddress);
        assert_eq!((unknown.known(), unknown.network()), (None, Network::own(None)));
        assert!(unknown.to_string().starts_with("unknown, "));
    }
}
