//! Counters in Redis or Valkey. A decision is one script, which the server runs whole and by its own clock; so is a settlement. All keys of
//! an installation share one hash tag, its namespace, so that they lie together; a cluster is refused all the same.
//!
//! A task beside the requests connects, with a deadline of its own, and looks every two seconds whether the server can still be written to.
//! A decision that fails or is not made in time closes the connection: every later decision is refused at once until the task has connected
//! again. Before that, the task sends the settlements that it kept for the server; they also undo decisions whose reply was lost.
//!
//! The Redis keys of records begin with the server's `run_id` and `master_replid`. Both change in a restart, a failover, a failback or a
//! restored snapshot, so the store finds no earlier record, and no try that was spent there can be spent again. The Redis keys of budgets
//! and ledgers hold neither, so they stay valid.

use std::{
    collections::VecDeque,
    fmt,
    sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, RedisError, RedisResult, Script, ScriptInvocation,
    aio::MultiplexedConnection,
};
use serde::{Deserialize, Serialize};
use tokio::{
    sync::{Notify, watch},
    time::{sleep, timeout},
};

use crate::{
    Micros,
    decision::{
        DISTINCT, Decided, Decision, EVERYTHING, Recalled, Record, SETTLEMENT, Settlement, Subject, Verdict,
    },
    failure::{Failure, NO_PERMISSION, in_mode, reason},
    id::Id,
    ledger::Reading,
    presence::{Away, Presence},
    rehearsal,
};

/// How long resolving, connecting, TLS, logging in and loading the scripts may take together.
const CONNECT_DEADLINE: Duration = Duration::from_secs(5);
/// How long the task waits after a failure before it connects again, and how often it checks a working connection.
const PAUSE: Duration = Duration::from_secs(2);
/// The last part of a deadline, in which the store still reads a reply that has already arrived. The timer may fire late because this
/// process was busy, and that must not count as a failure of the server.
const LATENESS: Duration = Duration::from_millis(20);
/// How many kept settlements go to the server in one round trip.
const SETTLED_AT_ONCE: usize = 100;
/// How long what a rehearsal writes stays, in microseconds.
const REHEARSED: Micros = 60_000_000;
/// Settlements that are kept for a server that is away. Those beyond are dropped, and what they would undo stays charged.
const MAX_KEPT: usize = 10_000;

static DECIDE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("lua/decide.lua")));
static SETTLE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("lua/settle.lua")));

/// How to use a Redis.
pub struct RedisSettings {
    /// Where it is, and how to log in.
    pub client: Client,
    /// The name of the installation, which is the hash tag of all its keys.
    pub namespace: String,
    /// How long a decision may wait.
    pub timeout: Duration,
    /// Lets the scripts use the time of the caller instead of the server's clock. For tests.
    pub callers_time: bool,
}

impl fmt::Debug for RedisSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The address may hold a password.
        f.debug_struct("RedisSettings").field("namespace", &self.namespace).finish_non_exhaustive()
    }
}

pub(crate) struct Redis {
    settings: RedisSettings,
    /// The namespace in its hash tag, with which every key begins.
    prefix: String,
    connection: Mutex<Option<Connected>>,
    presence: watch::Sender<Presence>,
    /// Wakes the task when the connection was closed.
    closed: Arc<Notify>,
    /// Settlements that the server has not heard of, by the id of their decision.
    kept: Mutex<VecDeque<(Id, Vec<u8>)>>,
}

#[derive(Clone)]
struct Connected {
    connection: MultiplexedConnection,
    server: Arc<Identity>,
}

/// Which server replies. A connection leads to one process, whose `master_replid` changes with its role.
#[derive(Debug)]
struct Identity {
    replication: String,
    /// The prefix of records.
    records: String,
}

impl fmt::Debug for Redis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redis").field("presence", &*self.presence.borrow()).finish_non_exhaustive()
    }
}

/// What `decide.lua` replies, in MessagePack.
#[derive(Deserialize)]
struct Reply {
    verdict: String,
    /// The place of a budget or counter in its list, from 1.
    place: Option<usize>,
    /// The name of a reserve.
    name: Option<String>,
    #[serde(default)]
    wait: u64,
    outcome: Option<String>,
    record: Option<Record>,
    reading: Option<Reading>,
    #[serde(default)]
    receipts: Vec<String>,
    #[serde(default)]
    level: u8,
}

