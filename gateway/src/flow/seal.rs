//! Handles and tokens: what clients carry, sealed so that only this installation can read or make it.

use autoshares_counting::Id;
use autoshares_sdk::ResetToken;

use super::{
    Spelling,
    key_ring::{self, KeyRing, Named, Purpose},
};
use crate::randomness::Randomness;

/// The length of every sealed handle, in characters.
pub const HANDLE_LENGTH: usize = 102;

/// The handle of a flow, opened. It never changes while the flow lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Handle {
    /// The id of the flow's record.
    pub id: Id,
    /// What logins, codes and tokens are hashed with in this flow, whichever key of the ring sealed the handle.
    secret: Secret,
}

#[derive(Clone, Copy, PartialEq, Eq)]
struct Secret([u8; 16]);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("redacted")
    }
}

impl Handle {
    /// A hash that stands for a code or a token in this flow, in whatever is counted.
    pub fn mark(&self, named: Named, text: &str) -> Id {
        key_ring::keyed(&self.secret.0, named, text.as_bytes())
    }

    /// A hash that stands for the login that the flow is about. It does not depend on the ring, so a flow goes on while keys are rotated.
    pub fn owner(&self, login: &Spelling) -> Id {
        key_ring::keyed(&self.secret.0, Named::Login, login.as_bytes())
    }
}

/// A token, opened.
#[derive(Debug)]
pub struct Token {
    /// The flow that the token belongs to.
    pub flow: Id,
    /// Whether the token is good only together with the flow's handle. Those of clients without a handle are not.
    pub needs_handle: bool,
    /// Autoshares' own token.
    pub token: ResetToken,
}

impl Token {
    /// A hash that stands for a token whose flow has no handle. It does not depend on the ring, or the token could be spent twice while keys
    /// are rotated.
    pub fn mark(&self) -> Id {
        key_ring::keyed(&self.flow.0, Named::Token, self.token.expose().as_bytes())
    }
}

/// Makes and opens handles and tokens.
#[derive(Debug)]
pub struct Seals {
    ring: KeyRing,
    randomness: Randomness,
}

impl Seals {
    /// With the keys of a ring.
    pub fn new(ring: KeyRing, randomness: Randomness) -> Self {
        Self { ring, randomness }
    }

    /// The keys, for pseudonyms.
    pub fn ring(&self) -> &KeyRing {
        &self.ring
    }

    /// A handle that nobody has, for a flow that is about to begin.
    pub fn new_handle(&self) -> Handle {
        Handle { id: self.randomness.id(), secret: Secret(self.randomness.bytes()) }
    }

    /// Seals a handle. All sealed handles have one length.
    pub fn seal(&self, handle: &Handle) -> String {
        let text = [handle.id.0, handle.secret.0].concat();
        self.ring.seal(Purpose::Handle, &text, self.randomness.bytes())
    }

    /// Opens a handle; `None` when this installation did not seal it.
    pub fn open(&self, handle: &str) -> Option<Handle> {
        let text = self.ring.open(Purpose::Handle, handle)?;
        let (id, secret) = text.split_first_chunk()?;
        Some(Handle { id: Id(*id), secret: Secret(secret.try_into().ok()?) })
    }

    /// Seals a text of the page.
    pub fn seal_text(&self, purpose: Purpose, text: &[u8]) -> String {
        self.ring.seal(purpose, text, self.randomness.bytes())
    }

    /// Opens a text of the page; `None` when this installation did not seal it for that purpose.
    pub fn open_text(&self, purpose: Purpose, sealed: &str) -> Option<Vec<u8>> {
        self.ring.open(purpose, sealed)
    }

    /// Seals a token of Autoshares' for one flow. The token ends with the flow.
    pub fn seal_token(&self, flow: Id, needs_handle: bool, token: &ResetToken) -> String {
        let text = [&flow.0[..], &[u8::from(needs_handle)], token.expose().as_bytes()].concat();
        self.ring.seal(Purpose::Token, &text, self.randomness.bytes())
    }

    /// Opens a token; `None` when this installation did not seal it.
    pub fn open_token(&self, sealed: &str) -> Option<Token> {
        let text = self.ring.open(Purpose::Token, sealed)?;
        let (flow, text) = text.split_first_chunk()?;
        let (&[needs_handle], text) = text.split_first_chunk()?;
        let token = std::str::from_utf8(text).ok()?.into();
        Some(Token { flow: Id(*flow), needs_handle: needs_handle != 0, token })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::Secrets;

    fn seals(secrets: &Secrets) -> Seals {
        Seals::new(KeyRing::new(secrets, "http://localhost"), Randomness::seeded([7; 32]))
    }

    #[test]
    fn handles_are_of_one_length_and_no_two_are_alike() {
        let seals = seals(&Secrets::random());
        let handle = seals.new_handle();
        let (one, other) = (seals.seal(&handle), seals.seal(&handle));
        assert_eq!((one.len(), other.len()), (HANDLE_LENGTH, HANDLE_LENGTH));
        assert_ne!(one, other);
        assert_eq!((seals.open(&one), seals.open(&other)), (Some(handle), Some(handle)));
        assert_ne!(seals.new_handle().id, handle.id);
    }

    #[test]
    fn a_token_is_no_handle_and_names_its_flow() {
        let seals = seals(&Secrets::random());
        let handle = seals.new_handle();
        let token = seals.seal_token(handle.id, true, &"token".into());
        assert_eq!(seals.open_token(&token).unwrap().flow, handle.id);
        assert!(seals.open_token(&token).unwrap().needs_handle);
        assert!(!seals.open_token(&seals.seal_token(handle.id, false, &"x".into())).unwrap().needs_handle);
        assert!(seals.open(&token).is_none() && seals.open_token(&seals.seal(&handle)).is_none());
    }

    #[test]
    fn a_flow_knows_its_owner_in_any_spelling_under_any_ring() {
        let seals = seals(&Secrets::random());
        let (handle, other) = (seals.new_handle(), seals.new_handle());
        let owner = |login: &str| handle.owner(&Spelling::of(&login.into()).unwrap());
        assert_eq!(owner("robert.zak"), owner(" ROBERT.ZAK"));
        assert_ne!(owner("robert.zak"), owner("anna.lee"));
        assert_ne!(owner("123456"), handle.mark(Named::Code, "123456"));
        assert_ne!(other.owner(&Spelling::of(&"x".into()).unwrap()), owner("x"));
    }
}
