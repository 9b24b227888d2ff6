//! The SDK against a sandbox, and against an upstream that is not the sandbox and knows nothing of this crate.

#![allow(clippy::unwrap_used, reason = "a test that cannot set itself up has failed")]

mod document;
mod environment;
mod https;
mod keys;
mod retries;
mod rulings;
mod sandbox;
mod support;
#[allow(dead_code, reason = "the tests of the gateway use the rest")]
mod upstream;
mod wire;
