//! `/readyz`: tells a load balancer whether this replica should get requests, and an operator which of its parts is not well.

use std::sync::Arc;

use autoshares_counting::Presence;
use axum::{
    extract::State,
    http::{StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use serde_json::json;

use super::Watched;
use crate::{
    app::App,
    guard::level,
    telemetry::{alarm::LedgerState, health::KeyState},
};

/// Ready until the gateway is told to stop. Nothing that degrades it takes a replica out: the others have the same key, store and ledger.
pub(super) async fn readyz(State(app): State<Arc<App>>, uri: Uri) -> Response {
    let watched = app.watched();
    let ledger = ledger_state(&watched).await;
    let health = &watched.report.health;
    let presence = watched.store.presence().map(|presence| presence.borrow().clone());
    let is_away = presence.as_ref().is_some_and(|presence| *presence != Presence::Back);
    let outage = health.outage();
    let degraded = health.key_state() == KeyState::Rejected
        || outage.is_some()
        || is_away
        || ledger == Some(LedgerState::Exhausted)
        || !health.are_settings_valid();
    let (status, word) = match (health.is_draining(), degraded) {
        (true, _) => (StatusCode::SERVICE_UNAVAILABLE, "draining"),
        (false, true) => (StatusCode::OK, "degraded"),
        (false, false) => (StatusCode::OK, "ready"),
    };
    let verbose = uri.query().is_some_and(|query| query.split('&').any(|name| name.starts_with("verbose")));
    if !verbose {
        return (status, format!("{word}\n")).into_response();
    }
    let key = match health.key_state() {
        KeyState::Untried => "not tried yet",
        KeyState::Accepted => "accepted",
        KeyState::Rejected => "rejected by Autoshares",
    };
    let store = match presence {
        None => "memory",
        Some(Presence::Back) => "shared",
        Some(Presence::Connecting) => "degraded: Redis is not connected yet, every step waits for it",
        Some(Presence::Away { .. }) => {
            "degraded: Redis is away, every step is refused until it replies again"
        }
    };
    let ledger = match ledger {
        Some(LedgerState::Ample) => "ample",
        Some(LedgerState::Low) => "low: half is spent, or more",
        Some(LedgerState::Exhausted) => "empty: no code is forwarded",
        None => "unknown: it cannot be consulted, or limits are off",
    };
    let autoshares = match outage {
        None => "no failure known".to_owned(),
        Some((trouble, None)) => format!("degraded: it fails ({trouble}), and calls are not forwarded"),
        Some((trouble, Some(status))) => {
            format!("degraded: it fails ({trouble}, status {status}), and calls are not forwarded")
        }
    };
    let last_call =
        health.last_call().map(|(outcome, at)| json!({ "outcome": outcome, "age_s": app.age_s(at) }));
    let settings = if health.are_settings_valid() {
        "in force"
    } else {
        "degraded: they have changed and are not valid, the old ones stay in force"
    };
    let levels = time_levels(&watched).await;
    let body = json!({
        "status": word, "app_key": key, "autoshares": autoshares, "last_call": last_call, "store": store,
        "risk_ledger": ledger, "time_levels": levels, "settings": settings
    })
    .to_string();
    (status, [(header::CONTENT_TYPE, "application/json")], body).into_response()
}

/// How late replies are given at the moment, by the kind of reply: 0 is the floor, and each level doubles the time.
pub(super) async fn time_levels(watched: &Watched) -> serde_json::Value {
    let mut levels = serde_json::Map::new();
    for level in level::ALL {
        let now = watched.guard.level(level).await;
        watched.report.metrics.time_level(level.name, now);
        levels.insert(level.name.to_owned(), now.into());
    }
    levels.into()
}

/// Consults the ledgers, and shows in the metrics how they stand. The worse of the two; `None` when neither can be consulted.
pub(super) async fn ledger_state(watched: &Watched) -> Option<LedgerState> {
    let report = &watched.report;
    let readings = watched.guard.ledger_readings().await;
    readings.iter().map(|(lane, reading)| report.alarm.note(*lane, reading, &report.metrics)).max()
}
