//! The gateway as its operators see it: logs, a line for each request, metrics, the audit trail, and its health.

pub mod audit;
pub mod health;
mod logs;
pub mod metrics;
mod request_line;

pub use logs::{filter, flush, init};
pub use request_line::{OperationName, observe};
