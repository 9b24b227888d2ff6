//! The messages between a caller and the store: a `Decision` lists the costs of an act, `Decided` holds the store's verdict, and a
//! `Settlement` lists the charges to undo when the act has ended.

use std::{ops::Not, time::Duration};

use serde::{Deserialize, Serialize, Serializer};

use crate::{
    Micros,
    id::Id,
    ledger::{Booking, Reading},
    rate::{Rate, micros},
};

/// Everything that one act costs. The store checks and charges it in one step.
///
/// The store checks in this order: the record must exist, at an accepted stage and with the right owner; the `open` budgets must have room;
/// the mark must be new in the record; the ledger, the counters and last the `silent` budgets must have room. If the record, an open budget
/// or the ledger fails its check, nothing is charged. If the mark is not new, the open budgets stay charged, and if a later check fails, the
/// booking in the ledger too, because a client must not be able to tell such an act from one that was done. For the same reason a silent budget
/// that has no room leaves a mark: the act may be repeated without another try, and is done when the budget has room again.
#[derive(Clone, Debug, Serialize)]
pub struct Decision<'a> {
    /// The random id of this decision. The caller settles the decision under the same id.
    pub id: Id,
    /// Budgets whose exhaustion may show: those of networks, and that of everybody together.
    pub open: Vec<Charge<'a>>,
    /// The ledger that a guess is booked in, at a price that only the store knows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ledger: Option<Booking>,
    /// The record that the act begins, or happens in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub record: Option<RecordUse<'a>>,
    /// Budgets whose exhaustion must not show. They are charged together or not at all.
    pub silent: Vec<Charge<'a>>,
    /// Whether a secret becomes live by this act, which raises the price of every guess.
    #[serde(skip_serializing_if = "Not::not")]
    pub makes_live: bool,
    /// A level that the caller wants to know, whatever becomes of the act.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub level: Option<Level>,
}

impl<'a> Decision<'a> {
    /// The budget or counter of a name; names come back from Redis as text.
    pub(crate) fn name(&self, name: &str) -> Option<&'static str> {
        let charges = self.open.iter().chain(&self.silent).map(|charge| charge.budget);
        let counters = self.counters().iter().map(|counter| counter.name);
        let mark = self.mark().map(|mark| mark.name);
        let reserved = self.open.iter().filter_map(|charge| charge.newcomers);
        let reserved = reserved.flat_map(|newcomers| [newcomers.reserve, newcomers.per_block]);
        charges
            .chain(counters)
            .chain(mark)
            .chain(reserved)
            .chain([LIVE, BOOKING])
            .find(|known| *known == name)
    }

    pub(crate) fn mark(&self) -> Option<&Mark<'a>> {
        match &self.record {
            Some(RecordUse::Visit(visit)) => visit.mark.as_ref(),
            _ => None,
        }
    }

    pub(crate) fn counters(&self) -> &[Counter] {
        match &self.record {
            Some(RecordUse::Visit(visit)) => &visit.counters,
            Some(RecordUse::Begin(beginning)) => &beginning.counters,
            None => &[],
        }
    }

    /// A decision that costs nothing yet.
    pub fn new(id: Id) -> Self {
        let (open, silent) = (Vec::new(), Vec::new());
        Self { id, open, ledger: None, record: None, silent, makes_live: false, level: None }
    }
}

/// One unit that an act takes from a budget.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Charge<'a> {
    /// The name of the budget, which is also the name of its receipt.
    pub budget: &'static str,
    /// The subject to whom the budget belongs.
    pub subject: Subject,
    /// The rates that limit the budget. Each of them must have room.
    pub rates: &'a [Rate],
    /// Makes the budget count distinct things: the charge is free if the subject was charged for the thing with this id within the last hour.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub distinct: Option<Id>,
    /// Charge only records whose stage has one of these bits. All bits by default.
    #[serde(skip_serializing_if = "is_every_stage")]
    pub stages: u8,
    /// The stage that a begun or renewed record gets, instead of [`Beginning::stage`], when this silent budget is exhausted.
    #[serde(skip_serializing_if = "is_no_stage")]
    pub stage_when_exhausted: u8,
    /// Whether a settlement may undo it.
    #[serde(skip_serializing_if = "Not::not")]
    pub receipt: bool,
    /// What is kept for networks that were not charged in the last hour.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub newcomers: Option<Newcomers<'a>>,
}

