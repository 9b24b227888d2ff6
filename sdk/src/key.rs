//! Where the application key comes from. It is asked for before every attempt, so that a key can change without a restart.

use std::{
    env,
    error::Error as StdError,
    fmt, fs,
    future::Future,
    io,
    path::{Path, PathBuf},
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    time::SystemTime,
};

use crate::secret::AppKey;

/// Where the application key comes from: a fixed one, an environment variable, a file, or code of your own.
///
/// When Autoshares rejects a key, it is asked for again, past any cache, and the call is repeated once if the key changed.
#[derive(Clone)]
pub struct AppKeySource(Source);

#[derive(Clone)]
enum Source {
    Fixed(AppKey),
    Environment(String),
    File(Arc<File>),
    Custom(Arc<dyn Fn(Refresh) -> KeyFuture + Send + Sync>),
}

type KeyFuture = Pin<Box<dyn Future<Output = Result<AppKey, KeyError>> + Send>>;

/// Whether a cached key will do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refresh {
    /// A cached key will do.
    No,
    /// Autoshares has just rejected the key: look again.
    Yes,
}

/// Why there is no key. Its text must not hold one.
pub type KeyError = Box<dyn StdError + Send + Sync>;

/// A file that holds a key, read again when it changes.
struct File {
    path: PathBuf,
    read: Mutex<Option<(Stamp, AppKey)>>,
}

/// What tells one content of a file from another without reading it.
type Stamp = (Option<SystemTime>, u64, u64);

impl AppKeySource {
    /// One key for the life of the client. An [`AppKey`] can also be given to the builder as it is.
    pub fn fixed(key: AppKey) -> Self {
        Self(Source::Fixed(key))
    }

    /// An environment variable of this process, read before every attempt.
    pub fn environment(variable: impl Into<String>) -> Self {
        Self(Source::Environment(variable.into()))
    }

    /// A file, such as a mounted secret. It is read again when it changes; while its new content is no key, the old one is kept.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self(Source::File(Arc::new(File { path: path.into(), read: Mutex::new(None) })))
    }

    /// Code of your own, such as a client of a vault. It is called before every attempt and should cache; with
    /// [`Refresh::Yes`] it should look past its cache.
    pub fn custom<F, R>(provide: F) -> Self
    where
        F: Fn(Refresh) -> R + Send + Sync + 'static,
        R: Future<Output = Result<AppKey, KeyError>> + Send + 'static,
    {
        Self(Source::Custom(Arc::new(move |refresh| Box::pin(provide(refresh)))))
    }

    /// The key for the next attempt.
    ///
    /// # Errors
    ///
    /// A [`KeyError`] when there is none.
    pub(crate) async fn key(&self, refresh: Refresh) -> Result<AppKey, KeyError> {
        match &self.0 {
            Source::Custom(provide) => provide(refresh).await,
            _ => self.key_at_hand(refresh),
        }
    }

    /// The same where it can be had without waiting; code of your own is not asked. Lets a client be refused when it is built.
    pub(crate) fn check(&self) -> Result<(), KeyError> {
        match &self.0 {
            Source::Custom(_) => Ok(()),
            _ => self.key_at_hand(Refresh::No).map(drop),
        }
    }

    fn key_at_hand(&self, refresh: Refresh) -> Result<AppKey, KeyError> {
        match &self.0 {
            Source::Fixed(key) => Ok(key.clone()),
            Source::Environment(variable) => {
                let text = env::var(variable).map_err(|_| format!("variable `{variable}` is not set"))?;
                Ok(AppKey::new(text)?)
            }
            Source::File(file) => file.key(refresh),
            Source::Custom(_) => Err("the key can only be had by waiting for it".into()),
        }
    }
}

impl File {
    /// Blocks for as long as looking at a small file takes, which is less than handing the work to another thread would.
    fn key(&self, refresh: Refresh) -> Result<AppKey, KeyError> {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        let stamp = stamp(&self.path);
        if let (Some((known, key)), Ok(stamp), Refresh::No) = (&*read, &stamp, refresh)
            && known == stamp
        {
            return Ok(key.clone());
        }
        let fresh = fs::read_to_string(&self.path).map_err(|error| unreadable(&error));
        match fresh.and_then(|text| AppKey::new(text).map_err(KeyError::from)) {
            Ok(key) => {
                // Without a stamp it is read again next time.
                *read = stamp.ok().map(|stamp| (stamp, key.clone()));
                Ok(key)
            }
            // A file is often empty or gone for a moment while it is replaced.
            Err(error) => match &mut *read {
                Some((known, key)) => {
                    // Told once, and read again when it changes again.
                    if let Ok(stamp) = stamp {
                        *known = stamp;
                    }
                    tracing::warn!(
                        "the file of the application key holds none at the moment; the old key is kept"
                    );
                    Ok(key.clone())
                }
                None => Err(error),
            },
        }
    }
}

fn unreadable(error: &io::Error) -> KeyError {
    format!("cannot be read: {}", error.kind()).into()
}

fn stamp(path: &Path) -> io::Result<Stamp> {
    let metadata = fs::metadata(path)?;
    Ok((metadata.modified().ok(), metadata.len(), inode(&metadata)))
}

/// A mounted secret is replaced by a link to another file, whose time and size may be the same.
#[cfg(unix)]
fn inode(metadata: &fs::Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::ino(metadata)
}

#[cfg(not(unix))]
fn inode(_: &fs::Metadata) -> u64 {
    0
}

impl From<AppKey> for AppKeySource {
    fn from(key: AppKey) -> Self {
        Self::fixed(key)
    }
}

impl fmt::Debug for AppKeySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &self.0 {
            Source::Fixed(_) => "AppKeySource(fixed)",
            Source::Environment(_) => "AppKeySource(environment)",
            Source::File(_) => "AppKeySource(file)",
            Source::Custom(_) => "AppKeySource(custom)",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(source: &AppKeySource, refresh: Refresh) -> String {
        let key = source.key_at_hand(refresh).unwrap();
        key.header().to_str().unwrap().to_owned()
    }

    #[test]
    fn a_file_is_read_again_when_it_changes_and_the_old_key_kept_when_it_is_bad() {
        let path = env::temp_dir().join(format!("autoshares-sdk-key-{}", std::process::id()));
        let source = AppKeySource::file(&path);
        assert!(source.check().is_err());
        for (text, expected) in [
            ("first-key\n", "first-key"),
            ("second-key-longer", "second-key-longer"),
            ("", "second-key-longer"),
            ("third-key", "third-key"),
        ] {
            fs::write(&path, text).unwrap();
            assert_eq!(key(&source, Refresh::No), expected);
        }
        fs::remove_file(&path).unwrap();
        assert_eq!(key(&source, Refresh::Yes), "third-key");
    }

    #[test]
    fn an_unchanged_file_is_not_read_again_unless_asked() {
        let path = env::temp_dir().join(format!("autoshares-sdk-stamp-{}", std::process::id()));
        fs::write(&path, "one-key-A").unwrap();
        let source = AppKeySource::file(&path);
        assert_eq!(key(&source, Refresh::No), "one-key-A");
        // Same size, inode and time: only a refresh looks inside.
        let times = fs::FileTimes::new().set_modified(fs::metadata(&path).unwrap().modified().unwrap());
        fs::write(&path, "one-key-B").unwrap();
        fs::File::options().write(true).open(&path).unwrap().set_times(times).unwrap();
        assert_eq!(key(&source, Refresh::No), "one-key-A");
        assert_eq!(key(&source, Refresh::Yes), "one-key-B");
        fs::remove_file(&path).unwrap();
    }
}
