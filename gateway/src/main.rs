//! The command line, then: settings, logs, app, listen, drain.

use std::{env, error::Error, path::PathBuf, process::ExitCode, sync::Arc, time::Duration};

use autoshares_gateway::{
    admin, app,
    config::{self, Config, Faults, PublicOrigin, Sources},
    dev::Dev,
    edge::BODY_DEADLINE,
    metrics::Metrics,
    openapi, problem,
    server::{Listener, MAX_CLIENTS, MAX_OPERATORS, Stop},
    telemetry,
};
use autoshares_sdk::{Client, ErrorKind, Login, RefusalShape};
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
        /// Also ask Autoshares for the question of a trader that does not exist, to see whether it takes the key.
        #[arg(long)]
        probe: bool,
    },
    /// Print the gateway's own OpenAPI document.
    Openapi,
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
        format!("  {key:<22} {variable:<24} {default}\n")
    });
    format!(
        "Settings (key in the TOML file and for --set, environment variable, default):\n{}\n\
        Exit status: 0 for success, 2 for a bad configuration or command line, 1 for anything else.",
        rows.collect::<String>()
    )
}

impl Settings {
    fn load(&self) -> Result<Config, Faults> {
        let sources = Sources { file: self.config.as_deref(), set: &self.set };
        config::load(&sources, |name| env::var_os(name).map(|text| text.to_string_lossy().into_owned()))
    }
}

fn main() -> ExitCode {
    let command = CommandLine::parse().command;
    // One thread: a reset is rare and short, and a runtime of many costs half as much processor time again per request.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let outcome = runtime.map_err(Into::into).and_then(|runtime| runtime.block_on(run(command)));
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
            serve(public, admin, config.upstream, &config.public_origin, config.timeout).await
        }
        Command::Dev => {
            telemetry::init(config::Log {
                json: Some(false),
                level: tracing::level_filters::LevelFilter::INFO,
            });
            let dev = Dev::start().await?;
            print!("{dev}");
            let origin = PublicOrigin::localhost(dev.public.address());
            serve(dev.public, dev.admin, dev.sandbox.client(), &origin, config::TIMEOUT_DEFAULT).await
        }
        Command::Check { settings, probe } => {
            let config = settings.load()?;
            for warning in &config.warnings {
                println!("warning: {warning}");
            }
            println!("the configuration is good");
            if probe { ask(&config.upstream).await } else { Ok(()) }
        }
        Command::Openapi => {
            print!("{}", openapi::text());
            Ok(())
        }
    }
}

/// Listens until SIGTERM or SIGINT, then drains. Operators can look in until the last request is done.
async fn serve(
    public: Listener,
    admin: Listener,
    client: Client,
    origin: &PublicOrigin,
    upstream_timeout: Duration,
) -> Result<(), Box<dyn Error>> {
    let metrics = Arc::new(Metrics::default());
    let (stop_public, stop_admin) = (Stop::new(), Stop::new());
    let router = app::public(&client, origin, Arc::clone(&metrics));
    // Before anybody is told that the gateway listens, for they may tell it to stop at once.
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    info!(listen = %public.address(), admin_listen = %admin.address(), public_origin = origin.text, "listening");
    let operators = admin::routes(Arc::clone(&metrics));
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
        metrics.drain();
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
