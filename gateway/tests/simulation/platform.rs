//! Autoshares as the simulation knows it: accounts, mails, codes that live for a while, and every way to be slow or to fail. It also keeps
//! the books that the gateway cannot keep: which mails were really sent to which account, and how many codes were really live.

#![allow(clippy::result_large_err, reason = "the type of the real calls")]

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use autoshares_sdk::{ConfirmationCode, Login, Password, ResetToken, SecretAnswer, SecretQuestion};
use rand::{Rng, RngExt, SeedableRng, rngs::StdRng};
use tokio::time::Instant;

use crate::{
    clock::Clock,
    http::problem::{Kind, Problem},
    steps::{
        Autoshares,
        autoshares::{Call, Failure, KeyVerdict, Reach, ResetReply, Sentences, Trouble},
    },
};

/// The question of every trader who has one.
pub const QUESTION: &str = "What was it?";
/// How long a code lives, which the gateway assumes too.
pub const CODE_LIFETIME: Duration = Duration::from_secs(30 * 60);
/// How long the gateway waits for an answer.
pub const DEADLINE: Duration = Duration::from_secs(10);

/// How Autoshares is at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// It answers, after so many milliseconds: about a login that does not exist, about one that does, and about a code.
    Well { stranger: u64, known: u64, code: u64 },
    /// Its platform turns calls away with this status.
    TurnsAway(u16),
    /// Its platform turns away with this status whatever is about a login that does not exist.
    KnowsNobody(u16),
    /// No connection comes about.
    Unreachable,
    /// It fails after it has done what was asked, or before; nobody can tell.
    Fails,
    /// It does not answer in time, and has done what was asked or not.
    Hangs,
    /// It takes longer than the last level of time, and then answers.
    Slow,
}

impl Condition {
    /// Whether no call is answered.
    pub fn is_outage(self) -> bool {
        matches!(self, Self::TurnsAway(_) | Self::Unreachable | Self::Fails | Self::Hangs)
    }
}

/// What a call is about, which decides how long it takes.
#[derive(Clone, Copy, Debug)]
enum Asked {
    Stranger,
    Known,
    Code,
}

/// A trader at Autoshares.
#[derive(Clone, Debug, Default)]
pub struct Account {
    pub question: Option<&'static str>,
    pub passwords: u32,
}

/// A mail with a code.
#[derive(Clone, Debug)]
pub struct Mail {
    pub account: String,
    pub code: String,
    pub at: Instant,
    /// When the trader finds it.
    pub arrives: Instant,
    /// When the code was redeemed.
    pub redeemed: Option<Instant>,
}

/// What happened at Autoshares.
#[derive(Debug, Default)]
pub struct Books {
    pub mails: Vec<Mail>,
    /// When each wrong code was forwarded.
    pub guesses: Vec<Instant>,
    /// When each code was forwarded while no answer could come.
    pub codes_in_vain: Vec<Instant>,
    /// Codes that were answered before the gateway gave up. Each flow of the simulation makes up codes of its own, so none may come again.
    pub answered_codes: BTreeSet<String>,
    /// Codes that came although they had been answered.
    pub codes_again: Vec<String>,
    /// Tokens that were spent, and those that came again.
    pub spent_tokens: BTreeSet<String>,
    pub tokens_again: Vec<String>,
    pub takeovers: u32,
}

#[derive(Debug)]
pub struct Platform {
    clock: Clock,
    database: Database,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    random: StdRng,
    condition: Condition,
    accounts: BTreeMap<String, Account>,
    tokens: BTreeMap<String, String>,
    books: Books,
}

/// How Autoshares' database compares logins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Database {
    /// Characters that are younger than its tables weigh nothing, and nothing does beyond the basic plane.
    Old,
    /// Young characters are what they stand for.
    New,
    /// It converts logins to the Western set of characters first.
    Western,
}

impl Database {
    /// The account that a login means. All of them compare without case, accents and width.
    fn account_of(self, login: &str) -> String {
        let young = [
            '\u{218}'..='\u{21b}',
            '\u{7c0}'..='\u{7ff}',
            '\u{1200}'..='\u{137f}',
            '\u{1400}'..='\u{167f}',
            '\u{1d00}'..='\u{1dbf}',
            '\u{1e9e}'..='\u{1e9e}',
            '\u{a720}'..='\u{a7ff}',
        ];
        let is_young = |character: &char| young.iter().any(|range| range.contains(character));
        let known = login.chars().filter(|character| match self {
            Database::Old => *character < '\u{10000}' && !is_young(character),
            Database::New | Database::Western => *character < '\u{10000}',
        });
        let compared = known.map(|character| match (self, character) {
            (_, '\u{ff01}'..='\u{ff5e}') => {
                char::from_u32(u32::from(character) - 0xfee0).unwrap_or(character)
            }
            (_, 'é' | 'É') => 'e',
            (_, 'ö' | 'Ö') => 'o',
            (Database::New, 'ș' | 'Ș') => 's',
            (Database::New, 'ᵃ') => 'a',
            (Database::New, 'ᵛ') => 'v',
            (Database::New, 'ᵐ') => 'm',
            (Database::Western, 'ƚ') => 'l',
            (Database::Western, 'τ') => 't',
            (_, other) => other,
        });
        compared.flat_map(char::to_lowercase).collect::<String>().trim().to_owned()
    }
}

