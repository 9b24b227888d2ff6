//! Answers that do not tell: what must look like something else has its bytes and its time.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};

use tokio::time::{Instant, sleep_until};

use crate::envelope::Envelope;

/// What an answer says, or seems to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Saying {
    /// Step 1 is accepted.
    Accepted,
    /// The answer to the secret question is missing or wrong.
    WrongAnswer,
    /// A secret question.
    Question,
    /// The code is wrong.
    WrongCode,
    /// Something that cannot be feigned.
    Anything,
}

/// The last genuine answers, which the feigned ones follow.
#[derive(Debug)]
pub struct Uniform {
    floor: Duration,
    accepted_flag: AtomicBool,
    wrong_answer: Mutex<Option<(Vec<String>, Vec<String>)>>,
    /// How many floors the last genuine answer took, for each [`Saying`].
    floors: [AtomicU32; 5],
}

impl Uniform {
    /// With answers as documented, until genuine ones have come.
    pub fn new(floor: Duration) -> Self {
        Self {
            floor,
            accepted_flag: AtomicBool::new(false),
            wrong_answer: Mutex::new(None),
            floors: [const { AtomicU32::new(1) }; 5],
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

    /// A genuine refusal for the answer, which later feigned ones follow.
    pub fn remember_wrong_answer(&self, envelope: Envelope) -> Envelope {
        let said = Some((envelope.errors.clone(), envelope.errors_code.clone()));
        *self.wrong_answer.lock().unwrap_or_else(PoisonError::into_inner) = said;
        envelope
    }

    /// One that looks like the last genuine one.
    pub fn feigned_wrong_answer(&self) -> Envelope {
        let said = self.wrong_answer.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let (errors, errors_code) = said.unwrap_or_else(|| {
            (vec!["Answer is incorrect, try again.".to_owned()], vec!["ErrorIncorrectAnswer".to_owned()])
        });
        Envelope { errors, errors_code, ..Envelope::plain(false) }
    }

    /// The one refusal of a code, whatever was said and whether or not anybody was asked.
    pub fn wrong_code() -> Envelope {
        Envelope { errors: vec!["Confirmation code is incorrect.".to_owned()], ..Envelope::plain(false) }
    }

    /// Waits until an answer may be given: the floor after the start, or at a later multiple of it. A feigned answer takes as many floors
    /// as the last genuine one did, lest it be known by being quick.
    pub async fn hold(&self, started: Instant, saying: Saying, genuine: bool) {
        if self.floor.is_zero() {
            return;
        }
        let own = started.elapsed().as_nanos().div_ceil(self.floor.as_nanos()).max(1);
        let own = u32::try_from(own).unwrap_or(u32::MAX);
        let last = &self.floors[saying as usize];
        let floors = if genuine {
            last.store(own, Ordering::Relaxed);
            own
        } else {
            own.max(last.load(Ordering::Relaxed))
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

    async fn took(uniform: &Uniform, work: u64, saying: Saying, genuine: bool) -> u64 {
        let started = Instant::now();
        tokio::time::sleep(Duration::from_millis(work)).await;
        uniform.hold(started, saying, genuine).await;
        u64::try_from(started.elapsed().as_millis()).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_takes_the_floor_or_a_multiple_of_it() {
        let uniform = Uniform::new(Duration::from_millis(500));
        for (work, expected) in [(0, 500), (5, 500), (499, 500), (501, 1000), (900, 1000), (1400, 1500)] {
            assert_eq!(took(&uniform, work, Saying::Accepted, true).await, expected);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_feigned_answer_is_not_known_by_being_quick() {
        let uniform = Uniform::new(Duration::from_millis(500));
        for (genuine, feigned) in [(5, 500), (900, 1000), (1400, 1500), (5, 500)] {
            took(&uniform, genuine, Saying::Accepted, true).await;
            assert_eq!(took(&uniform, 0, Saying::Accepted, false).await, feigned);
            assert_eq!(took(&uniform, 0, Saying::WrongCode, false).await, 500, "each has its own");
        }
    }
}
