//! Looks for pieces of a secret in texts that are about to be shown.

use std::collections::HashSet;

use crate::secret::{base64_core, unescaped};

/// How many letters and digits make a piece. Fewer stand in ordinary sentences.
const PIECE: usize = 8;

/// Whether a piece of eight letters and digits of a secret stands in texts that are read one after the other: whatever the case of its
/// letters, whatever stands between them, plain, escaped, in hexadecimal or in base64. A secret with fewer letters and digits is searched
/// for as a whole.
#[doc(hidden)]
pub fn quotes<'a>(secret: &str, texts: impl IntoIterator<Item = &'a str>) -> bool {
    let texts: Vec<&str> = texts.into_iter().collect();
    if texts.iter().any(|text| text.contains(secret)) {
        return true;
    }
    let (mut plain, mut decoded) = (String::new(), String::new());
    for text in texts {
        plain.push_str(&letters(text));
        // Twice, for an escape may itself be escaped.
        decoded.push_str(&letters(&unescaped(&unescaped(text))));
    }
    let hexadecimal: String = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
    let encoded = [0, 1, 2].map(|offset| base64_core(secret, offset));
    let mut pieces = HashSet::new();
    for spelling in [secret.to_owned(), hexadecimal].into_iter().chain(encoded) {
        let spelled: Vec<char> = letters(&spelling).chars().collect();
        if spelling == secret && (PIECE / 2..PIECE).contains(&spelled.len()) {
            pieces.insert(spelled.iter().collect::<String>());
        }
        pieces.extend(spelled.windows(PIECE).map(|piece| piece.iter().collect::<String>()));
    }
    pieces.iter().any(|piece| plain.contains(piece.as_str()) || decoded.contains(piece.as_str()))
}

/// The letters and digits of a text, in lower case.
fn letters(text: &str) -> String {
    text.chars().filter(|character| character.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "ba6b8cac-6738-4434-bd26-825db020a05c";

    #[test]
    fn a_piece_is_found_in_any_spelling() {
        let percent: String = SECRET.bytes().map(|byte| format!("%{byte:02x}")).collect();
        let twice = percent.replace('%', "%25");
        let hexadecimal: String = SECRET.bytes().map(|byte| format!("{byte:02X}")).collect();
        let entities: String = SECRET.bytes().map(|byte| format!("&#{byte};")).collect();
        for text in [
            SECRET,
            &SECRET.to_uppercase(),
            &SECRET.replace('-', ""),
            &SECRET.replace('-', "%2D"),
            "token 6738 4434 is bad",
            "token `BD26-825D` is bad",
            "b.a.6.b.8.c.a.c",
            &percent,
            &twice,
            &hexadecimal,
            &entities,
            // base64, at two places of a group
            "YmE2YjhjYWMtNjczOC00NDM0LWJkMjYtODI1ZGIwMjBhMDVj",
            "eyJ0IjoiYmE2YjhjYWMtNjczOC00NDM0LWJkMjYtODI1ZGIwMjBhMDVjIn0=",
        ] {
            assert!(quotes(SECRET, [text]), "{text}");
        }
        assert!(quotes(SECRET, ["it begins ba6b8", "cac-6738 and goes on"]), "split over two");
    }

    #[test]
    fn ordinary_sentences_hold_none() {
        for text in ["", "Password is too weak.", "Use 8 characters or more; 6738 is no password.", "ba6b8ca"]
        {
            assert!(!quotes(SECRET, [text]), "{text}");
        }
        assert!(
            quotes("a-b-c-d", ["it is ABCD"]) && !quotes("a-b-c-d", ["it is abc"]),
            "a short one as a whole"
        );
        assert!(quotes("!?-#", ["so !?-#"]) && !quotes("!?-#", ["so what?"]));
    }
}
