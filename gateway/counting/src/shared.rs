//! Counters in this process that several stores share and that fail on demand: the stand-in for Redis in the gateway's simulation, where a
//! simulated hour may take milliseconds. Behind the feature `simulation`.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::sleep;

use crate::{
    Micros,
    decision::{Decided, Decision, EVERYTHING, Recalled, Settlement, StageChange},
    id::Id,
    memory::Memory,
    presence::Away,
    store::Store,
};

/// How long a store tells its callers to wait when it cannot be reached.
const WAIT: Duration = Duration::from_secs(2);

/// A server that any number of stores use.
#[derive(Clone)]
pub struct Shared(Arc<Mutex<Server>>);

struct Server {
    memory: Memory,
    snapshot: Option<Memory>,
    /// The clock of the server, which is nobody else's.
    clock: Box<dyn Fn() -> Micros + Send>,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Shared")
    }
}

/// How one store reaches the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weather {
    /// Every decision is made and heard of.
    Fair,
    /// Nothing reaches the server.
    Cut,
    /// Decisions are made, and nobody hears of them: after this time the caller gives up.
    Deaf(Duration),
}

/// Sets the weather of one store.
#[derive(Clone, Debug)]
pub struct Vane(Arc<Link>);

#[derive(Debug)]
pub(crate) struct Link {
    shared: Shared,
    weather: Mutex<Weather>,
    kept: Mutex<Vec<(Id, Kept)>>,
}

/// A settlement for later.
#[derive(Clone, Debug)]
struct Kept {
    undo: Vec<&'static str>,
    outcome: Option<String>,
    stage: Option<StageChange>,
    lifetime: Option<Duration>,
    restores: bool,
    raise: Option<crate::Raise>,
}

/// What a server holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    pub records: usize,
    pub budgets: usize,
    /// Decisions that are not settled yet.
    pub unsettled: usize,
    /// Secrets that became live within this many minutes.
    pub live: u32,
}

impl Shared {
    /// A server with a clock of its own.
    pub fn new(clock: impl Fn() -> Micros + Send + 'static) -> Self {
        let clock = Box::new(clock);
        Self(Arc::new(Mutex::new(Server { memory: Memory::default(), snapshot: None, clock })))
    }

    /// A store that uses it, and the vane that cuts the store off.
    pub fn store(&self) -> (Store, Vane) {
        let (weather, kept) = (Mutex::new(Weather::Fair), Mutex::default());
        let link = Arc::new(Link { shared: self.clone(), weather, kept });
        (Store::over(Arc::clone(&link)), Vane(link))
    }

    /// The server is started again with what it has written down: it is another server, so no record goes on.
    pub fn restart(&self) {
        self.server().memory.end_records();
    }

    /// The server loses everything.
    pub fn forget(&self) {
        self.server().memory = Memory::default();
    }

    /// The server writes down what it holds, for [`go_back`](Self::go_back).
    pub fn remember(&self) {
        let mut server = self.server();
        server.snapshot = Some(server.memory.clone());
    }

    /// The server is replaced by one that holds what was written down, as after a failover to a replica that lags.
    pub fn go_back(&self) {
        let mut server = self.server();
        if let Some(mut memory) = server.snapshot.clone() {
            memory.end_records();
            server.memory = memory;
        }
    }

    /// What it holds.
    pub fn held(&self, live_minutes: u64) -> Held {
        let mut server = self.server();
        let now = (server.clock)();
        server.memory.held(live_minutes, now)
    }

    fn server(&self) -> MutexGuard<'_, Server> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Vane {
    /// Changes the weather. When it turns fair, the settlements that were kept are made up for.
    pub fn set(&self, weather: Weather) {
        *lock(&self.0.weather) = weather;
        if weather == Weather::Fair {
            let kept = std::mem::take(&mut *lock(&self.0.kept));
            for (id, kept) in kept {
                self.0.settle_now(id, &kept.as_settlement());
            }
        }
    }
}

impl Link {
    pub(crate) async fn decide(&self, decision: &Decision<'_>) -> Result<Decided, Away> {
        match self.weather() {
            Weather::Fair => {
                let mut server = self.shared.server();
                let now = (server.clock)();
                Ok(server.memory.decide(decision, now))
            }
            Weather::Cut => Err(Away { wait: WAIT }),
            Weather::Deaf(patience) => {
                {
                    let mut server = self.shared.server();
                    let now = (server.clock)();
                    server.memory.decide(decision, now);
                }
                let undo = Settlement { undo: vec![EVERYTHING], restores: true, ..Settlement::default() };
                self.keep(decision.id, &undo);
                sleep(patience).await;
                Err(Away { wait: WAIT })
            }
        }
    }

    pub(crate) fn settle(&self, id: Id, settlement: &Settlement<'_>) {
        match self.weather() {
            Weather::Fair => self.settle_now(id, settlement),
            // A settlement that nobody heard of is settled again, which does nothing.
            Weather::Deaf(_) => {
                self.settle_now(id, settlement);
                self.keep(id, settlement);
            }
            Weather::Cut => self.keep(id, settlement),
        }
    }

    pub(crate) async fn recall(&self, record: Id, mark: Id) -> Result<Recalled, Away> {
        match self.weather() {
            Weather::Fair => {
                let mut server = self.shared.server();
                let now = (server.clock)();
                Ok(server.memory.recall(record, mark, now))
            }
            Weather::Cut => Err(Away { wait: WAIT }),
            Weather::Deaf(patience) => {
                sleep(patience).await;
                Err(Away { wait: WAIT })
            }
        }
    }

    fn settle_now(&self, id: Id, settlement: &Settlement<'_>) {
        let mut server = self.shared.server();
        let now = (server.clock)();
        server.memory.settle(id, settlement, now);
    }

    fn keep(&self, id: Id, settlement: &Settlement<'_>) {
        lock(&self.kept).push((id, Kept::of(settlement)));
    }

    fn weather(&self) -> Weather {
        *lock(&self.weather)
    }
}

impl Kept {
    fn of(settlement: &Settlement<'_>) -> Self {
        let Settlement { undo, outcome, stage, lifetime, restores, raise } = settlement.clone();
        Self { undo, outcome: outcome.map(str::to_owned), stage, lifetime, restores, raise }
    }

    fn as_settlement(&self) -> Settlement<'_> {
        let Self { undo, outcome, stage, lifetime, restores, raise } = self;
        let (undo, outcome) = (undo.clone(), outcome.as_deref());
        Settlement { undo, outcome, stage: *stage, lifetime: *lifetime, restores: *restores, raise: *raise }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
