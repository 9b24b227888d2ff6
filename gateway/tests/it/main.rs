//! The gateway, in process where that is enough, as a binary where sockets, logs or signals are the point.

#![allow(clippy::unwrap_used, reason = "a test that cannot set itself up has failed")]

mod answers;
mod audit;
mod bad_input;
mod bad_upstream;
mod binary;
mod browser;
mod budgets;
mod document;
mod enumeration;
mod flow;
mod headers;
mod key;
mod logs;
mod readme;
mod replicas;
mod services;
mod settings;
mod site;
mod store;
mod support;

#[allow(dead_code, reason = "the tests of the SDK use the rest")]
#[path = "../../../sdk/tests/it/upstream.rs"]
mod upstream;
