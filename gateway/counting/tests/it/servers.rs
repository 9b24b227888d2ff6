//! A real Redis, started on a free loopback port in a folder of its own and stopped with the test.

use std::{
    net::{TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use tempfile::TempDir;

/// A server program and its arguments.
pub struct Server {
    program: &'static str,
    arguments: Vec<String>,
    pub port: u16,
    child: Child,
    folder: TempDir,
}

pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

impl Server {
    /// Redis without persistence, and with more arguments.
    pub fn redis(more: &[&str]) -> Self {
        let (folder, port) = (tempfile::tempdir().unwrap(), free_port());
        let directory = folder.path().to_str().unwrap().to_owned();
        let port_text = port.to_string();
        let own = [
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
        let arguments = own.iter().chain(more).map(ToString::to_string).collect();
        Self::start("redis-server", arguments, port, folder)
    }

    /// Starts a program and waits until it listens.
    pub fn start(program: &'static str, arguments: Vec<String>, port: u16, folder: TempDir) -> Self {
        let child = spawn(program, &arguments);
        let server = Self { program, arguments, port, child, folder };
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

    /// Runs a command and returns its reply.
    pub fn query<T: redis::FromRedisValue>(&self, words: &[&str]) -> T {
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

    pub fn resume(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, signal: &str) {
        let sent = Command::new("kill").args([signal, &self.child.id().to_string()]).status();
        assert!(sent.unwrap().success());
    }
}

fn spawn(program: &str, arguments: &[String]) -> Child {
    let mut command = Command::new(program);
    // Debian keeps servers where only root looks.
    let path = std::env::var("PATH").unwrap_or_default() + ":/usr/sbin";
    command.env("PATH", path).args(arguments);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let child = command.spawn();
    child.unwrap_or_else(|error| panic!("{program} does not start ({error}); `cargo xtask test` installs it"))
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may be gone or stopped already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = &self.folder;
    }
}
