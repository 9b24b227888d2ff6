//! `trusted_proxies` and `forwarded_header`: the proxies that may say from which address a client came, and where they say it.

use std::net::{IpAddr, Ipv4Addr};

use axum::http::{HeaderName, header};
use ipnet::{IpNet, Ipv4Net};

use super::{
    origins::{PUBLIC_ORIGIN, public_origin},
    reader::Reader,
    setting::settings,
    tls::CERTIFICATE_FILE,
};

/// The proxies in front of the gateway.
#[derive(Clone, Debug, Default)]
pub struct Proxies {
    /// Their networks.
    pub trusted: Vec<IpNet>,
    /// The header in which they say from which address a client came.
    pub header: ForwardedHeader,
}

impl Proxies {
    /// Whether an address is a trusted proxy's, however it is written.
    pub fn trust(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.trusted.iter().any(|network| network.contains(&address))
    }
}

/// The header that trusted proxies write. The gateway reads one header and ignores the other one, which then comes from the client: two
/// headers can contradict each other, and nobody could tell which of them the proxy wrote.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ForwardedHeader {
    /// `X-Forwarded-For`
    #[default]
    XForwardedFor,
    /// `Forwarded` (RFC 7239)
    Forwarded,
    /// No header of HTTP: the proxy does not read it, and begins each connection with a PROXY header.
    ProxyProtocol,
}

impl ForwardedHeader {
    /// The name of the header; for a PROXY header a name that none of HTTP has.
    pub fn name(self) -> HeaderName {
        match self {
            ForwardedHeader::XForwardedFor => HeaderName::from_static("x-forwarded-for"),
            ForwardedHeader::Forwarded => header::FORWARDED,
            ForwardedHeader::ProxyProtocol => HeaderName::from_static("proxy-protocol"),
        }
    }

    /// The header that is ignored.
    pub fn other(self) -> Self {
        match self {
            ForwardedHeader::XForwardedFor => ForwardedHeader::Forwarded,
            ForwardedHeader::Forwarded | ForwardedHeader::ProxyProtocol => ForwardedHeader::XForwardedFor,
        }
    }
}

settings! {
    TRUSTED_PROXIES: "trusted_proxies", "GATEWAY_TRUSTED_PROXIES",
        "networks, separated by commas, such as `10.0.0.0/8, 127.0.0.1/32`; none larger than a /8, or a /7 of IPv6", "none",
        "networks of proxies that are believed when they say from which address a client came, such as `10.0.0.0/8`, each no larger than that (a /7 of IPv6); anybody else could name a stranger's address as its own", list;
    FORWARDED_HEADER: "forwarded_header", "GATEWAY_FORWARDED_HEADER",
        "`x-forwarded-for`, `forwarded` or `proxy-protocol`: the one header that the trusted proxies write", "x-forwarded-for",
        "the one header in which the trusted proxies name the client, or `forwarded` (RFC 7239). The other one is ignored, for a client may have sent it. `proxy-protocol` is for proxies that do not read HTTP: they begin each connection with a PROXY header (version 1 or 2), and all of `trusted_proxies` must";
}

/// No proxy is trusted unless set: whoever connects could otherwise name any address as the client's and take its budget.
pub(super) fn read(reader: &mut Reader<'_>) -> Option<Proxies> {
    let trusted = reader.parse(TRUSTED_PROXIES, networks).unwrap_or_default();
    let header = reader.value(FORWARDED_HEADER, forwarded_header);
    let https = reader.peek(PUBLIC_ORIGIN, public_origin).is_some_and(|origin| origin.https);
    let speaks_https = reader.get(CERTIFICATE_FILE).is_some();
    if https && trusted.is_empty() && !speaks_https {
        // A proxy speaks https to the browsers, so that proxy is the peer of every connection.
        reader.warn(
            TRUSTED_PROXIES,
            format_args!(
                "is not set, and `{}` is https: all clients of whoever speaks it share one budget",
                PUBLIC_ORIGIN.key
            ),
        );
    }
    Some(Proxies { trusted, header: header? })
}

fn forwarded_header(text: &str) -> Result<ForwardedHeader, ()> {
    let headers =
        [ForwardedHeader::XForwardedFor, ForwardedHeader::Forwarded, ForwardedHeader::ProxyProtocol];
    headers.into_iter().find(|header| text.trim().eq_ignore_ascii_case(header.name().as_str())).ok_or(())
}

/// Networks, or single addresses. Trusting the whole internet would let every client write its own address.
fn networks(text: &str) -> Result<Vec<IpNet>, ()> {
    let network = |text: &str| {
        let text = text.trim();
        let network =
            text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from)).map_err(|_| ())?;
        let network = canonical(network.trunc());
        // Also one that holds all of IPv4, mapped, which would never match.
        let holds_ipv4 = network.contains(&IpAddr::from(Ipv4Addr::UNSPECIFIED.to_ipv6_mapped()));
        // A few of these would be all of it.
        let is_vast = network.prefix_len() < if network.addr().is_ipv4() { 8 } else { 7 };
        if is_vast || holds_ipv4 { Err(()) } else { Ok(network) }
    };
    text.split(',').map(network).collect()
}

/// An IPv6 network of mapped IPv4 addresses, such as `::ffff:10.0.0.0/104`, as the IPv4 network that it is: the gateway compares IPv4
/// addresses as such, however they came.
fn canonical(network: IpNet) -> IpNet {
    let IpNet::V6(mapped) = network else { return network };
    let address = mapped.network().to_ipv4_mapped();
    let length = mapped.prefix_len().checked_sub(96);
    match address.zip(length).and_then(|(address, length)| Ipv4Net::new(address, length).ok()) {
        Some(network) => network.into(),
        None => network,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_are_read_with_and_without_a_length_and_never_all_of_them() {
        let read =
            |text: &str| networks(text).map(|all| all.iter().map(ToString::to_string).collect::<Vec<_>>());
        assert_eq!(read("10.1.2.3/8, 127.0.0.1,::1").unwrap(), ["10.0.0.0/8", "127.0.0.1/32", "::1/128"]);
        assert_eq!(
            read("::ffff:10.1.0.0/104, ::ffff:192.0.2.1").unwrap(),
            ["10.0.0.0/8", "192.0.2.1/32"],
            "mapped"
        );
        for bad in [
            "",
            "here",
            "10.0.0.0/33",
            "0.0.0.0/0",
            "0.0.0.0/1",
            "2000::/3",
            "::/0",
            "::ffff:0:0/96",
            "::ffff:10.0.0.0/95",
            "10.0.0.0/8,",
        ] {
            assert_eq!(read(bad), Err(()), "{bad}");
        }
    }

    #[test]
    fn one_header_is_named_and_no_other() {
        assert_eq!(forwarded_header("X-Forwarded-For"), Ok(ForwardedHeader::XForwardedFor));
        assert_eq!(forwarded_header("forwarded"), Ok(ForwardedHeader::Forwarded));
        for bad in ["", "x-real-ip", "x-forwarded-for, forwarded"] {
            assert_eq!(forwarded_header(bad), Err(()), "{bad}");
        }
    }
}
