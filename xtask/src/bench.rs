//! `cargo xtask bench`: measures the figures that the documentation promises: how long the gateway takes to start, how much memory it uses
//! when idle, and how long a crate that uses the SDK takes to build.

use std::{
    env, fs,
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    process::{self, Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use crate::command::{Failure, cargo, read, root, run};

const STARTS: usize = 10;

/// Measures the gateway and the SDK, and prints one line for each.
pub(crate) fn measure() -> Result<(), Failure> {
    gateway()?;
    consumer()
}

fn gateway() -> Result<(), Failure> {
    run(&mut cargo(&["build", "--locked", "--release", "--package", "autoshares-gateway"]))?;
    let (mut starts, mut memory) = (Vec::new(), Vec::new());
    for _ in 0..STARTS {
        let address = free_address()?;
        let started = Instant::now();
        // With an https URL the gateway loads the certificates of the machine, as in production. It does not connect to this host.
        let gateway = Gateway::start(address, &["upstream.base_url=https://autoshares.invalid/api"])?;
        first_answer(address, started + Duration::from_secs(10))?;
        starts.push(started.elapsed());
        // Gives the gateway time to finish the work of its first reply, so that the memory is that of an idle process.
        thread::sleep(Duration::from_millis(300));
        memory.push(gateway.resident_kilobytes()?);
    }
    starts.sort();
    memory.sort_unstable();
    println!(
        "gateway: {:.1} ms from start to first answer (median of {STARTS}, worst {:.1} ms); {:.1} MB resident when idle",
        starts[STARTS / 2].as_secs_f64() * 1000.0,
        starts[STARTS - 1].as_secs_f64() * 1000.0,
        f64::from(memory[STARTS / 2]) / 1024.0,
    );
    Ok(())
}

/// Measures a `cargo check`, from nothing, of an otherwise empty crate that depends on the SDK with its default features.
fn consumer() -> Result<(), Failure> {
    let folder = env::temp_dir().join(format!("autoshares-sdk-consumer-{}", process::id()));
    let measured = (|| {
        fs::create_dir_all(folder.join("src")).map_err(Failure::new)?;
        let sdk = root().join("sdk").canonicalize().map_err(Failure::new)?;
        let manifest = format!(
            "[package]\nname = \"consumer\"\nedition = \"2024\"\n[dependencies]\nautoshares-sdk = {{ path = {sdk:?} }}\n[workspace]\n"
        );
        fs::write(folder.join("Cargo.toml"), manifest).map_err(Failure::new)?;
        fs::write(folder.join("src/main.rs"), "fn main() {}\n").map_err(Failure::new)?;
        // Uses the dependency versions of the workspace, and downloads them before the measurement starts.
        fs::copy(root().join("Cargo.lock"), folder.join("Cargo.lock")).map_err(Failure::new)?;
        run(cargo(&["fetch", "--quiet"]).current_dir(&folder))?;
        let tree = ["tree", "--edges", "normal,build", "--prefix", "none", "--no-dedupe", "--format", "{p}"];
        let mut crates: Vec<_> =
            read(cargo(&tree).current_dir(&folder))?.lines().map(str::to_owned).collect();
        crates.sort();
        crates.dedup();
        let started = Instant::now();
        let target = folder.join("target");
        run(cargo(&["check", "--quiet"]).current_dir(&folder).env("CARGO_TARGET_DIR", target))?;
        println!(
            "sdk: {} crates, {:.1} s for a cold `cargo check` with default features",
            crates.len() - 1,
            started.elapsed().as_secs_f64()
        );
        Ok(())
    })();
    // Failing to remove the temporary folder is harmless, so the error is ignored.
    let _ = fs::remove_dir_all(&folder);
    measured
}

/// A running gateway in its release build. Dropping it stops the gateway.
pub(crate) struct Gateway(Child);

impl Gateway {
    /// Starts the gateway on an address, with settings such as `flow.floor=0s`.
    pub(crate) fn start(address: SocketAddr, settings: &[&str]) -> Result<Self, Failure> {
        let mut command = Command::new(root().join("target/release/autoshares-gateway"));
        command.args(["serve", "--set", &format!("listen={address}"), "--set", "admin_listen=127.0.0.1:0"]);
        command.args(settings.iter().flat_map(|setting| ["--set", setting]));
        command.env("AUTOSHARES_APP_KEY", "not-a-real-key").stdout(Stdio::null());
        command.spawn().map(Self).map_err(Failure::new)
    }

    /// The processor time that the gateway has used so far, including the kernel's work for it, in ticks of 10 ms.
    pub(crate) fn ticks(&self) -> Result<u64, Failure> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.0.id())).map_err(Failure::new)?;
        // The name of the process is in brackets and may contain spaces. After it, the twelfth field is the user time, the thirteenth the
        // kernel time.
        let fields = stat.rsplit_once(") ").map(|(_, fields)| fields).unwrap_or_default();
        let times: Vec<u64> = fields.split(' ').skip(11).take(2).flat_map(str::parse).collect();
        if times.len() == 2 { Ok(times.iter().sum()) } else { Err(Failure::new("no times in /proc")) }
    }

    fn resident_kilobytes(&self) -> Result<u32, Failure> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.0.id())).map_err(Failure::new)?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let number = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
        number.ok_or_else(|| Failure::new("no `VmRSS` in the process's status"))
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        // Killing fails if the gateway has already ended; the measurement has then failed with its own message.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub(crate) fn free_address() -> Result<SocketAddr, Failure> {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).map_err(Failure::new)
}

pub(crate) fn first_answer(address: SocketAddr, deadline: Instant) -> Result<(), Failure> {
    while Instant::now() < deadline {
        let Ok(mut stream) = TcpStream::connect(address) else {
            thread::sleep(Duration::from_micros(200));
            continue;
        };
        let mut answer = [0; 12];
        stream
            .write_all(b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            .and_then(|()| stream.read_exact(&mut answer))
            .map_err(Failure::new)?;
        return if answer == *b"HTTP/1.1 200" {
            Ok(())
        } else {
            Err(Failure::new("the first answer is no success"))
        };
    }
    Err(Failure::new("the gateway did not answer within 10 s"))
}
