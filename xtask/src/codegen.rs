//! `cargo xtask codegen [--check]`: derived documents, written or compared.

use std::fs;

use similar::TextDiff;

use crate::command::{Failure, cargo, read, root};

const DOCUMENT: &str = "openapi/gateway.json";

/// Exit code of `--check` when a document is stale.
const STALE: u8 = 4;

/// Writes the document.
pub(crate) fn write() -> Result<(), Failure> {
    let made = make()?;
    if current() == made {
        println!("{DOCUMENT} is up to date");
        return Ok(());
    }
    fs::write(root().join(DOCUMENT), made).map_err(|error| Failure::new(format!("{DOCUMENT}: {error}")))?;
    println!("{DOCUMENT} is written");
    Ok(())
}

/// Writes nothing; prints a diff and the command that mends it when the document is stale.
pub(crate) fn check() -> Result<(), Failure> {
    let (current, made) = (current(), make()?);
    if current == made {
        println!("{DOCUMENT} is up to date");
        return Ok(());
    }
    let diff = TextDiff::from_lines(&current, &made);
    print!("{}", diff.unified_diff().header(DOCUMENT, "made from the route table"));
    Err(Failure { text: format!("{DOCUMENT} is stale; run `cargo xtask codegen`"), code: STALE })
}

/// What the route table says; the gateway prints it.
fn make() -> Result<String, Failure> {
    read(&mut cargo(&["run", "--locked", "--quiet", "--package", "autoshares-gateway", "--", "openapi"]))
}

/// What is in the tree; nothing when the file is missing.
fn current() -> String {
    fs::read_to_string(root().join(DOCUMENT)).unwrap_or_default()
}
