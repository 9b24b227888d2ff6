//! Makes replies indistinguishable: one that was not forwarded has the bytes and the timing of one that was, so that neither reveals whether
//! a login exists.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::time::Instant;

use super::said::Said;
use crate::{clock::Clock, http::problem::Problem};

/// How long a slow reply slows the others down, so that a quick one among them reveals nothing.
const STICKY: Duration = Duration::from_secs(60);

/// Replies that must take the same time, because one may stand in for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// Acceptances of step 1.
    Accepted,
    /// Demands for the secret answer.
    AnswerIncorrect,
    /// Secret questions, and that there is none.
    Question,
    /// Refusals of a code.
    CodeIncorrect,
    /// Failures of Autoshares while it should have checked a code.
    CodeFailed,
}

/// Whether Autoshares replied, or the gateway stands in for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Autoshares replied.
    Autoshares,
    /// The gateway did not call Autoshares, and the reply must look as if it had.
    StandIn,
}

/// Remembers the last replies of Autoshares and how long they took, so that the gateway can imitate them.
#[derive(Debug)]
pub struct Uniform {
    clock: Clock,
    floor: Duration,
    accepted_flag: AtomicBool,
    code_failure: Mutex<Option<Problem>>,
    /// For each [`Pace`], the time that its replies take, as a multiple of the floor, and when that multiple was set.
    floors: Mutex<[Option<(u32, Instant)>; 5]>,
}

impl Uniform {
    /// With replies as documented, until Autoshares has sent others.
    pub fn new(clock: Clock, floor: Duration) -> Self {
        Self {
            clock,
            floor,
            accepted_flag: AtomicBool::new(false),
            code_failure: Mutex::default(),
            floors: Mutex::default(),
        }
    }

    /// An acceptance of Autoshares', which later ones that stand in for it follow.
    pub fn accepted(&self, flag: bool) -> Said {
        self.accepted_flag.store(flag, Ordering::Relaxed);
        Said::Accepted { flag }
    }

    /// An acceptance that looks like the last one of Autoshares'.
    pub fn looks_accepted(&self) -> Said {
        Said::Accepted { flag: self.accepted_flag.load(Ordering::Relaxed) }
    }

    /// Remembers what became of the last code that was forwarded: a problem, or `None` when Autoshares replied.
    pub fn remember_code_failure(&self, problem: Option<&Problem>) {
        *self.code_failure.lock().unwrap_or_else(PoisonError::into_inner) = problem.cloned();
    }

    /// The reply to a code that is not forwarded: wrong, or, while Autoshares fails, the same failure as that of codes that are. Without
    /// that, an outage would reveal which flows have a code.
    pub async fn looks_wrong(&self, started: Instant) -> Result<Said, Problem> {
        let failure = self.code_failure.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let pace = if failure.is_some() { Pace::CodeFailed } else { Pace::CodeIncorrect };
        self.hold(started, Some(pace), Origin::StandIn).await;
        failure.map_or(Ok(Said::CodeIncorrect), |problem| Err(problem.feigned()))
    }

    /// Delays a reply until a multiple of the floor has passed since the request began. A reply of Autoshares waits for the next multiple, or
    /// as long as the slowest reply of its pace in the last minute. A reply that imitates Autoshares waits as long as the replies of
    /// Autoshares of its pace did last. A reply without a pace waits for the next multiple.
    pub async fn hold(&self, started: Instant, pace: Option<Pace>, origin: Origin) {
        if self.floor.is_zero() {
            return;
        }
        let now = self.clock.now();
        let own = now.saturating_duration_since(started).as_nanos().div_ceil(self.floor.as_nanos()).max(1);
        let own = u32::try_from(own).unwrap_or(u32::MAX);
        let floors = pace.map_or(own, |pace| {
            let mut floors = self.floors.lock().unwrap_or_else(PoisonError::into_inner);
            let slowest = &mut floors[pace as usize];
            let is_slower =
                |(known, since): (u32, Instant)| own < known && now.duration_since(since) < STICKY;
            if origin == Origin::Autoshares && !slowest.is_some_and(is_slower) {
                *slowest = Some((own, now));
            }
            own.max(slowest.map_or(1, |(known, _)| known))
        });
        self.clock.sleep_until(started + self.floor.saturating_mul(floors)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uniform() -> Uniform {
        Uniform::new(Clock::system(), Duration::from_millis(500))
    }

    async fn took(uniform: &Uniform, work: u64, pace: Pace, origin: Origin) -> u64 {
        let started = uniform.clock.now();
        tokio::time::sleep(Duration::from_millis(work)).await;
        uniform.hold(started, Some(pace), origin).await;
        u64::try_from(uniform.clock.since(started).as_millis()).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn a_reply_takes_the_floor_or_a_multiple_of_it() {
        for (work, expected) in [(0, 500), (5, 500), (499, 500), (501, 1000), (900, 1000), (1400, 1500)] {
            assert_eq!(took(&uniform(), work, Pace::Accepted, Origin::Autoshares).await, expected);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn no_reply_is_known_by_being_quicker_than_another() {
        let uniform = uniform();
        for (work, expected) in [(5, 500), (900, 1000), (5, 1000), (1400, 1500), (700, 1500)] {
            assert_eq!(took(&uniform, work, Pace::Accepted, Origin::Autoshares).await, expected);
            assert_eq!(took(&uniform, 0, Pace::Accepted, Origin::StandIn).await, expected);
            assert_eq!(
                took(&uniform, 0, Pace::CodeIncorrect, Origin::StandIn).await,
                500,
                "each has its own"
            );
        }
        tokio::time::sleep(STICKY).await;
        assert_eq!(took(&uniform, 0, Pace::Accepted, Origin::StandIn).await, 1500, "nobody knows better yet");
        assert_eq!(
            took(&uniform, 5, Pace::Accepted, Origin::Autoshares).await,
            500,
            "a bad minute is forgotten"
        );
        assert_eq!(took(&uniform, 0, Pace::Accepted, Origin::StandIn).await, 500);
    }
}
