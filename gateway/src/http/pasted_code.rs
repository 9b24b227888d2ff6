//! Reads a confirmation code as people paste it: `741 175`, `741-175`, digits of full width, invisible characters.

use icu_properties::{
    CodePointMapData, CodePointSetData,
    props::{DefaultIgnorableCodePoint, GeneralCategory, GeneralCategoryGroup, WhiteSpace},
};

/// The digits of a code. White space, hyphens and what cannot be seen are left out, and digits of full width are made ASCII. `None` when anything
/// else stands among them: that is no code, and a guess should not be spent on it.
pub fn digits(text: &str) -> Option<String> {
    const LEFT_OUT: GeneralCategoryGroup =
        GeneralCategoryGroup::DashPunctuation.union(GeneralCategoryGroup::Format);
    let categories = CodePointMapData::<GeneralCategory>::new();
    let spaces = CodePointSetData::new::<WhiteSpace>();
    let ignorable = CodePointSetData::new::<DefaultIgnorableCodePoint>();
    let is_left_out = |character: char| {
        spaces.contains(character)
            || LEFT_OUT.contains(categories.get(character))
            || ignorable.contains(character)
            || LEFT_OUT_TOO.contains(&character)
    };
    text.chars().filter(|character| !is_left_out(*character)).map(digit).collect()
}

/// Minus signs and the hyphen bullet, which look like hyphens, and the empty braille pattern, which cannot be seen. Unicode counts them among
/// symbols, letters and other punctuation.
const LEFT_OUT_TOO: [char; 4] = ['\u{2212}', '\u{2d7}', '\u{2043}', '\u{2800}'];

fn digit(character: char) -> Option<char> {
    match character {
        '0'..='9' => Some(character),
        '０'..='９' => char::from_u32(u32::from(character) - u32::from('０') + u32::from('0')),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pasted_code_is_its_digits() {
        for text in [
            "741175",
            " 741175\u{a0}\r\n",
            "741 175",
            "741-175",
            "7 4 1 1 7 5",
            "741\u{2009}175",
            "741\u{2011}175",
            "741\u{2013}175",
            "741\u{2212}175",
            "741\u{2043}175",
            "741\u{2d7}175",
            "741175\u{2800}",
            "741\u{ff0d}175",
            "741\u{3000}175",
            "７４１１７５",
            "\u{feff}741\u{200b}\u{200e}175\u{202c}",
            "7\u{fe0f}41\u{ad}175",
        ] {
            assert_eq!(digits(text).as_deref(), Some("741175"), "{text:?}");
        }
        for text in [
            "74117S",
            "code 741175",
            "741.175",
            "741\u{b7}175",
            "741_175",
            "741,175",
            "7!4!1!1!7!5",
            "\"741175\"",
            "٧٤١١٧٥",
            "七四一一七五",
            "①②③",
            "741+175",
            "²",
            "741175\u{0}",
            "741175\u{20e3}",
        ] {
            assert_eq!(digits(text), None, "{text:?}");
        }
        assert_eq!(digits(" - ").as_deref(), Some(""));
    }
}
