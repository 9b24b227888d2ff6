//! The programs that the checks need besides cargo. Missing ones are installed from Debian's packages, the npm registry or PyPI.

use std::{env, fs, path::Path, process::Command, process::Stdio};

use crate::command::{Failure, cargo, program, read, root, run};

/// The programs, and the Debian packages that contain them. The browsers need the fonts for screenshots.
const PROGRAMS: [(&str, &[&str]); 20] = [
    ("bash", &["bash"]),
    ("curl", &["curl"]),
    ("kill", &["procps"]),
    ("chromium", &["chromium", "fonts-dejavu-core", "fonts-droid-fallback"]),
    ("firefox-esr", &["firefox-esr"]),
    // The allocator of the gateway is built with it.
    ("make", &["make"]),
    ("node", &["nodejs"]),
    ("npm", &["npm"]),
    ("python3", &["python3", "python3-venv"]),
    ("redis-cli", &["redis-tools"]),
    ("redis-server", &["redis-server"]),
    ("haproxy", &["haproxy"]),
    ("nginx", &["nginx"]),
    ("caddy", &["caddy"]),
    ("faketime", &["faketime"]),
    ("prlimit", &["util-linux"]),
    ("slowhttptest", &["slowhttptest"]),
    ("promtool", &["prometheus"]),
    ("systemd-analyze", &["systemd"]),
    ("valgrind", &["valgrind"]),
];

/// The path of the OpenAPI linter, relative to the root of the workspace.
pub(crate) const LINTER: &str = "xtask/npm/node_modules/@redocly/cli/bin/cli.js";
const NPM_FOLDER: &str = "xtask/npm";
/// The Python packages that the examples of `docs/clients.md` need, and the linters of what lies in `deploy/`; and where they are installed.
const PYTHON_PACKAGES: &str = "xtask/python/requirements.txt";
const PYTHON_FOLDER: &str = "target/python";
/// Where tools from crates.io are installed.
const CARGO_TOOLS: &str = "target/tools";
/// The path of the Node that is installed when the system's is too old for the linter.
const OWN_NODE: &str = "xtask/npm/node_modules/.bin/node";
const OLDEST_NODE: (u32, u32) = (20, 19);

/// Installs whatever the checks need and this machine lacks.
pub(crate) fn install() -> Result<(), Failure> {
    for component in ["fmt", "clippy"] {
        if !works(&mut cargo(&[component, "--version"])) {
            let name = if component == "fmt" { "rustfmt" } else { component };
            run(&mut program("rustup", &["component", "add", name])).map_err(|_| {
                Failure::new(format!("cargo lacks `{name}`: install it, then run this again"))
            })?;
        }
    }
    let mut missing = missing(&PROGRAMS);
    // The feature `native-tls` of the SDK is built against OpenSSL.
    if !works(&mut program("pkg-config", &["--exists", "openssl"])) {
        missing.extend(["pkg-config", "libssl-dev"]);
    }
    install_packages(&missing)?;
    install_npm_packages()?;
    install_python_packages()
}