impl Platform {
    pub fn new(clock: Clock, seed: u64) -> Self {
        let random = StdRng::seed_from_u64(seed);
        let condition = super::WELL;
        let (accounts, tokens, books) = Default::default();
        let database =
            [Database::Old, Database::New, Database::Western][usize::try_from(seed % 3).unwrap_or_default()];
        Self { clock, database, state: Mutex::new(State { random, condition, accounts, tokens, books }) }
    }

    pub fn add(&self, login: &str, question: Option<&'static str>) {
        self.state().accounts.insert(self.database.account_of(login), Account { question, passwords: 0 });
    }

    pub fn set(&self, condition: Condition) {
        self.state().condition = condition;
    }

    /// The newest code that was mailed to a login.
    pub fn newest_code(&self, login: &str, since: Instant) -> Option<String> {
        self.newest_mail(login, since, |_| true)
    }

    /// The newest code that a trader finds in the mailbox, and that is good for a while.
    pub fn code_in_mailbox(&self, login: &str, since: Instant) -> Option<String> {
        let now = self.clock.now();
        self.newest_mail(login, since, |mail| {
            mail.arrives <= now && now.duration_since(mail.at) + Duration::from_secs(300) < CODE_LIFETIME
        })
    }

    pub fn is_redeemable(&self, code: &str) -> bool {
        let now = self.clock.now();
        let is_live = |mail: &Mail| mail.redeemed.is_none() && now.duration_since(mail.at) < CODE_LIFETIME;
        self.state().books.mails.iter().any(|mail| mail.code == code && is_live(mail))
    }

    fn newest_mail(&self, login: &str, since: Instant, is_meant: impl Fn(&Mail) -> bool) -> Option<String> {
        let account = self.database.account_of(login);
        let is_meant = |mail: &&Mail| {
            mail.account == account && mail.at >= since && mail.redeemed.is_none() && is_meant(mail)
        };
        self.state().books.mails.iter().rev().find(is_meant).map(|mail| mail.code.clone())
    }

    pub fn passwords(&self, login: &str) -> u32 {
        self.state().accounts.get(&self.database.account_of(login)).map_or(0, |account| account.passwords)
    }

