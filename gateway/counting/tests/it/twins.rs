//! One list of cases, over counters in memory and over a real Redis: both decide alike, whatever the order of acts.

use std::time::Duration;

use autoshares_counting::{
    BOOKING, Beginning, Booking, Charge, Counter, Decided, Decision, Id, LIVE, Lane, Level, Mark, Micros,
    Newcomers, OrBegin, Owned, Raise, Rate, Reading, Recalled, RecordUse, RedisSettings, Settlement,
    StageChange, Store, Subject, Verdict, Visit,
};

use crate::servers::Server;

const SECOND: Micros = 1_000_000;
const MINUTE: Micros = 60 * SECOND;
const TWO_AN_HOUR: [Rate; 1] = [Rate { count: 2, period: Duration::from_secs(3600) }];
const ONE_AN_HOUR: [Rate; 1] = [Rate { count: 1, period: Duration::from_secs(3600) }];
const FIVE_AN_HOUR: [Rate; 1] = [Rate { count: 5, period: Duration::from_secs(3600) }];
const TWO_AN_HOUR_TWO_A_DAY: [Rate; 2] = [
    Rate { count: 2, period: Duration::from_secs(3600) },
    Rate { count: 2, period: Duration::from_secs(86400) },
];
const THREE_AN_HOUR_FOUR_A_DAY: [Rate; 2] = [
    Rate { count: 3, period: Duration::from_secs(3600) },
    Rate { count: 4, period: Duration::from_secs(86400) },
];

/// The name of the receipt for a mark.
const MARK: &str = "guess";

const GOOD: u8 = 1;
const EARLY: u8 = 2;
const BAD: u8 = 4;

const fn id(number: u8) -> Id {
    Id([number; 16])
}

const SUBJECT: Id = id(0xaa);
const RECORD: Owned = Owned { id: id(0xb1), owner: id(0xc1) };
const OTHER_RECORD: Owned = Owned { id: id(0xb2), owner: id(0xc2) };
const TRIES: Counter = Counter { name: "tries", most: 2, receipt: true };

const BOOKING_OF_FIVE: Booking = Booking {
    lane: Lane("test"),
    network: id(0xd1),
    capacity: 5,
    live_minutes: 30,
    elsewhere: 0,
    book: true,
};
const LEVEL: Level = Level { name: "height", falls_after: Duration::from_secs(3600) };

fn charge(budget: &'static str, rates: &'static [Rate]) -> Charge<'static> {
    Charge { receipt: true, ..Charge::new(budget, Subject::Of(SUBJECT), rates) }
}

fn begin(current: Vec<Owned>, fresh: Owned, stage: u8) -> Option<RecordUse<'static>> {
    let (subject, counters, lifetime) = (SUBJECT, vec![TRIES], Duration::from_secs(600));
    let sticky = GOOD;
    Some(RecordUse::Begin(Beginning { current, fresh, subject, counters, stage, sticky, lifetime }))
}

/// A try of something in the record.
fn guess(mark: u8) -> Option<RecordUse<'static>> {
    let mark = Mark {
        name: MARK,
        id: id(mark),
        busy: Some(Duration::from_secs(30)),
        worthwhile: GOOD,
        otherwise: "wrong",
    };
    Some(RecordUse::Visit(Visit {
        id: RECORD.id,
        owner: None,
        stages: GOOD | BAD,
        or_begin: None,
        counters: vec![TRIES],
        mark: Some(mark),
    }))
}

/// One call, at a time, with what must come of it.
#[expect(clippy::large_enum_variant, reason = "a few dozen of them, written once")]
enum Call {
    Decide(Micros, Decision<'static>, Verdict, Vec<&'static str>),
    Settle(Micros, u8, Settlement<'static>),
    Recall(Micros, u8, Recalled),
}

use Call::{Decide, Recall, Settle};

fn decision(number: u8) -> Decision<'static> {
    Decision::new(id(number))
}

fn exhausted(budget: &'static str, minutes: u64) -> Verdict {
    of(Subject::Of(SUBJECT), budget, minutes)
}

fn of(subject: Subject, budget: &'static str, minutes: u64) -> Verdict {
    Verdict::Exhausted { budget, subject, wait: Duration::from_secs(60 * minutes) }
}

