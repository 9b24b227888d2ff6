//! How many connections there may be: in all, and from one network. When there is no room, the connection that has been silent longest gives way to
//! a new one; where none is silent, the new one is closed. Each of these is counted, and told once a minute.

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

/// How many connections that were asked to go may still be there, beyond which no new one is let in.
const MAX_GOING: usize = 64;

/// How many connections there may be.
#[derive(Clone, Copy, Debug)]
pub struct Most {
    /// At once.
    pub all: usize,
    /// At once from one network: an IPv4 address, or the /64 of an IPv6 address.
    pub per_network: usize,
}

/// The connections of a listener.
#[derive(Debug)]
pub struct Connections {
    most: Most,
    /// Where they are counted, unless they are operators'.
    metrics: Option<Arc<Metrics>>,
    clock: Clock,
    turns: Arc<AtomicU64>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    open: HashMap<u64, Arc<Connection>>,
    per_network: HashMap<Network, usize>,
    /// How many of `open` were asked to go and have not gone yet.
    going: usize,
    next: u64,
    told: Option<Instant>,
    untold: u64,
}

/// A connection, as its stream, its service and the others know it.
#[derive(Debug)]
pub struct Connection {
    phase: AtomicU8,
    /// The number of its turn: whoever fell silent later has a higher one.
    silent_since: AtomicU64,
    turns: Arc<AtomicU64>,
    /// Whether it gives way to another one.
    must_go: AtomicBool,
    waker: AtomicWaker,
    /// The network that it is counted for; `None` for a trusted proxy's.
    network: Option<Network>,
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
}

impl Reason {
    fn name(self) -> &'static str {
        match self {
            Self::All => "max",
            Self::Network => "max_per_network",
        }
    }
}

impl Connections {
    /// Room for so many.
    pub fn new(most: Most, metrics: Option<Arc<Metrics>>, clock: Clock) -> Arc<Self> {
        Arc::new(Self { most, metrics, clock, turns: Arc::default(), state: Mutex::default() })
    }

    /// A place for a connection from an address; `None` when there is no room. An address that is `None` is a trusted proxy's, through which many
    /// clients come.
    pub fn place(self: &Arc<Self>, address: Option<IpAddr>) -> Option<Place> {
        let network = address.map(|address| Network::own(Some(address.to_canonical())));
        let mut state = self.state();
        if let Some(network) = network
            && state.per_network.get(&network).is_some_and(|count| *count >= self.most.per_network)
        {
            self.make_room(&mut state, Reason::Network, |connection| connection.network == Some(network))?;
        }
        if state.open.len() - state.going >= self.most.all {
            self.make_room(&mut state, Reason::All, |_| true)?;
        }
        if state.going > MAX_GOING {
            return None;
        }
        let connection = Arc::new(Connection {
            phase: AtomicU8::new(IDLE),
            silent_since: AtomicU64::new(self.turns.fetch_add(1, Ordering::Relaxed)),
            turns: Arc::clone(&self.turns),
            must_go: AtomicBool::new(false),
            waker: AtomicWaker::new(),
            network,
        });
        let number = state.next;
        state.next += 1;
        state.open.insert(number, Arc::clone(&connection));
        if let Some(network) = network {
            *state.per_network.entry(network).or_default() += 1;
        }
        self.show(state.open.len());
        Some(Place { connection, number, connections: Arc::clone(self) })
    }

    /// Asks the connection that has been silent longest to go. `None` when none is silent.
    fn make_room(
        &self,
        state: &mut State,
        reason: Reason,
        may_go: impl Fn(&Connection) -> bool,
    ) -> Option<()> {
        let silent = state.open.values().filter(|connection| connection.may_go() && may_go(connection));
        let longest =
            silent.min_by_key(|connection| connection.silent_since.load(Ordering::Relaxed)).cloned();
        let outcome = if longest.is_some() { "gave_way" } else { "refused" };
        if let Some(metrics) = &self.metrics {
            metrics.connection_shed(reason.name(), outcome);
        }
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
        let longest = longest?;
        longest.must_go.store(true, Ordering::Relaxed);
        longest.waker.wake();
        state.going += 1;
        // It is counted no more, or its network could have no new connection until it has gone.
        state.leave(longest.network);
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
    fn leave(&mut self, network: Option<Network>) {
        let Some(network) = network else { return };
        if let Some(count) = self.per_network.get_mut(&network) {
            *count -= 1;
            if *count == 0 {
                self.per_network.remove(&network);
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
        if phase == IDLE {
            self.silent_since.store(self.turns.fetch_add(1, Ordering::Relaxed), Ordering::Relaxed);
        }
        self.phase.store(phase, Ordering::Relaxed);
    }

    /// Whether the connection, which waits for a request, should close instead. Wakes the task when it should later.
    pub fn should_close(&self, context: &std::task::Context<'_>) -> bool {
        self.waker.register(context.waker());
        self.must_go.load(Ordering::Relaxed)
    }

    fn may_go(&self) -> bool {
        self.phase() == IDLE && !self.must_go.load(Ordering::Relaxed)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut state = self.connections.state();
        state.open.remove(&self.number);
        if self.connection.must_go.load(Ordering::Relaxed) {
            state.going -= 1;
        } else {
            state.leave(self.connection.network);
        }
        self.connections.show(state.open.len());
    }
}
