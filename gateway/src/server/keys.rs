//! Shows which keys and which certificate the gateway uses: a few digits of a hash, with which replicas can be compared, and how old they are.

use std::{fs, time::UNIX_EPOCH};

use sha2::{Digest, Sha256};
use tracing::info;

use crate::app::App;

/// What the files hold, and the settings that name them.
const KEYS: [(&str, &str); 3] = [
    ("app_key", "upstream.app_key_file"),
    ("flow_keys", "flow.keys_file"),
    ("tls_certificate", "tls.certificate_file"),
];

/// The fingerprints that were shown last.
#[derive(Debug, Default)]
pub struct Shown([Option<String>; KEYS.len()]);

impl Shown {
    /// Looks at the files, and shows what has changed. Blocks while it reads them.
    pub fn look(&mut self, app: &App) {
        let (effective, metrics) = (app.effective(), &app.watched().report.metrics);
        for ((kind, setting), shown) in KEYS.into_iter().zip(&mut self.0) {
            // A file that is gone for a moment changes nothing: the gateway goes on with what stood in it.
            let Some(path) = effective.file_of(setting) else { continue };
            let Ok(bytes) = fs::read(&path) else { continue };
            let fingerprint = fingerprint(kind, bytes.trim_ascii());
            if shown.as_ref() == Some(&fingerprint) {
                continue;
            }
            let modified = fs::metadata(&path).and_then(|metadata| metadata.modified()).ok();
            let modified = modified.and_then(|modified| modified.duration_since(UNIX_EPOCH).ok());
            let older = shown.replace(fingerprint.clone());
            let is_another = older.is_some();
            metrics.key_file(kind, older, fingerprint.clone(), modified.unwrap_or_default().as_secs());
            if is_another && kind == "app_key" {
                info!(fingerprint, "the file of the application key has changed");
            }
        }
        metrics.certificate_ends(app.certificate_ends());
    }
}

/// Eight digits: too few to find a key by, and enough to tell two apart.
fn fingerprint(kind: &str, bytes: &[u8]) -> String {
    let hash = Sha256::new_with_prefix(kind).chain_update([0]).chain_update(bytes).finalize();
    hash.iter().take(4).map(|byte| format!("{byte:02x}")).collect()
}
