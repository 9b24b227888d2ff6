//! A decision that stands for all others: it makes the scripts run every command that any decision and settlement runs, so that a server which
//! does not let one of them through is found before a trader meets it. It has a place of its own among the keys, and costs nobody anything.

use std::{
    hash::{BuildHasher, Hasher, RandomState},
    time::Duration,
};

use crate::{
    decision::{Charge, Counter, Decision, Level, Mark, OrBegin, RecordUse, Subject, Visit},
    id::Id,
    ledger::{Booking, Lane},
    rate::Rate,
};

/// The name of everything in it.
const NAME: &str = "rehearsal";
/// So much that it never refuses.
const AMPLE: [Rate; 1] = [Rate { count: 1_000_000, period: Duration::from_secs(1) }];
/// How long what it writes stays.
const SHORT: Duration = Duration::from_secs(10);
/// Any number of gateways may rehearse at once.
const CAPACITY: u32 = 1_000_000;

/// A rehearsal. Each one has another id, for a decision that was settled is not made again.
pub(crate) fn decision() -> Decision<'static> {
    // All else is one and the same, so that rehearsals leave a few keys and no more.
    let (id, same) = (random(), Id([0; 16]));
    let charge = Charge { receipt: true, ..Charge::new(NAME, Subject::All, &AMPLE) };
    let counter = Counter { name: "tries", most: 2, receipt: true };
    let mark = Mark { name: "mark", id: same, busy: None, worthwhile: u8::MAX, otherwise: "" };
    let visit = Visit {
        id,
        owner: None,
        stages: u8::MAX,
        or_begin: Some(OrBegin { stage: 1, lifetime: SHORT }),
        counters: vec![counter],
        mark: Some(mark),
    };
    Decision {
        open: vec![charge],
        ledger: Some(Booking {
            lane: Lane(NAME),
            network: same,
            capacity: CAPACITY,
            live_minutes: 1,
            elsewhere: 0,
            book: true,
        }),
        record: Some(RecordUse::Visit(visit)),
        makes_live: true,
        level: Some(Level { name: NAME, falls_after: SHORT }),
        ..Decision::new(id)
    }
}

/// A random id. Nothing depends on how random it is, so the seeds of the standard library's hash maps are good enough.
fn random() -> Id {
    let half = || RandomState::new().build_hasher().finish().to_be_bytes();
    let mut id = [0; 16];
    id[..8].copy_from_slice(&half());
    id[8..].copy_from_slice(&half());
    Id(id)
}
