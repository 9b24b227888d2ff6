//! `serve`: runs the gateway in front of Autoshares.

use tracing::warn;

use super::{Outcome, Settings};
use crate::{
    app::{self, World},
    config::{Config, PublicOrigin},
    server::{self, Listener},
    telemetry,
};

/// Serves requests until the process gets a signal to stop.
///
/// # Errors
///
/// A bad configuration, or a socket that fails.
pub async fn run(settings: Settings) -> Outcome {
    let mut config = settings.load()?;
    telemetry::init(config.log);
    for warning in &config.warnings {
        warn!("{warning}");
    }
    let public = Listener::bind(config.listeners.listen)?;
    let admin = Listener::bind(config.listeners.admin_listen)?;
    if config.public_origin == PublicOrigin::localhost(config.listeners.listen) {
        // The origin was derived from the setting, where the port may be 0; now the system has chosen one.
        config.public_origin = PublicOrigin::localhost(public.address());
    }
    serve_on(public, admin, config).await
}

/// Serves a configuration on listeners that are bound, until the process gets a signal to stop.
pub(super) async fn serve_on(public: Listener, admin: Listener, config: Config) -> Outcome {
    let (origin, timeout) = (config.public_origin.text.clone(), config.upstream.timeout);
    let app = app::build(config, World::of_the_system());
    server::run(public, admin, app, &origin, timeout).await
}
