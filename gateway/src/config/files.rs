//! The files that a configuration is read from, by their content: that is how a change is noticed, also where a link is swapped or a file keeps its
//! time.

use std::{
    fs,
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};

type Hash = [u8; 32];

/// Files, each with a hash of its content; `None` for one that cannot be read. Something else than a file, such as a pipe, can be read once, so it
/// is not looked at here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Files(Vec<(PathBuf, Option<Hash>)>);

impl Files {
    /// Looks at files before they are parsed: what is written between the two is a change at the next look.
    pub(super) fn look_at(paths: impl Iterator<Item = PathBuf>) -> Self {
        Self(paths.map(|path| (path.clone(), hash(&path))).collect())
    }

    /// Adds others.
    pub(super) fn extend(&mut self, others: Self) {
        self.0.extend(others.0);
    }

    /// How the same files are now. Blocks while it reads them.
    pub fn look_again(&self) -> Self {
        Self::look_at(self.0.iter().map(|(path, _)| path.clone()))
    }

    /// The hash of the content that a file had.
    pub(super) fn content(&self, path: &Path) -> Option<Hash> {
        self.0.iter().find(|(known, _)| known == path)?.1
    }
}

fn hash(path: &Path) -> Option<Hash> {
    if !fs::metadata(path).ok()?.is_file() {
        return None;
    }
    Some(Sha256::digest(fs::read(path).ok()?).into())
}
