//! The log: in which form its lines are written, which lines are let through, and what a panic leaves in it.

use std::{
    io::{self, IsTerminal},
    panic,
    sync::OnceLock,
    time::Duration,
};

use tracing::{Metadata, Subscriber, error, level_filters::LevelFilter, subscriber::Interest};
use tracing_subscriber::{
    Layer, Registry,
    filter::Targets,
    fmt,
    layer::{Context, SubscriberExt},
    reload,
    util::SubscriberInitExt,
};

use super::{
    audit,
    json_lines::JsonLines,
    line_queue::{self, Lines},
};
use crate::config::Log;

/// How long a panic waits for its line. Short, for the process may go on.
const AFTER_PANIC: Duration = Duration::from_millis(100);

/// Sends log lines to standard output. A panic becomes such a line too.
pub fn init(log: Log) {
    let (filter, handle) = reload::Layer::new(Filter::new(log.level));
    let _ = FILTER.set(handle);
    // The filter stands beside the layer that writes: a filter of that one layer would be asked anew about each line.
    let filtered = tracing_subscriber::registry().with(filter);
    if log.json.unwrap_or_else(|| !io::stdout().is_terminal()) {
        filtered.with(JsonLines(line_queue::push)).init();
    } else {
        filtered.with(fmt::layer().with_ansi(io::stdout().is_terminal()).with_writer(Lines)).init();
    }
    // The place and not the message, which may quote a value that a client sent.
    panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        error!(place, "panic");
        // The process may end with it.
        line_queue::wait_for_thread(AFTER_PANIC);
    }));
    line_queue::start();
}

/// Follows other settings of the log: its level alone, for its format belongs to the start.
pub fn follow(log: Log) {
    if let Some(handle) = FILTER.get() {
        // It fails when there is no subscriber, which there is.
        let _ = handle.reload(Filter::new(log.level));
    }
}

/// What lets lines through.
static FILTER: OnceLock<reload::Handle<Filter, Registry>> = OnceLock::new();

/// Lets lines through by their target and level, and spans where there are lines to show them. `tracing` asks once for each place in the code,
/// and remembers the answer.
struct Filter {
    targets: Targets,
    level: LevelFilter,
}

impl Filter {
    /// Of lines below warnings, the filter lets through only those of this project: libraries may write headers or bodies at their finest
    /// levels.
    fn new(level: LevelFilter) -> Self {
        let targets = Targets::new()
            .with_default(level.min(LevelFilter::WARN))
            .with_target("autoshares_gateway", level)
            // The audit trail has no gaps, however few other lines the operator wants.
            .with_target(audit::TARGET, level.max(LevelFilter::INFO))
            .with_target("autoshares_sdk", level);
        Self { targets, level }
    }

    fn lets_through(&self, metadata: &Metadata<'_>) -> bool {
        // The lines within spans are of `debug`, but for a warning of the SDK about a key file, which belongs to no request. Making a span that
        // no line shows would cost as much as writing a line.
        let is_shown = !metadata.is_span() || self.level >= LevelFilter::DEBUG;
        is_shown && self.targets.would_enable(metadata.target(), metadata.level())
    }
}

impl<S: Subscriber> Layer<S> for Filter {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        if self.lets_through(metadata) { Interest::always() } else { Interest::never() }
    }

    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        self.lets_through(metadata)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        // The audit trail is told at this level or a finer one.
        Some(self.level.max(LevelFilter::INFO))
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use tracing::{debug, debug_span, info, info_span, trace, warn};

    use super::*;

    thread_local! {
        static LINES: RefCell<String> = const { RefCell::new(String::new()) };
    }

    /// The messages of the lines that a filter lets through, those within a span with a star.
    fn told(level: LevelFilter) -> String {
        let keep = |_: &Metadata<'_>, line: &[u8]| {
            let line: serde_json::Value = serde_json::from_slice(line).unwrap();
            let star = if line["spans"].is_array() { "*" } else { "" };
            LINES.with_borrow_mut(|lines| *lines += &format!("{}{star} ", line["message"].as_str().unwrap()));
        };
        let subscriber = tracing_subscriber::registry().with(Filter::new(level)).with(JsonLines(keep));
        tracing::subscriber::with_default(subscriber, || {
            let _request = debug_span!("request").entered();
            let _call = info_span!(target: "autoshares_sdk", "autoshares").entered();
            warn!("warn");
            info!("info");
            debug!("debug");
            trace!("trace");
            info!(target: audit::TARGET, "audit");
            debug!(target: "autoshares_sdk::trace", "attempt");
            warn!(target: "hyper", "library-warn");
            info!(target: "hyper", "library-info");
        });
        LINES.take()
    }

    #[test]
    fn lines_are_let_through_by_level_and_target_and_spans_from_debug_on() {
        assert_eq!(told(LevelFilter::ERROR), "audit ");
        assert_eq!(told(LevelFilter::INFO), "warn info audit library-warn ");
        assert_eq!(told(LevelFilter::DEBUG), "warn* info* debug* audit* attempt* library-warn* ");
        assert_eq!(told(LevelFilter::TRACE), "warn* info* debug* trace* audit* attempt* library-warn* ");
    }
}
