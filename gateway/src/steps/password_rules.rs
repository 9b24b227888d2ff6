//! The rules that a new password has to meet before the gateway forwards it to Autoshares.

use autoshares_sdk::Password;

use crate::{
    config,
    http::problem::{Kind, Problem},
};

/// How many characters of a password are measured; more would only cost time.
const MEASURED: usize = 40;

/// Refuses a password that is too short.
///
/// # Errors
///
/// A [`Problem`] that says how long it has to be.
pub fn check_length(rules: config::Password, password: &Password) -> Result<(), Problem> {
    let min_length = rules.min_length;
    if password.expose().chars().count() >= min_length {
        return Ok(());
    }
    let detail = format!("`Password` is too short: use {min_length} characters or more");
    let sentence = format!("Please choose a password of at least {min_length} characters.");
    Err(Problem::new(Kind::PasswordTooShort, detail).saying(sentence))
}

/// Refuses a password that is easy to guess. Measures on another thread, for some passwords take long.
///
/// # Errors
///
/// A [`Problem`] that says what to choose instead.
pub async fn check_strength(rules: config::Password, password: &Password) -> Result<(), Problem> {
    let password = password.clone();
    match tokio::task::spawn_blocking(move || strength(password.expose())).await {
        Ok(strength) if strength >= rules.min_strength => Ok(()),
        Ok(_) => {
            let detail = "`Password` is easy to guess: use a few words that do not belong together";
            Err(Problem::new(Kind::PasswordEasyToGuess, detail))
        }
        Err(_) => Err(Problem::internal()),
    }
}

/// The measure of zxcvbn, from 0 for the first guesses to 4 for more than 10^10 of them.
fn strength(password: &str) -> u8 {
    let end = password.char_indices().nth(MEASURED).map_or(password.len(), |(index, _)| index);
    zxcvbn::zxcvbn(&password[..end], &[]).score().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_count_and_not_bytes() {
        let rules = config::Password { min_length: 8, min_strength: 0 };
        assert!(check_length(rules, &"пароль12".into()).is_ok());
        assert!(check_length(rules, &"пароль1".into()).is_err());
    }

    #[test]
    fn only_the_beginning_of_a_long_password_is_measured() {
        assert!(strength("password1") < 2 && strength("correct horse battery staple") == 4);
        assert!(strength(&"aé".repeat(10_000)) < 3);
    }
}
