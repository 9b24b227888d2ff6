//! Autoshares password reset without a key in the browser.
//!
//! `ARCHITECTURE.md` tells the life of a request; the modules below follow it from the outside in. Nothing of the client's request is
//! forwarded: its values are read, checked and written anew by the SDK.

pub mod commands;

pub mod app;

pub mod api;
pub mod server;

pub mod steps;

pub mod guard;
pub mod telemetry;

pub mod http;

pub mod config;
pub mod document;
pub mod flow;
