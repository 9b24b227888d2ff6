//! The command line.

use std::{
    net::{IpAddr, SocketAddr},
    process::ExitCode,
};

use autoshares_gateway::{
    build_info,
    commands::{self, Settings, check, config, dev, explain_ip, health, keygen, openapi, risk, serve},
    config::Faults,
    error_chain::chain,
    server::EVENT_INTERVAL,
    telemetry,
};
use axum::http::{HeaderName, HeaderValue};
use clap::{Parser, Subcommand};
use tikv_jemallocator::Jemalloc;

#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

/// Password reset for Autoshares without a key in the browser.
#[derive(Parser)]
#[command(version = build_info::version_and_commit(), arg_required_else_help = true, after_long_help = commands::settings_help())]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the gateway in front of Autoshares.
    Serve(Settings),
    /// Try it: gateway and an embedded Autoshares on loopback, without any configuration.
    Dev {
        /// A setting, such as `flow.binding=prefer`; overrides the environment. Not upstream.* and store.*.
        #[arg(long, value_name = "KEY=VALUE")]
        set: Vec<String>,
    },
    /// Check the configuration and say everything that is wrong with it.
    Check {
        #[command(flatten)]
        settings: Settings,
        /// Also ask Autoshares for the question of a trader that does not exist, to see whether it takes the key, and the store whether it can be used.
        #[arg(long)]
        probe: bool,
    },
    /// Ask the gateway that runs with these settings whether it lives, for the probes of containers.
    Health {
        #[command(flatten)]
        settings: Settings,
        /// The admin listener's address, where the settings have changed since the gateway began.
        #[arg(long)]
        address: Option<SocketAddr>,
        /// Ask whether it wants requests instead.
        #[arg(long)]
        ready: bool,
    },
    /// Print the settings that are in force, each with its origin and without secrets.
    Config {
        #[command(flatten)]
        settings: Settings,
        /// A document about all settings instead.
        #[arg(long, value_name = "DOCUMENT")]
        about: Option<config::About>,
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
        #[arg(long, value_name = "NAME: VALUE", value_parser = explain_ip::header)]
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

fn main() -> ExitCode {
    let command = CommandLine::parse().command;
    // One thread: a reset is rare and short, and a runtime of many costs half as much processor time again per request.
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.event_interval(EVENT_INTERVAL).enable_all().build();
    let outcome = runtime.map_err(Into::into).and_then(|runtime| runtime.block_on(run(command)));
    telemetry::flush();
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("autoshares-gateway: {}", chain(&*error));
            ExitCode::from(if error.is::<Faults>() { 2 } else { 1 })
        }
    }
}

async fn run(command: Command) -> commands::Outcome {
    match command {
        Command::Serve(settings) => serve::run(settings).await,
        Command::Dev { set } => dev::run(&set).await,
        Command::Check { settings, probe } => check::run(settings, probe).await,
        Command::Health { settings, address, ready } => health::run(&settings, address, ready),
        Command::Config { settings, about } => config::run(&settings, about),
        Command::Risk(settings) => risk::run(&settings),
        Command::Keygen => keygen::run(),
        Command::ExplainIp { peer, header, settings } => explain_ip::run(peer, header, &settings),
        Command::Openapi { audit } => openapi::run(audit),
    }
}
