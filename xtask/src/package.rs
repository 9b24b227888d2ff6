//! The SDK as a stranger gets it: packed, unpacked outside the repository, built and tested there, and no heavier than it says.

use std::{env, fs, path::PathBuf, process};

use crate::command::{Failure, cargo, program, read, root, run};

/// Packs the SDK, and runs its doc tests, with and without features, from the package alone.
pub(crate) fn check() -> Result<(), Failure> {
    let folder = Folder::new()?;
    let target = root().join("target");
    let packed = target.join("package");
    // Cargo's own check would build inside the repository, where a file that the package lacks is still found.
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
    for arguments in [
        &["test", "--quiet", "--doc", "--features", "sandbox"][..],
        &["build", "--quiet", "--no-default-features"],
    ] {
        // The same target folder, so that only the package itself is built anew.
        run(cargo(arguments).arg("--target-dir").arg(&target).current_dir(&folder.0))?;
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

fn newest_crate(folder: &PathBuf) -> Result<PathBuf, Failure> {
    let entries = fs::read_dir(folder).map_err(Failure::new)?.flatten().map(|entry| entry.path());
    let archives = entries.filter(|path| path.extension().is_some_and(|extension| extension == "crate"));
    let modified = |path: &PathBuf| fs::metadata(path).and_then(|metadata| metadata.modified()).ok();
    archives.max_by_key(modified).ok_or_else(|| Failure::new("cargo packed nothing"))
}

/// A folder that goes away.
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
        // What is left over in the temporary folder harms nobody.
        let _ = fs::remove_dir_all(&self.0);
    }
}
