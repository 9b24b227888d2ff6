//! The gateway, in process where that is enough, as a binary where sockets, logs or signals are the point. Folders mirror those of the source.

#![allow(clippy::unwrap_used, reason = "a test that cannot set itself up has failed")]
#![allow(clippy::disallowed_methods, reason = "a test measures how long something really takes")]

mod support;

#[allow(dead_code, reason = "the tests of the SDK use the rest")]
#[path = "../../../sdk/tests/it/upstream.rs"]
mod upstream;

#[path = "../../../sdk/tests/it/ports.rs"]
mod ports;

#[path = "../../../sdk/tests/tracing/canary.rs"]
mod canary;

#[path = "../../counting/tests/it/servers.rs"]
mod servers;

mod api;
mod commands;
mod config;
mod guard;
mod http;
mod steps;
mod telemetry;

mod bad_days;
mod browser;
mod clients;
mod deploy;
mod page;
