//! Generates the client: reads `openapi/autoshares.yaml`, checks it, and has progenitor write Rust code for it into `OUT_DIR`.

#[path = "build/check.rs"]
mod check;
#[path = "build/generate.rs"]
mod generate;

use std::{env, fs, path::Path, process};

const DOCUMENT: &str = "openapi/autoshares.yaml";

fn main() {
    println!("cargo::rerun-if-changed={DOCUMENT}");
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=build");
    if let Err(faults) = run() {
        for fault in faults {
            eprintln!("{DOCUMENT}: {fault}");
        }
        process::exit(1);
    }
}

fn run() -> Result<(), Vec<String>> {
    let text = fs::read_to_string(DOCUMENT).map_err(|error| vec![error.to_string()])?;
    let document: serde_json::Value =
        serde_yaml_ng::from_str(&text).map_err(|error| vec![format!("not readable as YAML: {error}")])?;
    let faults = check::faults(&document);
    if !faults.is_empty() {
        return Err(faults);
    }

    let out_dir = env::var("OUT_DIR").map_err(|error| vec![format!("OUT_DIR: {error}")])?;
    let write = |name: &str, text: String| {
        fs::write(Path::new(&out_dir).join(name), text).map_err(|error| vec![format!("{name}: {error}")])
    };
    write("client.rs", generate::client(&document).map_err(|fault| vec![fault])?)?;
    write("operations.rs", generate::operations(&document))
}
