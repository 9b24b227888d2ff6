//! Whether an address in a setting leads to this machine, where plain text cannot be read on its way.

use std::net::IpAddr;

use url::{Host, Url};

pub(super) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.to_canonical().is_loopback(),
        // The parser leaves addresses as text when it does not know the scheme, such as `redis`.
        Some(Host::Domain(name)) => {
            name.trim_end_matches('.') == "localhost"
                || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
        }
        None => false,
    }
}

/// Whether a page comes from this machine. Browsers resolve every name below `localhost` to it.
pub fn is_loopback_origin(url: &Url) -> bool {
    is_loopback(url) || url.host_str().is_some_and(|host| host.trim_end_matches('.').ends_with(".localhost"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_known_under_every_scheme() {
        let loopback = |text: &str| is_loopback(&text.parse().unwrap());
        for good in ["http://localhost", "http://[::1]:1", "redis://127.0.0.2:6379/0", "rediss://localhost"] {
            assert!(loopback(good), "{good}");
        }
        for bad in ["http://localhost.example", "redis://10.0.0.1", "redis://redis.example", "data:text"] {
            assert!(!loopback(bad), "{bad}");
        }
    }
}
