//! What the guard says to a request, and the tickets that settle what it was charged.

use super::{
    count::{Attempt, Place, Subject},
    ledger::{Entry, Lane},
};
use crate::flow::key_ring::Pseudonym;

/// What becomes of a step 1.
#[derive(Debug)]
pub enum Reset {
    /// It is forwarded.
    Forward(ResetTicket),
    /// It looks accepted.
    Suppressed,
    /// It looks like a wrong answer.
    AnswerSuppressed,
}

/// What a forwarded step 1 was charged.
#[derive(Debug)]
pub struct ResetTicket(pub(super) Option<ResetCharge>);

#[derive(Debug)]
pub(super) struct ResetCharge {
    pub(super) login: Pseudonym,
    pub(super) answered: bool,
    pub(super) spent_at: Place,
    pub(super) minute: u64,
    pub(super) counted_at: Place,
}

/// What came of a forwarded step 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResetOutcome {
    /// A code may be on its way.
    Sent,
    /// Autoshares wants an answer; no mail was sent.
    AnswerNeeded,
    /// Autoshares refused; no mail was sent.
    Refused,
    /// Autoshares never saw it.
    NotSent,
}

/// What becomes of a code.
#[derive(Debug)]
pub enum Code {
    /// It is forwarded.
    Forward(CodeTicket),
    /// It looks wrong.
    Refuse,
}

/// What a forwarded code was charged.
#[derive(Debug)]
pub struct CodeTicket {
    pub(super) attempt: Option<(Attempt, Place)>,
    pub(super) spent: Option<(Subject, Place)>,
    pub(super) booked: Option<(Lane, Entry, Place)>,
}

/// What came of a forwarded code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CodeOutcome {
    /// It was right.
    Accepted,
    /// It was wrong.
    Refused,
    /// Nobody knows.
    Unknown,
    /// Autoshares never saw it.
    NotSent,
}

/// A forwarded attempt to set the password.
#[derive(Debug)]
pub struct UpdateTicket(pub(super) Attempt, pub(super) Place);

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpdateOutcome {
    /// The token is spent, or may be.
    Spent,
    /// The password did not please.
    Refused,
    /// Autoshares never saw it.
    NotSent,
}
