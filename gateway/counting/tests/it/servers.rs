//! Real server programs (Redis, nginx, HAProxy, Caddy), each started on a loopback port of its own with a folder of its own, and stopped with the
//! test.

use std::{
    fs::{self, File},
    net::TcpStream,
    path::PathBuf,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use tempfile::TempDir;

use crate::ports::free_port;

/// How long a test waits for what must come about. It takes milliseconds as a rule, and far longer on a machine that does much else; so only a
/// test that fails waits as long as this.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A server program and its arguments.
pub struct Server {
    program: &'static str,
    arguments: Vec<String>,
    pub port: u16,
    child: Child,
    folder: TempDir,
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
        let child = spawn(program, &arguments, &folder);
        let mut server = Self { program, arguments, port, child, folder };
        server.wait();
        server
    }

    fn wait(&mut self) {
        let deadline = Instant::now() + PATIENCE;
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            let ended = self.child.try_wait().unwrap();
            if ended.is_some() || Instant::now() > deadline {
                let output = fs::read_to_string(output(&self.folder)).unwrap();
                panic!("{} does not listen at port {} ({ended:?}): {output}", self.program, self.port);
            }
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
        self.child = spawn(self.program, &self.arguments, &self.folder);
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

/// The file into which the program writes what it has to say.
fn output(folder: &TempDir) -> PathBuf {
    folder.path().join("output")
}

fn spawn(program: &str, arguments: &[String], folder: &TempDir) -> Child {
    let mut command = Command::new(program);
    // Debian keeps servers where only root looks.
    let path = std::env::var("PATH").unwrap_or_default() + ":/usr/sbin";
    command.env("PATH", path).args(arguments);
    // Caddy saves its configuration there.
    command.env("XDG_CONFIG_HOME", folder.path());
    let output = File::create(output(folder)).unwrap();
    command.stdin(Stdio::null()).stdout(output.try_clone().unwrap()).stderr(output);
    let child = command.spawn();
    child.unwrap_or_else(|error| panic!("{program} does not start ({error}); `cargo xtask test` installs it"))
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may be gone or stopped already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
