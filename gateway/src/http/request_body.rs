//! Reads the bodies and queries that clients send. Liberal where a .NET Web API is: the case of names, the JSON media types and their
//! parameters. Strict where ambiguity is dangerous: `Content-Type` must say JSON, no member may stand twice, in whatever case, and strings
//! must stand where strings belong. Written by hand, for the errors of a derived reader quote the values that a client sent, and because a body
//! that is refused must not cost much more than a short one, whatever it holds: nothing but strings is kept, and the number of values is
//! limited.

use std::{borrow::Cow, collections::BTreeMap, fmt};

use autoshares_sdk::{ConfirmationCode, Login, Password, ResetToken, SecretAnswer};
use axum::http::{HeaderMap, HeaderValue, header};
use schemars::JsonSchema;
use serde::{
    Deserialize, Deserializer,
    de::{self, DeserializeSeed, MapAccess, SeqAccess, Visitor},
};
use serde_json::Value;
use url::form_urlencoded;

use crate::{
    flow::{MAX_LOGIN, Unspellable, fits},
    http::{
        pasted_code,
        problem::{Kind, Problem},
    },
};

/// The longest answer to a secret question, in characters.
const MAX_ANSWER: usize = 256;
/// The longest text that may be meant as a confirmation code, in characters.
const MAX_CODE: usize = 64;
/// The longest reset token, in characters: the gateway's own hold one of Autoshares' and are a third longer.
const MAX_TOKEN: usize = 2048;
/// The longest password, in characters.
pub const MAX_PASSWORD: usize = 256;
/// The most values in a body, members of members included. The longest documented body has three.
const MAX_VALUES: usize = 64;
/// The longest query, in bytes: the longest login, each of its characters in percent-encoding, and as much again.
const MAX_QUERY: usize = 2 * 9 * MAX_LOGIN;
/// The most parameters in a query. The documented one has one.
const MAX_PARAMETERS: usize = 32;
/// The longest `Content-Type`, in bytes.
const MAX_MEDIA_TYPE: usize = 256;
/// What the reader of members says of a body with more values than [`MAX_VALUES`].
const TOO_MANY: &str = "too many values";
/// What the reader of members says of a body with a member twice.
const TWICE: &str = "a member twice";

/// Whose password is reset.
#[derive(Debug, JsonSchema)]
#[schemars(rename_all = "PascalCase", example = example(r#"{"User": "robert.zak", "SecretQuestionAnswer": "Peterson"}"#))]
pub struct ResetRequest {
    /// Login of the trader.
    #[schemars(with = "String")]
    pub user: Login,
    /// Answer to the secret question; left out, null or empty when the trader has none or has not been asked yet.
    #[schemars(with = "String", default)]
    pub secret_question_answer: Option<SecretAnswer>,
}

/// The code to redeem.
#[derive(Debug, JsonSchema)]
#[schemars(rename_all = "PascalCase", example = example(r#"{"Code": "741175"}"#))]
pub struct CodeRedemption {
    /// The code from the e-mail: digits, as many as Autoshares sends; six unless the operator has set another number.
    #[schemars(with = "String", extend("format" = "password"))]
    pub code: ConfirmationCode,
}

/// The token with the new password, twice.
#[derive(Debug, JsonSchema)]
#[schemars(rename_all = "PascalCase", example = example(
    r#"{"Token": "someToken-bd26-825db0", "Password": "pkof394f34kf934f03u4fj0", "PasswordConfirmation": "pkof394f34kf934f03u4fj0"}"#
))]
pub struct PasswordUpdate {
    /// The `Model` that the code was traded for.
    #[schemars(with = "String", extend("format" = "password"))]
    pub token: ResetToken,
    /// The new password.
    #[schemars(with = "String", extend("format" = "password"))]
    pub password: Password,
    /// The new password again.
    #[schemars(with = "String", extend("format" = "password"))]
    pub password_confirmation: Password,
    /// The least strength that the page wants, where the settings want less.
    #[schemars(skip)]
    pub least_strength: u8,
}

fn example(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_default()
}

impl ResetRequest {
    /// Takes the login and the optional secret answer from the members of a body.
    ///
    /// # Errors
    ///
    /// A [`Problem`] that names the member that is missing or wrong, and never quotes its value.
    pub fn read(mut members: Members) -> Result<Self, Problem> {
        let user = members.text("User", "the trader's login")?;
        Self::checked(user, members.optional_text("SecretQuestionAnswer")?)
    }

