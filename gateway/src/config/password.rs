//! `password.*`: the rules for a new password, checked before the reset token is spent on it.

use super::{reader::Reader, setting::settings};

/// The rules for a new password, beside those of Autoshares, which nobody documents. The gateway checks them before it spends the reset
/// token.
#[derive(Clone, Copy, Debug)]
pub struct Password {
    /// The fewest characters.
    pub min_length: usize,
    /// The least strength in the measure of zxcvbn, 0 to 4; 0 asks for none.
    pub min_strength: u8,
}

settings! {
    MIN_LENGTH: "password.min_length", "GATEWAY_PASSWORD_MIN_LENGTH",
        "a number of characters, 1 to 64", "8",
        "characters; checked before the token is spent, so that the trader can mend a short password";
    MIN_STRENGTH: "password.min_strength", "GATEWAY_PASSWORD_MIN_STRENGTH",
        "`0` to `4`, in the measure of zxcvbn: 3 takes more than 10^8 guesses, 4 more than 10^10", "0",
        "no measuring. Up to `4` in the measure of zxcvbn, where 3 takes more than 10⁸ guesses";
}

pub(super) fn read(reader: &mut Reader<'_>) -> Option<Password> {
    let min_length = reader.number(MIN_LENGTH, 64);
    let min_strength = reader.value(MIN_STRENGTH, |text| match text.parse::<u8>() {
        Ok(strength) if strength <= 4 => Ok(strength),
        _ => Err(()),
    });
    Some(Password { min_length: min_length? as usize, min_strength: min_strength? })
}
