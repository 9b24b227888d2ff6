//! `cargo xtask codegen [--check]`: derived documents, written or compared.

use std::fs;

use similar::TextDiff;

use crate::command::{Failure, cargo, read, root};

/// Each document with the arguments that make the gateway print it.
const DOCUMENTS: [(&str, &[&str]); 2] =
    [("openapi/gateway.json", &["openapi"]), ("openapi/audit.schema.json", &["openapi", "--audit"])];

/// Exit code of `--check` when a document is stale.
const STALE: u8 = 4;

/// Writes the documents.
pub(crate) fn write() -> Result<(), Failure> {
    for (document, arguments) in DOCUMENTS {
        let made = make(arguments)?;
        if current(document) == made {
            println!("{document} is up to date");
            continue;
        }
        fs::write(root().join(document), made)
            .map_err(|error| Failure::new(format!("{document}: {error}")))?;
        println!("{document} is written");
    }
    Ok(())
}

/// Writes nothing; prints a diff and the command that mends it when a document is stale.
pub(crate) fn check() -> Result<(), Failure> {
    let mut stale = Vec::new();
    for (document, arguments) in DOCUMENTS {
        let (current, made) = (current(document), make(arguments)?);
        if current == made {
            println!("{document} is up to date");
            continue;
        }
        print!(
            "{}",
            TextDiff::from_lines(&current, &made).unified_diff().header(document, "as it should be")
        );
        stale.push(document);
    }
    if stale.is_empty() {
        return Ok(());
    }
    Err(Failure { text: format!("{} is stale; run `cargo xtask codegen`", stale.join(", ")), code: STALE })
}

/// What the code says; the gateway prints it.
fn make(arguments: &[&str]) -> Result<String, Failure> {
    let gateway = ["run", "--locked", "--quiet", "--package", "autoshares-gateway", "--"];
    read(cargo(&gateway).args(arguments))
}

/// What is in the tree; nothing when the file is missing.
fn current(document: &str) -> String {
    fs::read_to_string(root().join(document)).unwrap_or_default()
}
