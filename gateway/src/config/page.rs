//! `page.*`: the hosted page, and how it looks.

use std::{fmt, fs, sync::Arc};

use autoshares_sdk::sandbox::Mail;
use url::Url;

use super::{loopback::is_loopback, reader::Reader, setting::settings};

/// The hosted page. It looks finished with none of its settings set.
#[derive(Clone, Debug)]
pub struct Page {
    /// Whether it is served. Off unless set, for a broker with pages of its own wants no second ones.
    pub enabled: bool,
    /// The broker's name, in the head and the title of each screen.
    pub name: Option<String>,
    /// The broker's logo, in place of the name.
    pub logo: Option<Logo>,
    /// The colour of buttons and links.
    pub accent: Accent,
    /// Where traders get help.
    pub support_url: Option<String>,
    /// Where traders log in afterwards.
    pub login_url: Option<String>,
    /// What the broker says about data protection.
    pub privacy_url: Option<String>,
    /// The mails of the sandbox, which `dev` shows beside the page.
    pub mailbox: Option<Mailbox>,
}

/// An image.
#[derive(Clone, Debug)]
pub struct Logo {
    pub bytes: Vec<u8>,
    pub media_type: &'static str,
}

/// A colour for light screens, and the one for dark screens that is derived from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accent {
    pub light: String,
    pub dark: String,
}

/// Reads the latest mail of the sandbox.
#[derive(Clone)]
pub struct Mailbox(pub Arc<dyn Fn() -> Option<Mail> + Send + Sync>);

impl Mailbox {
    pub fn latest(&self) -> Option<Mail> {
        (self.0)()
    }
}

impl fmt::Debug for Mailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Mailbox")
    }
}

/// The largest logo, in bytes: traders wait for it on a phone.
const MAX_LOGO: usize = 100 * 1024;
/// The contrast that text has to have (WCAG 2.2, 1.4.3).
const LEAST_CONTRAST: f64 = 4.5;
/// The background of the page on dark screens, as the style sheet has it.
const DARK: [u8; 3] = [0x12, 0x16, 0x1c];
const WHITE: [u8; 3] = [0xff; 3];

settings! {
    ENABLED: "page.enabled", "GATEWAY_PAGE_ENABLED",
        "`true` or `false`", "false",
        "serves the [hosted page](page.md) under `/password-reset`; on in `dev`";
    NAME: "page.name", "GATEWAY_PAGE_NAME",
        "a name of up to 60 characters", "none",
        "the broker's name, in the head and the title of each screen";
    LOGO_FILE: "page.logo_file", "GATEWAY_PAGE_LOGO_FILE",
        "a file with a PNG, JPEG, WebP or SVG image of up to 100 KiB", "none",
        "an image in place of the name: PNG, JPEG, WebP or SVG, up to 100 KiB", file;
    ACCENT: "page.accent", "GATEWAY_PAGE_ACCENT",
        "a colour such as `#0b5cad`, dark enough to be read on white", "#0b5cad",
        "the colour of buttons and links, dark enough to be read on white; the one for dark screens is derived from it";
    SUPPORT_URL: "page.support_url", "GATEWAY_PAGE_SUPPORT_URL",
        "where traders get help: an https address, `mailto:…` or `tel:…`", "none",
        "where traders get help: https, `mailto:` or `tel:`";
    LOGIN_URL: "page.login_url", "GATEWAY_PAGE_LOGIN_URL",
        "where traders log in: an https address", "none",
        "where traders log in with the new password";
    PRIVACY_URL: "page.privacy_url", "GATEWAY_PAGE_PRIVACY_URL",
        "what the broker says about data protection: an https address", "none",
        "what the broker says about data protection";
}

pub(super) fn read(reader: &mut Reader<'_>) -> Option<Page> {
    let enabled = reader.value(ENABLED, str::parse::<bool>);
    let name = reader.get(NAME).is_some().then(|| reader.parse(NAME, name));
    let accent = reader.value(ACCENT, |text| accent(text).ok_or(()));
    let logo = reader.get(LOGO_FILE).map(|path| logo(&path));
    let logo = match logo {
        Some(Ok(logo)) => Some(logo),
        Some(Err(wrong)) => {
            reader.fault(LOGO_FILE, wrong);
            None
        }
        None => None,
    };
    let mut link = |setting, schemes| reader.parse(setting, |text| link(text, schemes));
    let support_url = link(SUPPORT_URL, &["https", "mailto", "tel"][..]);
    let login_url = link(LOGIN_URL, &["https"]);
    let privacy_url = link(PRIVACY_URL, &["https"]);
    let name = name.flatten();
    Some(Page {
        enabled: enabled?,
        name,
        logo,
        accent: accent?,
        support_url,
        login_url,
        privacy_url,
        mailbox: None,
    })
}

