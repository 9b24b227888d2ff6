//! Settings that change while the gateway runs: without a restart, without a failed request, and never to something that is not valid.

use std::{fs, path::PathBuf, process::Command, sync::Arc, time::Duration};

use autoshares_sdk::sandbox::Sandbox;
use tempfile::TempDir;
use tokio::time::sleep;

use crate::{
    servers::PATIENCE,
    support::{CODE, Gateway, JSON, RESET, bare, flow_key, http, keygen, replace},
    upstream::Upstream,
};

/// A gateway that reads its settings from a file.
struct Running {
    gateway: Gateway,
    public: String,
    admin: String,
    folder: TempDir,
}

impl Running {
    /// Starts with settings beside those that it needs. `{folder}` in them is a folder of its own.
    fn start(base_url: &str, settings: &str, files: &[(&str, &str)]) -> Self {
        Self::with(base_url, settings, files, &[("AUTOSHARES_APP_KEY", "sandbox-key")])
    }

    /// The same, with the application key in one of the files.
    fn with_key_file(base_url: &str, settings: &str, files: &[(&str, &str)]) -> Self {
        Self::with(base_url, settings, files, &[])
    }

    fn with(base_url: &str, settings: &str, files: &[(&str, &str)], variables: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            fs::write(folder.path().join(name), text).unwrap();
        }
        let file = folder.path().join("gateway.toml");
        fs::write(&file, settings.replace("{folder}", folder.path().to_str().unwrap())).unwrap();
        let (gateway, public, admin) = Gateway::serve_file(base_url, &file, variables);
        Self { gateway, public, admin, folder }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// How often another content of the keys was put in force.
    fn followed(&self) -> usize {
        self.gateway.output().matches("flow.keys_file: the file has another content").count()
    }

    /// Replaces a file of its folder.
    fn replace(&self, name: &str, text: &str) {
        replace(&self.file(name), &text.replace("{folder}", self.folder.path().to_str().unwrap()));
    }

    async fn metric(&self, name: &str) -> String {
        let metrics =
            http().get(format!("{}/metrics", self.admin)).send().await.unwrap().text().await.unwrap();
        let line = metrics.lines().find(|line| line.starts_with(name));
        line.map(|line| line[name.len()..].trim().to_owned()).unwrap_or_default()
    }

