//! Counters in this process. They read no clock: the caller passes the time. `lua/decide.lua` and `lua/settle.lua` take the same steps in
//! Redis, in the same order.
//!
//! Bounded: when there are too many records, those that would end soonest end now, which ends a flow and never grants anything.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap, VecDeque},
};

use crate::{
    Micros,
    budgets::{Budgets, NoBudget, Spending, Spent},
    decision::{
        BOOKING, Beginning, Counter, Decided, Decision, EVERYTHING, LIVE, Level, Mark, Raise, Recalled,
        Record, RecordUse, SETTLEMENT, Settlement, Verdict, Visit,
    },
    id::Id,
    ledger::{Booking, Ledger, NoRoom, minute},
    map::HashMap,
    rate::micros,
    table::{Slot, Table},
};

/// The most records that are kept, which take some ten megabytes. When there are more, those that would end soonest end now.
const MAX_RECORDS: usize = 100_000;
/// All counters.
#[derive(Clone, Debug, Default)]
pub(crate) struct Memory {
    budgets: Budgets,
    records: Table<Id, Stored>,
    /// When records end, the next one first; a record that was renewed stands here more than once.
    endings: BinaryHeap<Reverse<(Micros, Slot)>>,
    receipts: HashMap<Id, Receipts>,
    /// Receipts in the order in which they are dropped.
    unsettled: VecDeque<(Micros, Id)>,
    ledger: Ledger,
    /// The height of each level, and when it was raised.
    levels: BTreeMap<&'static str, (u8, Micros)>,
}

#[derive(Clone, Debug, Default)]
struct Stored {
    owner: Option<Id>,
    subject: Option<Id>,
    stage: u8,
    ends: Micros,
    /// Apart, for most records have none.
    acts: Option<Box<Acts>>,
}

