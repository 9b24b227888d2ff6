//! What a call by the SDK costs beside one by reqwest alone.

use std::{fs, process::Stdio};

use serde_json::{Value, json};

use crate::{
    failure::Failure,
    load::{Effort, median},
    server::{SERVER_CORE, on_core, silent},
    workshop::{Workshop, release},
};

const CALLS: u32 = 20_000;

/// Makes calls one after the other, by each client in turn, and prints a line.
pub(crate) fn measure(workshop: &Workshop, effort: Effort<'_>) -> Result<Value, Failure> {
    let (mut sdk, mut reqwest) = (Vec::new(), Vec::new());
    for _ in 0..effort.rounds {
        sdk.push(cost(workshop, "sdk")?);
        reqwest.push(cost(workshop, "reqwest")?);
    }
    let ratio = median(sdk.iter().zip(&reqwest).map(|(sdk, reqwest)| sdk / reqwest));
    let (sdk, reqwest) = (median(sdk), median(reqwest));
    println!(
        "sdk: {sdk:.1} µs of processor time per call, beside {reqwest:.1} µs by reqwest alone ({ratio:.2} times as much)"
    );
    Ok(json!({ "sdk_us": sdk, "reqwest_us": reqwest, "ratio": ratio }))
}

/// The processor time of one call, in microseconds.
fn cost(workshop: &Workshop, client: &str) -> Result<f64, Failure> {
    let mut command = silent("bash");
    // The shell's `times` has a finer clock than the kernel's ticks.
    let base_url = format!("http://{}/api", workshop.upstream());
    command.arg("-c").arg("TIMEFORMAT='%U %S'; time \"$@\"").arg("calls").arg(release("calls"));
    command.args([client, &base_url, &CALLS.to_string()]);
    let times = workshop.path("times");
    let file = fs::File::create(&times).map_err(Failure::new)?;
    command.stderr(Stdio::from(file));
    let status = on_core(SERVER_CORE, || command.status().map_err(Failure::new))?;
    let told = fs::read_to_string(&times).map_err(Failure::new)?;
    let seconds: Vec<f64> = told.split_whitespace().flat_map(str::parse).collect();
    match seconds[..] {
        [user, system] if status.success() => Ok((user + system) * 1e6 / f64::from(CALLS)),
        _ => Err(Failure::new(format!("`calls {client}` failed, {status}: {told}"))),
    }
}
