//! The networks of a client. Budgets are kept for each of them, because whoever has one address commonly has a whole network of them: the
//! customer of a host gets the /64 of an IPv6 address and often its /48, and addresses of one IPv4 /24 are rented together.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use autoshares_counting::Id;

use crate::flow::{KeyRing, Named};

/// A network, or the one that stands for all clients whose address nobody knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Network(Option<(IpAddr, u8)>);

impl Network {
    /// The network of an address, with a prefix of so many bits.
    fn around(address: IpAddr, bits: u8) -> Self {
        let address = match address {
            IpAddr::V4(address) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(bits)).unwrap_or(0);
                IpAddr::from(Ipv4Addr::from(u32::from(address) & mask))
            }
            IpAddr::V6(address) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(bits)).unwrap_or(0);
                IpAddr::from(Ipv6Addr::from(u128::from(address) & mask))
            }
        };
        Self(Some((address, bits)))
    }

    /// The narrowest network that is counted: an IPv4 address, the /64 of an IPv6 address, or the one network of all unknown addresses.
    pub fn own(address: Option<IpAddr>) -> Self {
        let bits = |address: &IpAddr| if address.is_ipv4() { 32 } else { 64 };
        address.map_or(Self(None), |address| Self::around(address, bits(&address)))
    }

    /// The networks of an address that one host commonly has all of, the narrowest first, and how many times as much as the narrowest each may
    /// have.
    pub fn of_a_host(address: IpAddr) -> Vec<(Self, u32)> {
        let wider = Width::of(address).iter().filter(|width| width.is_of_a_host());
        let wider = wider.filter_map(|width| Some((Self::around(address, width.bits()), width.times()?)));
        std::iter::once((Self::own(Some(address)), 1)).chain(wider).collect()
    }

    /// The bytes that stand for it in a hash.
    fn bytes(self) -> Vec<u8> {
        match self.0 {
            None => Vec::new(),
            Some((IpAddr::V4(address), 32)) => address.octets().to_vec(),
            Some((IpAddr::V6(address), 64)) => address.octets().to_vec(),
            Some((IpAddr::V4(address), bits)) => [&address.octets()[..], &[bits]].concat(),
            Some((IpAddr::V6(address), bits)) => [&address.octets()[..], &[bits]].concat(),
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some((address, bits)) => write!(f, "{address}/{bits}"),
            None => f.write_str("the one network of all unknown addresses"),
        }
    }
}

/// How wide a network is that contains the narrowest one of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Width {
    /// An IPv4 /24.
    V4Slash24,
    /// An IPv4 /16.
    V4Slash16,
    /// An IPv6 /56.
    V6Slash56,
    /// An IPv6 /48.
    V6Slash48,
    /// An IPv6 /32.
    V6Slash32,
}

use Width::{V4Slash16, V4Slash24, V6Slash32, V6Slash48, V6Slash56};

impl Width {
    /// Every width.
    pub const ALL: [Self; 5] = [V4Slash24, V4Slash16, V6Slash56, V6Slash48, V6Slash32];

    fn bits(self) -> u8 {
        match self {
            V4Slash24 => 24,
            V4Slash16 => 16,
            V6Slash56 => 56,
            V6Slash48 => 48,
            V6Slash32 => 32,
        }
    }

    /// How many times as much as its narrowest networks it may do, where that is bounded. An office or a carrier has more traders than a home; a host
    /// that has all of a network has no more of them.
    pub fn times(self) -> Option<u32> {
        match self {
            V4Slash24 => Some(6),
            V4Slash16 => None,
            V6Slash56 => Some(2),
            V6Slash48 => Some(4),
            V6Slash32 => Some(12),
        }
    }

    /// Whether one host commonly has all of such a network, or of a wider one.
    fn is_of_a_host(self) -> bool {
        matches!(self, V4Slash24 | V6Slash56 | V6Slash48)
    }

