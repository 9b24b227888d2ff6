//! Answers that do not tell: what must look like something else has its bytes and its time.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::time::{Instant, sleep_until};

use crate::{http::envelope::Envelope, http::problem::Problem};

/// How long a slow answer slows the others down, so that a quick one among them tells nothing.
const STICKY: Duration = Duration::from_secs(60);

/// What an answer says, or seems to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Saying {
    /// Step 1 is accepted.
    Accepted,
    /// The answer to the secret question is missing or wrong.
    WrongAnswer,
    /// A secret question, or that there is none.
    Question,
    /// The code is wrong.
    WrongCode,
    /// The code could not be tried.
    CodeFailed,
    /// Something that cannot be feigned.
    Anything,
}

/// The last genuine answers, which the feigned ones follow.
#[derive(Debug)]
pub struct Uniform {
    floor: Duration,
    accepted_flag: AtomicBool,
    code_failure: Mutex<Option<Problem>>,
    /// How many floors an answer takes, and since when it is that many, for each [`Saying`].
    floors: Mutex<[Option<(u32, Instant)>; 6]>,
}

impl Uniform {
    /// With answers as documented, until genuine ones have come.
    pub fn new(floor: Duration) -> Self {
        Self {
            floor,
            accepted_flag: AtomicBool::new(false),
            code_failure: Mutex::default(),
            floors: Mutex::default(),
        }
    }

    /// A genuine acceptance, which later feigned ones follow.
    pub fn remember_accepted(&self, flag: bool) -> Envelope {
        self.accepted_flag.store(flag, Ordering::Relaxed);
        Envelope::plain(flag)
    }

    /// One that looks like the last genuine one.
    pub fn feigned_acceptance(&self) -> Envelope {
        Envelope::plain(self.accepted_flag.load(Ordering::Relaxed))
    }

    /// The one refusal of an answer to a secret question, in the documented words: Autoshares' own may be about one trader.
    pub fn wrong_answer() -> Envelope {
        Envelope {
            errors: vec!["Answer is incorrect, try again.".to_owned()],
            errors_code: vec!["ErrorIncorrectAnswer".to_owned()],
            ..Envelope::plain(false)
        }
    }

    /// The one refusal of a code, whatever was said and whether or not anybody was asked.
    pub fn wrong_code() -> Envelope {
        Envelope { errors: vec!["Confirmation code is incorrect.".to_owned()], ..Envelope::plain(false) }
    }

    /// What became of the last code that Autoshares was asked about: a problem, or `None` when it answered.
    pub fn remember_code_failure(&self, problem: Option<&Problem>) {
        *self.code_failure.lock().unwrap_or_else(PoisonError::into_inner) = problem.cloned();
    }

    /// What a code that is not forwarded looks like: wrong, or, while Autoshares fails, like those that are. Without that, an outage would
    /// tell a flow with a code from one without.
    pub async fn feigned_wrong_code(&self, started: Instant) -> Result<Envelope, Problem> {
        let failure = self.code_failure.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let saying = if failure.is_some() { Saying::CodeFailed } else { Saying::WrongCode };
        self.hold(started, saying, false).await;
        failure.map_or_else(|| Ok(Self::wrong_code()), |problem| Err(problem.feigned()))
    }

    /// Waits until an answer may be given: the floor after the start, or a later multiple of it. An answer for which nobody was asked takes as
    /// many floors as the last that were; those take as many as the slowest of them in the last minute.
    pub async fn hold(&self, started: Instant, saying: Saying, asked: bool) {
        if self.floor.is_zero() {
            return;
        }
        let own = started.elapsed().as_nanos().div_ceil(self.floor.as_nanos()).max(1);
        let own = u32::try_from(own).unwrap_or(u32::MAX);
        let floors = {
            let mut floors = self.floors.lock().unwrap_or_else(PoisonError::into_inner);
            let slowest = &mut floors[saying as usize];
            let now = Instant::now();
            let is_slower =
                |(known, since): (u32, Instant)| own < known && now.duration_since(since) < STICKY;
            if asked && !slowest.is_some_and(is_slower) {
                *slowest = Some((own, now));
            }
            let known = slowest.map_or(1, |(known, _)| known);
            if saying == Saying::Anything { own } else { own.max(known) }
        };
        sleep_until(started + self.floor.saturating_mul(floors)).await;
    }
}

/// Questions that people are asked; which one an unknown login gets depends on nothing but a keyed hash of it.
pub const DECOY_QUESTIONS: [&str; 8] = [
    "What street did you live on in third grade?",
    "What was the name of your first pet?",
    "In what city were you born?",
    "What is your mother's maiden name?",
    "What was the make of your first car?",
    "What was the name of your elementary school?",
    "What is the name of your favorite childhood friend?",
    "What was your childhood nickname?",
];

#[cfg(test)]
mod tests {
    use super::*;

    async fn took(uniform: &Uniform, work: u64, saying: Saying, asked: bool) -> u64 {
        let started = Instant::now();
        tokio::time::sleep(Duration::from_millis(work)).await;
        uniform.hold(started, saying, asked).await;
        u64::try_from(started.elapsed().as_millis()).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_takes_the_floor_or_a_multiple_of_it() {
        for (work, expected) in [(0, 500), (5, 500), (499, 500), (501, 1000), (900, 1000), (1400, 1500)] {
            let uniform = Uniform::new(Duration::from_millis(500));
            assert_eq!(took(&uniform, work, Saying::Accepted, true).await, expected);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn no_answer_is_known_by_being_quicker_than_another() {
        let uniform = Uniform::new(Duration::from_millis(500));
        for (work, expected) in [(5, 500), (900, 1000), (5, 1000), (1400, 1500), (700, 1500)] {
            assert_eq!(took(&uniform, work, Saying::Accepted, true).await, expected);
            assert_eq!(took(&uniform, 0, Saying::Accepted, false).await, expected);
            assert_eq!(took(&uniform, 0, Saying::WrongCode, false).await, 500, "each has its own");
        }
        tokio::time::sleep(STICKY).await;
        assert_eq!(took(&uniform, 0, Saying::Accepted, false).await, 1500, "nobody knows better yet");
        assert_eq!(took(&uniform, 5, Saying::Accepted, true).await, 500, "a bad minute is forgotten");
        assert_eq!(took(&uniform, 0, Saying::Accepted, false).await, 500);
    }
}
