//! The logic of Autoshares without HTTP: traders, secret questions, codes and tokens. The time comes in as `now`, so that tests need
//! not wait for a code or token to expire.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use uuid::Uuid;

/// The account of a trader in the sandbox. Logins and e-mail addresses are compared without regard to the case of ASCII letters.
#[derive(Clone, Debug)]
pub struct Trader {
    login: String,
    email: String,
    question: Option<(String, String)>,
    password: Option<String>,
}

/// An e-mail with a confirmation code, which a real Autoshares would have sent.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct Mail {
    /// The e-mail address of the trader.
    pub to: String,
    /// The login of the trader.
    pub login: String,
    /// The confirmation code, six digits. The sandbox draws none below `001000`, so a test has a thousand codes that are surely wrong.
    pub code: String,
}

/// A refusal: its sentences for `Errors` and its codes for `ErrorsCode`.
#[derive(Debug)]
pub(super) struct No {
    pub(super) errors: Vec<&'static str>,
    pub(super) codes: Vec<&'static str>,
}

#[derive(Debug)]
pub(super) struct Platform {
    pub(super) code_lifetime: Duration,
    pub(super) token_lifetime: Duration,
    /// How much longer an accepted reset takes than a refused one, as if its e-mail were being sent.
    pub(super) mail_time: Duration,
    traders: Vec<Trader>,
    outbox: Vec<Mail>,
    /// Codes and tokens that have not been spent, each with the login it belongs to and the time at which it expires.
    codes: HashMap<String, (String, Instant)>,
    tokens: HashMap<String, (String, Instant)>,
}

impl Trader {
    /// Creates a trader without a secret question, whose e-mail address is `<login>@example.com`.
    pub fn new(login: &str) -> Self {
        Self {
            login: login.to_owned(),
            email: format!("{login}@example.com"),
            question: None,
            password: None,
        }
    }

    /// Sets the trader's e-mail address, to which codes are sent and which can be used in place of the login.
    #[must_use]
    pub fn email(mut self, email: &str) -> Self {
        email.clone_into(&mut self.email);
        self
    }

    /// Gives the trader a secret question. A reset is then accepted only with exactly this answer.
    #[must_use]
    pub fn question(mut self, question: &str, answer: &str) -> Self {
        self.question = Some((question.to_owned(), answer.to_owned()));
        self
    }

    pub(super) fn robert_zak() -> Self {
        Self::new("robert.zak").question("What street did you live on in third grade?", "Peterson")
    }

    pub(super) fn anna_lee() -> Self {
        Self::new("anna.lee")
    }

    fn goes_by(&self, name: &str) -> bool {
        self.login.eq_ignore_ascii_case(name) || self.email.eq_ignore_ascii_case(name)
    }
}

impl Platform {
    pub(super) fn new(traders: Vec<Trader>) -> Self {
        Self {
            code_lifetime: Duration::from_secs(30 * 60),
            token_lifetime: Duration::from_secs(10 * 60),
            mail_time: Duration::ZERO,
            traders,
            outbox: Vec::new(),
            codes: HashMap::new(),
            tokens: HashMap::new(),
        }
    }

    pub(super) fn add(&mut self, trader: Trader) {
        self.traders.retain(|known| !known.login.eq_ignore_ascii_case(&trader.login));
        self.traders.push(trader);
    }

    pub(super) fn outbox(&self) -> &[Mail] {
        &self.outbox
    }

    pub(super) fn password_of(&self, login: &str) -> Option<String> {
        self.trader(login).ok()?.password.clone()
    }

    pub(super) fn request_reset(&mut self, name: &str, answer: Option<&str>, now: Instant) -> Result<(), No> {
        let trader = self.trader(name)?;
        if let Some((_, expected)) = &trader.question
            && answer != Some(expected.as_str())
        {
            return Err(No {
                errors: vec!["Answer is incorrect, try again."],
                codes: vec!["ErrorIncorrectAnswer"],
            });
        }
        let (to, login) = (trader.email.clone(), trader.login.clone());
        let code = code(Uuid::new_v4().as_u128());
        // The documentation does not say whether a second reset cancels the first code. The sandbox assumes the worst for a defender:
        // both codes stay valid.
        self.codes.insert(code.clone(), (login.clone(), now + self.code_lifetime));
        self.outbox.push(Mail { to, login, code });
        Ok(())
    }

    /// The trader's secret question; empty when the trader has none.
    pub(super) fn question(&self, name: &str) -> Result<String, No> {
        let trader = self.trader(name)?;
        Ok(trader.question.as_ref().map(|(question, _)| question.clone()).unwrap_or_default())
    }

    /// Exchanges a code for a token. Like Autoshares it looks at the code alone and not at a login, so a guess that hits any live code
    /// takes over that code's account.
    pub(super) fn redeem_code(&mut self, code: &str, now: Instant) -> Result<String, No> {
        match self.codes.remove(code) {
            Some((login, end)) if now < end => {
                let token = Uuid::new_v4().to_string();
                self.tokens.insert(token.clone(), (login, now + self.token_lifetime));
                Ok(token)
            }
            _ => Err(No { errors: vec!["Confirmation code is incorrect."], codes: vec![] }),
        }
    }

    pub(super) fn set_password(
        &mut self,
        token: &str,
        password: &str,
        confirmation: &str,
        now: Instant,
    ) -> Result<(), No> {
        let refuse = |reason| Err(No { errors: vec![reason], codes: vec![] });
        if password != confirmation {
            return refuse("Password and confirmation are not identical.");
        }
        let Some((login, end)) = self.tokens.remove(token) else { return refuse("Token is invalid.") };
        if now >= end {
            return refuse("Token has expired.");
        }
        if let Some(trader) = self.traders.iter_mut().find(|trader| trader.login == login) {
            trader.password = Some(password.to_owned());
        }
        Ok(())
    }

    /// Finds the trader by login or e-mail address. The documentation does not say how Autoshares replies to an unknown login. The
    /// sandbox assumes the worst for a defender: the reply reveals that it is unknown.
    fn trader(&self, name: &str) -> Result<&Trader, No> {
        let found = self.traders.iter().find(|trader| trader.goes_by(name));
        found.ok_or(No { errors: vec!["User is not found."], codes: vec![] })
    }
}

/// The confirmation code that a random number stands for.
fn code(random: u128) -> String {
    format!("{:06}", 1_000 + random % 999_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_has_six_digits_and_is_not_below_a_thousand() {
        assert_eq!([0, 998_999, 999_000, 999_001].map(code), ["001000", "999999", "001000", "001001"]);
    }

    #[test]
    fn codes_and_tokens_die_at_the_end_of_their_lives() {
        let start = Instant::now();
        let mut platform = Platform::new(vec![Trader::anna_lee()]);
        platform.request_reset("ANNA.LEE", None, start).unwrap();
        let code = platform.outbox()[0].code.clone();
        assert!(platform.redeem_code(&code, start + platform.code_lifetime).is_err());

        platform.request_reset("anna.lee@example.com", None, start).unwrap();
        let code = platform.outbox()[1].code.clone();
        let token = platform.redeem_code(&code, start).unwrap();
        assert!(platform.redeem_code(&code, start).is_err(), "a code is spent once redeemed");
        assert!(platform.set_password(&token, "a", "a", start + platform.token_lifetime).is_err());
        assert_eq!(platform.password_of("anna.lee"), None);
    }
}
