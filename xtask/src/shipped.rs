//! Builds the gateway as operators get it: without the names of this machine's folders in it, and optimized for what it does under load.
//!
//! That takes two builds. The first one counts what its code does while `bench/src/training.rs` puts a load on it; the compiler then knows which
//! branches are taken and which functions belong together, which makes a request a quarter cheaper (`docs/performance.md`). The counts
//! differ a little from one training to the next, so the file with them is kept: the same commit and the same counts give the same binary.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use crate::{
    command::{Failure, built, cargo, program, read, root, run, sha256},
    tools,
};

/// The name of the binary and of its package.
pub(crate) const BINARY: &str = "autoshares-gateway";
/// What puts a load on it.
const TRAINER: &str = "autoshares-bench";
/// Where the build lies that counts, and its counts.
const TRAINING: &str = "target/training";
/// Where the build for operators lies, and their archive.
pub(crate) const FOLDER: &str = "target/dist";
/// What the allocator is built with, and what puts a load on the gateway.
const PROGRAMS: [&str; 4] = ["make", "nginx", "redis-server", "wrk"];

/// A build, and the counts that it was optimized with.
pub(crate) struct Shipped {
    pub(crate) binary: PathBuf,
    pub(crate) counts: PathBuf,
}

/// Builds the gateway for operators, of this commit as far as `--version` shows it. Without `counts` it is trained first, unless this program has
/// been trained before.
pub(crate) fn build(commit: &str, counts: Option<&str>) -> Result<Shipped, Failure> {
    let counts = match counts {
        Some(file) => env::current_dir().map_err(Failure::new)?.join(file),
        None => train()?,
    };
    if !counts.is_file() {
        return Err(Failure::new(format!("there is no file {}", counts.display())));
    }
    let optimized = format!("-Cprofile-use={}", counts.display());
    Ok(Shipped { binary: compile(FOLDER, &optimized, commit)?, counts })
}

/// Has a build count what it does under load. The file with the counts is named after that build and after what puts the load on it, and is used
/// again as long as both stay as they are.
fn train() -> Result<PathBuf, Failure> {
    // It is looked for first, for a build takes minutes.
    let merge = merging_tool()?;
    tools::ensure(&PROGRAMS)?;
    let folder = fs::canonicalize(root()).map_err(Failure::new)?.join(TRAINING);
    println!("building the gateway that counts what it does");
    let counting = compile(TRAINING, "-Cprofile-generate", "training")?;
    run(&mut cargo(&["build", "--locked", "--quiet", "--package", TRAINER]))?;
    let trainer = built(TRAINER)?;
    let (by, of) = (sha256(Path::new(&trainer))?, sha256(&counting)?);
    let counts = folder.join(format!("{by:.12}-{of:.12}.profdata"));
    if counts.exists() {
        println!("it has been put under this load before: {}", counts.display());
        return Ok(counts);
    }
    println!("putting a load on it");
    let (raw, merged) = (folder.join("raw"), folder.join("merged"));
    if raw.exists() {
        fs::remove_dir_all(&raw).map_err(Failure::new)?;
    }
    // One file for each process, `%p`, for several run at once.
    let mut train = program(&trainer, &["--train", "--gateway"]);
    run(train.arg(&counting).env("LLVM_PROFILE_FILE", raw.join("%p.profraw")))?;
    run(program(&merge, &["merge", "--sparse", "--output"]).arg(&merged).arg(&raw))?;
    // Only a whole file gets the name.
    fs::rename(merged, &counts).map_err(Failure::new)?;
    Ok(counts)
}

/// Compiles the gateway into a folder below the root, and returns the path of the binary.
fn compile(folder: &str, flag: &str, commit: &str) -> Result<PathBuf, Failure> {
    let root = fs::canonicalize(root()).map_err(Failure::new)?;
    let home = env::var("HOME").unwrap_or_default();
    let cargo_home = env::var("CARGO_HOME").unwrap_or_else(|_| format!("{home}/.cargo"));
    let flags = [
        format!("--remap-path-prefix={}=", root.display()),
        format!("--remap-path-prefix={cargo_home}=cargo"),
        // These flags take the place of those in `.cargo/config.toml`, which has the reason for this one.
        "--cfg".to_owned(),
        "poly1305_backend=\"soft\"".to_owned(),
        flag.to_owned(),
    ];
    let target = fact("host: ")?;
    let arguments = ["build", "--locked", "--release", "--package", BINARY, "--target-dir", folder];
    let mut compile = cargo(&arguments);
    // With a target, the flags do not apply to build scripts, whose counts would be mixed with the gateway's.
    compile.args(["--target", &target]).env("CARGO_ENCODED_RUSTFLAGS", flags.join("\u{1f}"));
    // C and assembly of dependencies.
    compile.env("CFLAGS", format!("-ffile-prefix-map={cargo_home}=cargo"));
    run(compile.env("AUTOSHARES_GATEWAY_COMMIT", commit))?;
    Ok(root.join(folder).join(target).join("release").join(BINARY))
}

/// The program that merges counts. It must know the format of this compiler's, so it has the compiler's version of LLVM: rustup's component, or
/// Debian's package.
fn merging_tool() -> Result<String, Failure> {
    const NAME: &str = "llvm-profdata";
    let sysroot = read(&mut program("rustc", &["--print", "sysroot"]))?;
    let component = format!("{}/lib/rustlib/{}/bin/{NAME}", sysroot.trim(), fact("host: ")?);
    let llvm = fact("LLVM version: ")?;
    let version = llvm.split('.').next().unwrap_or_default();
    let packaged = format!("/usr/lib/llvm-{version}/bin/{NAME}");
    if Path::new(&component).exists() {
        return Ok(component);
    }
    if !Path::new(&packaged).exists() {
        tools::ensure_packages(&[&format!("llvm-{version}")]).map_err(|Failure { text, code }| Failure {
            text: format!("{text}; or use rustup's: rustup component add llvm-tools"),
            code,
        })?;
    }
    Ok(packaged)
}

/// What `rustc -vV` says after these words.
pub(crate) fn fact(words: &str) -> Result<String, Failure> {
    let facts = read(&mut program("rustc", &["-vV"]))?;
    let fact = facts.lines().find_map(|line| line.strip_prefix(words));
    fact.map(str::to_owned).ok_or_else(|| Failure::new(format!("`rustc -vV` has no line `{words}`")))
}
