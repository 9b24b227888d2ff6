//! Counts what is done how often, and decides in one step whether it may be done once more.
//!
//! A [`Decision`] names everything that one act costs: budgets of several subjects, a booking in a risk ledger, tries and a mark in a record.
//! A [`Store`] checks and charges it in one step, and keeps a receipt for every charge that can be undone. When the act has ended, a
//! [`Settlement`] says which charges are undone. Settling twice does nothing.
//!
//! ```
//! use autoshares_counting::{Charge, Decision, Id, Store, Subject, Verdict};
//!
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! let store = Store::memory();
//! let rates = ["2/h".parse().unwrap()];
//! let budget = Charge::new("letters", Subject::Of(Id([7; 16])), &rates);
//! for (number, verdict) in [(1, Verdict::Charged), (2, Verdict::Charged)] {
//!     let decision = Decision { open: vec![budget], ..Decision::new(Id([number; 16])) };
//!     assert_eq!(store.decide(&decision, 0).await.unwrap().verdict, verdict);
//! }
//! let third = store.decide(&Decision { open: vec![budget], ..Decision::new(Id([3; 16])) }, 0).await.unwrap();
//! assert!(matches!(third.verdict, Verdict::Exhausted { budget: "letters", .. }));
//! # });
//! ```
//!
//! The crate knows identifiers, rates and time. What an identifier, a stage or an outcome stands for is known to its caller alone.
//!
//! Counters live in this process ([`memory`](Store::memory)), or in Redis or Valkey ([`redis`](Store::redis)), where any number of
//! processes share them. One list of cases runs over both (`tests/it/twins.rs`). While Redis does not reply, every decision is refused with
//! [`Away`]: nothing is ever allowed for want of an answer. [`Store::presence`] is a value that others can watch.

mod budgets;
mod decision;
mod failure;
mod id;
mod ledger;
mod map;
mod memory;
mod presence;
mod rate;
mod redis;
mod rehearsal;
#[cfg(feature = "simulation")]
mod shared;
mod store;
mod table;

pub use decision::{
    BOOKING, Beginning, Charge, Counter, Decided, Decision, LIVE, Level, Mark, Newcomers, OrBegin, Owned,
    Raise, Recalled, Record, RecordUse, Settlement, StageChange, Subject, Verdict, Visit,
};
pub use id::{Hexadecimal, Id};
pub use ledger::{Booking, Lane, Reading, WINDOW_MINUTES};
pub use presence::{Away, Presence, Unusable};
pub use rate::Rate;
pub use redis::RedisSettings;
#[cfg(feature = "simulation")]
pub use shared::{Held, Shared, Vane, Weather};
pub use store::Store;

/// Microseconds on a clock that only goes forward, since some moment in the past.
pub type Micros = u64;
