//! The keys with which the gateway seals handles and tokens and hashes logins and addresses: a ring of one key that seals and others that
//! still open.
//!
//! A key file holds one key on each line, and the first one seals. An operator rotates a key without ending a flow: the new key goes to
//! the end of the file on every gateway, so that all of them open what it seals; then to the top; then the old key is removed.

use std::fmt;

use autoshares_counting::Id;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chacha20poly1305::{
    KeyInit, XChaCha20Poly1305, XNonce,
    aead::{Aead, Payload},
};

use crate::randomness::system_bytes;

const KEY_LENGTH: usize = 32;
const ID_LENGTH: usize = 4;
const NONCE_LENGTH: usize = 24;

/// The keys of a key file, in the order of its lines.
#[derive(Clone)]
pub struct Secrets(Vec<[u8; KEY_LENGTH]>);

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secrets({} redacted)", self.0.len())
    }
}

impl Secrets {
    /// A ring of one new key.
    pub fn random() -> Self {
        Self(vec![system_bytes()])
    }

    /// Reads the text of a key file: one key on each line; empty lines and lines that start with `#` are skipped.
    ///
    /// # Errors
    ///
    /// A sentence that names the line, and never quotes it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let lines = text.lines().enumerate().map(|(index, line)| (index + 1, line.trim()));
        let mut keys = Vec::new();
        for (number, line) in lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#')) {
            let bytes = URL_SAFE_NO_PAD.decode(line).ok().and_then(|bytes| bytes.try_into().ok());
            let key = bytes.ok_or_else(|| format!("has no key in line {number}"))?;
            if keys.contains(&key) {
                return Err(format!("has the key of line {number} twice"));
            }
            keys.push(key);
        }
        if keys.is_empty() { Err("holds no key".to_owned()) } else { Ok(Self(keys)) }
    }

    /// The text of a key file that [`parse`](Self::parse) reads.
    pub fn to_file(&self) -> String {
        let keys = self.0.iter().map(|key| URL_SAFE_NO_PAD.encode(key) + "\n");
        format!(
            "# Keys of autoshares-gateway, for flow.keys_file. The first one seals, all of them open.\n\
             # To rotate: add a new one at the end on every gateway, then move it to the top, then remove the old one.\n{}",
            keys.collect::<String>()
        )
    }
}

/// The purpose is sealed along: a token does not open as a handle, nor a handle as a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// A flow handle.
    Handle = 0,
    /// A reset token.
    Token = 1,
    /// What the page remembers of a reset.
    PageState = 2,
    /// The token in a form of the page.
    PageForm = 3,
}

/// The kind of thing that a pseudonym stands for. The kind is part of the hash: a login and an address with the same text get different
/// pseudonyms. The numbers never change, for replicas of two versions count together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Named {
    /// A login, in the spelling that all of its spellings share.
    Login = 0,
    /// The network that a client's address belongs to.
    Address = 1,
    /// A confirmation code.
    Code = 2,
    /// A reset token that Autoshares issued.
    Token = 3,
    /// The choice of a decoy question for a login that does not exist.
    Decoy = 4,
}

/// Travels with every sealed text, so that the gateway finds the key that opens it. It is a hash and reveals nothing of the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct KeyId([u8; ID_LENGTH]);

/// The keys of an installation, bound to its public origin: a handle that another origin issued does not open.
pub struct KeyRing {
    origin: String,
    /// Sealed along with every text, for each purpose.
    associated_data: [Vec<u8>; 4],
    /// The first one seals.
    keys: Vec<Key>,
}

struct Key {
    id: KeyId,
    cipher: XChaCha20Poly1305,
    /// Hashes texts into pseudonyms.
    hash_key: [u8; KEY_LENGTH],
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyRing").field("origin", &self.origin).finish_non_exhaustive()
    }
}

impl KeyRing {
    /// Derives the keys for one public origin.
    pub fn new(secrets: &Secrets, origin: &str) -> Self {
        let data = |purpose: &str| format!("autoshares-gateway {purpose} {origin}").into_bytes();
        Self {
            origin: origin.to_owned(),
            associated_data: [data("handle"), data("token"), data("page state"), data("page form")],
            keys: secrets.0.iter().map(Key::derive).collect(),
        }
    }

    /// Seals with the first key. Texts of equal length become texts of equal length. The nonce must be random, and new each time.
    ///
    /// # Panics
    ///
    /// When the text is longer than 256 GB.
    pub fn seal(&self, purpose: Purpose, text: &[u8], nonce: [u8; NONCE_LENGTH]) -> String {
        let key = &self.keys[0];
        let sealed = key
            .cipher
            .encrypt(&XNonce::from(nonce), Payload { msg: text, aad: self.associated_data(purpose) });
        let sealed = sealed.expect("only a text of more than 256 GB cannot be sealed");
        URL_SAFE_NO_PAD.encode([&key.id.0[..], &nonce, &sealed].concat())
    }

    /// Opens what any of the keys sealed for this purpose and origin.
    pub fn open(&self, purpose: Purpose, sealed: &str) -> Option<Vec<u8>> {
        let sealed = URL_SAFE_NO_PAD.decode(sealed).ok()?;
        let (id, sealed) = sealed.split_first_chunk::<ID_LENGTH>()?;
        let (nonce, sealed) = sealed.split_first_chunk::<NONCE_LENGTH>()?;
        let key = self.keys.iter().find(|key| key.id.0 == *id)?;
        key.cipher
            .decrypt(&XNonce::from(*nonce), Payload { msg: sealed, aad: self.associated_data(purpose) })
            .ok()
    }

