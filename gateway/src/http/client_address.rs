//! Finds the address of the client. A peer that is no trusted proxy is the client itself, whatever its headers say. A trusted proxy
//! appends the address that it saw to a header, so the header is read from right to left, up to the first address that is not a trusted
//! proxy's; anybody may have written the text further left.
//!
//! Written by hand, for the crates that extract addresses take the leftmost one, or know a fixed number of proxies.

use std::{
    fmt,
    net::{IpAddr, Ipv6Addr, SocketAddr},
};

use axum::http::{HeaderMap, HeaderName, header};
use ipnet::IpNet;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

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
    /// `X-Forwarded-For` and `Forwarded` name different addresses, and only the proxy knows which one it wrote.
    Contradiction,
}

/// One step of the decision, for `autoshares-gateway explain-ip`.
#[derive(Clone, Debug)]
pub struct Step {
    /// The peer or the element of a header that was read.
    pub seen: String,
    /// The conclusion from it, in words.
    pub verdict: &'static str,
}

impl ClientAddress {
    /// Finds the client's address from the peer and, if that is a trusted proxy, from the headers.
    pub fn of(peer: Option<SocketAddr>, headers: &HeaderMap, trusted: &[IpNet]) -> Self {
        let Some(peer) = peer else { return ClientAddress::Unknown(Why::NoPeer) };
        decide(peer.ip(), headers, trusted, &mut |_, _| {})
    }

    /// Finds the address in the same way, and explains every step.
    pub fn explain(peer: IpAddr, headers: &HeaderMap, trusted: &[IpNet]) -> (Self, Vec<Step>) {
        let mut steps = Vec::new();
        let client = decide(peer, headers, trusted, &mut |seen, verdict| {
            steps.push(Step { seen: seen.to_string(), verdict });
        });
        (client, steps)
    }

    /// The network that budgets are charged to: an IPv4 address, the /64 of an IPv6 address (one customer commonly has all of it), or one
    /// network for all unknown addresses.
    pub fn network(self) -> Network {
        match self {
            ClientAddress::Known(IpAddr::V4(address)) => Network(Some(address.into())),
            ClientAddress::Known(IpAddr::V6(address)) => {
                let network = u128::from(address) & !u128::from(u64::MAX);
                Network(Some(Ipv6Addr::from(network).into()))
            }
            ClientAddress::Unknown(_) => Network(None),
        }
    }
}

impl fmt::Display for ClientAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ClientAddress::Known(address) => write!(f, "{address}"),
            ClientAddress::Unknown(why) => write!(
                f,
                "unknown, {}",
                match why {
                    Why::NoPeer => "there is no peer",
                    Why::NoAddress => "the trusted proxy passed on something that is no address",
                    Why::Contradiction => "`X-Forwarded-For` and `Forwarded` contradict each other",
                }
            ),
        }
    }
}

/// The network that budgets are charged to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network(Option<IpAddr>);

impl Network {
    /// The bytes to hash: four, sixteen, or none for the unknown.
    pub fn bytes(self) -> Vec<u8> {
        match self.0 {
            Some(IpAddr::V4(address)) => address.octets().to_vec(),
            Some(IpAddr::V6(address)) => address.octets().to_vec(),
            None => Vec::new(),
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(IpAddr::V4(address)) => write!(f, "{address}/32"),
            Some(IpAddr::V6(address)) => write!(f, "{address}/64"),
            None => f.write_str("the one bucket of all unknown addresses"),
        }
    }
}

fn decide(
    peer: IpAddr,
    headers: &HeaderMap,
    trusted: &[IpNet],
    tell: &mut dyn FnMut(fmt::Arguments<'_>, &'static str),
) -> ClientAddress {
    let peer = peer.to_canonical();
    if !is_trusted(peer, trusted) {
        tell(format_args!("peer {peer}"), "not trusted: it is the client, and its headers are ignored");
        return ClientAddress::Known(peer);
    }
    tell(format_args!("peer {peer}"), "trusted: asked who came to it");
    let forwarded_for = walk(&elements(headers, &X_FORWARDED_FOR, ','), str::to_owned, trusted, tell);
    let forwarded = walk(&elements(headers, &header::FORWARDED, ','), node, trusted, tell);
    match (forwarded_for, forwarded) {
        (None, None) => {
            tell(format_args!("no header that says more"), "the peer itself is the client");
            ClientAddress::Known(peer)
        }
        (Some(one), None) | (None, Some(one)) => one,
        (Some(one), Some(other)) if one == other => one,
        (Some(_), Some(_)) => {
            tell(
                format_args!("both headers"),
                "they contradict each other, and the client may have sent one of them",
            );
            ClientAddress::Unknown(Why::Contradiction)
        }
    }
}

