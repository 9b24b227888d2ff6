//! Opens a breaker when Autoshares fails, reports it, and has Autoshares probed until it answers again.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use autoshares_sdk::{ConfirmationCode, Login, Operation};
use tracing::{error, info, warn};

use super::{
    Steps,
    autoshares::{Failure, KeyVerdict, Trouble},
    breaker::{Breaker, PROBE_EVERY},
};
use crate::{
    http::problem::Problem,
    telemetry::health::{KeyState, Outage},
};

/// A login and a code that cannot exist, so that a probe changes nothing.
const NOBODY: &str = "autoshares-gateway-probe";
const NO_CODE: &str = "no-code";
/// How often a changed application key is looked for while Autoshares rejects the old one.
const KEY_EVERY: Duration = Duration::from_millis(500);

/// The breakers of this process.
#[derive(Debug, Default)]
pub struct Breakers {
    /// Of steps 1 and 2, for what no login can cause.
    resets: Breaker,
    /// Of step 3, for every failure of Autoshares' own: no code can cause one.
    codes: Breaker,
    /// Whether Autoshares has ever answered in an envelope. Before that, a status 404 or 405 means a wrong address; later it is about the
    /// login.
    has_answered: AtomicBool,
    /// Whether other breakers have taken their place.
    is_retired: AtomicBool,
}

impl Breakers {
    /// Ends the probes, for another Autoshares is called from now on.
    pub fn retire(&self) {
        self.is_retired.store(true, Ordering::Relaxed);
    }

    fn is_retired(&self) -> bool {
        self.is_retired.load(Ordering::Relaxed)
    }

    /// The breaker of an operation; step 4 has none, for its token tells that its flow is live.
    fn of(&self, operation: Operation) -> Option<(&Breaker, Outage)> {
        match operation {
            Operation::RequestReset | Operation::FetchQuestion => Some((&self.resets, Outage::Resets)),
            Operation::RedeemCode => Some((&self.codes, Outage::Codes)),
            Operation::SetPassword => None,
        }
    }

    /// A failure as the steps see it: once Autoshares has answered, a status 404 or 405 in steps 1 and 2 is a refusal of the login.
    pub fn judge(&self, operation: Operation, failure: Failure) -> Failure {
        let may_be_refusal = matches!(operation, Operation::RequestReset | Operation::FetchQuestion);
        let status = matches!(failure.trouble, Some(Trouble::TurnedAway(Some(404 | 405))));
        if may_be_refusal && status && self.has_answered.load(Ordering::Relaxed) {
            return failure.into_refusal();
        }
        failure
    }

    /// Whether a failure means that nobody should be forwarded.
    fn is_opened_by(operation: Operation, trouble: Trouble) -> bool {
        match operation {
            Operation::RedeemCode => true,
            _ => match trouble {
                Trouble::NoConnection | Trouble::KeyRejected | Trouble::WrongVersion => true,
                Trouble::TurnedAway(status) => matches!(status, Some(401 | 403 | 404 | 405 | 429 | 503)),
                Trouble::Failed | Trouble::NoAnswer | Trouble::Unreadable => false,
            },
        }
    }
}

impl Steps {
    /// Refuses an operation at once while Autoshares fails, before its login or code is looked at.
    ///
    /// # Errors
    ///
    /// The problem that everybody gets then.
    pub(super) fn refuse_outage(&self, operation: Operation) -> Result<(), Problem> {
        match self.breakers.of(operation).and_then(|(breaker, _)| breaker.wait(self.clock.now())) {
            Some(wait) => Err(Problem::unavailable(wait)),
            None => Ok(()),
        }
    }

    /// Takes leave to forward a call. A breaker that has opened since the request came, or whose trial somebody else has taken, refuses.
    pub(super) fn may_forward(&self, operation: Operation) -> bool {
        self.breakers.of(operation).is_none_or(|(breaker, _)| breaker.pass(self.clock.now()))
    }

