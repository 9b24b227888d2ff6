//! Types for logins, passwords, codes, tokens and keys that cannot be printed by accident: their `Debug` prints the name of the type
//! only, and they have no `Display` and no `Serialize`.

use std::{fmt, sync::Arc};

use reqwest::header::HeaderValue;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::quote;

/// Implemented by all types of this module except the application key, so that [`Wire`] can serialize them.
pub(crate) trait Redacted {
    fn from_text(text: String) -> Self;
    fn text(&self) -> &str;
}

/// Wraps a secret in a request or reply body. It implements `Serialize`, which the secret types deliberately do not, and therefore
/// stays private to the crate.
#[derive(Clone)]
pub(crate) struct Wire<T>(pub(crate) T);

impl<T: fmt::Debug> fmt::Debug for Wire<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<T: Redacted> Serialize for Wire<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.text())
    }
}

impl<'de, T: Redacted> Deserialize<'de> for Wire<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Wire(T::from_text(text)))
    }
}

macro_rules! redacted {
    ($($(#[$doc:meta])* $name:ident)*) => {$(
        $(#[$doc])*
        ///
        /// `Debug` prints the name of the type only. The text is wiped from memory when the value is dropped.
        #[derive(Clone)]
        pub struct $name(SecretString);

        impl $name {
            /// Wraps the text exactly as it is, without trimming or checking it.
            pub fn new(text: impl Into<String>) -> Self {
                Self(SecretString::from(text.into()))
            }

            /// Returns the text itself. Your code is then responsible for keeping it out of logs, traces and error messages.
            pub fn expose(&self) -> &str {
                self.0.expose_secret()
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self::new(text)
            }
        }

        impl From<String> for $name {
            fn from(text: String) -> Self {
                Self::new(text)
            }
        }

        impl Redacted for $name {
            fn from_text(text: String) -> Self {
                Self::new(text)
            }

            fn text(&self) -> &str {
                self.expose()
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "(redacted)"))
            }
        }
    )*};
}

redacted! {
    /// The login or e-mail address of a trader, as the trader typed it.
    Login
    /// A trader's answer to the secret question.
    SecretAnswer
    /// The secret question that a trader chose at sign-up.
    SecretQuestion
    /// The confirmation code that Autoshares e-mails to the trader; six digits in every documented sample.
    ConfirmationCode
    /// The reset token that Autoshares returns for a confirmation code. It permits setting one new password.
    ResetToken
    /// The new password that a trader chose.
    Password
}

/// The application key: the secret with which a service identifies itself to Autoshares, sent in the header `Et-App-Key`.
///
/// `Debug` prints the name of the type only, and nothing returns the key. The SDK reads it to check it, to build the header, and to
/// search replies for it, because a reply that contains it must not be passed on. It is wiped from memory when dropped.
#[derive(Clone)]
pub struct AppKey(Arc<Spellings>);

/// The application key and the encodings of it that a reply could contain. They are computed once, because every string of every reply
/// is searched for them.
struct Spellings {
    key: SecretString,
    lower: SecretString,
    hexadecimal: SecretString,
    /// In base64, three bytes become four characters. A key inside a longer encoded text therefore looks different depending on
    /// whether it starts at the first, second or third byte of such a group. Characters shared with neighbouring bytes are left out.
    base64: [SecretString; 3],
}

impl AppKey {
    /// Checks and wraps an application key. White space around it is removed, because files usually end in a newline.
    ///
    /// # Errors
    ///
    /// [`InvalidAppKey`] when the key is empty, is shorter than 8 characters, is the placeholder `changeme`, or contains anything but
    /// printable ASCII without spaces.
    pub fn new(text: impl Into<String>) -> Result<Self, InvalidAppKey> {
        let text = SecretString::from(text.into());
        let key = text.expose_secret().trim();
        if key.is_empty() {
            return Err(InvalidAppKey("is empty"));
        }
        if key.eq_ignore_ascii_case("changeme") {
            return Err(InvalidAppKey("is the placeholder `changeme`"));
        }
        if key.len() < 8 {
            return Err(InvalidAppKey("is shorter than 8 characters"));
        }
        if !key.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(InvalidAppKey("holds a blank, a line break or another character than visible ASCII"));
        }
        let hexadecimal: String = key.bytes().map(|byte| format!("{byte:02x}")).collect();
        Ok(Self(Arc::new(Spellings {
            key: key.into(),
            lower: key.to_ascii_lowercase().into(),
            hexadecimal: hexadecimal.into(),
            base64: [0, 1, 2].map(|offset| base64_core(key, offset).into()),
        })))
    }

    /// The value of the `Et-App-Key` header, marked sensitive so that reqwest and hyper do not print it.
    pub(crate) fn header(&self) -> HeaderValue {
        let mut value = HeaderValue::from_str(self.0.key.expose_secret())
            .expect("`new` lets only printable ASCII through");
        value.set_sensitive(true);
        value
    }

    pub(crate) fn is_same_as(&self, other: &AppKey) -> bool {
        self.0.key.expose_secret() == other.0.key.expose_secret()
    }

    /// Whether a piece of the application key stands in texts from Autoshares that are read one after the other.
    pub(crate) fn is_quoted_in<'a>(&self, texts: impl Iterator<Item = &'a str>) -> bool {
        quote::quotes(self.0.key.expose_secret(), texts)
    }

    /// Whether a text from Autoshares contains the application key, in any case of letters: plain, percent-encoded, escaped for HTML or
    /// JSON, in hexadecimal or, with its exact letters, in base64.
    pub(crate) fn appears_in(&self, text: &str) -> bool {
        let Spellings { lower, hexadecimal, base64, .. } = &*self.0;
        // The plain key is the shortest of all spellings.
        if text.len() < lower.expose_secret().len() {
            return false;
        }
        let plain = unescaped(text).to_ascii_lowercase();
        let encoded = text.replace('-', "+").replace('_', "/");
        plain.contains(lower.expose_secret())
            || plain.contains(hexadecimal.expose_secret())
            || base64.iter().any(|core| encoded.contains(core.expose_secret()))
    }
}

