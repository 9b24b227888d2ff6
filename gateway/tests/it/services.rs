//! Redis and HAProxy, the real ones, started on free loopback ports and stopped with the test.

use std::{
    fmt::Write,
    fs,
    net::{TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use tempfile::TempDir;

/// A server in a folder of its own.
pub struct Server {
    program: &'static str,
    arguments: Vec<String>,
    pub port: u16,
    child: Child,
    _folder: TempDir,
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

impl Server {
    /// Redis without persistence.
    pub fn redis(more: &[&str]) -> Self {
        let (folder, port) = (tempfile::tempdir().unwrap(), free_port());
        let directory = folder.path().to_str().unwrap().to_owned();
        let port_text = port.to_string();
        let arguments = [
            "--port",
            &port_text,
            "--bind",
            "127.0.0.1",
            "--save",
            "",
            "--appendonly",
            "no",
            "--dir",
            &directory,
        ];
        let arguments = arguments.iter().chain(more).map(ToString::to_string).collect();
        Self::start("redis-server", arguments, port, folder)
    }

    /// HAProxy in front of some gateways, each in turn; one that does not answer is passed over.
    pub fn haproxy(gateways: &[String]) -> Self {
        let (folder, port) = (tempfile::tempdir().unwrap(), free_port());
        let mut config = format!(
            "global\n  maxconn 200\ndefaults\n  mode http\n  timeout connect 500ms\n  timeout client 10s\n  timeout server 10s\n  \
             retries 3\n  option redispatch 1\n  option forwardfor\nlisten gateways\n  bind 127.0.0.1:{port}\n  balance roundrobin\n"
        );
        for (index, gateway) in gateways.iter().enumerate() {
            let address = gateway.trim_start_matches("http://");
            writeln!(config, "  server gateway{index} {address} check inter 200ms fall 1").unwrap();
        }
        let file = folder.path().join("haproxy.cfg");
        fs::write(&file, config).unwrap();
        let arguments = vec!["-db".to_owned(), "-f".to_owned(), file.to_str().unwrap().to_owned()];
        Self::start("haproxy", arguments, port, folder)
    }

    fn start(program: &'static str, arguments: Vec<String>, port: u16, folder: TempDir) -> Self {
        let child = spawn(program, &arguments);
        let server = Self { program, arguments, port, child, _folder: folder };
        server.wait();
        server
    }

    fn wait(&self) {
        let deadline = Instant::now() + Duration::from_secs(10);
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            assert!(Instant::now() < deadline, "{} did not start", self.program);
            thread::sleep(Duration::from_millis(10));
        }
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/0", self.port)
    }

    pub fn client(&self) -> redis::Client {
        redis::Client::open(self.url()).unwrap()
    }

    /// Runs a command and returns what came of it.
    pub fn ask<T: redis::FromRedisValue>(&self, words: &[&str]) -> T {
        let mut connection = self.client().get_connection().unwrap();
        let mut command = redis::cmd(words[0]);
        words[1..].iter().for_each(|word| {
            command.arg(word);
        });
        command.query(&mut connection).unwrap()
    }

    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub fn restart(&mut self) {
        self.child = spawn(self.program, &self.arguments);
        self.wait();
    }

    /// Stops it from doing anything, while its connections stay.
    pub fn pause(&self) {
        self.signal("-STOP");
    }

    pub fn go_on(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, signal: &str) {
        assert!(
            Command::new("kill").args([signal, &self.child.id().to_string()]).status().unwrap().success()
        );
    }
}

fn spawn(program: &str, arguments: &[String]) -> Child {
    let mut command = Command::new(program);
    // Debian keeps servers where only root looks.
    let path = std::env::var("PATH").unwrap_or_default() + ":/usr/sbin";
    command
        .env("PATH", path)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let child = command.spawn();
    child.unwrap_or_else(|error| panic!("{program}: {error}; `cargo xtask test` installs it"))
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may be gone or stopped already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