    /// Step 1 for a login; its status and the handle.
    async fn reset(&self, login: &str) -> (u16, Option<String>) {
        let body = format!(r#"{{"User": "{login}"}}"#);
        let sent = http().post(format!("{}{RESET}", self.public)).header(JSON.0, JSON.1).body(body).send();
        let reply = sent.await.unwrap();
        let handle = reply.headers().get("reset-flow").map(|handle| handle.to_str().unwrap().to_owned());
        (reply.status().as_u16(), handle)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_origins_and_the_log_follow_their_file() {
    let sandbox = Sandbox::start().await.unwrap();
    let running = Running::start(&sandbox.base_url(), "[limits]\nresets_per_address = \"2/h\"\n", &[]);
    for status in [200, 200, 429] {
        assert_eq!(running.reset("nobody").await.0, status);
    }
    let from_elsewhere = async || {
        let sent = http().post(format!("{}{RESET}", running.public)).header(JSON.0, JSON.1);
        sent.header("Origin", "https://www.example.com")
            .body(r#"{"User": "nobody"}"#)
            .send()
            .await
            .unwrap()
            .status()
    };
    assert_eq!(from_elsewhere().await, 403);
    running.replace(
        "gateway.toml",
        "allowed_origins = [\"https://www.example.com\"]\nlisten = \"127.0.0.1:1\"\n[store]\ntimeout = \"2s\"\n[log]\nlevel = \"debug\"\n[limits]\nresets_per_address = \"100000/h\"\n",
    );
    let told = running.gateway.wait_for("the settings have changed and are in force");
    for change in [
        "allowed_origins: not set → `https://www.example.com`",
        "limits.resets_per_address: `2/h` → `100000/h`",
        "log.level: `info` → `debug`",
    ] {
        assert!(told.contains(change), "{change} missing in: {told}");
    }
    // `--set` has the last word about `listen`.
    let waiting = running.gateway.wait_for("these settings take effect at the next start");
    assert!(waiting.contains("store.timeout: `1s` → `2s`") && !waiting.contains("listen"), "{waiting}");
    assert_eq!(running.reset("nobody").await.0, 200);
    assert_eq!(from_elsewhere().await, 200);
    running.gateway.wait_for("DEBUG");
}

/// A file that is half written, empty or wrong changes nothing, raises an alarm, and says what is wrong.
#[tokio::test(flavor = "multi_thread")]
async fn settings_that_are_not_valid_change_nothing() {
    let sandbox = Sandbox::start().await.unwrap();
    let good = "[limits]\nresets_per_address = \"1/h\"\n";
    let running = Running::start(&sandbox.base_url(), good, &[]);
    assert_eq!(running.reset("nobody").await.0, 200);
    for (bad, fault) in [
        ("", "limits.resets_per_address: no longer in the file"),
        ("[limits]\nresets_per_address = \"100", "not TOML"),
        (
            "[limits]\nresets_per_address = \"many\"\n",
            "`limits.resets_per_address` (GATEWAY_LIMITS_RESETS_PER_ADDRESS) is not valid; given: `many`",
        ),
        ("limit = 1\n", "`limit` is not a setting"),
    ] {
        running.replace("gateway.toml", bad);
        let told = running.gateway.wait_for(fault);
        assert!(told.contains("are not valid: the old ones stay in force"), "{told}");
        assert_eq!(running.metric("gateway_settings_rejected ").await, "1");
        assert_eq!(running.reset("nobody").await.0, 429, "the old limit holds");
    }
    running.replace("gateway.toml", "[limits]\nresets_per_address = \"100000/h\"\n");
    running.gateway.wait_for("`1/h` → `100000/h`");
    assert_eq!(running.metric("gateway_settings_rejected ").await, "0");
    assert_eq!(running.reset("nobody").await.0, 200);
}

/// A file that was cut at the end of a line is TOML, and would open what the settings close. Only somebody who asks for it takes settings out.
#[tokio::test(flavor = "multi_thread")]
async fn settings_that_are_gone_from_the_file_stay_in_force_until_a_hangup() {
    let sandbox = Sandbox::start().await.unwrap();
    let whole = "stop_delay = \"0s\"\n[limits]\nresets_per_address = \"1/h\"\nresets = \"500/h\"\n";
    let running = Running::start(&sandbox.base_url(), whole, &[]);
    assert_eq!(running.reset("nobody").await.0, 200);
    let cut = "stop_delay = \"0s\"\n[limits]\nresets = \"600/h\"\n";
    running.replace("gateway.toml", cut);
    let told = running.gateway.wait_for("limits.resets_per_address: no longer in the file");
    assert!(told.contains("the old ones stay in force") && told.contains("send SIGHUP"), "{told}");
    assert_eq!(running.reset("nobody").await.0, 429, "the limit holds");
    assert_eq!(running.metric("gateway_settings_rejected ").await, "1");
    running.gateway.signal("HUP");
    let told = running.gateway.wait_for("the settings have changed and are in force");
    assert!(told.contains("limits.resets_per_address: `1/h` → `10/h`"), "{told}");
    assert!(told.contains("limits.resets: `500/h` → `600/h`"), "{told}");
    assert_eq!(running.metric("gateway_settings_rejected ").await, "0");
}

/// Settings that are not valid because of a file that they name are looked at again when that file changes.
#[tokio::test(flavor = "multi_thread")]
async fn settings_are_read_again_when_a_file_that_they_name_is_mended() {
    let sandbox = Sandbox::start().await.unwrap();
    let running = Running::start(&sandbox.base_url(), "[log]\nlevel = \"info\"\n", &[]);
    running.replace("gateway.toml", "[log]\nlevel = \"info\"\n[flow]\nkeys_file = \"{folder}/keys\"\n");
    running.gateway.wait_for("`flow.keys_file` (GATEWAY_FLOW_KEYS_FILE) cannot be read");
    // Long enough for two looks more, which find nothing new to tell.
    sleep(Duration::from_millis(3500)).await;
    assert_eq!(running.gateway.output().matches("cannot be read").count(), 1);
    running.replace("keys", &keygen());
    running.gateway.wait_for("the settings have changed and are in force");
    // Shown is the one in force, and not what lies in the file.
    let shown = async || running.metric("gateway_key_info{kind=\"flow_keys\",fingerprint=").await;
    let before = shown().await;
    assert!(!before.is_empty());
    running.replace("keys", "no key\n");
    running.gateway.wait_for("`flow.keys_file` (GATEWAY_FLOW_KEYS_FILE) has no key in line 1");
    assert_eq!(shown().await, before);
}

/// Other keys go with another store, and another origin with another address: what belongs together takes effect together, at the next start.
#[tokio::test(flavor = "multi_thread")]
async fn settings_that_belong_to_one_that_waits_wait_with_it() {
    let sandbox = Sandbox::start().await.unwrap();
    let files = [("first", &*keygen()), ("second", &keygen())];
    let settings =
        |keys: &str, more: &str| format!("[flow]\nkeys_file = \"{{folder}}/{keys}\"\n[store]\n{more}");
    let running = Running::start(&sandbox.base_url(), &settings("first", "timeout = \"1s\"\n"), &files);
    let (_, handle) = running.reset("anna.lee").await;
    let code = sandbox.outbox().pop().unwrap().code;
    running.replace("gateway.toml", &settings("second", "timeout = \"2s\"\n[limits]\nresets = \"700/h\"\n"));
    let waiting = running.gateway.wait_for("these settings take effect at the next start");
    assert!(
        waiting.contains("store.timeout: `1s` → `2s`") && waiting.contains("flow.keys_file: "),
        "{waiting}"
    );
    let told = running.gateway.wait_for("the settings have changed and are in force");
    assert!(told.contains("limits.resets: `600/h` → `700/h`") && !told.contains("keys_file"), "{told}");
    // They wait on when something else changes.
    running.replace("gateway.toml", &settings("second", "timeout = \"2s\"\n[limits]\nresets = \"800/h\"\n"));
    running.gateway.wait_for("limits.resets: `700/h` → `800/h`");
    let sent = http().post(format!("{}{CODE}", running.public)).header(JSON.0, JSON.1);
    let sent = sent.header("Reset-Flow", handle.unwrap()).body(format!(r#"{{"Code": "{code}"}}"#));
    assert_eq!(sent.send().await.unwrap().status(), 200, "the old key still opens handles");
    // And go into force with it taken back.
    running.replace("gateway.toml", &settings("second", "timeout = \"1s\"\n[limits]\nresets = \"800/h\"\n"));
    let told = running.gateway.wait_for("in force changed=\"flow.keys_file: ");
    assert!(!told.contains("store"), "{told}");
}

/// A new address comes with its certificate and its proxies: until the start that it waits for, the old ones go together too.
#[tokio::test(flavor = "multi_thread")]
async fn another_address_takes_its_certificate_and_its_proxies_along() {
    let sandbox = Sandbox::start().await.unwrap();
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let (certificate, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    let files = [("certificate", &*certificate), ("key", &*key)];
    let settings = "trusted_proxies = [\"127.0.0.0/8\"]\nadmin_listen = \"127.0.0.1:0\"\n";
    // Not by `--set`, which would have the last word.
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        fs::write(folder.path().join(name), text).unwrap();
    }
    let file = folder.path().join("gateway.toml");
    let base =
        format!("{settings}[upstream]\nbase_url = \"{}\"\n[log]\nformat = \"text\"\n", sandbox.base_url());
    fs::write(&file, format!("listen = \"127.0.0.1:0\"\n{base}")).unwrap();
    let variables = [("AUTOSHARES_APP_KEY", "sandbox-key")];
    let gateway = Gateway::start(&["serve", "--config", file.to_str().unwrap()], &variables);
    let (public, _) = gateway.addresses();
    let changed = base.replace("127.0.0.0/8", "10.0.0.0/8");
    let place = folder.path().display();
    let tls = format!(
        "[tls]\ncertificate_file = \"{place}/certificate\"\nkey_file = \"{place}/key\"\n[limits]\nresets = \"700/h\"\n"
    );
    let all =
        format!("listen = \"127.0.0.1:1\"\npublic_origin = \"https://reset.example.com\"\n{changed}{tls}");
    replace(&file, &all);
    let waiting = gateway.wait_for("these settings take effect at the next start");
    for key in
        ["listen: ", "public_origin: ", "trusted_proxies: ", "tls.certificate_file: ", "tls.key_file: "]
    {
        assert!(waiting.contains(key), "{key} missing in: {waiting}");
    }
    let told = gateway.wait_for("the settings have changed and are in force");
    assert!(told.contains("changed=\"limits.resets: `600/h` → `700/h`\""), "{told}");
    // Plain http, and the old proxy names its clients and requests.
    let sent = http().get(format!("{public}/nowhere")).header("x-request-id", "id-of-the-proxy").send().await;
    assert_eq!(sent.unwrap().headers()["x-request-id"], "id-of-the-proxy");
}

/// A signal that ends most programs reads the settings at once.
#[tokio::test(flavor = "multi_thread")]
async fn a_hangup_reads_the_settings_and_ends_nothing() {
    let sandbox = Sandbox::start().await.unwrap();
    let running = Running::start(&sandbox.base_url(), "[limits]\nresets = \"600/h\"\n", &[]);
    running.gateway.signal("HUP");
    running.gateway.wait_for("the settings were read again, and nothing has changed");
    running.replace("gateway.toml", "[limits]\nresets = \"700/h\"\n");
    running.gateway.signal("HUP");
    running.gateway.wait_for("limits.resets: `600/h` → `700/h`");
    assert_eq!(running.reset("anna.lee").await.0, 200);
}

/// The keys of flows in three steps, as `docs/operating.md` says, while resets are under way; then the old key is gone for good.
#[tokio::test(flavor = "multi_thread")]
async fn keys_of_flows_are_rotated_while_resets_are_under_way() {
    let sandbox = Sandbox::start().await.unwrap();
    let (old, new) = (flow_key(), flow_key());
    let settings = "[limits]\nenabled = false\n[flow]\nkeys_file = \"{folder}/keys\"\n";
    let running = Running::start(&sandbox.base_url(), settings, &[("keys", &format!("{old}\n"))]);
    let running = Arc::new(running);
    let (_, before) = running.reset("anna.lee").await;
    let code = sandbox.outbox().pop().unwrap().code;

    let load = {
        let running = Arc::clone(&running);
        tokio::spawn(async move {
            let mut statuses = Vec::new();
            loop {
                let (status, _) = running.reset("nobody").await;
                statuses.push(status);
                if statuses.len() >= 300 && running.followed() >= 2 {
                    return statuses;
                }
                sleep(Duration::from_millis(5)).await;
            }
        })
    };
    running.replace("keys", &format!("{old}\n{new}\n"));
    running.gateway.wait_for("flow.keys_file: the file has another content");
    running.replace("keys", &format!("{new}\n{old}\n"));
    let deadline = std::time::Instant::now() + PATIENCE;
    while running.followed() < 2 {
        assert!(std::time::Instant::now() < deadline, "{}", running.gateway.output());
        sleep(Duration::from_millis(50)).await;
    }
    let statuses = tokio::time::timeout(PATIENCE, load).await.unwrap().unwrap();
    assert!(statuses.iter().all(|status| *status == 200), "{statuses:?}");

    // The flow of before goes on under the new key, and its code is taken.
    let redeem = async |handle: &str| {
        let sent = http().post(format!("{}{CODE}", running.public)).header(JSON.0, JSON.1);
        let sent = sent.header("Reset-Flow", handle).body(format!(r#"{{"Code": "{code}"}}"#));
        sent.send().await.unwrap().status().as_u16()
    };
    assert_eq!(redeem(before.as_deref().unwrap()).await, 200);
    running.replace("keys", &format!("{new}\n"));
    let deadline = std::time::Instant::now() + PATIENCE;
    while redeem(before.as_deref().unwrap()).await != 403 {
        assert!(std::time::Instant::now() < deadline, "the old key still opens handles");
        sleep(Duration::from_millis(100)).await;
    }
    let output = running.gateway.output();
    assert!(!output.contains(&old) && !output.contains(&new), "no key is told");
}

/// A certificate is replaced while requests come; one that does not go with its key is not taken.
#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_is_replaced_while_requests_come() {
    let sandbox = Sandbox::start().await.unwrap();
    let _ = rustls::crypto::ring::default_provider().install_default();
    let made = || rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let (old, new) = (made(), made());
    let settings = "[tls]\ncertificate_file = \"{folder}/certificate\"\nkey_file = \"{folder}/key\"\n[limits]\nenabled = false\n";
    let files = [("certificate", &*old.cert.pem()), ("key", &*old.signing_key.serialize_pem())];
    let running = Running::start(&sandbox.base_url(), settings, &files);
    let url = running.public.replace("http://127.0.0.1", "https://localhost");
    let client = |certificate: &str| {
        let root = reqwest::Certificate::from_pem(certificate.as_bytes()).unwrap();
        // A connection for each request.
        let builder = reqwest::Client::builder().no_proxy().tls_certs_only([root]).pool_max_idle_per_host(0);
        builder.build().unwrap()
    };
    let is_served = async |certificate: &str| {
        let sent = client(certificate).get(format!("{url}/docs")).send().await;
        sent.is_ok_and(|reply| reply.status() == 200)
    };
    assert!(is_served(&old.cert.pem()).await && !is_served(&new.cert.pem()).await);
    // Half of the pair is there first.
    running.replace("certificate", &new.cert.pem());
    let told = running
        .gateway
        .wait_for("`tls.certificate_file` (GATEWAY_TLS_CERTIFICATE_FILE) does not go with `tls.key_file`");
    assert!(told.contains("the old ones stay in force") && !told.contains("BEGIN"), "{told}");
    assert!(is_served(&old.cert.pem()).await);
    running.replace("key", &new.signing_key.serialize_pem());
    running.gateway.wait_for(
        "tls.certificate_file: the file has another content; tls.key_file: the file has another content",
    );
    assert!(!is_served(&old.cert.pem()).await && is_served(&new.cert.pem()).await);
    let ends = running.metric("gateway_certificate_ends_timestamp_seconds{kind=\"tls_certificate\"}").await;
    assert!(ends.parse::<i64>().unwrap() > 1_700_000_000, "{ends}");
    // Plain http is no TLS.
    assert!(http().get(format!("{}/docs", running.public)).send().await.is_err());
}

/// Kubernetes replaces a mounted folder by one link.
#[tokio::test(flavor = "multi_thread")]
async fn a_link_that_is_swapped_is_followed() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    for (version, limit) in [("v1", "1/h"), ("v2", "50/h")] {
        fs::create_dir(path(version)).unwrap();
        fs::write(
            path(version).join("gateway.toml"),
            format!("[limits]\nresets_per_address = \"{limit}\"\n"),
        )
        .unwrap();
    }
    let link = |version: &str| {
        std::os::unix::fs::symlink(version, path("..data_tmp")).unwrap();
        fs::rename(path("..data_tmp"), path("..data")).unwrap();
    };
    link("v1");
    let file = path("..data/gateway.toml");
    let variables = [("AUTOSHARES_APP_KEY", "sandbox-key")];
    let (gateway, ..) = Gateway::serve_file(&Upstream::nobody(), &file, &variables);
    link("v2");
    gateway.wait_for("limits.resets_per_address: `1/h` → `50/h`");
}

/// What is in force, with the origin of each setting, can be given back as a file; what may be a secret is left out.
#[test]
fn the_settings_in_force_are_printed_without_secrets() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("gateway.toml");
    fs::write(&file, "[upstream]\nbase_url = \"https://host.example/api\"\n[limits]\nresets = \"700/h\"\n")
        .unwrap();
    let config = |command: &mut Command, file: &PathBuf| {
        command.args(["config", "--config", file.to_str().unwrap()]);
        let output = command.env("AUTOSHARES_APP_KEY", "canary-app-key").output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let mut command = bare();
    command.env("GATEWAY_LOG_LEVEL", "warn").env("GATEWAY_STORE", "redis://:canary-password@127.0.0.1/");
    fs::write(folder.path().join("keys"), keygen()).unwrap();
    command.env("GATEWAY_FLOW_KEYS_FILE", folder.path().join("keys"));
    let text = config(&mut command, &file);
    for line in [
        format!("limits.resets = \"700/h\" # {}, line 4", file.display()),
        "log.level = \"warn\" # GATEWAY_LOG_LEVEL".to_owned(),
        "upstream.timeout = \"10s\" # default".to_owned(),
        "# page.name is not set: none".to_owned(),
        "# upstream.app_key is set and not shown, for it may be a secret (AUTOSHARES_APP_KEY)".to_owned(),
    ] {
        assert!(text.lines().any(|found| found == line), "{line} missing in: {text}");
    }
    assert!(!text.contains("canary"), "{text}");
    let copy = folder.path().join("copy.toml");
    fs::write(&copy, &text).unwrap();
    let again = config(bare().env("GATEWAY_STORE", "memory"), &copy);
    assert!(again.contains("limits.resets = \"700/h\""), "{again}");
}

/// The example file and the schema are about every setting, and agree with the program.
#[test]
fn the_example_and_the_schema_are_those_of_the_program() {
    let about = |document: &str| {
        let output = bare().args(["config", "--about", document]).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let (example, schema) = (about("example"), about("schema"));
    let schema: serde_json::Value = serde_json::from_str(&schema).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    // Every default, put in force.
    let text: String = example
        .lines()
        .filter_map(|line| line.strip_prefix('#'))
        .filter(|line| {
            line.split_once(" = ")
                .is_some_and(|(key, value)| !key.contains(' ') && !value.starts_with("\"…\""))
        })
        .map(|line| format!("{line}\n"))
        .collect();
    let value: toml::Value = toml::from_str(&text).unwrap();
    let value = serde_json::to_value(value).unwrap();
    assert!(
        validator.is_valid(&value),
        "{:?}",
        validator.iter_errors(&value).map(|error| error.to_string()).collect::<Vec<_>>()
    );
    assert!(!validator.is_valid(&serde_json::json!({ "limits": { "reset": "1/h" } })));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("gateway.toml");
    fs::write(&file, &text).unwrap();
    let checked = bare()
        .args([
            "check",
            "--config",
            file.to_str().unwrap(),
            "--set",
            "upstream.base_url=https://host.example/api",
        ])
        .env("AUTOSHARES_APP_KEY", "a-good-key")
        .output()
        .unwrap();
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
}

/// Operators see which key each replica has, since when, and that a new one is taken.
#[tokio::test(flavor = "multi_thread")]
async fn a_new_application_key_is_told_and_shown() {
    let sandbox = Sandbox::start().await.unwrap();
    let settings = "[upstream]\napp_key_file = \"{folder}/app-key\"\n[limits]\nenabled = false\n";
    let running = Running::with_key_file(&sandbox.base_url(), settings, &[("app-key", "wrong-key-canary")]);
    let shown = async || running.metric("gateway_key_info{kind=\"app_key\",fingerprint=").await;
    // It is shown soon after the start.
    let mut before = shown().await;
    while before.is_empty() {
        sleep(Duration::from_millis(20)).await;
        before = shown().await;
    }
    assert_eq!(running.reset("anna.lee").await.0, 503);
    running.gateway.wait_for("Autoshares rejects the application key");
    running.replace("app-key", "short\n");
    running.gateway.wait_for("`upstream.app_key_file` (AUTOSHARES_APP_KEY_FILE) is shorter than 8");
    assert_eq!(shown().await, before, "the old key is in use");
    running.replace("app-key", "sandbox-key\n");
    let told = running.gateway.wait_for("the file of the application key has changed");
    let after = shown().await;
    assert_ne!(before, after);
    let fingerprint = after.split('"').nth(1).unwrap();
    assert!(fingerprint.len() == 8 && told.contains(fingerprint), "{told} {after}");
    assert_eq!(running.reset("anna.lee").await.0, 200);
    running.gateway.wait_for("Autoshares accepts the application key again");
    let modified = running.metric("gateway_key_file_modified_timestamp_seconds{kind=\"app_key\"}").await;
    assert!(modified.parse::<u64>().unwrap() > 1_700_000_000, "{modified}");
    assert!(!running.gateway.output().contains("canary"));
}
