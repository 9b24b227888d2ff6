//! The spelling of logins: what Autoshares may take for one login is counted as one here, and what no login holds is refused.
//!
//! Autoshares runs on .NET, whose databases compare names in their own ways: without case, often without accents, and with characters that
//! weigh nothing. A stranger who finds a spelling that is one account there and a new login here gets new budgets for it. So a login is
//! counted without anything that some database may leave out. Where databases disagree about a character, because their tables are of
//! different age or because they convert to another set of characters, the login has several readings, and each of them is charged. What
//! cannot be counted in a safe way, and stands in no login that somebody types, is refused. A login is forwarded exactly as the client typed
//! it.

use std::{convert::identity, sync::LazyLock};

use autoshares_sdk::Login;
use caseless::Caseless;
use icu_properties::{
    CodePointMapData, CodePointSetData,
    props::{BidiControl, DefaultIgnorableCodePoint, GeneralCategory, GeneralCategoryGroup, Script},
};
use regex_syntax::hir::{Class, ClassUnicode, HirKind};
use unicode_normalization::{UnicodeNormalization, char::decompose_compatible};

/// The longest login, in UTF-16 units, in which .NET counts. Databases give names a column of so many at most.
pub const MAX_LOGIN: usize = 256;

/// The versions of Unicode whose tables databases still compare with. A character that is younger than the table weighs nothing: SQL Server's
/// default collation knows those of 1996. The newest tables know whatever is assigned.
const TABLES: [&str; 5] = ["2.0", "3.0", "3.2", "4.1", "5.1"];

/// A login as it is counted.
#[expect(missing_debug_implementations, reason = "holds a login")]
pub struct Spelling {
    /// What databases with the oldest tables make of it.
    first: String,
    /// What others make of it, where that differs.
    others: Vec<String>,
}

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
    /// The readings of a login.
    ///
    /// # Errors
    ///
    /// [`Unspellable`]. Finding that takes a fraction of the time of normalising, whatever the login holds.
    pub fn of(login: &Login) -> Result<Self, Unspellable> {
        if !fits(login) {
            return Err(Unspellable::TooLong);
        }
        let text = trimmed(login.expose());
        if text.is_empty() {
            return Err(Unspellable::Blank);
        }
        if text.is_ascii() {
            // The same for the characters that most logins are made of, at a tenth of the price.
            let is_printed = text.bytes().all(|byte| (b' '..=b'~').contains(&byte));
            return if is_printed {
                Ok(Self { first: text.to_ascii_lowercase(), others: Vec::new() })
            } else {
                Err(Unspellable::Character)
            };
        }
        check(text)?;
        let mut readings = readings(text).into_iter();
        // Of symbols alone: no other login has this text, for none of its characters is counted elsewhere.
        let first = readings.next().unwrap_or_else(|| text.nfkc().default_case_fold().nfkc().collect());
        Ok(Self { first, others: readings.collect() })
    }

    /// The text to hash where a login has one name.
    pub fn as_bytes(&self) -> &[u8] {
        self.first.as_bytes()
    }

    /// The texts to hash where a login is charged, that of [`as_bytes`](Self::as_bytes) first.
    pub fn readings(&self) -> impl Iterator<Item = &[u8]> {
        std::iter::once(&self.first).chain(&self.others).map(String::as_bytes)
    }
}

/// What databases of different kinds make of a login, without repetitions, and without what is empty.
fn readings(text: &str) -> Vec<String> {
    /// The characters that each of [`TABLES`] knows.
    static KNOWN: LazyLock<Vec<ClassUnicode>> =
        LazyLock::new(|| TABLES.iter().filter_map(|version| assigned_by(version)).collect());
    let by_age = KNOWN.iter().filter_map(|table| {
        // Nothing beyond the basic plane is counted in any reading.
        let is_known =
            |character: &char| character.is_ascii() || *character > '\u{ffff}' || contains(table, *character);
        // Where a table knows all of them, it makes of the login what the newest one does.
        let knows_all = text.chars().all(|character| is_known(&character));
        (!knows_all).then(|| read(&fold(text.chars().filter(is_known)), identity))
    });
    let newest = fold(text.chars());
    let mut readings: Vec<String> = Vec::new();
    for reading in by_age.chain([read(&newest, identity), read(&newest, best_fit)]) {
        if !reading.is_empty() && !readings.contains(&reading) {
            readings.push(reading);
        }
    }
    readings
}

