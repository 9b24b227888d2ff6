//! How many instructions a request takes in user space, by valgrind's callgrind. Unlike times, they repeat: the check of the workspace compares
//! them with those in `bench/instructions.json`.
//!
//! Each count is the difference of two runs, one with more requests than the other, so that the start is not counted. valgrind knows fewer
//! instructions than newer processors have, those for SHA-2 among them, so that hashing weighs more here than it does in truth.

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    path::Path,
    process::Command,
};

use serde::{Deserialize, Serialize};

use crate::{
    failure::Failure,
    load::read,
    peers::{AMPLE, with_redis},
    server::{SERVER_CORE, Server, on_core, silent},
    workshop::{Workshop, free_address, release, root},
};

const RECORD: &str = "bench/instructions.json";
const RENEW: &str = "cargo xtask bench --callgrind --record";
const FEW: u32 = 200;
const MANY: u32 = 1200;
/// How much a count may rise.
const TOLERANCE: f64 = 1.05;

/// What becomes of the counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    Show,
    Check,
    Record,
}

/// The counts, and what they depend on.
#[derive(Serialize, Deserialize)]
struct Record {
    compiler: String,
    valgrind: String,
    counts: BTreeMap<String, u64>,
}

/// Counts, and prints a line for each path of a request.
pub(crate) fn count(workshop: &Workshop, purpose: Purpose, functions: bool) -> Result<(), Failure> {
    let mut counts = BTreeMap::new();
    let redis = workshop.redis()?;
    // Under valgrind all takes fifty times as long, and the store must not count as away.
    let mut in_redis = with_redis(workshop, &redis)?;
    in_redis.push("store.timeout=5s".to_owned());
    let owned = |settings: &[&str]| settings.iter().copied().map(str::to_owned).collect();
    let paths: [(&str, Vec<String>, &str); 4] = [
        ("proxied, limits off", owned(&["limits.enabled=false"]), "200"),
        ("proxied", owned(&AMPLE), "200"),
        ("proxied, Redis", in_redis, "200"),
        ("refused", owned(&["limits.resets_per_address=1/h"]), "429"),
    ];
    for (path, settings, status) in paths {
        let few = of_gateway(workshop, &settings, status, FEW)?;
        let many = of_gateway(workshop, &settings, status, MANY)?;
        let each = (many - few) / u64::from(MANY - FEW);
        println!("{path}: {each} instructions for a request");
        if functions {
            print_functions(workshop)?;
        }
        counts.insert(path.to_owned(), each);
    }
    if purpose == Purpose::Show {
        for client in ["sdk", "reqwest"] {
            let (few, many) = (of_calls(workshop, client, FEW)?, of_calls(workshop, client, MANY)?);
            println!("{client}: {} instructions for a call", (many - few) / u64::from(MANY - FEW));
            if functions {
                print_functions(workshop)?;
            }
        }
    }
    let line = |program: &str, argument: &str| -> Result<String, Failure> {
        Ok(read(Command::new(program).arg(argument))?.trim().to_owned())
    };
    let record =
        Record { compiler: line("rustc", "--version")?, valgrind: line("valgrind", "--version")?, counts };
    match purpose {
        Purpose::Show => Ok(()),
        Purpose::Check => check(&record),
        Purpose::Record => {
            let text = serde_json::to_string_pretty(&record).map_err(Failure::new)?;
            fs::write(root().join(RECORD), text + "\n").map_err(Failure::new)
        }
    }
}

