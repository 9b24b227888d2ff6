//! Names that belong to no setting: which one is meant, and whether the name may be told, for it may be a secret in the wrong place.

use super::{Setting, setting::Holds, settings};

/// How much alike two names must be for one to be the other, misspelt: from 0 to 1.
const ALIKE: f64 = 0.8;
/// How much alike two words must be for one to be the other, misspelt or in the plural.
const ALIKE_WORDS: f64 = 0.75;
/// How many of their words two names must share for one to be meant by the other.
const SHARED: f64 = 0.6;

/// A name in a file or on the command line that belongs to no setting, as a fault tells it.
pub(super) fn unknown_key(key: &str) -> String {
    let meant = nearest(key).map(|setting| format!("; did you mean `{}`?", setting.key)).unwrap_or_default();
    if is_made_of_known_words(key) {
        format!("`{}` is not a setting{meant}", key.escape_debug())
    } else {
        format!(
            "a name that is not a setting, and not shown, for it may be a secret in the wrong place{meant}"
        )
    }
}

/// Warns of an environment variable that is no setting and looks like one. Others may begin with the same words: Kubernetes sets
/// `GATEWAY_SERVICE_HOST` for a service that is called gateway.
pub fn misspelt_variable(name: &str) -> Option<String> {
    let is_ours =
        words(name).first().is_some_and(|word| PREFIXES.iter().any(|prefix| are_alike(word, prefix)));
    // No setting ends like that, and Kubernetes writes the addresses of services so.
    let is_of_kubernetes = name.ends_with("_PORT") || name.contains("_PORT_");
    if !is_ours || is_of_kubernetes || settings().any(|setting| setting.variable == name) {
        return None;
    }
    Some(format!("{name} is set, and is no setting; did you mean {}?", nearest(name)?.variable))
}

/// The words with which variables begin and keys do not.
const PREFIXES: [&str; 2] = ["gateway", "autoshares"];

/// The setting that is most like a name of a key or a variable, if one is like it enough. A setting that holds a secret has a neighbour for
/// a file with the secret in it, and that is the better place.
fn nearest(name: &str) -> Option<&'static Setting> {
    let given = words(name);
    let all = settings().map(|setting| (likeness(&given, setting), setting));
    let (_, nearest) = all
        .filter_map(|(likeness, setting)| Some((likeness?, setting)))
        .max_by(|(one, _), (other, _)| one.total_cmp(other))?;
    if nearest.holds != Holds::Secret {
        return Some(nearest);
    }
    let file = format!("{}_file", nearest.key);
    settings().find(|setting| setting.key == file)
}

/// How much a name is like the key or the variable of a setting; `None` when it is not like it enough. People mistype letters, and leave out
/// or add the name of the table or another word.
fn likeness(given: &[String], setting: &Setting) -> Option<f64> {
    let has_its_prefix = given.first().is_some_and(|word| are_alike(word, &words(setting.variable)[0]));
    let given = without_prefix(given);
    let mut best: Option<f64> = None;
    for known in [words(setting.key), words(setting.variable)] {
        let known = without_prefix(&known);
        let letters = strsim::normalized_damerau_levenshtein(&given.join("_"), &known.join("_"));
        let shared = shared(given, known);
        let likeness = match (letters >= ALIKE, shared >= SHARED) {
            (true, _) => letters.max(shared),
            (false, true) => shared,
            (false, false) => continue,
        };
        best = Some(best.map_or(likeness, |best| best.max(likeness)));
    }
    // Of two that are equally like it, the one with the same first word is meant.
    best.map(|likeness| likeness + if has_its_prefix { 0.01 } else { 0.0 })
}

/// The share of words that two names have in common, a misspelt word less than a whole one.
fn shared(given: &[String], known: &[String]) -> f64 {
    let likeness_of = |word: &String| {
        let likeness = known.iter().map(|known| likeness_of_words(word, known)).fold(0.0, f64::max);
        if likeness >= ALIKE_WORDS { likeness } else { 0.0 }
    };
    let words = u32::try_from(given.len() + known.len()).unwrap_or(u32::MAX);
    2.0 * given.iter().map(likeness_of).sum::<f64>() / f64::from(words)
}

fn likeness_of_words(one: &str, other: &str) -> f64 {
    // Both name what counters are kept in.
    if one == "redis" && other == "store" {
        return 1.0;
    }
    strsim::normalized_damerau_levenshtein(one, other)
}

fn are_alike(one: &str, other: &str) -> bool {
    strsim::normalized_damerau_levenshtein(one, other) >= ALIKE_WORDS
}

/// Whether a name consists of words of settings, one of them perhaps misspelt. A short word in lower case is none that could be a secret.
fn is_made_of_known_words(name: &str) -> bool {
    const LONG: usize = 5;
    let known: Vec<_> = settings().flat_map(|setting| words(setting.key)).collect();
    let is_known = |word: &str| {
        let word = word.to_ascii_lowercase();
        known.iter().any(|known| *known == word || word.len() >= LONG && are_alike(&word, known))
    };
    let is_short =
        |word: &str| (1..=4).contains(&word.len()) && word.bytes().all(|byte| byte.is_ascii_lowercase());
    let unknown: Vec<_> = name.split(['.', '_', '-']).filter(|word| !is_known(word)).collect();
    match *unknown {
        [] => true,
        [word] => is_short(word),
        _ => false,
    }
}

