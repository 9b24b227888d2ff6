//! Measures what the limits cost: the processor time of a forwarded request with limits and without, and of a refused request. Part of
//! `cargo xtask bench`.
//!
//! For a few seconds wrk sends as many requests over loopback as the gateway can take. The processor time that the kernel charges to the
//! gateway is then divided by the number of requests. In place of Autoshares, a thread in this process replies at once.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    thread,
    time::{Duration, Instant},
};

use crate::{
    bench::{Gateway, first_answer, free_address},
    command::{Failure, cargo, program, read, root, run},
    tools,
};

/// The number of measurements of each kind. The median counts, because other work on the machine disturbs some of them.
const ROUNDS: usize = 5;
const SECONDS: u64 = 3;

const ANSWER: &str = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 31\r\n\r\n{\"Errors\":[],\"IsSucceed\":false}";
const SCRIPT: &str = r#"wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.body = '{"User": "robert.zak", "SecretQuestionAnswer": "Peterson"}'
"#;

/// Limits so high that no request is refused: the limits do their work without changing the outcome.
const AMPLE: [&str; 5] = [
    "limits.resets_per_login=1000000/s",
    "limits.answers_per_login=1000000/s",
    "limits.resets_per_address=1000000/s",
    "limits.logins_per_address=1000000/s",
    "limits.resets=1000000/s",
];

/// Measures the three kinds in turn, so that other work on the machine disturbs all of them alike, and prints one line.
pub(crate) fn measure() -> Result<(), Failure> {
    tools::ensure("wrk")?;
    run(&mut cargo(&["build", "--locked", "--release", "--package", "autoshares-gateway"]))?;
    let script = root().join("target/price.lua");
    fs::write(&script, SCRIPT).map_err(Failure::new)?;
    let upstream = format!("upstream.base_url=http://{}/api", upstream()?);
    let cost = |more: &[&str]| {
        let settings: Vec<_> = [upstream.as_str(), "flow.floor=0s"].iter().chain(more).copied().collect();
        microseconds(&settings, &script.to_string_lossy())
    };
    let (mut without, mut with, mut refused) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        without.push(cost(&["limits.enabled=false"])?);
        with.push(cost(&AMPLE)?);
        refused.push(cost(&[])?);
    }
    let [without, with, refused] = [without, with, refused].map(median);
    println!(
        "price: {with:.1} µs of CPU per proxied request with limits, {without:.1} without ({:+.0} %); {refused:.1} per refused one \
         ({:.1} times less than proxying)",
        (with / without - 1.0) * 100.0,
        with / refused,
    );
    Ok(())
}

fn microseconds(settings: &[&str], script: &str) -> Result<f64, Failure> {
    let address = free_address()?;
    let gateway = Gateway::start(address, settings)?;
    first_answer(address, Instant::now() + Duration::from_secs(10))?;
    let url = format!("http://{address}/v1.0/users/password/reset");
    let wrk = |seconds: u64| {
        let duration = format!("-d{seconds}s");
        read(&mut program("wrk", &["-t1", "-c16", &duration, "-s", script, &url]))
    };
    // Warms up, so that connections exist and, in the measurement of refused requests, the budgets are already used up.
    wrk(1)?;
    let before = gateway.ticks()?;
    let told = wrk(SECONDS)?;
    let ticks = gateway.ticks()? - before;
    let requests = told.lines().find_map(|line| line.split_once(" requests in"));
    let requests: f64 = requests
        .and_then(|(count, _)| count.trim().parse().ok())
        .ok_or_else(|| Failure::new(format!("wrk says nothing of requests: {told}")))?;
    Ok(ticks as f64 * 10_000.0 / requests)
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

/// Starts a stand-in for Autoshares that accepts every request, with one thread for each connection, until this process ends.
fn upstream() -> Result<SocketAddr, Failure> {
    let listener = TcpListener::bind("127.0.0.1:0").map_err(Failure::new)?;
    let address = listener.local_addr().map_err(Failure::new)?;
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            // An error on a connection ends only the thread of that connection.
            thread::spawn(move || answer(stream).ok());
        }
    });
    Ok(address)
}

fn answer(stream: TcpStream) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut writer = stream;
    loop {
        let mut length = 0;
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line)? == 0 {
                return Ok(());
            }
            let line = line.trim_end().to_ascii_lowercase();
            if line.is_empty() {
                break;
            }
            if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse().unwrap_or(0);
            }
        }
        std::io::copy(&mut reader.by_ref().take(length), &mut std::io::sink())?;
        writer.write_all(ANSWER.as_bytes())?;
    }
}
