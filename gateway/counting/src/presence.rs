use std::{sync::Arc, time::Duration};

/// Redis does not reply, or replies too late. The caller must refuse the act, because the store cannot count it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Away {
    /// How long until the store tries to reach Redis again.
    pub wait: Duration,
}

/// Whether Redis replies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Presence {
    /// The first connection is being made.
    Connecting,
    /// Redis replies.
    Back,
    /// Redis does not reply. The store refuses every decision until its background task has reached Redis again.
    Away {
        /// Why, in a few words that hold no address and no password.
        reason: Arc<str>,
        /// Whether it replies and cannot be used as it is set up: somebody has to change it.
        is_unfit: bool,
    },
}

/// Why Redis cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unusable {
    /// In a few words that hold no address and no password.
    pub reason: Arc<str>,
    /// Whether it replies and cannot be used as it is set up.
    pub is_unfit: bool,
}
