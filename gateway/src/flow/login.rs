//! The spelling of logins: what Autoshares may take for one login is one here, and what no login holds is refused.
//!
//! Autoshares runs on .NET, whose databases compare names in their own ways: without case, often without accents, and with characters that
//! weigh nothing. A stranger who finds a spelling that is one account there and a new login here gets new budgets for it. So a login is
//! counted without anything that some database may leave out; that merges budgets and hurts nobody. What cannot be counted in a safe way,
//! and stands in no login that somebody types, is refused. A login is forwarded exactly as the client typed it.

use autoshares_sdk::Login;
use caseless::Caseless;
use icu_properties::{
    CodePointMapData, CodePointSetData,
    props::{BidiControl, DefaultIgnorableCodePoint, GeneralCategory, GeneralCategoryGroup, Script},
};
use unicode_normalization::{UnicodeNormalization, char::decompose_compatible};

/// The longest login, in UTF-16 units, in which .NET counts. Databases give names a column of so many at most.
pub const MAX_LOGIN: usize = 256;

/// A login as it is counted.
#[expect(missing_debug_implementations, reason = "holds a login")]
pub struct Spelling(String);

/// A login that is not counted, and so not forwarded either.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unspellable {
    /// It has more than [`MAX_LOGIN`] UTF-16 units.
    TooLong,
    /// It has nothing but white space.
    Blank,
    /// It holds a character that is invisible, private, unassigned, or stands for another one.
    Character,
}

impl Spelling {
    /// The spelling that all spellings of a login share.
    ///
    /// # Errors
    ///
    /// [`Unspellable`]. Finding that takes a fraction of the time of normalising, whatever the login holds.
    pub fn of(login: &Login) -> Result<Self, Unspellable> {
        if !fits(login) {
            return Err(Unspellable::TooLong);
        }
        let text = login.expose().trim_matches(is_margin);
        if text.is_empty() {
            return Err(Unspellable::Blank);
        }
        if text.is_ascii() {
            // The same for the characters that most logins are made of, at a tenth of the price.
            let is_printed = text.bytes().all(|byte| (b' '..=b'~').contains(&byte));
            return if is_printed {
                Ok(Self(text.to_ascii_lowercase()))
            } else {
                Err(Unspellable::Character)
            };
        }
        check(text)?;
        let folded = text.nfkd().default_case_fold().nfkd();
        let counted: String = folded.filter_map(counted).collect();
        let counted = plain(&counted);
        let counted = counted.trim_matches(' ');
        if counted.is_empty() {
            // Of symbols alone: no other login has this text, for none of its characters is counted elsewhere.
            return Ok(Self(text.nfkc().default_case_fold().nfkc().collect()));
        }
        Ok(Self(counted.to_owned()))
    }

    /// The text to hash.
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

/// Whether a login is not longer than [`MAX_LOGIN`].
pub fn fits(login: &Login) -> bool {
    let text = login.expose();
    text.len() <= MAX_LOGIN || text.len() <= 3 * MAX_LOGIN && text.encode_utf16().count() <= MAX_LOGIN
}

/// What does not count at the ends of a login: white space, and the marks of direction that come along when text is copied.
fn is_margin(character: char) -> bool {
    let is_separator = matches!(character, '\u{2028}' | '\u{2029}');
    character.is_whitespace() && !is_separator || is_bidi_control(character)
}

fn is_bidi_control(character: char) -> bool {
    CodePointSetData::new::<BidiControl>().contains(character)
}

/// Refuses characters that stand in no login.
fn check(text: &str) -> Result<(), Unspellable> {
    // `Other` are controls, formats, private and unassigned characters.
    const REFUSED: GeneralCategoryGroup = GeneralCategoryGroup::Other
        .union(GeneralCategoryGroup::LineSeparator)
        .union(GeneralCategoryGroup::ParagraphSeparator);
    const LETTERS: GeneralCategoryGroup = GeneralCategoryGroup::Letter.union(GeneralCategoryGroup::Mark);
    let category = |character| CodePointMapData::<GeneralCategory>::new().get(character);
    let ignorable = CodePointSetData::new::<DefaultIgnorableCodePoint>();
    let is_visible = |character| !REFUSED.contains(category(character)) && !ignorable.contains(character);
    let is_letter = |character: Option<char>| {
        character.is_some_and(|character| LETTERS.contains(category(character)) && is_visible(character))
    };
    let mut before = None;
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        let is_good = match character {
            ' '..='~' => true,
            // These two shape the letters around them in Persian and in Indian scripts.
            '\u{200c}' | '\u{200d}' => is_letter(before) && is_letter(characters.peek().copied()),
            // A character beyond the basic plane that stands for another one weighs nothing in one database and as much as the other one in
            // the next; it cannot be counted right for both.
            '\u{10000}'.. => !stands_for_another(character) && is_visible(character),
            _ => is_visible(character),
        };
        if !is_good {
            return Err(Unspellable::Character);
        }
        before = Some(character);
    }
    Ok(())
}

