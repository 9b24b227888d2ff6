//! Budgets in this process, spent by the generic cell rate algorithm.
//!
//! Bounded, and of constant cost for each newcomer: where there is no room, the budget goes that would be unused soonest, so one of a day
//! that is partly used outlives one of an hour, and a budget that is exhausted never goes. Where only such are found, newcomers share one
//! budget. Not built on governor, which cannot give anything back and can only drop what is full again.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, VecDeque},
    time::Duration,
};

use crate::{
    Micros,
    decision::{Charge, DISTINCT, Newcomers, Subject},
    id::Id,
    rate::Rate,
    table::{Slot, Table},
};

/// The most budgets that are kept, and the most things seen. They take some five megabytes, and four.
const MAX_BUDGETS: usize = 100_000;
/// How many exhausted budgets are looked at, at most, to find one that may go.
const MAX_LOOKS: usize = 32;

/// A time in whole seconds, rounded up: half as large as one in microseconds, and enough to know when something may be forgotten. So things seen are
/// known up to a second longer than in Redis.
type Second = u32;

fn second(time: Micros) -> Second {
    Second::try_from(time.div_ceil(1_000_000)).unwrap_or(Second::MAX)
}

fn is_over(second: Second, now: Micros) -> bool {
    Micros::from(second) * 1_000_000 <= now
}

/// All budgets, and the distinct things that were seen within the last hour.
#[derive(Clone, Debug)]
pub(crate) struct Budgets {
    arrivals: Table<BudgetKey, Arrival>,
    /// The name and the period of each kind of budget.
    kinds: Vec<(&'static str, Duration)>,
    /// When budgets are unused again, the next one first; one that was charged again stands here more than once.
    endings: BinaryHeap<Reverse<(Second, Slot)>>,
    seen: Seen,
    max_budgets: usize,
}

/// Names a budget in 18 bytes, for there are many.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct BudgetKey {
    /// `None` is the budget that newcomers share when there is no room.
    subject: Option<Subject>,
    /// Its place in [`Budgets::kinds`].
    kind: u8,
}

/// Packed, for there are many: 12 bytes and not 16.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(Rust, packed(4))]
pub(crate) struct Arrival {
    /// When all that was spent will have come back.
    at: Micros,
    /// The count of the rate at which the last one was spent. It is another one for a wider network of the same name.
    count: u32,
}

/// Charges that have room and are not written yet.
#[derive(Debug, Default)]
pub(crate) struct Spending {
    pub(crate) spent: Vec<Spent>,
    /// Things that count as seen from now on.
    seen: Vec<(Subject, Id)>,
}

/// The charge of one rate.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spent {
    pub(crate) name: &'static str,
    pub(crate) key: BudgetKey,
    arrival: Arrival,
    /// How long one takes to come back.
    interval: Micros,
    /// Whether a settlement may undo it.
    pub(crate) receipt: bool,
}

/// The first budget that has no room.
#[derive(Debug)]
pub(crate) struct NoBudget {
    pub(crate) budget: &'static str,
    pub(crate) subject: Subject,
    /// How long until it has room.
    pub(crate) wait: Duration,
}

impl Default for Budgets {
    fn default() -> Self {
        Self::with_capacity(MAX_BUDGETS)
    }
}

impl Budgets {
    fn with_capacity(max_budgets: usize) -> Self {
        Self {
            arrivals: Table::default(),
            kinds: Vec::new(),
            endings: BinaryHeap::new(),
            seen: Seen::default(),
            max_budgets,
        }
    }

