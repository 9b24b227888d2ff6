//! A Redis that goes away, comes back, and is another one.

use std::time::{Duration, Instant};

use autoshares_counting::{
    Beginning, Charge, Decided, Decision, Id, Owned, Presence, Rate, RecordUse, RedisSettings, Settlement,
    Store, Subject, Verdict, Visit,
};

use crate::servers::{PATIENCE, Server};

const TWO_AN_HOUR: [Rate; 1] = [Rate { count: 2, period: Duration::from_secs(3600) }];
const TIMEOUT: Duration = Duration::from_secs(1);
const RECORD: Owned = Owned { id: Id([1; 16]), owner: Id([2; 16]) };

fn store(server: &Server) -> Store {
    let (client, namespace) = (server.client(), "test".to_owned());
    Store::redis(RedisSettings { client, namespace, timeout: TIMEOUT, callers_time: false })
}

fn id(number: u8) -> Id {
    Id([number; 16])
}

/// One of two an hour.
fn letter(number: u8) -> Decision<'static> {
    let charge = Charge { receipt: true, ..Charge::new("letters", Subject::All, &TWO_AN_HOUR) };
    Decision { open: vec![charge], ..Decision::new(id(number)) }
}

fn begins(number: u8) -> Decision<'static> {
    let record = RecordUse::Begin(Beginning {
        current: vec![],
        fresh: RECORD,
        subject: id(3),
        counters: vec![],
        stage: 1,
        sticky: 1,
        lifetime: Duration::from_secs(600),
    });
    Decision { record: Some(record), ..Decision::new(id(number)) }
}

fn visits(number: u8) -> Decision<'static> {
    let (stages, or_begin, counters, mark) = (u8::MAX, None, vec![], None);
    let visit = Visit { id: RECORD.id, owner: None, stages, or_begin, counters, mark };
    Decision { record: Some(RecordUse::Visit(visit)), ..Decision::new(id(number)) }
}

async fn verdict(store: &Store, decision: &Decision<'_>) -> Verdict {
    store.decide(decision, 0).await.unwrap().verdict
}

/// Waits until the store has come back from being away.
async fn back(store: &Store) {
    let mut presence = store.presence().unwrap();
    let back = presence.wait_for(|presence| *presence == Presence::Back);
    tokio::time::timeout(PATIENCE, back).await.unwrap().unwrap();
}

fn is_away(store: &Store) -> bool {
    matches!(*store.presence().unwrap().borrow(), Presence::Away { .. })
}

/// A decision that the server makes after its caller has given up is undone when the server replies again.
#[tokio::test]
async fn a_decision_that_nobody_heard_of_is_undone() {
    let server = Server::redis(&[]);
    let store = store(&server);
    assert_eq!(verdict(&store, &letter(1)).await, Verdict::Charged);
    server.pause();
    let started = Instant::now();
    assert!(store.decide(&letter(2), 0).await.is_err());
    let took = started.elapsed();
    assert!((TIMEOUT..TIMEOUT * 2).contains(&took), "{took:?}");
    assert!(is_away(&store));
    // From now on nobody waits.
    let started = Instant::now();
    for number in 10..200 {
        assert!(store.decide(&letter(number), 0).await.is_err());
    }
    assert!(started.elapsed() < 5 * TIMEOUT, "{:?}", started.elapsed());
    server.resume();
    back(&store).await;
    assert_eq!(verdict(&store, &letter(3)).await, Verdict::Charged);
    assert!(matches!(verdict(&store, &letter(4)).await, Verdict::Exhausted { .. }));
}

/// Nor does a record stay at the stage that such a decision gave it.
#[tokio::test]
async fn a_record_goes_back_to_its_stage_when_nobody_heard_of_the_next() {
    let server = Server::redis(&[]);
    let store = store(&server);
    let stage = |number, current, stage| {
        let Some(RecordUse::Begin(begin)) = begins(number).record else { unreachable!() };
        let record = Some(RecordUse::Begin(Beginning { current, stage, ..begin }));
        Decision { record, ..Decision::new(id(number)) }
    };
    assert_eq!(verdict(&store, &stage(1, vec![], 2)).await, Verdict::Charged);
    server.pause();
    assert!(store.decide(&stage(2, vec![RECORD], 4), 0).await.is_err());
    server.resume();
    back(&store).await;
    let decided = store.decide(&visits(3), 0).await.unwrap();
    assert_eq!(decided.record.map(|record| record.stage), Some(2));
}

