//! Where a setting comes from, and that `docs/operating.md` tells the truth about all of them.

use std::{collections::HashMap, fs, path::Path};

use autoshares_gateway::config::{Config, Faults, Sources, load, settings};

const REQUIRED: [(&str, &str); 2] =
    [("AUTOSHARES_BASE_URL", "https://host.example/api"), ("AUTOSHARES_APP_KEY", "a-good-key")];

fn with(variables: &[(&str, &str)], file: &str, set: &[&str]) -> Result<Config, Faults> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("gateway.toml");
    fs::write(&path, file).unwrap();
    let set: Vec<_> = set.iter().map(ToString::to_string).collect();
    let variables: HashMap<_, _> = REQUIRED.iter().chain(variables).copied().collect();
    load(&Sources { file: Some(&path), set: &set, ..Sources::default() }, |name| {
        variables.get(name).map(ToString::to_string)
    })
}

#[test]
fn defaults_give_way_to_file_then_environment_then_flag() {
    let listen = |variables: &[(&str, &str)], file: &str, set: &[&str]| {
        with(variables, file, set).unwrap().listeners.listen.to_string()
    };
    let file = "listen = \"127.0.0.1:1001\"";
    let variable = [("GATEWAY_LISTEN", "127.0.0.1:1002")];
    assert_eq!(listen(&[], "", &[]), "127.0.0.1:8080");
    assert_eq!(listen(&[], file, &[]), "127.0.0.1:1001");
    assert_eq!(listen(&variable, file, &[]), "127.0.0.1:1002");
    assert_eq!(listen(&variable, file, &["listen=127.0.0.1:1003"]), "127.0.0.1:1003");
    assert_eq!(listen(&[("GATEWAY_LISTEN", "")], file, &[]), "127.0.0.1:1001");
}

#[test]
fn an_origin_that_others_see_is_https() {
    let origin = |variables: &[(&str, &str)]| with(variables, "", &[]).map(|config| config.public_origin);
    let open = ("GATEWAY_LISTEN", "0.0.0.0:8080");
    assert_eq!(origin(&[]).unwrap().text, "http://localhost:8080");
    let good = origin(&[open, ("GATEWAY_PUBLIC_ORIGIN", "https://reset.example.com/")]).unwrap();
    assert_eq!((good.text.as_str(), good.https), ("https://reset.example.com", true));
    for bad in [
        vec![open],
        vec![open, ("GATEWAY_PUBLIC_ORIGIN", "http://reset.example.com")],
        vec![("GATEWAY_PUBLIC_ORIGIN", "https://reset.example.com/path")],
        vec![("GATEWAY_PUBLIC_ORIGIN", "reset.example.com")],
        vec![("GATEWAY_PUBLIC_ORIGIN", "https://user@reset.example.com")],
    ] {
        let faults = origin(&bad).unwrap_err().to_string();
        assert!(faults.contains("`public_origin` (GATEWAY_PUBLIC_ORIGIN)"), "{faults}");
    }
}

#[test]
fn a_proxy_that_must_be_there_and_is_not_trusted_is_warned_of() {
    let origin = ("GATEWAY_PUBLIC_ORIGIN", "https://reset.example.com");
    let warned = |variables: &[(&str, &str)]| {
        let warnings = with(variables, "", &[]).unwrap().warnings;
        warnings.iter().any(|warning| warning.contains("`trusted_proxies`: is not set"))
    };
    assert!(warned(&[origin]));
    assert!(!warned(&[origin, ("GATEWAY_TRUSTED_PROXIES", "10.0.0.0/8")]) && !warned(&[]));
}

#[test]
fn a_variable_for_proxies_that_is_ignored_is_warned_of() {
    let warned = |variables: &[(&str, &str)]| {
        let warnings = with(variables, "", &[]).unwrap().warnings;
        warnings.into_iter().find(|warning| warning.starts_with("`upstream.proxy`"))
    };
    for name in ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "HTTP_PROXY", "http_proxy"] {
        let warning = warned(&[(name, "http://user:canary@proxy.example")]).unwrap();
        assert!(
            warning.contains(name) && warning.contains("AUTOSHARES_PROXY") && !warning.contains("canary")
        );
    }
    assert_eq!(warned(&[]), None);
    let set = ("AUTOSHARES_PROXY", "http://user:canary@proxy.example:3128");
    assert_eq!(warned(&[("HTTPS_PROXY", "http://other.example"), set]), None);
    assert!(!format!("{:?}", with(&[set], "", &[]).unwrap()).contains("canary"));
    let faults = with(&[], "", &["upstream.proxy=http://user:canary@proxy.example"]).unwrap_err().to_string();
    assert!(faults.contains("AUTOSHARES_PROXY") && !faults.contains("canary"), "{faults}");
}

