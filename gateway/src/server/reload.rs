//! Follows the settings while the gateway runs: it looks at the content of the file and of the files that it names, and reads them anew when
//! they have changed, or at a SIGHUP. Settings that are not valid change nothing, and are told.

use std::{fs, io, path::PathBuf, sync::Arc, time::Duration};

use sha2::{Digest, Sha256};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    task::spawn_blocking,
    time::{MissedTickBehavior, interval},
};
use tracing::{error, info, warn};

use super::{keys::Shown, systemd};
use crate::{
    app::App,
    config::{Change, Config, Faults},
};

/// How often the gateway looks. A content that two looks in a row have found is whole: whoever writes a file in place takes less time.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Reads the settings anew.
pub type Load = Arc<dyn Fn() -> Result<Config, Faults> + Send + Sync>;

/// The content of each file, as a hash; `None` for one that cannot be read.
type Content = Vec<Option<[u8; 32]>>;

/// Catches SIGHUP from now on, which ends a process that does not.
///
/// # Errors
///
/// When the system refuses the handler.
pub fn hangups() -> io::Result<Signal> {
    signal(SignalKind::hangup())
}

/// Follows the settings until the task is dropped.
pub async fn follow(app: Arc<App>, load: Load, mut hangups: Signal) {
    let mut look = interval(LOOK_EVERY);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut shown = show(&app, Shown::default()).await;
    let mut followed = content(app.effective().files()).await;
    let mut last = followed.clone();
    loop {
        let is_asked = tokio::select! {
            _ = hangups.recv() => true,
            _ = look.tick() => false,
        };
        shown = show(&app, shown).await;
        let now = content(app.effective().files()).await;
        if is_asked || now != followed && now == last {
            reload(&app, &load, is_asked).await;
            // Other settings may name other files.
            followed = content(app.effective().files()).await;
            last = followed.clone();
        } else {
            last = now;
        }
    }
}

/// Shows which keys are in use.
async fn show(app: &Arc<App>, mut shown: Shown) -> Shown {
    let app = Arc::clone(app);
    let look = move || {
        shown.look(&app);
        shown
    };
    spawn_blocking(look).await.unwrap_or_default()
}

/// Reads the settings, and puts them in force if they are valid.
async fn reload(app: &Arc<App>, load: &Load, is_asked: bool) {
    let report = app.watched().report;
    let note = |valid: bool| {
        report.health.set_settings_valid(valid);
        report.metrics.settings(valid);
    };
    systemd::reloading();
    let loading = Arc::clone(load);
    let Ok(loaded) = spawn_blocking(move || loading()).await else { return systemd::ready() };
    match loaded {
        Err(faults) => {
            note(false);
            systemd::ready();
            error!(
                faults = faults.one_line(),
                "the settings have changed and are not valid: the old ones stay in force"
            );
        }
        Ok(config) => {
            let warnings = config.warnings.clone();
            let changes = app.follow(config);
            systemd::ready();
            note(true);
            if changes.is_empty() && !is_asked {
                return;
            }
            for warning in warnings {
                warn!("{warning}");
            }
            tell(&changes);
        }
    }
}

fn tell(changes: &[Change]) {
    let told = |needs_restart: bool| {
        let of_kind = changes.iter().filter(|change| change.needs_restart == needs_restart);
        of_kind.map(|change| format!("{}: {}", change.key, change.told)).collect::<Vec<_>>().join("; ")
    };
    let (followed, waiting) = (told(false), told(true));
    if !waiting.is_empty() {
        warn!(changed = waiting, "these settings take effect at the next start");
    }
    if !followed.is_empty() {
        info!(changed = followed, "the settings have changed and are in force");
    }
    if changes.is_empty() {
        info!("the settings were read again, and nothing has changed");
    }
}

/// Off the thread that serves requests, for a disk may be slow.
async fn content(files: Vec<PathBuf>) -> Content {
    let hash = |path: &PathBuf| fs::read(path).ok().map(|bytes| Sha256::digest(bytes).into());
    spawn_blocking(move || files.iter().map(hash).collect()).await.unwrap_or_default()
}