/// Reads a header's elements from right to left, up to the first address that is not a trusted proxy's; where all are, the leftmost one is
/// the client. `None` when the header has no element.
fn walk(
    elements: &[String],
    address: fn(&str) -> String,
    trusted: &[IpNet],
    tell: &mut dyn FnMut(fmt::Arguments<'_>, &'static str),
) -> Option<ClientAddress> {
    let mut client = None;
    for element in elements.iter().rev() {
        let Some(address) = parse(&address(element)) else {
            tell(format_args!("{element}"), "no address: what stands further left cannot be believed");
            return Some(ClientAddress::Unknown(Why::NoAddress));
        };
        client = Some(ClientAddress::Known(address));
        if !is_trusted(address, trusted) {
            tell(
                format_args!("{element}"),
                "not trusted: it is the client, and what stands further left is ignored",
            );
            break;
        }
        tell(format_args!("{element}"), "trusted: on to the left");
    }
    client
}

/// The elements of a header, over all of its lines in their order. Empty elements are left out, and a separator inside quotes belongs to
/// its element.
fn elements(headers: &HeaderMap, name: &HeaderName, separator: char) -> Vec<String> {
    let lines = headers.get_all(name).iter();
    lines.flat_map(|line| split(&String::from_utf8_lossy(line.as_bytes()), separator)).collect()
}

fn split(text: &str, separator: char) -> Vec<String> {
    let (mut parts, mut part) = (Vec::new(), String::new());
    let (mut quoted, mut escaped) = (false, false);
    for character in text.chars() {
        if character == separator && !quoted {
            parts.push(std::mem::take(&mut part));
            continue;
        }
        quoted ^= character == '"' && !escaped;
        escaped = character == '\\' && quoted && !escaped;
        part.push(character);
    }
    parts.push(part);
    parts.into_iter().map(|part| part.trim().to_owned()).filter(|part| !part.is_empty()).collect()
}

/// The `for` of an element of `Forwarded` (RFC 7239), without its quotes; empty when the element has none or several.
fn node(element: &str) -> String {
    let pairs = split(element, ';');
    let mut nodes = pairs.iter().filter_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        name.trim().eq_ignore_ascii_case("for").then(|| value.trim())
    });
    let node = nodes.next().filter(|_| nodes.next().is_none()).unwrap_or_default();
    let quoted = node.strip_prefix('"').and_then(|node| node.strip_suffix('"'));
    quoted.unwrap_or(node).replace('\\', "")
}

/// Parses an address that may carry a port and brackets.
fn parse(text: &str) -> Option<IpAddr> {
    let bare = || text.parse::<IpAddr>();
    let with_port = || text.parse::<SocketAddr>().map(|address| address.ip());
    let bracketed = || text.strip_prefix('[')?.strip_suffix(']')?.parse::<Ipv6Addr>().ok().map(IpAddr::V6);
    let address = bare().or_else(|_| with_port()).ok().or_else(bracketed)?;
    Some(address.to_canonical())
}

fn is_trusted(address: IpAddr, trusted: &[IpNet]) -> bool {
    trusted.iter().any(|network| network.contains(&address))
}

