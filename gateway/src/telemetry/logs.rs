//! The log: where its lines go, which lines are let through, and what a panic leaves in it.

use std::{
    io::{self, IsTerminal, Write},
    panic,
    sync::{Mutex, PoisonError},
};

use tracing::{error, level_filters::LevelFilter};
use tracing_subscriber::{Layer, filter::Targets, fmt, layer::SubscriberExt, util::SubscriberInitExt};

use super::audit;
use crate::config::Log;

/// Sends log lines to standard output. A panic becomes such a line too.
///
/// Lines wait in memory until [`flush`], which the runtime calls whenever it has nothing else to do. A gateway under load thereby
/// writes many lines at once: one system call for each line would cost a fifth of the time that refusing a request takes.
pub fn init(log: Log) {
    let json = log.json.unwrap_or_else(|| !io::stdout().is_terminal());
    let lines = if json {
        let lines = fmt::layer().json().flatten_event(true).with_current_span(false).with_span_list(false);
        lines.with_writer(|| Lines).boxed()
    } else {
        fmt::layer().with_ansi(io::stdout().is_terminal()).with_writer(|| Lines).boxed()
    };
    tracing_subscriber::registry().with(lines.with_filter(filter(log.level))).init();
    // The place and not the message, which may quote a value that a client sent.
    panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        error!(place, "panic");
        flush();
    }));
}

/// Lines that are not written to standard output yet.
static LINES: Mutex<Vec<u8>> = Mutex::new(Vec::new());
/// When more bytes than this are waiting, the next line writes them out without waiting for [`flush`].
const MAX_LINES: usize = 64 * 1024;

/// Appends the lines of the subscriber to [`LINES`].
struct Lines;

impl Write for Lines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut lines = LINES.lock().unwrap_or_else(PoisonError::into_inner);
        lines.extend_from_slice(line);
        if lines.len() > MAX_LINES {
            write_out(&mut lines);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes the waiting lines to standard output.
pub fn flush() {
    write_out(&mut LINES.lock().unwrap_or_else(PoisonError::into_inner));
}

fn write_out(lines: &mut Vec<u8>) {
    if lines.is_empty() {
        return;
    }
    let (mut output, mut written) = (io::stdout().lock(), 0);
    while written < lines.len() {
        match output.write(&lines[written..]) {
            Ok(0) => break,
            Ok(more) => written += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            // Nobody reads the log at the moment. The lines stay, for the reader may come back.
            Err(_) => break,
        }
    }
    let _ = output.flush();
    lines.drain(..written);
    // A reader that stays away must not cost the gateway its memory.
    if lines.len() > 16 * MAX_LINES {
        lines.clear();
    }
}

/// Of lines below warnings, the filter lets through only those of this project: libraries may write headers or bodies at their finest
/// levels.
pub fn filter(level: LevelFilter) -> Targets {
    Targets::new()
        .with_default(level.min(LevelFilter::WARN))
        .with_target("autoshares_gateway", level)
        // The audit trail has no gaps, however few other lines the operator wants.
        .with_target(audit::TARGET, level.max(LevelFilter::INFO))
        .with_target("autoshares_sdk", level)
}