    /// With a login and an answer of lengths that are forwarded.
    ///
    /// # Errors
    ///
    /// See [`read`](Self::read).
    pub fn checked(user: String, answer: Option<String>) -> Result<Self, Problem> {
        let user: Login = user.into();
        if !fits(&user) {
            return Err(bad_login("User", Unspellable::TooLong));
        }
        if answer.as_deref().is_some_and(|answer| is_longer(answer, MAX_ANSWER)) {
            let detail = format!("`SecretQuestionAnswer` is too long: send {MAX_ANSWER} characters at most");
            return Err(Problem::new(Kind::AnswerTooLong, detail));
        }
        Ok(Self { user, secret_question_answer: answer.map(SecretAnswer::new) })
    }
}

impl CodeRedemption {
    /// Takes the confirmation code from the members of a body, as people paste it. Anything but `digits` digits is refused here: it cannot
    /// be right, and forwarding it would use up a guess of the flow.
    ///
    /// # Errors
    ///
    /// See [`ResetRequest::read`].
    pub fn read(mut members: Members, digits: u32) -> Result<Self, Problem> {
        Self::checked(&members.text("Code", "the code from the e-mail")?, digits)
    }

    /// With the code that somebody typed or pasted.
    ///
    /// # Errors
    ///
    /// See [`ResetRequest::read`].
    pub fn checked(text: &str, digits: u32) -> Result<Self, Problem> {
        let code = if is_longer(text, MAX_CODE) { None } else { pasted_code::digits(text) };
        let code = code.filter(|code| code.len() == digits as usize).ok_or_else(|| {
            let detail = format!(
                "`Code` is not {digits} digits, or has more than {MAX_CODE} characters: send the code from the e-mail"
            );
            Problem::new(Kind::CodeMalformed, detail)
                .saying(format!("Please enter the {digits} digits of the code from the e-mail."))
        })?;
        Ok(Self { code: code.into() })
    }
}

impl PasswordUpdate {
    /// Takes the reset token and the new password from the members of a body. The two passwords are compared here, because the SDK sends the
    /// first one as its own confirmation, so Autoshares could not notice a difference.
    ///
    /// # Errors
    ///
    /// See [`ResetRequest::read`].
    pub fn read(mut members: Members) -> Result<Self, Problem> {
        let token = members.text("Token", "the `Model` that the code was traded for")?;
        let password = members.text("Password", "the new password")?;
        let confirmation = members.text("PasswordConfirmation", "the new password again")?;
        Self::checked(token, password, confirmation)
    }

    /// With a token and passwords of lengths that are forwarded.
    ///
    /// # Errors
    ///
    /// See [`ResetRequest::read`].
    pub fn checked(token: String, password: String, confirmation: String) -> Result<Self, Problem> {
        if token.trim().is_empty() {
            return Err(invalid("`Token` is empty: send the `Model` that the code was traded for"));
        }
        if is_longer(&token, MAX_TOKEN) {
            return Err(invalid(format!("`Token` is too long: send {MAX_TOKEN} characters at most")));
        }
        if is_longer(&password, MAX_PASSWORD) {
            let detail = format!("`Password` is too long: send {MAX_PASSWORD} characters at most");
            return Err(Problem::new(Kind::PasswordTooLong, detail)
                .saying(format!("Please choose a password of at most {MAX_PASSWORD} characters.")));
        }
        let update = Self {
            token: token.into(),
            password: password.into(),
            password_confirmation: confirmation.into(),
            least_strength: 0,
        };
        if update.password.expose() != update.password_confirmation.expose() {
            let detail = "`Password` and `PasswordConfirmation` are not identical";
            return Err(Problem::new(Kind::PasswordsDiffer, detail));
        }
        Ok(update)
    }
}

/// Reads the only `username` of a query, whatever the case of that name.
///
/// # Errors
///
/// A [`Problem`] that says what to send instead.
pub fn username(query: &str) -> Result<Login, Problem> {
    let invalid = |detail| Err(Problem::new(Kind::InvalidQuery, detail));
    if query.len() > MAX_QUERY {
        if holds_long_login(query) {
            return Err(bad_login("username", Unspellable::TooLong));
        }
        return invalid("the query is too long: send `username` alone");
    }
    if query.bytes().filter(|byte| *byte == b'&').count() >= MAX_PARAMETERS {
        return invalid("there are too many parameters: send `username` alone");
    }
    let pairs = form_urlencoded::parse(query.as_bytes());
    let mut names = pairs.filter(|(name, _)| name.eq_ignore_ascii_case("username"));
    match (names.next(), names.next()) {
        (None, _) => invalid("`username` is missing: send the trader's login, percent-encoded"),
        (Some(_), Some(_)) => invalid("`username` is given twice: send it once"),
        (Some((_, name)), None) if name.trim().is_empty() => Err(bad_login("username", Unspellable::Blank)),
        // Decoding has replaced bytes that are no UTF-8.
        (Some((_, name)), None) if name.contains(char::REPLACEMENT_CHARACTER) => {
            invalid("`username` is not UTF-8 in percent-encoding")
        }
        (Some((_, name)), None) => {
            let login = Login::new(name);
            if fits(&login) { Ok(login) } else { Err(bad_login("username", Unspellable::TooLong)) }
        }
    }
}

