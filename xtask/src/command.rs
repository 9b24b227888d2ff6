//! Runs other programs from the root of the workspace.

use std::{
    env,
    fmt::Display,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
};

/// Why a task failed, and the exit code with which xtask then ends.
pub(crate) struct Failure {
    pub(crate) text: String,
    pub(crate) code: u8,
}

impl Failure {
    pub(crate) fn new(text: impl Display) -> Self {
        Self { text: text.to_string(), code: 1 }
    }
}

pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The path of a program of the workspace that cargo has built without optimization. It lies beside this one, if this one is built so too.
pub(crate) fn built(name: &str) -> Result<String, Failure> {
    let own = env::current_exe().map_err(Failure::new)?;
    if own.parent().is_none_or(|folder| !folder.ends_with("debug")) {
        return Err(Failure::new("run xtask as `cargo xtask`: built otherwise, it finds no other program"));
    }
    Ok(own.with_file_name(name).display().to_string())
}

/// Prepares a command that runs a program in the root of the workspace.
pub(crate) fn program(name: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(name);
    command.args(arguments).current_dir(root());
    command
}

/// Prepares a command that runs the same cargo that started this task, so that it uses the same toolchain.
pub(crate) fn cargo(arguments: &[&str]) -> Command {
    let mut command = program(&env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned()), arguments);
    // What cargo says of xtask itself: ring's build script looks at these variables, and ring would be built anew each time that a task and a
    // developer use cargo in turn.
    for (name, _) in env::vars_os() {
        if name
            .to_str()
            .is_some_and(|name| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_"))
        {
            command.env_remove(name);
        }
    }
    command
}

/// The same command, which gives way to others: a little at a niceness of 5, nearly always at 19.
pub(crate) fn nice(niceness: u8, command: &Command) -> Command {
    let mut slow = program("nice", &["-n", &niceness.to_string()]);
    slow.arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => slow.env(name, value),
            None => slow.env_remove(name),
        };
    }
    slow
}

/// Runs a command and waits for its end. Fails if the command cannot be started or does not exit with 0.
pub(crate) fn run(command: &mut Command) -> Result<(), Failure> {
    let status = command.status().map_err(|error| Failure::new(format!("{}: {error}", shown(command))))?;
    succeeded(&shown(command), status)
}

fn succeeded(shown: &str, status: ExitStatus) -> Result<(), Failure> {
    if status.success() { Ok(()) } else { Err(Failure::new(format!("{shown} failed, {status}"))) }
}

/// A command that runs beside others. It is stopped, with the compilers or tests that it has started, when nobody waits for it any more, for then
/// another one has failed.
pub(crate) struct Beside {
    child: Child,
    shown: String,
}

impl Beside {
    pub(crate) fn start(mut command: Command) -> Result<Self, Failure> {
        let shown = shown(&command);
        let child = command.spawn().map_err(|error| Failure::new(format!("{shown}: {error}")))?;
        Ok(Self { child, shown })
    }

    /// Waits for its end. Fails if it does not exit with 0.
    pub(crate) fn wait(mut self) -> Result<(), Failure> {
        let status = self.child.wait().map_err(Failure::new)?;
        succeeded(&self.shown, status)
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            let id = self.child.id();
            let kill = format!("kill -KILL {id} $(cat /proc/{id}/task/*/children)");
            // One that has ended meanwhile cannot be stopped, and need not be.
            let _ = program("sh", &["-c", &kill]).stderr(Stdio::null()).status();
            let _ = self.child.wait();
        }
    }
}

/// Runs a command as [`run`] does, and shows what it says only if it fails.
pub(crate) fn run_quietly(command: &mut Command) -> Result<(), Failure> {
    let output = command.output().map_err(|error| Failure::new(format!("{}: {error}", shown(command))))?;
    succeeded(&shown(command), output.status).map_err(|Failure { text, code }| {
        let said = String::from_utf8_lossy(&output.stderr);
        Failure { text: format!("{text}:\n{said}"), code }
    })
}

/// Runs a command as [`run`] does, and returns its standard output.
pub(crate) fn read(command: &mut Command) -> Result<String, Failure> {
    let output = command.stderr(Stdio::inherit()).output();
    let output = output.map_err(|error| Failure::new(format!("{}: {error}", shown(command))))?;
    succeeded(&shown(command), output.status)?;
    String::from_utf8(output.stdout).map_err(Failure::new)
}

/// The SHA-256 of a file, in hexadecimal.
pub(crate) fn sha256(file: &Path) -> Result<String, Failure> {
    let line = read(program("sha256sum", &[]).arg(file))?;
    Ok(line.split(' ').next().unwrap_or_default().to_owned())
}

/// The command line as one would type it, for error messages.
pub(crate) fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use std::{fs, thread, time::Duration};

    use super::{Beside, program};

    /// Looks again and again, for a minute at most.
    fn eventually<T>(look: impl Fn() -> Option<T>) -> T {
        let looks = std::iter::repeat_with(|| thread::sleep(Duration::from_millis(10))).take(6000);
        looks.into_iter().find_map(|()| look()).expect("it happens within a minute")
    }

    #[test]
    fn what_runs_beside_ends_with_what_it_has_started() {
        let beside = Beside::start(program("sh", &["-c", "sleep 600; true"])).ok().expect("a shell starts");
        let children = format!("/proc/{0}/task/{0}/children", beside.child.id());
        let child = eventually(|| fs::read_to_string(&children).ok().filter(|child| !child.is_empty()));
        // A process that has ended has no command line any more.
        let runs = || fs::read(format!("/proc/{}/cmdline", child.trim())).is_ok_and(|line| !line.is_empty());
        assert!(runs());
        drop(beside);
        eventually(|| (!runs()).then_some(()));
    }
}
