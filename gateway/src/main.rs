//! The command line, then: settings, logs, app, listen, drain.

use std::{env, error::Error, net::IpAddr, path::PathBuf, process::ExitCode, sync::Arc, time::Duration};

use autoshares_gateway::{
    api::openapi,
    app::{self, Parts},
    commands::dev::Dev,
    commands::risk::Odds,
    config::{self, Config, Faults, PublicOrigin, Sources},
    flow::key_ring::Secrets,
    guard::Guard,
    http::client_address::ClientAddress,
    http::edge::BODY_DEADLINE,
    http::problem,
    server::admin,
    server::{Listener, MAX_CLIENTS, MAX_OPERATORS, Stop},
    telemetry,
    telemetry::audit,
};
use autoshares_sdk::{Client, ErrorKind, Login, RefusalShape};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use clap::{Args, Parser, Subcommand};
use tokio::signal::unix::{SignalKind, signal};
use tracing::{info, warn};

/// Password reset for Autoshares without a key in the browser.
#[derive(Parser)]
#[command(version, arg_required_else_help = true, after_long_help = settings_help())]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the gateway in front of Autoshares.
    Serve(Settings),
    /// Try it: gateway and an embedded Autoshares on loopback, without any configuration.
    Dev,
    /// Check the configuration and say everything that is wrong with it.
    Check {
        #[command(flatten)]
        settings: Settings,
        /// Also ask Autoshares for the question of a trader that does not exist, to see whether it takes the key, and write to the store.
        #[arg(long)]
        probe: bool,
    },
    /// Print how likely it is that a stranger takes an account over, with the arithmetic.
    Risk(Settings),
    /// Print a new key file for `flow.keys_file`. Keep it secret: `autoshares-gateway keygen | install -m 600 /dev/stdin FILE`.
    Keygen,
    /// Explain which client address is believed for given headers.
    ExplainIp {
        /// The address that the connection came from.
        #[arg(long, value_name = "ADDRESS")]
        peer: IpAddr,
        /// A header of the request, such as `X-Forwarded-For: 192.0.2.1`; may be repeated.
        #[arg(long, value_name = "NAME: VALUE", value_parser = header)]
        header: Vec<(HeaderName, HeaderValue)>,
        #[command(flatten)]
        settings: Settings,
    },
    /// Print the gateway's own OpenAPI document, or with --audit the JSON Schema of the audit trail.
    Openapi {
        /// The JSON Schema of the audit trail instead.
        #[arg(long)]
        audit: bool,
    },
}

fn header(text: &str) -> Result<(HeaderName, HeaderValue), String> {
    let (name, value) = text.split_once(':').ok_or("expected `Name: value`")?;
    let name = name.trim().parse().map_err(|_| "the name is no header name")?;
    let value = value.trim().parse().map_err(|_| "the value is no header value")?;
    Ok((name, value))
}

#[derive(Args)]
struct Settings {
    /// A TOML file with settings.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// A setting, such as `listen=127.0.0.1:8081`; overrides environment and file. Not for secrets.
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
}

/// Every setting, and what the exit status says.
fn settings_help() -> String {
    let rows = config::SETTINGS.iter().map(|setting| {
        let config::Setting { key, variable, default, .. } = setting;
        format!("  {key:<27} {variable:<35} {default}\n")
    });
    format!(
        "Settings (key in the TOML file and for --set, environment variable, default):\n{}\n\
        Exit status: 0 for success, 2 for a bad configuration or command line, 1 for anything else.",
        rows.collect::<String>()
    )
}

impl Settings {
    fn sources(&self) -> Sources<'_> {
        Sources { file: self.config.as_deref(), set: &self.set }
    }

    fn load(&self) -> Result<Config, Faults> {
        config::load(&self.sources(), variable)
    }
}

fn variable(name: &str) -> Option<String> {
    env::var_os(name).map(|text| text.to_string_lossy().into_owned())
}

fn main() -> ExitCode {
    let command = CommandLine::parse().command;
    // One thread: a reset is rare and short, and a runtime of many costs half as much processor time again per request.
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().on_thread_park(telemetry::flush).build();
    let outcome = runtime.map_err(Into::into).and_then(|runtime| runtime.block_on(run(command)));
    telemetry::flush();
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("autoshares-gateway: {}", problem::chain(&*error));
            ExitCode::from(if error.is::<Faults>() { 2 } else { 1 })
        }
    }
}

