//! What each step of the flow costs: one decision for each.

use autoshares_counting::{
    Beginning, Charge, Counter, Decided, Decision, Id, Lane, Level, Mark, OrBegin, Owned, RecordUse, Subject,
    Verdict, Visit,
};

use super::{
    Code, CodeVerdict, Flow, FlowFault, Guard, Outcome, Receipts, Record, Refused, Reset, ResetVerdict,
    Silent,
    budget::{
        ANSWERS_PER_LOGIN, CODE, CODES_PER_FLOW, CODES_PER_LOGIN, MEASURES_PER_FLOW, QUESTIONS,
        QUESTIONS_PER_FLOW, RENEWALS_PER_FLOW, RESETS, RESETS_PER_LOGIN, TOKEN, TOKENS, UPDATES_PER_FLOW,
    },
    level,
    policy::Policy,
    reading,
};
use crate::{
    flow::{Handle, Named, Spelling, Stage},
    network::Networks,
};

/// How many passwords are measured in a flow: measuring takes processor time, and people try a few.
const MEASURES: u32 = 30;
/// How often a trader may have more time in a flow: as often as WCAG 2.2 asks for (success criterion 2.2.1). Without a bound, flows that nobody
/// ends would fill the store.
const RENEWALS: u32 = 10;
/// The outcome of a code that is wrong, or looks so.
pub const WRONG: &str = "wrong";
/// The outcome of a token that is spent.
pub const SPENT: &str = "spent";

/// A step 1.
#[expect(missing_debug_implementations, reason = "holds a login")]
pub struct ResetAttempt<'a> {
    /// The pseudonyms of the login's readings, under which its budgets are kept. The first one stands for the login.
    pub login: Vec<Id>,
    /// The flows that the client's handles name, each with the login as its owner. The store renews the first one that it may renew.
    pub current: Vec<Owned>,
    /// The handle of the new flow that begins when the store renews none of `current`.
    pub fresh: &'a Handle,
    /// The login in the spelling that all of its spellings share.
    pub spelling: &'a Spelling,
    /// Whether an answer to the secret question comes along.
    pub answered: bool,
}

/// A code to redeem.
#[derive(Debug)]
pub enum Redemption<'a> {
    /// In the flow of this handle.
    Flow(&'a Handle),
    /// By a client without a handle: in a flow of its own, under the ledger of a lane.
    Lane(Lane, Id),
}

/// A token with which the password is to be set.
#[derive(Debug)]
pub enum Update {
    /// The token was issued in this flow.
    Issued {
        flow: Id,
        /// The keyed hash that stands for the token in its flow.
        mark: Id,
    },
    /// Another system issued the token, so it belongs to no flow; its hash serves as the id of a record of its own.
    Foreign {
        /// The keyed hash that stands for the token in its flow.
        mark: Id,
    },
}

impl Guard {
    /// Decides on a step 1. It begins a flow or renews one, whether or not it is forwarded.
    ///
    /// The reset budget of a login stands before its answer budget: a login without resets always looks accepted, with or without an
    /// answer. The other order would reveal which one ran out.
    ///
    /// # Errors
    ///
    /// [`Refused`] when the network or the installation has no budget left, or the store is away. Nothing is charged then.
    pub async fn request_reset(
        &self,
        networks: &Networks,
        attempt: ResetAttempt<'_>,
    ) -> Result<Reset, Refused> {
        let ResetAttempt { login, current, fresh, spelling, answered } = attempt;
        let limits = &self.limits;
        let (readings, login) = (&login, login[0]);
        let mut decision = Decision::new(self.randomness.id());
        if limits.enabled {
            let of_login = |budget, rates, stage: Stage| {
                readings.iter().map(move |reading| Charge {
                    receipt: true,
                    stage_when_exhausted: stage.bits(),
                    ..Charge::new(budget, Subject::Of(*reading), rates)
                })
            };
            let newcomer = Policy::newcomer(networks, answered);
            if let Some(wait) = self.known_wait(Subject::Of(newcomer), RESETS) {
                return Err(Refused::Installation { budget: RESETS, wait });
            }
            decision.open = self.policy.resets(networks, login, answered);
            decision.silent = of_login(RESETS_PER_LOGIN, &limits.resets_per_login, Stage::DEAD).collect();
            if answered {
                let answers = of_login(ANSWERS_PER_LOGIN, &limits.answers_per_login, Stage::QUESTION);
                decision.silent.extend(answers);
            }
            decision.makes_live = true;
        }
        decision.level = Some(level::RESET);
        let counter = |name, most| Counter { name, most, receipt: false };
        decision.record = Some(RecordUse::Begin(Beginning {
            current,
            fresh: Owned { id: fresh.id, owner: fresh.owner(spelling) },
            subject: login,
            counters: vec![
                counter(CODES_PER_FLOW, limits.codes_per_flow),
                counter(QUESTIONS_PER_FLOW, limits.questions_per_flow),
                counter(UPDATES_PER_FLOW, limits.updates_per_flow),
                counter(MEASURES_PER_FLOW, MEASURES),
            ],
            stage: Stage::LIVE_PERHAPS.bits(),
            sticky: Stage::STICKY,
            lifetime: self.lifetime,
        }));
        let (flow, decided) = self.decide_in_flow(&decision).await?;
        let verdict = match decided.verdict {
            Verdict::Suppressed { budget: budget @ ANSWERS_PER_LOGIN } => ResetVerdict::LooksWrong { budget },
            Verdict::Suppressed { budget } => ResetVerdict::LooksAccepted { budget },
            _ => ResetVerdict::Forward(Receipts { decision: decision.id, names: decided.receipts }),
        };
        Ok(Reset { flow, verdict, level: decided.level })
    }

