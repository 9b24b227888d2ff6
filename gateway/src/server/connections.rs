//! How many connections there may be: in all, and from one network. When there is no room, the connection that has waited longest gives way to a new
//! one: for a request, or for the rest of its head. Where none waits, the new one is closed. Each of these is counted, and told once a minute.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering},
    },
    time::Duration,
};

use atomic_waker::AtomicWaker;
use tokio::time::Instant;
use tracing::warn;

use crate::{clock::Clock, network::Network, telemetry::metrics::Metrics};

/// How often it is told that connections are closed for want of room.
const TELL_EVERY: Duration = Duration::from_secs(60);

/// No request is under way.
pub const IDLE: u8 = 0;
/// A head has begun.
pub const PARTIAL_HEAD: u8 = 1;
/// A request has been read and has no reply yet.
pub const SERVING: u8 = 2;
/// A reply has begun, and may not be read yet.
pub const WRITING: u8 = 3;

/// How many connections that were asked to go may still be there; beyond that, no other one is asked.
const MAX_GOING: usize = 64;

/// How many connections there may be.
#[derive(Clone, Copy, Debug)]
pub struct Most {
    /// At once.
    pub all: usize,
    /// At once from one network: an IPv4 address, or the /64 of an IPv6 address. Wider ones may have several times as many.
    pub per_network: usize,
}

/// The connections of a listener.
#[derive(Debug)]
pub struct Connections {
    most: Most,
    /// Where they are counted, unless they are operators'.
    metrics: Option<Arc<Metrics>>,
    clock: Clock,
    /// For operators: the connections of clients, who give way to them where descriptors are short.
    clients: Option<Arc<Connections>>,
    turns: Arc<AtomicU64>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    open: HashMap<u64, Open>,
    per_network: HashMap<Network, usize>,
    /// How many of `open` were asked to go and have not gone yet.
    going: usize,
    next: u64,
    told: Option<Instant>,
    untold: u64,
}

/// A connection, as the others know it.
#[derive(Debug)]
struct Open {
    connection: Arc<Connection>,
    /// The networks that it is counted for; none for a trusted proxy's.
    networks: Vec<Network>,
}

/// A connection, as its stream and its service know it.
#[derive(Debug)]
pub struct Connection {
    phase: AtomicU8,
    /// The number of its turn: whoever fell silent or began a head later has a higher one.
    waits_since: AtomicU64,
    turns: Arc<AtomicU64>,
    /// Whether it gives way to another one.
    must_go: AtomicBool,
    waker: AtomicWaker,
}

/// Holds the place of a connection until its last request is done.
#[derive(Debug)]
pub struct Place {
    pub connection: Arc<Connection>,
    number: u64,
    connections: Arc<Connections>,
}

/// Why a connection is closed before its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reason {
    /// All connections are in use.
    All,
    /// One network has all that it may have.
    Network,
    /// The system gives the process no descriptor for it.
    Descriptors,
}

impl Reason {
    fn name(self) -> &'static str {
        match self {
            Self::All => "max",
            Self::Network => "max_per_network",
            Self::Descriptors => "descriptors",
        }
    }
}

impl Connections {
    /// Room for so many.
    pub fn new(most: Most, metrics: Option<Arc<Metrics>>, clock: Clock) -> Arc<Self> {
        Arc::new(Self::with(most, metrics, clock, None))
    }

    /// Room for operators beside clients, who give way where descriptors are short.
    pub fn of_operators(most: Most, clients: &Arc<Self>) -> Arc<Self> {
        Arc::new(Self::with(most, None, clients.clock.clone(), Some(Arc::clone(clients))))
    }

    fn with(most: Most, metrics: Option<Arc<Metrics>>, clock: Clock, clients: Option<Arc<Self>>) -> Self {
        Self { most, metrics, clock, clients, turns: Arc::default(), state: Mutex::default() }
    }

    /// A place for a connection from an address; `None` when there is no room. An address that is `None` is a trusted proxy's, through which many
    /// clients come.
    pub fn place(self: &Arc<Self>, address: Option<IpAddr>) -> Option<Place> {
        let mut state = self.state();
        let networks = self.room_in_networks(&mut state, address)?;
        if state.open.len() - state.going >= self.most.all {
            self.make_room(&mut state, Reason::All, |_| true)?;
        }
        let connection = Arc::new(Connection {
            phase: AtomicU8::new(IDLE),
            waits_since: AtomicU64::new(self.turns.fetch_add(1, Ordering::Relaxed)),
            turns: Arc::clone(&self.turns),
            must_go: AtomicBool::new(false),
            waker: AtomicWaker::new(),
        });
        let number = state.next;
        state.next += 1;
        state.enter(&networks);
        state.open.insert(number, Open { connection: Arc::clone(&connection), networks });
        self.show(state.open.len());
        Some(Place { connection, number, connections: Arc::clone(self) })
    }