    /// Computes the budgets as they would be after these charges, without writing them.
    pub(crate) fn spend(
        &mut self,
        charges: &[Charge<'_>],
        subject: Option<Id>,
        stage: u8,
        now: Micros,
    ) -> Result<Spending, NoBudget> {
        let mut spending = Spending::default();
        for charge in charges {
            let subject = match (charge.subject, subject) {
                (Subject::OfRecord, None) => continue,
                (Subject::OfRecord, Some(id)) => Subject::Of(id),
                (subject, _) => subject,
            };
            let distinct = charge.distinct.map(|id| (subject, id));
            let known = distinct.is_some_and(|thing| self.seen.contains(thing, now));
            let is_meant = charge.stages == u8::MAX || stage & charge.stages != 0;
            if known || !is_meant {
                continue;
            }
            let spent = self.spend_rates(subject, charge.budget, charge.rates, charge.receipt, now);
            match (spent, &charge.newcomers) {
                (Ok(spent), _) => spending.spent.extend(spent),
                (Err(wait), Some(newcomers))
                    if !self.seen.contains((Subject::All, newcomers.network), now) =>
                {
                    let reserved = self.spend_reserve(newcomers, charge.receipt, now);
                    // Whichever has room first.
                    let reserved = reserved.map_err(|none| NoBudget { wait: wait.min(none.wait), ..none })?;
                    spending.spent.extend(reserved);
                }
                (Err(wait), _) => return Err(NoBudget { budget: charge.budget, subject, wait }),
            }
            spending.seen.extend(distinct);
            spending.seen.extend(charge.newcomers.map(|newcomers| (Subject::All, newcomers.network)));
        }
        Ok(spending)
    }

    fn spend_rates(
        &mut self,
        subject: Subject,
        name: &'static str,
        rates: &[Rate],
        receipt: bool,
        now: Micros,
    ) -> Result<Vec<Spent>, Duration> {
        let (mut all, mut wait) = (Vec::new(), None);
        for rate in rates {
            let kind = self.kind(name, rate.period);
            let key = self.place(BudgetKey { subject: Some(subject), kind }, now);
            let arrival = self.arrivals.get(&key).map_or(0, |arrival| arrival.at);
            match rate.spend(arrival, now) {
                Ok(at) => {
                    let arrival = Arrival { at, count: rate.count };
                    all.push(Spent { name, key, arrival, interval: rate.interval(), receipt });
                }
                // Whoever waits must find room in all of them.
                Err(until) => wait = wait.max(Some(until)),
            }
        }
        wait.map_or(Ok(all), |wait| Err(Duration::from_micros(wait)))
    }

    /// The kind of budgets with a name and a period.
    fn kind(&mut self, name: &'static str, period: Duration) -> u8 {
        let known = self.kinds.iter().position(|kind| *kind == (name, period));
        let place = known.unwrap_or_else(|| {
            self.kinds.push((name, period));
            self.kinds.len() - 1
        });
        u8::try_from(place).expect("there are some twenty names of budgets, and four periods")
    }

    fn spend_reserve(
        &mut self,
        newcomers: &Newcomers<'_>,
        receipt: bool,
        now: Micros,
    ) -> Result<Vec<Spent>, NoBudget> {
        let reserve = self.spend_rates(Subject::All, newcomers.reserve, newcomers.rates, receipt, now);
        let no_room = |budget, subject| move |wait| NoBudget { budget, subject, wait };
        let mut spent = reserve.map_err(no_room(newcomers.reserve, Subject::All))?;
        let block = Subject::Of(newcomers.block);
        let of_block = self.spend_rates(block, newcomers.per_block, newcomers.block_rates, receipt, now);
        spent.extend(of_block.map_err(no_room(newcomers.per_block, block))?);
        Ok(spent)
    }

    /// Writes charges that have room.
    pub(crate) fn charge(&mut self, spending: &Spending, now: Micros) {
        for Spent { key, arrival, .. } in &spending.spent {
            self.write(*key, *arrival);
        }
        for thing in &spending.seen {
            self.seen.insert(*thing, now, self.max_budgets);
        }
        self.drop_unused(now);
    }

    fn write(&mut self, key: BudgetKey, arrival: Arrival) {
        let slot = self.arrivals.insert(key, arrival);
        self.endings.push(Reverse((second(arrival.at), slot)));
        // Entries that a later charge made void must not pile up.
        if self.endings.len() > 2 * self.arrivals.len() + 1024 {
            let endings = self.arrivals.iter();
            let endings = endings.map(|(slot, (_, arrival))| Reverse((second(arrival.at), slot)));
            self.endings = endings.collect();
        }
    }

    fn drop_unused(&mut self, now: Micros) {
        while let Some(&Reverse((at, slot))) = self.endings.peek()
            && is_over(at, now)
        {
            self.endings.pop();
            self.arrivals.take_if(slot, |arrival| second(arrival.at) == at);
        }
    }

    /// The key itself when it is known or there is room, else the one that newcomers share.
    fn place(&mut self, key: BudgetKey, now: Micros) -> BudgetKey {
        if self.arrivals.len() < self.max_budgets || self.arrivals.contains(&key) {
            return key;
        }
        let (mut exhausted, mut place) = (Vec::new(), BudgetKey { subject: None, ..key });
        while exhausted.len() < MAX_LOOKS
            && let Some(Reverse((at, slot))) = self.endings.pop()
        {
            let next = self.arrivals.at(slot).copied().filter(|(_, arrival)| second(arrival.at) == at);
            let Some((next, arrival)) = next else { continue };
            let (_, period) = self.kinds[usize::from(next.kind)];
            if (Rate { count: arrival.count, period }).spend(arrival.at, now).is_ok() {
                self.arrivals.take(slot);
                place = key;
                break;
            }
            // It stands here once for each charge in the same second.
            if exhausted.last() != Some(&Reverse((at, slot))) {
                exhausted.push(Reverse((at, slot)));
            }
        }
        self.endings.extend(exhausted);
        place
    }

    #[cfg(feature = "simulation")]
    pub(crate) fn len(&self) -> usize {
        self.arrivals.len()
    }

    /// Takes one charge back. A charge whose time is over has come back by itself.
    pub(crate) fn undo(&mut self, charged: &Spent, now: Micros) {
        if let Some(arrival) = self.arrivals.get(&charged.key).copied().filter(|_| charged.arrival.at > now) {
            let at = arrival.at.saturating_sub(charged.interval);
            self.write(charged.key, Arrival { at, ..arrival });
        }
    }
}

/// Things that were seen within the last hour, in the order in which they are forgotten.
#[derive(Clone, Debug, Default)]
struct Seen {
    until: Table<Id, Second>,
    order: VecDeque<(Second, Slot)>,
}

/// One number for a thing of a subject. Both are random or keyed hashes, so that nobody finds two pairs with the same one; multiplied, so that this
/// holds for numbers that resemble each other too.
fn of(subject: Subject, Id(thing): Id) -> Id {
    const ODD: u128 = 0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835;
    let Subject::Of(Id(subject)) = subject else { return Id(thing) };
    let subject = u128::from_be_bytes(subject).wrapping_mul(ODD);
    Id(subject.wrapping_add(u128::from_be_bytes(thing)).to_be_bytes())
}

impl Seen {
    fn contains(&self, (subject, thing): (Subject, Id), now: Micros) -> bool {
        self.until.get(&of(subject, thing)).is_some_and(|until| !is_over(*until, now))
    }

