//! Whether the gateway is well, for `/readyz`: what it learned of its application key, and whether it is about to stop.

use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

/// What the gateway knows of itself.
#[derive(Debug, Default)]
pub struct Health {
    key: AtomicU8,
    draining: AtomicBool,
}

/// What Autoshares made of the application key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyState {
    /// Autoshares was not called yet.
    Untried,
    /// Autoshares accepted it the last time.
    Accepted,
    /// Autoshares rejected it the last time.
    Rejected,
}

impl Health {
    /// Remembers whether Autoshares accepted the application key.
    pub fn set_key_accepted(&self, accepted: bool) {
        let state = if accepted { KeyState::Accepted } else { KeyState::Rejected };
        self.key.store(state as u8, Ordering::Relaxed);
    }

    /// What Autoshares made of the application key the last time.
    pub fn key_state(&self) -> KeyState {
        match self.key.load(Ordering::Relaxed) {
            state if state == KeyState::Accepted as u8 => KeyState::Accepted,
            state if state == KeyState::Rejected as u8 => KeyState::Rejected,
            _ => KeyState::Untried,
        }
    }

    /// Makes `/readyz` reply 503 `draining` from now on.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    /// Whether the gateway is about to stop.
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }
}