#[test]
fn certificates_that_are_not_there_are_warned_of() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("authorities.pem");
    fs::write(&file, "").unwrap();
    let (file, folder) = (file.display().to_string(), folder.path().display().to_string());
    for (name, path, is_warned) in [
        ("SSL_CERT_FILE", "/nowhere", true),
        ("SSL_CERT_DIR", "/nowhere", true),
        ("SSL_CERT_DIR", &file, true),
        ("SSL_CERT_FILE", &file, false),
        ("SSL_CERT_DIR", &folder, false),
        ("SSL_CERT_DIR", &format!("{folder}:{folder}"), false),
        ("SSL_CERT_DIR", &format!("{folder}:/nowhere"), true),
        ("SSL_CERT_FILE", &folder, true),
        ("SSL_CERT_FILE", "", false),
    ] {
        let base_url = ("AUTOSHARES_BASE_URL", "http://127.0.0.1:1/api");
        let warnings = with(&[base_url, (name, path)], "", &[]).unwrap().warnings;
        let told = warnings
            .iter()
            .any(|warning| warning.starts_with(&format!("`upstream.ca_file`: {name} stands in")));
        assert_eq!(told, is_warned, "{name}={path}: {warnings:?}");
    }
}

#[test]
fn every_fault_of_the_way_to_autoshares_names_its_setting() {
    for (variable, text, fault) in [
        ("AUTOSHARES_KEEP_ALIVE", "soon", "`upstream.keep_alive` (AUTOSHARES_KEEP_ALIVE) is not valid"),
        (
            "AUTOSHARES_KEEP_ALIVE",
            "2days",
            "`upstream.keep_alive` (AUTOSHARES_KEEP_ALIVE) is longer than a day",
        ),
        ("AUTOSHARES_PROXY", "socks5://proxy", "`upstream.proxy` (AUTOSHARES_PROXY) is neither"),
        ("AUTOSHARES_CA_FILE", "/nowhere", "`upstream.ca_file` (AUTOSHARES_CA_FILE) cannot be read"),
        (
            "AUTOSHARES_CLIENT_CERTIFICATE_FILE",
            "/nowhere",
            "`upstream.client_certificate_file` (AUTOSHARES_CLIENT_CERTIFICATE_FILE) cannot be read",
        ),
        (
            "AUTOSHARES_USER_AGENT",
            "brök\u{1}er",
            "`upstream.user_agent` (AUTOSHARES_USER_AGENT) is not a text",
        ),
    ] {
        let faults = with(&[(variable, text)], "", &[]).unwrap_err().to_string();
        assert!(faults.contains(fault) && faults.contains("1 fault"), "{faults}");
    }
}