/// What was done in a record.
#[derive(Clone, Debug, Default)]
struct Acts {
    used: Vec<(&'static str, u32)>,
    marks: Vec<(Id, State)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    BusySince(Micros),
    /// A silent budget had no room for it: it has cost its try and its booking, and is done when there is room.
    Held,
    Done(String),
}

/// What came of an earlier try.
enum Earlier {
    Nothing,
    Held,
    /// The outcome, `None` while the try is under way.
    Outcome(Option<String>),
}

/// What a settlement may undo.
#[derive(Clone, Debug, Default)]
struct Receipts {
    /// Each charge of a budget.
    budgets: Vec<Spent>,
    live: Option<u64>,
    /// What was booked, in which minute, at which price.
    booking: Option<(Booking, u64, u32)>,
    record: Option<Id>,
    /// The stage before the act and after it, where the act began or renewed a record.
    stages: Option<(u8, u8)>,
    counters: Vec<&'static str>,
    /// The name, the id and the state of the mark.
    mark: Option<(&'static str, Id, State)>,
}

impl Memory {
    /// Decides whether an act may be done, and charges what it costs.
    pub(crate) fn decide(&mut self, decision: &Decision<'_>, now: Micros) -> Decided {
        self.drop_what_is_over(now);
        let level = decision.level.map_or(0, |level| self.level(&level, now));
        let mut decided =
            Decided { verdict: Verdict::Charged, record: None, reading: None, receipts: Vec::new(), level };
        let mut begins = false;

        // The record that the act happens in.
        let id = match &decision.record {
            None => None,
            Some(RecordUse::Begin(beginning)) => {
                let current =
                    beginning.current.iter().find(|owned| self.may_renew(owned.id, owned.owner, beginning));
                begins = current.is_none();
                Some(current.map_or(beginning.fresh.id, |owned| owned.id))
            }
            Some(RecordUse::Visit(visit)) => {
                match self.visit(visit) {
                    Ok(()) => {}
                    Err(verdict) => {
                        decided.record = self.view(visit.id);
                        return Decided { verdict, ..decided };
                    }
                }
                begins = !self.records.contains(&visit.id);
                Some(visit.id)
            }
        };
        let standing = id.filter(|_| !begins);
        let stored = standing.and_then(|id| self.records.get(&id));
        let stage = match (&decision.record, stored) {
            (Some(RecordUse::Visit(Visit { or_begin: Some(begin), .. })), None) => begin.stage,
            (_, stored) => stored.map_or(0, |stored| stored.stage),
        };
        let subject = stored.and_then(|stored| stored.subject);
        decided.record = standing.and_then(|id| self.view(id));

        // What may refuse openly.
        let open = match self.budgets.spend(&decision.open, subject, stage, now) {
            Ok(open) => open,
            Err(NoBudget { budget, subject, wait }) => {
                return Decided { verdict: Verdict::Exhausted { budget, subject, wait }, ..decided };
            }
        };
        let mark = decision.mark();
        let counters = match &decision.record {
            Some(RecordUse::Visit(visit)) => &visit.counters[..],
            _ => &[],
        };
        let mut is_held = false;
        if let (Some(id), Some(mark)) = (standing, mark) {
            match self.earlier(id, mark, now) {
                Earlier::Nothing => {}
                Earlier::Held => is_held = true,
                Earlier::Outcome(outcome) => {
                    self.budgets.charge(&open, now);
                    return Decided { verdict: Verdict::Repeated(outcome), ..decided };
                }
            }
        }
        // Whatever was held has paid before.
        let ledger = decision.ledger.as_ref().filter(|_| !is_held);
        let counters = if is_held { &[] } else { counters };
        let mut receipts = Receipts { record: id, ..Receipts::default() };
        if let Some(booking) = ledger {
            let (mut reading, room) = self.ledger.consult(booking, minute(now));
            decided.reading = Some(reading);
            if booking.book {
                match room {
                    Ok(()) => {}
                    Err(NoRoom::Ledger(wait)) => {
                        return Decided { verdict: Verdict::LedgerExhausted { wait }, ..decided };
                    }
                    Err(NoRoom::Share(wait)) => {
                        return Decided { verdict: Verdict::ShareExhausted { wait }, ..decided };
                    }
                }
                // The same price in every record, before anything else is decided about the guess.
                self.ledger.book(booking, minute(now), reading.live);
                receipts.booking = Some((*booking, minute(now), reading.live));
                reading.spent += reading.live;
                reading.day += reading.live;
                decided.reading = Some(reading);
            }
        }

        // From here on the act looks as if it had been done.
        self.budgets.charge(&open, now);
        receipts.charged(&open);
        let stored = standing.and_then(|id| self.records.get(&id));
        let used_up = counters.iter().find(|counter| stored.is_some_and(|stored| !stored.has_room(counter)));
        if let Some(counter) = used_up {
            let verdict = Verdict::UsedUp { counter: counter.name };
            self.keep(decision.id, receipts, now);
            return Decided { verdict, ..decided };
        }
        let silent = self.budgets.spend(&decision.silent, subject, stage, now);
        if let Some(id) = id {
            match &decision.record {
                Some(RecordUse::Begin(beginning)) => {
                    let to = match &silent {
                        Ok(_) => beginning.stage,
                        Err(NoBudget { budget, .. }) => {
                            let charge = decision.silent.iter().find(|charge| charge.budget == *budget);
                            charge.map_or(0, |charge| charge.stage_when_exhausted)
                        }
                    };
                    self.begin(beginning, id, begins, to, now);
                    receipts.stages = self.records.get(&id).map(|stored| (stage, stored.stage));
                }
                Some(RecordUse::Visit(Visit { or_begin: Some(begin), .. })) if begins => {
                    let stored = Stored { stage: begin.stage, ..Stored::default() };
                    self.insert(id, stored, now + micros(begin.lifetime));
                }
                _ => {}
            }
            if let Some(stored) = self.records.get_mut(&id) {
                for counter in counters {
                    stored.count(counter.name);
                }
            }
            decided.record = self.view(id);
        }
        receipts.counters =
            counters.iter().filter(|counter| counter.receipt).map(|counter| counter.name).collect();
        let silent = match silent {
            Ok(silent) => silent,
            Err(NoBudget { budget, .. }) => {
                if let (Some(id), Some(mark), false) = (id, mark, is_held)
                    && let Some(stored) = self.records.get_mut(&id)
                {
                    stored.acts().marks.push((mark.id, State::Held));
                    receipts.mark = Some((mark.name, mark.id, State::Held));
                }
                self.keep(decision.id, receipts, now);
                return Decided { verdict: Verdict::Suppressed { budget }, ..decided };
            }
        };
        self.budgets.charge(&silent, now);
        receipts.charged(&silent);
        let worthwhile = mark.is_none_or(|mark| stage & mark.worthwhile != 0);
        if let (Some(id), Some(mark)) = (id, mark)
            && let Some(stored) = self.records.get_mut(&id)
        {
            let state =
                if worthwhile { State::BusySince(now) } else { State::Done(mark.otherwise.to_owned()) };
            let marks = &mut stored.acts().marks;
            marks.retain(|(known, _)| *known != mark.id);
            marks.push((mark.id, state.clone()));
            receipts.mark = Some((mark.name, mark.id, state));
        }
        if worthwhile {
            if decision.makes_live {
                self.ledger.add_live(minute(now));
                receipts.live = Some(minute(now));
            }
            decided.receipts = receipts.names();
        }
        self.keep(decision.id, receipts, now);
        decided
    }