/// Compares counts with the recorded ones, if those are of the same compiler.
fn check(now: &Record) -> Result<(), Failure> {
    let text = fs::read_to_string(root().join(RECORD)).map_err(Failure::new)?;
    let recorded: Record = serde_json::from_str(&text).map_err(Failure::new)?;
    if !recorded.counts.keys().eq(now.counts.keys()) {
        return Err(Failure(format!(
            "{RECORD} holds other paths of a request than are counted; record them: {RENEW}"
        )));
    }
    let mut risen = Vec::new();
    for ((path, before), now) in recorded.counts.iter().zip(now.counts.values().copied()) {
        let change = now as f64 / *before as f64;
        println!("{path}: {now}, recorded {before} ({:+.1} %)", (change - 1.0) * 100.0);
        if change > TOLERANCE {
            risen.push(path.as_str());
        }
    }
    if (&now.compiler, &now.valgrind) != (&recorded.compiler, &recorded.valgrind) {
        println!(
            "WARNING: not checked, for {RECORD} was recorded with {} and {}, and this is {} and {}; to record it anew: {RENEW}",
            recorded.compiler, recorded.valgrind, now.compiler, now.valgrind
        );
        return Ok(());
    }
    if risen.is_empty() {
        return Ok(());
    }
    Err(Failure(format!(
        "a request takes more than {:.0} % more instructions than recorded in {RECORD} ({}). `cargo xtask bench --callgrind --functions` \
         shows where; if the rise is worth it, record it: {RENEW}",
        (TOLERANCE - 1.0) * 100.0,
        risen.join("; ")
    )))
}

/// The instructions of a gateway from its start to its end, with so many requests in between.
fn of_gateway(workshop: &Workshop, settings: &[String], status: &str, requests: u32) -> Result<u64, Failure> {
    let address = free_address()?;
    let binary = under_callgrind(workshop, &workshop.binary);
    let server = Server::start(SERVER_CORE, workshop.gateway_on(binary, address, settings), address)?;
    let mut stream = BufReader::new(TcpStream::connect(address).map_err(Failure::new)?);
    stream.get_ref().set_nodelay(true).map_err(Failure::new)?;
    // The budget of the path that is refused allows one request.
    request(&mut stream)?;
    for _ in 1..requests {
        let told = request(&mut stream)?;
        if told != status {
            return Err(Failure(format!("the status is {told} and not {status}")));
        }
    }
    server.stop()?;
    total(workshop)
}

/// The instructions of a program that makes so many calls.
fn of_calls(workshop: &Workshop, client: &str, calls: u32) -> Result<u64, Failure> {
    let mut command = under_callgrind(workshop, &release("calls"));
    command.args([client, &format!("http://{}/api", workshop.upstream()), &calls.to_string()]);
    on_core(SERVER_CORE, || read(&mut command))?;
    total(workshop)
}

fn under_callgrind(workshop: &Workshop, binary: &Path) -> Command {
    let mut command = silent("valgrind");
    let output = format!("--callgrind-out-file={}", workshop.path("callgrind.out").display());
    command.args(["--quiet", "--tool=callgrind", &output]).arg(binary);
    command
}

/// Sends a request, reads the reply, and returns its status.
pub(crate) fn request(stream: &mut BufReader<TcpStream>) -> Result<String, Failure> {
    const BODY: &str = r#"{"User": "robert.zak", "SecretQuestionAnswer": "Peterson"}"#;
    let head =
        "POST /v1.0/users/password/reset HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n";
    let text = format!("{head}Content-Length: {}\r\n\r\n{BODY}", BODY.len());
    stream.get_mut().write_all(text.as_bytes()).map_err(Failure::new)?;
    let (mut status, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).map_err(Failure::new)?;
        let line = line.trim_end().to_ascii_lowercase();
        if let Some(rest) = line.strip_prefix("http/1.1 ") {
            status = rest.chars().take(3).collect();
        } else if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().map_err(Failure::new)?;
        } else if line.is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).map_err(Failure::new)?;
    Ok(status)
}

/// The sum that callgrind has written.
fn total(workshop: &Workshop) -> Result<u64, Failure> {
    let text = fs::read_to_string(workshop.path("callgrind.out")).map_err(Failure::new)?;
    let line = text.lines().find_map(|line| line.strip_prefix("summary: ").or(line.strip_prefix("totals: ")));
    line.and_then(|sum| sum.trim().parse().ok()).ok_or_else(|| Failure::new("callgrind has written no sum"))
}

/// The functions that took most instructions in the last run, its start included.
fn print_functions(workshop: &Workshop) -> Result<(), Failure> {
    let mut annotate = Command::new("callgrind_annotate");
    let told = read(annotate.arg("--threshold=90").arg(workshop.path("callgrind.out")))?;
    for line in told.lines().filter(|line| line.contains('(')).take(60) {
        println!("{line}");
    }
    Ok(())
}
