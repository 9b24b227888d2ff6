//! Decoys: a share of the logins that do not exist seems to have a secret question, so that having one reveals little.

use autoshares_counting::Id;

use crate::{
    config::{Answers, Flow},
    flow::{KeyRing, Named},
};

/// Questions that people are asked.
const QUESTIONS: [&str; 8] = [
    "What street did you live on in third grade?",
    "What was the name of your first pet?",
    "In what city were you born?",
    "What is your mother's maiden name?",
    "What was the make of your first car?",
    "What was the name of your elementary school?",
    "What is the name of your favorite childhood friend?",
    "What was your childhood nickname?",
];

/// The question that a login seems to have, if any. It depends on nothing but a keyed hash of the login, so a login always gets the same.
pub fn question(ring: &KeyRing, settings: &Flow, login: Id) -> Option<&'static str> {
    let [high, low, .., last] = ring.pseudonym(Named::Decoy, &login.0).0;
    let has_one = settings.answers == Answers::Decoy
        && f64::from(u16::from_be_bytes([high, low])) < settings.decoy_share * 65536.0;
    has_one.then(|| QUESTIONS[usize::from(last) % QUESTIONS.len()])
}