/// A fault says what was given and where, so that nobody has to look for it.
#[test]
fn a_fault_tells_the_value_and_its_place() {
    let faults = |variables: &[(&str, &str)], file: &str, set: &[&str]| {
        with(variables, file, set).unwrap_err().to_string()
    };
    let long = "x".repeat(200);
    for (variables, file, set, told) in [
        (
            &[][..],
            "listen = \"127.0.0.1:1\"\n\n[flow]\nfloor = \"1h\"\n",
            &[][..],
            "given: `1h` (FILE, line 4)",
        ),
        (&[], "[limits]\n# three\ncodes_per_flow = 0\n", &[], "given: `0` (FILE, line 3)"),
        (&[], "allowed_origins = [\n  \"https://a.example\",\n  \"*\",\n]", &[], "(FILE, line 1)"),
        (&[("GATEWAY_FLOW_FLOOR", "1h")], "", &[], "given: `1h` (GATEWAY_FLOW_FLOOR)"),
        (&[], "", &["flow.floor=1h"], "given: `1h` (--set)"),
        (&[], "", &["flow.floor=a\nb\u{1b}"], "given: `a\\nb\\u{1b}` (--set)"),
        (&[("GATEWAY_LISTEN", &long)], "", &[], "xxx…` (GATEWAY_LISTEN)"),
        (
            &[],
            "[flow]\nflor = \"1s\"",
            &[],
            "FILE, line 2: `flow.flor` is not a setting; did you mean `flow.floor`?",
        ),
        (&[], "trusted_proxy = \"10.0.0.0/8\"", &[], "did you mean `trusted_proxies`?"),
        (&[], "[nothing]\nlike = 1", &[], "FILE, line 2: a name that is not a setting, and not shown"),
        (
            &[],
            "[Upstream]\nbase_url = \"x\"",
            &[],
            "`Upstream.base_url` is not a setting; did you mean `upstream.base_url`?",
        ),
        (
            &[],
            "[upstream.app_key]\nfile = \"x\"",
            &[],
            "FILE, line 1: `upstream.app_key` is a table; expected: the application key",
        ),
        (
            &[],
            "listen = [\"127.0.0.1:1\"]",
            &[],
            "1 fault(s):\n  - FILE, line 1: `listen` is a list; expected: ",
        ),
        (
            &[],
            "upstream = \"https://host/api\"",
            &[],
            "`upstream` is a table: write `[upstream]`, and its settings below",
        ),
        (&[], "[[upstream]]\nbase_url = 1", &[], "`upstream` is a table: write `[upstream]`"),
        (
            &[],
            "trusted_proxies = [[\"10.0.0.0/8\"]]",
            &[],
            "`trusted_proxies` is a list of other things than texts; expected: ",
        ),
        (
            &[],
            "allowed_origins = [\"https://a.example/path\", \"https://b.example\"]",
            &[],
            "given: `https://a.example/…,https://b.example` (FILE, line 1)",
        ),
        (&[], "listen = \"127.0.0.1:1\"\nadmin_listen = ", &[], "FILE, line 2: not TOML: "),
        (&[], "a = 1\na = 2", &[], "FILE, line 2: not TOML: duplicate key"),
    ] {
        let faults = faults(variables, file, set);
        let name = faults.split_whitespace().find(|word| word.contains("gateway.toml"));
        let name = name.map(|name| name.trim_matches(['(', ',', ':'])).unwrap_or_default();
        assert!(faults.contains(&told.replace("FILE", name)), "{told} missing in: {faults}");
    }
}

/// What may be a secret is not told: addresses with a password, and what stands where the file of a secret is expected.
#[test]
fn a_fault_tells_no_secret() {
    let no_key = ("AUTOSHARES_APP_KEY", "");
    for (variables, file) in [
        (&[no_key, ("AUTOSHARES_APP_KEY_FILE", "canary-key-5c1d")][..], ""),
        (&[no_key, ("AUTOSHARES_APP_KEY_FILE", "/canary/key")], ""),
        (&[no_key, ("AUTOSHARES_APP_KEY_FILE", "/canary-key-5c1d")], ""),
        (&[("GATEWAY_ALLOWED_ORIGINS", "https://user:can,canary@host")], ""),
        (&[("GATEWAY_ALLOWED_ORIGINS", "https://host/?token=canary")], ""),
        (&[("GATEWAY_ALLOWED_ORIGINS", "https://host/?token=x,canary=y")], ""),
        (&[("GATEWAY_ALLOWED_ORIGINS", "https://user:canary%40host")], ""),
        (&[("AUTOSHARES_BASE_URL", "http://host/api?key=ab,canary")], ""),
        (&[("AUTOSHARES_BASE_URL", "http:/host/api?key=canary")], ""),
        (&[("AUTOSHARES_BASE_URL", "http:host/canary")], ""),
        (&[("AUTOSHARES_PROXY", "socks5:/proxy:3128/canary")], ""),
        (&[("GATEWAY_STORE", "http://host/db,canary")], ""),
        (&[("GATEWAY_PUBLIC_ORIGIN", "https:/a.example/?key=canary")], ""),
        (&[("GATEWAY_PUBLIC_ORIGIN", "a.example/?key=canary")], ""),
        (&[("AUTOSHARES_APP_KEY", "canary")], ""),
        (&[("GATEWAY_STORE", "redis://:canary@host/db")], ""),
        (&[("AUTOSHARES_PROXY", "socks5://user:canary@host")], ""),
        (&[("GATEWAY_STORE", "redis://gateway:canary:redis.internal:6379")], ""),
        (&[("GATEWAY_STORE", "redis://:canary")], ""),
        (&[("GATEWAY_STORE", "http://:canary%40host/x")], ""),
        (&[("AUTOSHARES_PROXY", "svc:canary")], ""),
        (&[("AUTOSHARES_PROXY", "http://svc:canary:proxy.internal:3128")], ""),
        (&[("AUTOSHARES_BASE_URL", "canary-key-5c1d")], ""),
        (&[("AUTOSHARES_BASE_URL", "https://user:canary@host")], ""),
        (&[("GATEWAY_PUBLIC_ORIGIN", "https://user:canary@host")], ""),
        (&[("GATEWAY_FLOW_KEYS_FILE", "canary")], ""),
        (&[no_key], "[upstream]\napp_key = canary-key-5c1d"),
        (&[no_key], "[upstream]\napp_key = \"canary-key-5c1d"),
        (&[no_key], "[upstream]\napp_key = \"canary\\q\""),
        (&[no_key], "[upstream]\napp_key = \"\"\"canary\n\ncanary"),
        (&[no_key], "[upstream]\n\"canary-KEY\" = 1"),
        (&[no_key], "[upstream]\napp_key = [\"canary-key-5c1d\"]"),
        (&[no_key], "[upstream]\napp_key.canary = 1"),
        (&[no_key], "[upstream.app_key]\ncanary = \"canary\""),
        (&[no_key], "[upstream]\ncanary = 1"),
        (&[no_key], "canarysecret = 1"),
        (&[no_key], "[canarysecret]\nbase_url = 1"),
        (&[no_key], "canary-KEY-5c1d"),
        (&[no_key], "[canary-KEY-5c1d\n"),
    ] {
        let faults = with(variables, file, &[]).unwrap_err().to_string();
        assert!(!faults.contains("canary"), "{variables:?} {file}: {faults}");
    }
    // A path is told, for one looks for it.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("missing").display().to_string();
    let faults = with(&[no_key, ("AUTOSHARES_APP_KEY_FILE", &path)], "", &[]).unwrap_err().to_string();
    assert!(faults.contains(&format!("given: `{path}` (AUTOSHARES_APP_KEY_FILE)")), "{faults}");
}