/// The characters that were assigned in a version of Unicode or before.
fn assigned_by(version: &str) -> Option<ClassUnicode> {
    match regex_syntax::parse(&format!(r"\p{{Age={version}}}")).ok()?.into_kind() {
        HirKind::Class(Class::Unicode(class)) => Some(class),
        _ => None,
    }
}

fn contains(class: &ClassUnicode, character: char) -> bool {
    let ranges = class.ranges();
    let next = ranges.partition_point(|range| range.end() < character);
    ranges.get(next).is_some_and(|range| range.start() <= character)
}

/// Characters without case and composition.
fn fold(characters: impl Iterator<Item = char>) -> String {
    characters.nfkd().default_case_fold().nfkd().collect()
}

/// What a database makes of folded characters, if it converts them as told before it compares.
fn read(folded: &str, convert: fn(char) -> char) -> String {
    let counted: String = folded.chars().map(convert).filter_map(counted).collect();
    plain(&counted).trim_matches(' ').to_owned()
}

/// Whether a login is not longer than [`MAX_LOGIN`].
pub fn fits(login: &Login) -> bool {
    let text = login.expose();
    text.len() <= MAX_LOGIN || text.len() <= 3 * MAX_LOGIN && text.encode_utf16().count() <= MAX_LOGIN
}

/// A login without what does not count at its ends.
pub fn trimmed(login: &str) -> &str {
    login.trim_matches(is_margin)
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
            if category == GeneralCategory::DecimalNumber {
                return Some(digit(character));
            }
            (!LEFT_OUT.contains(category)).then(|| large_kana(character))
        }
    }
}

