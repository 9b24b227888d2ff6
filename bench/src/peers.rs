//! The gateway beside what one would use in its place: nginx and HAProxy, which only add the header; nginx that also counts in Redis, three
//! things or all that the gateway counts; and a proxy of hyper alone, the floor of this stack.

use std::{io::BufReader, net::TcpStream};

use serde_json::{Value, json};

use crate::{
    failure::Failure,
    instructions::request,
    load::{self, Effort, Load, Measured, median},
    server::Server,
    workshop::Workshop,
};

/// Budgets so high that no request is refused: the protections do their work without changing the outcome.
pub(crate) const AMPLE: [&str; 5] = [
    "limits.resets_per_login=1000000/s",
    "limits.answers_per_login=1000000/s",
    "limits.resets_per_address=1000000/s",
    "limits.logins_per_address=1000000/s",
    "limits.resets=1000000/s",
];
/// So many connections share the load.
const CONNECTIONS: usize = 64;
/// So many are open when memory is measured.
const MANY: usize = 512;

/// The peer that counts three things in Redis, and the one that counts all that the gateway counts.
const IN_PART: &str = "nginx, Lua, Redis";
const WHOLE: &str = "nginx, Lua, Redis, counting all";

/// A server that is measured.
struct Subject {
    name: &'static str,
    /// The servers to which its figures are compared, by their names.
    beside: Vec<&'static str>,
    server: Server,
    load: Load,
    at_rest: u64,
    under_load: u64,
    rounds: Vec<Measured>,
}

impl Subject {
    fn new(name: &'static str, beside: &'static str, server: Server) -> Result<Self, Failure> {
        let (load, at_rest) = (Load::of(CONNECTIONS, 1), server.resident()?);
        Ok(Self { name, beside: vec![beside], server, load, at_rest, under_load: 0, rounds: Vec::new() })
    }

    fn also_beside(mut self, other: &'static str) -> Self {
        self.beside.push(other);
        self
    }

    fn with_tls(mut self) -> Self {
        self.load.tls = true;
        self
    }

    fn refusing(mut self) -> Self {
        self.load.refused = true;
        self
    }

    /// Whether it passes requests on, or refuses them for their number and for nothing else.
    fn check(&self) -> Result<(), Failure> {
        let expected = if self.load.refused { "429" } else { "200" };
        // This client speaks no TLS; wrk counts those that are refused there too.
        if self.load.tls {
            return Ok(());
        }
        let stream = TcpStream::connect(self.server.address).map_err(Failure::new)?;
        match request(&mut BufReader::new(stream))? {
            told if told == expected => Ok(()),
            told => Err(Failure(format!("{} replies {told} and not {expected}", self.name))),
        }
    }

    fn median(&self, figure: impl Fn(&Measured) -> f64) -> f64 {
        median(self.rounds.iter().map(figure))
    }

    /// A figure in relation to that of another server, round by round.
    fn ratio(&self, other: &Self, figure: impl Fn(&Measured) -> f64) -> f64 {
        median(self.rounds.iter().zip(&other.rounds).map(|(own, other)| figure(own) / figure(other)))
    }
}

/// Measures all of them in turn, round by round, and prints a table.
pub(crate) fn measure(workshop: &Workshop, effort: Effort<'_>) -> Result<Value, Failure> {
    let redis = workshop.redis()?;
    let mut subjects = subjects(workshop, &redis)?;
    if let Some(part) = effort.servers {
        choose(&mut subjects, part)?;
    }
    for subject in &mut subjects {
        // Opens connections, and uses budgets up where requests are meant to be refused. Memory is read now, when few flows take some of it.
        let opened = load::put(workshop, Load { connections: MANY, ..subject.load }, &subject.server);
        if !subject.load.refused {
            opened?;
        }
        subject.under_load = subject.server.resident()?;
        subject.check()?;
    }
    for round in 1..=effort.rounds {
        eprintln!("round {round} of {}", effort.rounds);
        for subject in &mut subjects {
            let load = Load { seconds: effort.seconds, ..subject.load };
            let measured = load::put(workshop, load, &subject.server);
            subject
                .rounds
                .push(measured.map_err(|Failure(text)| Failure(format!("{}: {text}", subject.name)))?);
        }
    }
    print(&subjects);
    Ok(subjects.iter().map(json).collect())
}

