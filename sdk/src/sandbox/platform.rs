//! The business of Autoshares without HTTP: traders, questions, codes and tokens. Pure in `now`.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use uuid::Uuid;

/// An account.
#[derive(Clone, Debug)]
pub struct Trader {
    login: String,
    email: String,
    question: Option<(String, String)>,
    password: Option<String>,
}

/// A mail that a real Autoshares would have sent.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct Mail {
    /// The trader's e-mail address.
    pub to: String,
    /// The trader's login.
    pub login: String,
    /// The confirmation code in it.
    pub code: String,
}

/// Why the platform says no: sentences and codes.
#[derive(Debug)]
pub(super) struct No {
    pub(super) errors: Vec<&'static str>,
    pub(super) codes: Vec<&'static str>,
}

#[derive(Debug)]
pub(super) struct Platform {
    pub(super) code_lifetime: Duration,
    pub(super) token_lifetime: Duration,
    /// How much longer an accepted reset takes, for its mail.
    pub(super) mail_time: Duration,
    traders: Vec<Trader>,
    outbox: Vec<Mail>,
    /// Live codes and tokens, each with the login it belongs to and the end of its life.
    codes: HashMap<String, (String, Instant)>,
    tokens: HashMap<String, (String, Instant)>,
}

impl Trader {
    /// A trader without a secret question, whose e-mail is `<login>@example.com`.
    pub fn new(login: &str) -> Self {
        Self {
            login: login.to_owned(),
            email: format!("{login}@example.com"),
            question: None,
            password: None,
        }
    }

    /// Gives the trader an e-mail address.
    #[must_use]
    pub fn email(mut self, email: &str) -> Self {
        email.clone_into(&mut self.email);
        self
    }

    /// Gives the trader a secret question.
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
        let code = format!("{:06}", Uuid::new_v4().as_u128() % 1_000_000);
        // Whether a second reset cancels the first code is documented nowhere; the worst is assumed: it does not.
        self.codes.insert(code.clone(), (login.clone(), now + self.code_lifetime));
        self.outbox.push(Mail { to, login, code });
        Ok(())
    }

    /// The question, empty when there is none.
    pub(super) fn question(&self, name: &str) -> Result<String, No> {
        let trader = self.trader(name)?;
        Ok(trader.question.as_ref().map(|(question, _)| question.clone()).unwrap_or_default())
    }

    /// Like upstream, asks for the code alone: whoever guesses a live one has it.
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

    /// What an unknown login gets is documented nowhere; the worst is assumed: it is told.
    fn trader(&self, name: &str) -> Result<&Trader, No> {
        let found = self.traders.iter().find(|trader| trader.goes_by(name));
        found.ok_or(No { errors: vec!["User is not found."], codes: vec![] })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
