//! A server that runs on one core, and what the kernel says of it.

use std::{
    ffi::OsStr,
    fs,
    net::{SocketAddr, TcpStream},
    ops::Sub,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use rustix::thread::{CpuSet, sched_setaffinity};

use crate::{failure::Failure, load::read};

/// How long a server may take to start.
const START: Duration = Duration::from_secs(20);
/// How long one that was told to end may go on.
const STOP: Duration = Duration::from_secs(60);
/// The kernel counts processor time in ticks.
const MICROSECONDS_PER_TICK: f64 = 10_000.0;

/// The core of the server that is measured.
pub(crate) const SERVER_CORE: usize = 0;
/// The core of all else: the load, the stand-in for Autoshares, Redis.
pub(crate) const LOAD_CORE: usize = 1;

/// Prepares a command that runs a program with its standard output thrown away.
pub(crate) fn silent(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    command.stdout(Stdio::null());
    command
}

/// Does something on a core, where the programs that it starts stay. `taskset` would do the same, and take one to two milliseconds before each
/// program.
pub(crate) fn on_core<T: Send>(
    core: usize,
    work: impl FnOnce() -> Result<T, Failure> + Send,
) -> Result<T, Failure> {
    let pinned = || {
        let mut cores = CpuSet::new();
        cores.set(core);
        sched_setaffinity(None, &cores).map_err(Failure::new)?;
        work()
    };
    let done = thread::scope(|scope| scope.spawn(pinned).join());
    done.unwrap_or_else(|_| Err(Failure::new("the thread on a core of its own has panicked")))
}

/// A running server. Dropping it ends it.
pub(crate) struct Server {
    child: Child,
    pub(crate) address: SocketAddr,
}

/// Processor time, in microseconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Time {
    pub(crate) user: f64,
    pub(crate) system: f64,
}

impl Sub for Time {
    type Output = Self;

    fn sub(self, earlier: Self) -> Self {
        Self { user: self.user - earlier.user, system: self.system - earlier.system }
    }
}

impl Server {
    /// Starts a server on a core and waits until it listens.
    pub(crate) fn start(core: usize, mut command: Command, address: SocketAddr) -> Result<Self, Failure> {
        let child = on_core(core, || command.stdin(Stdio::null()).spawn().map_err(Failure::new))?;
        let mut server = Self { child, address };
        let deadline = Instant::now() + START;
        while TcpStream::connect(address).is_err() {
            if let Ok(Some(status)) = server.child.try_wait() {
                return Err(Failure::new(format!("{command:?} ended at once, {status}")));
            }
            if Instant::now() > deadline {
                return Err(Failure::new(format!("{command:?} does not listen on {address}")));
            }
            thread::sleep(Duration::from_micros(200));
        }
        Ok(server)
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Has the server end by itself, at once: without the wait of a stop that a balancer should notice.
    pub(crate) fn stop(mut self) -> Result<(), Failure> {
        read(Command::new("kill").args(["-INT", &self.id().to_string()]))?;
        let deadline = Instant::now() + STOP;
        loop {
            match self.child.try_wait().map_err(Failure::new)? {
                Some(status) if status.success() => return Ok(()),
                Some(status) => return Err(Failure(format!("the server ended with {status}"))),
                None if Instant::now() > deadline => return Err(Failure::new("the server does not end")),
                None => thread::sleep(Duration::from_millis(5)),
            }
        }
    }

    /// The processor time that the server has used, including the kernel's work for it.
    pub(crate) fn time(&self) -> Result<Time, Failure> {
        let stat = self.read("stat")?;
        // The name of the process is in brackets and may contain spaces. After it, the twelfth field is the user time, the thirteenth the
        // kernel time.
        let fields = stat.rsplit_once(") ").map(|(_, fields)| fields).unwrap_or_default();
        let mut times =
            fields.split(' ').skip(11).flat_map(str::parse).map(|ticks: f64| ticks * MICROSECONDS_PER_TICK);
        match (times.next(), times.next()) {
            (Some(user), Some(system)) => Ok(Time { user, system }),
            _ => Err(Failure::new("no times in /proc")),
        }
    }

    /// The memory of the server, in kB.
    pub(crate) fn resident(&self) -> Result<u64, Failure> {
        let status = self.read("status")?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let number = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
        number.ok_or_else(|| Failure::new("no `VmRSS` in the process's status"))
    }

    fn read(&self, file: &str) -> Result<String, Failure> {
        fs::read_to_string(format!("/proc/{}/{file}", self.id())).map_err(Failure::new)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Killing fails if the server has already ended; the measurement has then failed with its own message.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