#[test]
fn a_misspelt_variable_is_warned_of() {
    let names = ["GATWAY_LISTEN".to_owned(), "GATEWAY_SERVICE_HOST".to_owned()];
    let required: HashMap<_, _> = REQUIRED.into_iter().collect();
    let sources = Sources { variables: &names, ..Sources::default() };
    let config = load(&sources, |name| required.get(name).map(ToString::to_string)).unwrap();
    let told = "GATWAY_LISTEN is set, and is no setting; did you mean GATEWAY_LISTEN?";
    assert_eq!(
        config.warnings.iter().filter(|warning| warning.contains("did you mean")).collect::<Vec<_>>(),
        [told]
    );
}

/// What a file that cannot be read may hold is not reported as missing.
#[test]
fn a_file_that_cannot_be_read_is_the_only_fault() {
    let set = ["listen=127.0.0.1:1001".to_owned()];
    let faults = |path: &Path| {
        load(&Sources { file: Some(path), set: &set, ..Sources::default() }, |_| None)
            .unwrap_err()
            .to_string()
    };
    let folder = tempfile::tempdir().unwrap();
    let missing = faults(&folder.path().join("missing.toml"));
    assert!(
        missing.contains("1 fault") && missing.contains("cannot be read: No such file or directory"),
        "{missing}"
    );
    let path = folder.path().join("gateway.toml");
    fs::write(&path, "listen = \"0.0.0.0:8080\"\nallowed_origins = [\n").unwrap();
    let broken = faults(&path);
    assert!(broken.contains("1 fault") && broken.contains("not TOML"), "{broken}");
}

