//! The gateway as its operators see it: logs, a line for each request, metrics and the audit trail.

pub mod alarm;
pub mod audit;
pub mod health;
mod json_lines;
mod line_queue;
mod logs;
pub mod metrics;
mod process;
mod request_line;
pub mod store_watch;

pub use line_queue::flush;
pub use logs::{follow, init};
pub use request_line::{Observing, OperationName, RequestLine};
