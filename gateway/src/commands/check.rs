//! `check`: says everything that is wrong with a configuration, and with `--probe` whether Autoshares and the store can be used.

use std::sync::Arc;

use autoshares_sdk::{Client, ErrorKind, Login, RefusalShape};

use super::{Outcome, Settings};
use crate::app;

/// Checks the configuration.
///
/// # Errors
///
/// A bad configuration, or what the probes found.
pub async fn run(settings: Settings, probe: bool) -> Outcome {
    let config = settings.load()?;
    for warning in &config.warnings {
        println!("warning: {warning}");
    }
    println!("the configuration is good");
    if probe {
        probe_autoshares(&config.upstream.client).await?;
        if config.store.redis.is_some() {
            let store = app::open_store(config.store, &Arc::default());
            store.probe().await.map_err(|reason| {
                format!(
                    "the store cannot be written to: {reason}; check store.url, its password and its permissions"
                )
            })?;
            println!("the store can be written to");
        }
    }
    Ok(())
}

/// Asks for the question of a trader who does not exist. Any envelope, also one that says no, shows that Autoshares takes the key.
async fn probe_autoshares(client: &Client) -> Outcome {
    match client.fetch_question(&Login::new("autoshares-gateway-probe")).await {
        Ok(_) => {}
        Err(error) if matches!(error.kind(), ErrorKind::Refused(refusal) if refusal.shape() == RefusalShape::Envelope) =>
            {}
        Err(error) => return Err(error.into()),
    }
    println!("Autoshares answers and takes the key");
    Ok(())
}
