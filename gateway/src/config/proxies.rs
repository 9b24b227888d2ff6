//! `trusted_proxies`: the proxies that may say from which address a client came.

use std::net::IpAddr;

use ipnet::IpNet;

use super::{
    origins::{PUBLIC_ORIGIN, public_origin},
    reader::Reader,
    setting::settings,
};

settings! {
    TRUSTED_PROXIES: "trusted_proxies", "GATEWAY_TRUSTED_PROXIES",
        "networks, separated by commas, such as `10.0.0.0/8, 127.0.0.1/32`; not the whole internet", "none";
}

/// Empty unless set: whoever connects could otherwise name any address as the client's and take its budget.
pub(super) fn read(reader: &mut Reader<'_>) -> Vec<IpNet> {
    let networks = reader.parse(TRUSTED_PROXIES, networks).unwrap_or_default();
    let https = reader.peek(PUBLIC_ORIGIN, public_origin).is_some_and(|origin| origin.https);
    if https && networks.is_empty() {
        // A proxy speaks https to the browsers, so that proxy is the peer of every connection.
        reader.warn(
            TRUSTED_PROXIES,
            format_args!(
                "is not set, and `{}` is https: all clients of whoever speaks it share one budget",
                PUBLIC_ORIGIN.key
            ),
        );
    }
    networks
}

/// Networks, or single addresses. Trusting the whole internet would let every client write its own address.
fn networks(text: &str) -> Result<Vec<IpNet>, ()> {
    let network = |text: &str| {
        let text = text.trim();
        let network =
            text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from)).map_err(|_| ())?;
        if network.prefix_len() == 0 { Err(()) } else { Ok(network.trunc()) }
    };
    text.split(',').map(network).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_are_read_with_and_without_a_length_and_never_all_of_them() {
        let read =
            |text: &str| networks(text).map(|all| all.iter().map(ToString::to_string).collect::<Vec<_>>());
        assert_eq!(read("10.1.2.3/8, 127.0.0.1,::1").unwrap(), ["10.0.0.0/8", "127.0.0.1/32", "::1/128"]);
        for bad in ["", "here", "10.0.0.0/33", "0.0.0.0/0", "::/0", "10.0.0.0/8,"] {
            assert_eq!(read(bad), Err(()), "{bad}");
        }
    }
}
