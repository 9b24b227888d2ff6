//! Counters in this process. They read no clock: the caller passes the time. `lua/decide.lua` and `lua/settle.lua` take the same steps in
//! Redis, in the same order.
//!
//! Bounded: when there are too many records, those that would end soonest end now, which ends a flow and never grants anything.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap, VecDeque},
};

use crate::{
    Micros,
    budgets::{BudgetKey, Budgets},
    decision::{
        BOOKING, Beginning, Counter, Decided, Decision, LIVE, Mark, Recalled, Record, RecordUse, SETTLEMENT,
        Settlement, Verdict, Visit,
    },
    id::Id,
    ledger::{Ledger, minute},
    rate::micros,
};

/// The most records that are kept, which take some twenty megabytes. When there are more, those that would end soonest end now.
const MAX_RECORDS: usize = 100_000;
/// All counters.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    budgets: Budgets,
    records: HashMap<Id, Stored>,
    /// When records end, the next one first; a record that was renewed stands here more than once.
    endings: BinaryHeap<Reverse<(Micros, Id)>>,
    receipts: HashMap<Id, Receipts>,
    /// Receipts in the order in which they are dropped.
    unsettled: VecDeque<(Micros, Id)>,
    ledger: Ledger,
}

#[derive(Debug, Default)]
struct Stored {
    owner: Option<Id>,
    subject: Option<Id>,
    stage: u8,
    ends: Micros,
    used: Vec<(&'static str, u32)>,
    marks: Vec<(Id, State)>,
}

#[derive(Debug)]
enum State {
    BusySince(Micros),
    Done(String),
}

/// What a settlement may undo.
#[derive(Debug, Default)]
struct Receipts {
    /// Each budget that was charged, and by how much its arrival time goes back.
    budgets: Vec<(BudgetKey, Micros)>,
    live: Option<u64>,
    booking: Option<(&'static str, u64, u32)>,
    record: Option<Id>,
    counters: Vec<&'static str>,
    /// The name and the id of the mark, and the time at which its act began.
    mark: Option<(&'static str, Id, Micros)>,
}

impl Memory {
    /// Decides whether an act may be done, and charges what it costs.
    pub(crate) fn decide(&mut self, decision: &Decision<'_>, now: Micros) -> Decided {
        self.drop_what_is_over(now);
        let mut decided =
            Decided { verdict: Verdict::Charged, record: None, reading: None, receipts: Vec::new() };
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
                begins = !self.records.contains_key(&visit.id);
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
            Err((budget, wait)) => {
                return Decided { verdict: Verdict::Exhausted { budget, wait }, ..decided };
            }
        };
        let mark = decision.mark();
        let counters = match &decision.record {
            Some(RecordUse::Visit(visit)) => &visit.counters[..],
            _ => &[],
        };
        if let (Some(id), Some(mark)) = (standing, mark)
            && let Some(outcome) = self.outcome(id, mark, now)
        {
            self.budgets.charge(&open, now);
            return Decided { verdict: Verdict::Repeated(outcome), ..decided };
        }
        if let Some(booking) = &decision.ledger {
            let (reading, wait) = self.ledger.consult(booking, minute(now));
            decided.reading = Some(reading);
            if booking.book && reading.is_exhausted() {
                return Decided { verdict: Verdict::LedgerExhausted { wait }, ..decided };
            }
        }

        // From here on the act looks as if it had been done.
        self.budgets.charge(&open, now);
        let stored = standing.and_then(|id| self.records.get(&id));
        let used_up = counters.iter().find(|counter| stored.is_some_and(|stored| !stored.has_room(counter)));
        if let Some(counter) = used_up {
            return Decided { verdict: Verdict::UsedUp { counter: counter.name }, ..decided };
        }
        let silent = self.budgets.spend(&decision.silent, subject, stage, now);
        let mut receipts = Receipts { record: id, ..Receipts::default() };
        if let Some(id) = id {
            match &decision.record {
                Some(RecordUse::Begin(beginning)) => {
                    let to = match &silent {
                        Ok(_) => beginning.stage,
                        Err((budget, _)) => {
                            let charge = decision.silent.iter().find(|charge| charge.budget == *budget);
                            charge.map_or(0, |charge| charge.stage_when_exhausted)
                        }
                    };
                    self.begin(beginning, id, begins, to, now);
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
        let silent = match silent {
            Ok(silent) => silent,
            Err((budget, _)) => return Decided { verdict: Verdict::Suppressed { budget }, ..decided },
        };
        self.budgets.charge(&silent, now);
        let worthwhile = mark.is_none_or(|mark| stage & mark.worthwhile != 0);
        if let (Some(id), Some(mark)) = (id, mark)
            && let Some(stored) = self.records.get_mut(&id)
        {
            let state =
                if worthwhile { State::BusySince(now) } else { State::Done(mark.otherwise.to_owned()) };
            stored.marks.push((mark.id, state));
        }
        if !worthwhile {
            return decided;
        }
        if let (Some(booking), Some(reading)) = (&decision.ledger, &mut decided.reading)
            && booking.book
        {
            self.ledger.book(booking.lane.0, minute(now), reading.live);
            receipts.booking = Some((booking.lane.0, minute(now), reading.live));
            reading.spent += reading.live;
        }
        if decision.makes_live {
            self.ledger.add_live(minute(now));
            receipts.live = Some(minute(now));
        }
        let undoable = open.iter().chain(&silent).filter(|spent| spent.receipt);
        receipts.budgets = undoable.map(|spent| (spent.key, spent.arrival.rate.interval())).collect();
        receipts.counters =
            counters.iter().filter(|counter| counter.receipt).map(|counter| counter.name).collect();
        receipts.mark = mark.map(|mark| (mark.name, mark.id, now));
        decided.receipts = receipts.names();
        if !decided.receipts.is_empty() || matches!(decision.record, Some(RecordUse::Begin(_))) {
            self.unsettled.push_back((now + SETTLEMENT, decision.id));
            self.receipts.insert(decision.id, receipts);
        }
        decided
    }

    /// Undoes what a settlement names, once.
    pub(crate) fn settle(&mut self, id: Id, settlement: &Settlement<'_>, now: Micros) {
        self.drop_what_is_over(now);
        let Some(receipts) = self.receipts.remove(&id) else { return };
        let undone = |name: &str| settlement.undo.contains(&name);
        for (key, interval) in receipts.budgets.iter().filter(|(key, _)| undone(key.name)) {
            self.budgets.undo(key, *interval);
        }
        if let Some(minute) = receipts.live.filter(|_| undone(LIVE)) {
            self.ledger.take_live(minute);
        }
        if let Some((lane, minute, price)) = receipts.booking.filter(|_| undone(BOOKING)) {
            self.ledger.take_back(lane, minute, price);
        }
        let Some(id) = receipts.record else { return };
        let Some(stored) = self.records.get_mut(&id) else { return };
        for counter in receipts.counters.iter().filter(|name| undone(name)) {
            stored.take_back(counter);
        }
        // Another try may have taken the place of this mark meanwhile, and has a settlement of its own.
        if let Some((name, mark, since)) = receipts.mark
            && let Some(position) = stored.marks.iter().position(|(known, state)| {
                *known == mark && matches!(state, State::BusySince(busy) if *busy == since)
            })
        {
            if undone(name) {
                stored.marks.remove(position);
            } else if let Some(outcome) = settlement.outcome {
                stored.marks[position].1 = State::Done(outcome.to_owned());
            }
        }
        if let Some(stage) = settlement.stage {
            stored.stage = stored.stage & stage.sticky | stage.to;
        }
        if let Some(lifetime) = settlement.lifetime {
            stored.ends = now + micros(lifetime);
            self.endings.push(Reverse((stored.ends, id)));
        }
    }

    /// The outcome of something that was marked.
    pub(crate) fn recall(&mut self, record: Id, mark: Id, now: Micros) -> Recalled {
        self.drop_what_is_over(now);
        let marks = self.records.get(&record).map(|stored| &stored.marks[..]).unwrap_or_default();
        match marks.iter().find(|(known, _)| *known == mark) {
            None => Recalled::Nothing,
            Some((_, State::BusySince(_))) => Recalled::UnderWay,
            Some((_, State::Done(outcome))) => Recalled::Outcome(outcome.clone()),
        }
    }

    /// Drops the records and receipts that have expired, and beyond [`MAX_RECORDS`] those records that would end soonest.
    fn drop_what_is_over(&mut self, now: Micros) {
        while let Some(&Reverse((ends, id))) = self.endings.peek()
            && (ends <= now || self.records.len() > MAX_RECORDS)
        {
            self.endings.pop();
            if self.records.get(&id).is_some_and(|stored| stored.ends == ends) {
                self.records.remove(&id);
            }
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

    /// The outcome of an earlier try, `None` when there was none or its outcome counts as unknown.
    fn outcome(&mut self, id: Id, mark: &Mark<'_>, now: Micros) -> Option<Option<String>> {
        let marks = &mut self.records.get_mut(&id)?.marks;
        let position = marks.iter().position(|(known, _)| *known == mark.id)?;
        match &marks[position].1 {
            State::Done(outcome) => Some(Some(outcome.clone())),
            State::BusySince(since) if mark.busy.is_some_and(|busy| since + micros(busy) <= now) => {
                marks.remove(position);
                None
            }
            State::BusySince(_) => Some(None),
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
        } else if let Some(stored) = self.records.get_mut(&id) {
            stored.stage = stored.stage & beginning.sticky | to;
            stored.subject = Some(beginning.subject);
            stored.ends = ends;
            self.endings.push(Reverse((ends, id)));
        }
    }

    fn insert(&mut self, id: Id, stored: Stored, ends: Micros) {
        self.records.insert(id, Stored { ends, ..stored });
        self.endings.push(Reverse((ends, id)));
    }
}

impl Stored {
    fn has_room(&self, counter: &Counter) -> bool {
        let used = self.used.iter().find(|(name, _)| *name == counter.name).map_or(0, |(_, used)| *used);
        used < counter.most
    }

    fn count(&mut self, counter: &'static str) {
        match self.used.iter_mut().find(|(name, _)| *name == counter) {
            Some((_, used)) => *used += 1,
            None => self.used.push((counter, 1)),
        }
    }

    fn take_back(&mut self, counter: &str) {
        if let Some((_, used)) = self.used.iter_mut().find(|(name, _)| *name == counter) {
            *used = used.saturating_sub(1);
        }
    }
}

impl Receipts {
    fn names(&self) -> Vec<&'static str> {
        let mut names: Vec<_> = self.budgets.iter().map(|(key, _)| key.name).collect();
        names.dedup();
        names.extend(self.live.map(|_| LIVE));
        names.extend(self.booking.map(|_| BOOKING));
        names.extend(&self.counters);
        names.extend(self.mark.map(|(name, ..)| name));
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
        for number in 0..MAX_RECORDS as u128 + 5 {
            assert_eq!(visit(&mut memory, number, begin, HOUR), Verdict::Charged);
        }
        assert_eq!(visit(&mut memory, MAX_RECORDS as u128, None, HOUR), Verdict::Charged);
        assert_eq!(memory.records.len(), MAX_RECORDS);
        let standing =
            (0..10).filter(|number| visit(&mut memory, *number, None, HOUR) == Verdict::Charged).count();
        assert_eq!(standing, 5);
        assert_eq!(visit(&mut memory, 9, None, HOUR + 600_000_000), Verdict::Absent);
        assert!(memory.records.is_empty() && memory.endings.is_empty());
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
}