    /// Decides on fetching the secret question, in the flow of that login.
    ///
    /// # Errors
    ///
    /// [`Refused`] when the flow does not stand, is about another login or at another step, or has fetched the question too often.
    pub async fn fetch_question(&self, handle: &Handle, spelling: &Spelling) -> Result<(Flow, u8), Refused> {
        let questions =
            Counter { name: QUESTIONS_PER_FLOW, most: self.limits.questions_per_flow, receipt: false };
        let visit = Visit {
            owner: Some(handle.owner(spelling)),
            counters: vec![questions],
            ..visit(handle.id, Stage::WITH_QUESTION)
        };
        self.visit(visit, Some(level::QUESTION)).await
    }

    /// Decides on fetching the secret question for a client without a handle, and says at which level of time it is replied to.
    ///
    /// # Errors
    ///
    /// [`Refused`] when the network or the installation has no budget left, or the store is away.
    pub async fn fetch_question_without_flow(&self, networks: &Networks) -> Result<u8, Refused> {
        let mut decision = Decision::new(self.randomness.id());
        if self.limits.enabled {
            self.refuse_all(QUESTIONS)?;
            decision.open = self.policy.questions(networks, &self.limits.resets);
        }
        decision.level = Some(level::QUESTION);
        self.decide(&decision).await.map(|decided| decided.level)
    }

    /// Decides on a code. The same code again, or at the same time, is charged no try and gets the outcome of the first.
    ///
    /// # Errors
    ///
    /// [`Refused`] when the network has no budget left, the ledger is exhausted, the flow does not stand or is at another step, or the
    /// store is away.
    pub async fn redeem_code(
        &self,
        networks: &Networks,
        redemption: &Redemption<'_>,
        code: &str,
    ) -> Result<Code, Refused> {
        let limits = &self.limits;
        let (id, lane, mark) = match redemption {
            Redemption::Flow(handle) => (handle.id, super::FLOWS, Some(handle.mark(Named::Code, code))),
            Redemption::Lane(lane, fresh) => (*fresh, *lane, None),
        };
        let mut decision = Decision::new(self.randomness.id());
        if limits.enabled {
            decision.open = self.policy.codes(networks);
            decision.ledger = Some(self.booking(lane, networks.site()));
            // Codes in dead flows go nowhere, so there is nothing to bound; and they must not use up what the trader with the code needs.
            decision.silent = vec![Charge {
                stages: Stage::WITH_CODE,
                receipt: true,
                ..Charge::new(CODES_PER_LOGIN, Subject::OfRecord, &limits.codes_per_login)
            }];
        }
        decision.level = Some(level::CODE);
        decision.record = Some(RecordUse::Visit(Visit {
            // The flow of a client without a handle begins and ends with its code.
            or_begin: mark.is_none().then(|| self.lane_flow()),
            counters: vec![Counter { name: CODES_PER_FLOW, most: limits.codes_per_flow, receipt: true }],
            mark: mark.map(|id| Mark {
                name: CODE,
                id,
                busy: Some(self.call_deadline),
                worthwhile: Stage::WITH_CODE,
                otherwise: WRONG,
            }),
            ..visit(id, Stage::AFTER_RESET)
        }));
        let (flow, decided) = self.decide_in_flow(&decision).await?;
        let reading = reading(&decision, decided.reading);
        let verdict = match decided.verdict {
            Verdict::Repeated(outcome) => CodeVerdict::Repeated(outcome),
            Verdict::UsedUp { .. } => CodeVerdict::LooksWrong(Silent::TriesUsedUp),
            Verdict::Suppressed { budget } => CodeVerdict::LooksWrong(Silent::LoginExhausted { budget }),
            _ if !flow.stage.has_code() => CodeVerdict::LooksWrong(Silent::DeadFlow),
            _ => CodeVerdict::Forward(Receipts { decision: decision.id, names: decided.receipts }),
        };
        Ok(Code { flow, mark, reading, verdict, level: decided.level })
    }