    /// Keeps receipts until their settlement. Those of an act that was not done can only be undone together, for a caller that never heard
    /// of the decision.
    fn keep(&mut self, id: Id, receipts: Receipts, now: Micros) {
        if receipts.stages.is_some() || !receipts.names().is_empty() {
            self.unsettled.push_back((now + SETTLEMENT, id));
            self.receipts.insert(id, receipts);
            // Those that were settled must not pile up for as long as others wait.
            if self.unsettled.len() > 2 * self.receipts.len() + 1024 {
                self.unsettled.retain(|(_, id)| self.receipts.contains_key(id));
            }
        }
    }

    /// Undoes what a settlement names, once.
    pub(crate) fn settle(&mut self, id: Id, settlement: &Settlement<'_>, now: Micros) {
        self.drop_what_is_over(now);
        if let Some(Raise { level, to }) = settlement.raise
            && to >= self.level(&level, now)
        {
            self.levels.insert(level.name, (to, now));
        }
        let Some(receipts) = self.receipts.remove(&id) else { return };
        let undone = |name: &str| settlement.undo.iter().any(|undo| *undo == name || *undo == EVERYTHING);
        for charged in receipts.budgets.iter().filter(|charged| undone(charged.name)) {
            self.budgets.undo(charged, now);
        }
        if let Some(minute) = receipts.live.filter(|_| undone(LIVE)) {
            self.ledger.take_live(minute);
        }
        if let Some((booking, minute, price)) = receipts.booking.filter(|_| undone(BOOKING)) {
            self.ledger.take_back(booking.lane, booking.network, minute, price);
        }
        let Some(id) = receipts.record else { return };
        let Some((slot, stored)) = self.records.find_mut(&id) else { return };
        for counter in receipts.counters.iter().filter(|name| undone(name)) {
            stored.take_back(counter);
        }
        // Another try may have taken the place of this mark meanwhile, and has a settlement of its own.
        if let Some((name, mark, state)) = receipts.mark
            && let Some(Acts { marks, .. }) = stored.acts.as_deref_mut()
            && let Some(position) = marks.iter().position(|known| *known == (mark, state.clone()))
        {
            if undone(name) {
                marks.remove(position);
            } else if let Some(outcome) = settlement.outcome {
                marks[position].1 = State::Done(outcome.to_owned());
            }
        }
        if let Some((before, after)) = receipts.stages.filter(|_| settlement.restores)
            && stored.stage == after
        {
            stored.stage = before;
        }
        if let Some(stage) = settlement.stage {
            stored.stage = stored.stage & stage.sticky | stage.to;
        }
        if let Some(lifetime) = settlement.lifetime {
            stored.ends = now + micros(lifetime);
            self.endings.push(Reverse((stored.ends, slot)));
        }
    }

    /// Ends all records, as a server does that is another one.
    #[cfg(feature = "simulation")]
    pub(crate) fn end_records(&mut self) {
        self.records.clear();
        self.endings.clear();
    }

    /// How much it holds.
    #[cfg(feature = "simulation")]
    pub(crate) fn held(&mut self, live_minutes: u64, now: Micros) -> crate::Held {
        self.drop_what_is_over(now);
        crate::Held {
            records: self.records.len(),
            budgets: self.budgets.len(),
            unsettled: self.receipts.len(),
            live: self.ledger.live(live_minutes, minute(now)),
        }
    }

    fn level(&self, level: &Level, now: Micros) -> u8 {
        let Some((height, since)) = self.levels.get(level.name) else { return 0 };
        let fallen = now.saturating_sub(*since) / micros(level.falls_after).max(1);
        height.saturating_sub(u8::try_from(fallen).unwrap_or(u8::MAX))
    }

