//! `connections.*`: how the gateway treats the connections of clients and of proxies in front of it.

use std::time::Duration;

use super::{
    reader::{Reader, duration},
    setting::settings,
};

/// How the gateway treats connections.
#[derive(Clone, Copy, Debug)]
pub struct Connections {
    /// How many connections there may be at once, as far as the descriptors of the process allow: each may need one more to Autoshares.
    pub max: u32,
    /// How many of them one network may have: an IPv4 address, or the /64 of an IPv6 address. Connections of trusted proxies are not counted.
    pub max_per_network: u32,
    /// How long a connection that has served a request may be silent. Longer than balancers keep idle connections, which is 60 seconds for most:
    /// if the gateway closed first, a balancer could send a request into the closing connection, and would not repeat it.
    pub idle: Duration,
}

settings! {
    MAX: "connections.max", "GATEWAY_CONNECTIONS_MAX",
        "a number from 1 to 100000", "4096",
        "connections at once; fewer where the process may not open twice as many descriptors (it raises its own soft limit as far as the hard one allows). When there is no room, the connection that has waited longest, for a request or for the rest of its head, gives way to a new one";
    MAX_PER_NETWORK: "connections.max_per_network", "GATEWAY_CONNECTIONS_MAX_PER_NETWORK",
        "a number from 1 to 100000", "100",
        "connections at once from one IPv4 address, or the /64 of an IPv6 address; a /24 may have six times as many, a /56 twice and a /48 four times. Trusted proxies are not counted. Raise it for a benchmark from one machine";
    IDLE: "connections.idle", "GATEWAY_CONNECTIONS_IDLE",
        "a duration from `1s` to `1h`, longer than the proxy in front keeps idle connections, such as `75s`", "75s",
        "how long a connection that has served a request may be silent, from `1s` to `1h` (one that has served none: 15 seconds after TLS and PROXY header, fixed). Longer than the proxy in front keeps idle connections, or the proxy replies 502 when it sends a request into one that the gateway is just closing: see [proxies](proxies.md). One client can hold connections for as long, so not longer than needed";
}

pub(super) fn read(reader: &mut Reader<'_>) -> Option<Connections> {
    let max = reader.number(MAX, 100_000);
    let max_per_network = reader.number(MAX_PER_NETWORK, 100_000);
    let idle = reader.value(IDLE, |text| duration(text, Duration::from_secs(1)..=Duration::from_secs(3600)));
    Some(Connections { max: max?, max_per_network: max_per_network?, idle: idle? })
}
