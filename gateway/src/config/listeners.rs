//! `listen` and `admin_listen`: the sockets.

use std::{net::SocketAddr, str::FromStr, time::Duration};

use super::{
    reader::{Reader, duration},
    setting::settings,
};

/// Both defaults are loopback addresses, so that the gateway serves no other machine until an operator decides so.
#[derive(Clone, Copy, Debug)]
pub struct Listeners {
    /// Clients connect here.
    pub listen: SocketAddr,
    /// Operators and their probes connect here. Metrics reveal which guesses were forwarded, so clients must not reach it.
    pub admin_listen: SocketAddr,
    /// How long the gateway goes on serving after SIGTERM, while `/readyz` already says that it drains.
    pub stop_delay: Duration,
}

settings! {
    LISTEN: "listen", "GATEWAY_LISTEN",
        "an address and port, such as `127.0.0.1:8080`", "127.0.0.1:8080",
        "loopback, so that nobody else is served before you decide so";
    ADMIN_LISTEN: "admin_listen", "GATEWAY_ADMIN_LISTEN",
        "an address and port, such as `127.0.0.1:9090`", "127.0.0.1:9090",
        "keep it where only operators reach it, for metrics reveal which guesses were forwarded";
    STOP_DELAY: "stop_delay", "GATEWAY_STOP_DELAY", "a duration up to `5m`, such as `5s`", "5s",
        "how long the gateway goes on serving after SIGTERM, while `/readyz` already says `draining`, so that a load balancer that looks there has time to send no more; as long as the balancer takes to notice";
}

pub(super) fn read(reader: &mut Reader<'_>) -> Option<Listeners> {
    let listen = reader.value(LISTEN, SocketAddr::from_str);
    let admin_listen = reader.value(ADMIN_LISTEN, SocketAddr::from_str);
    let stop_delay = reader.value(STOP_DELAY, |text| duration(text, ..=Duration::from_secs(300)));
    // Port 0 becomes another port each time.
    if listen == admin_listen && listen.is_some_and(|listen| listen.port() != 0) {
        reader.fault(ADMIN_LISTEN, "is the same as `listen`");
    }
    Some(Listeners { listen: listen?, admin_listen: admin_listen?, stop_delay: stop_delay? })
}

/// Reads `admin_listen` alone, for a command that needs nothing else.
pub(super) fn admin_listen(reader: &mut Reader<'_>) -> Option<SocketAddr> {
    reader.value(ADMIN_LISTEN, SocketAddr::from_str)
}
