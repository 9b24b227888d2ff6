//! Why the benchmark cannot go on.

use std::fmt::Display;

/// A sentence for whoever runs the benchmark.
#[derive(Debug)]
pub(crate) struct Failure(pub(crate) String);

impl Failure {
    pub(crate) fn new(text: impl Display) -> Self {
        Self(text.to_string())
    }
}
