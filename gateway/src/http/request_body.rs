//! Reads the bodies and queries that clients send, strictly: `Content-Type` must say JSON, no member may stand twice, and strings must
//! stand where strings belong. Written by hand, for the errors of a derived reader quote the values that a client sent, and because a body
//! that is refused must not cost much more than a short one, whatever it holds: nothing but strings is kept, and the number of values is
//! limited.

use std::{borrow::Cow, collections::BTreeMap, fmt};

use autoshares_sdk::{ConfirmationCode, Login, Password, ResetToken, SecretAnswer};
use axum::http::{HeaderMap, header};
use schemars::JsonSchema;
use serde::{
    Deserialize, Deserializer,
    de::{self, DeserializeSeed, MapAccess, SeqAccess, Visitor},
};
use serde_json::Value;
use url::form_urlencoded;

use crate::{
    flow::{MAX_LOGIN, Unspellable, fits},
    http::problem::{Kind, Problem},
};

/// The longest answer to a secret question, in characters.
const MAX_ANSWER: usize = 256;
/// The longest text that may be meant as a confirmation code, in characters.
const MAX_CODE: usize = 64;
/// The longest reset token, in characters: the gateway's own hold one of Autoshares' and are a third longer.
const MAX_TOKEN: usize = 2048;
/// The longest password, in characters.
const MAX_PASSWORD: usize = 256;
/// The most values in a body, members of members included. The longest documented body has three.
const MAX_VALUES: usize = 64;
/// The longest query, in bytes: the longest login, each of its characters in percent-encoding, and as much again.
const MAX_QUERY: usize = 2 * 9 * MAX_LOGIN;
/// The most parameters in a query. The documented one has one.
const MAX_PARAMETERS: usize = 32;

/// Whose password is reset.
#[derive(Debug, JsonSchema)]
#[schemars(rename_all = "PascalCase", example = example(r#"{"User": "robert.zak", "SecretQuestionAnswer": "Peterson"}"#))]
pub struct ResetRequest {
    /// Login of the trader.
    #[schemars(with = "String")]
    pub user: Login,
    /// Answer to the secret question; left out, not null or empty, when the trader has none or has not been asked yet.
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
        let user: Login = members.text("User", "the trader's login", usize::MAX)?.into();
        if !fits(&user) {
            return Err(bad_login(Kind::InvalidBody, "User", Unspellable::TooLong));
        }
        let answer =
            members.optional_text("SecretQuestionAnswer", "the trader has no secret question", MAX_ANSWER)?;
        Ok(Self { user, secret_question_answer: answer.map(SecretAnswer::new) })
    }
}

impl CodeRedemption {
    /// Takes the confirmation code from the members of a body. Anything but `digits` digits is refused here: it cannot be right, and
    /// forwarding it would use up a guess of the flow.
    ///
    /// # Errors
    ///
    /// See [`ResetRequest::read`].
    pub fn read(mut members: Members, digits: u32) -> Result<Self, Problem> {
        let code = members.text("Code", "the code from the e-mail", MAX_CODE)?;
        if code.len() != digits as usize || !code.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(invalid(format!("`Code` is not {digits} digits: send the code from the e-mail")));
        }
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
        let update = Self {
            token: members.text("Token", "the `Model` that the code was traded for", MAX_TOKEN)?.into(),
            password: members.text("Password", "the new password", MAX_PASSWORD)?.into(),
            password_confirmation: members
                .text("PasswordConfirmation", "the new password again", MAX_PASSWORD)?
                .into(),
        };
        if update.password.expose() != update.password_confirmation.expose() {
            return Err(invalid("`Password` and `PasswordConfirmation` are not identical"));
        }
        Ok(update)
    }
}

