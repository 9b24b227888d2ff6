//! `cargo xtask dist`: builds the gateway for operators, as an archive with all that `docs/operating.md` needs to install it: the binary, the files of
//! `deploy/`, documents, a list of what the binary is made of (SBOM), the facts of the build, and checksums.

use std::{fs, path::Path, process::Stdio};

use crate::{
    codegen,
    command::{Failure, program, read, root, run, sha256},
    shipped::{self, BINARY, COUNTS, FOLDER, fact},
    tools,
};

/// Lists the crates that a binary is made of.
const SBOM_TOOL: (&str, &str) = ("cargo-cyclonedx", "0.5.9");
const DOCUMENTS: [&str; 5] = ["LICENSE-APACHE", "LICENSE-MIT", "README.md", "SECURITY.md", "docs"];

/// What the archive says of its build.
struct Build {
    version: String,
    commit: String,
    /// The time of the commit, in seconds since 1970, which all files of the archive get: the same commit gives the same archive, if the counts are the same.
    time: String,
    target: String,
    compiler: String,
}

/// Builds the archive and its checksum, with the counts of an earlier training if there are some ([`shipped`]).
pub(crate) fn build(counts: Option<&str>) -> Result<(), Failure> {
    let build = Build::of_now()?;
    let folder = root().join(FOLDER);
    let name = format!("{BINARY}-{}-{}", build.version, build.target);
    let place = folder.join(&name);
    if place.exists() {
        fs::remove_dir_all(&place).map_err(Failure::new)?;
    }
    fs::create_dir_all(&place).map_err(Failure::new)?;
    let shipped = shipped::build(&build.commit, counts)?;
    shipped::try_out(&shipped.binary)?;
    codegen::compare(&shipped.binary.display().to_string())?;
    fs::copy(&shipped.binary, place.join(BINARY)).map_err(Failure::new)?;
    fs::write(place.join(format!("{BINARY}.cdx.json")), sbom(&build)?).map_err(Failure::new)?;
    fs::write(place.join("build-info.json"), build.json(&shipped.counts)?).map_err(Failure::new)?;
    copy_files(&place)?;
    let files =
        read(program("sh", &["-c", "find . -type f | LC_ALL=C sort | xargs sha256sum"]).current_dir(&place))?;
    fs::write(place.join("SHA256SUMS"), files).map_err(Failure::new)?;
    let archive = pack(&build, &folder, &name)?;
    let counts = format!("{name}.counts");
    fs::create_dir_all(folder.join(&counts)).map_err(Failure::new)?;
    // The folder may be that of the last archive.
    if fs::canonicalize(&shipped.counts).ok() != fs::canonicalize(folder.join(&counts)).ok() {
        for file in COUNTS {
            fs::copy(shipped.counts.join(file), folder.join(&counts).join(file)).map_err(Failure::new)?;
        }
    }
    println!(
        "{FOLDER}/{archive} is written, and {archive}.sha256 beside it. To build the same bytes again: \
         cargo xtask dist --counts {FOLDER}/{counts}"
    );
    Ok(())
}

impl Build {
    fn of_now() -> Result<Self, Failure> {
        let manifest = fs::read_to_string(root().join("Cargo.toml")).map_err(Failure::new)?;
        let version = manifest.lines().find_map(|line| line.strip_prefix("version = "));
        let version =
            version.ok_or_else(|| Failure::new("Cargo.toml has no version"))?.trim_matches('"').to_owned();
        let git =
            |arguments: &[&str]| Ok::<_, Failure>(read(&mut program("git", arguments))?.trim().to_owned());
        let mut commit = git(&["rev-parse", "--short=12", "HEAD"])?;
        if !git(&["status", "--porcelain"])?.is_empty() {
            println!("warning: there are changes that are not committed; the archive says so");
            commit.push_str("-changed");
        }
        let time = git(&["log", "-1", "--format=%ct"])?;
        Ok(Self { version, commit, time, target: fact("host: ")?, compiler: fact("release: ")? })
    }

