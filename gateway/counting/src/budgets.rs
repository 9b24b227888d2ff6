//! Budgets in this process, spent by the generic cell rate algorithm.
//!
//! Bounded: budgets that are far from exhausted are dropped first, exhausted ones never. Where none can be dropped, newcomers share
//! one budget. Not built on governor, which cannot give anything back and can only drop what is full again.

use std::{collections::HashMap, time::Duration};

use crate::{
    Micros,
    decision::{Charge, DISTINCT, Subject},
    id::Id,
    rate::Rate,
};

/// The most budgets that are kept. They take some ten megabytes.
const MAX_BUDGETS: usize = 100_000;
/// All budgets, and the distinct things that were seen within the last hour.
#[derive(Debug)]
pub(crate) struct Budgets {
    arrivals: HashMap<BudgetKey, Arrival>,
    /// Until when a thing counts as seen by a subject.
    distinct: HashMap<(Subject, Id), Micros>,
    max_budgets: usize,
    distinct_to_sweep: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct BudgetKey {
    /// `None` is the budget that newcomers share when there is no room.
    subject: Option<Subject>,
    pub(crate) name: &'static str,
    period: Duration,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Arrival {
    at: Micros,
    pub(crate) rate: Rate,
}

/// A charge that has room and is not written yet.
pub(crate) struct Spent {
    pub(crate) key: BudgetKey,
    pub(crate) arrival: Arrival,
    distinct: Option<(Subject, Id)>,
    /// Whether a settlement may undo it.
    pub(crate) receipt: bool,
}

impl Default for Budgets {
    fn default() -> Self {
        Self::with_capacity(MAX_BUDGETS)
    }
}

impl Budgets {
    fn with_capacity(max_budgets: usize) -> Self {
        let (arrivals, distinct) = (HashMap::new(), HashMap::new());
        Self { arrivals, distinct, max_budgets, distinct_to_sweep: 1024 }
    }

    /// Computes the budgets as they would be after these charges, without writing them. Fails with the name of the first budget that has no
    /// room, and how long until it has.
    pub(crate) fn spend(
        &mut self,
        charges: &[Charge<'_>],
        subject: Option<Id>,
        stage: u8,
        now: Micros,
    ) -> Result<Vec<Spent>, (&'static str, Duration)> {
        let mut spent = Vec::new();
        for charge in charges {
            let subject = match (charge.subject, subject) {
                (Subject::OfRecord, None) => continue,
                (Subject::OfRecord, Some(id)) => Subject::Of(id),
                (subject, _) => subject,
            };
            let distinct = charge.distinct.map(|id| (subject, id));
            let known = distinct.is_some_and(|key| self.distinct.get(&key).is_some_and(|until| *until > now));
            let is_meant = charge.stages == u8::MAX || stage & charge.stages != 0;
            if known || !is_meant || stage & charge.unless != 0 {
                continue;
            }
            for rate in charge.rates {
                let key = BudgetKey { subject: Some(subject), name: charge.budget, period: rate.period };
                let key = self.place(key, now);
                let arrival = self.arrivals.get(&key).map_or(0, |arrival| arrival.at);
                match rate.spend(arrival, now) {
                    Ok(at) => {
                        let (arrival, receipt) = (Arrival { at, rate: *rate }, charge.receipt);
                        spent.push(Spent { key, arrival, distinct, receipt });
                    }
                    Err(wait) => return Err((charge.budget, Duration::from_micros(wait))),
                }
            }
        }
        Ok(spent)
    }

    /// Writes charges that have room.
    pub(crate) fn charge(&mut self, spent: &[Spent], now: Micros) {
        for Spent { key, arrival, distinct, .. } in spent {
            self.arrivals.insert(*key, *arrival);
            if let Some(distinct) = distinct {
                self.remember(*distinct, now);
            }
        }
    }

    fn remember(&mut self, distinct: (Subject, Id), now: Micros) {
        if self.distinct.len() >= self.distinct_to_sweep {
            self.distinct.retain(|_, until| *until > now);
            if self.distinct.len() >= self.max_budgets {
                // A thing that is forgotten is charged again: stricter, never laxer.
                self.distinct.clear();
            }
            self.distinct_to_sweep = (self.distinct.len() * 2).max(1024).min(self.max_budgets);
        }
        self.distinct.insert(distinct, now + DISTINCT);
    }

    /// The key itself when it is known or there is room, else the one that newcomers share.
    fn place(&mut self, key: BudgetKey, now: Micros) -> BudgetKey {
        if self.arrivals.len() < self.max_budgets || self.arrivals.contains_key(&key) {
            return key;
        }
        self.arrivals.retain(|_, arrival| arrival.at > now);
        if self.arrivals.len() < self.max_budgets {
            return key;
        }
        // The budgets that are left are in use. A quarter of them goes, the least used first, but none that is exhausted.
        let used = |arrival: &Arrival| (arrival.at - now) as f64 / arrival.rate.burst() as f64;
        let exhausted = |arrival: &Arrival| arrival.rate.spend(arrival.at, now).is_err();
        let spare = self.arrivals.iter().filter(|(_, arrival)| !exhausted(arrival));
        let mut spare: Vec<_> = spare.map(|(key, arrival)| (used(arrival), *key)).collect();
        spare.sort_unstable_by(|(one, _), (other, _)| one.total_cmp(other));
        spare.truncate((self.max_budgets / 4).max(1));
        if spare.is_empty() {
            return BudgetKey { subject: None, ..key };
        }
        for (_, key) in spare {
            self.arrivals.remove(&key);
        }
        key
    }

    /// Takes one charge back.
    pub(crate) fn undo(&mut self, key: &BudgetKey, interval: Micros) {
        if let Some(arrival) = self.arrivals.get_mut(key) {
            arrival.at = arrival.at.saturating_sub(interval);
        }
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
        spent.map(|spent| budgets.charge(&spent, now)).is_ok()
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
}