fn name(text: &str) -> Result<String, ()> {
    let text = text.trim();
    let fits = (1..=60).contains(&text.chars().count()) && !text.chars().any(char::is_control);
    if fits { Ok(text.to_owned()) } else { Err(()) }
}

/// An address that a link of the page may lead to. Plain http only on this machine, for somebody on the way could change what traders read there.
fn link(text: &str, schemes: &[&str]) -> Result<String, ()> {
    let url = Url::parse(text).map_err(|_| ())?;
    let is_fit = schemes.contains(&url.scheme()) || url.scheme() == "http" && is_loopback(&url);
    if is_fit && url.password().is_none() { Ok(url.into()) } else { Err(()) }
}

fn logo(path: &str) -> Result<Logo, String> {
    let bytes = fs::read(path).map_err(|error| format!("cannot be read: {error}"))?;
    if bytes.len() > MAX_LOGO {
        return Err(format!("has {} bytes, and a logo may have {MAX_LOGO}", bytes.len()));
    }
    let media_type = match &*bytes {
        [0x89, b'P', b'N', b'G', ..] => "image/png",
        [0xff, 0xd8, 0xff, ..] => "image/jpeg",
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => "image/webp",
        _ if std::str::from_utf8(&bytes).is_ok_and(|text| text.contains("<svg")) => "image/svg+xml",
        _ => return Err("is no image of a known kind".to_owned()),
    };
    Ok(Logo { bytes, media_type })
}

/// A colour that can be read on white, and a lighter one that can be read on the dark background, and under black text.
fn accent(text: &str) -> Option<Accent> {
    let digits = text.trim().strip_prefix('#').filter(|digits| digits.len() == 6 && digits.is_ascii())?;
    let part = |at: usize| u8::from_str_radix(digits.get(at..at + 2)?, 16).ok();
    let light = [part(0)?, part(2)?, part(4)?];
    if contrast(light, WHITE) < LEAST_CONTRAST {
        return None;
    }
    let lighter = |share: u16| {
        light.map(|part| {
            let part = u16::from(part);
            u8::try_from(part + (255 - part) * share / 20).unwrap_or(u8::MAX)
        })
    };
    let is_readable = |colour: &[u8; 3]| {
        contrast(*colour, DARK) >= LEAST_CONTRAST && contrast(*colour, [0; 3]) >= LEAST_CONTRAST
    };
    let dark = (0..=20).map(lighter).find(is_readable)?;
    let written = |[red, green, blue]: [u8; 3]| format!("#{red:02x}{green:02x}{blue:02x}");
    Some(Accent { light: written(light), dark: written(dark) })
}

/// The contrast of two colours as WCAG defines it, from 1 to 21.
fn contrast(one: [u8; 3], other: [u8; 3]) -> f64 {
    let (one, other) = (luminance(one), luminance(other));
    (one.max(other) + 0.05) / (one.min(other) + 0.05)
}

fn luminance(colour: [u8; 3]) -> f64 {
    let linear = |part: u8| {
        let part = f64::from(part) / 255.0;
        if part <= 0.04045 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) }
    };
    let [red, green, blue] = colour.map(linear);
    0.2126 * red + 0.7152 * green + 0.0722 * blue
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_accent_can_be_read_on_white_and_its_sister_on_dark() {
        for (text, dark) in [("#0b5cad", true), ("#000000", true), ("#B00020", true), ("#767676", true)] {
            let accent = accent(text).unwrap();
            assert_eq!(accent.light, text.to_ascii_lowercase());
            assert_eq!(accent.dark.starts_with('#'), dark);
        }
        for bad in ["#ffff00", "#777777", "0b5cad", "#0b5", "#0b5cadff", "blue", "#0b5ca€", ""] {
            assert_eq!(accent(bad), None, "{bad}");
        }
        assert!((contrast([0; 3], WHITE) - 21.0).abs() < 0.01);
    }

    #[test]
    fn links_lead_to_https() {
        let schemes = &["https", "mailto"];
        for good in ["https://broker.example/login", "mailto:help@broker.example", "http://localhost:3000/"] {
            assert!(link(good, schemes).is_ok(), "{good}");
        }
        for bad in [
            "http://broker.example",
            "javascript:alert(1)",
            "data:text/html,x",
            "tel:1",
            "/login",
            "https://a:b@c",
        ] {
            assert!(link(bad, schemes).is_err(), "{bad}");
        }
    }
}