#[test]
fn an_origin_without_cookies_and_one_that_nobody_set_are_warned_of() {
    let warned = |variables: &[(&str, &str)]| {
        let warnings = with(variables, "", &[]).unwrap().warnings;
        warnings.into_iter().find(|warning| warning.starts_with("`public_origin`"))
    };
    let origin = |text| ("GATEWAY_PUBLIC_ORIGIN", text);
    for text in ["http://reset.example.com", "http://192.168.1.5:8080"] {
        assert!(warned(&[origin(text)]).unwrap().contains("keep no `Secure` cookie"), "{text}");
    }
    for text in
        ["http://localhost:1", "http://127.0.0.1:1", "http://reset.localhost", "https://reset.example.com"]
    {
        assert_eq!(warned(&[origin(text)]), None, "{text}");
    }
    let folder = tempfile::tempdir().unwrap();
    let keys = folder.path().join("keys");
    fs::write(&keys, autoshares_gateway::flow::Secrets::random().to_file()).unwrap();
    let redis = [("GATEWAY_STORE", "redis://127.0.0.1"), ("GATEWAY_FLOW_KEYS_FILE", keys.to_str().unwrap())];
    assert!(warned(&redis).unwrap().contains("need the same one"));
    assert_eq!(warned(&[redis[0], redis[1], origin("http://localhost:8080")]), None);
}

#[test]
fn a_secret_on_the_command_line_is_refused_and_not_shown() {
    for set in ["upstream.app_key=canary-key-5c1d", "canary-key-5c1d"] {
        let faults = with(&[], "", &[set]).unwrap_err().to_string();
        assert!(faults.contains("--set") && !faults.contains("canary"), "{faults}");
    }
}

#[test]
fn a_configuration_prints_no_key() {
    let config = with(&[("AUTOSHARES_APP_KEY", "canary-key-5c1d")], "", &[]).unwrap();
    assert!(!format!("{config:?}").contains("canary"));
}

#[test]
fn operators_find_every_setting_with_its_default() {
    let document = include_str!("../../../docs/operating.md");
    let rows: Vec<_> = document.lines().filter(|line| line.starts_with("| `")).collect();
    for setting in settings() {
        let row = format!("| `{}` | `{}` |", setting.key, setting.variable);
        let found = rows.iter().find(|line| line.starts_with(&row)).unwrap_or_else(|| panic!("no row {row}"));
        let told = found[row.len()..].replace('`', "");
        assert!(
            told.trim().starts_with(setting.default),
            "{found} does not begin with `{}`",
            setting.default
        );
    }
    assert_eq!(
        rows.iter().filter(|row| row.contains("GATEWAY_") || row.contains("AUTOSHARES_")).count(),
        settings().count()
    );
}

#[test]
fn a_flow_never_outlives_a_code() {
    let lifetime =
        |variables: &[(&str, &str)]| with(variables, "", &[]).map(|config| config.flow.lifetime.as_secs());
    let code = |text| ("GATEWAY_LIMITS_CODE_LIFETIME", text);
    let flow = |text| ("GATEWAY_FLOW_LIFETIME", text);
    assert_eq!(lifetime(&[]).unwrap(), 600);
    assert_eq!(lifetime(&[code("5m")]).unwrap(), 300, "the default gives way");
    assert_eq!(lifetime(&[code("1h"), flow("20m")]).unwrap(), 1200);
    for bad in [&[flow("59s")][..], &[flow("31m")], &[code("5m"), flow("6m")]] {
        let faults = lifetime(bad).unwrap_err().to_string();
        assert!(faults.contains("`flow.lifetime` (GATEWAY_FLOW_LIFETIME)"), "{faults}");
    }
}

/// Whoever can read a secret has it, and whoever can write it chooses it.
#[test]
fn a_file_that_holds_a_secret_and_is_open_to_others_is_warned_of() {
    use std::os::unix::fs::PermissionsExt;

    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str, mode: u32| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        path.display().to_string()
    };
    let warnings = |variables: &[(&str, &str)], text: &str| with(variables, text, &[]).unwrap().warnings;
    for (mode, told) in [
        (0o600, None),
        (0o640, None),
        (0o604, Some("every user of this machine can read the file")),
        (0o620, Some("other users of this machine can write the file")),
        (0o602, Some("other users of this machine can write the file")),
        (0o666, Some("can read and write the file")),
    ] {
        let key = file("key", "some-key-0001", mode);
        let keys = file("keys", &autoshares_gateway::flow::Secrets::random().to_file(), mode);
        let set = [
            ("AUTOSHARES_APP_KEY", ""),
            ("AUTOSHARES_APP_KEY_FILE", &*key),
            ("GATEWAY_FLOW_KEYS_FILE", &*keys),
        ];
        let warnings = warnings(&set, "");
        for setting in ["`upstream.app_key_file`", "`flow.keys_file`"] {
            let found = warnings.iter().find(|warning| warning.starts_with(setting));
            assert_eq!(found.is_some(), told.is_some(), "{mode:o}: {warnings:?}");
            assert!(told.is_none_or(|told| found.unwrap().contains(told)), "{mode:o}: {warnings:?}");
        }
    }
}

