//! The listeners, and the routes that operators ask.

pub mod admin;
mod health;
pub mod listener;

pub use listener::{Listener, MAX_CLIENTS, MAX_OPERATORS, Stop};
