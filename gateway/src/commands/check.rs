//! `check`: reports all faults of a configuration and, with `--probe`, whether Autoshares accepts the application key and the store can be
//! used.

use std::sync::Arc;

use autoshares_sdk::{Client, ErrorKind, Login, RefusalShape};

use super::{Outcome, Settings, print};
use crate::{app, error_chain::chain};

/// Checks the configuration, and prints its warnings.
///
/// # Errors
///
/// A bad configuration or, with `probe`, the reason why Autoshares or the store cannot be used.
pub async fn run(settings: Settings, probe: bool) -> Outcome {
    let config = settings.load()?;
    for warning in &config.warnings {
        print(format_args!("warning: {warning}\n"))?;
    }
    print(format_args!("the configuration is good\n"))?;
    if probe {
        probe_autoshares(&config.upstream.client).await?;
        if config.store.redis.is_some() {
            let store = app::open_store(config.store, &Arc::default());
            store.probe().await.map_err(|unusable| {
                format!("the store cannot be used: {}; see store.url", unusable.reason)
            })?;
            print(format_args!("the store can be used: it runs what decisions run\n"))?;
        }
    }
    Ok(())
}

/// Fetches the secret question of a trader who does not exist, a call that changes nothing. Even a refusal shows that Autoshares accepts the
/// application key, as long as it comes in an envelope.
async fn probe_autoshares(client: &Client) -> Outcome {
    match client.fetch_question(&Login::new("autoshares-gateway-probe")).await {
        Ok(_) => {}
        Err(error) if matches!(error.kind(), ErrorKind::Refused(refusal) if refusal.shape() == RefusalShape::Envelope) =>
            {}
        Err(error) => {
            // What a server says that knows nothing of this API.
            let is_elsewhere = matches!(error.status(), Some(404 | 405))
                || matches!(error.kind(), ErrorKind::Unreadable(_)) && error.status().is_some();
            let hint =
                if is_elsewhere { "; does the address end in `/api`? see upstream.base_url" } else { "" };
            return Err(format!("{}{hint}", chain(&error)).into());
        }
    }
    print(format_args!("Autoshares answers and takes the key\n"))?;
    Ok(())
}
