//! The table that says which charges are undone when a step has ended.

use std::time::Duration;

use autoshares_counting::{BOOKING, Id, LIVE, Raise, Settlement, StageChange};

use super::budget::{
    ANSWERS_PER_LOGIN, CODE, CODES_PER_FLOW, CODES_PER_LOGIN, RESETS_PER_LOGIN, TOKEN, UPDATES_PER_FLOW,
};
use crate::flow::Stage;

/// How a step ended that was forwarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Autoshares did what was asked.
    Done,
    /// Autoshares wants the answer to the secret question, and sent no mail.
    AnswerNeeded,
    /// Autoshares refused.
    Refused,
    /// Nobody knows whether Autoshares did it.
    Unknown,
    /// Autoshares never looked at it.
    NotSent,
}

use Outcome::{AnswerNeeded, Done, NotSent, Refused, Unknown};

/// Each charge, with the outcomes that undo it. Everything else stays charged: mails are what a reset is charged for, guesses are what
/// the ledger is charged for, and networks and the installation get nothing back.
const UNDONE: [(&str, &[Outcome]); 9] = [
    (RESETS_PER_LOGIN, &[AnswerNeeded, NotSent]),
    (ANSWERS_PER_LOGIN, &[NotSent]),
    (LIVE, &[AnswerNeeded, Refused, NotSent]),
    (CODES_PER_FLOW, &[NotSent]),
    (CODES_PER_LOGIN, &[NotSent]),
    // Forgotten, so the same code may be sent again for another try.
    (CODE, &[Unknown, NotSent]),
    // Good again, so a password that was refused can be mended.
    (TOKEN, &[Refused, NotSent]),
    (UPDATES_PER_FLOW, &[NotSent]),
    // A right code is no guess.
    (BOOKING, &[Done, NotSent]),
];

/// The charges of a step that its settlement may undo.
#[derive(Debug)]
#[must_use = "a step that was forwarded has to be settled"]
pub struct Receipts {
    pub(super) decision: Id,
    pub(super) names: Vec<&'static str>,
}

/// What a flow keeps of a step that has ended, and what everybody learns from it.
#[derive(Clone, Debug, Default)]
pub struct Record {
    /// How far the flow has come, if that changes.
    pub stage: Option<Stage>,
    /// The outcome of a code or a token, which the next request with the same one gets.
    pub outcome: Option<String>,
    /// Whether the flow lasts for its whole lifetime again.
    pub renews: bool,
    /// A level of time that the step showed to be too low.
    pub raise: Option<Raise>,
}

/// The settlement of a step, by the table.
pub(super) fn settlement<'a>(
    receipts: &Receipts,
    outcome: Outcome,
    record: &'a Record,
    lifetime: Duration,
) -> Settlement<'a> {
    let undo = receipts.names.iter().copied().filter(|name| is_undone(name, outcome));
    Settlement {
        undo: undo.collect(),
        outcome: record.outcome.as_deref(),
        stage: record.stage.map(|stage| StageChange { to: stage.bits(), sticky: Stage::LASTING }),
        lifetime: record.renews.then_some(lifetime),
        // A step that Autoshares never saw leaves its flow where it was.
        restores: outcome == NotSent,
        raise: record.raise,
    }
}

fn is_undone(charged: &str, outcome: Outcome) -> bool {
    UNDONE.iter().any(|(name, outcomes)| *name == charged && outcomes.contains(&outcome))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The table of the design, row by row. `–` cannot happen.
    const DESIGN: &str = "
        charged            | done   | answer needed | refused | unknown | not sent
        resets_per_login   | keep   | undo          | keep    | keep    | undo
        answers_per_login  | keep   | keep          | keep    | keep    | undo
        live               | keep   | undo          | undo    | keep    | undo
        codes_per_flow     | keep   | –             | keep    | keep    | undo
        codes_per_login    | keep   | –             | keep    | keep    | undo
        code               | keep   | –             | keep    | undo    | undo
        token              | keep   | –             | undo    | keep    | undo
        updates_per_flow   | keep   | –             | keep    | keep    | undo
        booking            | undo   | –             | keep    | keep    | undo
        resets_per_address | keep   | keep          | keep    | keep    | keep
        resets             | keep   | keep          | keep    | keep    | keep
        codes_per_address  | keep   | keep          | keep    | keep    | keep";

    #[test]
    fn every_row_of_the_table_is_undone_by_its_outcomes_and_no_other() {
        let rows = DESIGN.lines().skip(2).map(|row| row.split('|').map(str::trim).collect::<Vec<_>>());
        let mut checked = 0;
        for row in rows {
            for (outcome, verdict) in
                [Done, AnswerNeeded, Refused, Unknown, NotSent].into_iter().zip(&row[1..])
            {
                assert!(["keep", "undo", "–"].contains(verdict), "{row:?}");
                if *verdict != "–" {
                    assert_eq!(is_undone(row[0], outcome), *verdict == "undo", "{}, {outcome:?}", row[0]);
                    checked += 1;
                }
            }
        }
        assert_eq!(checked, 54);
    }
}
