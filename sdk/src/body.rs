//! Reads the body of a reply, and takes off it what does no harm around good JSON: compression and a byte order mark.

use std::io::{self, Read};

use flate2::read::{DeflateDecoder, GzDecoder, ZlibDecoder};

/// The largest reply body that is read, in bytes, packed and unpacked; the documented ones have a few hundred.
const MAX_BODY: usize = 64 * 1024;

const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// Reads the whole body. Returns `None`, and leaves the rest unread, when it is larger than [`MAX_BODY`].
pub(crate) async fn read(mut response: reqwest::Response) -> reqwest::Result<Option<Vec<u8>>> {
    if response.content_length().is_some_and(|length| length > MAX_BODY as u64) {
        return Ok(None);
    }
    let mut encodings = response.headers().get_all(http::header::CONTENT_ENCODING).iter();
    let deflated = encodings
        .any(|value| value.as_bytes().to_ascii_lowercase().windows(7).any(|word| word == b"deflate"));
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if body.len() + chunk.len() > MAX_BODY {
            return Ok(None);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(unpacked(body, deflated).map(without_mark))
}

/// A body without its compression, which the SDK asks for in no request and some server or proxy applies all the same, a second one on top of
/// the first. The first bytes tell it, for no JSON object begins with them, while the header is missing where a proxy drops it, and has many
/// spellings. The form without such bytes is tried only where the header says `deflate`, and on nothing that begins like an object, for
/// it may well unpack to something else. A body that does not unpack stays as it is.
fn unpacked(mut body: Vec<u8>, deflated: bool) -> Option<Vec<u8>> {
    for _ in 0..2 {
        let plain = match *body {
            [0x1f, 0x8b, ..] => capped(GzDecoder::new(&*body)),
            [method, flags, ..] if is_zlib(method, flags) => capped(ZlibDecoder::new(&*body)),
            _ if deflated && !body.trim_ascii_start().starts_with(b"{") => {
                capped(DeflateDecoder::new(&*body))
            }
            _ => break,
        };
        match plain {
            Ok(plain) if plain.len() > MAX_BODY => return None,
            Ok(plain) => body = plain,
            Err(_) => break,
        }
    }
    Some(body)
}

/// Whether two bytes begin a zlib stream (RFC 1950): its method is 8, with a window of up to 32 KiB, and the two are a multiple of 31.
fn is_zlib(method: u8, flags: u8) -> bool {
    method & 0x0f == 8 && method >> 4 <= 7 && u16::from_be_bytes([method, flags]).is_multiple_of(31)
}

/// Everything that a decoder unpacks, or the first bytes over the cap.
fn capped(decoder: impl Read) -> io::Result<Vec<u8>> {
    let mut plain = Vec::new();
    decoder.take(MAX_BODY as u64 + 1).read_to_end(&mut plain)?;
    Ok(plain)
}

/// A body without the byte order mark that .NET writes easily, and that no JSON parser takes.
fn without_mark(mut body: Vec<u8>) -> Vec<u8> {
    let white_space = body.len() - body.trim_ascii_start().len();
    if body[white_space..].starts_with(BYTE_ORDER_MARK) {
        body.drain(..white_space + BYTE_ORDER_MARK.len());
    }
    body
}
