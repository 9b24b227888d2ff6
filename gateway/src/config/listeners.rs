//! `listen` and `admin_listen`: the sockets.

use std::{net::SocketAddr, str::FromStr};

use super::{reader::Reader, setting::settings};

/// Both defaults are loopback addresses, so that the gateway serves no other machine until an operator decides so.
#[derive(Clone, Copy, Debug)]
pub struct Listeners {
    /// Clients connect here.
    pub listen: SocketAddr,
    /// Operators and their probes connect here. Metrics reveal which guesses were forwarded, so clients must not reach it.
    pub admin_listen: SocketAddr,
}

settings! {
    LISTEN: "listen", "GATEWAY_LISTEN",
        "an address and port, such as `127.0.0.1:8080`", "127.0.0.1:8080",
        "loopback, so that nobody else is served before you decide so";
    ADMIN_LISTEN: "admin_listen", "GATEWAY_ADMIN_LISTEN",
        "an address and port, such as `127.0.0.1:9090`", "127.0.0.1:9090",
        "keep it where only operators reach it, for metrics reveal which guesses were forwarded";
}

pub(super) fn read(reader: &mut Reader<'_>) -> Option<Listeners> {
    let listen = reader.value(LISTEN, SocketAddr::from_str);
    let admin_listen = reader.value(ADMIN_LISTEN, SocketAddr::from_str);
    // Port 0 becomes another port each time.
    if listen == admin_listen && listen.is_some_and(|listen| listen.port() != 0) {
        reader.fault(ADMIN_LISTEN, "is the same as `listen`");
    }
    Some(Listeners { listen: listen?, admin_listen: admin_listen? })
}