    pub fn books<T>(&self, read: impl FnOnce(&Books) -> T) -> T {
        read(&self.state().books)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the time that a call takes, and fails where Autoshares fails. `act` is what Autoshares does, if it does it.
    async fn call<T>(
        &self,
        asked: Asked,
        act: impl FnOnce(&mut State, Instant) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let (condition, done) = {
            let mut state = self.state();
            (state.condition, state.random.random_bool(0.5))
        };
        let began = self.clock.now();
        let wait = async |duration| self.clock.sleep_until(began + duration).await;
        match condition {
            Condition::Well { stranger, known, code } => {
                let takes = match asked {
                    Asked::Stranger => stranger,
                    Asked::Known => known,
                    Asked::Code => code,
                };
                wait(Duration::from_millis(takes)).await;
                act(&mut self.state(), self.clock.now())
            }
            Condition::Slow => {
                wait(Duration::from_millis(3000)).await;
                act(&mut self.state(), self.clock.now())
            }
            Condition::TurnsAway(status) => {
                wait(Duration::from_millis(5)).await;
                Err(failure(Reach::NotSent, Trouble::TurnedAway(Some(status)), Some(status)))
            }
            Condition::KnowsNobody(status) => {
                wait(Duration::from_millis(5)).await;
                if matches!(asked, Asked::Stranger) {
                    return Err(failure(Reach::NotSent, Trouble::TurnedAway(Some(status)), Some(status)));
                }
                act(&mut self.state(), self.clock.now())
            }
            Condition::Unreachable => Err(failure(Reach::NotSent, Trouble::NoConnection, None)),
            Condition::Fails => {
                wait(Duration::from_millis(20)).await;
                if done {
                    let _ = act(&mut self.state(), self.clock.now());
                }
                Err(failure(Reach::Unknown, Trouble::Failed, Some(500)))
            }
            Condition::Hangs => {
                if done {
                    let _ = act(&mut self.state(), self.clock.now());
                }
                wait(DEADLINE).await;
                Err(failure(Reach::Unknown, Trouble::NoAnswer, None))
            }
        }
    }
}

fn failure(reach: Reach, trouble: Trouble, status: Option<u16>) -> Failure {
    let problem = Problem::new(Kind::UpstreamInterrupted, "simulated");
    Failure {
        reach,
        trouble: Some(trouble),
        status,
        retry_after: None,
        sentences: Sentences::default(),
        in_envelope: false,
        key: KeyVerdict::Unknown,
        problem: if reach == Reach::Unknown { problem.that_may_have_been_applied() } else { problem },
    }
}

/// A refusal in an envelope.
fn refusal() -> Failure {
    let problem = Problem::new(Kind::UpstreamFailed, "simulated");
    Failure {
        reach: Reach::Refused,
        trouble: None,
        status: Some(200),
        retry_after: None,
        sentences: Sentences { messages: vec!["No.".to_owned()], ..Sentences::default() },
        in_envelope: true,
        key: KeyVerdict::Accepted,
        problem,
    }
}

impl Books {
    /// How many of the codes that were mailed since a moment were really live at another.
    pub fn live_codes(&self, since: Instant, at: Instant) -> usize {
        let is_live = |mail: &&Mail| {
            (since..=at).contains(&mail.at)
                && at.duration_since(mail.at) < CODE_LIFETIME
                && mail.redeemed.is_none_or(|redeemed| redeemed > at)
        };
        self.mails.iter().filter(is_live).count()
    }
}

impl Autoshares for Platform {
    fn request_reset<'a>(
        &'a self,
        login: &'a Login,
        answer: Option<&'a SecretAnswer>,
    ) -> Call<'a, ResetReply> {
        Box::pin(async move {
            let account = self.database.account_of(login.expose());
            let known = self.state().accounts.contains_key(&account);
            let asked = if known { Asked::Known } else { Asked::Stranger };
            let answer = answer.map(|answer| answer.expose().to_owned());
            self.call(asked, move |state, now| {
                let Some(found) = state.accounts.get(&account) else { return Err(refusal()) };
                if found.question.is_some_and(|right| answer.as_deref() != Some(right)) {
                    return Ok(ResetReply::AnswerNeeded(Sentences::default()));
                }
                let code = loop {
                    // Codes of mails end in an even digit, guesses of the simulation in an odd one: no guess hits by chance.
                    let code = format!("{:06}", state.random.random_range(0..500_000) * 2);
                    if state.books.mails.iter().all(|mail| mail.code != code) {
                        break code;
                    }
                };
                let takes = if state.random.random_bool(0.1) { 60..600 } else { 1..10 };
                let arrives = now + Duration::from_secs(state.random.random_range(takes));
                state.books.mails.push(Mail { account, code, at: now, arrives, redeemed: None });
                Ok(ResetReply::Accepted { flag: false })
            })
            .await
        })
    }

    fn fetch_question<'a>(&'a self, login: &'a Login) -> Call<'a, Option<SecretQuestion>> {
        Box::pin(async move {
            let account = self.database.account_of(login.expose());
            let known = self.state().accounts.contains_key(&account);
            let asked = if known { Asked::Known } else { Asked::Stranger };
            self.call(asked, move |state, _| match state.accounts.get(&account) {
                Some(found) => Ok(found.question.map(|_| SecretQuestion::new(QUESTION))),
                None => Err(refusal()),
            })
            .await
        })
    }

    fn redeem_code<'a>(&'a self, code: &'a ConfirmationCode) -> Call<'a, ResetToken> {
        Box::pin(async move {
            let code = code.expose().to_owned();
            if !code.bytes().all(|byte| byte.is_ascii_digit()) {
                return self.call(Asked::Code, |_, _| Err(refusal())).await;
            }
            if self.state().books.answered_codes.contains(&code) {
                self.state().books.codes_again.push(code.clone());
            }
            let began = self.clock.now();
            if self.state().condition.is_outage() {
                self.state().books.codes_in_vain.push(began);
            }
            let answered = code.clone();
            let called = self
                .call(Asked::Code, move |state, now| {
                    let mail = state
                        .books
                        .mails
                        .iter_mut()
                        .find(|mail| mail.code == code && mail.redeemed.is_none());
                    match mail.filter(|mail| now.duration_since(mail.at) < CODE_LIFETIME) {
                        None => {
                            state.books.guesses.push(began);
                            Err(refusal())
                        }
                        Some(mail) => {
                            mail.redeemed = Some(now);
                            let account = mail.account.clone();
                            let token = format!("{:032x}", state.random.next_u64());
                            state.tokens.insert(token.clone(), account);
                            Ok(ResetToken::new(token))
                        }
                    }
                })
                .await;
            if called.as_ref().err().is_none_or(|failure| failure.trouble.is_none()) {
                self.state().books.answered_codes.insert(answered);
            }
            called
        })
    }

    fn set_password<'a>(&'a self, token: &'a ResetToken, _: &'a Password) -> Call<'a, ()> {
        Box::pin(async move {
            let token = token.expose().to_owned();
            if self.state().books.spent_tokens.contains(&token) {
                self.state().books.tokens_again.push(token.clone());
            }
            self.call(Asked::Known, move |state, _| {
                let account = state.tokens.get(&token).cloned();
                state.books.spent_tokens.insert(token);
                let found = account.and_then(|account| state.accounts.get_mut(&account));
                found.map(|account| account.passwords += 1).ok_or_else(refusal)
            })
            .await
        })
    }
}
