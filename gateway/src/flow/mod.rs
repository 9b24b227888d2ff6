//! The flow: what binds a code to the login it was sent to. It travels sealed, as a cookie and as a header; what is counted in it lives in
//! the store under its id, so that an old handle rewinds nothing.

pub mod key_ring;

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use autoshares_sdk::{Login, ResetToken};
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use caseless::Caseless;
use unicode_normalization::UnicodeNormalization;

use key_ring::{KeyId, KeyRing, Named, Pseudonym, Purpose, random};

/// How long a flow lives after its last answered step 1, and a token after its code.
pub const LIFETIME: Duration = Duration::from_secs(600);
/// How far the clocks of two replicas may differ.
const SKEW: Duration = Duration::from_secs(30);

/// The cookie that carries a handle.
pub const COOKIE: &str = "__Host-password-reset";
/// The header that carries a handle, both ways.
pub const HEADER: HeaderName = HeaderName::from_static("reset-flow");

/// How far a flow has come. Nobody outside can tell one from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Autoshares wants the answer to the secret question.
    Question,
    /// There is no such login, and it is asked a question all the same.
    Decoy,
    /// Autoshares accepted: a code is on its way.
    Live,
    /// It looks accepted, and there is no code.
    Dead,
}

/// The id of a flow, random; counters are kept under it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct FlowId(pub [u8; 16]);

impl fmt::Display for FlowId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

impl fmt::Debug for FlowId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A flow whose handle was opened, or is about to be sealed.
#[derive(Clone, Copy, Debug)]
pub struct Flow {
    /// Its id.
    pub id: FlowId,
    /// Whose password it is about.
    pub login: Pseudonym,
    /// How far it has come.
    pub stage: Stage,
    /// What codes and tokens are marked with in this flow, whichever key of the ring sealed its handle.
    secret: [u8; 16],
    /// The key that `login` was hashed with.
    key: KeyId,
}

impl Flow {
    /// What stands for a code or a token in this flow, to whoever counts.
    pub fn mark(&self, named: Named, text: &str) -> Pseudonym {
        key_ring::keyed(&self.secret, named, text.as_bytes())
    }
}

/// A token that was opened.
#[derive(Debug)]
pub struct Token {
    /// The flow that it belongs to; `None` for one of the lane without handles.
    pub flow: Option<FlowId>,
    /// Autoshares' own.
    pub token: ResetToken,
}

/// Makes and opens handles and tokens.
#[derive(Debug)]
pub struct Flows {
    ring: KeyRing,
    /// What was issued earlier is not believed: whoever counted in it has forgotten.
    not_before: Arc<AtomicU64>,
}

impl Flows {
    /// With counters that remember since then, in milliseconds since 1970.
    pub fn new(ring: KeyRing, not_before: Arc<AtomicU64>) -> Self {
        Self { ring, not_before }
    }

    /// The keys.
    pub fn ring(&self) -> &KeyRing {
        &self.ring
    }

    /// A flow that nobody has seen yet.
    pub fn begin(&self, login: Pseudonym, stage: Stage) -> Flow {
        Flow { id: FlowId(random()), login, stage, secret: random(), key: self.ring.current() }
    }

    /// The same flow at another stage, its login hashed anew.
    pub fn go_on(&self, flow: &Flow, login: Pseudonym, stage: Stage) -> Flow {
        Flow { login, stage, key: self.ring.current(), ..*flow }
    }

    /// Whether a flow is about this login.
    pub fn is_about(&self, flow: &Flow, login: &Login) -> bool {
        self.ring.pseudonym_under(flow.key, Named::Login, normal(login).as_bytes()) == Some(flow.login)
    }

    /// The pseudonym of a login: the same for all spellings that Autoshares may take for one.
    pub fn login(&self, login: &Login) -> Pseudonym {
        self.ring.pseudonym(Named::Login, normal(login).as_bytes())
    }

    /// The handle of a flow, always of the same length.
    pub fn seal(&self, flow: &Flow, now: SystemTime) -> String {
        let stage = match flow.stage {
            Stage::Question => 1,
            Stage::Decoy => 2,
            Stage::Live => 3,
            Stage::Dead => 4,
        };
        let text = [&flow.id.0[..], &flow.login.0, &[stage], &flow.secret, &milliseconds(now).to_be_bytes()]
            .concat();
        self.ring.seal(Purpose::Handle, &text)
    }