    /// The problem of a call that failed for a reason of Autoshares' own: it looks like that of a request that was not forwarded.
    pub(super) fn outage(&self, operation: Operation) -> Problem {
        self.outage_of(operation, None)
    }

    /// The same for a call whose failure is known, and may name a time where there is no breaker to remember it.
    pub(super) fn outage_of(&self, operation: Operation, failure: Option<&Failure>) -> Problem {
        let wait = self.breakers.of(operation).and_then(|(breaker, _)| breaker.wait(self.clock.now()));
        let named = || failure.and_then(|failure| failure.retry_after);
        let problem = Problem::unavailable(wait.or_else(named).unwrap_or(PROBE_EVERY));
        problem.because(failure.and_then(|failure| failure.problem.cause()).map(str::to_owned))
    }

    /// Reports how a call ended: whether Autoshares took the key and whether it failed. Opens the breaker where that should.
    pub(super) fn note(self: &Arc<Self>, operation: Operation, failure: Option<&Failure>) {
        self.observe(operation, failure);
        if let Some((failure, trouble)) = failure.and_then(|failure| Some((failure, failure.trouble?))) {
            self.fail(operation, trouble, Some(failure), failure.problem.cause().unwrap_or_default());
        }
    }

    /// Reports how a call ended in metrics and health alone.
    pub(super) fn observe(&self, operation: Operation, failure: Option<&Failure>) {
        // How the Autoshares of older settings does says nothing any more.
        if self.breakers.is_retired() {
            return;
        }
        let report = &self.report;
        let outcome = failure.map_or("answered", |failure| failure.trouble.map_or("refused", Trouble::name));
        report.health.set_last_call(outcome, self.clock.micros());
        let key = failure.map_or(KeyVerdict::Accepted, |failure| failure.key);
        if key != KeyVerdict::Unknown {
            let accepted = key == KeyVerdict::Accepted;
            if report.health.set_key_accepted(accepted) == KeyState::Rejected && accepted {
                info!("Autoshares accepts the application key again");
            }
            report.metrics.key(accepted);
            if accepted {
                self.breakers.has_answered.store(true, Ordering::Relaxed);
            }
        }
        if let Some(failure) = failure.filter(|failure| failure.trouble.is_some()) {
            report.metrics.upstream_failure(operation.id(), failure.status);
        }
    }

    /// Opens the breaker of an operation where this trouble should, and has Autoshares probed. Reports the trouble once.
    pub(super) fn fail(
        self: &Arc<Self>,
        operation: Operation,
        trouble: Trouble,
        failure: Option<&Failure>,
        cause: &str,
    ) {
        if self.breakers.is_retired() {
            return;
        }
        let status = failure.and_then(|failure| failure.status);
        let retry_after = failure.and_then(|failure| failure.retry_after);
        let retry_after_s = retry_after.map(|wait| wait.as_secs());
        let opened = match self.breakers.of(operation) {
            Some((breaker, outage))
                if self.guard.is_enabled() && Breakers::is_opened_by(operation, trouble) =>
            {
                // In steps 1 and 2 Autoshares may have meant one login, which a stranger chooses: its time counts once a probe has got one.
                let named = retry_after.filter(|_| operation == Operation::RedeemCode);
                if !breaker.open(self.clock.now(), named) {
                    return;
                }
                self.report.health.set_outage(outage, Some((trouble.name(), status)));
                self.report.metrics.outage(outage, true);
                true
            }
            _ => false,
        };
        let operation_id = operation.id();
        let hint = match trouble {
            Trouble::TurnedAway(Some(404 | 405)) => Some("does `upstream.base_url` end in `/api`?"),
            _ => None,
        };
        match (trouble, opened) {
            (Trouble::KeyRejected, _) => error!(
                operation = operation_id,
                status,
                "Autoshares rejects the application key: check upstream.app_key_file or upstream.app_key"
            ),
            (_, true) => warn!(
                operation = operation_id,
                trouble = trouble.name(),
                status,
                retry_after_s,
                cause,
                hint,
                "Autoshares fails: nothing of the kind is forwarded until a probe is answered"
            ),
            (_, false) => warn!(
                operation = operation_id,
                trouble = trouble.name(),
                status,
                retry_after_s,
                cause,
                hint,
                "a call failed at Autoshares"
            ),
        }
        if opened {
            tokio::spawn(probe(Arc::clone(self), operation, trouble == Trouble::KeyRejected));
        }
    }