    /// The outcome of something that was marked.
    pub(crate) fn recall(&mut self, record: Id, mark: Id, now: Micros) -> Recalled {
        self.drop_what_is_over(now);
        let marks = self.records.get(&record).map(Stored::marks).unwrap_or_default();
        match marks.iter().find(|(known, _)| *known == mark) {
            None => Recalled::Nothing,
            Some((_, State::BusySince(_))) => Recalled::UnderWay,
            Some((_, State::Held)) => Recalled::Held,
            Some((_, State::Done(outcome))) => Recalled::Outcome(outcome.clone()),
        }
    }

    /// Drops the records and receipts that have expired, and beyond [`MAX_RECORDS`] those records that would end soonest.
    fn drop_what_is_over(&mut self, now: Micros) {
        while let Some(&Reverse((ends, slot))) = self.endings.peek()
            && (ends <= now || self.records.len() > MAX_RECORDS)
        {
            self.endings.pop();
            self.records.take_if(slot, |stored| stored.ends == ends);
        }
        while let Some((_, id)) = self.unsettled.pop_front_if(|(until, _)| *until <= now) {
            self.receipts.remove(&id);
        }
    }

    fn view(&self, id: Id) -> Option<Record> {
        self.records.get(&id).map(|stored| Record { id, subject: stored.subject, stage: stored.stage })
    }

    fn may_renew(&self, id: Id, owner: Id, beginning: &Beginning) -> bool {
        self.records.get(&id).is_some_and(|stored| {
            let has_room = beginning.counters.iter().all(|counter| stored.has_room(counter));
            stored.owner == Some(owner) && has_room
        })
    }

    fn visit(&self, visit: &Visit<'_>) -> Result<(), Verdict> {
        match self.records.get(&visit.id) {
            None if visit.or_begin.is_some() => Ok(()),
            None => Err(Verdict::Absent),
            Some(stored) if stored.stage & visit.stages == 0 => Err(Verdict::OtherStage),
            Some(stored) if visit.owner.is_some() && stored.owner != visit.owner => Err(Verdict::OtherOwner),
            Some(_) => Ok(()),
        }
    }

    /// What came of an earlier try of the same act. One whose outcome counts as unknown is forgotten.
    fn earlier(&mut self, id: Id, mark: &Mark<'_>, now: Micros) -> Earlier {
        let Some(stored) = self.records.get_mut(&id) else { return Earlier::Nothing };
        let Some(position) = stored.marks().iter().position(|(known, _)| *known == mark.id) else {
            return Earlier::Nothing;
        };
        match &stored.marks()[position].1 {
            State::Done(outcome) => Earlier::Outcome(Some(outcome.clone())),
            State::BusySince(since) if mark.busy.is_some_and(|busy| since + micros(busy) <= now) => {
                stored.acts().marks.remove(position);
                Earlier::Nothing
            }
            State::BusySince(_) => Earlier::Outcome(None),
            State::Held => Earlier::Held,
        }
    }

    fn begin(&mut self, beginning: &Beginning, id: Id, is_fresh: bool, to: u8, now: Micros) {
        let ends = now + micros(beginning.lifetime);
        if is_fresh {
            let stored = Stored {
                owner: Some(beginning.fresh.owner),
                subject: Some(beginning.subject),
                stage: to,
                ..Stored::default()
            };
            self.insert(id, stored, ends);
        } else if let Some((slot, stored)) = self.records.find_mut(&id) {
            stored.stage = stored.stage & beginning.sticky | to;
            stored.subject = Some(beginning.subject);
            stored.ends = ends;
            self.endings.push(Reverse((ends, slot)));
        }
    }

    fn insert(&mut self, id: Id, stored: Stored, ends: Micros) {
        let slot = self.records.insert(id, Stored { ends, ..stored });
        self.endings.push(Reverse((ends, slot)));
    }
}

impl Stored {
    fn acts(&mut self) -> &mut Acts {
        self.acts.get_or_insert_default()
    }

    fn marks(&self) -> &[(Id, State)] {
        self.acts.as_ref().map(|acts| &acts.marks[..]).unwrap_or_default()
    }