    /// The facts, with the checksums of the counts that the binary was optimized with, which lie in a folder.
    fn json(&self, counts: &Path) -> Result<String, Failure> {
        let [compiler_counts, bolt_counts] = COUNTS.map(|file| sha256(&counts.join(file)));
        let (compiler_counts, bolt_counts) = (compiler_counts?, bolt_counts?);
        let Self { version, commit, time, target, compiler } = self;
        // The binary needs the C library of this system, or a newer one.
        let system = fs::read_to_string("/etc/os-release").unwrap_or_default();
        let system = system
            .lines()
            .find_map(|line| line.strip_prefix("PRETTY_NAME="))
            .unwrap_or("unknown")
            .trim_matches('"');
        Ok(format!(
            "{{\n  \"name\": \"{BINARY}\",\n  \"version\": \"{version}\",\n  \"commit\": \"{commit}\",\n  \"commit_time\": {time},\n  \
             \"target\": \"{target}\",\n  \"rustc\": \"{compiler}\",\n  \"compiler_counts\": \"{compiler_counts}\",\n  \"bolt_counts\": \"{bolt_counts}\",\n  \
             \"built_on\": \"{system}\"\n}}\n"
        ))
    }
}

/// The crates that the binary is made of, as CycloneDX writes them.
fn sbom(build: &Build) -> Result<String, Failure> {
    let (name, version) = SBOM_TOOL;
    tools::install_cargo_tool(name, version)?;
    let mut list = tools::cargo_tool(
        name,
        &["cyclonedx", "--manifest-path", "gateway/Cargo.toml", "--format", "json", "--spec-version", "1.5"],
    );
    list.args(["--no-build-deps", "--quiet", "--override-filename", "dist-sbom"])
        .env("SOURCE_DATE_EPOCH", &build.time);
    run(list.stderr(Stdio::null()))?;
    // It writes one file for each member of the workspace.
    let text = fs::read_to_string(root().join("gateway/dist-sbom.json")).map_err(Failure::new)?;
    for member in ["bench", "gateway", "gateway/counting", "sdk", "xtask"] {
        // One that is not there need not be removed.
        let _ = fs::remove_file(root().join(member).join("dist-sbom.json"));
    }
    let root = fs::canonicalize(root()).map_err(Failure::new)?;
    Ok(text.replace(&format!("{}", root.display()), ""))
}

fn copy_files(place: &Path) -> Result<(), Failure> {
    // Of what git knows, and nothing else: a key may lie beside it.
    let known = read(program("git", &["ls-files", "--"]).args(DOCUMENTS).arg("deploy"))?;
    for file in known.lines().filter(|file| !file.starts_with("docs/pictures/")) {
        let target = place.join(file);
        fs::create_dir_all(target.parent().unwrap_or(place)).map_err(Failure::new)?;
        fs::copy(root().join(file), target).map_err(Failure::new)?;
    }
    Ok(())
}

/// Packs the folder so that the same content gives the same bytes.
fn pack(build: &Build, folder: &Path, name: &str) -> Result<String, Failure> {
    let (tar, archive) = (format!("{name}.tar"), format!("{name}.tar.gz"));
    let time = format!("--mtime=@{}", build.time);
    let mut pack =
        program("tar", &["--create", "--file", &tar, "--sort=name", &time, "--owner=0", "--group=0"]);
    run(pack
        .args(["--numeric-owner", "--mode=u+rwX,go+rX,go-w", "--format=ustar", name])
        .current_dir(folder))?;
    run(program("gzip", &["--force", "--best", "--no-name", &tar]).current_dir(folder))?;
    let sum = read(program("sha256sum", &[&archive]).current_dir(folder))?;
    fs::write(folder.join(format!("{archive}.sha256")), sum).map_err(Failure::new)?;
    Ok(archive)
}
