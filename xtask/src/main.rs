//! The tasks of this workspace: `cargo xtask <task>`.

mod attack;
mod bench;
mod codegen;
mod command;
mod dev;
mod package;
mod price;
mod release;
mod test;
mod tools;

use std::{env, process::ExitCode};

use command::Failure;

const HELP: &str = "\
cargo xtask dev                run the gateway with an embedded Autoshares sandbox, on loopback
cargo xtask test               run every check; install what it needs and lacks
cargo xtask codegen            write openapi/gateway.json from the route table, and the schema of the audit trail
cargo xtask codegen --check    write nothing; say what is stale, exit 4
cargo xtask attack             attack the gateway, and nginx for comparison, on loopback; prints a table
cargo xtask bench              measure start, memory, the price of guarding, and what a user of the SDK pays to build
cargo xtask release-check      before the SDK is published: its surface, its dependencies, its compatibility, its package
            --accept-surface   the public surface as it is now has been reviewed
";

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match arguments[..] {
        ["dev"] => dev::run(),
        ["test"] => test::run(),
        ["codegen"] => codegen::write(),
        ["codegen", "--check"] => codegen::check(),
        ["attack"] => attack::run_all(),
        ["bench"] => price::measure().and_then(|()| bench::measure()),
        ["release-check"] => release::check(false),
        ["release-check", "--accept-surface"] => release::check(true),
        ["help" | "--help" | "-h"] => {
            print!("{HELP}");
            Ok(())
        }
        _ => {
            eprint!("{HELP}");
            return ExitCode::from(2);
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure { text, code }) => {
            eprintln!("xtask: {text}");
            ExitCode::from(code)
        }
    }
}