/// Reads the only `username` of a query.
///
/// # Errors
///
/// A [`Problem`] that says what to send instead.
pub fn username(query: &str) -> Result<Login, Problem> {
    let invalid = |detail| Err(Problem::new(Kind::InvalidQuery, detail));
    if query.len() > MAX_QUERY {
        return invalid("the query is too long: send `username` alone");
    }
    if query.bytes().filter(|byte| *byte == b'&').count() >= MAX_PARAMETERS {
        return invalid("there are too many parameters: send `username` alone");
    }
    let mut names = form_urlencoded::parse(query.as_bytes()).filter(|(name, _)| name == "username");
    match (names.next(), names.next()) {
        (None, _) => invalid("`username` is missing: send the trader's login, percent-encoded"),
        (Some(_), Some(_)) => invalid("`username` is given twice: send it once"),
        (Some((_, name)), None) if name.trim().is_empty() => {
            invalid("`username` is empty: send the trader's login, percent-encoded")
        }
        // Decoding has replaced bytes that are no UTF-8.
        (Some((_, name)), None) if name.contains(char::REPLACEMENT_CHARACTER) => {
            invalid("`username` is not UTF-8 in percent-encoding")
        }
        (Some((_, name)), None) => {
            let login = Login::new(name);
            if fits(&login) {
                Ok(login)
            } else {
                Err(bad_login(Kind::InvalidQuery, "username", Unspellable::TooLong))
            }
        }
    }
}

/// The problem of a login that is not counted. `name` is the member or parameter that holds the login.
pub fn bad_login(kind: Kind, name: &str, fault: Unspellable) -> Problem {
    let detail = match fault {
        Unspellable::TooLong => format!("`{name}` is too long: a login has {MAX_LOGIN} characters at most"),
        Unspellable::Blank => format!("`{name}` is empty: send the trader's login"),
        Unspellable::Character => {
            format!("`{name}` holds a character that no login has: type the login instead of copying it")
        }
    };
    Problem::new(kind, detail)
}

/// The members of a JSON object, in which each name stands once.
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
        serde_json::from_slice(body).map_err(|error| {
            let (line, column) = (error.line(), error.column());
            match error.classify() {
                // The other texts of the parser quote what the client sent.
                serde_json::error::Category::Data => {
                    invalid(format!("send one JSON object, each member once (line {line}, column {column})"))
                }
                _ => invalid(format!("not valid JSON (line {line}, column {column})")),
            }
        })
    }

    fn text(&mut self, name: &str, what: &str, longest: usize) -> Result<String, Problem> {
        match self.0.remove(name) {
            Some(Member::Text(text)) if text.trim().is_empty() => {
                Err(invalid(format!("`{name}` is empty: send {what}")))
            }
            Some(Member::Text(text)) => not_longer(name, text, longest),
            Some(_) => Err(invalid(format!("`{name}` is not a string: send {what} in quotes"))),
            None => Err(invalid(format!("`{name}` is missing: send {what}"))),
        }
    }

    fn optional_text(&mut self, name: &str, unless: &str, longest: usize) -> Result<Option<String>, Problem> {
        match self.0.remove(name) {
            None => Ok(None),
            Some(Member::Text(text)) if !text.is_empty() => not_longer(name, text, longest).map(Some),
            Some(Member::Text(_) | Member::Null) => {
                Err(invalid(format!("`{name}` is empty: leave the member out when {unless}")))
            }
            Some(_) => Err(invalid(format!("`{name}` is not a string: send it in quotes, or leave it out"))),
        }
    }
}

fn not_longer(name: &str, text: String, longest: usize) -> Result<String, Problem> {
    if text.len() > longest && text.chars().count() > longest {
        return Err(invalid(format!("`{name}` is too long: send {longest} characters at most")));
    }
    Ok(text)
}

fn check_content(headers: &HeaderMap) -> Result<(), Problem> {
    let unsupported = |detail| Err(Problem::new(Kind::UnsupportedMediaType, detail));
    let mut types = headers.get_all(header::CONTENT_TYPE).iter();
    let media_type = match (types.next(), types.next()) {
        (Some(value), None) => value.to_str().unwrap_or_default().to_ascii_lowercase(),
        _ => return unsupported("send exactly one header `Content-Type: application/json`"),
    };
    let mut parts = media_type.split(';').map(str::trim);
    if parts.next() != Some("application/json") {
        return unsupported("send `Content-Type: application/json`");
    }
    if parts.any(|parameter| !matches!(parameter, "charset=utf-8" | "charset=\"utf-8\"" | "")) {
        return unsupported("send the body in UTF-8");
    }
    if headers.contains_key(header::CONTENT_ENCODING) {
        return unsupported("send the body without `Content-Encoding`");
    }
    Ok(())
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
                while let Some(name) = map.next_key()? {
                    let value = map.next_value_seed(OneValue { left: &mut left })?;
                    if members.0.insert(name, value).is_some() {
                        return Err(de::Error::custom("a member twice"));
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
        *self.left = self.left.checked_sub(1).ok_or_else(|| de::Error::custom("too many values"))?;
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