impl Redis {
    pub(crate) fn keep_connected(settings: RedisSettings) -> Arc<Self> {
        // Redis' client asks for the provider of the process; nothing else here installs one.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let redis = Arc::new(Self {
            prefix: format!("{{{}}}", settings.namespace),
            settings,
            connection: Mutex::default(),
            presence: watch::Sender::new(Presence::Connecting),
            closed: Arc::default(),
            kept: Mutex::default(),
        });
        tokio::spawn(keep_connected(Arc::downgrade(&redis), Arc::clone(&redis.closed)));
        redis
    }

    pub(crate) fn presence(&self) -> watch::Receiver<Presence> {
        self.presence.subscribe()
    }

    pub(crate) async fn decide(&self, decision: &Decision<'_>, now: Micros) -> Result<Decided, Away> {
        let connected = self.connected().await?;
        let server = &connected.server;
        let mut script = DECIDE.prepare_invoke();
        script.key(&self.prefix).arg(packed(decision)).arg(&server.records).arg(self.time(now));
        script.arg(DISTINCT).arg(SETTLEMENT).arg(&server.replication);
        let mut connection = connected.connection;
        let decided = match self.within(script.invoke_async::<Vec<u8>>(&mut connection)).await {
            Ok(reply) => {
                read(&reply, decision).ok_or_else(|| "a reply that is none of decide.lua".to_owned())
            }
            Err(failure) => Err(failure),
        };
        decided.map_err(|failure| {
            // It may be decided all the same.
            let settlement = Settlement { undo: vec![EVERYTHING], restores: true, ..Settlement::default() };
            self.keep(decision.id, &settlement);
            self.close(&failure.into())
        })
    }

    pub(crate) async fn settle(&self, decision: Id, settlement: &Settlement<'_>, now: Micros) {
        let settled = match self.connected().await {
            Ok(Connected { mut connection, .. }) => {
                let script =
                    settling(&self.prefix, decision, &packed(settlement), &self.time(now), SETTLEMENT);
                self.within(script.invoke_async::<u32>(&mut connection)).await
            }
            Err(Away { .. }) => Err(String::new()),
        };
        if let Err(failure) = settled {
            self.keep(decision, settlement);
            if !failure.is_empty() {
                self.close(&failure.into());
            }
        }
    }

    pub(crate) async fn recall(&self, record: Id, mark: Id, now: Micros) -> Result<Recalled, Away> {
        let Connected { mut connection, server } = self.connected().await?;
        let mut command = redis::cmd("HMGET");
        command.arg(format!("{}:record:{record}", server.records)).arg(format!("mark:{mark}")).arg("ends");
        let recalled =
            self.within(command.query_async::<(Option<String>, Option<u64>)>(&mut connection)).await;
        let (state, ends) = recalled.map_err(|failure| self.close(&failure.into()))?;
        // The server itself ends records by its own clock.
        let is_over = self.settings.callers_time && ends.is_some_and(|ends| ends <= now);
        Ok(match state.filter(|_| !is_over) {
            None => Recalled::Nothing,
            Some(state) if state == "held" => Recalled::Held,
            Some(state) => match state.strip_prefix("done:") {
                Some(outcome) => Recalled::Outcome(outcome.to_owned()),
                None => Recalled::UnderWay,
            },
        })
    }

    fn time(&self, now: Micros) -> String {
        if self.settings.callers_time { now.to_string() } else { String::new() }
    }

    /// The connection. While the first one is being made, a decision waits for it as long as it would wait for a reply.
    async fn connected(&self) -> Result<Connected, Away> {
        if let Some(connected) = &*self.connection() {
            return Ok(connected.clone());
        }
        let mut presence = self.presence();
        let made = presence.wait_for(|presence| *presence != Presence::Connecting);
        let _ = timeout(self.settings.timeout, made).await;
        self.connection().clone().ok_or(Away { wait: PAUSE })
    }

    fn connection(&self) -> MutexGuard<'_, Option<Connected>> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a reply within the deadline of a decision; what has arrived by then is read.
    async fn within<T>(&self, reply: impl Future<Output = RedisResult<T>>) -> Result<T, String> {
        let mut reply = std::pin::pin!(reply);
        let mut read = timeout(self.settings.timeout.saturating_sub(LATENESS), &mut reply).await;
        if read.is_err() {
            read = timeout(LATENESS, &mut reply).await;
        }
        match read {
            Ok(Ok(reply)) => Ok(reply),
            Ok(Err(error)) => Err(reason(&error)),
            Err(_) => Err("no reply in time".to_owned()),
        }
    }

    /// A connection that failed may still bring replies that nobody waits for any more, so it is not used again.
    fn close(&self, failure: &Failure) -> Away {
        *self.connection() = None;
        self.presence.send_if_modified(|presence| {
            // A fault that somebody has to mend is news also after another failure, and why no connection comes about says more than how the
            // last one broke.
            let is_news = match presence {
                Presence::Away { is_unfit: true, .. } => false,
                Presence::Away { reason, .. } => {
                    failure.is_unfit || failure.while_connecting && **reason != *failure.reason
                }
                _ => true,
            };
            if is_news {
                *presence =
                    Presence::Away { reason: failure.reason.as_str().into(), is_unfit: failure.is_unfit };
            }
            is_news
        });
        self.closed.notify_one();
        Away { wait: PAUSE }
    }

    /// Why no connection came about: `error`, or `None` when it took too long. Asks about TLS where one side may speak it alone.
    fn no_connection(&self, error: Option<&RedisError>) -> Failure {
        let hangs_up = |error: &RedisError| error.is_connection_dropped() && !error.is_connection_refusal();
        let hint = match (self.settings.client.get_connection_info().addr(), error) {
            // A server without TLS waits for the rest of what it takes for a command.
            (ConnectionAddr::TcpTls { .. }, None) => "; does it speak TLS there? Else use redis://",
            // A server with TLS alone hangs up on whoever does not speak it.
            (ConnectionAddr::Tcp(..), Some(error)) if hangs_up(error) => {
                "; does it speak TLS there? Then use rediss://. Or are all of its `maxclients` taken?"
            }
            _ => "",
        };
        let reason = error.map_or_else(|| "no connection in time".to_owned(), reason);
        format!("{reason}{hint}").into()
    }

    fn keep(&self, decision: Id, settlement: &Settlement<'_>) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() < MAX_KEPT {
            kept.push_back((decision, packed(settlement)));
        }
    }

    /// Connects, sees that the server runs what decisions run, and settles what was kept for it.
    async fn connect(&self) -> Result<(), Failure> {
        let config = AsyncConnectionConfig::new().set_connection_timeout(None).set_response_timeout(None);
        let connection = self.settings.client.get_multiplexed_async_connection_with_config(&config).await;
        let mut connection = connection.map_err(|error| self.no_connection(Some(&error)))?;
        for script in [&*DECIDE, &*SETTLE] {
            script.load_async(&mut connection).await?;
        }
        let server = self.look(&mut connection).await?;
        loop {
            let next: Vec<_> = {
                let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
                kept.iter().take(SETTLED_AT_ONCE).cloned().collect()
            };
            if next.is_empty() {
                break;
            }
            let mut settle = redis::pipe();
            for (decision, settlement) in &next {
                // With the server's clock also in tests, for nobody knows any more when it was.
                settle.invoke_script(&settling(&self.prefix, *decision, settlement, "", SETTLEMENT));
            }
            settle.exec_async(&mut connection).await?;
            self.kept.lock().unwrap_or_else(PoisonError::into_inner).drain(..next.len());
        }
        *self.connection() = Some(Connected { connection, server });
        self.presence.send_replace(Presence::Back);
        Ok(())
    }

    /// Runs what decisions run, so that a server on which one of them would fail is noticed, and reads which server it is. Refuses a server
    /// that may drop what is counted, or that keeps some keys elsewhere.
    async fn look(&self, connection: &mut MultiplexedConnection) -> Result<Arc<Identity>, Failure> {
        match self.look_and_rehearse(connection).await {
            Err(failure) if failure.reason.starts_with(NO_PERMISSION) => {
                Err(self.missing_permissions(connection).await.unwrap_or(failure))
            }
            looked => looked,
        }
    }

    async fn look_and_rehearse(
        &self,
        connection: &mut MultiplexedConnection,
    ) -> Result<Arc<Identity>, Failure> {
        let mut look = redis::pipe();
        look.cmd("INFO").arg("server").cmd("INFO").arg("replication").cmd("INFO").arg("memory");
        look.cmd("HMGET").arg(format!("{}:rehearsal", self.prefix)).arg("mark").arg("ends");
        type Looked = (String, String, String, Vec<Option<String>>);
        let (server, replication, memory, _): Looked = look.query_async(connection).await?;
        let field = |info: &str, name: &str| {
            let line = info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
            line.map(str::trim).filter(|value| !value.is_empty()).map(str::to_owned)
        };
        if let Some(policy) = field(&memory, "maxmemory_policy").filter(|policy| policy != "noeviction") {
            return Err(Failure::unfit(format!(
                "its `maxmemory-policy` is `{policy}`, which drops what is counted; set `noeviction`"
            )));
        }
        if let Some(mode) = field(&server, "redis_mode").filter(|mode| mode != "standalone") {
            return Err(Failure::unfit(in_mode(&mode)));
        }
        // A server that does not say which one it is could come back as another one unnoticed.
        let run = field(&server, "run_id").zip(field(&replication, "master_replid"));
        let (run_id, replication) =
            run.ok_or_else(|| Failure::unfit("its INFO lacks run_id or master_replid".to_owned()))?;
        let records = format!("{}:{run_id}:{replication}", self.prefix);
        self.rehearse(connection, &replication).await?;
        Ok(Arc::new(Identity { replication, records }))
    }

    /// Which commands the user may not run: the error of a script does not name the one that it failed at.
    async fn missing_permissions(&self, connection: &mut MultiplexedConnection) -> Option<Failure> {
        let key = format!("{}:rehearsal:permissions", self.prefix);
        let mut missing = Vec::new();
        for (name, arguments) in [
            ("time", &[][..]),
            ("exists", &[""]),
            ("get", &[""]),
            ("set", &["", "1", "PX", "1000"]),
            ("del", &[""]),
            ("hset", &["", "a", "1"]),
            ("hget", &["", "a"]),
            ("hmget", &["", "a"]),
            ("hgetall", &[""]),
            ("hincrby", &["", "a", "1"]),
            ("hdel", &["", "b"]),
            ("expire", &["", "1"]),
            ("pexpire", &["", "1000"]),
        ] {
            let mut command = redis::cmd(name);
            for argument in arguments {
                command.arg(if argument.is_empty() { &key } else { *argument });
            }
            // Other errors say that the command may be run.
            let refused =
                command.exec_async(connection).await.err().filter(|error| error.code() == Some("NOPERM"));
            let Some(text) = refused.map(|error| error.to_string()) else { continue };
            if text.contains(" key") {
                return Some(format!("{NO_PERMISSION}keys that begin with {}", self.prefix).into());
            }
            missing.push(name);
        }
        let missing = missing.join(", ");
        (!missing.is_empty()).then(|| format!("{NO_PERMISSION}{missing}").into())
    }

    /// Makes a decision that costs nobody anything, and undoes it.
    async fn rehearse(
        &self,
        connection: &mut MultiplexedConnection,
        replication: &str,
    ) -> Result<(), Failure> {
        let decision = rehearsal::decision();
        let prefix = format!("{}:rehearsal", self.prefix);
        let mut script = DECIDE.prepare_invoke();
        script.key(&prefix).arg(packed(&decision)).arg(&prefix).arg("");
        script.arg(REHEARSED).arg(REHEARSED).arg(replication);
        let reply: Vec<u8> = script.invoke_async(connection).await?;
        match read(&reply, &decision).map(|decided| decided.verdict) {
            Some(Verdict::Charged) => {}
            _ if rmp_serde::from_slice(&reply).is_ok_and(|reply: Reply| reply.verdict == "other_server") => {
                return Err("it became another server meanwhile".to_owned().into());
            }
            _ => return Err(Failure::unfit("it does not run the scripts as Redis does".to_owned())),
        }
        let everything = Settlement { undo: vec![EVERYTHING], ..Settlement::default() };
        settling(&prefix, decision.id, &packed(&everything), "", REHEARSED)
            .invoke_async::<u32>(connection)
            .await?;
        let mut clean = redis::cmd("DEL");
        clean
            .arg(format!("{prefix}:record:{}", decision.id))
            .arg(format!("{prefix}:receipts:{}", decision.id));
        clean.exec_async(connection).await?;
        Ok(())
    }

    /// Checks the server through the connection that decisions use, and notices when another server replies there.
    async fn look_again(&self) -> Result<(), Failure> {
        let Some(Connected { mut connection, .. }) = self.connection().clone() else {
            return Err("the connection was closed".to_owned().into());
        };
        // Four replies one after the other, each in the time of a decision.
        let looked = timeout(4 * self.settings.timeout, self.look(&mut connection)).await;
        let server = looked.map_err(|_| "no reply in time".to_owned())??;
        if let Some(connected) = &mut *self.connection() {
            connected.server = server;
        }
        Ok(())
    }
}