/// So is the settings file itself, when a secret stands in it.
#[test]
fn a_settings_file_that_holds_a_secret_is_warned_of() {
    let no_key = ("AUTOSHARES_APP_KEY", "");
    for (variables, file, told) in [
        (&[no_key][..], "[upstream]\napp_key = \"a-good-key\"", Some("holds `upstream.app_key`")),
        (&[], "[store]\nurl = \"memory\"", None),
        (&[], "listen = \"127.0.0.1:1001\"", None),
    ] {
        // Written as editors write: everybody may read it.
        let warnings = with(variables, file, &[]).unwrap().warnings;
        let found = warnings.iter().find(|warning| warning.contains("holds `"));
        assert_eq!(found.is_some(), told.is_some(), "{warnings:?}");
        assert!(told.is_none_or(|told| found.unwrap().contains(told)), "{warnings:?}");
        assert!(!warnings.iter().any(|warning| warning.contains("a-good-key")));
    }
    let file = "[store]\nurl = \"redis://:canary@127.0.0.1/0\"\n[flow]\nkeys_file = \"/nowhere\"";
    assert!(!with(&[], file, &[]).unwrap_err().to_string().contains("canary"));
}

#[test]
fn a_logo_is_a_small_image_and_an_accent_can_be_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("logo");
    let place = path.display().to_string();
    let file = ("GATEWAY_PAGE_LOGO_FILE", &*place);
    let large = [b"\x89PNG".to_vec(), vec![0; 100 * 1024]].concat();
    for (bytes, told) in [
        (None, "cannot be read: No such file"),
        (Some(&b"#!/bin/sh"[..]), "is no image of a known kind"),
        (Some(&large), "has 102404 bytes, and a logo may have 102400"),
    ] {
        if let Some(bytes) = bytes {
            fs::write(&path, bytes).unwrap();
        }
        let faults = with(&[file], "", &[]).unwrap_err().to_string();
        assert!(
            faults.contains("`page.logo_file` (GATEWAY_PAGE_LOGO_FILE)") && faults.contains(told),
            "{faults}"
        );
    }
    for (bytes, media_type) in [
        (&b"\x89PNG\r\n"[..], "image/png"),
        (b"\xff\xd8\xff\xe0", "image/jpeg"),
        (b"RIFF\0\0\0\0WEBP", "image/webp"),
        (b"<?xml version=\"1.0\"?><svg xmlns=\"\"/>", "image/svg+xml"),
    ] {
        fs::write(&path, bytes).unwrap();
        assert_eq!(with(&[file], "", &[]).unwrap().page.logo.unwrap().media_type, media_type);
    }
    for (variable, text) in [
        ("GATEWAY_PAGE_ACCENT", "#ffff00"),
        ("GATEWAY_PAGE_LOGIN_URL", "javascript:alert(1)"),
        ("GATEWAY_PAGE_SUPPORT_URL", "http://example.com"),
        ("GATEWAY_PAGE_NAME", "x".repeat(61).as_str()),
    ] {
        let faults = with(&[(variable, text)], "", &[]).unwrap_err().to_string();
        assert!(faults.contains(variable) && faults.contains("1 fault"), "{faults}");
    }
}

#[test]
fn decoys_need_questions_that_strangers_do_not_know() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("questions");
    let decoy = ("GATEWAY_FLOW_ANSWERS", "decoy");
    let place = path.display().to_string();
    let file = ("GATEWAY_FLOW_DECOY_QUESTIONS_FILE", &*place);
    for (variables, text, told) in [
        (&[decoy][..], None, "is not set, and `flow.answers` is `decoy`"),
        (&[decoy, file], None, "cannot be read"),
        (&[decoy, file], Some("One?\n\n"), "fewer than two"),
    ] {
        if let Some(text) = text {
            fs::write(&path, text).unwrap();
        }
        let faults = with(variables, "", &[]).unwrap_err().to_string();
        assert!(faults.contains("`flow.decoy_questions_file`") && faults.contains(told), "{faults}");
    }
    fs::write(&path, "One?\n  Two? \n\n").unwrap();
    assert_eq!(&*with(&[decoy, file], "", &[]).unwrap().flow.decoy_questions, ["One?", "Two?"]);
}
