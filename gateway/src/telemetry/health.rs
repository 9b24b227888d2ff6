//! The health of the gateway: the state that `/readyz` shows and that no counter can tell.

use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

use strum::FromRepr;

/// Whether Autoshares accepts the application key, as far as the gateway knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromRepr)]
#[repr(u8)]
pub enum KeyState {
    /// No call has shown it yet.
    #[default]
    Untried,
    /// Autoshares accepted it in the last call that showed it.
    Accepted,
    /// Autoshares rejected it in the last call that showed it.
    Rejected,
}

/// The health of one gateway. The parts of the gateway report to it; `/readyz` reads it.
#[derive(Debug, Default)]
pub struct Health {
    /// A [`KeyState`].
    key: AtomicU8,
    draining: AtomicBool,
    has_store: AtomicBool,
    store_away: AtomicBool,
}

impl Health {
    /// Remembers whether Autoshares accepted the application key in the call that just ended.
    pub fn set_key_accepted(&self, accepted: bool) {
        let state = if accepted { KeyState::Accepted } else { KeyState::Rejected };
        self.key.store(state as u8, Ordering::Relaxed);
    }

    /// What the last call to Autoshares showed about the application key.
    pub fn key_state(&self) -> KeyState {
        KeyState::from_repr(self.key.load(Ordering::Relaxed)).unwrap_or_default()
    }

    /// Remembers that there is a Redis, and whether it answers.
    pub fn note_store(&self, answers: bool) {
        self.store_away.store(!answers, Ordering::Relaxed);
        self.has_store.store(true, Ordering::Relaxed);
    }

    /// Whether Redis answers; `None` when there is none.
    pub fn store_answers(&self) -> Option<bool> {
        self.has_store.load(Ordering::Relaxed).then(|| !self.store_away.load(Ordering::Relaxed))
    }

    /// Makes the gateway unready for good, so that a load balancer sends it no more requests before it stops.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    /// Whether the gateway is about to stop.
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_call_tells_the_state_of_the_key() {
        let health = Health::default();
        assert_eq!(health.key_state(), KeyState::Untried);
        for (accepted, state) in
            [(true, KeyState::Accepted), (false, KeyState::Rejected), (true, KeyState::Accepted)]
        {
            health.set_key_accepted(accepted);
            assert_eq!(health.key_state(), state);
        }
    }

    #[test]
    fn a_gateway_without_redis_has_no_redis_that_could_answer() {
        let health = Health::default();
        assert_eq!(health.store_answers(), None);
        for answers in [true, false] {
            health.note_store(answers);
            assert_eq!(health.store_answers(), Some(answers));
        }
    }
}