    /// Closes the breaker of an operation, for Autoshares answers in time.
    pub(super) fn recover(&self, operation: Operation) {
        if let Some((breaker, outage)) = self.breakers.of(operation)
            && breaker.close()
            && !self.breakers.is_retired()
        {
            self.report.health.set_outage(outage, None);
            self.report.metrics.outage(outage, false);
            info!(operation = operation.id(), "Autoshares answers again: calls are forwarded again");
        }
    }

    /// Calls Autoshares about somebody who does not exist, so that a wrong address or key shows before the first trader comes.
    pub async fn look(self: &Arc<Self>) {
        if !self.breakers.has_answered.load(Ordering::Relaxed) && self.breakers.resets.open_since().is_none()
        {
            let failure = self.probe(Operation::FetchQuestion).await;
            self.note(Operation::FetchQuestion, failure.as_ref());
        }
    }

    /// Makes a call that can change nothing; how it failed, judged as a real call is.
    async fn probe(&self, operation: Operation) -> Option<Failure> {
        let (login, code) = (Login::new(NOBODY), ConfirmationCode::new(NO_CODE));
        let failure = match operation {
            Operation::RequestReset => {
                self.call(operation, None, self.autoshares.request_reset(&login, None)).await.err()
            }
            Operation::FetchQuestion => {
                self.call(operation, None, self.autoshares.fetch_question(&login)).await.err()
            }
            Operation::RedeemCode => {
                self.call(operation, None, self.autoshares.redeem_code(&code)).await.err()
            }
            Operation::SetPassword => None,
        };
        failure.map(|failure| self.breakers.judge(operation, failure))
    }
}

/// Probes Autoshares until it answers, or until a real call has closed the breaker.
async fn probe(steps: Arc<Steps>, operation: Operation, key_was_rejected: bool) {
    let Some((breaker, _)) = steps.breakers.of(operation) else { return };
    let since = breaker.open_since();
    // A new key is tried at once, and once.
    let mut waits_for_key = key_was_rejected;
    // What turned one call away may have been meant for its login, which a stranger chooses; then everybody else goes on at once. Nobody
    // chooses what is said of a code.
    let mut next = match operation {
        Operation::RedeemCode => steps.clock.now() + breaker.probe_wait(steps.clock.now()),
        _ => steps.clock.now(),
    };
    loop {
        while steps.clock.now() < next {
            if waits_for_key && steps.autoshares.has_new_key() {
                waits_for_key = false;
                break;
            }
            let look_again = steps.clock.now() + KEY_EVERY;
            steps.clock.sleep_until(if waits_for_key { next.min(look_again) } else { next }).await;
        }
        // A real call has closed it; if it is open again, that has a probe of its own.
        if breaker.open_since() != since || steps.breakers.is_retired() {
            return;
        }
        let began = steps.clock.now();
        let failure = steps.probe(operation).await;
        let trouble = failure.as_ref().and_then(|failure| failure.trouble);
        if let Some(failure) = failure.as_ref().filter(|failure| failure.trouble.is_some()) {
            steps.report.metrics.upstream_failure(operation.id(), failure.status);
        }
        match trouble {
            None => {
                steps.note(operation, failure.as_ref());
                return steps.recover(operation);
            }
            Some(trouble) if Breakers::is_opened_by(operation, trouble) => {
                breaker.stay_open(steps.clock.now(), failure.and_then(|failure| failure.retry_after));
            }
            Some(_) => return steps.recover(operation),
        }
        next = began + breaker.probe_wait(began);
    }
}
