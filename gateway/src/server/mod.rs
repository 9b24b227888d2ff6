//! Sockets and operators: listeners, start and stop, and what operators look at.

mod admin;
mod connections;
mod health;
mod keys;
mod lifecycle;
mod listener;
mod patience;
mod proxy_protocol;
mod reload;
mod systemd;
mod turns;

use std::sync::Arc;

use autoshares_counting::Store;

pub use connections::{Connections, Most};
pub use lifecycle::run;
pub use listener::{Entrance, Listener, Patience, Stop};
pub use proxy_protocol::Header;
pub use reload::Load;
pub use turns::EVENT_INTERVAL;

pub use crate::http::peer::Peer;

use crate::{guard::Guard, steps::Report};

/// The parts of the gateway that the admin listener reports on.
#[derive(Clone, Debug)]
pub struct Watched {
    /// Metrics, health, and how the ledgers stood when they were last consulted.
    pub report: Report,
    /// Consults the ledgers.
    pub guard: Arc<Guard>,
    /// The store, of which `/readyz` reports whether it is away.
    pub store: Arc<Store>,
}