    /// Makes room when the system has no descriptor for one more connection, which waits in the system's queue meanwhile.
    pub fn make_room_for_descriptor(&self) {
        if let Some(clients) = &self.clients {
            return clients.make_room_for_descriptor();
        }
        // Where all are busy, the new one waits on.
        let _ = self.make_room(&mut self.state(), Reason::Descriptors, |_| true);
    }

    /// The networks of an address, once there is room for one more connection in each; `None` when one has all that it may have.
    fn room_in_networks(&self, state: &mut State, address: Option<IpAddr>) -> Option<Vec<Network>> {
        let networks = address.map(|address| Network::of_a_host(address.to_canonical())).unwrap_or_default();
        for (network, times) in &networks {
            let most = self.most.per_network.saturating_mul(*times as usize);
            if state.per_network.get(network).is_some_and(|count| *count >= most) {
                self.make_room(state, Reason::Network, |open| open.networks.contains(network))?;
            }
        }
        Some(networks.into_iter().map(|(network, _)| network).collect())
    }

    /// Asks the connection that has waited longest to go. `None` when all are busy, or many are about to go.
    fn make_room(&self, state: &mut State, reason: Reason, is_meant: impl Fn(&Open) -> bool) -> Option<()> {
        let is_full = state.going >= MAX_GOING;
        let waiting =
            state.open.values_mut().filter(|open| !is_full && is_meant(open) && open.connection.may_go());
        let longest = waiting.min_by_key(|open| open.connection.waits_since.load(Ordering::Relaxed));
        let outcome = if longest.is_some() { "gave_way" } else { "refused" };
        if let Some(metrics) = &self.metrics {
            metrics.connection_shed(reason.name(), outcome);
        }
        // It is counted no more, or its network could have no new connection until it has gone.
        let left = longest.map(|longest| {
            longest.connection.must_go.store(true, Ordering::Relaxed);
            longest.connection.waker.wake();
            std::mem::take(&mut longest.networks)
        });
        state.untold += 1;
        let now = self.clock.now();
        if state.told.is_none_or(|told| now.saturating_duration_since(told) >= TELL_EVERY) {
            let (shed, open) = (std::mem::take(&mut state.untold), state.open.len());
            state.told = Some(now);
            warn!(
                reason = reason.name(),
                shed, open, "connections are closed before their time, for there is no room"
            );
        }
        state.leave(&left?);
        state.going += 1;
        Some(())
    }

    fn show(&self, open: usize) {
        if let Some(metrics) = &self.metrics {
            metrics.connections(open);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn enter(&mut self, networks: &[Network]) {
        for network in networks {
            *self.per_network.entry(*network).or_default() += 1;
        }
    }

    fn leave(&mut self, networks: &[Network]) {
        for network in networks {
            if let Some(count) = self.per_network.get_mut(network) {
                *count -= 1;
                if *count == 0 {
                    self.per_network.remove(network);
                }
            }
        }
    }
}

impl Connection {
    pub fn phase(&self) -> u8 {
        self.phase.load(Ordering::Relaxed)
    }

    /// Goes over to another phase.
    pub fn enter(&self, phase: u8) {
        if phase == IDLE || phase == PARTIAL_HEAD {
            self.waits_since.store(self.turns.fetch_add(1, Ordering::Relaxed), Ordering::Relaxed);
        }
        self.phase.store(phase, Ordering::Relaxed);
    }

    /// Whether the connection, which waits for a request, should close instead. Wakes the task when it should later.
    pub fn should_close(&self, context: &std::task::Context<'_>) -> bool {
        self.waker.register(context.waker());
        self.must_go()
    }

    /// Whether it has been asked to give way.
    pub fn must_go(&self) -> bool {
        self.must_go.load(Ordering::Relaxed)
    }

    /// Whether it waits for a request, or for the rest of its head.
    pub fn waits(&self) -> bool {
        matches!(self.phase(), IDLE | PARTIAL_HEAD)
    }

    fn may_go(&self) -> bool {
        self.waits() && !self.must_go()
    }
}

impl Place {
    /// Counts the connection for the networks of its client, whom the header of a proxy has named only now. `None` when they have all that they may
    /// have.
    pub fn count_for(&self, address: IpAddr) -> Option<()> {
        let mut state = self.connections.state();
        let networks = self.connections.room_in_networks(&mut state, Some(address))?;
        // One that gives way meanwhile is counted for nobody.
        if self.connection.must_go() {
            return None;
        }
        state.enter(&networks);
        if let Some(open) = state.open.get_mut(&self.number) {
            open.networks = networks;
        }
        Some(())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut state = self.connections.state();
        let Some(open) = state.open.remove(&self.number) else { return };
        if self.connection.must_go() {
            state.going -= 1;
        }
        state.leave(&open.networks);
        self.connections.show(state.open.len());
    }
}