/// Decodes `%2F`, `\u002f`, `&#x2f;`, `&#47;` and similar escapes, and leaves all other characters as they are.
pub(crate) fn unescaped(text: &str) -> String {
    let ways: [(&str, &str, u32, usize); 4] =
        [("%", "", 16, 2), ("\\u", "", 16, 4), ("&#x", ";", 16, 6), ("&#", ";", 10, 7)];
    let mut plain = String::with_capacity(text.len());
    let escapes = |character| matches!(character, '%' | '\\' | '&');
    // What stands before the first escape stays as it is; most texts have none.
    let (start, mut rest) = text.split_at(text.find(escapes).unwrap_or(text.len()));
    plain.push_str(start);
    while let Some(next) = rest.chars().next() {
        let lower = rest.get(..3).unwrap_or(rest).to_ascii_lowercase();
        let undone = ways.iter().find_map(|(start, end, radix, longest)| {
            let digits = lower.starts_with(start).then(|| &rest[start.len()..])?;
            let length =
                if end.is_empty() { *longest } else { digits.find(end).filter(|at| at <= longest)? };
            let code = u32::from_str_radix(digits.get(..length)?, *radix).ok()?;
            Some((char::from_u32(code)?, start.len() + length + end.len()))
        });
        let (next, length) = undone
            .or_else(|| rest.starts_with("&amp;").then_some(('&', 5)))
            .or_else(|| rest.starts_with("\\/").then_some(('/', 2)))
            .unwrap_or((next, next.len_utf8()));
        plain.push(next);
        rest = &rest[length..];
    }
    plain
}

impl fmt::Debug for AppKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AppKey(redacted)")
    }
}

/// Why a text was not accepted as an application key. It contains no part of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidAppKey(&'static str);

impl InvalidAppKey {
    /// What is wrong with the key, as a fragment such as `is empty`.
    pub fn reason(&self) -> &'static str {
        self.0
    }
}

impl fmt::Display for InvalidAppKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the application key {}", self.0)
    }
}

impl std::error::Error for InvalidAppKey {}

/// The base64 characters that depend on `key` alone when it starts at byte `offset` of a group of three, whatever stands around it.
pub(crate) fn base64_core(key: &str, offset: usize) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let bits = |index: usize| key.as_bytes().get(index / 8).map(|byte| byte >> (7 - index % 8) & 1);
    // The offset in bits, from the start of the key, of the first base64 character that begins inside the key.
    let first = (6 - offset * 8 % 6) % 6;
    (first..)
        .step_by(6)
        .map_while(|start| {
            (start..start + 6)
                .try_fold(0_usize, |sextet, index| Some(sextet << 1 | usize::from(bits(index)?)))
        })
        .map(|sextet| char::from(ALPHABET[sextet]))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_found_in_every_spelling() {
        let key = AppKey::new("canary-key/+1").unwrap();
        for text in [
            "x canary-key/+1 y",
            "CANARY-KEY/+1",
            "63616e6172792d6b65792f2b31",
            "%63%61%6E%61%72%79%2D%6B%65%79%2F%2B%31",
            "canary-key%2F%2B1",
            "canary-key%2f+1",
            "canary-key&#x2F;&#43;1",
            "canary&#45;key/\\u002b1",
            "canary-key\\/+1",
            "Y2FuYXJ5LWtleS8rMQ==",
            // Base64 of `Basic:canary-key/+1`, and of two texts with one and two more letters in front.
            "QmFzaWM6Y2FuYXJ5LWtleS8rMQ==",
            "eEJhc2ljOmNhbmFyeS1rZXkvKzE=",
            "eHhCYXNpYzpjYW5hcnkta2V5LysxMQ==",
        ] {
            assert!(key.appears_in(text), "{text}");
        }
        for text in ["Application key is not defined or does not exist", "100 % &#; &#x; \\u12 %zz é%", ""] {
            assert!(!key.appears_in(text), "{text}");
        }
    }

    #[test]
    fn a_key_is_trimmed_and_a_poor_one_refused() {
        assert_eq!(AppKey::new(" sandbox-key\r\n").unwrap().header(), "sandbox-key");
        for poor in ["", "\n", "short", "ChangeMe", "has space in it", "schlüssel-schlüssel"] {
            assert!(AppKey::new(poor).is_err(), "{poor}");
        }
    }

    #[test]
    fn nothing_secret_prints() {
        assert_eq!(format!("{:?}", Login::new("robert.zak")), "Login(redacted)");
        assert_eq!(format!("{:?}", Wire(Password::new("hunter2"))), "Password(redacted)");
        assert_eq!(format!("{:?}", AppKey::new("sandbox-key")), "Ok(AppKey(redacted))");
    }
}