/// A reserve for newcomers: where a budget has no room, a network that the budget was not charged for within the last hour is charged to
/// the reserve instead, and to a budget of the block that the network lies in. So nobody who has come before can use up the reserve, and
/// whoever owns a block of networks can use up a part of it.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Newcomers<'a> {
    /// The network that the act comes from.
    pub network: Id,
    /// The name of the reserve, a budget of everybody together.
    pub reserve: &'static str,
    /// The rates of the reserve.
    pub rates: &'a [Rate],
    /// The block of networks that the network lies in.
    pub block: Id,
    /// The name of the block's budget.
    pub per_block: &'static str,
    /// The rates of the block's budget.
    pub block_rates: &'a [Rate],
}

/// A small number that many processes share: it rises at once, and falls by one after a time in which nobody raised it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Level {
    pub name: &'static str,
    /// The time after which it falls by one.
    #[serde(serialize_with = "as_micros")]
    pub falls_after: Duration,
}

impl<'a> Charge<'a> {
    /// A charge that nothing undoes.
    pub fn new(budget: &'static str, subject: Subject, rates: &'a [Rate]) -> Self {
        Self {
            budget,
            subject,
            rates,
            distinct: None,
            stages: u8::MAX,
            stage_when_exhausted: 0,
            receipt: false,
            newcomers: None,
        }
    }
}

/// Whose budget is charged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Subject {
    /// Everybody together.
    All,
    Of(Id),
    /// The subject of the record that the act happens in; free when the record has none.
    OfRecord,
}

impl Serialize for Subject {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Subject::All => serializer.serialize_str("all"),
            Subject::Of(id) => id.serialize(serializer),
            Subject::OfRecord => serializer.serialize_str("record"),
        }
    }
}

/// Whether an act begins a record or happens in one.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RecordUse<'a> {
    /// The act renews a record that has room left, or begins a new one.
    Begin(Beginning),
    /// The act happens in a record that stands.
    Visit(Visit<'a>),
}

/// The id of a record, with a hash that proves who owns the record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Owned {
    /// The id, random.
    pub id: Id,
    /// A keyed hash of the owner, different in each record.
    pub owner: Id,
}

/// Renews a record, or begins one.
#[derive(Clone, Debug, Serialize)]
pub struct Beginning {
    /// Records that may be renewed, best first: the first that stands, has this owner, and has room in each of the counters.
    pub current: Vec<Owned>,
    /// The new record that the store begins when it cannot renew any of `current`.
    pub fresh: Owned,
    /// The subject that later acts in this record are charged to ([`Subject::OfRecord`]).
    pub subject: Id,
    /// Counters that must not be used up in a record that is renewed.
    pub counters: Vec<Counter>,
    /// The new stage of the record. A renewed record also keeps those of its old bits that are in `sticky`.
    pub stage: u8,
    /// Bits of the stage that a record keeps when it is renewed.
    pub sticky: u8,
    /// How long the record stands from now on.
    #[serde(serialize_with = "as_micros")]
    pub lifetime: Duration,
}

/// Acts in a record.
#[derive(Clone, Debug, Serialize)]
pub struct Visit<'a> {
    /// The id of the record.
    pub id: Id,
    /// To whom the record must belong, if that matters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<Id>,
    /// The stage must have one of these bits.
    pub stages: u8,
    /// A record that does not stand begins with this stage and lifetime, without owner and subject.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub or_begin: Option<OrBegin>,
    /// What is counted in the record.
    pub counters: Vec<Counter>,
    /// What may be done only once in the record.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mark: Option<Mark<'a>>,
}

/// How a record begins that a [`Visit`] does not find.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct OrBegin {
    pub stage: u8,
    #[serde(serialize_with = "as_micros")]
    pub lifetime: Duration,
}

/// A number of tries in a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Counter {
    /// Its name, which is also the name of its receipt.
    pub name: &'static str,
    pub most: u32,
    /// Whether a settlement may undo a try.
    #[serde(skip_serializing_if = "Not::not")]
    pub receipt: bool,
}

/// An act that may be done only once in a record. A caller that repeats the act gets the outcome of the first time.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Mark<'a> {
    /// The name of the receipt. When a settlement undoes this receipt, the store forgets the act, so that it may be done again.
    pub name: &'static str,
    /// A keyed hash that identifies the act within its record.
    pub id: Id,
    /// How long the first act may take. After that its outcome counts as unknown, and the store charges a repetition as a new try. With
    /// `None` a repetition is never a new try.
    #[serde(serialize_with = "as_optional_micros", skip_serializing_if = "Option::is_none")]
    pub busy: Option<Duration>,
    /// The act can succeed only in a record whose stage has one of these bits. In any other record the store charges the act and
    /// books its guess all the same, makes no secret live, and the outcome of the act is `otherwise` at once.
    pub worthwhile: u8,
    /// The outcome of an act that cannot succeed at the stage of its record.
    pub otherwise: &'a str,
}