fn stands_for_another(character: char) -> bool {
    let mut stands = false;
    decompose_compatible(character, |part| stands |= part != character);
    stands
}

/// A character as it is counted, `None` when it is not.
fn counted(character: char) -> Option<char> {
    const LEFT_OUT: GeneralCategoryGroup = GeneralCategoryGroup::Mark
        .union(GeneralCategoryGroup::Punctuation)
        .union(GeneralCategoryGroup::Symbol);
    match character {
        '\0'..='\u{7f}' => Some(character),
        'ı' => Some('i'),
        // Joiners, tatweel, and everything beyond the basic plane.
        '\u{200c}' | '\u{200d}' | '\u{640}' | '\u{10000}'.. => None,
        // Katakana as hiragana.
        '\u{30a1}'..='\u{30f6}' | '\u{30fd}'..='\u{30fe}' => {
            char::from_u32(u32::from(character) - 0x60).map(large_kana)
        }
        _ if character.is_whitespace() => Some(' '),
        _ => {
            let category = CodePointMapData::<GeneralCategory>::new().get(character);
            let is_left_out = LEFT_OUT.contains(category) || is_rare(character);
            if category == GeneralCategory::DecimalNumber {
                return Some(digit(character));
            }
            (!is_left_out).then(|| large_kana(character))
        }
    }
}

/// Whether no name in common use today is written with a character: databases whose tables are older than its script give it no weight. The
/// scripts are those that Unicode recommends for identifiers (UAX 31, table 5).
fn is_rare(character: char) -> bool {
    let is_extension_of_han = ('\u{3400}'..='\u{4dbf}').contains(&character);
    is_extension_of_han
        || !matches!(
            CodePointMapData::<Script>::new().get(character),
            Script::Common
                | Script::Inherited
                | Script::Arabic
                | Script::Armenian
                | Script::Bengali
                | Script::Bopomofo
                | Script::Cyrillic
                | Script::Devanagari
                | Script::Ethiopic
                | Script::Georgian
                | Script::Greek
                | Script::Gujarati
                | Script::Gurmukhi
                | Script::Han
                | Script::Hangul
                | Script::Hebrew
                | Script::Hiragana
                | Script::Kannada
                | Script::Katakana
                | Script::Khmer
                | Script::Lao
                | Script::Latin
                | Script::Malayalam
                | Script::Myanmar
                | Script::Oriya
                | Script::Sinhala
                | Script::Tamil
                | Script::Telugu
                | Script::Thaana
                | Script::Thai
                | Script::Tibetan
        )
}

/// The ASCII digit of a decimal digit of another script. Ten of them stand together, and begin at a code point that ends in 0 or 6 in hexadecimal.
fn digit(character: char) -> char {
    let (row, place) = (u32::from(character) & !0xf, u32::from(character) & 0xf);
    let first = char::from_u32(row).map(|first| CodePointMapData::<GeneralCategory>::new().get(first));
    let value = if first == Some(GeneralCategory::DecimalNumber) { place } else { place.wrapping_sub(6) };
    char::from_digit(value, 10).unwrap_or(character)
}

/// Small hiragana as large.
fn large_kana(character: char) -> char {
    match character {
        'ぁ' | 'ぃ' | 'ぅ' | 'ぇ' | 'ぉ' | 'っ' | 'ゃ' | 'ゅ' | 'ょ' | 'ゎ' => {
            char::from_u32(u32::from(character) + 1).unwrap_or(character)
        }
        'ゕ' => 'か',
        'ゖ' => 'け',
        _ => character,
    }
}

