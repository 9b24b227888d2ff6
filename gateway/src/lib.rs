//! Autoshares password reset without a key in the browser.
//!
//! `ARCHITECTURE.md` follows one request through the code; the modules below stand in the order in which it meets them. Nothing of the
//! client's request is forwarded: its values are read, checked and written anew by the SDK.

pub mod commands;

pub mod app;

pub mod api;
mod page;
pub mod server;

mod door;
mod steps;

mod guard;
pub mod telemetry;

mod http;

pub mod config;
pub mod flow;

pub mod clock;
mod network;
pub mod randomness;

pub mod build_info;
mod document;
pub mod error_chain;

#[cfg(test)]
#[path = "../tests/simulation/mod.rs"]
mod simulation;