/// A decision that is settled before it arrives charges nothing, whichever comes first.
#[tokio::test]
async fn a_decision_that_arrives_after_its_settlement_charges_nothing() {
    let server = Server::redis(&[]);
    let store = store(&server);
    store.settle(id(1), &Settlement::default(), 0).await;
    assert!(store.decide(&letter(1), 0).await.is_err(), "nobody waits for such a decision");
    back(&store).await;
    assert_eq!(verdict(&store, &letter(2)).await, Verdict::Charged);
    assert_eq!(verdict(&store, &letter(3)).await, Verdict::Charged);
}

#[tokio::test]
async fn a_settlement_that_meets_no_server_is_made_up_for() {
    let mut server = Server::redis(&["--appendonly", "yes", "--appendfsync", "always"]);
    let store = store(&server);
    for number in 1..=2 {
        assert_eq!(verdict(&store, &letter(number)).await, Verdict::Charged);
    }
    server.kill();
    store.settle(id(2), &Settlement { undo: vec!["letters"], ..Settlement::default() }, 0).await;
    assert!(is_away(&store));
    server.restart();
    back(&store).await;
    assert_eq!(verdict(&store, &letter(3)).await, Verdict::Charged);
    assert!(matches!(verdict(&store, &letter(4)).await, Verdict::Exhausted { .. }));
}

/// Whatever is still in it, a server that was started again is another one for records, and the same one for budgets.
#[tokio::test]
async fn no_record_survives_a_restart_of_the_server_and_budgets_do() {
    let mut server = Server::redis(&["--appendonly", "yes", "--appendfsync", "always"]);
    let store = store(&server);
    assert_eq!(verdict(&store, &letter(1)).await, Verdict::Charged);
    assert_eq!(verdict(&store, &begins(2)).await, Verdict::Charged);
    assert_eq!(verdict(&store, &visits(3)).await, Verdict::Charged);
    server.kill();
    assert!(store.decide(&visits(4), 0).await.is_err());
    server.restart();
    back(&store).await;
    assert_eq!(verdict(&store, &visits(5)).await, Verdict::Absent);
    assert_eq!(verdict(&store, &letter(6)).await, Verdict::Charged);
    assert!(matches!(verdict(&store, &letter(7)).await, Verdict::Exhausted { .. }));
}

/// A server that becomes a replica cannot be written to; when it is the master again, it may hold the state of another one.
#[tokio::test]
async fn no_record_survives_a_failover_and_back() {
    let server = Server::redis(&[]);
    let store = store(&server);
    assert_eq!(verdict(&store, &begins(1)).await, Verdict::Charged);
    let (): () = server.query(&["REPLICAOF", "127.0.0.1", "1"]);
    assert!(store.decide(&letter(2), 0).await.is_err());
    assert!(is_away(&store));
    let (): () = server.query(&["REPLICAOF", "NO", "ONE"]);
    back(&store).await;
    assert_eq!(verdict(&store, &visits(3)).await, Verdict::Absent);
}

/// The same from the first instant on, although no decision met the failover and the connection stayed open.
#[tokio::test]
async fn a_failover_that_no_decision_met_is_noticed_by_the_next() {
    let server = Server::redis(&[]);
    let store = store(&server);
    assert_eq!(verdict(&store, &begins(1)).await, Verdict::Charged);
    let (): () = server.query(&["REPLICAOF", "127.0.0.1", "1"]);
    let (): () = server.query(&["REPLICAOF", "NO", "ONE"]);
    assert!(store.decide(&visits(3), 0).await.is_err());
    back(&store).await;
    assert_eq!(verdict(&store, &visits(4)).await, Verdict::Absent);
}

/// The timer of a process that was busy fires late; a reply that has arrived by then is read.
#[tokio::test]
async fn a_process_that_was_busy_does_not_take_its_server_for_away() {
    let server = Server::redis(&[]);
    let store = store(&server);
    assert_eq!(verdict(&store, &letter(1)).await, Verdict::Charged);
    let decision = letter(2);
    let busy = async {
        // The decision is on its way by now.
        tokio::time::sleep(Duration::from_millis(1)).await;
        std::thread::sleep(TIMEOUT * 2);
    };
    server.pause();
    let resume = std::thread::spawn(move || {
        std::thread::sleep(TIMEOUT / 2);
        server.resume();
        server
    });
    let (decided, ()) = tokio::join!(store.decide(&decision, 0), busy);
    assert!(matches!(decided, Ok(Decided { verdict: Verdict::Charged, .. })), "{decided:?}");
    drop(resume.join());
}

