//! The gateway as its operators see it: logs, a line for each request, metrics and the audit trail.

pub mod audit;
mod logs;
pub mod metrics;
mod request_line;

pub use logs::{filter, flush, init};
pub use request_line::{OperationName, observe};