    /// Finds a flow that exists and accepts codes and tokens. Charges nothing.
    ///
    /// # Errors
    ///
    /// [`Refused`] when the flow has ended or is at another step, or the store is away.
    pub async fn find_flow(&self, handle: &Handle) -> Result<Flow, Refused> {
        self.visit(visit(handle.id, Stage::AFTER_RESET), None).await.map(|(flow, _)| flow)
    }

    /// Has a flow last for its whole lifetime again, at whatever step it is.
    ///
    /// # Errors
    ///
    /// [`Refused`] when the flow has ended or has been renewed too often, or the store is away.
    pub async fn renew_flow(&self, handle: &Handle) -> Result<(), Refused> {
        let renewals = Counter { name: RENEWALS_PER_FLOW, most: RENEWALS, receipt: true };
        let visit = Visit { counters: vec![renewals], ..visit(handle.id, u8::MAX) };
        let decision =
            Decision { record: Some(RecordUse::Visit(visit)), ..Decision::new(self.randomness.id()) };
        let (flow, decided) = self.decide_in_flow(&decision).await?;
        if let Verdict::UsedUp { counter } = decided.verdict {
            return Err(Refused::Flow(FlowFault::UsedUp { flow, counter }));
        }
        let receipts = Receipts { decision: decision.id, names: decided.receipts };
        self.settle(receipts, Outcome::Done, Record { renews: true, ..Record::default() }).await;
        Ok(())
    }

    /// Decides on setting the password. A token is forwarded once.
    ///
    /// # Errors
    ///
    /// [`Refused`] when the token is spent or being spent, the flow has ended, or the store is away.
    pub async fn set_password(
        &self,
        networks: &Networks,
        update: &Update,
        measured: bool,
    ) -> Result<(Flow, Receipts), Refused> {
        let (id, mark, or_begin) = match *update {
            Update::Issued { flow, mark } => (flow, mark, None),
            Update::Foreign { mark } => (mark, mark, Some(self.lane_flow())),
        };
        let updates = Counter { name: UPDATES_PER_FLOW, most: self.limits.updates_per_flow, receipt: true };
        let measures = Counter { name: MEASURES_PER_FLOW, most: MEASURES, receipt: false };
        let mut decision = Decision::new(self.randomness.id());
        if self.limits.enabled && or_begin.is_some() {
            self.refuse_all(TOKENS)?;
            decision.open = self.policy.tokens(networks, &self.limits.resets);
        }
        decision.record = Some(RecordUse::Visit(Visit {
            or_begin,
            counters: [updates].into_iter().chain(measured.then_some(measures)).collect(),
            mark: Some(Mark { name: TOKEN, id: mark, busy: None, worthwhile: u8::MAX, otherwise: SPENT }),
            ..visit(id, Stage::AFTER_RESET)
        }));
        let (flow, decided) = self.decide_in_flow(&decision).await?;
        match decided.verdict {
            Verdict::Repeated(_) => Err(Refused::TokenSpent(flow)),
            Verdict::UsedUp { counter } => Err(Refused::Flow(FlowFault::UsedUp { flow, counter })),
            _ => Ok((flow, Receipts { decision: decision.id, names: decided.receipts })),
        }
    }

    /// Has the store decide on a step that begins a flow or happens in one.
    async fn decide_in_flow(&self, decision: &Decision<'_>) -> Result<(Flow, Decided), Refused> {
        let decided = self.decide(decision).await?;
        let flow = decided.record.map(Flow::from).ok_or(Refused::Flow(FlowFault::Gone))?;
        Ok((flow, decided))
    }

    /// Has the store decide on a visit; the flow, and the level that was asked for.
    async fn visit(&self, visit: Visit<'_>, level: Option<Level>) -> Result<(Flow, u8), Refused> {
        let record = Some(RecordUse::Visit(visit));
        let decision = Decision { record, level, ..Decision::new(self.randomness.id()) };
        let (flow, decided) = self.decide_in_flow(&decision).await?;
        match decided.verdict {
            Verdict::UsedUp { counter } => Err(Refused::Flow(FlowFault::UsedUp { flow, counter })),
            _ => Ok((flow, decided.level)),
        }
    }

    /// The flow of a client without a handle, or of a token that was issued elsewhere.
    fn lane_flow(&self) -> OrBegin {
        OrBegin { stage: Stage::LIVE.bits(), lifetime: self.lifetime }
    }
}

/// A visit that finds a flow at one of these stages, and does nothing there.
fn visit<'a>(id: Id, stages: u8) -> Visit<'a> {
    Visit { id, owner: None, stages, or_begin: None, counters: Vec::new(), mark: None }
}
