//! Shows which keys and which certificate the gateway uses: a few digits of a hash, with which replicas can be compared, and how old they are.

use std::{
    fs,
    path::Path,
    time::{SystemTime, UNIX_EPOCH},
};

use autoshares_sdk::AppKey;
use sha2::{Digest, Sha256};
use tracing::info;

use crate::{app::App, telemetry::metrics::Metrics};

/// The file of the application key, whose content the SDK follows by itself.
const APP_KEY: (&str, &str) = ("app_key", "upstream.app_key_file");
/// The files whose content is part of the settings, and the settings that name them.
const IN_FORCE: [(&str, &str); 2] =
    [("flow_keys", "flow.keys_file"), ("tls_certificate", "tls.certificate_file")];

/// The fingerprints that were shown last.
#[derive(Debug, Default)]
pub struct Shown {
    app_key: Option<String>,
    in_force: [Option<String>; IN_FORCE.len()],
}

impl Shown {
    /// Shows what has changed. Blocks while it reads the file of the application key.
    pub fn look(&mut self, app: &App) {
        let (effective, metrics) = (app.effective(), &app.watched().report.metrics);
        let (kind, setting) = APP_KEY;
        // What is no key changes nothing: the SDK goes on with the one before.
        if let Some((path, _)) = effective.file_of(setting)
            && let Ok(text) = fs::read_to_string(&path)
            && AppKey::new(&*text).is_ok()
            && show(kind, &path, &Sha256::digest(text.trim()), &mut self.app_key, metrics)
        {
            info!(fingerprint = self.app_key, "the file of the application key has changed");
        }
        for ((kind, setting), shown) in IN_FORCE.into_iter().zip(&mut self.in_force) {
            match effective.file_of(setting) {
                Some((path, Some(hash))) => drop(show(kind, &path, &hash, shown, metrics)),
                _ => shown.take().into_iter().for_each(|shown| metrics.no_key_file(kind, shown)),
            }
        }
        metrics.certificate_ends(app.certificate_ends());
    }
}

/// Shows a few digits of a hash of what a file holds: too few to find a key by, and enough to tell two apart. Whether they take the place of others.
fn show(kind: &'static str, path: &Path, hash: &[u8], shown: &mut Option<String>, metrics: &Metrics) -> bool {
    let fingerprint: String = hash.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
    if shown.as_ref() == Some(&fingerprint) {
        return false;
    }
    let modified =
        fs::metadata(path).and_then(|metadata| metadata.modified()).unwrap_or(SystemTime::UNIX_EPOCH);
    let modified = modified.duration_since(UNIX_EPOCH).unwrap_or_default();
    let older = shown.replace(fingerprint.clone());
    let is_another = older.is_some();
    metrics.key_file(kind, older, fingerprint, modified.as_secs());
    is_another
}