    /// The pseudonym of a text, made with the key that seals.
    pub fn pseudonym(&self, named: Named, text: &[u8]) -> Id {
        pseudonym(&self.keys[0].hash_key, named, text)
    }

    fn associated_data(&self, purpose: Purpose) -> &[u8] {
        &self.associated_data[purpose as usize]
    }
}

impl Key {
    fn derive(secret: &[u8; KEY_LENGTH]) -> Self {
        let [a, b, c, d, ..] = blake3::derive_key("autoshares-gateway key id", secret);
        Self {
            id: KeyId([a, b, c, d]),
            cipher: XChaCha20Poly1305::new(&blake3::derive_key("autoshares-gateway sealing", secret).into()),
            hash_key: blake3::derive_key("autoshares-gateway pseudonyms", secret),
        }
    }
}

/// The pseudonym of a text, made with the secret of one flow.
pub fn keyed(secret: &[u8; KEY_LENGTH / 2], named: Named, text: &[u8]) -> Id {
    let mut key = [0; KEY_LENGTH];
    key[..secret.len()].copy_from_slice(secret);
    pseudonym(&key, named, text)
}

fn pseudonym(key: &[u8; KEY_LENGTH], named: Named, text: &[u8]) -> Id {
    let hash = blake3::keyed_hash(key, &[&[named as u8], text].concat());
    Id(*hash.as_bytes().first_chunk().expect("a hash of 32 bytes has a first 16"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_as_it_is_written_and_two_of_them_are_one() {
        let (old, new) = (Secrets::random(), Secrets::random());
        let both = Secrets::parse(&(new.to_file() + &old.to_file())).unwrap();
        assert_eq!(both.0, [new.0[0], old.0[0]]);
        for (bad, told) in [
            ("", "holds no key"),
            ("# nothing\n\n", "holds no key"),
            ("\nshort\n", "has no key in line 2"),
            (&(old.to_file() + &old.to_file()), "twice"),
        ] {
            let fault = Secrets::parse(bad).unwrap_err();
            assert!(fault.contains(told) && !fault.contains("short"), "{fault}");
        }
        assert_eq!(format!("{both:?}"), "Secrets(2 redacted)");
    }

    #[test]
    fn what_another_key_purpose_or_origin_sealed_stays_shut() {
        let (one, two) = (Secrets::random(), Secrets::random());
        let ring = KeyRing::new(&one, "https://a.example");
        let sealed = ring.seal(Purpose::Handle, b"text", system_bytes());
        assert_eq!(ring.open(Purpose::Handle, &sealed).unwrap(), b"text");
        assert_eq!(ring.open(Purpose::Token, &sealed), None);
        assert_eq!(format!("{ring:?}"), "KeyRing { origin: \"https://a.example\", .. }");
        assert_eq!(KeyRing::new(&two, "https://a.example").open(Purpose::Handle, &sealed), None);
        assert_eq!(KeyRing::new(&one, "https://b.example").open(Purpose::Handle, &sealed), None);
        let both = Secrets(vec![two.0[0], one.0[0]]);
        assert!(KeyRing::new(&both, "https://a.example").open(Purpose::Handle, &sealed).is_some());
    }

    #[test]
    fn a_text_with_any_byte_changed_stays_shut() {
        let ring = KeyRing::new(&Secrets::random(), "https://a.example");
        let sealed =
            ring.seal(Purpose::Handle, b"forty-one bytes make up the text of a flow", system_bytes());
        for index in 0..sealed.len() {
            for bit in 0..7 {
                let mut changed = sealed.clone().into_bytes();
                changed[index] ^= 1 << bit;
                let changed = String::from_utf8(changed).unwrap();
                assert_eq!(ring.open(Purpose::Handle, &changed), None, "{index}");
            }
            assert_eq!(ring.open(Purpose::Handle, &sealed[..index]), None);
        }
    }

    #[test]
    fn a_pseudonym_depends_on_the_key_and_on_what_is_named() {
        let (one, two) = (Secrets::random(), Secrets::random());
        let ring = KeyRing::new(&one, "");
        let login = ring.pseudonym(Named::Login, b"robert.zak");
        assert_eq!(login, KeyRing::new(&one, "").pseudonym(Named::Login, b"robert.zak"));
        assert_ne!(login, ring.pseudonym(Named::Address, b"robert.zak"));
        assert_ne!(login, KeyRing::new(&two, "").pseudonym(Named::Login, b"robert.zak"));
        assert_eq!(login.to_string().len(), 32);
    }

    #[test]
    fn replicas_of_all_versions_hash_and_seal_alike() {
        let ring = KeyRing::new(&Secrets(vec![[7; KEY_LENGTH]]), "https://a.example");
        let texts = [
            ring.pseudonym(Named::Login, b"robert.zak").to_string(),
            ring.pseudonym(Named::Address, b"robert.zak").to_string(),
            keyed(&[7; 16], Named::Code, b"123456").to_string(),
            ring.seal(Purpose::Handle, b"text", [7; NONCE_LENGTH]),
        ];
        assert_eq!(
            texts,
            [
                "f38accf4ee23b45d84721117dbb01c12",
                "dcc0facba83c8ecf4666cf57729f459c",
                "42c43796e24806e3e05184c326a8b5d1",
                "DEzI7AcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHB0q1icyrVNPsJvE_d7kbqsZZ4cVZ"
            ]
        );
    }
}