/// Scripts that were flushed are loaded again, and nobody notices.
#[tokio::test]
async fn scripts_that_were_flushed_are_loaded_again() {
    let server = Server::redis(&[]);
    let store = store(&server);
    for number in 1..=2 {
        assert_eq!(verdict(&store, &letter(number)).await, Verdict::Charged);
        let (): () = server.query(&["SCRIPT", "FLUSH"]);
    }
    store.settle(id(2), &Settlement { undo: vec!["letters"], ..Settlement::default() }, 0).await;
    assert_eq!(verdict(&store, &letter(3)).await, Verdict::Charged);
    assert!(!is_away(&store));
}

/// A server that may drop what is counted, or that keeps keys elsewhere, is not used until somebody has mended that.
#[tokio::test]
async fn a_server_that_drops_what_is_counted_is_not_used() {
    let server = Server::redis(&["--maxmemory-policy", "allkeys-lru"]);
    let first = store(&server);
    let unusable = first.probe().await.unwrap_err();
    assert!(unusable.is_unfit && unusable.reason.contains("allkeys-lru"), "{unusable:?}");
    assert!(first.decide(&letter(1), 0).await.is_err());
    let (): () = server.query(&["CONFIG", "SET", "maxmemory-policy", "noeviction"]);
    back(&first).await;
    assert_eq!(verdict(&first, &letter(2)).await, Verdict::Charged);
    // Somebody changes it while the gateway runs.
    let (): () = server.query(&["CONFIG", "SET", "maxmemory-policy", "volatile-ttl"]);
    let mut presence = first.presence().unwrap();
    let away = presence.wait_for(|presence| matches!(presence, Presence::Away { is_unfit: true, .. }));
    tokio::time::timeout(PATIENCE, away).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_server_that_is_not_there_refuses_within_the_deadline() {
    // One that says nothing, and a port at which nobody listens.
    let silent = Server::redis(&[]);
    silent.pause();
    for url in [&*silent.url(), "redis://127.0.0.1:1/0"] {
        let client = redis::Client::open(url).unwrap();
        let settings =
            RedisSettings { client, namespace: "test".to_owned(), timeout: TIMEOUT, callers_time: false };
        let store = Store::redis(settings);
        let started = Instant::now();
        assert!(store.decide(&letter(1), 0).await.is_err());
        assert!(started.elapsed() < TIMEOUT * 2, "{url}");
        assert!(store.probe().await.is_err());
    }
}

/// It is told once, and again when it comes back in a state that somebody must mend; but not for each decision and each try to connect.
#[tokio::test]
async fn a_server_that_stays_away_is_news_once() {
    let mut server = Server::redis(&["--maxmemory-policy", "allkeys-lru"]);
    server.kill();
    let store = store(&server);
    let mut presence = store.presence().unwrap();
    let away = async |presence: &mut tokio::sync::watch::Receiver<Presence>, expected: bool| {
        let away = presence.wait_for(
            |presence| matches!(presence, Presence::Away { is_unfit, .. } if *is_unfit == expected),
        );
        let away = tokio::time::timeout(PATIENCE, away).await.unwrap().unwrap();
        let Presence::Away { reason, .. } = &*away else { panic!("{away:?}") };
        reason.to_string()
    };
    let reason = away(&mut presence, false).await;
    assert!(reason.contains("refused"), "{reason}");
    assert!(store.decide(&letter(1), 0).await.is_err());
    // Long enough for another try to connect.
    tokio::time::sleep(Duration::from_millis(2500)).await;
    assert!(!presence.has_changed().unwrap());
    server.restart();
    let reason = away(&mut presence, true).await;
    assert!(reason.contains("allkeys-lru"), "{reason}");
    server.kill();
    tokio::time::sleep(Duration::from_millis(2500)).await;
    assert!(!presence.has_changed().unwrap(), "what must be mended stays");
}