/// Whether it is the login that makes a query too long.
pub fn holds_long_login(query: &str) -> bool {
    query.split('&').take(MAX_PARAMETERS).any(|parameter| {
        let name = parameter.as_bytes().first_chunk::<9>();
        name.is_some_and(|name| name.eq_ignore_ascii_case(b"username=")) && parameter.len() > MAX_QUERY / 2
    })
}

/// The problem of a login that is not counted. `name` is the member or parameter that holds the login.
pub fn bad_login(name: &str, fault: Unspellable) -> Problem {
    let (detail, sentence) = match fault {
        Unspellable::TooLong => (
            format!(
                "`{name}` is too long: a login has {MAX_LOGIN} characters at most, and an emoji counts as two"
            ),
            "This login is too long. Please check it.",
        ),
        Unspellable::Blank => {
            (format!("`{name}` is empty: send the trader's login"), "Please enter your login.")
        }
        Unspellable::Character => (
            format!("`{name}` holds a character that no login has: type the login instead of copying it"),
            "This login holds a character that no login has. Please type it instead of pasting it.",
        ),
    };
    Problem::new(Kind::LoginMalformed, detail).saying(sentence)
}

/// The members of a JSON object, in which each name stands once. The names are in lower case, for .NET reads them in any.
#[derive(Default)]
pub struct Members(BTreeMap<String, Member>);

/// The value of a member, as far as anybody needs it.
enum Member {
    Text(String),
    Null,
    Other,
}

impl Members {
    /// Reads a body as one JSON object.
    ///
    /// # Errors
    ///
    /// A [`Problem`] when the body is not sent as JSON, is no object, or has a member twice.
    pub fn read(headers: &HeaderMap, body: &[u8]) -> Result<Self, Problem> {
        check_content(headers)?;
        // .NET writes a byte order mark easily, and no JSON parser takes one.
        let body = body.strip_prefix("\u{feff}".as_bytes()).unwrap_or(body);
        serde_json::from_slice(body).map_err(|error| invalid(told(&error, body)))
    }

    fn text(&mut self, name: &str, what: &str) -> Result<String, Problem> {
        match self.0.remove(&name.to_ascii_lowercase()) {
            Some(Member::Text(text)) => Ok(text),
            // Form libraries write it for a field that was left empty.
            Some(Member::Null) => Ok(String::new()),
            Some(Member::Other) => Err(invalid(format!("`{name}` is not a string: send {what} in quotes"))),
            None => Err(invalid(format!("`{name}` is missing: send {what}"))),
        }
    }

    /// Null and an empty text count as absent, for generated clients write them so.
    fn optional_text(&mut self, name: &str) -> Result<Option<String>, Problem> {
        match self.0.remove(&name.to_ascii_lowercase()) {
            None | Some(Member::Null) => Ok(None),
            Some(Member::Text(text)) => Ok(Some(text).filter(|text| !text.is_empty())),
            Some(Member::Other) => {
                Err(invalid(format!("`{name}` is not a string: send it in quotes, or leave it out")))
            }
        }
    }
}

/// Why a body cannot be read. The parser's own text may quote what the client sent, so only the beginning of it is looked at.
fn told(error: &serde_json::Error, body: &[u8]) -> String {
    let (line, column) = (error.line(), error.column());
    let place = format!("(line {line}, column {column})");
    let text = error.to_string();
    let is = |beginnings: &[&str]| beginnings.iter().any(|beginning| text.starts_with(beginning));
    if is(&[TOO_MANY, "recursion limit"]) {
        format!("the body holds more than any documented one: {MAX_VALUES} values at most")
    } else if is(&[TWICE]) {
        format!("a member stands twice, and the case of its name makes no difference: send each once {place}")
    } else if is(&["number out of range"]) {
        format!("a number is too large {place}")
    } else if is(&["lone leading surrogate", "unexpected end of hex escape"]) {
        format!("an escape in a string is half of a character: `\\ud83d` needs its other half {place}")
    } else if body.trim_ascii().is_empty() {
        "the body is empty: send one JSON object".to_owned()
    } else if error.is_data() {
        format!("send one JSON object, in braces {place}")
    } else if let Err(error) = std::str::from_utf8(body) {
        format!("the body is not UTF-8, after {} good bytes", error.valid_up_to())
    } else {
        format!("not valid JSON {place}")
    }
}

