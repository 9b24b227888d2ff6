//! The steps of the flow, one file for each. A step takes a checked request, lets the guard decide on it, calls Autoshares, settles the
//! charges and returns a reply or the reason why there is none. It knows no header and no status.

mod autoshares;
mod decoys;
mod fetch_question;
mod password_rules;
mod redeem_code;
mod refusal;
mod request_reset;
mod said;
mod set_password;
#[cfg(test)]
mod tests;
mod uniform;

use std::sync::Arc;

use autoshares_counting::Id;

pub use autoshares::Autoshares;
pub use fetch_question::fetch_question;
pub use redeem_code::redeem_code;
pub use refusal::{Stop, report};
pub use request_reset::request_reset;
pub use said::{HandleChange, Reply, Said};
pub use set_password::set_password;

use crate::{
    clock::Clock,
    config,
    flow::Seals,
    guard::{Flow, Guard},
    http::{caller::Caller, problem::Problem},
    telemetry::{
        alarm::Alarm,
        audit::{self, Event},
        health::Health,
        metrics::Metrics,
    },
};
use autoshares::{Call, Failure, KeyVerdict};
use uniform::Uniform;

/// Where the steps report what happened.
#[derive(Clone, Debug)]
pub struct Report {
    /// Counters and gauges.
    pub metrics: Arc<Metrics>,
    /// Whether the gateway is well.
    pub health: Arc<Health>,
    /// How the ledgers stand.
    pub alarm: Arc<Alarm>,
}

/// The four steps.
#[derive(Debug)]
pub struct Steps {
    autoshares: Arc<dyn Autoshares>,
    seals: Seals,
    guard: Arc<Guard>,
    report: Report,
    uniform: Uniform,
    clock: Clock,
    settings: config::Flow,
    password: config::Password,
}

impl Steps {
    /// The steps in front of an Autoshares whose calls are not repeated.
    pub fn new(
        autoshares: Arc<dyn Autoshares>,
        seals: Seals,
        guard: Arc<Guard>,
        report: Report,
        clock: Clock,
        (settings, password): (config::Flow, config::Password),
    ) -> Self {
        let uniform = Uniform::new(clock.clone(), settings.floor);
        Self { autoshares, seals, guard, report, uniform, clock, settings, password }
    }

    /// The seals with which the gateway opens the handles of callers.
    pub fn seals(&self) -> &Seals {
        &self.seals
    }

    /// Awaits a call to Autoshares, and reports whether Autoshares accepted the application key.
    async fn call<T>(&self, call: Call<'_, T>) -> Result<T, Failure> {
        let called = call.await;
        let key = called.as_ref().map_or_else(|failure| failure.key, |_| KeyVerdict::Accepted);
        if key != KeyVerdict::Unknown {
            let accepted = key == KeyVerdict::Accepted;
            self.report.health.set_key_accepted(accepted);
            self.report.metrics.key(accepted);
        }
        called
    }

    /// The reply to a failed call that need not be hidden: Autoshares' own words if they came in an envelope, else a problem.
    fn relay(&self, caller: &Caller, flow: Option<Flow>, failure: Failure) -> Result<Said, Problem> {
        if failure.in_envelope {
            return Ok(Said::Refused(failure.sentences));
        }
        if failure.key == KeyVerdict::Rejected {
            self.record(caller, Event::KeyRefused, flow, None);
        }
        Err(failure.problem)
    }

    /// Records an event of a request in the audit trail.
    pub fn record(&self, caller: &Caller, event: Event, flow: Option<Flow>, reason: Option<&'static str>) {
        self.record_in(caller, event, flow.map(|flow| flow.id), flow.and_then(|flow| flow.login), reason);
    }

    fn record_in(
        &self,
        caller: &Caller,
        event: Event,
        flow: Option<Id>,
        login: Option<Id>,
        reason: Option<&'static str>,
    ) {
        let request_id = caller.request_id.as_ref().map(|id| &*id.0);
        audit::record(&audit::Line {
            event,
            request_id,
            address: Some(caller.networks.own),
            flow,
            login,
            reason,
        });
    }
}
