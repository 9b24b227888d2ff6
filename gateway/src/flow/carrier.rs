//! How a handle travels: as a cookie for browsers, and as a header for everybody else.

use std::{collections::VecDeque, time::Duration};

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use memchr::{memchr, memmem};

use super::seal::HANDLE_LENGTH;

/// The cookie that carries a handle.
pub const COOKIE: &str = "__Host-password-reset";
/// The header that carries a handle, both ways.
pub const HEADER: HeaderName = HeaderName::from_static("reset-flow");
/// The most handles that are looked for in `Reset-Flow` headers.
const MAX_JOINED: usize = 64;
/// The most handles of a request that may be opened. Opening so many costs about as much as all else about the smallest request.
const MAX_LIKELY: usize = 4;

/// The sealed handles that a client sent.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Sent<'h> {
    /// Whether there was any at all, also one that cannot be a handle.
    pub any: bool,
    /// Those that may open, the likeliest first.
    pub likely: Vec<&'h str>,
}

/// Finds the sealed handles of a request. The header counts before the cookies, for a client sets it on purpose, while a browser sends cookies
/// by itself. Of either kind the last counts first, for a client that keeps old ones adds the new one at the end. Proxies join headers of one
/// name by commas, and some clients put quotation marks around a value.
pub fn handles(headers: &HeaderMap) -> Sent<'_> {
    let mut sent = Sent::default();
    let mut is_likely = |handle: &&str| {
        sent.any |= !handle.is_empty();
        handle.len() == HANDLE_LENGTH
    };
    let values = headers.get_all(HEADER).iter().rev().map(HeaderValue::as_bytes);
    let values = values.flat_map(|value| value.rsplit(|byte| *byte == b',')).take(MAX_JOINED);
    let mut likely: Vec<_> = values.filter_map(unquoted).filter(&mut is_likely).take(MAX_LIKELY).collect();
    let mut newest = VecDeque::with_capacity(MAX_LIKELY);
    for cookie in cookies(headers, COOKIE).filter(&mut is_likely) {
        newest.truncate(MAX_LIKELY - 1);
        newest.push_front(cookie);
    }
    likely.extend(newest);
    likely.truncate(MAX_LIKELY);
    sent.likely = likely;
    sent
}

fn unquoted(value: &[u8]) -> Option<&str> {
    let value = value.trim_ascii();
    let inner = value.strip_prefix(b"\"").and_then(|value| value.strip_suffix(b"\""));
    std::str::from_utf8(inner.unwrap_or(value)).ok()
}

/// The values of all cookies of one name.
pub fn cookies<'h>(headers: &'h HeaderMap, name: &'static str) -> impl Iterator<Item = &'h str> {
    let headers = headers.get_all(header::COOKIE).iter();
    headers.flat_map(move |value| cookies_in(value.as_bytes(), name)).filter_map(unquoted)
}

/// The values of a cookie in one header. Searched for as bytes, because a neighbour may hold any, and not split, because a header of separators
/// alone would cost more than everything else about a request.
fn cookies_in<'h>(header: &'h [u8], name: &'static str) -> impl Iterator<Item = &'h [u8]> {
    memmem::find_iter(header, name).filter_map(move |start| {
        let before = header[..start].trim_ascii_end();
        let value = header[start + name.len()..].trim_ascii_start().strip_prefix(b"=")?;
        let is_whole = before.is_empty() || before.ends_with(b";");
        is_whole.then(|| &value[..memchr(b';', value).unwrap_or(value.len())])
    })
}

/// Gives a handle to the client in both ways. The browser drops the cookie when the lifetime of the flow is over.
pub fn give(headers: &mut HeaderMap, handle: &str, lifetime: Duration) {
    give_cookie(headers, handle, lifetime);
    if let Ok(value) = HeaderValue::from_str(handle) {
        headers.insert(HEADER, value);
    }
}

/// Takes the cookie away.
pub fn take_away(headers: &mut HeaderMap) {
    give_cookie(headers, "", Duration::ZERO);
}

fn give_cookie(headers: &mut HeaderMap, handle: &str, age: Duration) {
    set_cookie(headers, COOKIE, handle, age, "Strict");
}

