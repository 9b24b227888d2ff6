//! Follows the settings while the gateway runs: it looks at the content of the file and of the files that it names, and reads them anew when
//! they have changed, or at a SIGHUP. Settings that are not valid change nothing, and are told.

use std::{io, sync::Arc, time::Duration};

use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    task::spawn_blocking,
    time::{MissedTickBehavior, interval},
};
use tracing::{error, info, warn};

use super::{keys::Shown, systemd};
use crate::{
    app::App,
    config::{Change, Config, Effective, Faults, Files},
};

/// How often the gateway looks. A content that two looks in a row have found is whole: whoever writes a file in place takes less time.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Reads the settings anew.
pub type Load = Arc<dyn Fn() -> Result<Config, Faults> + Send + Sync>;

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
    let mut loaded = Loaded::of(&app.effective());
    let mut last = None;
    loop {
        let is_asked = tokio::select! {
            _ = hangups.recv() => true,
            _ = look.tick() => false,
        };
        shown = show(&app, shown).await;
        let files = loaded.files.clone();
        // Off the thread that serves requests, for a disk may be slow.
        let now = spawn_blocking(move || files.look_again()).await.ok();
        if is_asked || now.as_ref() != Some(&loaded.files) && now == last {
            reload(&app, &load, &mut loaded, is_asked).await;
            shown = show(&app, shown).await;
            last = None;
        } else {
            last = now;
        }
    }
}

/// What was read last, whether it is in force or was found to be not valid.
struct Loaded {
    files: Files,
    /// The settings that stood in the file when it was valid last.
    in_file: Vec<&'static str>,
}

impl Loaded {
    fn of(effective: &Effective) -> Self {
        Self { files: effective.files().clone(), in_file: effective.in_file() }
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
async fn reload(app: &Arc<App>, load: &Load, loaded: &mut Loaded, is_asked: bool) {
    systemd::reloading();
    let loading = Arc::clone(load);
    let read = spawn_blocking(move || loading()).await;
    let refused = match read {
        Ok(Ok(config)) => {
            loaded.files = config.effective.files().clone();
            let in_file = config.effective.in_file();
            let gone: Vec<_> = loaded.in_file.iter().filter(|key| !in_file.contains(key)).copied().collect();
            if gone.is_empty() || is_asked {
                loaded.in_file = in_file;
                put_in_force(app, config, is_asked);
                None
            } else {
                Some(format!(
                    "{}: no longer in the file, as in one that is half written; if they were taken out on purpose, send SIGHUP",
                    gone.join(", ")
                ))
            }
        }
        Ok(Err(faults)) => {
            loaded.files = faults.files.clone();
            Some(faults.one_line())
        }
        // It has panicked, which the log tells.
        Err(_) => Some("they cannot be read".to_owned()),
    };
    systemd::ready();
    let report = app.watched().report;
    report.health.set_settings_valid(refused.is_none());
    report.metrics.settings(refused.is_none());
    if let Some(faults) = refused {
        error!(faults, "the settings have changed and are not valid: the old ones stay in force");
    }
}

fn put_in_force(app: &App, config: Config, is_asked: bool) {
    let warnings = config.warnings.clone();
    let changes = app.follow(config);
    if changes.is_empty() && !is_asked {
        return;
    }
    for warning in warnings {
        warn!("{warning}");
    }
    tell(&changes);
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
