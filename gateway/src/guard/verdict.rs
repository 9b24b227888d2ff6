//! What the guard says, as values. `steps` turns them into replies, log lines and metrics.

use std::time::Duration;

use autoshares_counting::{self as counting, Away, Id, Lane, Reading};

use super::Receipts;
use crate::flow::Stage;

/// How much of a risk ledger is spent, with the lane whose guesses it bounds.
pub type LedgerReading = (Lane, Reading);

/// A flow, as its record in the store stood when the store decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flow {
    /// The id of the record in the store.
    pub id: Id,
    /// The pseudonym of its login; `None` for the lane of clients without a handle.
    pub login: Option<Id>,
    /// How far the flow has come.
    pub stage: Stage,
}

impl From<counting::Record> for Flow {
    fn from(record: counting::Record) -> Self {
        Self { id: record.id, login: record.subject, stage: Stage::of(record.stage) }
    }
}

/// A step that the gateway refuses openly: the client sees that it is refused. The store charged nothing, except to a network that sends a
/// used token from elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The network has used up a budget.
    Address {
        budget: &'static str,
        /// How long the client should wait until some of the budget has come back.
        wait: Duration,
    },
    /// All networks together have used up the resets of the installation, or those that are not kept for others.
    Installation {
        budget: &'static str,
        /// How long the client should wait until one reset has come back.
        wait: Duration,
    },
    /// The risk ledger has no room for one more guess of this network.
    Ledger {
        reading: Option<LedgerReading>,
        /// How long the client should wait until some of the budget has come back.
        wait: Duration,
    },
    /// The client brought no handle of a flow that this step may happen in.
    Flow(FlowFault),
    /// The reset token is spent, or another request is spending it.
    TokenSpent(Flow),
    /// The store does not reply, so nothing can be counted.
    StoreAway {
        /// How long until the gateway tries to reach the store again.
        wait: Duration,
    },
}

/// Why a step finds no flow that it may happen in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlowFault {
    /// The client brought no handle, or the record that its handle names is gone.
    Gone,
    /// An earlier step of the flow is missing, or this one is over.
    OtherStep(Option<Flow>),
    /// The flow is about another login.
    OtherLogin(Option<Flow>),
    /// The flow has used up the tries of a counter, so it ends.
    UsedUp { flow: Flow, counter: &'static str },
}

impl From<Away> for Refused {
    fn from(away: Away) -> Self {
        Refused::StoreAway { wait: away.wait }
    }
}

/// A step 1 that is not refused openly: it is forwarded, or its reply looks as if it had been.
#[derive(Debug)]
pub struct Reset {
    /// The flow that the step began or renewed.
    pub flow: Flow,
    pub verdict: ResetVerdict,
    /// The level of time at which step 1 is replied to.
    pub level: u8,
}

/// Whether a step 1 is forwarded.
#[derive(Debug)]
pub enum ResetVerdict {
    /// The step is forwarded to Autoshares and has to be settled afterwards.
    Forward(Receipts),
    /// The login has no mails left: the reply looks like an acceptance.
    LooksAccepted { budget: &'static str },
    /// The login has no answers left: the reply looks like a wrong answer.
    LooksWrong { budget: &'static str },
}

/// A step 3 that is not refused openly: the code is forwarded, or the reply looks as if it had been.
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
    /// The level of time at which refusals of codes are replied to.
    pub level: u8,
}

/// Whether a code is forwarded.
#[derive(Debug)]
pub enum CodeVerdict {
    /// The step is forwarded to Autoshares and has to be settled afterwards.
    Forward(Receipts),
    /// The code is not forwarded, and the reply looks like that to a wrong code.
    LooksWrong(Silent),
    /// The same code came before in this flow; its outcome, or `None` while Autoshares is being asked.
    Repeated(Option<String>),
}

/// Why a code is not forwarded although it looks so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Silent {
    /// The tries of the flow are used up.
    TriesUsedUp,
    /// The login has used up its codes, which are counted in flows that have a code.
    LoginExhausted { budget: &'static str },
    /// The flow has no code.
    DeadFlow,
}