/// Whether a text has more characters than are allowed.
fn is_longer(text: &str, longest: usize) -> bool {
    text.len() > longest && text.chars().count() > longest
}

fn check_content(headers: &HeaderMap) -> Result<(), Problem> {
    let unsupported = |detail| Err(Problem::new(Kind::UnsupportedMediaType, detail));
    let mut types = headers.get_all(header::CONTENT_TYPE).iter();
    let media_type = match (types.next(), types.next()) {
        // A parameter may hold any bytes.
        (Some(value), None) if value.len() <= MAX_MEDIA_TYPE => String::from_utf8_lossy(value.as_bytes()),
        (Some(_), None) => return unsupported("send a shorter `Content-Type`, such as `application/json`"),
        _ => return unsupported("send exactly one header `Content-Type: application/json`"),
    };
    let mut parts = parts(&media_type);
    if !parts.next().is_some_and(is_json) {
        return unsupported("send `Content-Type: application/json`");
    }
    let is_other_charset = |parameter: &str| {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        let value = value.trim().trim_matches(['"', '\'']);
        // ASCII is UTF-8 too.
        let is_utf8 = ["utf-8", "utf8", "us-ascii"].iter().any(|known| value.eq_ignore_ascii_case(known));
        name.trim().eq_ignore_ascii_case("charset") && !is_utf8
    };
    if parts.any(is_other_charset) {
        return unsupported("send the body in UTF-8");
    }
    let is_coded = |coding: &HeaderValue| !coding.as_bytes().eq_ignore_ascii_case(b"identity");
    if headers.get_all(header::CONTENT_ENCODING).iter().any(is_coded) {
        return unsupported("send the body without `Content-Encoding`");
    }
    Ok(())
}

/// The media type and its parameters, each without the white space around it. By hand, for the crate `mime` refuses the space that clients
/// write before a semicolon.
fn parts(media_type: &str) -> impl Iterator<Item = &str> {
    let (mut in_string, mut escaped) = (false, false);
    media_type
        .split(move |character| {
            let was_escaped = std::mem::take(&mut escaped);
            match character {
                '"' if !was_escaped => in_string = !in_string,
                '\\' if in_string => escaped = !was_escaped,
                _ => {}
            }
            character == ';' && !in_string
        })
        .map(str::trim)
}

/// Whether .NET reads a media type as JSON.
fn is_json(media_type: &str) -> bool {
    let Some((kind, subtype)) = media_type.split_once('/') else { return false };
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$&^_.+-".contains(&byte);
    let ends_in_json = || subtype.len() > 5 && subtype[subtype.len() - 5..].eq_ignore_ascii_case("+json");
    let is_application = kind.eq_ignore_ascii_case("application");
    subtype.bytes().all(is_token)
        && (is_application && ends_in_json()
            || (is_application || kind.eq_ignore_ascii_case("text")) && subtype.eq_ignore_ascii_case("json"))
}

fn invalid(detail: impl Into<Cow<'static, str>>) -> Problem {
    Problem::new(Kind::InvalidBody, detail)
}

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Members;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let (mut members, mut left) = (Members::default(), MAX_VALUES);
                while let Some(mut name) = map.next_key::<String>()? {
                    name.make_ascii_lowercase();
                    let value = map.next_value_seed(OneValue { left: &mut left })?;
                    if members.0.insert(name, value).is_some() {
                        return Err(de::Error::custom(TWICE));
                    }
                }
                Ok(members)
            }
        }
        deserializer.deserialize_map(Object)
    }
}

/// Reads one value, and those in it, as long as there are some left. Keeps its text, if it is one.
struct OneValue<'a> {
    left: &'a mut usize,
}

impl<'de> DeserializeSeed<'de> for OneValue<'_> {
    type Value = Member;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Member, D::Error> {
        *self.left = self.left.checked_sub(1).ok_or_else(|| de::Error::custom(TOO_MANY))?;
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for OneValue<'_> {
    type Value = Member;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_str<E>(self, text: &str) -> Result<Member, E> {
        Ok(Member::Text(text.to_owned()))
    }

    fn visit_unit<E>(self) -> Result<Member, E> {
        Ok(Member::Null)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Member, E> {
        Ok(Member::Other)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Member, E> {
        Ok(Member::Other)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Member, E> {
        Ok(Member::Other)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Member, E> {
        Ok(Member::Other)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Member, A::Error> {
        while items.next_element_seed(OneValue { left: self.left })?.is_some() {}
        Ok(Member::Other)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Member, A::Error> {
        while members.next_key::<Cow<'_, str>>()?.is_some() {
            members.next_value_seed(OneValue { left: self.left })?;
        }
        Ok(Member::Other)
    }
}
