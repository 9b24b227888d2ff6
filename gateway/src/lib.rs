//! Autoshares password reset without a key in the browser.
//!
//! The life of a request, from the outside in:
//!
//! ```text
//! server       deadlines for headers and the first request, connection cap
//!   telemetry  request id, clock; on the way out: problem document, one log line, metrics
//!     edge     security headers, panics, size of the head, a client's own key noticed and dropped
//!       api    which row of the route table? right method?
//!         body     JSON, small, strict
//!         proxy    calls the SDK, which adds the key, and gives the answer back
//!         problem  what is said when there is none: one table
//! ```
//!
//! Nothing of the client's request is forwarded: its values are read, checked and written anew by the SDK.

pub mod config;
pub mod server;

pub mod app;
pub mod telemetry;

pub mod edge;

pub mod api;
pub mod openapi;

pub mod body;
pub mod proxy;

pub mod admin;
pub mod docs;

pub mod metrics;
pub mod problem;

pub mod dev;