/// What a script takes as an argument, in MessagePack: fields have their names, and texts are copied as they are.
fn packed(argument: &impl Serialize) -> Vec<u8> {
    // A step 1 takes that much.
    let mut packed = Vec::with_capacity(2048);
    let mut serializer = rmp_serde::Serializer::new(&mut packed).with_struct_map();
    // Nothing that is written into memory fails.
    let _ = argument.serialize(&mut serializer);
    packed
}

/// A call of `settle.lua`. `within` is how long it is remembered that the decision is settled, in microseconds.
fn settling(
    prefix: &str,
    decision: Id,
    settlement: &[u8],
    time: &str,
    within: Micros,
) -> ScriptInvocation<'static> {
    let mut script = SETTLE.prepare_invoke();
    script.key(prefix).arg(decision.to_string()).arg(settlement).arg(time).arg(within);
    script
}

/// Connects, and connects again whenever the connection was closed. Ends with the store.
async fn keep_connected(redis: Weak<Redis>, closed: Arc<Notify>) {
    loop {
        let Some(connecting) = redis.upgrade() else { return };
        let failure = match timeout(CONNECT_DEADLINE, connecting.connect()).await {
            Ok(Ok(())) => None,
            Ok(Err(failure)) => Some(failure),
            Err(_) => Some(connecting.no_connection(None)),
        };
        if let Some(failure) = failure {
            connecting.close(&Failure { while_connecting: true, ..failure });
            drop(connecting);
            sleep(PAUSE).await;
            continue;
        }
        drop(connecting);
        loop {
            // Not longer than a pause, so that the task ends soon after its store.
            let _ = timeout(PAUSE, closed.notified()).await;
            let Some(looking) = redis.upgrade() else { return };
            if let Err(failure) = looking.look_again().await {
                looking.close(&failure);
                break;
            }
        }
    }
}

