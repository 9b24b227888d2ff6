//! How long the gateway takes to its first answer, how much memory it then uses, and how large it is.

use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{
    failure::Failure,
    load::{Effort, median},
    server::{SERVER_CORE, Server, silent},
    workshop::{Workshop, free_address},
};

const STARTS: usize = 20;

/// Starts the gateway again and again, and prints a line.
pub(crate) fn measure(workshop: &Workshop, _: Effort<'_>) -> Result<Value, Failure> {
    let (mut starts, mut memory) = (Vec::new(), Vec::new());
    for _ in 0..STARTS {
        let address = free_address()?;
        // With an https URL the gateway loads the certificates of the machine, as in production. It does not connect to this host.
        let settings = ["upstream.base_url=https://autoshares.invalid/api"];
        let command = workshop.gateway_on(silent(&workshop.binary), address, &settings);
        let began = Instant::now();
        let server = Server::start(SERVER_CORE, command, address)?;
        first_answer(&server)?;
        starts.push(began.elapsed().as_secs_f64() * 1000.0);
        // Gives the gateway time to finish the work of its first reply, so that the memory is that of an idle process.
        thread::sleep(Duration::from_millis(300));
        memory.push(server.resident()? as f64 / 1024.0);
    }
    let size = fs::metadata(&workshop.binary).map_err(Failure::new)?.len() as f64 / 1e6;
    let worst = starts.iter().copied().fold(0.0, f64::max);
    let (start, memory) = (median(starts), median(memory));
    println!(
        "gateway: {start:.1} ms from start to first answer (median of {STARTS}, worst {worst:.1} ms); {memory:.1} MB resident when idle; \
         the binary has {size:.1} MB"
    );
    Ok(json!({ "first_answer_ms": start, "worst_ms": worst, "memory_mb": memory, "binary_mb": size }))
}

fn first_answer(server: &Server) -> Result<(), Failure> {
    let mut stream = TcpStream::connect(server.address).map_err(Failure::new)?;
    let mut answer = [0; 12];
    stream
        .write_all(b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        .and_then(|()| stream.read_exact(&mut answer))
        .map_err(Failure::new)?;
    if answer == *b"HTTP/1.1 200" { Ok(()) } else { Err(Failure::new("the first answer is no success")) }
}
