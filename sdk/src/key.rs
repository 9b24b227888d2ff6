//! The sources of the application key. The SDK reads the key from its source before every attempt, so that an operator can replace it
//! without restarting the service.

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

/// Where the SDK gets the application key from: a fixed value, an environment variable, a file, or code of your own.
///
/// When Autoshares rejects the key, the SDK reads the source again with [`Refresh::Yes`], and sends the call once more if that
/// gives another key.
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

/// Tells a custom source whether it may return a cached application key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refresh {
    /// A cached key is good enough.
    No,
    /// Autoshares has just rejected the key that the source returned last, so the source should fetch it anew.
    Yes,
}

/// Why a source has no application key to give. It ends up in the source chain of [`Error`](crate::Error), which services log,
/// so its text must not contain a key.
pub type KeyError = Box<dyn StdError + Send + Sync>;

/// A file that holds the application key, with the key as it was read last.
struct File {
    path: PathBuf,
    read: Mutex<Option<(Stamp, AppKey)>>,
}

/// Modification time, size and inode: a cheap way to notice that a file has changed without reading it.
type Stamp = (Option<SystemTime>, u64, u64);

impl AppKeySource {
    /// Uses one key for the life of the client. You can also pass the [`AppKey`] itself to
    /// [`ClientBuilder::app_key`](crate::ClientBuilder::app_key).
    pub fn fixed(key: AppKey) -> Self {
        Self(Source::Fixed(key))
    }

    /// Reads the key from an environment variable of this process before every attempt.
    pub fn environment(variable: impl Into<String>) -> Self {
        Self(Source::Environment(variable.into()))
    }

    /// Reads the key from a file, such as a mounted secret, and reads it again when the file changes. While the file is missing or
    /// holds no valid key, as happens for a moment when it is being replaced, the SDK keeps using the previous key.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self(Source::File(Arc::new(File { path: path.into(), read: Mutex::new(None) })))
    }

    /// Gets the key from code of your own, such as a client of a vault. The SDK calls `provide` before every attempt, so it should
    /// cache the key; when called with [`Refresh::Yes`], it should bypass its cache. The time it takes counts towards the timeout
    /// of the call.
    pub fn custom<F, R>(provide: F) -> Self
    where
        F: Fn(Refresh) -> R + Send + Sync + 'static,
        R: Future<Output = Result<AppKey, KeyError>> + Send + 'static,
    {
        Self(Source::Custom(Arc::new(move |refresh| Box::pin(provide(refresh)))))
    }

    pub(crate) async fn key(&self, refresh: Refresh) -> Result<AppKey, KeyError> {
        match &self.0 {
            Source::Custom(provide) => provide(refresh).await,
            _ => self.key_at_hand(refresh),
        }
    }

    /// Tries the source when a client is built, so that a missing key is reported at start and not with the first call. A custom
    /// source is not tried, because it may have to wait for another service, and building a client does not wait.
    pub(crate) fn check(&self) -> Result<(), KeyError> {
        match &self.0 {
            Source::Custom(_) => Ok(()),
            _ => self.key_at_hand(Refresh::No).map(drop),
        }
    }

    /// The key of a source that can be read at once.
    pub(crate) fn key_now(&self) -> Option<AppKey> {
        match &self.0 {
            Source::Custom(_) => None,
            _ => self.key_at_hand(Refresh::No).ok(),
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
    /// Blocks the thread while it looks at the file; for a small file that takes less time than handing the work to another thread.
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
                // If the file's metadata could not be read, nothing is cached, and the next attempt reads the file again.
                *read = stamp.ok().map(|stamp| (stamp, key.clone()));
                Ok(key)
            }
            // A file is often empty or gone for a moment while it is replaced.
            Err(error) => match &mut *read {
                Some((known, key)) => {
                    // Remembers that this version of the file was looked at: it is not read, and not warned about, a second time.
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
    format!("cannot be read: {error}").into()
}

fn stamp(path: &Path) -> io::Result<Stamp> {
    let metadata = fs::metadata(path)?;
    Ok((metadata.modified().ok(), metadata.len(), inode(&metadata)))
}

/// Kubernetes replaces a mounted secret by linking to another file, which may have the same modification time and size. Only the
/// inode then shows that the file has changed.
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
        // The new content leaves size, inode and modification time as they were, so only a refresh can notice it.
        let times = fs::FileTimes::new().set_modified(fs::metadata(&path).unwrap().modified().unwrap());
        fs::write(&path, "one-key-B").unwrap();
        fs::File::options().write(true).open(&path).unwrap().set_times(times).unwrap();
        assert_eq!(key(&source, Refresh::No), "one-key-A");
        assert_eq!(key(&source, Refresh::Yes), "one-key-B");
        fs::remove_file(&path).unwrap();
    }
}
