//! Checks the SDK as its users get it: packs it, unpacks it outside the repository, checks that it compiles there, and that it has no heavy
//! dependency by default.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process,
};

use crate::command::{Failure, cargo, program, read, root, run};

/// Packs the SDK, and has cargo check the package alone: with the sandbox, and without features.
pub(crate) fn check() -> Result<(), Failure> {
    let folder = Folder::new()?;
    let target = root().join("target");
    let packed = target.join("package");
    // `--no-verify`, because cargo's own check builds inside the repository, where the build may find a file that the package lacks.
    run(&mut cargo(&[
        "package",
        "--locked",
        "--allow-dirty",
        "--no-verify",
        "--quiet",
        "--package",
        "autoshares-sdk",
    ]))?;
    let archive = newest_crate(&packed)?;
    run(program("tar", &["--extract", "--gzip", "--strip-components=1", "--file"])
        .arg(archive)
        .arg("--directory")
        .arg(&folder.0))?;
    share_profiles(&folder.0.join("Cargo.toml"))?;
    for features in [&["--features", "sandbox"][..], &["--no-default-features"]] {
        // Shares the target folder and the flags of the workspace, so that most dependencies need not be checked again.
        let mut check = cargo(&["check", "--quiet"]);
        check.args(features).arg("--target-dir").arg(&target);
        check.arg("--config").arg(root().join(".cargo/config.toml"));
        run(check.current_dir(&folder.0))?;
    }
    let tree = ["tree", "--edges", "normal", "--prefix", "none", "--format", "{p}"];
    let dependencies = read(cargo(&tree).current_dir(&folder.0))?;
    match dependencies
        .lines()
        .find(|line| ["axum ", "hyper-tls ", "aws-lc-rs "].iter().any(|name| line.starts_with(name)))
    {
        Some(heavy) => Err(Failure::new(format!(
            "by default the SDK depends on {heavy}, which only a feature may bring"
        ))),
        None => Ok(()),
    }
}

/// Gives a package the profiles of the workspace, which are no part of it: cargo builds what it depends on anew for other profiles.
fn share_profiles(manifest: &Path) -> Result<(), Failure> {
    let workspace = fs::read_to_string(root().join("Cargo.toml")).map_err(Failure::new)?;
    let profiles = workspace.find("[profile.").map(|start| &workspace[start..]);
    let profiles =
        profiles.ok_or_else(|| Failure::new("the workspace has no profiles at the end of its manifest"))?;
    let own = fs::read_to_string(manifest).map_err(Failure::new)?;
    fs::write(manifest, format!("{own}\n{profiles}")).map_err(Failure::new)
}

fn newest_crate(folder: &PathBuf) -> Result<PathBuf, Failure> {
    let entries = fs::read_dir(folder).map_err(Failure::new)?.flatten().map(|entry| entry.path());
    let archives = entries.filter(|path| path.extension().is_some_and(|extension| extension == "crate"));
    let modified = |path: &PathBuf| fs::metadata(path).and_then(|metadata| metadata.modified()).ok();
    archives.max_by_key(modified).ok_or_else(|| Failure::new("cargo packed nothing"))
}

/// A temporary folder. Dropping it removes the folder.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Result<Self, Failure> {
        let path = env::temp_dir().join(format!("autoshares-sdk-package-{}", process::id()));
        fs::create_dir_all(&path).map_err(Failure::new)?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // Failing to remove the temporary folder is harmless, so the error is ignored.
        let _ = fs::remove_dir_all(&self.0);
    }
}
