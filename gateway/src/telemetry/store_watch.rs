//! Tells operators once when the store goes away and when it is back.

use autoshares_counting::Presence;
use tokio::sync::watch;
use tracing::{error, info};

use std::sync::Arc;

use super::{
    audit::{self, Event},
    metrics::Metrics,
};

/// Watches a store until it is dropped.
pub async fn watch_store(mut presence: watch::Receiver<Presence>, metrics: Arc<Metrics>) {
    let mut was_away = false;
    loop {
        let now = presence.borrow_and_update().clone();
        match now {
            Presence::Away { reason, .. } => {
                metrics.store_away(true);
                if !was_away {
                    audit::record_own(Event::StoreAway);
                    error!(
                        reason = &*reason,
                        "the store is away: every step is refused until Redis replies again"
                    );
                }
                was_away = true;
            }
            Presence::Back => {
                metrics.store_away(false);
                if was_away {
                    audit::record_own(Event::StoreBack);
                    info!("the store is back: steps are served again");
                }
                was_away = false;
            }
            Presence::Connecting => {}
        }
        if presence.changed().await.is_err() {
            return;
        }
    }
}
