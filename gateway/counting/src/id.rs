use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// 128 bits that identify a record, a subject or a mark: a random number, or a keyed hash.
///
/// Shown and stored as 32 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Id(pub [u8; 16]);

/// An [`Id`] as 32 hexadecimal digits.
#[derive(Clone, Copy, Debug)]
pub struct Hexadecimal([[u8; 2]; 16]);

/// The two digits of each byte.
static PAIRS: [[u8; 2]; 256] = {
    let digits = b"0123456789abcdef";
    let mut pairs = [[0; 2]; 256];
    let mut byte = 0;
    while byte < pairs.len() {
        pairs[byte] = [digits[byte >> 4], digits[byte & 15]];
        byte += 1;
    }
    pairs
};

impl Id {
    /// The identifier as text. Each line of the audit trail shows three and a decision has fourteen, and formatting a number takes ten times
    /// as long.
    pub fn hexadecimal(self) -> Hexadecimal {
        Hexadecimal(self.0.map(|byte| PAIRS[usize::from(byte)]))
    }
}

impl Hexadecimal {
    /// The digits.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(self.0.as_flattened()).expect("digits are ASCII")
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.hexadecimal().as_str())
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Id {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.hexadecimal().as_str())
    }
}

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <&str>::deserialize(deserializer)?;
        // A number may be shorter, and have a sign.
        let digits = Some(text).filter(|text| text.len() == 32 && !text.starts_with('+'));
        let number = digits.and_then(|digits| u128::from_str_radix(digits, 16).ok());
        let number = number.ok_or_else(|| de::Error::custom("32 hexadecimal digits"))?;
        Ok(Id(number.to_be_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_shown_as_32_digits_and_read_back() {
        let id = Id(0xab_u128.to_be_bytes());
        let text = format!("{}ab", "0".repeat(30));
        assert_eq!((format!("{id}"), format!("{id:?}")), (text.clone(), text.clone()));
        assert_eq!(serde_json::to_string(&id).unwrap(), format!("{text:?}"));
        assert_eq!(serde_json::from_str::<Id>(&format!("{text:?}")).unwrap(), id);
        for other in [
            "no digits",
            "+123456789abcdef0123456789abcdef",
            "",
            &text[1..],
            &format!("{text}0"),
            "０１２３４５６７８９-+",
        ] {
            assert!(serde_json::from_str::<Id>(&format!("{other:?}")).is_err(), "{other}");
        }
    }
}
