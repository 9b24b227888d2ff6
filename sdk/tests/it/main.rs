//! Tests of the SDK against its own sandbox, and against a stand-in for Autoshares that shares no code with this crate.

#![allow(clippy::unwrap_used, reason = "a test that cannot set itself up has failed")]

mod connections;
mod document;
mod environment;
mod https;
mod keys;
mod ports;
mod retries;
mod rulings;
mod sandbox;
mod support;
#[allow(dead_code, reason = "the tests of the gateway use the rest")]
mod upstream;
mod wire;
