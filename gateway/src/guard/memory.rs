//! Counters in this process: for a gateway that stands alone, and for one whose Redis is away. Pure in `now`, in microseconds.
//!
//! Bounded: budgets that are far from exhausted are forgotten first, exhausted ones never. Where nothing can be forgotten, newcomers share
//! one budget. Not built on governor, which gives nothing back and can only forget what is full again.

use std::{collections::HashMap, time::Duration};

use super::{
    count::{Attempt, Budget, FLOW_STATE, SEEN, Spend, Spent, Subject, Tried, micros},
    gcra,
    ledger::Ledger,
};
use crate::{config::Rate, flow::FlowId, flow::key_ring::Pseudonym};

/// So many budgets take some ten megabytes.
const MAX_BUDGETS: usize = 100_000;
/// Flows in which something was tried within their lifetime.
const MAX_FLOWS: usize = 100_000;

const SECOND: u64 = 1_000_000;

/// See the module.
#[derive(Debug)]
pub struct Memory {
    budgets: HashMap<Key, Arrival>,
    seen: HashMap<(Subject, Pseudonym), u64>,
    flows: HashMap<FlowId, FlowState>,
    /// The ledger.
    pub ledger: Ledger,
    max_budgets: usize,
    flows_to_sweep: usize,
    flows_swept: u64,
    seen_to_sweep: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Key {
    /// `None` is the budget that newcomers share when there is no room.
    subject: Option<Subject>,
    name: &'static str,
    period: Duration,
}

#[derive(Clone, Copy, Debug)]
struct Arrival {
    at: u64,
    rate: Rate,
}

#[derive(Debug, Default)]
struct FlowState {
    expires: u64,
    tries: Vec<(&'static str, u32)>,
    marks: Vec<Pseudonym>,
}

impl Default for Memory {
    fn default() -> Self {
        Self::with_capacity(MAX_BUDGETS)
    }
}

impl Memory {
    fn with_capacity(max_budgets: usize) -> Self {
        Self {
            budgets: HashMap::new(),
            seen: HashMap::new(),
            flows: HashMap::new(),
            ledger: Ledger::default(),
            max_budgets,
            flows_to_sweep: 1024,
            flows_swept: 0,
            seen_to_sweep: 1024,
        }
    }

    /// Spends one of each budget, or none of any. This process has its share of the rates among so many
    /// replicas.
    pub fn spend(&mut self, spend: &Spend<'_>, replicas: u32, now: u64) -> Spent {
        let seen = spend.seen.map(|name| (spend.subject, name));
        let known = seen.is_some_and(|seen| self.seen.get(&seen).is_some_and(|expires| *expires > now));
        let mut booked = Vec::new();
        for Budget { name, rates, only_new } in spend.budgets {
            if *only_new && known {
                continue;
            }
            for rate in rates.iter().map(|rate| rate.share(replicas)) {
                let key = self.place(Key { subject: Some(spend.subject), name, period: rate.period }, now);
                let arrival = self.budgets.get(&key).map_or(0, |arrival| arrival.at);
                match gcra::spend(arrival, now, rate) {
                    Ok(at) => booked.push((key, Arrival { at, rate })),
                    Err(wait) => {
                        return Spent::Exhausted { budget: name, wait: Duration::from_micros(wait) };
                    }
                }
            }
        }
        self.budgets.extend(booked);
        if let Some(seen) = seen.filter(|_| !known) {
            self.remember(seen, now);
        }
        Spent::Admitted
    }

