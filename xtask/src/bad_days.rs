//! `cargo xtask bad-days`: does to the gateway what operators fear, while clients are served, and writes into `docs/operating.md` what clients and
//! operators saw. The days are tests (`gateway/tests/it/bad_days`), whose short form is part of `cargo xtask test`.

use std::fs;

use crate::{
    codegen::between,
    command::{Failure, cargo, root, run},
    tools,
};

const DOCUMENT: &str = "docs/operating.md";
const FOLDER: &str = "target/bad-days";
/// The lines between which the document holds the table.
const PART: [&str; 2] = ["<!-- bad days -->\n", "<!-- /bad days -->\n"];
const DAYS: usize = 18;
const HEAD: &str =
    "| day | what clients saw meanwhile | what was lost | what the operator saw |\n|---|---|---|---|\n";

/// Does the days in full, one after the other, which takes ten minutes, and writes the table.
pub(crate) fn run_all() -> Result<(), Failure> {
    // Before the ten minutes, which would be for nothing.
    document()?;
    tools::install()?;
    let folder = root().join(FOLDER);
    // It may not be there.
    let _ = fs::remove_dir_all(&folder);
    let tests = [
        "test",
        "--locked",
        "--package",
        "autoshares-gateway",
        "--test",
        "it",
        "bad_days::",
        "--",
        "--test-threads=1",
    ];
    run(cargo(&tests).env("BAD_DAYS", &folder))?;
    let mut rows: Vec<_> =
        fs::read_dir(&folder).map_err(Failure::new)?.flatten().map(|row| row.path()).collect();
    rows.sort();
    let rows: Vec<_> = rows.iter().map(fs::read_to_string).collect::<Result<_, _>>().map_err(Failure::new)?;
    let table = HEAD.to_owned() + &rows.concat();
    if rows.len() != DAYS {
        return Err(Failure::new(format!("{} days have told what was seen, and not {DAYS}", rows.len())));
    }
    print!("{table}");
    // As it is by now: somebody may have written in it meanwhile.
    fs::write(root().join(DOCUMENT), between(&document()?, PART, &table)).map_err(Failure::new)?;
    println!("{DOCUMENT} is written");
    Ok(())
}

/// The document, which has a place for the table.
fn document() -> Result<String, Failure> {
    let text = fs::read_to_string(root().join(DOCUMENT)).map_err(Failure::new)?;
    if PART.iter().all(|line| text.contains(line)) {
        return Ok(text);
    }
    Err(Failure::new(format!("{DOCUMENT} has no place for the table: {}", PART.concat())))
}