    fn insert(&mut self, (subject, thing): (Subject, Id), now: Micros, most: usize) {
        let thing = of(subject, thing);
        while let Some(&(until, slot)) = self.order.front()
            && (is_over(until, now) || self.order.len() >= most)
        {
            self.order.pop_front();
            self.until.take_if(slot, |known| *known == until);
        }
        let until = second(now + DISTINCT);
        let slot = self.until.insert(thing, until);
        self.order.push_back((until, slot));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Micros = 3_600_000_000;

    /// Whether one of a subject's budget could be spent.
    fn spend(budgets: &mut Budgets, subject: u64, rate: &str, now: Micros) -> bool {
        let rates = [rate.parse().unwrap()];
        let subject = Subject::Of(Id(u128::from(subject).to_be_bytes()));
        let spent = budgets.spend(&[Charge::new("test", subject, &rates)], None, 0, now);
        spent.map(|spending| budgets.charge(&spending, now)).is_ok()
    }

    #[test]
    fn a_million_random_keys_do_not_grow_it_and_free_no_exhausted_one() {
        let mut budgets = Budgets::default();
        for blocked in 0..1000 {
            for admitted in [true, true, true, false] {
                assert_eq!(spend(&mut budgets, blocked, "3/h", HOUR), admitted);
            }
        }
        for subject in 1000..1_000_000 {
            spend(&mut budgets, subject, "3/h", HOUR + subject);
        }
        assert!(budgets.arrivals.len() <= MAX_BUDGETS);
        for blocked in 0..1000 {
            assert!(!spend(&mut budgets, blocked, "3/h", HOUR + 2_000_000), "{blocked}");
        }
    }

    #[test]
    fn when_all_are_exhausted_newcomers_share_one_budget() {
        let mut budgets = Budgets::with_capacity(100);
        for subject in 0..100 {
            assert!(spend(&mut budgets, subject, "1/h", HOUR));
        }
        assert!(spend(&mut budgets, 100, "1/h", HOUR), "the first of them");
        for subject in 101..200 {
            assert!(!spend(&mut budgets, subject, "1/h", HOUR));
        }
        assert!(!spend(&mut budgets, 5, "1/h", HOUR));
        assert!(spend(&mut budgets, 5, "1/h", 2 * HOUR) && spend(&mut budgets, 101, "1/h", 2 * HOUR));
    }

    /// A login whose budget of a day is partly used keeps it while strangers come by the ten thousand.
    #[test]
    fn a_budget_that_is_partly_used_outlives_those_that_are_less_used() {
        let mut budgets = Budgets::with_capacity(1000);
        for _ in 0..9 {
            assert!(spend(&mut budgets, 1, "10/day", HOUR));
        }
        for subject in 2..50_000 {
            spend(&mut budgets, subject, "10/h", HOUR + subject);
        }
        assert!(spend(&mut budgets, 1, "10/day", 2 * HOUR));
        assert!(!spend(&mut budgets, 1, "10/day", 2 * HOUR));
        assert!(budgets.endings.len() <= 2 * 1000 + 1024 && budgets.arrivals.len() <= 1000);
    }

    #[test]
    fn a_budget_that_is_charged_again_and_again_does_not_pile_up() {
        let mut budgets = Budgets::default();
        for number in 0..10_000 {
            assert!(spend(&mut budgets, 1, "100000/h", HOUR + number));
            assert!(budgets.endings.len() <= 2 + 1024);
        }
    }

    /// Exhausted ones that are unused sooner are passed over.
    #[test]
    fn where_there_is_no_room_a_newcomer_gets_the_place_of_one_that_is_not_exhausted() {
        let mut budgets = Budgets::with_capacity(20);
        for subject in 0..10 {
            assert!(spend(&mut budgets, subject, "1/min", HOUR));
            assert!(spend(&mut budgets, 100 + subject, "3/h", HOUR));
        }
        for subject in 200..210 {
            assert!([(); 3].iter().all(|()| spend(&mut budgets, subject, "3/h", HOUR + 1)), "{subject}");
            assert!(!spend(&mut budgets, subject, "3/h", HOUR + 1));
        }
        assert!((0..10).all(|subject| !spend(&mut budgets, subject, "1/min", HOUR + 1)));
        assert!(budgets.arrivals.iter().all(|(_, (key, _))| key.subject.is_some()));
    }

    /// Networks of different width have budgets of one name, period and different counts.
    #[test]
    fn an_exhausted_budget_stays_beside_a_larger_one_of_its_name() {
        const MINUTE: Micros = HOUR / 60;
        let mut budgets = Budgets::with_capacity(2);
        for subject in [1, 2] {
            assert!([(); 10].iter().all(|()| spend(&mut budgets, subject, "10/h", HOUR)));
        }
        let now = HOUR + 2 * MINUTE;
        spend(&mut budgets, 3, "60/h", now);
        assert!(!spend(&mut budgets, 1, "10/h", now) && !spend(&mut budgets, 2, "10/h", now));
    }

    #[test]
    fn what_is_unused_again_is_dropped() {
        let mut budgets = Budgets::default();
        for subject in 0..5000 {
            spend(&mut budgets, subject, "10/h", HOUR);
        }
        spend(&mut budgets, 9999, "10/h", 2 * HOUR);
        assert_eq!((budgets.arrivals.len(), budgets.endings.len()), (1, 1));
    }

    /// What is undone is what was charged, and no more: not a later charge.
    #[test]
    fn a_charge_is_undone_once_and_takes_no_other_with_it() {
        let rates = ["2/h".parse().unwrap()];
        let charges = [Charge::new("test", Subject::All, &rates)];
        let mut budgets = Budgets::default();
        let spend = |budgets: &mut Budgets, now| {
            let spending = budgets.spend(&charges, None, 0, now).ok()?;
            budgets.charge(&spending, now);
            Some(spending.spent[0])
        };
        let first = spend(&mut budgets, HOUR).unwrap();
        // The first has come back by itself when the second is charged.
        let second = spend(&mut budgets, HOUR + HOUR * 3 / 4).unwrap();
        budgets.undo(&first, HOUR + HOUR * 3 / 4);
        assert!(spend(&mut budgets, HOUR + HOUR * 3 / 4).is_some());
        assert!(spend(&mut budgets, HOUR + HOUR * 3 / 4).is_none());
        budgets.undo(&second, HOUR + HOUR * 3 / 4);
        assert!(spend(&mut budgets, HOUR + HOUR * 3 / 4).is_some());
        assert!(spend(&mut budgets, HOUR + HOUR * 3 / 4).is_none());
    }

    /// A charge whose time is over has come back by itself, from the very moment on.
    #[test]
    fn a_charge_that_came_back_is_not_undone() {
        let (half, mut budgets) = (HOUR / 2, Budgets::default());
        let rates = ["2/h".parse().unwrap()];
        let charges = [Charge::new("test", Subject::All, &rates)];
        let first = budgets.spend(&charges, None, 0, HOUR).unwrap();
        budgets.charge(&first, HOUR);
        let second = budgets.spend(&charges, None, 0, HOUR).unwrap();
        budgets.charge(&second, HOUR);
        budgets.undo(&first.spent[0], HOUR + half);
        assert!(
            budgets
                .spend(&charges, None, 0, HOUR + half)
                .map(|spending| budgets.charge(&spending, HOUR + half))
                .is_ok()
        );
        assert!(budgets.spend(&charges, None, 0, HOUR + half).is_err());
    }

    #[test]
    fn things_are_forgotten_in_the_order_in_which_they_came() {
        let mut seen = Seen::default();
        let thing = |number: u128| (Subject::All, Id(number.to_be_bytes()));
        for number in 0..150 {
            seen.insert(thing(number), HOUR, 100);
        }
        assert_eq!((seen.until.len(), seen.order.len()), (100, 100));
        assert!(!seen.contains(thing(49), HOUR) && seen.contains(thing(50), HOUR));
        assert!(!seen.contains(thing(50), HOUR + DISTINCT));
    }
}
