//! `serve`: runs the gateway in front of Autoshares.

use std::{sync::Arc, time::Duration};

use tokio::time;
use tracing::warn;

use super::{Outcome, Settings};
use crate::{
    app::{self, World},
    config::{Config, Faults},
    server::{self, Listener, Load},
    telemetry,
};

/// How long the start waits to learn whether the store can be used as it is set up.
const STORE_CHECK: Duration = Duration::from_secs(1);

/// Serves requests until the process gets a signal to stop.
///
/// # Errors
///
/// A bad configuration, or a socket that fails.
pub async fn run(settings: Settings) -> Outcome {
    let settings = Arc::new(settings);
    let mut config = settings.load()?;
    telemetry::init(config.log);
    for warning in &config.warnings {
        warn!("{warning}");
    }
    let public = Listener::bind(config.listeners.listen)?;
    let admin = Listener::bind(config.listeners.admin_listen)?;
    let address = public.address();
    config.bound_to(address);
    let load: Load = Arc::new(move || {
        let mut config = settings.load()?;
        config.bound_to(address);
        Ok(config)
    });
    serve_on(public, admin, config, Some(load)).await
}

/// Serves a configuration on listeners that are bound, until the process gets a signal to stop. With `load`, it follows the settings; without,
/// as in `dev`, the log explains what the guard does.
pub(super) async fn serve_on(
    public: Listener,
    admin: Listener,
    config: Config,
    load: Option<Load>,
) -> Outcome {
    let connections = (config.connections, config.listeners.stop_delay);
    let app = app::build(config, World::of_the_system());
    if load.is_none() {
        app.watched().report.trail.explain();
    }
    // A store that is away may come back; one that is set up wrongly drops what was counted.
    if let Ok(Err(unusable)) = time::timeout(STORE_CHECK, app.watched().store.probe()).await
        && unusable.is_unfit
    {
        return Err(Faults::of_the_store(&unusable.reason).into());
    }
    server::run(public, admin, app, load, connections).await
}