    /// The widths for an address, the narrowest first.
    fn of(address: IpAddr) -> &'static [Width] {
        match address {
            IpAddr::V4(_) => &[V4Slash24, V4Slash16],
            IpAddr::V6(_) => &[V6Slash56, V6Slash48, V6Slash32],
        }
    }
}

/// The pseudonyms of a client's networks, from the narrowest to the widest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Networks {
    /// The narrowest one, which also stands for the client in the audit trail.
    pub own: Id,
    /// Those that contain it. Empty for an unknown address.
    pub wider: Vec<(Width, Id)>,
}

impl Networks {
    /// The networks of an address; `None` for an address that nobody knows.
    pub fn of(address: Option<IpAddr>, ring: &KeyRing) -> Self {
        let pseudonym = |network: Network| ring.pseudonym(Named::Address, &network.bytes());
        let wider = address.into_iter().flat_map(|address| {
            let widths = Width::of(address).iter();
            widths.map(move |width| (*width, pseudonym(Network::around(address, width.bits()))))
        });
        Self { own: pseudonym(Network::own(address)), wider: wider.collect() }
    }

    /// The network that one host commonly has all of: an IPv4 /24 or an IPv6 /48.
    pub fn site(&self) -> Id {
        self.wider
            .iter()
            .find(|(width, _)| matches!(width, V4Slash24 | V6Slash48))
            .map_or(self.own, |(_, id)| *id)
    }

    /// The network of one provider: an IPv4 /16 or an IPv6 /32.
    pub fn block(&self) -> Id {
        self.wider.last().map_or(self.own, |(_, id)| *id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::Secrets;

    #[test]
    fn addresses_share_the_networks_that_contain_both() {
        let ring = KeyRing::new(&Secrets::random(), "");
        let networks = |text: &str| Networks::of(Some(text.parse().unwrap()), &ring);
        // How many of the networks two addresses share, from the widest on.
        let shared = |one: &str, other: &str| {
            let all = |networks: Networks| {
                let own = std::iter::once(networks.own);
                own.chain(networks.wider.into_iter().map(|(_, id)| id)).collect::<Vec<_>>()
            };
            let (one, other) = (all(networks(one)), all(networks(other)));
            one.iter().zip(&other).filter(|(one, other)| one == other).count()
        };
        for (one, other, expected) in [
            ("192.0.2.1", "192.0.2.1", 3),
            ("192.0.2.1", "192.0.2.200", 2),
            ("192.0.2.1", "192.0.3.1", 1),
            ("192.0.2.1", "192.1.2.1", 0),
            ("2001:db8::1", "2001:db8::ffff:1:2:3", 4),
            ("2001:db8::1", "2001:db8:0:ff::1", 3),
            ("2001:db8::1", "2001:db8:0:100::1", 2),
            ("2001:db8::1", "2001:db8:1::1", 1),
            ("2001:db8::1", "2001:db9::1", 0),
        ] {
            assert_eq!(shared(one, other), expected, "{one} and {other}");
        }
        assert_eq!(networks("192.0.2.1").site(), networks("192.0.2.99").site());
        assert_ne!(networks("192.0.2.1").site(), networks("192.0.3.1").site());
        assert_eq!(networks("192.0.2.1").block(), networks("192.0.77.1").block());
        assert_eq!(networks("2001:db8::1").site(), networks("2001:db8:0:ffff::").site());
        assert_eq!(networks("2001:db8::1").block(), networks("2001:db8:ffff::").block());
        let unknown = Networks::of(None, &ring);
        assert_eq!((unknown.site(), unknown.block(), unknown.wider.len()), (unknown.own, unknown.own, 0));
    }

    #[test]
    fn a_network_is_written_with_its_prefix() {
        let own = |text: &str| Network::own(Some(text.parse().unwrap())).to_string();
        assert_eq!((&*own("2001:db8::1"), &*own("192.0.2.1")), ("2001:db8::/64", "192.0.2.1/32"));
        assert!(Network::own(None).to_string().contains("unknown"));
    }
}
