//! Autoshares password reset without a key in the browser.
//!
//! `ARCHITECTURE.md` tells the life of a request; the modules below follow it from the outside in. Nothing of the client's request is
//! forwarded: its values are read, checked and written anew by the SDK.

pub mod config;
pub mod server;

pub mod app;
pub mod telemetry;

pub mod edge;

pub mod api;
pub mod openapi;
pub mod site;

pub mod caller;
pub mod client_ip;

pub mod envelope;
pub mod proxy;
pub mod reach;
pub mod request;

pub mod flow;
pub mod guard;
pub mod keys;
pub mod uniform;

pub mod audit;
pub mod risk;

pub mod admin;
pub mod docs;
pub mod document;

pub mod metrics;
pub mod problem;

pub mod dev;
