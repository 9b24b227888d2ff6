//! The load: wrk, and what it and the kernel say of a server under it.

use std::{fs, process::Command};

use serde_json::{Value, json};

use crate::{
    failure::Failure,
    server::{LOAD_CORE, Server, Time, on_core},
    workshop::Workshop,
};

/// How much is measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Effort<'a> {
    pub(crate) rounds: usize,
    pub(crate) seconds: u64,
    /// A part of the names of the servers that are measured beside their peers; all are without it.
    pub(crate) servers: Option<&'a str>,
}

/// One request of step 1 after the other, for one login or for a new one each time.
const SCRIPT: &str = r#"wrk.method = "POST"
wrk.path = "/v1.0/users/password/reset"
wrk.headers["Content-Type"] = "application/json"
wrk.body = '{"User": "robert.zak", "SecretQuestionAnswer": "Peterson"}'
--LOGINS--
done = function(summary, latency)
  io.write(string.format("\nmeasured %d %d %d %d %d\n", summary.requests, summary.duration, latency:percentile(50),
    latency:percentile(99), summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout))
  io.write(string.format("refused %d\n", summary.errors.status))
end
"#;
const NEW_LOGINS: &str = r#"local number = {known}
request = function()
  number = number + 1
  return wrk.format(nil, nil, nil, '{"User": "trader.' .. number .. '", "SecretQuestionAnswer": "Peterson"}')
end
"#;

/// The load on a server.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    pub(crate) connections: usize,
    pub(crate) seconds: u64,
    pub(crate) tls: bool,
    /// Gives every request a login of its own, numbered from here on.
    pub(crate) new_logins_after: Option<f64>,
    /// Whether the server is meant to refuse every request.
    pub(crate) refused: bool,
}

impl Load {
    pub(crate) fn of(connections: usize, seconds: u64) -> Self {
        Self { connections, seconds, tls: false, new_logins_after: None, refused: false }
    }
}

/// What a server did under a load. Times are in microseconds and for one request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Measured {
    pub(crate) requests: f64,
    pub(crate) per_second: f64,
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    pub(crate) time: Time,
}

impl Measured {
    /// Processor time, in user space and in the kernel.
    pub(crate) fn cost(&self) -> f64 {
        self.time.user + self.time.system
    }

    pub(crate) fn json(&self) -> Value {
        let round = |number: f64| (number * 10.0).round() / 10.0;
        json!({
            "requests_per_second": self.per_second.round(),
            "p50_us": self.p50,
            "p99_us": self.p99,
            "user_us": round(self.time.user),
            "system_us": round(self.time.system),
        })
    }
}

/// Puts a load on a server, and measures it. Fails when requests fail, or are refused or accepted against expectation, for such figures would
/// mean nothing.
pub(crate) fn put(workshop: &Workshop, load: Load, server: &Server) -> Result<Measured, Failure> {
    let before = server.time()?;
    let told = wrk(workshop, load, server)?;
    let time = server.time()? - before;
    let numbers = |word: &str| -> Vec<f64> {
        let line = told.lines().find_map(|line| line.strip_prefix(word));
        line.unwrap_or_default().split_whitespace().flat_map(str::parse).collect()
    };
    let (measured, refused) = (numbers("measured"), numbers("refused"));
    let (&[requests, duration, p50, p99, failed], &[refused]) = (&measured[..], &refused[..]) else {
        return Err(Failure::new(format!("wrk says nothing: {told}")));
    };
    let expected = if load.refused { requests } else { 0.0 };
    // While wrk ends, a request may not have been counted yet.
    if requests == 0.0 || failed > 0.0 || (refused - expected).abs() > load.connections as f64 {
        return Err(Failure::new(format!(
            "of {requests} requests {failed} failed and {refused} were refused: {load:?}"
        )));
    }
    let time = Time { user: time.user / requests, system: time.system / requests };
    Ok(Measured { requests, per_second: requests / duration * 1e6, p50, p99, time })
}

fn wrk(workshop: &Workshop, load: Load, server: &Server) -> Result<String, Failure> {
    // One for each server, for several may be under load at once.
    let script = workshop.path(&format!("load-{}.lua", server.address.port()));
    let logins = load.new_logins_after.map(|known| NEW_LOGINS.replace("{known}", &known.to_string()));
    fs::write(&script, SCRIPT.replace("--LOGINS--", &logins.unwrap_or_default())).map_err(Failure::new)?;
    let (scheme, host) = if load.tls { ("https", "localhost") } else { ("http", "127.0.0.1") };
    // One connection is one descriptor, and the usual limit is 1024.
    let mut command = Command::new("prlimit");
    command.args(["--nofile=20000:20000", "wrk", "--threads", "1", "--timeout", "10s", "--connections"]);
    command.arg(load.connections.to_string()).args(["--duration", &format!("{}s", load.seconds)]);
    command.arg("--script").arg(script).arg(format!("{scheme}://{host}:{}", server.address.port()));
    on_core(LOAD_CORE, || read(&mut command))
}

/// Runs a command, and returns what it writes.
pub(crate) fn read(command: &mut Command) -> Result<String, Failure> {
    let output = command.stdout(std::process::Stdio::piped()).output().map_err(Failure::new)?;
    if !output.status.success() {
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        return Err(Failure::new(format!("{command:?} failed, {}: {told}", output.status)));
    }
    String::from_utf8(output.stdout).map_err(Failure::new)
}

/// The figure in the middle, or the mean of the two there.
pub(crate) fn median(figures: impl IntoIterator<Item = f64>) -> f64 {
    let mut figures: Vec<f64> = figures.into_iter().collect();
    figures.sort_by(f64::total_cmp);
    let middle = figures.len() / 2;
    if figures.len().is_multiple_of(2) {
        (figures[middle - 1] + figures[middle]) / 2.0
    } else {
        figures[middle]
    }
}