    /// Opens a handle that is ours and fresh.
    pub fn open(&self, handle: &str, now: SystemTime) -> Option<Flow> {
        let (text, key) = self.ring.open(Purpose::Handle, handle)?;
        let (id, text) = text.split_first_chunk()?;
        let (login, text) = text.split_first_chunk()?;
        let (&[stage], text) = text.split_first_chunk()?;
        let (secret, text) = text.split_first_chunk()?;
        let issued = u64::from_be_bytes(text.try_into().ok()?);
        let stage = match stage {
            1 => Stage::Question,
            2 => Stage::Decoy,
            3 => Stage::Live,
            4 => Stage::Dead,
            _ => return None,
        };
        let flow = Flow { id: FlowId(*id), login: Pseudonym(*login), stage, secret: *secret, key };
        self.is_fresh(issued, now).then_some(flow)
    }

    /// Seals a token of Autoshares' for one flow.
    pub fn seal_token(&self, flow: Option<FlowId>, token: &ResetToken, now: SystemTime) -> String {
        // An id is random, so none is all zeros.
        let id = flow.unwrap_or(FlowId([0; 16]));
        let text = [&id.0[..], &milliseconds(now).to_be_bytes(), token.expose().as_bytes()].concat();
        self.ring.seal(Purpose::Token, &text)
    }

    /// Opens a token that is ours and fresh.
    pub fn open_token(&self, sealed: &str, now: SystemTime) -> Option<Token> {
        let (text, _) = self.ring.open(Purpose::Token, sealed)?;
        let (id, text) = text.split_first_chunk()?;
        let (issued, text) = text.split_first_chunk()?;
        let flow = Some(FlowId(*id)).filter(|id| id.0 != [0; 16]);
        let token = Token { flow, token: std::str::from_utf8(text).ok()?.into() };
        self.is_fresh(u64::from_be_bytes(*issued), now).then_some(token)
    }

    fn is_fresh(&self, issued: u64, now: SystemTime) -> bool {
        let latest = milliseconds(now + SKEW);
        let earliest = milliseconds(now.checked_sub(LIFETIME).unwrap_or(UNIX_EPOCH));
        (earliest..=latest).contains(&issued) && issued > self.not_before.load(Ordering::Relaxed)
    }
}

/// Since 1970.
pub fn milliseconds(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// Trimmed, in compatibility form, without case, and without what nobody sees: what Autoshares may take for one login is one here.
fn normal(login: &Login) -> String {
    let seen = login.expose().chars().filter(|character| !is_ignorable(*character));
    if login.expose().is_ascii() {
        // The same for what most logins are made of, at a tenth of the price.
        return seen.collect::<String>().trim().to_ascii_lowercase();
    }
    seen.nfkc().default_case_fold().nfkc().collect::<String>().trim().to_owned()
}

/// Characters without a look of their own: controls, and the default ignorables of Unicode, by their ranges. Databases often compare as if
/// they were not there.
fn is_ignorable(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}' | '\u{180b}'..='\u{180f}'
                | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}'
                | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fff8}' | '\u{e0000}'..='\u{e0fff}'
        )
}

/// The handles that a client sent, the header first: a client that sets it knows what it does.
pub fn handles(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let header = headers.get_all(HEADER).iter().filter_map(|value| value.to_str().ok());
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let cookies = cookies.flat_map(|cookies| cookies.split(';')).filter_map(|cookie| {
        let (name, value) = cookie.split_once('=')?;
        (name.trim() == COOKIE).then(|| value.trim())
    });
    header.map(str::trim).chain(cookies).filter(|handle| !handle.is_empty())
}

/// Gives a handle to the client in both ways.
pub fn give(headers: &mut HeaderMap, handle: &str) {
    set(headers, handle, LIFETIME);
    if let Ok(value) = HeaderValue::from_str(handle) {
        headers.insert(HEADER, value);
    }
}

/// Takes the cookie away.
pub fn take_away(headers: &mut HeaderMap) {
    set(headers, "", Duration::ZERO);
}

