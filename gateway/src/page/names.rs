//! Whether a password is little more than a name that a guesser knows: the trader's login, or the broker's name.

/// The fewest letters and digits that a password must have beside the names in it.
const LEAST_REST: usize = 6;
/// The shortest name that is looked for; shorter ones stand in many words.
const SHORTEST: usize = 3;

/// Whether hardly anything is left of a password without the names.
pub fn is_little_more_than(password: &str, names: &[&str]) -> bool {
    let plain = |text: &str| -> String {
        text.to_lowercase().chars().filter(|character| character.is_alphanumeric()).collect()
    };
    let mut rest = plain(password);
    let whole = rest.chars().count();
    for name in names {
        let parts = name.split(|character: char| !character.is_alphanumeric());
        for part in
            [*name].into_iter().chain(parts).map(plain).filter(|part| part.chars().count() >= SHORTEST)
        {
            rest = rest.replace(&part, "");
        }
    }
    let left = rest.chars().count();
    left < whole && left < LEAST_REST
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_a_number_is_refused_and_one_in_a_sentence_is_not() {
        let names = ["Example Brokers", "robert.zak@example.com"];
        for bad in [
            "robert.zak",
            "RobertZak2026",
            "zak-robert-1!",
            "example123",
            "Brokers!2026",
            "robert.zak@example.com",
        ] {
            assert!(is_little_more_than(bad, &names), "{bad}");
        }
        for good in ["robert likes green tea", "correct horse battery", "12345678", "", "!!!!!!!!"] {
            assert!(!is_little_more_than(good, &names), "{good}");
        }
        assert!(!is_little_more_than("anything", &["", "a", "x.y"]));
    }
}