async fn run(command: Command) -> Result<(), Box<dyn Error>> {
    match command {
        Command::Serve(settings) => {
            let config = settings.load()?;
            telemetry::init(config.log);
            for warning in &config.warnings {
                warn!("{warning}");
            }
            let public = Listener::bind(config.listen)?;
            let admin = Listener::bind(config.admin_listen)?;
            let (timeout, listen) = (config.timeout, config.listen);
            let mut parts = Parts::from(config);
            if parts.origin == PublicOrigin::localhost(listen) {
                // Port 0 is known by now.
                parts.origin = PublicOrigin::localhost(public.address());
            }
            serve(public, admin, parts, timeout).await
        }
        Command::Dev => {
            telemetry::init(config::Log {
                json: Some(false),
                level: tracing::level_filters::LevelFilter::INFO,
            });
            let dev = Dev::start().await?;
            print!("{dev}");
            let origin = PublicOrigin::localhost(dev.public.address());
            let parts = Parts::with_defaults(dev.sandbox.client(), origin)?;
            serve(dev.public, dev.admin, parts, config::TIMEOUT_DEFAULT).await
        }
        Command::Check { settings, probe } => {
            let config = settings.load()?;
            for warning in &config.warnings {
                println!("warning: {warning}");
            }
            println!("the configuration is good");
            if probe {
                ask(&config.upstream).await?;
                ask_store(config).await?;
            }
            Ok(())
        }
        Command::Risk(settings) => {
            let (binding, limits) = config::bounds(&settings.sources(), variable)?;
            print!("{}", Odds::new(binding, limits));
            Ok(())
        }
        Command::Keygen => {
            print!("{}", Secrets::random().to_file());
            Ok(())
        }
        Command::ExplainIp { peer, header, settings } => {
            let trusted = config::trusted_proxies(&settings.sources(), variable)?;
            let mut headers = HeaderMap::new();
            for (name, value) in header {
                headers.append(name, value);
            }
            let (client, steps) = ClientAddress::explain(peer, &headers, &trusted);
            for step in steps {
                println!("{}: {}", step.seen, step.verdict);
            }
            println!("client: {client}\ncounted under: {}", client.network());
            Ok(())
        }
        Command::Openapi { audit } => {
            print!("{}", if audit { audit::schema() } else { openapi::text() });
            Ok(())
        }
    }
}

/// Listens until SIGTERM or SIGINT, then drains. Operators can look in until the last request is done.
async fn serve(
    public: Listener,
    admin: Listener,
    parts: Parts,
    upstream_timeout: Duration,
) -> Result<(), Box<dyn Error>> {
    let (stop_public, stop_admin) = (Stop::new(), Stop::new());
    let origin = parts.origin.text.clone();
    let app::App { public: router, guard, metrics, health } = app::build(parts);
    // Before anybody is told that the gateway listens, for they may tell it to stop at once.
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    info!(listen = %public.address(), admin_listen = %admin.address(), public_origin = origin, "listening");
    let operators = admin::routes(metrics, Arc::clone(&health), guard);
    let operators = tokio::spawn(admin.serve(operators, stop_admin.clone(), MAX_OPERATORS));
    let stopping = stop_public.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        // Longer than the slowest request that still comes to an answer.
        let deadline = BODY_DEADLINE + upstream_timeout + Duration::from_secs(5);
        info!(deadline_s = deadline.as_secs(), "stopping: finishing requests under way");
        health.drain();
        stopping.graceful_shutdown(Some(deadline));
        // Told again: now.
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        stopping.shutdown();
    });
    public.serve(router, stop_public, MAX_CLIENTS).await?;
    stop_admin.graceful_shutdown(Some(Duration::from_secs(1)));
    operators.await??;
    info!("stopped");
    Ok(())
}

/// Any answer in an envelope, also a refusal, shows that Autoshares takes the key.
async fn ask(client: &Client) -> Result<(), Box<dyn Error>> {
    match client.fetch_question(&Login::new("autoshares-gateway-probe")).await {
        Ok(_) => println!("Autoshares answers and takes the key"),
        Err(error) if matches!(error.kind(), ErrorKind::Refused(refusal) if refusal.shape() == RefusalShape::Envelope) =>
        {
            println!("Autoshares answers and takes the key");
        }
        Err(error) => return Err(error.into()),
    }
    Ok(())
}

/// Whether the store can be written to, when there is one.
async fn ask_store(config: Config) -> Result<(), Box<dyn Error>> {
    if config.store.redis.is_none() {
        return Ok(());
    }
    let guard = Guard::new(&config.store, config.limits, &Arc::default(), Arc::default(), &Arc::default());
    guard.probe_store().await.map_err(|reason| {
        format!("the store cannot be written to: {reason}; check store.url, its password and its permissions")
    })?;
    println!("the store can be written to");
    Ok(())
}
