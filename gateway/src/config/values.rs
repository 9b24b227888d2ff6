//! What the texts of settings mean, one small reader for each kind.

use std::{collections::BTreeMap, fs, os::unix::fs::PermissionsExt, path::Path};

use ipnet::IpNet;
use url::{Host, Url};

use super::{Binding, settings::SETTINGS};

/// The file as `key → text`, nested tables with dots. A list becomes text with commas.
pub(super) fn read_file(path: &Path, faults: &mut Vec<String>) -> BTreeMap<String, String> {
    let place = path.display();
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) => {
            faults.push(format!("{place}: cannot be read ({})", error.kind()));
            return BTreeMap::new();
        }
    };
    match text.parse::<toml::Table>() {
        Ok(table) => {
            let mut flat = BTreeMap::new();
            flatten(&table, "", &mut flat);
            flat
        }
        Err(error) => {
            // The parser's own text quotes the line, which may hold the key.
            let line = error.span().map_or(1, |span| text[..span.start].lines().count().max(1));
            faults.push(format!("{place}: not TOML, near line {line}"));
            BTreeMap::new()
        }
    }
}

fn flatten(table: &toml::Table, prefix: &str, flat: &mut BTreeMap<String, String>) {
    for (name, value) in table {
        let key = format!("{prefix}{name}");
        match value {
            // An empty table of settings is nothing; any other is a name that is not a setting.
            toml::Value::Table(table)
                if SETTINGS.iter().any(|setting| setting.key.starts_with(&format!("{key}."))) =>
            {
                flatten(table, &format!("{key}."), flat);
            }
            value => {
                flat.insert(key, plain(value));
            }
        }
    }
}

fn plain(value: &toml::Value) -> String {
    match value {
        toml::Value::String(text) => text.clone(),
        toml::Value::Array(items) => items.iter().map(plain).collect::<Vec<_>>().join(","),
        value => value.to_string(),
    }
}

pub(super) fn binding(text: &str) -> Result<Binding, ()> {
    match text {
        "required" => Ok(Binding::Required),
        "prefer" => Ok(Binding::Prefer),
        "off" => Ok(Binding::Off),
        _ => Err(()),
    }
}

/// Origins as browsers write them. Pages without https can be changed on their way, except on this machine.
pub(super) fn origins(text: &str) -> Result<Vec<String>, ()> {
    let origin = |text: &str| {
        let url = Url::parse(text.trim()).ok().filter(is_origin)?;
        (url.scheme() == "https" || is_loopback(&url)).then(|| url.origin().ascii_serialization())
    };
    text.split(',').map(|text| origin(text).ok_or(())).collect()
}

/// Networks, or single addresses. Trusting everybody would let anybody write their own address.
pub(super) fn networks(text: &str) -> Result<Vec<IpNet>, ()> {
    let network = |text: &str| {
        let text = text.trim();
        let network = text
            .parse::<IpNet>()
            .or_else(|_| text.parse::<std::net::IpAddr>().map(IpNet::from))
            .map_err(|_| ())?;
        if network.prefix_len() == 0 { Err(()) } else { Ok(network.trunc()) }
    };
    text.split(',').map(network).collect()
}

pub(super) fn redis_at(text: &str) -> Result<(Url, redis::Client), ()> {
    let url = Url::parse(text).map_err(|_| ())?;
    let client = redis::Client::open(text).map_err(|_| ())?;
    if matches!(url.scheme(), "redis" | "rediss") { Ok((url, client)) } else { Err(()) }
}

pub(super) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        // The parser of a scheme that it does not know leaves addresses as text.
        Some(Host::Domain(name)) => {
            name == "localhost" || name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
        }
        None => false,
    }
}

pub(super) fn is_origin(url: &Url) -> bool {
    matches!(url.scheme(), "http" | "https")
        && url.path() == "/"
        && url.query().is_none()
        && url.fragment().is_none()
        && url.username().is_empty()
        && url.password().is_none()
}

/// Whether every user of this machine can read a file.
pub(super) fn is_world_readable(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|metadata| metadata.permissions().mode() & 0o004 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_are_read_with_and_without_a_length_and_never_all_of_them() {
        let read =
            |text: &str| networks(text).map(|all| all.iter().map(ToString::to_string).collect::<Vec<_>>());
        assert_eq!(read("10.1.2.3/8, 127.0.0.1,::1").unwrap(), ["10.0.0.0/8", "127.0.0.1/32", "::1/128"]);
        for bad in ["", "here", "10.0.0.0/33", "0.0.0.0/0", "::/0", "10.0.0.0/8,"] {
            assert_eq!(read(bad), Err(()), "{bad}");
        }
    }

    #[test]
    fn origins_are_read_as_browsers_write_them() {
        assert_eq!(
            origins("https://WWW.example.com/, https://m.example.com:8443,http://localhost:3000").unwrap(),
            ["https://www.example.com", "https://m.example.com:8443", "http://localhost:3000"]
        );
        for bad in ["*", "null", "www.example.com", "http://www.example.com", "https://a.example/path", ""] {
            assert_eq!(origins(bad), Err(()), "{bad}");
        }
    }

    #[test]
    fn only_redis_is_a_redis() {
        for good in ["redis://127.0.0.1:6379/0", "rediss://:secret@redis.example/1", "redis://[::1]"] {
            let (url, _) = redis_at(good).unwrap();
            assert_eq!(is_loopback(&url), !good.contains("example"), "{good}");
        }
        for bad in ["", "memory", "http://127.0.0.1", "unix:///run/redis", "redis://host/db"] {
            assert!(redis_at(bad).is_err(), "{bad}");
        }
    }
}
