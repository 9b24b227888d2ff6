//! The tasks of this workspace: `cargo xtask <task>`.

mod codegen;
mod command;
mod dev;
mod package;
mod test;
mod tools;

use std::{env, process::ExitCode};

use command::Failure;

const HELP: &str = "\
cargo xtask dev                run the gateway with an embedded Autoshares sandbox, on loopback
cargo xtask test               run every check; install what it needs and lacks
cargo xtask codegen            write openapi/gateway.json from the route table
cargo xtask codegen --check    write nothing; say what is stale, exit 4
";

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match arguments[..] {
        ["dev"] => dev::run(),
        ["test"] => test::run(),
        ["codegen"] => codegen::write(),
        ["codegen", "--check"] => codegen::check(),
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
