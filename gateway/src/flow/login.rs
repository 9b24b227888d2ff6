//! The spelling of logins: what Autoshares may take for one login is one here.

use autoshares_sdk::Login;
use caseless::Caseless;
use unicode_normalization::UnicodeNormalization;

/// A login as it is counted: trimmed, in compatibility form, without case, and without characters that nobody sees.
#[expect(missing_debug_implementations, reason = "holds a login")]
pub struct Spelling(String);

impl Spelling {
    /// The spelling that all spellings of a login share.
    pub fn of(login: &Login) -> Self {
        let seen = login.expose().chars().filter(|character| !is_ignorable(*character));
        if login.expose().is_ascii() {
            // The same for the characters that most logins are made of, at a tenth of the price.
            return Self(seen.collect::<String>().trim().to_ascii_lowercase());
        }
        Self(seen.nfkc().default_case_fold().nfkc().collect::<String>().trim().to_owned())
    }

    /// The text to hash.
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(one: &str, other: &str, same: bool) {
        let [one, other] = [one, other].map(|login| Spelling::of(&login.into()));
        assert_eq!(one.0 == other.0, same, "{} and {}", one.0, other.0);
    }

    #[test]
    fn spellings_of_a_login_are_one() {
        for same in [
            " Robert.Zak ",
            "ROBERT.ZAK",
            "ｒｏｂｅｒｔ．ｚａｋ",
            "\u{a0}robert.zak\t",
            "robert.za\u{212a}",
            "rob\u{200b}ert.zak",
            "robert\0.zak",
        ] {
            check(same, "robert.zak", true);
        }
        check("straße", "STRASSE", true);
        check("robert.zac", "robert.zak", false);
        check("", "robert.zak", false);
    }
}
