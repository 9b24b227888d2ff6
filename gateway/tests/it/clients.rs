//! The examples of `docs/clients.md`, as they stand: generated from the documents, type-checked, and run against `dev`.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::support::Dev;

/// The blocks of a language in the document, in their order.
fn blocks(language: &str) -> Vec<String> {
    let document = include_str!("../../../docs/clients.md");
    let opening = format!("```{language}\n");
    document.split(&opening).skip(1).map(|block| block.split_once("```").unwrap().0.to_owned()).collect()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Runs a command and returns what it prints.
#[track_caller]
fn printed(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| {
        panic!("{command:?} does not start ({error}); `cargo xtask test` installs what it needs")
    });
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{command:?}: {}{}", text(&output.stdout), text(&output.stderr));
    text(&output.stdout)
}

/// `dev`, and the examples with its addresses in place of the usual ones.
fn with_dev(examples: &[String]) -> (Dev, Vec<String>) {
    let dev = Dev::start(&["flow.floor=0s"], &[]);
    let replaced = |example: &String| {
        let usual = "http://127.0.0.1:8090";
        let sandbox = dev.sandbox.trim_end_matches("/api");
        example.replace("http://localhost:8080", &dev.gateway).replace(usual, sandbox)
    };
    let examples = examples.iter().map(replaced).collect();
    (dev, examples)
}

#[test]
fn the_typescript_examples_run_as_written() {
    let (_dev, examples) = with_dev(&blocks("ts"));
    assert_eq!(examples.len(), 2);
    let (folder, packages) = (tempfile::tempdir().unwrap(), root().join("xtask/npm/node_modules"));
    std::os::unix::fs::symlink(&packages, folder.path().join("node_modules")).unwrap();
    fs::write(folder.path().join("package.json"), r#"{"type": "module"}"#).unwrap();
    // The installed Node, where the system's was too old.
    let own = packages.join(".bin/node");
    let node = if own.exists() { own } else { "node".into() };
    let run = |arguments: &[&str]| printed(Command::new(&node).args(arguments).current_dir(&folder));
    for (name, document) in [("gateway", "gateway.json"), ("autoshares", "autoshares.yaml")] {
        let document = root().join("openapi").join(document);
        let output = format!("{name}.d.ts");
        run(&["node_modules/openapi-typescript/bin/cli.js", document.to_str().unwrap(), "--output", &output]);
    }
    for (index, example) in examples.iter().enumerate() {
        fs::write(folder.path().join(format!("example{index}.ts")), example).unwrap();
    }
    let check =
        ["--strict", "--module", "nodenext", "--target", "es2022", "--types", "node", "--skipLibCheck"];
    run(&[&["node_modules/typescript/bin/tsc"], &check[..], &["example0.ts", "example1.ts"]].concat());
    assert_eq!(run(&["example0.js"]), "true\n");
    assert_eq!(run(&["example1.js"]), "true\n");
}

#[test]
fn the_python_examples_run_as_written() {
    let (_dev, examples) = with_dev(&blocks("python"));
    assert_eq!(examples.len(), 2);
    let (folder, python) = (tempfile::tempdir().unwrap(), root().join("target/python/bin"));
    let path = format!("{}:{}", python.display(), env::var("PATH").unwrap_or_default());
    for document in ["gateway.json", "autoshares.yaml"] {
        let document = root().join("openapi").join(document);
        let mut generate = Command::new(python.join("openapi-python-client"));
        generate.args(["generate", "--path"]).arg(document).env("PATH", &path).current_dir(&folder);
        printed(&mut generate);
    }
    let projects = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path().display().to_string());
    let projects = projects.collect::<Vec<_>>().join(":");
    for example in &examples {
        let mut run = Command::new(python.join("python"));
        run.args(["-c", example]).env("PYTHONPATH", &projects).env("NO_PROXY", "*").current_dir(&folder);
        assert_eq!(printed(&mut run), "True\n");
    }
}