/// Keeps the servers with this part in their names, and those to which they are compared.
fn choose(subjects: &mut Vec<Subject>, part: &str) -> Result<(), Failure> {
    let meant = subjects.iter().filter(|subject| subject.name.contains(part));
    let wanted: Vec<_> =
        meant.flat_map(|subject| subject.beside.iter().copied().chain([subject.name])).collect();
    if wanted.is_empty() {
        let names: Vec<_> = subjects.iter().map(|subject| subject.name).collect();
        return Err(Failure(format!("no server has {part:?} in its name: {}", names.join("; "))));
    }
    subjects.retain(|subject| wanted.contains(&subject.name));
    Ok(())
}

fn subjects(workshop: &Workshop, redis: &Server) -> Result<Vec<Subject>, Failure> {
    let lua =
        [("redis_host", redis.address.ip().to_string()), ("redis_port", redis.address.port().to_string())];
    Ok(vec![
        Subject::new("nginx", "nginx", workshop.nginx("proxy", &[])?)?,
        Subject::new("HAProxy", "nginx", workshop.haproxy()?)?,
        Subject::new("hyper alone", "nginx", workshop.bare_proxy()?)?,
        Subject::new("gateway, limits off", "nginx", workshop.gateway("off", &["limits.enabled=false"])?)?,
        Subject::new("gateway", "nginx", workshop.gateway("on", &AMPLE)?)?,
        Subject::new(IN_PART, IN_PART, workshop.nginx("lua", &lua)?)?,
        Subject::new(WHOLE, WHOLE, workshop.nginx("lua-whole", &lua)?)?,
        Subject::new("gateway, Redis", WHOLE, workshop.gateway("redis", &with_redis(workshop, redis)?)?)?
            .also_beside(IN_PART),
        Subject::new("nginx, refusing", "nginx, refusing", workshop.nginx("limit", &[])?)?.refusing(),
        Subject::new("gateway, refusing", "nginx, refusing", workshop.gateway("refusing", &[""; 0])?)?
            .refusing(),
        Subject::new("nginx, TLS", "nginx, TLS", workshop.nginx("tls", &[])?)?.with_tls(),
        Subject::new("gateway, TLS", "nginx, TLS", workshop.gateway("tls", &with_tls(workshop))?)?.with_tls(),
    ])
}

/// Settings of a gateway that counts in Redis.
pub(crate) fn with_redis(workshop: &Workshop, redis: &Server) -> Result<Vec<String>, Failure> {
    let mut settings = AMPLE.map(str::to_owned).to_vec();
    settings.extend([format!("store.url=redis://{}", redis.address), workshop.flow_keys()?]);
    Ok(settings)
}

/// Settings of a gateway with TLS to clients and to Autoshares.
pub(crate) fn with_tls(workshop: &Workshop) -> Vec<String> {
    let mut settings = AMPLE.map(str::to_owned).to_vec();
    for (setting, file) in [
        ("tls.certificate_file", "certificate.pem"),
        ("tls.key_file", "key.pem"),
        ("upstream.ca_file", "authority.pem"),
    ] {
        settings.push(format!("{setting}={}", workshop.path(file).display()));
    }
    settings.push(format!("upstream.base_url=https://localhost:{}/api", workshop.tls_upstream().port()));
    settings
}

fn print(subjects: &[Subject]) {
    println!(
        "| server | requests/s | p50 ms | p99 ms | user µs | system µs | µs per request | beside | processor time | p99 | MB at rest | MB, {MANY} connections |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|---|---|");
    for subject in subjects {
        for other in subjects.iter().filter(|other| subject.beside.contains(&other.name)) {
            print_row(subject, other);
        }
    }
}

fn print_row(subject: &Subject, other: &Subject) {
    println!(
        "| {} | {:.0} | {:.2} | {:.2} | {:.1} | {:.1} | {:.1} | {} | {:.2} | {:.2} | {:.1} | {:.1} |",
        subject.name,
        subject.median(|measured| measured.per_second),
        subject.median(|measured| measured.p50) / 1000.0,
        subject.median(|measured| measured.p99) / 1000.0,
        subject.median(|measured| measured.time.user),
        subject.median(|measured| measured.time.system),
        subject.median(Measured::cost),
        other.name,
        subject.ratio(other, Measured::cost),
        subject.ratio(other, |measured| measured.p99),
        subject.at_rest as f64 / 1024.0,
        subject.under_load as f64 / 1024.0,
    );
}

fn json(subject: &Subject) -> Value {
    json!({
        "server": subject.name,
        "beside": subject.beside,
        "memory_at_rest_kb": subject.at_rest,
        "memory_of_512_connections_kb": subject.under_load,
        "rounds": subject.rounds.iter().map(Measured::json).collect::<Vec<_>>(),
    })
}
