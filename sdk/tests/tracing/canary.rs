//! Looks for secrets in logs, errors and stores, in every encoding in which one could get out. The tests of the gateway use it too.

/// The encodings of a secret, in lower case: raw, percent-encoded, hexadecimal, base64 wherever it may start in a group of three bytes, and
/// the list of numbers as which `Debug` prints bytes.
pub fn spellings(secret: &str) -> Vec<String> {
    let bytes = || secret.bytes();
    let spellings = [
        secret.to_owned(),
        secret.replace('@', "%40"),
        bytes().map(|byte| format!("{byte:02x}")).collect(),
        bytes().map(|byte| format!("%{byte:02x}")).collect(),
        base64(secret.as_bytes()),
        // Without the characters that depend on what is in front.
        base64(&[b"x", secret.as_bytes()].concat())[2..].to_owned(),
        base64(&[b"xx", secret.as_bytes()].concat())[3..].to_owned(),
        bytes().map(|byte| byte.to_string()).collect::<Vec<_>>().join(", "),
    ];
    spellings.map(|spelling| spelling.to_lowercase()).into()
}

/// Encodes the complete groups of three bytes.
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let groups = bytes.chunks_exact(3).flat_map(|group| {
        let bits = u32::from(group[0]) << 16 | u32::from(group[1]) << 8 | u32::from(group[2]);
        [18, 12, 6, 0].map(|shift| char::from(ALPHABET[(bits >> shift) as usize & 63]))
    });
    groups.collect()
}

/// Whether a text holds a secret. A confirmation code is six digits, which ids, ports and times hold by chance, so it is looked for as a word:
/// wherever a code could leak, in a body, a field or a query, something other than a letter or a digit stands on both sides of it.
pub fn holds(text: &str, secret: &str) -> bool {
    if !secret.bytes().all(|byte| byte.is_ascii_digit()) || secret.len() != 6 {
        return text.contains(secret);
    }
    text.match_indices(secret).any(|(start, found)| {
        let around = [text[..start].chars().next_back(), text[start + found.len()..].chars().next()];
        around.into_iter().flatten().all(|character| !character.is_ascii_alphanumeric())
    })
}

#[test]
fn a_code_is_found_where_it_could_leak_and_not_in_a_number() {
    for leak in ["code=741175", r#"{\"Code\":\"741175\"}"#, "?code=741175&a=b", "741175", "code: 741175, x"] {
        assert!(holds(leak, "741175"), "{leak}");
    }
    for chance in ["2026-11-25T06:32:56.741175z", "1741175", "request_id=741175ab", "0x741175f", "17411750"] {
        assert!(!holds(chance, "741175"), "{chance}");
    }
    assert!(holds("xcanaryx", "canary"));
}

#[test]
fn the_search_finds_every_spelling() {
    assert_eq!(base64(b"canary"), "Y2FuYXJ5");
    for (text, secret) in [("eHhjYW5hcnkta2V5", "canary-key"), ("eGNhbmFyeS1rZXk=", "canary-key")] {
        assert!(spellings(secret).iter().any(|spelling| text.to_lowercase().contains(spelling)), "{text}");
    }
}