/// Reads the reply of `decide.lua`, and replaces the places of budgets and counters in their lists by their names.
fn read(reply: &[u8], decision: &Decision<'_>) -> Option<Decided> {
    let reply: Reply = rmp_serde::from_slice(reply).ok()?;
    let place = |count: usize| reply.place?.checked_sub(1).filter(|place| *place < count);
    let wait = Duration::from_micros(reply.wait);
    let verdict = match reply.verdict.as_str() {
        "charged" => Verdict::Charged,
        "exhausted" => {
            let charge = decision.open[place(decision.open.len())?];
            let (budget, subject) = match (reply.name.as_deref(), &charge.newcomers) {
                (Some(name), Some(newcomers)) if name == newcomers.reserve => {
                    (newcomers.reserve, Subject::All)
                }
                (Some(_), Some(newcomers)) => (newcomers.per_block, Subject::Of(newcomers.block)),
                _ => (charge.budget, charge.subject),
            };
            Verdict::Exhausted { budget, subject, wait }
        }
        "ledger_exhausted" => Verdict::LedgerExhausted { wait },
        "share_exhausted" => Verdict::ShareExhausted { wait },
        "suppressed" => Verdict::Suppressed { budget: decision.silent[place(decision.silent.len())?].budget },
        "used_up" => {
            let counters = decision.counters();
            Verdict::UsedUp { counter: counters[place(counters.len())?].name }
        }
        "repeated" => Verdict::Repeated(reply.outcome),
        "absent" => Verdict::Absent,
        "other_stage" => Verdict::OtherStage,
        "other_owner" => Verdict::OtherOwner,
        _ => return None,
    };
    let receipts = reply.receipts.iter().map(|name| decision.name(name)).collect::<Option<_>>()?;
    let Reply { record, reading, level, .. } = reply;
    Some(Decided { verdict, record, reading, receipts, level })
}
