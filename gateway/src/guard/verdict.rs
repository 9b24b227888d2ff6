//! What the guard says, as values. `steps` turns them into replies, log lines and metrics.

use std::time::Duration;

use autoshares_counting::{self as counting, Away, Id, Lane, Reading};

use super::Receipts;
use crate::flow::Stage;

/// How the ledger of a lane stands.
pub type LedgerReading = (Lane, Reading);

/// A flow as its record says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flow {
    /// The id of its record.
    pub id: Id,
    /// The pseudonym of its login; `None` for the lane of clients without a handle.
    pub login: Option<Id>,
    /// How far it has come.
    pub stage: Stage,
}

impl From<counting::Record> for Flow {
    fn from(record: counting::Record) -> Self {
        Self { id: record.id, login: record.subject, stage: Stage::of(record.stage) }
    }
}

/// A step that is refused, and may be seen to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The network has used up a budget.
    Address {
        /// Which one.
        budget: &'static str,
        /// How long until some of it comes back.
        wait: Duration,
        /// Whether it is time to record that again.
        is_news: bool,
    },
    /// All networks together have used up the resets of the installation.
    Installation {
        /// How long until one comes back.
        wait: Duration,
    },
    /// The risk ledger is exhausted.
    Ledger {
        /// How it stands.
        reading: Option<LedgerReading>,
        /// How long until some of it comes back.
        wait: Duration,
    },
    /// The client is in no flow that has come this far.
    Flow(FlowFault),
    /// The token is spent, or is being spent.
    TokenSpent(Flow),
    /// The store does not reply, so nothing can be counted.
    StoreAway {
        /// How long until somebody looks again.
        wait: Duration,
    },
}

/// Why a client is in no flow that has come this far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlowFault {
    /// The flow of the handle does not stand, or there is no handle.
    Gone,
    /// The flow is at another step.
    OtherStep(Option<Flow>),
    /// The flow is about another login.
    OtherLogin(Option<Flow>),
    /// The flow has used up a counter, and ends.
    UsedUp {
        /// The flow.
        flow: Flow,
        /// Which counter.
        counter: &'static str,
    },
}

impl From<Away> for Refused {
    fn from(away: Away) -> Self {
        Refused::StoreAway { wait: away.wait }
    }
}

/// A step 1 that goes on, or looks as if it did.
#[derive(Debug)]
pub struct Reset {
    /// The flow that it began or renewed.
    pub flow: Flow,
    /// Whether it is forwarded.
    pub verdict: ResetVerdict,
}

/// Whether a step 1 is forwarded.
#[derive(Debug)]
pub enum ResetVerdict {
    /// It is.
    Forward(Receipts),
    /// The login has no mails left: the reply looks like an acceptance.
    LooksAccepted {
        /// The budget that is used up.
        budget: &'static str,
    },
    /// The login has no answers left: the reply looks like a wrong answer.
    LooksWrong {
        /// The budget that is used up.
        budget: &'static str,
    },
}

/// A step 3 that goes on, or looks as if it did.
#[derive(Debug)]
pub struct Code {
    /// The flow that the code came in.
    pub flow: Flow,
    /// What stands for the code in the flow, for [`recall`](super::Guard::recall); `None` for clients without a handle.
    pub mark: Option<Id>,
    /// How the ledger stands, where it was consulted.
    pub reading: Option<LedgerReading>,
    /// Whether the code is forwarded.
    pub verdict: CodeVerdict,
}

/// Whether a code is forwarded.
#[derive(Debug)]
pub enum CodeVerdict {
    /// It is.
    Forward(Receipts),
    /// It is not, and the reply looks like that to a wrong code.
    LooksWrong(Silent),
    /// The same code came before in this flow; its outcome, or `None` while Autoshares is being asked.
    Repeated(Option<String>),
}

/// Why a code is not forwarded although it looks so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Silent {
    /// The tries of the flow are used up.
    TriesUsedUp,
    /// The login has used up this budget.
    LoginExhausted(&'static str),
    /// The flow has no code.
    DeadFlow,
}
