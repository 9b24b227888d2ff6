//! Where time comes from. It comes in as a value, so that in a test ten minutes pass in a microsecond.

use std::time::Duration;

use autoshares_counting::Micros;
use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};

/// The clock of the gateway, which only goes forward. No decision compares the time of day.
#[derive(Clone, Debug)]
pub struct Clock {
    began: Instant,
    /// How far a test has moved the clock ahead; the clock of the system itself cannot be moved.
    ahead: Option<watch::Sender<Duration>>,
}

#[expect(clippy::disallowed_methods, reason = "the one place that reads the system's clock")]
fn system_now() -> Instant {
    Instant::now()
}

impl Clock {
    /// The clock of the system.
    pub fn system() -> Self {
        Self { began: system_now(), ahead: None }
    }

    /// A clock that goes on like the system's, and that a test can move ahead.
    pub fn movable() -> Self {
        Self { ahead: Some(watch::Sender::new(Duration::ZERO)), ..Self::system() }
    }

    /// Moves the clock ahead, and wakes everybody whose time has come. Does nothing to the clock of the system.
    pub fn advance(&self, by: Duration) {
        if let Some(ahead) = &self.ahead {
            ahead.send_modify(|ahead| *ahead += by);
        }
    }

    fn ahead(&self) -> Duration {
        self.ahead.as_ref().map_or(Duration::ZERO, |ahead| *ahead.borrow())
    }

    /// What time it is.
    pub fn now(&self) -> Instant {
        system_now() + self.ahead()
    }

    /// The same in microseconds since the clock was made, as counters want it.
    pub fn micros(&self) -> Micros {
        u64::try_from((self.now() - self.began).as_micros()).unwrap_or(u64::MAX / 2)
    }

    /// How much time has passed since a moment.
    pub fn since(&self, moment: Instant) -> Duration {
        self.now().saturating_duration_since(moment)
    }

    /// Waits until a moment.
    pub async fn sleep_until(&self, moment: Instant) {
        let Some(ahead) = &self.ahead else { return sleep_until(moment).await };
        let mut moved = ahead.subscribe();
        loop {
            let ahead = *moved.borrow_and_update();
            let Some(left) = moment.checked_sub(ahead) else { return };
            tokio::select! {
                () = sleep_until(left) => return,
                // The clock lives as long as `self`, so this ends only when it was moved.
                _ = moved.changed() => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_clock_that_is_moved_wakes_whoever_waits() {
        let clock = Clock::movable();
        let (started, micros) = (clock.now(), clock.micros());
        let waits = clock.sleep_until(started + Duration::from_secs(600));
        let moves = async {
            clock.advance(Duration::from_secs(300));
            tokio::task::yield_now().await;
            assert!(clock.since(started) < Duration::from_secs(301));
            clock.advance(Duration::from_secs(300));
        };
        tokio::join!(waits, moves);
        assert!(clock.since(started) >= Duration::from_secs(600));
        assert!((600_000_000..610_000_000).contains(&(clock.micros() - micros)));
    }

    #[tokio::test]
    async fn the_clock_of_the_system_cannot_be_moved() {
        let clock = Clock::system();
        let started = clock.now();
        clock.advance(Duration::from_secs(600));
        assert!(clock.since(started) < Duration::from_secs(60));
    }
}