    fn has_room(&self, counter: &Counter) -> bool {
        let used = self.acts.iter().flat_map(|acts| &acts.used).find(|(name, _)| *name == counter.name);
        used.map_or(0, |(_, used)| *used) < counter.most
    }

    fn count(&mut self, counter: &'static str) {
        let used = &mut self.acts().used;
        match used.iter_mut().find(|(name, _)| *name == counter) {
            Some((_, used)) => *used += 1,
            None => used.push((counter, 1)),
        }
    }

    fn take_back(&mut self, counter: &str) {
        let used = self.acts.iter_mut().flat_map(|acts| &mut acts.used);
        if let Some((_, used)) = used.into_iter().find(|(name, _)| *name == counter) {
            *used = used.saturating_sub(1);
        }
    }
}

impl Receipts {
    fn charged(&mut self, spending: &Spending) {
        let undoable = spending.spent.iter().filter(|spent| spent.receipt);
        self.budgets.extend(undoable);
    }

    fn names(&self) -> Vec<&'static str> {
        // In one piece: jemalloc takes twenty times as long to make room in a vector that grows than to give it at once.
        let mut names = Vec::with_capacity(self.budgets.len() + self.counters.len() + 3);
        names.extend(self.budgets.iter().map(|charged| charged.name));
        names.dedup();
        names.extend(self.live.map(|_| LIVE));
        names.extend(self.booking.map(|_| BOOKING));
        names.extend(&self.counters);
        names.extend(self.mark.as_ref().map(|(name, ..)| *name));
        names
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::decision::OrBegin;

    const HOUR: Micros = 3_600_000_000;

    /// Visits a record, and begins it if it does not stand.
    fn visit(memory: &mut Memory, number: u128, or_begin: Option<OrBegin>, now: Micros) -> Verdict {
        let id = Id(number.to_be_bytes());
        let (stages, counters) = (u8::MAX, Vec::new());
        let visit = Visit { id, owner: None, stages, or_begin, counters, mark: None };
        let decision = Decision { record: Some(RecordUse::Visit(visit)), ..Decision::new(id) };
        memory.decide(&decision, now).verdict
    }

    #[test]
    fn records_end_in_their_time_and_too_many_of_them_end_the_oldest() {
        let mut memory = Memory::default();
        let begin = Some(OrBegin { stage: 1, lifetime: Duration::from_secs(600) });
        let most = MAX_RECORDS as u64;
        for number in 0..most + 5 {
            assert_eq!(visit(&mut memory, number.into(), begin, HOUR + number), Verdict::Charged);
        }
        let now = HOUR + most + 5;
        assert_eq!(visit(&mut memory, most.into(), None, now), Verdict::Charged);
        assert_eq!(memory.records.len(), MAX_RECORDS);
        let standing = (0..10).filter(|number| visit(&mut memory, *number, None, now) == Verdict::Charged);
        assert_eq!(standing.collect::<Vec<_>>(), [5, 6, 7, 8, 9]);
        assert_eq!(visit(&mut memory, 9, None, now + 600_000_000), Verdict::Absent);
        assert_eq!((memory.records.len(), memory.endings.len()), (0, 0));
    }

    #[test]
    fn receipts_that_nobody_settles_are_dropped() {
        let mut memory = Memory::default();
        let decision =
            |number: u128| Decision { makes_live: true, ..Decision::new(Id(number.to_be_bytes())) };
        for number in 0..100 {
            memory.decide(&decision(number), HOUR);
        }
        memory.decide(&decision(100), HOUR + SETTLEMENT);
        assert_eq!((memory.receipts.len(), memory.unsettled.len()), (1, 1));
    }

    #[test]
    fn what_is_settled_does_not_pile_up() {
        let mut memory = Memory::default();
        for number in 0..10_000_u128 {
            let id = Id(number.to_be_bytes());
            memory.decide(&Decision { makes_live: true, ..Decision::new(id) }, HOUR);
            assert!(memory.unsettled.len() <= 2 + 1024);
            memory.settle(id, &Settlement::default(), HOUR);
        }
    }

    /// The limits of what is kept are counts, so sizes say how much memory they come to.
    #[test]
    fn what_there_are_many_of_is_small() {
        use crate::budgets::{Arrival, BudgetKey};
        assert_eq!(size_of::<(Id, Stored)>(), 72);
        assert_eq!(size_of::<(BudgetKey, Arrival)>(), 32);
    }
}
