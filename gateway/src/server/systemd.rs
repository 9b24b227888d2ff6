//! Tells the service manager how far the gateway is, where one listens (`NOTIFY_SOCKET`): ready, reloading, stopping, and alive. Nothing of it can
//! fail in a way that an operator could mend here, so failures are passed over.

use std::time::Duration;

use sd_notify::{NotifyState, notify};
use tokio::time::interval;

/// The gateway serves requests.
pub fn ready() {
    let _ = notify(&[NotifyState::Ready]);
}

/// The gateway reads its settings anew; [`ready`] follows.
pub fn reloading() {
    if let Ok(now) = NotifyState::monotonic_usec_now() {
        let _ = notify(&[NotifyState::Reloading, now]);
    }
}

/// The gateway stops, which may take so long.
pub fn stopping(deadline: Duration) {
    let deadline = u32::try_from(deadline.as_micros()).unwrap_or(u32::MAX);
    let _ = notify(&[NotifyState::Stopping, NotifyState::ExtendTimeoutUsec(deadline)]);
}

/// Says again and again that the thread that serves requests is alive, twice as often as the service manager wants to hear it.
pub async fn watchdog() {
    let Some(patience) = sd_notify::watchdog_enabled().filter(|patience| !patience.is_zero()) else { return };
    let mut beat = interval(patience / 2);
    loop {
        beat.tick().await;
        let _ = notify(&[NotifyState::Watchdog]);
    }
}
