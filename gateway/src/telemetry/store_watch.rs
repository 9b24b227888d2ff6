//! Tells operators once when the store goes away and when it is back.

use autoshares_counting::Presence;
use tokio::sync::watch;
use tracing::{error, info, warn};

use std::sync::Arc;

use super::{
    audit::{self, Event},
    metrics::Metrics,
};

/// How many reasons of one outage are told.
const MAX_TOLD: usize = 5;

/// Watches a store until it is dropped.
pub async fn watch_store(mut presence: watch::Receiver<Presence>, metrics: Arc<Metrics>) {
    let mut was_away = false;
    // The reasons that were told of this outage. A server that stays away for many reasons in turn does not fill the log.
    let mut told: Vec<Arc<str>> = Vec::new();
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
                if was_away && !told.contains(&reason) && told.len() < MAX_TOLD {
                    warn!(reason = &*reason, "the store stays away, for another reason");
                }
                if !told.contains(&reason) {
                    told.push(reason);
                    told.truncate(MAX_TOLD);
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
                told.clear();
            }
            Presence::Connecting => {}
        }
        if presence.changed().await.is_err() {
            return;
        }
    }
}
