use std::{sync::Arc, time::Duration};

/// Redis does not reply, or too late. Nothing may be done, for nothing can be counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Away {
    /// How long until somebody looks again.
    pub wait: Duration,
}

/// Whether Redis replies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Presence {
    /// The first connection is being made.
    Connecting,
    /// It replies.
    Back,
    /// It does not. No decision queries it until a look beside the requests has succeeded.
    Away {
        /// Why, in a few words that hold no address and no password.
        reason: Arc<str>,
    },
}