/// The ASCII character that Windows puts in the place of one that its Western set of characters lacks, for a database whose column or
/// parameter is of that set. Folded letters and what stands in logins; characters that decompose into ASCII are folded to it anyway.
fn best_fit(character: char) -> char {
    match character {
        'ƀ' => 'b',
        'ɨ' => 'i',
        'ƚ' => 'l',
        'ɵ' => 'o',
        'ƫ' | 'ʈ' | 'τ' | 'θ' => 't',
        'ƶ' => 'z',
        'ǥ' | 'ɡ' | 'γ' => 'g',
        'α' => 'a',
        'δ' => 'd',
        'ε' => 'e',
        'σ' => 's',
        'φ' => 'f',
        'ω' => 'o',
        'π' => 'p',
        'һ' => 'h',
        '√' => 'v',
        '∩' => 'n',
        '∞' => '8',
        '\u{2010}' | '\u{2212}' | '\u{2500}' => '-',
        '\u{2cd}' => '_',
        '\u{2217}' => '*',
        '\u{2044}' | '\u{2215}' => '/',
        '\u{2216}' => '\\',
        '\u{2b9}' | '\u{2bc}' | '\u{2c8}' | '\u{2032}' => '\'',
        '\u{2cb}' | '\u{2035}' => '`',
        '\u{2c4}' => '^',
        '\u{223c}' => '~',
        '\u{1c0}' | '\u{2223}' => '|',
        '\u{1c3}' => '!',
        '\u{589}' | '\u{2236}' => ':',
        '\u{66a}' => '%',
        '\u{2550}' | '\u{2261}' => '=',
        _ => character,
    }
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

/// Latin words in ASCII: letters that databases take for one or two of them are written as these, and other Latin letters are left out.
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
            let scripts = CodePointMapData::<Script>::new();
            let is_latin = |character: &char| scripts.get(*character) == Script::Latin;
            let is_plain = |character: &char| character.is_ascii() || !is_latin(character);
            let latin: String = plain[start..].chars().filter(is_plain).collect();
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
        Spelling::of(&login.into()).map(|spelling| spelling.first)
    }

    fn all_readings(login: &str) -> Vec<String> {
        let spelling = Spelling::of(&login.into()).unwrap();
        spelling.readings().map(|reading| String::from_utf8(reading.to_vec()).unwrap()).collect()
    }

    fn share_a_reading(one: &str, other: &str) -> bool {
        let others = all_readings(other);
        all_readings(one).iter().any(|reading| others.contains(reading))
    }

    /// Characters that some database gives no weight and the next one takes for another one are charged to both.
    #[test]
    fn a_login_that_databases_read_differently_is_charged_to_each_reading() {
        for (login, readings) in [
            ("robert.zak", &["robert.zak"][..]),
            ("röbert.zak", &["robert.zak"]),
            // Superscript a, of 2003; a small sharp s, of 2008; s with a comma below, of 1999.
            ("robert.zakᵃᵃ", &["robert.zak", "robert.zakaa"]),
            ("robert.zakẞ", &["robert.zak", "robert.zakss"]),
            ("ionuș", &["ionu", "ionus"]),
            ("ionușᵃ", &["ionu", "ionus", "ionusa"]),
            ("robert.zak㉐", &["robert.zak", "robert.zakpte"]),
            // Ethiopic, of 1999; a digit of N'Ko, of 2006; a Latin letter of 2006.
            ("1234567ግግ", &["1234567", "1234567ግግ"]),
            ("robert.zak߁", &["robert.zak", "robert.zak1"]),
            ("1234567ꜧ", &["1234567", "1234567ꜧ"]),
            ("robert.zakꜧ", &["robert.zak"]),
            ("ግብ", &["ግብ"]),
            ("ᏣᎳᎩ😀", &["ᏣᎳᎩ"]),
            // What a column of the Western set of characters makes of them.
            ("robert.ƶak", &["robert.ak", "robert.zak"]),
            ("jean\u{2010}luc", &["jeanluc", "jean-luc"]),
            ("robert.zαk", &["robert.zαk", "robert.zak"]),
            ("trader∞", &["trader", "trader8"]),
        ] {
            assert_eq!(all_readings(login), readings, "{login}");
        }
        for table in TABLES {
            let known = assigned_by(table).unwrap();
            let ends = |range: &regex_syntax::hir::ClassUnicodeRange| [range.start(), range.end()];
            assert!(known.ranges().iter().flat_map(ends).all(|character| contains(&known, character)));
            assert!(!contains(&known, '\u{9fff}'), "of 2021");
        }
        for (from, to) in [
            ("ƀɨƚɵƶǥһ", "bilozgh"),
            ("ƫʈτθɡγ", "ttttgg"),
            ("αδεσφωπ", "adesfop"),
            ("√∩∞", "vn8"),
            ("\u{2010}\u{2011}\u{2212}\u{2500}\u{2cd}\u{2217}", "----_*"),
            ("\u{2044}\u{2215}\u{2216}\u{2cb}\u{2035}\u{2c4}\u{223c}", "//\\``^~"),
            ("\u{2b9}\u{2bc}\u{2c8}\u{2032}", "''''"),
            ("\u{1c0}\u{2223}\u{1c3}\u{589}\u{2236}\u{66a}\u{2550}\u{2261}", "||!::%=="),
        ] {
            let (from, to) = (format!("0{from}1"), format!("0{to}1"));
            assert!(all_readings(&from).contains(&to), "{from}: {:?}", all_readings(&from));
        }
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
            // Letters that are younger than the tables of some databases.
            "robert.zak\u{14de}",
            "\u{3422}robert.zak",
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
            ("Ħaŧŋ", "hatn"),
            ("aβ", "aΒ"),
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
            assert!(share_a_reading(one, other), "{one} and {other}");
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
            ("王小明vip", "张伟vip"),
            ("robeжrt.zak", "robert.zak"),
            ("ግብ", "ግል"),
            ("иван@example.com", "пётр@example.com"),
            ("иван1", "пётр1"),
            ("\u{14de}", "\u{14df}"),
        ] {
            assert!(!share_a_reading(one, other), "{one} and {other}");
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
