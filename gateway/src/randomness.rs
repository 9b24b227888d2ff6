//! Where random bytes come from. They come in as a value, so that a run can be repeated; and they ask the system once, for a call for each
//! nonce and each id would cost more than sealing.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use autoshares_counting::Id;
use rand::{Rng, SeedableRng, rngs::StdRng};

/// A generator of random bytes that nobody can predict (ChaCha), seeded by the system.
#[derive(Clone)]
pub struct Randomness(Arc<Mutex<StdRng>>);

impl fmt::Debug for Randomness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Randomness")
    }
}

impl Randomness {
    /// Seeded by the operating system.
    ///
    /// # Panics
    ///
    /// See [`system_bytes`].
    pub fn of_the_system() -> Self {
        Self::seeded(system_bytes())
    }

    /// The same bytes for the same seed. For tests.
    pub fn seeded(seed: [u8; 32]) -> Self {
        Self(Arc::new(Mutex::new(StdRng::from_seed(seed))))
    }

    /// Random bytes, as many as the caller's array holds.
    pub fn bytes<const LENGTH: usize>(&self) -> [u8; LENGTH] {
        let mut bytes = [0; LENGTH];
        self.0.lock().unwrap_or_else(PoisonError::into_inner).fill_bytes(&mut bytes);
        bytes
    }

    /// An id that nobody has.
    pub fn id(&self) -> Id {
        Id(self.bytes())
    }
}

/// Random bytes of the operating system itself, for keys and seeds.
///
/// # Panics
///
/// When the system has no random bytes, for then nothing here would hold.
pub fn system_bytes<const LENGTH: usize>() -> [u8; LENGTH] {
    let mut bytes = [0; LENGTH];
    getrandom::fill(&mut bytes).expect("the operating system hands out random bytes");
    bytes
}
