//! Reads a confirmation code as people paste it: `741 175`, `741-175`, digits of full width or of another script, invisible characters.

use icu_properties::{
    CodePointMapData, CodePointSetData,
    props::{DefaultIgnorableCodePoint, GeneralCategory, GeneralCategoryGroup},
};

/// The digits of a code. Space, punctuation and what cannot be seen are left out. `None` when anything else stands among the digits, such as
/// a letter, for then the text is no code.
pub fn digits(text: &str) -> Option<String> {
    const LEFT_OUT: GeneralCategoryGroup = GeneralCategoryGroup::Separator
        .union(GeneralCategoryGroup::Punctuation)
        .union(GeneralCategoryGroup::Control)
        .union(GeneralCategoryGroup::Format);
    let ignorable = CodePointSetData::new::<DefaultIgnorableCodePoint>();
    let is_left_out = |character: char| {
        LEFT_OUT.contains(category(character)) || ignorable.contains(character) || character == MINUS
    };
    let kept = text.chars().filter(|character| !is_left_out(*character));
    kept.map(digit).collect()
}

/// Looks like a dash, and is a symbol to Unicode.
const MINUS: char = '\u{2212}';

fn category(character: char) -> GeneralCategory {
    CodePointMapData::<GeneralCategory>::new().get(character)
}

/// The ASCII digit that a decimal digit of any script stands for. Unicode promises that such digits lie together in runs of ten, from zero
/// to nine, so the place of a digit in its run is its value.
fn digit(character: char) -> Option<char> {
    let is_digit = |character| category(character) == GeneralCategory::DecimalNumber;
    if character.is_ascii_digit() {
        return Some(character);
    }
    if !is_digit(character) {
        return None;
    }
    let code = u32::from(character);
    let before = (0..code).rev().take_while(|before| char::from_u32(*before).is_some_and(is_digit)).count();
    char::from_digit(u32::try_from(before % 10).ok()?, 10)
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
            "741.175",
            "\"741175\".",
            "\u{ab}741175\u{bb}",
            "７４１１７５",
            "\u{feff}741\u{200b}\u{200e}175\u{202c}",
            "7\u{fe0f}41\u{ad}175",
            "٧٤١١٧٥",
            "۷۴۱۱۷۵",
            "७४११७५",
            "\u{1d7d5}\u{1d7d2}\u{1d7cf}\u{1d7d9}\u{1d7df}\u{1d7fb}",
        ] {
            assert_eq!(digits(text).as_deref(), Some("741175"), "{text:?}");
        }
        for text in ["74117S", "code 741175", "七四一一七五", "①②③", "741+175", "1e5", "²", "741175\u{20e3}"]
        {
            assert_eq!(digits(text), None, "{text:?}");
        }
        assert_eq!(digits(" - ").as_deref(), Some(""));
    }

    /// The promise of Unicode that `digit` relies on, for every digit there is: ten in a row, the first of which is a zero.
    #[test]
    fn decimal_digits_lie_in_runs_of_ten() {
        let all: Vec<u32> = (0..=u32::from(char::MAX))
            .filter(|code| {
                char::from_u32(*code).is_some_and(|c| category(c) == GeneralCategory::DecimalNumber)
            })
            .collect();
        let mut runs = 0;
        for run in all.chunk_by(|before, after| before + 1 == *after) {
            assert_eq!(run.len() % 10, 0, "{:x}", run[0]);
            runs += 1;
        }
        assert!(runs > 50, "{runs}");
    }
}