/// Sets a cookie that no script reads. `same_site` says whether it comes along from other sites: `Strict` or `Lax`.
pub fn set_cookie(headers: &mut HeaderMap, name: &str, value: &str, age: Duration, same_site: &str) {
    let age = age.as_secs().to_string();
    // In one piece, of which formatting takes five times as long.
    let attributes = "; Path=/; Secure; HttpOnly; SameSite=";
    let cookie = [name, "=", value, "; Max-Age=", &age, attributes, same_site].concat();
    if let Ok(value) = HeaderValue::from_str(&cookie) {
        headers.append(header::SET_COOKIE, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A text as long as a handle.
    fn handle(name: &str) -> String {
        format!("{name:x<HANDLE_LENGTH$}")
    }

    fn found(headers: &[(&str, &str)]) -> (bool, Vec<String>) {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(
                name.parse::<HeaderName>().unwrap(),
                HeaderValue::from_bytes(value.as_bytes()).unwrap(),
            );
        }
        let Sent { any, likely } = handles(&map);
        (any, likely.into_iter().map(|handle| handle.trim_end_matches('x').to_owned()).collect())
    }

    #[test]
    fn handles_are_found_in_header_and_cookies() {
        let [one, two, four, five, six] = ["1", "2", "4", "5", "6"].map(handle);
        let cookies = [
            ("cookie", &*format!("a=b; {COOKIE}={one}; c; {COOKIE}=short")),
            ("cookie", &*format!("{COOKIE}= {two} ;x{COOKIE}={four}")),
        ];
        assert_eq!(found(&cookies), (true, vec!["2".to_owned(), "1".to_owned()]));
        let headers = [("reset-flow", &*format!("{four}, ,\"{five}\"")), ("reset-flow", &*format!(" {six}"))];
        let (any, all) = found(&[&cookies[..], &headers].concat());
        assert_eq!((any, all.join(" ")), (true, "6 5 4 2".to_owned()));
        assert_eq!(found(&[("cookie", "a=b"), ("reset-flow", "")]), (false, vec![]));
        assert_eq!(found(&[("reset-flow", "short")]), (true, vec![]));
    }

    #[test]
    fn the_newest_of_many_handles_are_kept() {
        let many: String =
            (0..50).map(|number| format!("{COOKIE}={};", handle(&format!("{number}-")))).collect();
        let newest = ["49-", "48-", "47-", "46-"];
        assert_eq!(found(&[("cookie", &many)]).1, newest);
        let (_, all) = found(&[("cookie", &many), ("reset-flow", &handle("h"))]);
        assert_eq!(all, [&["h"], &newest[..3]].concat());
    }

    #[test]
    fn a_handle_is_given_in_both_ways_and_the_cookie_is_taken_away() {
        let mut headers = HeaderMap::new();
        give(&mut headers, "one", Duration::from_secs(600));
        assert_eq!(headers[HEADER], "one");
        let attributes = "Path=/; Secure; HttpOnly; SameSite=Strict";
        assert_eq!(headers[header::SET_COOKIE], format!("{COOKIE}=one; Max-Age=600; {attributes}"));
        let mut headers = HeaderMap::new();
        take_away(&mut headers);
        assert_eq!(headers[header::SET_COOKIE], format!("{COOKIE}=; Max-Age=0; {attributes}"));
        assert!(!headers.contains_key(HEADER));
    }

    #[test]
    fn a_neighbour_of_any_bytes_hides_no_handle() {
        let [one, two] = ["1", "2"].map(handle);
        for (cookies, expected) in [
            (format!("name=José; {COOKIE}={one}"), "1"),
            (format!("a={COOKIE}={one}"), ""),
            (format!("\u{e9}{COOKIE}={one}"), ""),
            (format!("{COOKIE}=\u{e9};{COOKIE}={two}"), "2"),
            (format!("{COOKIE}={one};{COOKIE}"), "1"),
            (format!(";;;{COOKIE} = {one} ;;"), "1"),
            (format!("{COOKIE}=\"{one}\"; a=\"b\""), "1"),
            (format!("{COOKIE}=\"; {COOKIE}=\"\"; {COOKIE}=\"{one}"), ""),
            (format!("{COOKIE}-other={one}"), ""),
        ] {
            assert_eq!(found(&[("cookie", &cookies)]).1.join(" "), expected, "{cookies}");
        }
    }
}
