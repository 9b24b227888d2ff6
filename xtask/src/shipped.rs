//! Builds the gateway as operators get it: without the names of this machine's folders in it, and optimized for what it does under load.
//!
//! That takes two builds and a rearrangement. The first build counts what its code does while `bench/src/training.rs` puts a load on it; with
//! these counts the compiler knows, in the second one, which branches are taken and which functions belong together. BOLT then has that program
//! count the branches of its machine code under the same load, and moves what runs often side by side. A request gets a third cheaper
//! (`docs/performance.md`): it runs much code once, and the processor waits for code more than for data. Counts differ a little from one training
//! to the next, so they are kept: the same commit and the same counts give the same binary.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{
    command::{Failure, built, cargo, program, read, root, run, run_quietly, sha256},
    tools,
};

/// The name of the binary and of its package.
pub(crate) const BINARY: &str = "autoshares-gateway";
/// What puts a load on it.
const TRAINER: &str = "autoshares-bench";
/// Where the build lies that counts, and below it a folder of counts for each such build.
const TRAINING: &str = "target/training";
/// Where processes that count leave their counts, below [`TRAINING`].
const RAW: &str = "raw";
/// Where the build for operators lies, and their archive.
pub(crate) const FOLDER: &str = "target/dist";
/// The counts by which the compiler optimizes, and those by which BOLT moves the code, in their folder.
pub(crate) const COUNTS: [&str; 2] = ["compiler.profdata", "bolt.fdata"];
/// What the allocator is built with, and what puts a load on the gateway.
const PROGRAMS: [&str; 4] = ["make", "nginx", "redis-server", "wrk"];
/// How BOLT arranges code: blocks that follow each other, functions that call each other, and what hardly ever runs far away.
/// Assembly stays as its authors wrote it: it is cryptography, and keeps rules that BOLT does not know. Pages of 2 MiB would
/// only make the file larger, for Linux maps it in small ones. The names of this machine's folders stay out of the binary.
const ARRANGEMENT: [&str; 10] = [
    "-reorder-blocks=ext-tsp",
    "-reorder-functions=cdsort",
    "-split-functions",
    "-split-strategy=cdsplit",
    "-split-all-cold",
    "-split-eh",
    "-icf=safe",
    "-skip-funcs=(ring_core|blake3)_.*",
    "-no-huge-pages",
    "-bolt-info=0",
];

/// A build, and the folder with the counts that it was optimized with.
pub(crate) struct Shipped {
    pub(crate) binary: PathBuf,
    pub(crate) counts: PathBuf,
}

/// Builds the gateway for operators, of this commit as far as `--version` shows it. Without a folder of `counts` it is trained, unless this program
/// has been trained before.
pub(crate) fn build(commit: &str, counts: Option<&str>) -> Result<Shipped, Failure> {
    let [bolt, merge] = ["llvm-bolt", "merge-fdata"].map(|name| llvm(name, "bolt"));
    let (bolt, merge) = (bolt?, merge?);
    let counts = match counts {
        Some(folder) => {
            let folder = env::current_dir().map_err(Failure::new)?.join(folder);
            if let Some(missing) = COUNTS.iter().map(|file| folder.join(file)).find(|file| !file.is_file()) {
                return Err(Failure::new(format!("there is no file {}", missing.display())));
            }
            folder
        }
        None => train_for_compiler()?,
    };
    let [branches, layout] = COUNTS.map(|file| counts.join(file));
    let optimized = format!("-Cprofile-use={}", branches.display());
    // BOLT moves code, and so has to know what refers to it.
    let compiled = compile(FOLDER, &[&optimized, "-Clink-arg=-Wl,--emit-relocs"], commit)?;
    if !layout.exists() {
        train_for_bolt(&bolt, &merge, &compiled, &layout)?;
    }
    let binary = fs::canonicalize(root()).map_err(Failure::new)?.join(FOLDER).join(BINARY);
    println!("arranging its code");
    let mut arrange = program(&bolt, &ARRANGEMENT);
    run_quietly(arrange.arg(&compiled).arg("-data").arg(&layout).arg("-o").arg(&binary))?;
    Ok(Shipped { binary, counts })
}

/// Has a build count what it does under load, and returns the folder of its counts. The folder is named after that build and after what puts the
/// load on it, and is used again as long as both stay as they are.
fn train_for_compiler() -> Result<PathBuf, Failure> {
    // It is looked for first, for a build takes minutes.
    let merge = merging_tool()?;
    tools::ensure(&PROGRAMS)?;
    println!("building the gateway that counts what it does");
    let counting = compile(TRAINING, &["-Cprofile-generate"], "training")?;
    let trainer = trainer()?;
    let (by, of) = (sha256(Path::new(&trainer))?, sha256(&counting)?);
    let folder = training_folder()?.join(format!("{by:.12}-{of:.12}"));
    let counts = folder.join(COUNTS[0]);
    if counts.exists() {
        println!("it has been put under this load before: {}", counts.display());
        return Ok(folder);
    }
    let raw = put_load_on(&trainer, &counting)?;
    fs::create_dir_all(&folder).map_err(Failure::new)?;
    let merged = folder.join("merged");
    run(program(&merge, &["merge", "--sparse", "--output"]).arg(&merged).arg(&raw))?;
    // Only a whole file gets the name.
    fs::rename(merged, &counts).map_err(Failure::new)?;
    Ok(folder)
}

