//! How a handle travels: as a cookie for browsers, and as a header for everybody else.

use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use memchr::{memchr, memmem};

/// The cookie that carries a handle.
pub const COOKIE: &str = "__Host-password-reset";
/// The header that carries a handle, both ways.
pub const HEADER: HeaderName = HeaderName::from_static("reset-flow");

/// The sealed handles that a client sent. The header comes first, for a client sets it on purpose, while a browser sends cookies by itself.
pub fn handles(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let header = headers.get_all(HEADER).iter().filter_map(|value| value.to_str().ok());
    let cookies = headers.get_all(header::COOKIE).iter().flat_map(|value| cookies(value.as_bytes()));
    header.map(str::trim).chain(cookies).filter(|handle| !handle.is_empty())
}

/// The values of our cookie in one header. Searched for as bytes, because a neighbour may hold any, and not split, because a header of
/// separators alone would cost more than everything else about a request.
fn cookies(header: &[u8]) -> impl Iterator<Item = &str> {
    memmem::find_iter(header, COOKIE).filter_map(|start| {
        let before = header[..start].trim_ascii_end();
        let value = header[start + COOKIE.len()..].trim_ascii_start().strip_prefix(b"=")?;
        let value = &value[..memchr(b';', value).unwrap_or(value.len())];
        let is_whole = before.is_empty() || before.ends_with(b";");
        std::str::from_utf8(value.trim_ascii()).ok().filter(|_| is_whole)
    })
}

/// Gives a handle to the client in both ways. The browser drops the cookie when the lifetime of the flow is over.
pub fn give(headers: &mut HeaderMap, handle: &str, lifetime: Duration) {
    set_cookie(headers, handle, lifetime);
    if let Ok(value) = HeaderValue::from_str(handle) {
        headers.insert(HEADER, value);
    }
}

/// Takes the cookie away.
pub fn take_away(headers: &mut HeaderMap) {
    set_cookie(headers, "", Duration::ZERO);
}

fn set_cookie(headers: &mut HeaderMap, handle: &str, age: Duration) {
    let age = age.as_secs();
    let cookie = format!("{COOKIE}={handle}; Max-Age={age}; Path=/; Secure; HttpOnly; SameSite=Strict");
    if let Ok(value) = HeaderValue::from_str(&cookie) {
        headers.append(header::SET_COOKIE, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn handles_are_found_in_header_and_cookies() {
        let mut headers = HeaderMap::new();
        let add = |headers: &mut HeaderMap, name: &str, value: &'static str| {
            let name: HeaderName = name.parse().unwrap();
            headers.append(name, HeaderValue::from_static(value));
        };
        add(&mut headers, "cookie", "a=b; __Host-password-reset=one; c");
        add(&mut headers, "cookie", "__Host-password-reset= two ;x__Host-password-reset=three");
        assert_eq!(handles(&headers).collect::<Vec<_>>(), ["one", "two"]);
        add(&mut headers, "reset-flow", "four");
        assert_eq!(handles(&headers).collect::<Vec<_>>(), ["four", "one", "two"]);
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
        for (cookies, expected) in [
            ("name=José; __Host-password-reset=one", &["one"][..]),
            ("a=__Host-password-reset=one", &[]),
            ("\u{e9}__Host-password-reset=one", &[]),
            ("__Host-password-reset=\u{e9};__Host-password-reset=two", &["\u{e9}", "two"]),
            ("__Host-password-reset=one;__Host-password-reset", &["one"]),
            (";;;__Host-password-reset = one ;;", &["one"]),
            ("__Host-password-reset-other=one", &[]),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert("cookie", HeaderValue::from_bytes(cookies.as_bytes()).unwrap());
            assert_eq!(handles(&headers).collect::<Vec<_>>(), expected, "{cookies}");
        }
    }
}
