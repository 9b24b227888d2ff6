//! Whether the gateway is well, for `/readyz`: what it learned of its application key, whether Autoshares fails, and whether the gateway is
//! about to stop.

use std::sync::{
    Mutex, MutexGuard, PoisonError,
    atomic::{AtomicBool, AtomicU8, Ordering},
};

use autoshares_counting::Micros;

/// What the gateway knows of itself.
#[derive(Debug, Default)]
pub struct Health {
    key: AtomicU8,
    draining: AtomicBool,
    settings_rejected: AtomicBool,
    outages: Mutex<[Option<Failing>; 2]>,
    last_call: Mutex<Option<LastCall>>,
}

/// How the last call to Autoshares ended: in a word, and when by the gateway's clock.
pub type LastCall = (&'static str, Micros);

/// What is not forwarded while Autoshares fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outage {
    /// Steps 1 and 2.
    Resets,
    /// Step 3.
    Codes,
}

impl Outage {
    /// Its name in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Outage::Resets => "resets",
            Outage::Codes => "codes",
        }
    }
}

/// How Autoshares fails: in a word, and the status of its reply if there was one.
pub type Failing = (&'static str, Option<u16>);

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

impl KeyState {
    fn of(state: u8) -> Self {
        match state {
            state if state == Self::Accepted as u8 => Self::Accepted,
            state if state == Self::Rejected as u8 => Self::Rejected,
            _ => Self::Untried,
        }
    }
}

impl Health {
    /// Remembers whether Autoshares accepted the application key, and says what it made of it before.
    pub fn set_key_accepted(&self, accepted: bool) -> KeyState {
        let state = if accepted { KeyState::Accepted } else { KeyState::Rejected };
        KeyState::of(self.key.swap(state as u8, Ordering::Relaxed))
    }

    /// What Autoshares made of the application key the last time.
    pub fn key_state(&self) -> KeyState {
        KeyState::of(self.key.load(Ordering::Relaxed))
    }

    /// Remembers that Autoshares fails, or `None` that it answers again.
    pub fn set_outage(&self, outage: Outage, failing: Option<Failing>) {
        self.outages()[outage as usize] = failing;
    }

    /// How Autoshares fails, if it does.
    pub fn outage(&self) -> Option<Failing> {
        self.outages().iter().flatten().next().copied()
    }

    /// Remembers how a call to Autoshares ended.
    pub fn set_last_call(&self, outcome: &'static str, now: Micros) {
        *self.last_call.lock().unwrap_or_else(PoisonError::into_inner) = Some((outcome, now));
    }

    /// How the last call to Autoshares ended, if there was any.
    pub fn last_call(&self) -> Option<LastCall> {
        *self.last_call.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn outages(&self) -> MutexGuard<'_, [Option<Failing>; 2]> {
        self.outages.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Remembers whether the settings were valid when they were last read.
    pub fn set_settings_valid(&self, valid: bool) {
        self.settings_rejected.store(!valid, Ordering::Relaxed);
    }

    /// Whether the settings were valid when they were last read.
    pub fn are_settings_valid(&self) -> bool {
        !self.settings_rejected.load(Ordering::Relaxed)
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