/// The words of a key or a variable, in lower case.
fn words(name: &str) -> Vec<String> {
    name.to_ascii_lowercase().split(['.', '_', '-']).map(str::to_owned).collect()
}

fn without_prefix(words: &[String]) -> &[String] {
    match words {
        [first, rest @ ..] if PREFIXES.iter().any(|prefix| are_alike(first, prefix)) => rest,
        all => all,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_variable_is_warned_of_and_others_are_not() {
        for (name, meant) in [
            ("GATEWAY_FLOW_FLOR", "GATEWAY_FLOW_FLOOR"),
            ("GATEWAY_TRUSTED_PROXY", "GATEWAY_TRUSTED_PROXIES"),
            ("GATEWAY_STORE_URL", "GATEWAY_STORE"),
            ("GATEWAY_REDIS_URL", "GATEWAY_STORE"),
            ("GATEWAY_REDIS", "GATEWAY_STORE"),
            ("GATEWAY_UPSTREAM_BASE_URL", "AUTOSHARES_BASE_URL"),
            ("GATEWAY_BASE_URL", "AUTOSHARES_BASE_URL"),
            ("AUTOSHARES_URL", "AUTOSHARES_BASE_URL"),
            ("gateway_listen", "GATEWAY_LISTEN"),
            ("GATWAY_LISTEN", "GATEWAY_LISTEN"),
            ("GATEWAY-LISTEN", "GATEWAY_LISTEN"),
            ("GATEWAY_LISTEN_ADMIN", "GATEWAY_ADMIN_LISTEN"),
            ("AUTOSHARES_APPKEY_FILE", "AUTOSHARES_APP_KEY_FILE"),
            ("AUTOSHARES_KEY_FILE", "AUTOSHARES_APP_KEY_FILE"),
            ("AUTOSHARES_API_KEY", "AUTOSHARES_APP_KEY_FILE"),
            ("GATEWAY_UPSTREAM_APP_KEY", "AUTOSHARES_APP_KEY_FILE"),
            ("GATEWAY_KEYS_FILE", "GATEWAY_FLOW_KEYS_FILE"),
            ("GATEWAY_RESETS_PER_LOGIN", "GATEWAY_LIMITS_RESETS_PER_LOGIN"),
            ("GATEWAY_RISK_PER_HOUR", "GATEWAY_LIMITS_RISK_PER_HOUR"),
            ("GATEWAY_IDLE_CONNECTIONS", "GATEWAY_CONNECTIONS_IDLE"),
            ("GATEWAY_ORIGIN", "GATEWAY_PUBLIC_ORIGIN"),
            ("AUTOSHARES_CA", "AUTOSHARES_CA_FILE"),
            ("AUTOSHARES_HTTPS_PROXY", "AUTOSHARES_PROXY"),
        ] {
            let told = misspelt_variable(name);
            assert_eq!(
                told.as_deref().unwrap_or(name),
                format!("{name} is set, and is no setting; did you mean {meant}?")
            );
        }
        let harmless = "GATEWAY_LISTEN GATEWAY_SERVICE_HOST GATEWAY_SERVICE_PORT GATEWAY_SERVICE_PORT_HTTP GATEWAY_PORT GATEWAY_REDIS_PORT GATEWAY_STORE_PORT \
            GATEWAY_REDIS_SERVICE_HOST GATEWAY_PORT_8080_TCP GATEWAY_PORT_8080_TCP_ADDR GATEWAY_PORT_8080_TCP_PROTO GATEWAY_INTERFACE \
            AUTOSHARES_TOKEN AUTOSHARES_SERVICE_HOST PATH LISTEN HTTPS_PROXY SSL_CERT_FILE";
        for name in harmless.split_whitespace() {
            assert_eq!(misspelt_variable(name), None);
        }
    }

    #[test]
    fn an_unknown_key_is_told_when_it_is_made_of_known_words() {
        for (key, told) in [
            ("flow.flor", "`flow.flor` is not a setting; did you mean `flow.floor`?"),
            ("trusted_proxy", "`trusted_proxy` is not a setting; did you mean `trusted_proxies`?"),
            ("Upstream.base_url", "`Upstream.base_url` is not a setting; did you mean `upstream.base_url`?"),
            ("base_url", "`base_url` is not a setting; did you mean `upstream.base_url`?"),
            (
                "upstream.key_file",
                "`upstream.key_file` is not a setting; did you mean `upstream.app_key_file`?",
            ),
            ("flow.keys-file", "`flow.keys-file` is not a setting; did you mean `flow.keys_file`?"),
            ("idle", "`idle` is not a setting; did you mean `connections.idle`?"),
            ("listen_on", "`listen_on` is not a setting; did you mean `listen`?"),
            ("upstreem", "`upstreem` is not a setting"),
        ] {
            assert_eq!(unknown_key(key), told);
        }
        for secret in [
            "canarysecret",
            "upstream.canary",
            "upstream.app_key.canary",
            "flow.keys_file.canary",
            "CANARY",
            "Foo-bAr-Baz-qux",
            "slow-case-fire-disk",
            "",
        ] {
            assert!(unknown_key(secret).starts_with("a name that is not a setting"), "{secret}");
        }
    }

    #[test]
    fn every_setting_is_its_own_nearest() {
        for setting in settings().filter(|setting| setting.holds != Holds::Secret) {
            assert_eq!(nearest(setting.key).map(|nearest| nearest.key), Some(setting.key));
            assert_eq!(nearest(setting.variable).map(|nearest| nearest.key), Some(setting.key));
        }
    }
}
