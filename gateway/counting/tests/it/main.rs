//! Counters in memory and in a real Redis.

#![allow(clippy::unwrap_used, reason = "a test that cannot set itself up has failed")]
#![allow(clippy::disallowed_methods, reason = "a test measures how long something really takes")]

mod away;
mod field;
#[path = "../../../../sdk/tests/it/ports.rs"]
mod ports;
mod servers;
mod twins;