/// Installs programs that only one task needs, if they are missing. Their Debian packages must have the same names.
pub(crate) fn ensure(programs: &[&'static str]) -> Result<(), Failure> {
    let programs: Vec<_> = programs.iter().map(|name| (*name, std::slice::from_ref(name))).collect();
    install_packages(&missing(&programs))
}

/// Installs Debian packages that are missing.
pub(crate) fn ensure_packages(packages: &[&str]) -> Result<(), Failure> {
    let is_missing = |name: &&str| !works(&mut program("dpkg", &["--status", name]));
    install_packages(&packages.iter().copied().filter(is_missing).collect::<Vec<_>>())
}

/// Installs a tool from crates.io below `target/tools`. Cargo does nothing if this version is already installed there.
pub(crate) fn install_cargo_tool(name: &str, version: &str) -> Result<(), Failure> {
    let mut install = cargo(&["install", "--locked", "--quiet", "--version", version, name]);
    run(install.arg("--root").arg(root().join(CARGO_TOOLS)))
}

/// Prepares a command that runs such a tool.
pub(crate) fn cargo_tool(name: &str, arguments: &[&str]) -> Command {
    program(&root().join(CARGO_TOOLS).join("bin").join(name).to_string_lossy(), arguments)
}

fn missing(programs: &[(&str, &[&'static str])]) -> Vec<&'static str> {
    let missing = programs.iter().filter(|(name, _)| !is_on_path(name));
    missing.flat_map(|(_, packages)| *packages).copied().collect()
}

/// The Node on which the linter runs: the system's, or the installed one if the system's is too old.
pub(crate) fn node() -> Result<String, Failure> {
    let own = root().join(OWN_NODE);
    Ok(if is_new_enough("node") { "node".to_owned() } else { own.to_string_lossy().into_owned() })
}

fn install_packages(packages: &[&str]) -> Result<(), Failure> {
    if packages.is_empty() {
        return Ok(());
    }
    let by_hand =
        || Failure::new(format!("install these packages, then run this again: {}", packages.join(" ")));
    let root_user = read(&mut program("id", &["-u"])).is_ok_and(|id| id.trim() == "0");
    if !root_user || !is_on_path("apt-get") {
        return Err(by_hand());
    }
    println!("installing {}", packages.join(" "));
    run(program("apt-get", &["update", "--quiet=2"]).stdin(Stdio::null()))?;
    let mut install = program("apt-get", &["install", "--yes", "--quiet=2", "--no-install-recommends"]);
    let install = install.args(packages).env("DEBIAN_FRONTEND", "noninteractive").stdin(Stdio::null());
    run(install.stdout(Stdio::null())).map_err(|_| by_hand())
}

/// Installs the Python packages into a folder of their own.
fn install_python_packages() -> Result<(), Failure> {
    let folder = root().join(PYTHON_FOLDER);
    let wanted = fs::read_to_string(root().join(PYTHON_PACKAGES)).map_err(Failure::new)?;
    let installed = folder.join("installed-requirements.txt");
    if fs::read_to_string(&installed).is_ok_and(|installed| installed == wanted) {
        return Ok(());
    }
    let place = folder.to_string_lossy().into_owned();
    // Debian has `venv` in a package of its own, and says so when it is missing.
    if !works(&mut program("python3", &["-m", "venv", &place])) {
        install_packages(&["python3-venv"])?;
        run(program("python3", &["-m", "venv", &place]).stdout(Stdio::null()))?;
    }
    let pip = folder.join("bin/pip").to_string_lossy().into_owned();
    let packages = root().join(PYTHON_PACKAGES).to_string_lossy().into_owned();
    run(&mut program(
        &pip,
        &["install", "--quiet", "--disable-pip-version-check", "--requirement", &packages],
    ))?;
    fs::write(installed, wanted).map_err(Failure::new)
}

fn install_npm_packages() -> Result<(), Failure> {
    let folder = root().join(NPM_FOLDER);
    let text = |name: &str| fs::read_to_string(folder.join(name)).unwrap_or_default();
    // After each installation the lock file is copied beside the packages; if the two differ, the packages are out of date.
    if text("package-lock.json") != text("node_modules/.installed-lock.json") || !root().join(LINTER).exists()
    {
        run(program("npm", &["ci"]).current_dir(&folder).stdout(Stdio::null()))?;
        fs::write(folder.join("node_modules/.installed-lock.json"), text("package-lock.json"))
            .map_err(Failure::new)?;
    }
    if !is_new_enough("node") && !is_new_enough(&node()?) {
        run(program("npm", &["install", "--no-save", "node@22"]).current_dir(&folder).stdout(Stdio::null()))?;
    }
    Ok(())
}

fn is_new_enough(node: &str) -> bool {
    let version = program(node, &["--version"]).output().map(|output| output.stdout).unwrap_or_default();
    let version = String::from_utf8_lossy(&version).into_owned();
    let mut numbers =
        version.trim().trim_start_matches('v').split('.').map_while(|number| number.parse().ok());
    matches!((numbers.next(), numbers.next()), (Some(major), Some(minor)) if (major, minor) >= OLDEST_NODE)
}

fn works(command: &mut Command) -> bool {
    command.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}

fn is_on_path(name: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    // Debian installs servers such as haproxy in /usr/sbin, which is not on the PATH of ordinary users.
    let folders = env::split_paths(&path).chain(["/usr/sbin".into()]);
    folders.into_iter().any(|folder| Path::new(&folder).join(name).is_file())
}
