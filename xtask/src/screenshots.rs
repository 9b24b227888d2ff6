//! `cargo xtask screenshots`: walks through the hosted page in Chromium, and writes every screen in every state to a folder, for eyes.

use std::path::Path;

use crate::{
    command::{self, Failure, cargo, program, root},
    tools,
};

/// Where the screenshots go unless told otherwise, relative to the root of the workspace.
const FOLDER: &str = "target/screenshots";

/// Builds the gateway, holds the page to its weight and speed while nothing else runs, and writes the screenshots, and those of `docs/page.md`.
pub(crate) fn take(folder: Option<&str>) -> Result<(), Failure> {
    tools::install()?;
    command::run(&mut cargo(&["build", "--locked", "--package", "autoshares-gateway"]))?;
    let folder = folder.map_or_else(|| root().join(FOLDER), |folder| Path::new(folder).to_owned());
    let folder = folder.to_string_lossy().into_owned();
    let pictures = root().join("docs/pictures").to_string_lossy().into_owned();
    for arguments in
        [&["walk.mjs"][..], &["screenshots.mjs", &folder], &["screenshots.mjs", "--docs", &pictures]]
    {
        let script = root().join("gateway/tests/page").join(arguments[0]).to_string_lossy().into_owned();
        let mut node = program(&tools::node()?, &[&script]);
        node.args(&arguments[1..]).env("QUIET", "1").env("NO_PROXY", "*");
        node.env("GATEWAY", root().join("target/debug/autoshares-gateway"));
        command::run(node.env("MODULES", root().join("xtask/npm/node_modules")))?;
    }
    println!("the screenshots are in {folder}");
    Ok(())
}
