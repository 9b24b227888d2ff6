//! What the gateway's costs do as connections, known logins and replicas grow.

use std::thread;

use serde_json::{Value, json};

use crate::{
    failure::Failure,
    load::{self, Effort, Load, Measured},
    peers::{AMPLE, with_redis},
    server::Server,
    workshop::Workshop,
};

const CONNECTIONS: [usize; 4] = [1, 64, 512, 4096];
const LOGINS: f64 = 1e6;
/// How many of them a store in memory keeps: `MAX_RECORDS` and `MAX_BUDGETS` of the counting crate.
const KEPT: f64 = 1e5;
const REPLICAS: [usize; 3] = [1, 2, 3];

/// Measures all three, and prints a table of each.
pub(crate) fn measure(workshop: &Workshop, effort: Effort<'_>) -> Result<Value, Failure> {
    let connections = connections(workshop, effort)?;
    let logins = logins(workshop, effort)?;
    let replicas = replicas(workshop, effort)?;
    Ok(json!({ "connections": connections, "logins": logins, "replicas": replicas }))
}

fn connections(workshop: &Workshop, effort: Effort<'_>) -> Result<Value, Failure> {
    println!(
        "\n| connections | requests/s | p50 ms | p99 ms | µs per request | MB |\n|---|---|---|---|---|---|"
    );
    let mut rows = Vec::new();
    for connections in CONNECTIONS {
        let server = workshop.gateway("connections", &AMPLE)?;
        // On a slow machine it takes seconds until thousands of connections have had their first reply.
        load::put(workshop, Load::of(connections, 1 + connections as u64 / 1000), &server)?;
        let measured = load::put(workshop, Load::of(connections, effort.seconds), &server)?;
        let resident = server.resident()? as f64 / 1024.0;
        println!(
            "| {connections} | {:.0} | {:.2} | {:.2} | {:.1} | {resident:.1} |",
            measured.per_second,
            measured.p50 / 1000.0,
            measured.p99 / 1000.0,
            measured.cost()
        );
        rows.push(json!({ "connections": connections, "memory_mb": resident, "measured": measured.json() }));
    }
    Ok(rows.into())
}

/// Every login asks for one reset, so each has a flow that is live until the store forgets it, and budgets of its own.
fn logins(workshop: &Workshop, effort: Effort<'_>) -> Result<Value, Failure> {
    // Budgets of an hour, as in production, which are kept; and so large that nothing is refused.
    let budgets = AMPLE.map(|budget| budget.replace("/s", "0/h"));
    let server = workshop.gateway("logins", &budgets)?;
    let load = |seconds, known: f64| Load { new_logins_after: Some(known), ..Load::of(64, seconds) };
    // Opens connections, so that their memory is not taken for that of logins.
    load::put(workshop, Load::of(64, 2), &server)?;
    let before = server.resident()?;
    let few = load::put(workshop, load(2, 0.0), &server)?;
    let mut known = few.requests;
    println!("\nfrom none to {known:.0} logins: {:.1} µs per request", few.cost());
    while known < LOGINS {
        known += load::put(workshop, load(5, known), &server)?.requests;
    }
    let after = load::put(workshop, load(effort.seconds, known), &server)?;
    let resident = server.resident()?;
    // The store is full. What fewer logins take drowns in what else changes.
    let bytes = resident.saturating_sub(before) as f64 * 1024.0 / KEPT;
    let resident = resident as f64 / 1024.0;
    println!(
        "after {known:.0} logins: {bytes:.0} bytes for each of the {KEPT:.0} that are kept; {:.1} µs per request; {resident:.1} MB resident",
        after.cost()
    );
    Ok(json!({
        "bytes_each": bytes,
        "logins": known,
        "memory_mb": resident,
        "few": few.json(),
        "many": after.json(),
    }))
}

/// All replicas share one core, so this shows their costs and not how much more they can do.
fn replicas(workshop: &Workshop, effort: Effort<'_>) -> Result<Value, Failure> {
    println!(
        "\n| replicas on one Redis | requests/s | µs per request | µs of Redis per request |\n|---|---|---|---|"
    );
    let mut rows = Vec::new();
    for number in REPLICAS {
        let redis = workshop.redis()?;
        let settings = with_redis(workshop, &redis)?;
        let start = |index| workshop.gateway(&format!("replica-{index}"), &settings);
        let servers: Vec<Server> = (0..number).map(start).collect::<Result<_, _>>()?;
        let before = redis.time()?;
        let load = Load::of(64 / number, effort.seconds);
        let measured: Vec<Measured> = thread::scope(|scope| {
            let loads: Vec<_> =
                servers.iter().map(|server| scope.spawn(move || load::put(workshop, load, server))).collect();
            let over = loads.into_iter().map(|load| load.join().expect("a load does not panic"));
            over.collect::<Result<_, Failure>>()
        })?;
        let of_redis = redis.time()? - before;
        let requests: f64 = measured.iter().map(|measured| measured.requests).sum();
        let per_second: f64 = measured.iter().map(|measured| measured.per_second).sum();
        let cost =
            measured.iter().map(|measured| measured.cost() * measured.requests).sum::<f64>() / requests;
        let of_redis = (of_redis.user + of_redis.system) / requests;
        println!("| {number} | {per_second:.0} | {cost:.1} | {of_redis:.1} |");
        rows.push(json!({ "replicas": number, "requests_per_second": per_second, "us": cost, "redis_us": of_redis }));
    }
    Ok(rows.into())
}
