//! `connections.*`: how the gateway treats the connections of clients and of proxies in front of it.

use std::time::Duration;

use super::{
    reader::{Reader, duration},
    setting::settings,
};

/// How the gateway treats connections.
#[derive(Clone, Copy, Debug)]
pub struct Connections {
    /// How long a connection that has served a request may be silent. Longer than balancers keep idle connections, which is 60 seconds for most:
    /// if the gateway closed first, a balancer could send a request into the closing connection, and would not repeat it.
    pub idle: Duration,
}

settings! {
    IDLE: "connections.idle", "GATEWAY_CONNECTIONS_IDLE",
        "a duration from `1s` to `1h`, longer than the proxy in front keeps idle connections, such as `75s`", "75s",
        "how long a connection that has served a request may be silent, from `1s` to `1h` (one that has served none: 15 seconds, fixed). Longer than the proxy in front keeps idle connections, or requests that come at the edge become 502 there: see [proxies](proxies.md). One client can hold connections for as long, so not longer than needed";
}

pub(super) fn read(reader: &mut Reader<'_>) -> Option<Connections> {
    let idle = reader.value(IDLE, |text| duration(text, Duration::from_secs(1)..=Duration::from_secs(3600)));
    Some(Connections { idle: idle? })
}
