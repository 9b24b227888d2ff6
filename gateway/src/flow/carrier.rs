//! How a handle travels: as a cookie for browsers, and as a header for everybody else.

use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};

/// The cookie that carries a handle.
pub const COOKIE: &str = "__Host-password-reset";
/// The header that carries a handle, both ways.
pub const HEADER: HeaderName = HeaderName::from_static("reset-flow");

/// The sealed handles that a client sent. The header comes first, for a client sets it on purpose, while a browser sends cookies by itself.
pub fn handles(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let header = headers.get_all(HEADER).iter().filter_map(|value| value.to_str().ok());
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let cookies = cookies.flat_map(|cookies| cookies.split(';')).filter_map(|cookie| {
        let (name, value) = cookie.split_once('=')?;
        (name.trim() == COOKIE).then(|| value.trim())
    });
    header.map(str::trim).chain(cookies).filter(|handle| !handle.is_empty())
}

/// Gives a handle to the client in both ways. The browser drops the cookie when the flow has ended.
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
}
