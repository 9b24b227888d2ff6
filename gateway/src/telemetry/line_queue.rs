//! The lines of the log on their way to standard output.
//!
//! A thread of its own writes the lines, behind a queue of bounded size: a log that nobody reads must not stop the gateway. When the queue
//! is full, lines of requests are dropped, then those of the audit trail too; metrics count both, and a line tells of them as soon as there
//! is room again. The crate tracing-appender has such a thread, but one queue in which an audit line is dropped like any other.

use std::{
    fs::File,
    io::{self, Write},
    os::fd::AsFd,
    sync::{Condvar, LazyLock, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use prometheus_client::metrics::counter::Counter;
use tracing::{Metadata, warn};
use tracing_subscriber::fmt::MakeWriter;

use super::audit;

/// How many bytes of lines may wait.
const MAX_LINES: usize = 1024 * 1024;
/// How many bytes may wait when they are of the audit trail: some 40,000 events.
const MAX_TRAIL: usize = 16 * MAX_LINES;
/// How much room for lines stays when they are written.
const USUAL_ROOM: usize = 256 * 1024;
/// How long the thread waits for more lines before it writes those that are there. A system call for each line would cost a fifth of the time
/// that refusing a request takes.
const GATHER: Duration = Duration::from_millis(5);
/// How long the thread waits after it could not write.
const AGAIN: Duration = Duration::from_millis(200);
/// How long the end of the process waits for a log that nobody reads.
const LAST_LINES: Duration = Duration::from_secs(2);

/// Lines that were dropped, those of the audit trail not among them.
pub static DROPPED_LINES: LazyLock<Counter> = LazyLock::new(Counter::default);
/// Lines of the audit trail that were dropped.
pub static DROPPED_EVENTS: LazyLock<Counter> = LazyLock::new(Counter::default);

/// Starts the thread. It ends with the process.
///
/// # Panics
///
/// When the system has no room for one more thread.
pub fn start() {
    let started = thread::Builder::new().name("log".to_owned()).spawn(write_forever);
    started.expect("the system has room for one more thread");
}

/// Hands a line to the thread, with its end. Lines of the audit trail, by what is known of their event, find more room than others.
pub fn push(metadata: &Metadata<'_>, line: &[u8]) {
    push_line(is_of_trail(metadata), line);
}

fn is_of_trail(metadata: &Metadata<'_>) -> bool {
    metadata.target() == audit::TARGET
}

fn push_line(is_of_trail: bool, line: &[u8]) {
    let (most, dropped) =
        if is_of_trail { (MAX_TRAIL, &DROPPED_EVENTS) } else { (MAX_LINES, &DROPPED_LINES) };
    let mut state = QUEUE.state();
    if !state.push(line, most) {
        dropped.inc();
    }
    let is_first = std::mem::take(&mut state.is_idle);
    // Or the thread, once awake, would find the queue locked and sleep again.
    drop(state);
    if is_first {
        QUEUE.filled.notify_one();
    }
}

/// Lines that wait for the thread.
static QUEUE: Queue =
    Queue { state: Mutex::new(State::new()), filled: Condvar::new(), emptied: Condvar::new() };

struct Queue {
    state: Mutex<State>,
    /// Wakes the thread.
    filled: Condvar,
    /// Wakes those who wait for the last line.
    emptied: Condvar,
}

struct State {
    bytes: Vec<u8>,
    /// Whether the thread waits for lines, and nobody has woken it yet. Every line would wake it otherwise until it has its turn, by a system
    /// call each.
    is_idle: bool,
    /// Whether the thread has taken lines that are not written yet.
    is_writing: bool,
    /// How many lines were dropped since the last that was written.
    dropped: u64,
}

impl State {
    const fn new() -> Self {
        Self { bytes: Vec::new(), is_idle: false, is_writing: false, dropped: 0 }
    }

    /// Takes a line in, if there is room for it.
    fn push(&mut self, line: &[u8], most: usize) -> bool {
        if self.bytes.len() + line.len() > most {
            self.dropped += 1;
            return false;
        }
        self.bytes.extend_from_slice(line);
        true
    }
}

impl Queue {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Hands over what writes a line in one piece.
pub struct Lines;

/// Where such a line goes.
pub struct Line {
    is_of_trail: bool,
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Line;

    fn make_writer(&'a self) -> Line {
        Line { is_of_trail: false }
    }

    fn make_writer_for(&'a self, metadata: &Metadata<'_>) -> Line {
        Line { is_of_trail: is_of_trail(metadata) }
    }
}

impl Write for Line {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        push_line(self.is_of_trail, line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes lines to standard output as they come. The thread ends with the process.
fn write_forever() {
    let mut output = unbuffered_output();
    // The room of the lines before, which the next ones use: a vector that grows anew each time would be moved several times.
    let mut bytes = Vec::new();
    loop {
        let mut state = QUEUE.state();
        while state.bytes.is_empty() {
            state.is_idle = true;
            state = QUEUE.filled.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        drop(state);
        thread::sleep(GATHER);
        let mut state = QUEUE.state();
        std::mem::swap(&mut state.bytes, &mut bytes);
        state.is_writing = true;
        drop(state);
        write_out(&mut output, &bytes);
        bytes.clear();
        // A burst does not keep its room.
        bytes.shrink_to(USUAL_ROOM);
        let mut state = QUEUE.state();
        state.is_writing = false;
        let dropped = std::mem::take(&mut state.dropped);
        drop(state);
        QUEUE.emptied.notify_all();
        if dropped > 0 {
            warn!(dropped, "lines of this log were dropped, for nobody read it or it was read too slowly");
        }
    }
}

/// Standard output without the buffer of the standard library, which says that lines are written while it still holds them.
fn unbuffered_output() -> File {
    loop {
        match io::stdout().as_fd().try_clone_to_owned() {
            Ok(output) => return output.into(),
            // There is none, or no descriptor is left; lines wait meanwhile.
            Err(_) => thread::sleep(AGAIN),
        }
    }
}

/// Writes lines out, however long that takes: meanwhile later ones wait, and are dropped and counted where there is no room for them. A disk that is
/// full may have room again, and what cannot be written at all is counted like that too.
fn write_out(output: &mut impl Write, bytes: &[u8]) {
    let mut written = 0;
    while written < bytes.len() {
        match output.write(&bytes[written..]) {
            Ok(0) => thread::sleep(AGAIN),
            Ok(more) => written += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => thread::sleep(GATHER),
            Err(_) => thread::sleep(AGAIN),
        }
    }
}

/// Waits until the waiting lines are written, or for two seconds.
pub fn flush() {
    wait_for_thread(LAST_LINES);
}

/// Waits until the waiting lines are written, but no longer than this.
pub fn wait_for_thread(longest: Duration) {
    let state = QUEUE.state();
    let waits = |state: &mut State| !state.bytes.is_empty() || state.is_writing;
    let _ = QUEUE.emptied.wait_timeout_while(state, longest, waits);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_queue_is_bounded_and_the_trail_has_more_room() {
        let mut state = State::new();
        let line = vec![b'x'; 1000];
        let requests = (0..5000).filter(|_| state.push(&line, MAX_LINES)).count();
        assert_eq!((requests, state.dropped), (1048, 3952));
        let events = (0..50_000).filter(|_| state.push(&line, MAX_TRAIL)).count();
        assert_eq!(events, MAX_TRAIL / 1000 - 1048);
        assert!(state.bytes.len() <= MAX_TRAIL);
    }
}
