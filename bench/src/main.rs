//! Measures the gateway beside what one would use in its place, on loopback, with one core for each server and another one for the load. Run it
//! with `cargo xtask bench`, which builds it and the gateway and installs the peers; `docs/performance.md` holds and explains the results.

#![allow(clippy::disallowed_methods, reason = "a benchmark measures how long things really take")]

mod consumer;
mod failure;
mod growth;
mod instructions;
mod load;
mod peers;
mod sdk;
mod server;
mod start;
mod training;
mod workshop;

use std::{fs, path::PathBuf, process::ExitCode};

use clap::{Parser, ValueEnum};
use serde_json::{Map, Value, json};

use failure::Failure;
use workshop::Workshop;

/// Measures the gateway beside its peers.
#[derive(Parser)]
#[command(name = "cargo xtask bench")]
struct Arguments {
    /// Measures only these parts
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Part>,
    /// How many rounds; each measures every server once, so that other work on the machine disturbs all alike
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// How many seconds each server is measured in a round
    #[arg(long, default_value_t = 3)]
    seconds: u64,
    /// Of the servers beside their peers, measures only those with this in their names, and those to which they are compared
    #[arg(long, value_name = "PART OF A NAME")]
    servers: Option<String>,
    /// Writes the results to this file too
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Counts the instructions of a request instead, which repeats within a percent
    #[arg(long, conflicts_with_all = ["only", "json"])]
    callgrind: bool,
    /// Fails if they have risen by more than 5 % since they were recorded
    #[arg(long, requires = "callgrind")]
    check: bool,
    /// Records them
    #[arg(long, requires = "callgrind", conflicts_with = "check")]
    record: bool,
    /// Writes the functions that took most of them to standard output
    #[arg(long, requires = "callgrind")]
    functions: bool,
    /// The gateway's binary; by default that of a plain release build
    #[arg(long, value_name = "FILE", default_value_os_t = workshop::release("autoshares-gateway"))]
    gateway: PathBuf,
    /// Puts a load of every kind on the gateway, and measures nothing
    #[arg(long, conflicts_with_all = ["only", "json", "callgrind"])]
    train: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// The gateway beside nginx, HAProxy and others
    Peers,
    /// Cold start, memory and size of the gateway
    Start,
    /// What connections, logins and replicas cost
    Growth,
    /// A call of the SDK beside one of reqwest
    Sdk,
    /// The build of a crate that uses the SDK
    Consumer,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure(text)) => {
            eprintln!("bench: {text}");
            ExitCode::FAILURE
        }
    }
}

/// Measures, prints what it has found, and returns the figures.
type Measurement = fn(&Workshop, load::Effort<'_>) -> Result<Value, Failure>;

fn run(arguments: &Arguments) -> Result<(), Failure> {
    let workshop = Workshop::open(arguments.gateway.clone())?;
    if arguments.train {
        return training::run(&workshop);
    }
    if arguments.callgrind {
        let purpose = match arguments {
            Arguments { check: true, .. } => instructions::Purpose::Check,
            Arguments { record: true, .. } => instructions::Purpose::Record,
            _ => instructions::Purpose::Show,
        };
        return instructions::count(&workshop, purpose, arguments.functions);
    }
    let wants = |part| arguments.only.is_empty() || arguments.only.contains(&part);
    let mut results = Map::new();
    results.insert("machine".to_owned(), json!(workshop.machine));
    let effort = load::Effort {
        rounds: arguments.rounds,
        seconds: arguments.seconds,
        servers: arguments.servers.as_deref(),
    };
    let parts: [(Part, &str, Measurement); 5] = [
        (Part::Start, "start", start::measure),
        (Part::Peers, "peers", peers::measure),
        (Part::Sdk, "sdk", sdk::measure),
        (Part::Growth, "growth", growth::measure),
        (Part::Consumer, "consumer", consumer::measure),
    ];
    for (part, name, measure) in parts {
        if wants(part) {
            results.insert(name.to_owned(), measure(&workshop, effort)?);
        }
    }
    if let Some(file) = &arguments.json {
        let text = serde_json::to_string_pretty(&results).map_err(Failure::new)?;
        fs::write(file, text + "\n").map_err(Failure::new)?;
    }
    Ok(())
}