    /// Undoes one [`spend`](Self::spend).
    pub fn give_back(&mut self, subject: Subject, budgets: &[Budget<'_>], replicas: u32) {
        for Budget { name, rates, .. } in budgets {
            for rate in rates.iter().map(|rate| rate.share(replicas)) {
                let key = Key { subject: Some(subject), name, period: rate.period };
                if let Some(arrival) = self.budgets.get_mut(&key) {
                    arrival.at = gcra::give_back(arrival.at, rate);
                }
            }
        }
    }

    /// Counts a try in a flow.
    pub fn attempt(&mut self, attempt: &Attempt, max: u32, now: u64) -> Tried {
        // Once a second at most, lest a full table be swept for every try.
        if self.flows.len() >= self.flows_to_sweep && now >= self.flows_swept + SECOND {
            self.flows.retain(|_, flow| flow.expires > now);
            self.flows_to_sweep = (self.flows.len() * 2).clamp(1024, MAX_FLOWS);
            self.flows_swept = now;
        }
        if self.flows.len() >= MAX_FLOWS && !self.flows.contains_key(&attempt.flow) {
            return Tried::Exhausted;
        }
        let flow = self.flow(attempt.flow, now);
        let position = flow.tries.iter().position(|(name, _)| *name == attempt.name).unwrap_or_else(|| {
            flow.tries.push((attempt.name, 0));
            flow.tries.len() - 1
        });
        if flow.tries[position].1 >= max {
            return Tried::Exhausted;
        }
        flow.tries[position].1 += 1;
        flow.expires = now + lifetime();
        match attempt.mark {
            Some(mark) if flow.marks.contains(&mark) => Tried::Repeated,
            Some(mark) => {
                flow.marks.push(mark);
                Tried::Admitted
            }
            None => Tried::Admitted,
        }
    }

    /// Takes the mark of a try back, and the try itself if `whole`.
    pub fn release(&mut self, attempt: &Attempt, whole: bool) {
        if let Some(flow) = self.flows.get_mut(&attempt.flow) {
            flow.marks.retain(|mark| Some(*mark) != attempt.mark);
            for (name, tries) in &mut flow.tries {
                if *name == attempt.name && whole {
                    *tries = tries.saturating_sub(1);
                }
            }
        }
    }

    /// Whether a flow has tries left of each kind. It is about to go on, so what is known of it lives on too.
    pub fn has_tries(&mut self, flow: FlowId, counters: &[(&'static str, u32)], now: u64) -> bool {
        match self.flows.get_mut(&flow) {
            Some(flow) if flow.expires > now => {
                flow.expires = now + lifetime();
                let left = |known: &(&str, u32)| {
                    counters.iter().all(|(name, max)| *name != known.0 || known.1 < *max)
                };
                flow.tries.iter().all(left)
            }
            _ => true,
        }
    }

    fn flow(&mut self, id: FlowId, now: u64) -> &mut FlowState {
        let flow = self.flows.entry(id).or_default();
        if flow.expires <= now {
            *flow = FlowState { expires: now + lifetime(), ..FlowState::default() };
        }
        flow
    }

    fn remember(&mut self, seen: (Subject, Pseudonym), now: u64) {
        if self.seen.len() >= self.seen_to_sweep {
            self.seen.retain(|_, expires| *expires > now);
            if self.seen.len() >= self.max_budgets {
                // What is forgotten counts again: stricter, never laxer.
                self.seen.clear();
            }
            self.seen_to_sweep = (self.seen.len() * 2).max(1024).min(self.max_budgets);
        }
        self.seen.insert(seen, now + micros(SEEN));
    }

    /// The key itself when it is known or there is room, else the shared one.
    fn place(&mut self, key: Key, now: u64) -> Key {
        if self.budgets.len() < self.max_budgets || self.budgets.contains_key(&key) {
            return key;
        }
        self.budgets.retain(|_, arrival| arrival.at > now);
        if self.budgets.len() < self.max_budgets {
            return key;
        }
        // What is left is in use. A quarter of it goes, the least used first, but nothing that is exhausted.
        let used = |arrival: &Arrival| {
            let (_, burst) = gcra::measures(arrival.rate);
            (arrival.at - now) as f64 / burst as f64
        };
        let exhausted = |arrival: &Arrival| gcra::spend(arrival.at, now, arrival.rate).is_err();
        let spare = self.budgets.iter().filter(|(_, arrival)| !exhausted(arrival));
        let mut spare: Vec<_> = spare.map(|(key, arrival)| (used(arrival), *key)).collect();
        spare.sort_unstable_by(|(one, _), (other, _)| one.total_cmp(other));
        spare.truncate((self.max_budgets / 4).max(1));
        if spare.is_empty() {
            return Key { subject: None, ..key };
        }
        for (_, key) in spare {
            self.budgets.remove(&key);
        }
        key
    }
}

fn lifetime() -> u64 {
    micros(FLOW_STATE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::key_ring::{KeyRing, Named, Secrets};

    const HOUR: u64 = 3_600_000_000;

    fn spend(memory: &mut Memory, name: u64, rate: &str, now: u64) -> bool {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&name.to_be_bytes());
        let rates = [rate.parse().unwrap()];
        let budgets = [Budget { name: "test", rates: &rates, only_new: false }];
        let spend = Spend { subject: Subject::Login(Pseudonym(bytes)), budgets: &budgets, seen: None };
        memory.spend(&spend, 1, now) == Spent::Admitted
    }

    #[test]
    fn a_million_random_keys_do_not_grow_it_and_free_no_exhausted_one() {
        let mut memory = Memory::default();
        for blocked in 0..1000 {
            for admitted in [true, true, true, false] {
                assert_eq!(spend(&mut memory, blocked, "3/h", HOUR), admitted);
            }
        }
        for name in 1000..1_000_000 {
            spend(&mut memory, name, "3/h", HOUR + name);
        }
        assert!(memory.budgets.len() <= MAX_BUDGETS);
        for blocked in 0..1000 {
            assert!(!spend(&mut memory, blocked, "3/h", HOUR + 2_000_000), "{blocked}");
        }
    }

    #[test]
    fn when_all_are_exhausted_newcomers_share_one_budget() {
        let mut memory = Memory::with_capacity(100);
        for name in 0..100 {
            assert!(spend(&mut memory, name, "1/h", HOUR));
        }
        assert!(spend(&mut memory, 100, "1/h", HOUR), "the first of them");
        for name in 101..200 {
            assert!(!spend(&mut memory, name, "1/h", HOUR));
        }
        assert!(!spend(&mut memory, 5, "1/h", HOUR));
        assert!(spend(&mut memory, 5, "1/h", 2 * HOUR) && spend(&mut memory, 101, "1/h", 2 * HOUR));
    }

    #[test]
    fn budgets_are_spent_together_or_not_at_all() {
        let mut memory = Memory::default();
        let (one, two) = (["5/h".parse().unwrap()], ["2/h".parse().unwrap()]);
        let budgets = [
            Budget { name: "one", rates: &one, only_new: false },
            Budget { name: "two", rates: &two, only_new: false },
        ];
        let spend = Spend { subject: Subject::Installation, budgets: &budgets, seen: None };
        assert_eq!(memory.spend(&spend, 1, HOUR), Spent::Admitted);
        assert_eq!(memory.spend(&spend, 1, HOUR), Spent::Admitted);
        for _ in 0..10 {
            assert!(matches!(memory.spend(&spend, 1, HOUR), Spent::Exhausted { budget: "two", .. }));
        }
        let alone = Spend { budgets: &budgets[..1], ..spend };
        for _ in 0..3 {
            assert_eq!(memory.spend(&alone, 1, HOUR), Spent::Admitted);
        }
        assert!(memory.spend(&alone, 1, HOUR) != Spent::Admitted);
        memory.give_back(Subject::Installation, &budgets[..1], 1);
        assert_eq!(memory.spend(&alone, 1, HOUR), Spent::Admitted);
    }

    #[test]
    fn what_was_seen_already_costs_nothing_again() {
        let ring = KeyRing::new(&Secrets::random(), "");
        let mut memory = Memory::default();
        let rates = ["2/h".parse().unwrap()];
        let budgets = [Budget { name: "logins", rates: &rates, only_new: true }];
        let mut ask = |login: &str, now| {
            let seen = Some(ring.pseudonym(Named::Login, login.as_bytes()));
            let spend = Spend { subject: Subject::Installation, budgets: &budgets, seen };
            memory.spend(&spend, 1, now) == Spent::Admitted
        };
        for _ in 0..5 {
            assert!(ask("one", HOUR) && ask("two", HOUR));
        }
        assert!(!ask("three", HOUR));
        assert!(ask("one", HOUR));
    }

    #[test]
    fn a_flow_has_its_tries_and_each_mark_once() {
        let mut memory = Memory::default();
        let ring = KeyRing::new(&Secrets::random(), "");
        let attempt = |code: &str| Attempt {
            flow: FlowId([1; 16]),
            name: "codes",
            mark: Some(ring.pseudonym(Named::Code, code.as_bytes())),
        };
        assert_eq!(memory.attempt(&attempt("1"), 3, HOUR), Tried::Admitted);
        assert_eq!(memory.attempt(&attempt("1"), 3, HOUR), Tried::Repeated);
        memory.release(&attempt("1"), true);
        assert_eq!(memory.attempt(&attempt("1"), 3, HOUR), Tried::Admitted);
        assert!(memory.has_tries(FlowId([1; 16]), &[("codes", 3)], HOUR));
        assert_eq!(memory.attempt(&attempt("2"), 3, HOUR), Tried::Admitted);
        assert_eq!(memory.attempt(&attempt("3"), 3, HOUR), Tried::Exhausted);
        assert!(!memory.has_tries(FlowId([1; 16]), &[("others", 1), ("codes", 3)], HOUR));
    }

    #[test]
    fn flows_are_forgotten_when_they_are_over_and_not_before() {
        let mut memory = Memory::default();
        let attempt = |flow: u128| Attempt { flow: FlowId(flow.to_be_bytes()), name: "codes", mark: None };
        for flow in 0..MAX_FLOWS as u128 {
            assert_eq!(memory.attempt(&attempt(flow), 1, HOUR), Tried::Admitted);
        }
        assert_eq!(memory.attempt(&attempt(u128::MAX), 1, HOUR), Tried::Exhausted, "no room is no leave");
        assert_eq!(memory.attempt(&attempt(0), 1, HOUR), Tried::Exhausted);
        assert_eq!(memory.attempt(&attempt(u128::MAX), 1, 2 * HOUR), Tried::Admitted);
        assert!(memory.flows.len() < MAX_FLOWS);
    }
}