/// Latin words in ASCII: letters that databases take for one or two of them are written as these, and whatever else stands in such a word is left
/// out. No name mixes scripts in a word, and a stranger finds letters of some script that weigh nothing in some database.
fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for word in
        text.split_inclusive(|character: char| character.is_ascii() && !character.is_ascii_alphanumeric())
    {
        let start = plain.len();
        for character in word.chars() {
            match character {
                'æ' => plain.push_str("ae"),
                'œ' => plain.push_str("oe"),
                'þ' => plain.push_str("th"),
                'ø' => plain.push('o'),
                'ł' => plain.push('l'),
                'đ' | 'ð' => plain.push('d'),
                'ħ' => plain.push('h'),
                'ŧ' => plain.push('t'),
                'ŋ' => plain.push('n'),
                _ => plain.push(character),
            }
        }
        if plain[start..].bytes().any(|byte| byte.is_ascii_alphabetic()) {
            let latin: String = plain[start..].chars().filter(char::is_ascii).collect();
            plain.truncate(start);
            plain.push_str(&latin);
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spelled(login: &str) -> Result<String, Unspellable> {
        Spelling::of(&login.into()).map(|spelling| spelling.0)
    }

    #[test]
    fn spellings_of_a_login_are_one() {
        for spelling in [
            " Robert.Zak ",
            "ROBERT.ZAK",
            "ｒｏｂｅｒｔ．ｚａｋ",
            "\u{a0}robert.zak\t\r\n",
            "\u{200e}robert.zak\u{200f}",
            "\u{2067} robert.zak \u{2069}",
            "robert.za\u{212a}",
            "röbert.zak",
            "robe\u{301}\u{302}rt.zak",
            "robert.zak\u{20dd}",
            "robert.zak😀",
            "robert.zak 😀",
            "😀robert.zak",
            "ro\u{10380}bert.zak",
            "robert\u{2800}.zak",
            "robert.zak\u{a9}",
            "robert.zak\u{2022}",
            "robert.zak\u{b7}",
            "robert\u{640}.zak",
            "rob\u{200d}ert.zak",
            "rob\u{200c}ert.zak",
            // Letters that some databases give no weight, or know no script of.
            "robert.zak\u{14de}",
            "\u{3422}robert.zak",
            "robeжrt.zak",
            "robert.zak中",
            "robert.\u{a015}zak",
        ] {
            assert_eq!(spelled(spelling), Ok("robert.zak".to_owned()), "{spelling:?}");
        }
        for (one, other) in [
            ("straße", "STRASSE"),
            ("İpek", "ipek"),
            ("ıpek", "IPEK"),
            ("カタカナ", "かたかな"),
            ("ﾊﾟﾊﾟ", "はは"),
            ("مُحَمَّد", "محمد"),
            ("Ѐлена", "елена"),
            ("a\u{2003}b", "a b"),
            ("a\u{1680}b", "a b"),
            ("ﬁona", "fiona"),
            ("jœ.miller", "JOE.Miller"),
            ("Bjørn.Æsir", "bjorn.aesir"),
            ("łukasz.đurić", "lukasz.duric"),
            ("Þór", "thor"),
            ("trader١٢٣", "trader123"),
            ("१९७", "197"),
            ("๑๒", "12"),
            ("1234567\u{14de}", "1234567"),
            ("きゃ", "キヤ"),
            ("ヵヶ", "ゕゖ"),
            ("ヵヶ", "かけ"),
            ("می\u{200c}خواهم", "میخواهم"),
            ("क\u{94d}\u{200d}ष", "कष"),
            ("مـحمد", "محمد"),
            ("иван\u{10380}😀", "иван"),
            ("иван\u{14de}@example.com", "иван@example.com"),
        ] {
            assert_eq!(spelled(one), spelled(other), "{one} and {other}");
            assert!(!spelled(one).unwrap().is_empty());
        }
        for (one, other) in [
            ("robert.zac", "robert.zak"),
            ("robertzak", "robert.zak"),
            ("robert zak", "robertzak"),
            ("robert_zak", "robert-zak"),
            ("😀", "😁"),
            ("😀", "robert.zak"),
            ("中文", "中國"),
            ("иван@example.com", "пётр@example.com"),
            ("иван1", "пётр1"),
            ("\u{14de}", "\u{14df}"),
        ] {
            assert_ne!(spelled(one), spelled(other), "{one} and {other}");
        }
    }

    #[test]
    fn what_stands_in_no_login_is_refused() {
        for character in [
            '\0',
            '\n',
            '\t',
            '\u{7f}',
            '\u{85}',
            '\u{ad}',
            '\u{34f}',
            '\u{61c}',
            '\u{115f}',
            '\u{17b4}',
            '\u{180e}',
            '\u{200b}',
            '\u{200e}',
            '\u{202e}',
            '\u{2028}',
            '\u{2029}',
            '\u{2060}',
            '\u{2066}',
            '\u{206a}',
            '\u{3164}',
            '\u{fe0f}',
            '\u{feff}',
            '\u{ffa0}',
            '\u{fff0}',
            '\u{fff9}',
            '\u{378}',
            '\u{e000}',
            '\u{ffff}',
            '\u{1d173}',
            '\u{e0001}',
            '\u{e0100}',
            '\u{f0000}',
            '\u{10ffff}',
            '\u{1d42b}',
            '\u{1f130}',
            '\u{2f800}',
            '\u{1ffff}',
        ] {
            let login = format!("rob{character}ert.zak");
            assert_eq!(spelled(&login), Err(Unspellable::Character), "{login:?}");
        }
        // Line and paragraph separators not even at the ends, and joiners only between letters.
        for login in [
            "robert.zak\u{2028}",
            "\u{2029}robert.zak",
            "robert\u{200d}.zak",
            "\u{200c}robert",
            "👩\u{200d}👩",
            "a\u{200d}\u{200d}b",
        ] {
            assert_eq!(spelled(login), Err(Unspellable::Character), "{login:?}");
        }
        for login in ["", " ", "\t\u{3000}", "\u{200e}"] {
            assert_eq!(spelled(login), Err(Unspellable::Blank), "{login:?}");
        }
    }

    #[test]
    fn a_login_has_256_units_at_most() {
        for (character, units) in [('a', 1), ('é', 1), ('中', 1), ('😀', 2)] {
            let login = |count: usize| character.to_string().repeat(count);
            assert!(spelled(&login(256 / units)).is_ok(), "{character}");
            assert_eq!(spelled(&login(256 / units + 1)), Err(Unspellable::TooLong), "{character}");
        }
    }
}