/// The list.
fn cases() -> Vec<(&'static str, Vec<Call>)> {
    let open = |number, budget, rates| Decision { open: vec![charge(budget, rates)], ..decision(number) };
    let undo = |names: &[&'static str]| Settlement { undo: names.to_vec(), ..Settlement::default() };
    vec![
        ("a budget comes back one by one", {
            let spend = |number| open(number, "a", &TWO_AN_HOUR);
            vec![
                Decide(0, spend(1), Verdict::Charged, vec!["a"]),
                Decide(0, spend(2), Verdict::Charged, vec!["a"]),
                Decide(0, spend(3), exhausted("a", 30), vec![]),
                Decide(29 * MINUTE, spend(4), exhausted("a", 1), vec![]),
                Decide(30 * MINUTE, spend(5), Verdict::Charged, vec!["a"]),
            ]
        }),
        ("a clock that was set back by hours closes no budget for hours", {
            let spend = |number| open(number, "a", &TWO_AN_HOUR);
            vec![
                Decide(600 * MINUTE, spend(1), Verdict::Charged, vec!["a"]),
                Decide(600 * MINUTE, spend(2), Verdict::Charged, vec!["a"]),
                Decide(60 * MINUTE, spend(3), exhausted("a", 30), vec![]),
                Decide(60 * MINUTE, spend(4), exhausted("a", 30), vec![]),
            ]
        }),
        ("a clock that was set back raises no level", {
            let raise = Settlement { raise: Some(Raise { level: LEVEL, to: 2 }), ..Settlement::default() };
            let look = Decision { level: Some(LEVEL), ..decision(2) };
            vec![
                Settle(6000 * MINUTE, 1, raise),
                Decide(0, look, Verdict::Charged, vec![]),
                Settle(
                    0,
                    3,
                    Settlement { raise: Some(Raise { level: LEVEL, to: 1 }), ..Settlement::default() },
                ),
                Decide(0, Decision { level: Some(LEVEL), ..decision(4) }, Verdict::Charged, vec![]),
            ]
        }),
        ("the longest wait is told", {
            let spend = |number| open(number, "a", &TWO_AN_HOUR_TWO_A_DAY);
            vec![
                Decide(0, spend(1), Verdict::Charged, vec!["a"]),
                Decide(0, spend(2), Verdict::Charged, vec!["a"]),
                Decide(0, spend(3), exhausted("a", 720), vec![]),
                Decide(720 * MINUTE, spend(4), Verdict::Charged, vec!["a"]),
            ]
        }),
        ("all rates of a budget must have room", {
            let spend = |number| open(number, "a", &THREE_AN_HOUR_FOUR_A_DAY);
            let mut calls: Vec<_> =
                (1..=3).map(|number| Decide(0, spend(number), Verdict::Charged, vec!["a"])).collect();
            calls.push(Decide(0, spend(4), exhausted("a", 20), vec![]));
            calls.push(Decide(60 * MINUTE, spend(5), Verdict::Charged, vec!["a"]));
            calls.push(Decide(120 * MINUTE, spend(6), exhausted("a", 240), vec![]));
            calls
        }),
        ("an open refusal charges nothing", {
            let both = |number| Decision {
                open: vec![charge("a", &FIVE_AN_HOUR), charge("b", &TWO_AN_HOUR)],
                ..decision(number)
            };
            let mut calls: Vec<_> =
                (1..=2).map(|number| Decide(0, both(number), Verdict::Charged, vec!["a", "b"])).collect();
            calls.extend((3..9).map(|number| Decide(0, both(number), exhausted("b", 30), vec![])));
            calls.extend(
                (9..12)
                    .map(|number| Decide(0, open(number, "a", &FIVE_AN_HOUR), Verdict::Charged, vec!["a"])),
            );
            calls.push(Decide(0, open(12, "a", &FIVE_AN_HOUR), exhausted("a", 12), vec![]));
            calls
        }),
        ("a silent refusal leaves the open budgets charged and no silent one", {
            let act = |number| Decision {
                open: vec![charge("a", &FIVE_AN_HOUR)],
                silent: vec![charge("b", &FIVE_AN_HOUR), charge("c", &TWO_AN_HOUR)],
                ..decision(number)
            };
            let mut calls: Vec<_> =
                (1..=2).map(|number| Decide(0, act(number), Verdict::Charged, vec!["a", "b", "c"])).collect();
            calls.extend(
                (3..=5).map(|number| Decide(0, act(number), Verdict::Suppressed { budget: "c" }, vec![])),
            );
            calls.push(Decide(0, act(6), exhausted("a", 12), vec![]));
            calls.extend(
                (7..=9)
                    .map(|number| Decide(0, open(number, "b", &FIVE_AN_HOUR), Verdict::Charged, vec!["b"])),
            );
            calls.push(Decide(0, open(10, "b", &FIVE_AN_HOUR), exhausted("b", 12), vec![]));
            calls
        }),
        ("a settlement undoes what it names, once", {
            let act = |number| Decision {
                silent: vec![charge("a", &TWO_AN_HOUR), charge("b", &TWO_AN_HOUR)],
                ..decision(number)
            };
            vec![
                Decide(0, act(1), Verdict::Charged, vec!["a", "b"]),
                Decide(0, act(2), Verdict::Charged, vec!["a", "b"]),
                Settle(0, 2, undo(&["a"])),
                Settle(0, 2, undo(&["a", "b"])),
                Settle(0, 9, undo(&["a", "b"])),
                Decide(0, act(3), Verdict::Suppressed { budget: "b" }, vec![]),
                Decide(0, open(4, "a", &TWO_AN_HOUR), Verdict::Charged, vec!["a"]),
                Decide(0, open(5, "a", &TWO_AN_HOUR), exhausted("a", 30), vec![]),
            ]
        }),
        ("a distinct thing is charged once an hour", {
            let act = |number, thing| Decision {
                open: vec![Charge {
                    distinct: Some(id(thing)),
                    ..Charge::new("a", Subject::Of(SUBJECT), &TWO_AN_HOUR)
                }],
                ..decision(number)
            };
            vec![
                Decide(0, act(1, 101), Verdict::Charged, vec![]),
                Decide(0, act(2, 102), Verdict::Charged, vec![]),
                Decide(0, act(3, 101), Verdict::Charged, vec![]),
                Decide(0, act(4, 103), exhausted("a", 30), vec![]),
                Decide(59 * MINUTE, act(5, 102), Verdict::Charged, vec![]),
                Decide(61 * MINUTE, act(6, 101), Verdict::Charged, vec![]),
                Decide(61 * MINUTE, act(7, 102), Verdict::Charged, vec![]),
                Decide(61 * MINUTE, act(8, 103), exhausted("a", 30), vec![]),
            ]
        }),
        ("a ledger bounds live secrets times guesses", {
            let live = |number| Decision { makes_live: true, ..decision(number) };
            // Each from a network of its own.
            let guess = |number| {
                let ledger = Some(Booking { network: id(number), ..BOOKING_OF_FIVE });
                Decision { ledger, ..decision(number) }
            };
            let refused = |minutes: u64| Verdict::LedgerExhausted { wait: Duration::from_secs(60 * minutes) };
            vec![
                Decide(0, live(1), Verdict::Charged, vec![LIVE]),
                Decide(0, live(2), Verdict::Charged, vec![LIVE]),
                Decide(0, live(3), Verdict::Charged, vec![LIVE]),
                Settle(0, 3, undo(&[LIVE])),
                Decide(MINUTE, guess(4), Verdict::Charged, vec![BOOKING]),
                Decide(MINUTE, guess(5), Verdict::Charged, vec![BOOKING]),
                Decide(2 * MINUTE, guess(6), refused(60), vec![]),
                Settle(2 * MINUTE, 5, undo(&[BOOKING])),
                Decide(2 * MINUTE, guess(7), Verdict::Charged, vec![BOOKING]),
                Decide(2 * MINUTE, guess(8), refused(61), vec![]),
                Decide(31 * MINUTE, guess(9), Verdict::Charged, vec![BOOKING]),
                Decide(31 * MINUTE, guess(10), refused(61), vec![]),
                Decide(62 * MINUTE, guess(11), Verdict::Charged, vec![BOOKING]),
            ]
        }),
        ("a network has a share of the ledger, and none of what is kept for others", {
            let guess = |number, network| {
                let ledger =
                    Some(Booking { network: id(network), capacity: 40, elsewhere: 2, ..BOOKING_OF_FIVE });
                Decision { ledger, ..decision(number) }
            };
            let wait = |minutes: u64| Duration::from_secs(60 * minutes);
            let share = |minutes| Verdict::ShareExhausted { wait: wait(minutes) };
            let empty = |minutes| Verdict::LedgerExhausted { wait: wait(minutes) };
            let live = Decision { makes_live: true, ..decision(100) };
            let mut calls = vec![Decide(0, live, Verdict::Charged, vec![LIVE])];
            let booked =
                |at, number, network| Decide(at, guess(number, network), Verdict::Charged, vec![BOOKING]);
            for network in 1..=5 {
                calls.push(booked(u64::from(network) * MINUTE, network, network));
                calls.push(booked(u64::from(network) * MINUTE, network + 20, network));
                calls.push(Decide(
                    u64::from(network) * MINUTE,
                    guess(network + 40, network),
                    share(61),
                    vec![],
                ));
            }
            calls.extend([
                booked(6 * MINUTE, 61, 6),
                Decide(6 * MINUTE, guess(62, 6), empty(58), vec![]),
                booked(6 * MINUTE, 63, 7),
                booked(6 * MINUTE, 64, 8),
                Decide(6 * MINUTE, guess(65, 9), empty(58), vec![]),
                Settle(6 * MINUTE, 21, undo(&[BOOKING])),
                booked(6 * MINUTE, 66, 9),
                Decide(30 * MINUTE, guess(68, 1), empty(36), vec![]),
                Decide(59 * MINUTE, guess(67, 2), share(4), vec![]),
            ]);
            calls
        }),
        ("what is kept for newcomers is theirs, and a block has a part of it", {
            let act = |number, network, block| {
                let newcomers = Newcomers {
                    network: id(network),
                    reserve: "reserve",
                    rates: &FIVE_AN_HOUR,
                    block: id(block),
                    per_block: "per block",
                    block_rates: &TWO_AN_HOUR,
                };
                let all =
                    Charge { subject: Subject::All, newcomers: Some(newcomers), ..charge("a", &TWO_AN_HOUR) };
                Decision { open: vec![all], ..decision(number) }
            };
            let from_reserve = vec!["reserve", "per block"];
            vec![
                Decide(0, act(1, 1, 101), Verdict::Charged, vec!["a"]),
                Decide(0, act(2, 1, 101), Verdict::Charged, vec!["a"]),
                // Whoever has come before gets nothing of the reserve.
                Decide(0, act(3, 1, 101), of(Subject::All, "a", 30), vec![]),
                Decide(0, act(4, 2, 101), Verdict::Charged, from_reserve.clone()),
                Decide(0, act(5, 2, 101), of(Subject::All, "a", 30), vec![]),
                Decide(0, act(6, 3, 101), Verdict::Charged, from_reserve.clone()),
                Decide(0, act(7, 4, 101), of(Subject::Of(id(101)), "per block", 30), vec![]),
                Decide(0, act(8, 4, 102), Verdict::Charged, from_reserve.clone()),
                Decide(0, act(9, 5, 102), Verdict::Charged, from_reserve.clone()),
                Decide(0, act(10, 6, 103), Verdict::Charged, from_reserve.clone()),
                Decide(0, act(11, 7, 104), of(Subject::All, "reserve", 12), vec![]),
                Settle(0, 10, undo(&["reserve", "per block"])),
                Decide(0, act(12, 7, 104), Verdict::Charged, from_reserve),
                // After an hour a network is a newcomer again, and everything is there.
                Decide(60 * MINUTE, act(13, 1, 101), Verdict::Charged, vec!["a"]),
            ]
        }),
        ("a level rises at once and falls one by one", {
            let at = |number| Decision { level: Some(LEVEL), ..decision(number) };
            let raise = |to| Settlement { raise: Some(Raise { level: LEVEL, to }), ..Settlement::default() };
            // The levels themselves are compared below.
            vec![
                Decide(0, at(1), Verdict::Charged, vec![]),
                Settle(0, 1, raise(2)),
                Decide(59 * MINUTE, at(2), Verdict::Charged, vec![]),
                Settle(59 * MINUTE, 2, raise(1)),
                Decide(61 * MINUTE, at(3), Verdict::Charged, vec![]),
                Settle(61 * MINUTE, 3, raise(1)),
                Decide(120 * MINUTE, at(4), Verdict::Charged, vec![]),
                Decide(121 * MINUTE, at(5), Verdict::Charged, vec![]),
            ]
        }),
        ("a record stands until its lifetime is over", {
            let act = |number, mark| Decision { record: guess(mark), ..decision(number) };
            let begins = Decision { record: begin(vec![], RECORD, GOOD), ..decision(1) };
            vec![
                Decide(0, act(2, 1), Verdict::Absent, vec![]),
                Decide(0, begins, Verdict::Charged, vec![]),
                Decide(599 * SECOND, act(3, 1), Verdict::Charged, vec!["tries", MARK]),
                Settle(599 * SECOND, 3, Settlement { outcome: Some("right"), ..Settlement::default() }),
                Recall(599 * SECOND, 1, Recalled::Outcome("right".to_owned())),
                Recall(600 * SECOND, 1, Recalled::Nothing),
                Decide(600 * SECOND, act(4, 1), Verdict::Absent, vec![]),
            ]
        }),
        ("the same thing again gets the outcome of the first time", {
            let act = |number, mark| Decision { record: guess(mark), ..decision(number) };
            let begins = Decision { record: begin(vec![], RECORD, GOOD), ..decision(1) };
            let outcome = |text| Settlement { outcome: Some(text), ..Settlement::default() };
            let repeated = |text: &str| Verdict::Repeated(Some(text.to_owned()));
            vec![
                Decide(0, begins, Verdict::Charged, vec![]),
                Recall(0, 1, Recalled::Nothing),
                Decide(0, act(2, 1), Verdict::Charged, vec!["tries", MARK]),
                Decide(SECOND, act(3, 1), Verdict::Repeated(None), vec![]),
                Recall(SECOND, 1, Recalled::UnderWay),
                Settle(SECOND, 2, outcome("right")),
                Recall(SECOND, 1, Recalled::Outcome("right".to_owned())),
                Decide(2 * SECOND, act(4, 1), repeated("right"), vec![]),
                Decide(2 * SECOND, act(5, 2), Verdict::Charged, vec!["tries", MARK]),
                Settle(2 * SECOND, 5, outcome("wrong")),
                Decide(3 * SECOND, act(6, 3), Verdict::UsedUp { counter: "tries" }, vec![]),
                Decide(3 * SECOND, act(7, 2), repeated("wrong"), vec![]),
            ]
        }),
        ("an outcome that is not known in time may be asked for by another try", {
            let act = |number, mark| Decision { record: guess(mark), ..decision(number) };
            let begins = Decision { record: begin(vec![], RECORD, GOOD), ..decision(1) };
            vec![
                Decide(0, begins, Verdict::Charged, vec![]),
                Decide(0, act(2, 1), Verdict::Charged, vec!["tries", MARK]),
                Decide(29 * SECOND, act(3, 1), Verdict::Repeated(None), vec![]),
                Decide(30 * SECOND, act(4, 1), Verdict::Charged, vec!["tries", MARK]),
                Settle(31 * SECOND, 4, undo(&["tries", MARK])),
                Decide(31 * SECOND, act(5, 1), Verdict::Charged, vec!["tries", MARK]),
                Decide(31 * SECOND, act(6, 2), Verdict::UsedUp { counter: "tries" }, vec![]),
            ]
        }),
        ("a late settlement leaves the mark of a later try alone", {
            let act = |number, mark| Decision { record: guess(mark), ..decision(number) };
            let begins = Decision { record: begin(vec![], RECORD, GOOD), ..decision(1) };
            let outcome = |text| Settlement { outcome: Some(text), ..Settlement::default() };
            vec![
                Decide(0, begins, Verdict::Charged, vec![]),
                Decide(0, act(2, 1), Verdict::Charged, vec!["tries", MARK]),
                Decide(30 * SECOND, act(3, 1), Verdict::Charged, vec!["tries", MARK]),
                Settle(31 * SECOND, 2, undo(&[MARK])),
                Recall(31 * SECOND, 1, Recalled::UnderWay),
                Settle(32 * SECOND, 3, outcome("right")),
                Recall(32 * SECOND, 1, Recalled::Outcome("right".to_owned())),
            ]
        }),
        ("an act books the same whatever becomes of it", {
            let act = |number, mark| Decision {
                open: vec![charge("a", &FIVE_AN_HOUR)],
                ledger: Some(Booking { network: id(number), ..BOOKING_OF_FIVE }),
                record: guess(mark),
                ..decision(number)
            };
            let begins = Decision { record: begin(vec![], RECORD, BAD), ..decision(1) };
            let empty = Verdict::LedgerExhausted { wait: Duration::from_secs(60 * 60) };
            vec![
                Decide(0, begins, Verdict::Charged, vec![]),
                // In a record in which it cannot succeed, it gets its outcome at once.
                Decide(0, act(2, 1), Verdict::Charged, vec![]),
                Decide(0, act(3, 1), Verdict::Repeated(Some("wrong".to_owned())), vec![]),
                Decide(0, act(4, 2), Verdict::Charged, vec![]),
                Decide(0, act(5, 3), Verdict::UsedUp { counter: "tries" }, vec![]),
                Decide(0, act(6, 3), Verdict::UsedUp { counter: "tries" }, vec![]),
                Decide(0, act(7, 3), exhausted("a", 12), vec![]),
                Decide(
                    12 * MINUTE,
                    Decision { record: begin(vec![], RECORD, GOOD), ..decision(11) },
                    Verdict::Charged,
                    vec![],
                ),
                Decide(12 * MINUTE, act(8, 1), Verdict::Charged, vec!["a", BOOKING, "tries", MARK]),
                Decide(13 * MINUTE, Decision { open: vec![], ..act(10, 3) }, empty, vec![]),
            ]
        }),
        ("an exhausted ledger or network spends no try", {
            let booking = Booking { capacity: 0, ..BOOKING_OF_FIVE };
            let act = |number, mark| Decision { record: guess(mark), ..decision(number) };
            let paused = Verdict::LedgerExhausted { wait: Duration::from_secs(61 * 60) };
            let begins = Decision { record: begin(vec![], RECORD, GOOD), ..decision(1) };
            let mut calls = vec![Decide(0, begins, Verdict::Charged, vec![])];
            for number in 2..6 {
                let act = Decision {
                    ledger: Some(booking),
                    open: vec![charge("a", &TWO_AN_HOUR)],
                    ..act(number, 1)
                };
                calls.push(Decide(0, act, paused.clone(), vec![]));
            }
            calls.push(Decide(0, act(6, 1), Verdict::Charged, vec!["tries", MARK]));
            calls.push(Decide(0, act(7, 2), Verdict::Charged, vec!["tries", MARK]));
            calls
        }),
        ("the stage and the subject of a record select its budgets", {
            let act = |number, mark| Decision {
                record: guess(mark),
                silent: vec![
                    Charge { subject: Subject::OfRecord, stages: GOOD, ..charge("good", &ONE_AN_HOUR) },
                    Charge { subject: Subject::OfRecord, stages: BAD, ..charge("bad", &FIVE_AN_HOUR) },
                ],
                ..decision(number)
            };
            let begins =
                |number, stage| Decision { record: begin(vec![], RECORD, stage), ..decision(number) };
            let mut calls = vec![Decide(0, begins(1, GOOD), Verdict::Charged, vec![])];
            calls.push(Decide(0, act(2, 1), Verdict::Charged, vec!["good", "tries", MARK]));
            calls.push(Decide(0, act(3, 2), Verdict::Suppressed { budget: "good" }, vec![]));
            calls.push(Decide(0, act(4, 3), Verdict::UsedUp { counter: "tries" }, vec![]));
            // The same again costs no try, and is done as soon as there is room.
            calls.push(Recall(0, 2, Recalled::Held));
            calls.push(Decide(0, act(7, 2), Verdict::Suppressed { budget: "good" }, vec![]));
            calls.push(Decide(0, begins(5, BAD), Verdict::Charged, vec![]));
            calls.push(Decide(0, act(6, 2), Verdict::Charged, vec![]));
            calls
        }),
        ("only its owner renews a record, at its stage, while it has tries", {
            let renew = |number, owned: Owned, stage| Decision {
                record: begin(vec![owned], OTHER_RECORD, stage),
                ..decision(number)
            };
            let visit = |number, owned: Owned, stages| Decision {
                record: Some(RecordUse::Visit(Visit {
                    id: owned.id,
                    owner: Some(owned.owner),
                    stages,
                    or_begin: None,
                    counters: vec![],
                    mark: None,
                })),
                ..decision(number)
            };
            let stranger = Owned { owner: id(1), ..RECORD };
            let begins = Decision { record: begin(vec![], RECORD, EARLY), ..decision(1) };
            let act = |number, mark| Decision { record: guess(mark), ..decision(number) };
            vec![
                Decide(0, begins, Verdict::Charged, vec![]),
                Decide(0, visit(2, stranger, EARLY), Verdict::OtherOwner, vec![]),
                Decide(0, visit(3, RECORD, GOOD), Verdict::OtherStage, vec![]),
                Decide(0, visit(4, RECORD, EARLY), Verdict::Charged, vec![]),
                Decide(500 * SECOND, renew(5, RECORD, GOOD), Verdict::Charged, vec![]),
                // Good is kept, whatever comes later.
                Decide(501 * SECOND, renew(6, RECORD, BAD), Verdict::Charged, vec![]),
                Decide(1000 * SECOND, visit(7, RECORD, GOOD), Verdict::Charged, vec![]),
                Decide(1000 * SECOND, act(8, 1), Verdict::Charged, vec!["tries", MARK]),
                Decide(1000 * SECOND, act(9, 2), Verdict::Charged, vec!["tries", MARK]),
                // Its tries are used up, so another one begins.
                Decide(1001 * SECOND, renew(10, RECORD, EARLY), Verdict::Charged, vec![]),
                Decide(1001 * SECOND, visit(11, OTHER_RECORD, EARLY), Verdict::Charged, vec![]),
            ]
        }),
        ("a settlement brings the stage back that was before, and good is kept", {
            let renew =
                |number, stage| Decision { record: begin(vec![RECORD], RECORD, stage), ..decision(number) };
            let back = || Settlement { restores: true, ..Settlement::default() };
            let at = |at, number, stages| {
                let Some(RecordUse::Visit(visit)) = guess(1) else { unreachable!() };
                let visit = Visit { stages, counters: vec![], mark: None, ..visit };
                Decide(
                    at,
                    Decision { record: Some(RecordUse::Visit(visit)), ..decision(number) },
                    Verdict::Charged,
                    vec![],
                )
            };
            vec![
                Decide(0, renew(1, EARLY), Verdict::Charged, vec![]),
                Decide(0, renew(2, BAD), Verdict::Charged, vec![]),
                at(0, 3, BAD),
                Settle(0, 2, back()),
                at(0, 4, EARLY),
                Decide(0, renew(5, BAD), Verdict::Charged, vec![]),
                Decide(0, renew(6, GOOD), Verdict::Charged, vec![]),
                Settle(0, 5, back()),
                at(0, 7, GOOD),
                // Two at once: the second does not bring back what the first made of it.
                Decide(
                    0,
                    Decision { record: begin(vec![], RECORD, BAD), ..decision(8) },
                    Verdict::Charged,
                    vec![],
                ),
                Decide(0, renew(9, EARLY), Verdict::Charged, vec![]),
                Decide(0, renew(10, EARLY), Verdict::Charged, vec![]),
                Settle(0, 9, back()),
                Settle(0, 10, back()),
                at(0, 11, BAD),
            ]
        }),
        ("a settlement changes the stage and the lifetime", {
            let begins = Decision { record: begin(vec![], RECORD, BAD), ..decision(1) };
            let act = |number, mark| Decision { record: guess(mark), ..decision(number) };
            let stage = Some(StageChange { to: GOOD, sticky: GOOD });
            let lifetime = Some(Duration::from_secs(1200));
            vec![
                Decide(0, begins, Verdict::Charged, vec![]),
                Settle(0, 1, Settlement { stage, lifetime, ..Settlement::default() }),
                Decide(1199 * SECOND, act(2, 1), Verdict::Charged, vec!["tries", MARK]),
                Settle(1199 * SECOND, 2, Settlement { lifetime, ..Settlement::default() }),
                Decide(2398 * SECOND, act(3, 2), Verdict::Charged, vec!["tries", MARK]),
                Decide(2400 * SECOND, act(4, 2), Verdict::Absent, vec![]),
                Settle(2400 * SECOND, 3, Settlement { lifetime, ..Settlement::default() }),
                Decide(2400 * SECOND, act(5, 2), Verdict::Absent, vec![]),
            ]
        }),
        ("a visit may begin its record", {
            let act = |number, mark| {
                let Some(RecordUse::Visit(visit)) = guess(mark) else { unreachable!() };
                let or_begin = Some(OrBegin { stage: GOOD, lifetime: Duration::from_secs(60) });
                let record = Some(RecordUse::Visit(Visit { or_begin, ..visit }));
                Decision {
                    record,
                    silent: vec![Charge { subject: Subject::OfRecord, ..charge("a", &TWO_AN_HOUR) }],
                    ..decision(number)
                }
            };
            vec![
                Decide(0, act(1, 1), Verdict::Charged, vec!["tries", MARK]),
                Decide(0, act(2, 2), Verdict::Charged, vec!["tries", MARK]),
                Decide(59 * SECOND, act(3, 3), Verdict::UsedUp { counter: "tries" }, vec![]),
                Decide(60 * SECOND, act(4, 3), Verdict::Charged, vec!["tries", MARK]),
            ]
        }),
    ]
}

fn redis(server: &Server, namespace: &str) -> Store {
    Store::redis(RedisSettings {
        client: server.client(),
        namespace: namespace.to_owned(),
        timeout: Duration::from_secs(5),
        callers_time: true,
    })
}

#[tokio::test]
async fn memory_and_redis_decide_alike() {
    let server = Server::redis(&[]);
    for (number, (name, calls)) in cases().into_iter().enumerate() {
        let stores = [Store::memory(), redis(&server, &format!("case-{number}"))];
        for (step, call) in calls.into_iter().enumerate() {
            let mut seen: Vec<Option<Decided>> = Vec::new();
            for store in &stores {
                // Some time into the life of a clock, so that a window can lie behind.
                let later = |at: Micros| at + 90 * MINUTE;
                match &call {
                    Decide(at, decision, verdict, receipts) => {
                        let decided = store.decide(decision, later(*at)).await.unwrap();
                        assert_eq!(
                            (&decided.verdict, &decided.receipts),
                            (verdict, receipts),
                            "{name}, {step}"
                        );
                        seen.push(Some(decided));
                    }
                    Settle(at, id, settlement) => {
                        store.settle(Id([*id; 16]), settlement, later(*at)).await;
                        seen.push(None);
                    }
                    Recall(at, mark, expected) => {
                        let recalled = store.recall(RECORD.id, Id([*mark; 16]), later(*at)).await.unwrap();
                        assert_eq!(recalled, *expected, "{name}, {step}");
                        seen.push(None);
                    }
                }
            }
            assert_eq!(seen[0], seen[1], "{name}, {step}: record, reading and level");
        }
    }
}

/// Whatever order acts come in: a few thousand at random, from a seed that is printed when they differ.
#[tokio::test]
async fn a_random_walk_is_the_same_in_both() {
    let server = Server::redis(&[]);
    for seed in 1..=4_u64 {
        let stores = [Store::memory(), redis(&server, &format!("walk-{seed}"))];
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut random = |below: u64| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state % below
        };
        let small = |number: u64| u8::try_from(number).unwrap();
        let mut now = 90 * MINUTE;
        for step in 0..600_u64 {
            now += random(40) * SECOND;
            let mut decision = Decision::new(Id((u128::from(step) + 1).to_be_bytes()));
            let owned =
                |number: u64| Owned { id: Id([small(number); 16]), owner: Id([small(number) + 100; 16]) };
            let (one, other) = (random(6) + 1, random(6) + 1);
            let subject = Id([small(random(3)) + 200; 16]);
            if random(2) == 0 {
                let distinct = (random(2) == 0).then(|| Id([small(random(9)); 16]));
                let charge = Charge::new("open", Subject::Of(subject), &FIVE_AN_HOUR);
                decision.open.push(Charge { distinct, receipt: random(2) == 0, ..charge });
            }
            if random(3) == 0 {
                let newcomers = Newcomers {
                    network: Id([small(random(12)); 16]),
                    reserve: "reserve",
                    rates: &FIVE_AN_HOUR,
                    block: Id([small(random(3)) + 90; 16]),
                    per_block: "per block",
                    block_rates: &TWO_AN_HOUR,
                };
                let charge = Charge::new("all", Subject::All, &FIVE_AN_HOUR);
                let receipt = random(2) == 0;
                decision.open.push(Charge { newcomers: Some(newcomers), receipt, ..charge });
            }
            if random(4) == 0 {
                let (network, elsewhere) = (Id([small(random(9)); 16]), small(random(3)).into());
                let (capacity, book) = (40, random(3) > 0);
                decision.ledger = Some(Booking { network, capacity, elsewhere, book, ..BOOKING_OF_FIVE });
            }
            decision.level = (random(2) == 0).then_some(LEVEL);
            decision.makes_live = random(3) == 0;
            let stage = [GOOD, EARLY, BAD][usize::try_from(random(3)).unwrap()];
            let counters = vec![Counter { name: "tries", most: 4, receipt: random(2) == 0 }];
            let lifetime = Duration::from_secs(random(900) + 1);
            decision.record = match random(4) {
                0 => None,
                1 => {
                    let (current, fresh) = (vec![owned(other), owned(one)], owned(random(6) + 1));
                    let sticky = GOOD | EARLY;
                    Some(RecordUse::Begin(Beginning {
                        current,
                        fresh,
                        subject,
                        counters,
                        stage,
                        sticky,
                        lifetime,
                    }))
                }
                _ => Some(RecordUse::Visit(Visit {
                    id: owned(one).id,
                    owner: (random(2) == 0).then(|| owned(one).owner),
                    stages: [GOOD | BAD, EARLY, u8::MAX][usize::try_from(random(3)).unwrap()],
                    or_begin: (random(3) == 0).then_some(OrBegin { stage, lifetime }),
                    counters,
                    mark: (random(3) > 0).then(|| Mark {
                        name: MARK,
                        id: Id([small(random(5)); 16]),
                        busy: (random(2) == 0).then_some(Duration::from_secs(60)),
                        worthwhile: GOOD,
                        otherwise: "wrong",
                    }),
                })),
            };
            for (budget, stages) in [("silent", u8::MAX), ("of good ones", GOOD)] {
                if random(3) == 0 {
                    let subject = if random(2) == 0 { Subject::OfRecord } else { Subject::All };
                    let charge = Charge::new(budget, subject, &THREE_AN_HOUR_FOUR_A_DAY);
                    let stage_when_exhausted = stage;
                    decision.silent.push(Charge { stages, receipt: true, stage_when_exhausted, ..charge });
                }
            }
            let [one, other] = [&stores[0], &stores[1]].map(|store| store.decide(&decision, now));
            let (one, other) = (one.await.unwrap(), other.await.unwrap());
            assert_eq!(one, other, "seed {seed}, step {step}: {decision:?}");
            if random(2) == 0 {
                let undo: Vec<_> = one.receipts.iter().copied().filter(|_| random(2) == 0).collect();
                let settlement = Settlement {
                    undo,
                    outcome: (random(2) == 0).then_some("right"),
                    stage: (random(2) == 0).then_some(StageChange { to: stage, sticky: GOOD }),
                    lifetime: (random(3) == 0).then_some(lifetime),
                    restores: random(4) == 0,
                    raise: (random(4) == 0).then(|| Raise { level: LEVEL, to: small(random(3)) }),
                };
                for store in &stores {
                    store.settle(decision.id, &settlement, now).await;
                }
            }
        }
        let look =
            Decision { ledger: Some(Booking { capacity: 40, ..BOOKING_OF_FIVE }), ..Decision::new(id(0)) };
        let [one, other] = [&stores[0], &stores[1]].map(|store| store.decide(&look, now));
        let readings: [Option<Reading>; 2] = [one.await.unwrap().reading, other.await.unwrap().reading];
        assert_eq!(readings[0], readings[1], "seed {seed}");
    }
}