/// Has the machine code of a build count its branches under load, and writes these counts into a file.
fn train_for_bolt(bolt: &str, merge: &str, compiled: &Path, counts: &Path) -> Result<(), Failure> {
    tools::ensure(&PROGRAMS)?;
    let folder = training_folder()?;
    let counting = folder.join("counting-branches");
    let mut instrument = program(bolt, &["-instrument", "-instrumentation-file-append-pid"]);
    instrument.arg(format!("-instrumentation-file={}", folder.join(RAW).join("branches").display()));
    run_quietly(instrument.arg(compiled).arg("-o").arg(&counting))?;
    let raw = put_load_on(&trainer()?, &counting)?;
    let merged = counts.with_extension("merged");
    let files = fs::read_dir(raw).map_err(Failure::new)?.filter_map(Result::ok).map(|file| file.path());
    let mut merge = program(merge, &["-q", "-o"]);
    run_quietly(merge.arg(&merged).args(files))?;
    fs::rename(merged, counts).map_err(Failure::new)
}

/// Puts the same load on a finished build, which fails if a reply is not the one that is due: whoever moves machine code may break it.
pub(crate) fn try_out(binary: &Path) -> Result<(), Failure> {
    println!("putting the load on what is finished");
    run(&mut load_on(&trainer()?, binary))
}

/// Prepares the command that puts the load on a build.
fn load_on(trainer: &str, gateway: &Path) -> Command {
    let mut load = program(trainer, &["--train", "--gateway"]);
    load.arg(gateway);
    load
}

/// Puts the load on a build that counts, and returns the folder of what its processes counted.
fn put_load_on(trainer: &str, counting: &Path) -> Result<PathBuf, Failure> {
    println!("putting a load on it");
    let raw = training_folder()?.join(RAW);
    if raw.exists() {
        fs::remove_dir_all(&raw).map_err(Failure::new)?;
    }
    fs::create_dir_all(&raw).map_err(Failure::new)?;
    // One file for each process, `%p`, for several run at once.
    run(load_on(trainer, counting).env("LLVM_PROFILE_FILE", raw.join("%p.profraw")))?;
    Ok(raw)
}

fn training_folder() -> Result<PathBuf, Failure> {
    Ok(fs::canonicalize(root()).map_err(Failure::new)?.join(TRAINING))
}

/// Builds what puts the load on the gateway, and returns its path.
fn trainer() -> Result<String, Failure> {
    run(&mut cargo(&["build", "--locked", "--quiet", "--package", TRAINER]))?;
    built(TRAINER)
}

/// Compiles the gateway into a folder below the root, and returns the path of the binary.
fn compile(folder: &str, flags: &[&str], commit: &str) -> Result<PathBuf, Failure> {
    let root = fs::canonicalize(root()).map_err(Failure::new)?;
    let home = env::var("HOME").unwrap_or_default();
    let cargo_home = env::var("CARGO_HOME").unwrap_or_else(|_| format!("{home}/.cargo"));
    let common = [
        format!("--remap-path-prefix={}=", root.display()),
        format!("--remap-path-prefix={cargo_home}=cargo"),
        // These flags take the place of those in `.cargo/config.toml`, which has the reason for this one.
        "--cfg".to_owned(),
        "poly1305_backend=\"soft\"".to_owned(),
        // The older names of functions are longer than BOLT expects.
        "-Csymbol-mangling-version=v0".to_owned(),
    ];
    let flags: Vec<&str> = common.iter().map(String::as_str).chain(flags.iter().copied()).collect();
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

/// The program that merges the counts of the compiler: rustup's component, or Debian's package.
fn merging_tool() -> Result<String, Failure> {
    const NAME: &str = "llvm-profdata";
    let sysroot = read(&mut program("rustc", &["--print", "sysroot"]))?;
    let component = format!("{}/lib/rustlib/{}/bin/{NAME}", sysroot.trim(), fact("host: ")?);
    if Path::new(&component).exists() {
        return Ok(component);
    }
    llvm(NAME, "llvm").map_err(|Failure { text, code }| Failure {
        text: format!("{text}; or use rustup's: rustup component add llvm-tools"),
        code,
    })
}

/// The path of a program of LLVM, of the version that this compiler has: it knows the formats that this compiler writes. Debian's package, which has the
/// version in its name, is installed if it is missing.
fn llvm(name: &str, package: &str) -> Result<String, Failure> {
    let llvm = fact("LLVM version: ")?;
    let version = llvm.split('.').next().unwrap_or_default();
    let path = format!("/usr/lib/llvm-{version}/bin/{name}");
    if !Path::new(&path).exists() {
        tools::ensure_packages(&[&format!("{package}-{version}")])?;
    }
    Ok(path)
}

/// What `rustc -vV` says after these words.
pub(crate) fn fact(words: &str) -> Result<String, Failure> {
    let facts = read(&mut program("rustc", &["-vV"]))?;
    let fact = facts.lines().find_map(|line| line.strip_prefix(words));
    fact.map(str::to_owned).ok_or_else(|| Failure::new(format!("`rustc -vV` has no line `{words}`")))
}
