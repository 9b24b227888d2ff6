//! The words of counting: what is counted, under what name, and what came of it.

use std::time::Duration;

use crate::{
    config::Rate,
    flow::key_ring::Pseudonym,
    flow::{self, FlowId},
};

/// How long it is remembered that something was seen.
pub const SEEN: Duration = Duration::from_secs(3600);
/// How long what was tried in a flow is remembered after its last try or renewal: longer than a handle lives, clocks that differ included.
pub const FLOW_STATE: Duration = flow::LIFETIME.saturating_add(Duration::from_secs(120));

/// What a budget is about. All that is counted about one subject lives in one slot of a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Subject {
    /// All of it.
    Installation,
    /// One login.
    Login(Pseudonym),
    /// One address.
    Address(Pseudonym),
}

/// Rates under a name.
#[derive(Clone, Copy, Debug)]
pub struct Budget<'a> {
    /// Its name.
    pub name: &'static str,
    /// All of them must have room.
    pub rates: &'a [Rate],
    /// Costs nothing when what is asked about has been seen within the hour.
    pub only_new: bool,
}

/// Budgets to be spent together or not at all.
#[derive(Clone, Copy, Debug)]
pub struct Spend<'a> {
    /// Whose.
    pub subject: Subject,
    /// Which.
    pub budgets: &'a [Budget<'a>],
    /// What is remembered as seen.
    pub seen: Option<Pseudonym>,
}

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spent {
    /// There was room in all of them.
    Admitted,
    /// There was none in this one.
    Exhausted {
        /// Its name.
        budget: &'static str,
        /// When there will be.
        wait: Duration,
    },
}

/// A try in a flow.
#[derive(Clone, Copy, Debug)]
pub struct Attempt {
    /// The flow.
    pub flow: FlowId,
    /// What is tried.
    pub name: &'static str,
    /// What may be tried only once in it.
    pub mark: Option<Pseudonym>,
}

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tried {
    /// Go on.
    Admitted,
    /// There were too many.
    Exhausted,
    /// The same was tried before, or is being tried.
    Repeated,
}

/// Who decided; what was spent is given back to the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Redis.
    Shared,
    /// This process.
    Local,
}

/// A duration in microseconds; half a million years at most.
pub fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX / 2)
}
