//! The tasks of this workspace: `cargo xtask <task>`.

mod attack;
mod bad_days;
mod bench;
mod codegen;
mod command;
mod dev;
mod dist;
mod package;
mod release;
mod screenshots;
mod shipped;
mod simulate;
mod test;
mod tools;

use std::{env, process::ExitCode};

use command::Failure;

const HELP: &str = "\
cargo xtask dev                run the gateway with an embedded Autoshares sandbox, on loopback
            --set KEY=VALUE    with this setting, such as flow.binding=prefer
cargo xtask test               run every check, after installing the programs that the checks need
cargo xtask codegen            write openapi/gateway.json from the route table, and the JSON Schema of the audit trail
cargo xtask codegen --check    write nothing; name the documents that are out of date and exit with 4
cargo xtask screenshots        walk through the hosted page in Chromium, and write every screen in every state to target/screenshots
            FOLDER             or to this folder
cargo xtask attack             attack the gateway on loopback, and nginx for comparison, and print a table of the results
cargo xtask bad-days           break what the gateway depends on, and fill it with connections, while clients are served; write what they saw to
                               docs/operating.md
cargo xtask simulate --seeds N  run N simulated hours (100 by default), and print what attacks cost honest traders
            --first K          begin with this seed, to repeat one that failed
cargo xtask bench              measure the gateway beside nginx, HAProxy and others, and the SDK beside reqwest; --help lists what can be left out
            --json FILE        and write the figures to this file too
            --callgrind        count the instructions of a request instead
cargo xtask dist               build the gateway for operators: an archive with the binary, deploy/, documents, an SBOM and checksums
            --counts FOLDER    and optimize it by the counts of an earlier build, which gives the same bytes again
cargo xtask release-check      check the SDK before it is published: public API, dependencies, compatibility, package
            --accept-surface   record the present public API as reviewed
";

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match arguments[..] {
        ["dev", ref more @ ..] => dev::run(more),
        ["test"] => test::run(),
        ["codegen"] => codegen::write(),
        ["codegen", "--check"] => codegen::check(),
        ["screenshots"] => screenshots::take(None),
        ["screenshots", folder] => screenshots::take(Some(folder)),
        ["attack"] => attack::run_all(),
        ["bad-days"] => bad_days::run_all(),
        ["simulate"] => simulate::run("100", "1"),
        ["simulate", "--seeds", seeds] => simulate::run(seeds, "1"),
        ["simulate", "--seeds", seeds, "--first", first]
        | ["simulate", "--first", first, "--seeds", seeds] => simulate::run(seeds, first),
        ["simulate", "--first", first] => simulate::run("1", first),
        ["bench", ref more @ ..] => bench::run_with(more),
        ["dist"] => dist::build(None),
        ["dist", "--counts", file] => dist::build(Some(file)),
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
