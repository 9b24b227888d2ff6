//! `cargo xtask codegen [--check]`: writes the documents that are generated from the code, or checks that they are up to date.

use std::fs;

use similar::TextDiff;

use crate::{
    command::{Failure, built, cargo, program, read, root, run},
    shipped::BINARY,
};

/// Each generated document, with the arguments with which the gateway prints it.
const DOCUMENTS: [(&str, &[&str]); 5] = [
    ("openapi/gateway.json", &["openapi"]),
    ("openapi/audit.schema.json", &["openapi", "--audit"]),
    ("deploy/gateway.example.toml", &["config", "--about", "example"]),
    ("deploy/gateway.schema.json", &["config", "--about", "schema"]),
    ("docs/operating.md", &["config", "--about", "table"]),
];

/// The lines between which a document by hand holds a generated part.
const PART: [&str; 2] = ["<!-- settings -->\n", "<!-- /settings -->\n"];

/// The exit code of `--check` when a document is out of date, so that scripts can tell this from other failures.
const STALE: u8 = 4;

/// Builds the gateway, generates all documents, and writes those that have changed.
pub(crate) fn write() -> Result<(), Failure> {
    build()?;
    let gateway = built(BINARY)?;
    for (document, arguments) in DOCUMENTS {
        let made = make(&gateway, document, arguments)?;
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

/// Builds the gateway, and does what [`compare`] does.
pub(crate) fn check() -> Result<(), Failure> {
    build()?;
    compare(&built(BINARY)?)
}

/// Compares all documents with those that a gateway prints, without writing any. Prints a diff for each one that is out of date, and fails with the
/// command that updates them.
pub(crate) fn compare(gateway: &str) -> Result<(), Failure> {
    let mut stale = Vec::new();
    for (document, arguments) in DOCUMENTS {
        let (current, made) = (current(document), make(gateway, document, arguments)?);
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

fn build() -> Result<(), Failure> {
    run(&mut cargo(&["build", "--locked", "--quiet", "--package", BINARY]))
}

/// Generates a document by running a gateway, which prints it, or the part of it that is generated.
fn make(gateway: &str, document: &str, arguments: &[&str]) -> Result<String, Failure> {
    let made = read(&mut program(gateway, arguments))?;
    Ok(between(&current(document), PART, &made))
}

/// A document with another text between two lines, or that text alone where the document does not have them.
pub(crate) fn between(document: &str, [first, last]: [&str; 2], text: &str) -> String {
    let around =
        document.split_once(first).and_then(|(before, rest)| Some((before, rest.split_once(last)?.1)));
    around.map_or(text.to_owned(), |(before, after)| format!("{before}{first}{text}{last}{after}"))
}

/// Reads a document from the tree. A missing file counts as empty, and is therefore out of date; without `openapi/gateway.json` the gateway, which serves it,
/// is not built at all.
fn current(document: &str) -> String {
    fs::read_to_string(root().join(document)).unwrap_or_default()
}
