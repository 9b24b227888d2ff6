//! When replies are given: at a time that does not depend on what they say, so that the time reveals nothing about a login.

use std::time::Duration;

use tokio::time::Instant;

use crate::clock::Clock;

/// The highest level of time. A level doubles the time of the one below.
pub const HIGHEST: u8 = 2;

/// The times at which replies are due, as multiples of the floor.
#[derive(Clone, Debug)]
pub struct Timing {
    clock: Clock,
    /// `None` gives each reply as soon as there is one.
    floor: Option<Duration>,
}

impl Timing {
    /// A floor of zero gives each reply as soon as there is one.
    pub fn new(clock: Clock, floor: Duration) -> Self {
        Self { clock, floor: Some(floor).filter(|floor| !floor.is_zero()) }
    }

    /// When the reply to a request is due at a level; `None` as soon as there is one.
    pub fn due(&self, started: Instant, level: u8) -> Option<Instant> {
        self.floor.map(|floor| started + floor * (1 << level.min(HIGHEST)))
    }

    /// The lowest level whose time is not over yet; `None` when the highest one is.
    pub fn level_of(&self, started: Instant) -> Option<u8> {
        let now = self.clock.now();
        (0..=HIGHEST).find(|level| self.due(started, *level).is_none_or(|due| now <= due))
    }

    /// Waits until a reply is due.
    pub async fn hold(&self, due: Option<Instant>) {
        if let Some(due) = due {
            self.clock.sleep_until(due).await;
        }
    }

    /// What a call comes to by a time, or `None` when it takes longer; the call goes on when it is awaited again.
    pub async fn by<T>(&self, due: Option<Instant>, mut call: impl Future<Output = T> + Unpin) -> Option<T> {
        let Some(due) = due else { return Some(call.await) };
        tokio::select! {
            biased;
            called = &mut call => Some(called),
            () = self.clock.sleep_until(due) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_level_doubles_the_time_and_three_are_all() {
        let timing = Timing::new(Clock::system(), Duration::from_millis(500));
        let started = timing.clock.now();
        for (level, millis) in [(0, 500), (1, 1000), (2, 2000), (3, 2000), (200, 2000)] {
            assert_eq!(timing.due(started, level), Some(started + Duration::from_millis(millis)), "{level}");
        }
        for (millis, level) in
            [(0, Some(0)), (499, Some(0)), (500, Some(0)), (501, Some(1)), (2000, Some(2)), (2001, None)]
        {
            timing.clock.sleep_until(started + Duration::from_millis(millis)).await;
            assert_eq!(timing.level_of(started), level, "{millis}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_takes_longer_goes_on_afterwards() {
        let timing = Timing::new(Clock::system(), Duration::from_millis(500));
        let started = timing.clock.now();
        let mut call = Box::pin(async {
            tokio::time::sleep(Duration::from_millis(800)).await;
            "done"
        });
        assert_eq!(timing.by(timing.due(started, 0), &mut call).await, None);
        assert_eq!(timing.clock.since(started), Duration::from_millis(500));
        assert_eq!(call.await, "done");
        assert_eq!(timing.clock.since(started), Duration::from_millis(800));
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_floor_nothing_is_held() {
        let timing = Timing::new(Clock::system(), Duration::ZERO);
        let started = timing.clock.now();
        timing.clock.sleep_until(started + Duration::from_secs(9)).await;
        assert_eq!((timing.due(started, 2), timing.level_of(started)), (None, Some(0)));
    }
}