fn set(headers: &mut HeaderMap, handle: &str, age: Duration) {
    let age = age.as_secs();
    let cookie = format!("{COOKIE}={handle}; Max-Age={age}; Path=/; Secure; HttpOnly; SameSite=Strict");
    if let Ok(value) = HeaderValue::from_str(&cookie) {
        headers.append(header::SET_COOKIE, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::key_ring::Secrets;

    fn flows(started: Option<SystemTime>) -> Flows {
        let not_before = Arc::new(AtomicU64::new(started.map_or(0, milliseconds)));
        Flows::new(KeyRing::new(&Secrets::random(), "http://localhost"), not_before)
    }

    #[test]
    fn a_handle_lives_ten_minutes_and_does_not_come_from_the_future() {
        let flows = flows(None);
        let now = SystemTime::now();
        let flow = flows.begin(flows.login(&"robert.zak".into()), Stage::Live);
        let handle = flows.seal(&flow, now);
        let opens = |now| flows.open(&handle, now).is_some();
        assert!(opens(now) && opens(now + Duration::from_secs(599)));
        assert!(!opens(now + Duration::from_secs(601)));
        assert!(opens(now - Duration::from_secs(29)));
        assert!(!opens(now - Duration::from_secs(31)));

        let token = flows.seal_token(Some(flow.id), &"token".into(), now);
        let opens = |now| flows.open_token(&token, now).is_some();
        assert!(opens(now + Duration::from_secs(599)) && !opens(now + Duration::from_secs(601)));
        assert_eq!(flows.open_token(&token, now).unwrap().flow, Some(flow.id));
        assert!(flows.open(&token, now).is_none() && flows.open_token(&handle, now).is_none());
    }

    #[test]
    fn what_was_issued_before_the_counters_began_is_not_believed() {
        let now = SystemTime::now();
        for (started, believed) in
            [(None, true), (Some(now), false), (Some(now - Duration::from_millis(1)), true)]
        {
            let flows = flows(started);
            let flow = flows.begin(flows.login(&"robert.zak".into()), Stage::Live);
            assert_eq!(flows.open(&flows.seal(&flow, now), now).is_some(), believed);
            let token = flows.seal_token(None, &"token".into(), now);
            assert_eq!(flows.open_token(&token, now).is_some(), believed);
        }
    }

    #[test]
    fn handles_are_of_one_length_and_no_two_are_alike() {
        let flows = flows(None);
        let now = SystemTime::now();
        let stages = [Stage::Question, Stage::Decoy, Stage::Live, Stage::Dead];
        let handle = |stage| flows.seal(&flows.begin(flows.login(&"x".into()), stage), now);
        for stage in stages {
            assert_eq!(flows.open(&handle(stage), now).unwrap().stage, stage);
            assert_eq!(handle(stage).len(), 135);
            assert_ne!(handle(stage), handle(stage));
        }
    }

    #[test]
    fn spellings_of_a_login_are_one() {
        let flows = flows(None);
        let login = flows.login(&"robert.zak".into());
        for same in [
            " Robert.Zak ",
            "ROBERT.ZAK",
            "ｒｏｂｅｒｔ．ｚａｋ",
            "\u{a0}robert.zak\t",
            "robert.za\u{212a}",
            "rob\u{200b}ert.zak",
            "robert\0.zak",
        ] {
            assert_eq!(flows.login(&same.into()), login, "{same}");
        }
        assert_eq!(flows.login(&"straße".into()), flows.login(&"STRASSE".into()));
        assert_ne!(flows.login(&"robert.zac".into()), login);
        let flow = flows.begin(login, Stage::Question);
        assert!(flows.is_about(&flow, &"ROBERT.ZAK".into()) && !flows.is_about(&flow, &"anna.lee".into()));
    }

    #[test]
    fn handles_are_found_in_header_and_cookies() {
        let mut headers = HeaderMap::new();
        let add = |headers: &mut HeaderMap, name: &str, value: &'static str| {
            let name: HeaderName = name.parse().unwrap();
            headers.append(name, HeaderValue::from_static(value));
        };
        add(&mut headers, "cookie", "a=b; __Host-password-reset=one; c");
        add(&mut headers, "cookie", "__Host-password-reset= two ;x__Host-password-reset=three");
        assert_eq!(handles(&headers).collect::<Vec<_>>(), ["one", "two"]);
        add(&mut headers, "reset-flow", "four");
        assert_eq!(handles(&headers).collect::<Vec<_>>(), ["four", "one", "two"]);
    }
}
