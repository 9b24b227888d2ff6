//! Decoys: a share of the logins that do not exist seems to have a secret question, so that having one reveals little.

use autoshares_counting::Id;

use crate::{
    config::{Answers, Flow},
    flow::{KeyRing, Named},
};

/// The question that a login seems to have, if any. It depends on nothing but a keyed hash of the login, so a login always gets the same.
pub fn question<'a>(ring: &KeyRing, settings: &'a Flow, login: Id) -> Option<&'a str> {
    let [high, low, rest @ ..] = ring.pseudonym(Named::Decoy, &login.0).0;
    let has_one = settings.answers == Answers::Decoy
        && f64::from(u16::from_be_bytes([high, low])) < settings.decoy_share * 65536.0;
    let questions = &settings.decoy_questions;
    let number = rest.iter().fold(0_usize, |number, byte| number.wrapping_mul(251) ^ usize::from(*byte));
    let chosen = number.checked_rem(questions.len())?;
    has_one.then(|| questions[chosen].as_str())
}
