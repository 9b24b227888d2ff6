//! Listeners, and what operators ask about.

pub mod admin;
pub mod listener;

pub use listener::{Listener, MAX_CLIENTS, MAX_OPERATORS, Stop};
