//! `store.*`: the Redis in which several gateways count together.

use std::{fmt, time::Duration};

use url::Url;

use super::{
    loopback::is_loopback,
    origins::PUBLIC_ORIGIN,
    reader::{Reader, duration},
    setting::settings,
};

/// The Redis in which several gateways count together.
#[derive(Clone)]
pub struct Store {
    /// Redis or Valkey. Without one this process counts alone, which is right for a single gateway and needs no server.
    pub redis: Option<redis::Client>,
    /// How long a decision may wait for Redis before the step is refused. The trader waits along, so the limit is short.
    pub timeout: Duration,
    /// Begins every key, so that two installations in one database do not spend each other's budgets. They need two.
    pub namespace: String,
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The client prints its URL, which may hold a password.
        let Self { redis, timeout, namespace } = self;
        let mut store = f.debug_struct("Store");
        store
            .field("redis", &redis.is_some())
            .field("timeout", timeout)
            .field("namespace", namespace)
            .finish()
    }
}

settings! {
    URL: "store.url", "GATEWAY_STORE",
        "`memory`, `redis://host:port/0` or `rediss://host:port/0`", "memory",
        "right for one gateway. `redis://…` or `rediss://…` (TLS) lets several gateways count together", address;
    TIMEOUT: "store.timeout", "GATEWAY_STORE_TIMEOUT",
        "a duration from `10ms` to `10s`, such as `1s`", "1s",
        "how long a step waits for Redis before it is refused; `10ms` to `10s`. The trader waits along, so it is short";
    NAMESPACE: "store.namespace", "GATEWAY_STORE_NAMESPACE",
        "letters, digits, `-`, `_` and `.`, 1 to 64 characters", "password-reset",
        "begins every key in Redis; give two installations in one database two names, or they spend each other's budgets";
}

pub(super) fn read(reader: &mut Reader<'_>) -> Option<Store> {
    let redis = reader.value(URL, redis_at);
    let timeout = reader.value(TIMEOUT, timeout);
    let namespace = reader.value(NAMESPACE, namespace);
    if let Some(Some((url, _))) = &redis {
        reader.refuse_password_on_command_line(URL, url.as_str());
        if reader.get(PUBLIC_ORIGIN).is_none() {
            // Handles are sealed for the public origin, which then holds the port of this gateway.
            reader
                .warn(PUBLIC_ORIGIN, "is not set, and gateways that share a Redis need the same one: set it");
        }
        if url.scheme() == "redis" && !is_loopback(url) {
            reader.warn(URL, "pseudonyms and counters travel in the clear; use rediss://");
        }
    }
    let redis = redis?.map(|(_, client)| client);
    Some(Store { redis, timeout: timeout?, namespace: namespace? })
}

/// `None` for the memory of this process.
pub(super) fn redis_at(text: &str) -> Result<Option<(Url, redis::Client)>, ()> {
    if text == "memory" {
        return Ok(None);
    }
    let url = Url::parse(text).map_err(|_| ())?;
    let client = redis::Client::open(text).map_err(|_| ())?;
    if matches!(url.scheme(), "redis" | "rediss") { Ok(Some((url, client))) } else { Err(()) }
}

fn timeout(text: &str) -> Result<Duration, ()> {
    duration(text, Duration::from_millis(10)..=Duration::from_secs(10))
}

/// Characters that mean nothing in a key of Redis: braces choose its slot, a colon separates its parts.
fn namespace(text: &str) -> Result<String, ()> {
    let plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    (plain && (1..=64).contains(&text.len())).then(|| text.to_owned()).ok_or(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_redis_is_a_redis() {
        assert!(redis_at("memory").unwrap().is_none());
        for good in ["redis://127.0.0.1:6379/0", "rediss://:secret@redis.example/1", "redis://[::1]"] {
            assert!(redis_at(good).unwrap().is_some(), "{good}");
        }
        for bad in ["", "Memory", "http://127.0.0.1", "unix:///run/redis", "redis://host/db"] {
            assert!(redis_at(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_decision_waits_neither_for_nothing_nor_for_long() {
        assert_eq!(timeout("10ms"), Ok(Duration::from_millis(10)));
        assert_eq!(timeout("10s"), Ok(Duration::from_secs(10)));
        for bad in ["", "0s", "9ms", "10001ms", "1", "soon"] {
            assert_eq!(timeout(bad), Err(()), "{bad}");
        }
    }

    #[test]
    fn a_namespace_holds_nothing_that_redis_or_a_key_gives_a_meaning() {
        let longest = "n".repeat(64);
        for good in ["password-reset", "Reset_2.eu", "0", &longest] {
            assert_eq!(namespace(good).as_deref(), Ok(good));
        }
        for bad in ["", "a b", "{a}", "a:b", "a*", "é", &format!("{longest}n")] {
            assert_eq!(namespace(bad), Err(()), "{bad}");
        }
    }

    #[test]
    fn a_store_prints_no_password() {
        let redis = redis_at("redis://:canary-password@127.0.0.1/0").unwrap().map(|(_, client)| client);
        let store = Store { redis, timeout: Duration::from_secs(1), namespace: "reset".to_owned() };
        assert_eq!(format!("{store:?}"), r#"Store { redis: true, timeout: 1s, namespace: "reset" }"#);
    }
}