/// Whether a request looks as if it came through a proxy that is not in `trusted_proxies`. All clients of such a proxy share one budget.
pub fn hints_at_proxy(peer: IpAddr, headers: &HeaderMap) -> bool {
    let told = headers.contains_key(X_FORWARDED_FOR) || headers.contains_key(header::FORWARDED);
    match peer.to_canonical() {
        IpAddr::V4(peer) => peer.is_private() || peer.is_loopback() && told,
        IpAddr::V6(peer) => peer.is_unique_local() || peer.is_loopback() && told,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(peer: &str, headers: &[(&str, &str)]) -> String {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
        }
        let trusted: Vec<IpNet> = ["10.0.0.0/8", "fd00::/8"].map(|network| network.parse().unwrap()).to_vec();
        match ClientAddress::of(Some(SocketAddr::new(peer.parse().unwrap(), 1)), &map, &trusted) {
            ClientAddress::Known(address) => address.to_string(),
            ClientAddress::Unknown(why) => format!("{why:?}"),
        }
    }

    #[test]
    fn a_peer_that_is_not_trusted_is_the_client_whatever_it_says() {
        for name in
            ["X-Forwarded-For", "Forwarded", "X-Real-IP", "CF-Connecting-IP", "True-Client-IP", "X-Client-IP"]
        {
            for value in ["1.2.3.4", "for=1.2.3.4"] {
                assert_eq!(client("192.0.2.1", &[(name, value)]), "192.0.2.1", "{name}");
            }
        }
        assert_eq!(client("::ffff:192.0.2.1", &[]), "192.0.2.1");
    }

    #[test]
    fn a_trusted_peer_is_believed_from_right_to_left() {
        let forwarded_for = |value: &str| client("10.0.0.1", &[("X-Forwarded-For", value)]);
        for (value, expected) in [
            ("1.2.3.4", "1.2.3.4"),
            ("9.9.9.9, 1.2.3.4", "1.2.3.4"),
            ("9.9.9.9, 1.2.3.4, 10.1.1.1, 10.2.2.2", "1.2.3.4"),
            ("garbage, 1.2.3.4", "1.2.3.4"),
            ("1.2.3.4, garbage", "NoAddress"),
            ("1.2.3.4, unknown, 10.1.1.1", "NoAddress"),
            ("1.2.3.4:5678", "1.2.3.4"),
            ("[2001:db8::1]:443", "2001:db8::1"),
            ("[2001:db8::1]", "2001:db8::1"),
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
        let twice = [("X-Forwarded-For", "9.9.9.9"), ("X-Forwarded-For", "1.2.3.4, 10.1.1.1")];
        assert_eq!(client("10.0.0.1", &twice), "1.2.3.4");
        assert_eq!(client("::ffff:10.0.0.1", &[("X-Forwarded-For", "1.2.3.4")]), "1.2.3.4");
        // Even from a trusted peer, no headers but these two are read.
        assert_eq!(client("10.0.0.1", &[("X-Real-IP", "1.2.3.4")]), "10.0.0.1");
    }

    #[test]
    fn the_standard_header_is_read_too() {
        let forwarded = |value: &str| client("10.0.0.1", &[("Forwarded", value)]);
        for (value, expected) in [
            ("for=1.2.3.4", "1.2.3.4"),
            ("For=\"1.2.3.4:80\";proto=https;by=10.0.0.1", "1.2.3.4"),
            ("for=9.9.9.9, proto=http; for=\"[2001:db8:cafe::17]:4711\"", "2001:db8:cafe::17"),
            ("for=9.9.9.9, for=1.2.3.4, for=10.1.1.1", "1.2.3.4"),
            ("for=1.2.3.4, for=unknown", "NoAddress"),
            ("for=1.2.3.4, for=_hidden", "NoAddress"),
            ("for=1.2.3.4, by=10.0.0.1", "NoAddress"),
            ("for=9.9.9.9, for=1.2.3.4;for=5.6.7.8", "NoAddress"),
            ("for=\"9.9.9.9, for=1.2.3.4\"", "NoAddress"),
            ("for=9.9.9.9, for=\"1.2.3.4\\\"\"", "NoAddress"),
        ] {
            assert_eq!(forwarded(value), expected, "{value}");
        }
    }

    #[test]
    fn two_headers_are_believed_when_they_agree() {
        let both =
            |one: &str, other: &str| client("10.0.0.1", &[("X-Forwarded-For", one), ("Forwarded", other)]);
        assert_eq!(both("1.2.3.4", "for=1.2.3.4"), "1.2.3.4");
        assert_eq!(both("1.2.3.4", "for=9.9.9.9"), "Contradiction");
        assert_eq!(both("9.9.9.9", "for=1.2.3.4"), "Contradiction");
    }

    #[test]
    fn a_network_is_what_one_person_is_given() {
        let network = |text: &str| ClientAddress::Known(text.parse().unwrap()).network();
        assert_eq!(network("2001:db8::1"), network("2001:db8::ffff:1:2"));
        assert_ne!(network("2001:db8::1"), network("2001:db8:0:1::1"));
        assert_ne!(network("192.0.2.1"), network("192.0.2.2"));
        assert_eq!(
            ClientAddress::Unknown(Why::NoAddress).network(),
            ClientAddress::Unknown(Why::NoPeer).network()
        );
        assert_eq!(network("2001:db8::1").to_string(), "2001:db8::/64");
    }

    #[test]
    fn a_proxy_that_nobody_told_about_is_noticed() {
        let mut headers = HeaderMap::new();
        assert!(hints_at_proxy("10.0.0.1".parse().unwrap(), &headers));
        assert!(!hints_at_proxy("127.0.0.1".parse().unwrap(), &headers));
        assert!(!hints_at_proxy("192.0.2.1".parse().unwrap(), &headers));
        headers.insert(X_FORWARDED_FOR, "1.2.3.4".parse().unwrap());
        assert!(hints_at_proxy("::1".parse().unwrap(), &headers));
        assert!(!hints_at_proxy("192.0.2.1".parse().unwrap(), &headers));
    }
}
