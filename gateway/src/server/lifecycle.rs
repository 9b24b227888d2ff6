//! Start and stop: both listeners, until the process is told to stop and every request has its reply.

use std::{error::Error, sync::Arc, time::Duration};

use tokio::{
    signal::unix::{SignalKind, signal},
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::{
    Connections, Entrance, Header, Listener, Load, Most, Patience, Stop, admin, listener::MAX_OPERATORS,
    reload, systemd,
};
use crate::{
    app::App,
    build_info::{COMMIT, VERSION},
    config,
    http::edge::BODY_DEADLINE,
};

/// How long the gateway waits for a first request before it looks by itself whether Autoshares answers, so that a wrong address shows.
const LOOK_AFTER: Duration = Duration::from_secs(10);

/// Descriptors for everything but clients: the log, Redis, operators, files that are read.
const OTHER_DESCRIPTORS: usize = 100;

/// How long a connection of operators may be idle: longer than their tools wait between two looks, commonly.
const OPERATORS_IDLE: Duration = Duration::from_secs(75);

/// Serves until SIGTERM or SIGINT, then lets requests under way end. Operators can look in until the last of them has its reply. A further signal
/// ends the delay of the stop, and one after that ends requests at once. With `load`, it follows the settings, and reads them anew at a SIGHUP.
///
/// # Errors
///
/// When a socket or a signal handler fails.
pub async fn run(
    public: Listener,
    admin: Listener,
    app: Arc<App>,
    load: Option<Load>,
    (settings, stop_delay): (config::Connections, Duration),
) -> Result<(), Box<dyn Error>> {
    let (stop_public, stop_admin) = (Stop::new(), Stop::new());
    let (router, watched, steps) = (app.public(), app.watched(), app.steps());
    let following = match load {
        Some(load) => Some(tokio::spawn(reload::follow(Arc::clone(&app), load, reload::hangups()?))),
        None => None,
    };
    // Before anybody is told that the gateway listens, for they may tell it to stop at once.
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let effective = app.effective();
    info!(
        listen = %public.address(),
        admin_listen = %admin.address(),
        public_origin = app.public_origin().text,
        version = VERSION,
        commit = COMMIT,
        https = app.entrance().tls.is_some(),
        autoshares = effective.host("upstream.base_url"),
        store = effective.host("store.url"),
        binding = effective.host("flow.binding"),
        "listening"
    );
    let health = watched.report.health.clone();
    // Not as long as clients' may be, or monitors that never hang up would keep others out.
    let most = Most { all: MAX_OPERATORS, per_network: MAX_OPERATORS };
    let connections = app.connections(room(settings));
    let operators = Connections::of_operators(most, &connections);
    let patience = Patience::new(OPERATORS_IDLE);
    // Without TLS; the balancer that sends PROXY headers to clients' listener sends them with its health checks too.
    let asked = Arc::clone(&app);
    let entrance = move || Entrance { tls: None, header: Header::Optional, ..asked.entrance() };
    let operators =
        admin.serve(admin::routes(Arc::clone(&app)), stop_admin.clone(), patience, operators, entrance);
    let operators = tokio::spawn(operators);
    let (stopping, stop_at_once) = (stop_public.clone(), CancellationToken::new());
    let (at_once, stopped) = (stop_at_once.clone(), Arc::clone(&app));
    tokio::spawn(async move {
        let is_asked_by_person = tokio::select! {
            _ = terminate.recv() => false,
            _ = interrupt.recv() => true,
        };
        health.drain();
        let upstream_timeout = stopped.upstream_timeout();
        // Longer than the slowest request that still comes to a reply.
        let deadline = BODY_DEADLINE + upstream_timeout + Duration::from_secs(5);
        systemd::stopping(stop_delay + deadline + upstream_timeout + Duration::from_secs(10));
        // Whoever presses Ctrl-C has no load balancer that needs time.
        if !is_asked_by_person && !stop_delay.is_zero() {
            info!(
                delay_s = stop_delay.as_secs_f64(),
                "stopping: serving on until load balancers have noticed"
            );
            tokio::select! {
                () = sleep(stop_delay) => {}
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        }
        info!(deadline_s = deadline.as_secs(), "stopping: finishing requests under way");
        stopping.graceful_shutdown(Some(deadline));
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        stopping.shutdown();
        at_once.cancel();
    });
    systemd::ready();
    let watchdog = tokio::spawn(systemd::watchdog());
    let looking = Arc::clone(&steps);
    let look = tokio::spawn(async move {
        sleep(LOOK_AFTER).await;
        looking.look().await;
    });
    let asked = Arc::clone(&app);
    let entrance = move || asked.entrance();
    public.serve(router, stop_public, Patience::new(settings.idle), connections, entrance).await?;
    look.abort();
    following.inspect(tokio::task::JoinHandle::abort);
    steps.behind().close();
    let under_way = tokio::select! {
        waited = timeout(app.upstream_timeout() + Duration::from_secs(2), steps.behind().wait()) => waited.is_err(),
        () = stop_at_once.cancelled() => !steps.behind().is_empty(),
    };
    if under_way {
        warn!("stopping although calls to Autoshares are still under way");
    }
    stop_admin.graceful_shutdown(Some(Duration::from_secs(1)));
    operators.await??;
    watchdog.abort();
    // Their lines say so too: they may have reached Autoshares.
    let cut = app.watched().report.metrics.requests_cut();
    info!(cut, "stopped");
    Ok(())
}

/// How many connections there is room for: as many as are set, and half of the descriptors that the process may open, for each may need one to
/// Autoshares.
fn room(settings: config::Connections) -> Most {
    let wanted = usize::try_from(settings.max).unwrap_or(usize::MAX);
    let needed = (2 * wanted + OTHER_DESCRIPTORS) as u64;
    // A sandbox may forbid to raise the limit.
    let soft = || rlimit::getrlimit(rlimit::Resource::NOFILE).map(|(soft, _)| soft);
    let descriptors = rlimit::increase_nofile_limit(needed).or_else(|_| soft()).unwrap_or(1024);
    let descriptors = usize::try_from(descriptors).unwrap_or(usize::MAX);
    let all = wanted.min(descriptors.saturating_sub(OTHER_DESCRIPTORS) / 2).max(1);
    if all < wanted {
        warn!(
            connections = all,
            descriptors,
            "the process may not open enough descriptors for `connections.max`: raise the limit (LimitNOFILE, ulimit -n)"
        );
    }
    Most { all, per_network: usize::try_from(settings.max_per_network).unwrap_or(usize::MAX) }
}
