//! The walk-through of the README, run line by line as it stands, against `dev`.

use std::process::Command;

use crate::support::Dev;

#[test]
fn the_walk_through_works_as_written() {
    let readme = include_str!("../../../../README.md");
    let (_, rest) = readme.split_once("## Walk through").unwrap();
    let (section, _) = rest.split_once("\n## ").unwrap();
    let blocks: Vec<_> =
        section.split("```sh\n").skip(1).map(|block| block.split_once("```").unwrap().0).collect();
    assert_eq!(blocks.len(), 4, "one for each step");

    let dev = Dev::start(&[], &[]);
    // Another copy of `dev` may hold the usual ports.
    let script = blocks.concat();
    let script = script
        .replace("http://localhost:8080", &dev.gateway)
        .replace("http://127.0.0.1:8090/sandbox/outbox", &dev.outbox);
    assert!(script.contains(&dev.gateway) && script.contains(&dev.outbox));

    // A shell that nobody types into leaves aliases alone unless told.
    let script = format!("shopt -s expand_aliases\n{script}");
    let folder = tempfile::tempdir().unwrap();
    let output =
        Command::new("bash").args(["-euo", "pipefail", "-c", &script]).current_dir(&folder).output().unwrap();
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{told}{}", String::from_utf8_lossy(&output.stderr));
    let answers: Vec<_> = told.lines().filter(|line| !line.is_empty()).collect();
    // What the README prints under each command is what comes.
    let expected: Vec<_> = section.lines().filter_map(|line| line.strip_prefix("    ")).collect();
    assert_eq!(answers, expected);
}