/// The name of the receipt for a secret that became live.
pub const LIVE: &str = "live";
/// The name of the receipt for a booking in a ledger.
pub const BOOKING: &str = "booking";

/// How long a distinct thing is remembered, in microseconds.
pub(crate) const DISTINCT: Micros = 3_600_000_000;
/// How long receipts wait for their settlement, in microseconds. Afterwards everything stays charged.
pub(crate) const SETTLEMENT: Micros = 900_000_000;

/// The state of a [`Mark`] in a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Recalled {
    /// The store does not know the mark, or has forgotten it.
    Nothing,
    /// The act is still under way.
    UnderWay,
    /// A silent budget had no room for it, so it looked like one that failed.
    Held,
    Outcome(String),
}

/// In [`Settlement::undo`], stands for every receipt of the decision.
pub(crate) const EVERYTHING: &str = "*";

/// The store's answer to a [`Decision`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decided {
    /// Whether the act may be done.
    pub verdict: Verdict,
    /// The record as it is after the decision, where one stands.
    pub record: Option<Record>,
    /// How the ledger stands, where it was consulted.
    pub reading: Option<Reading>,
    /// The names of the charges that a [`Settlement`] may undo. Empty when nothing is left to settle.
    pub receipts: Vec<&'static str>,
    /// The level that the decision asked for; 0 when it asked for none.
    pub level: u8,
}

/// Whether an act may be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The act may be done, where the stage of its record makes it worthwhile: everything is charged.
    Charged,
    /// The act may not be done, for an open budget has no room; nothing is charged.
    Exhausted {
        budget: &'static str,
        /// Whose budget it is.
        subject: Subject,
        /// How long until one has come back.
        wait: Duration,
    },
    /// The act may not be done, for the ledger has no room, or none for a network that has booked before; nothing is charged.
    LedgerExhausted {
        /// How long until there is room for a few guesses.
        wait: Duration,
    },
    /// The act may not be done, for its network has used up its share of the ledger; nothing is charged.
    ShareExhausted {
        /// How long until there is room for a guess of this network.
        wait: Duration,
    },
    /// The act may not be done, and that must not show, for a silent budget has no room.
    Suppressed { budget: &'static str },
    /// The act may not be done, for the tries of the record are used up.
    UsedUp { counter: &'static str },
    /// The same act was done before in the record: its outcome, or `None` while the first one is under way.
    Repeated(Option<String>),
    /// No such record stands; nothing is charged.
    Absent,
    /// The record is at another stage; nothing is charged.
    OtherStage,
    /// The record belongs to somebody else; nothing is charged.
    OtherOwner,
}

/// A record, as it is after a decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct Record {
    pub id: Id,
    /// Whose budgets its acts are charged to, if anybody's.
    pub subject: Option<Id>,
    pub stage: u8,
}

/// The charges that the store undoes when an act has ended, and the changes that it then makes to the record.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Settlement<'a> {
    /// The names of the receipts that are undone.
    pub undo: Vec<&'static str>,
    /// The outcome of the marked act, which the store gives to every caller that repeats the act.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<&'a str>,
    /// The stage that the record gets, beside the bits that it keeps.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stage: Option<StageChange>,
    /// How long the record stands from now on, if that changes.
    #[serde(serialize_with = "as_optional_micros", skip_serializing_if = "Option::is_none")]
    pub lifetime: Option<Duration>,
    /// Whether the record goes back to the stage that it had before the act, unless another act has changed the stage since.
    #[serde(skip_serializing_if = "Not::not")]
    pub restores: bool,
    /// A level that the act showed to be too low.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub raise: Option<Raise>,
}

/// Raises a level to a number, or lets it stay there for its whole time again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Raise {
    pub level: Level,
    pub to: u8,
}

/// A new stage of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct StageChange {
    pub to: u8,
    /// The bits that the record keeps if it has them.
    pub sticky: u8,
}

fn is_every_stage(stages: &u8) -> bool {
    *stages == u8::MAX
}

fn is_no_stage(stage: &u8) -> bool {
    *stage == 0
}

fn as_micros<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(micros(*duration))
}

fn as_optional_micros<S: Serializer>(duration: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
    duration.map(micros).serialize(serializer)
}
