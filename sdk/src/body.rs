//! Reads the body of a reply, and takes off it what does no harm around good JSON: compression and a byte order mark.

use std::io::{self, Read};

use flate2::read::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};

/// The largest reply body that is read, in bytes, packed and unpacked; the documented ones have a few hundred.
const MAX_BODY: usize = 64 * 1024;

const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// Reads the whole body. Returns `None`, and leaves the rest unread, when it is larger than [`MAX_BODY`].
pub(crate) async fn read(mut response: reqwest::Response) -> reqwest::Result<Option<Vec<u8>>> {
    if response.content_length().is_some_and(|length| length > MAX_BODY as u64) {
        return Ok(None);
    }
    let encoding = response.headers().get(http::header::CONTENT_ENCODING);
    let deflated =
        encoding.is_some_and(|value| value.as_bytes().trim_ascii().eq_ignore_ascii_case(b"deflate"));
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if body.len() + chunk.len() > MAX_BODY {
            return Ok(None);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(unpacked(body, deflated).map(without_mark))
}

/// A body without its compression, which the SDK asks for in no request and some server or proxy applies all the same. The first bytes tell it,
/// for no JSON begins with them, while the header is missing where a proxy drops it, and has many spellings. The form without such bytes
/// is tried only where the header says `deflate`. A body that does not unpack stays as it is.
fn unpacked(body: Vec<u8>, deflated: bool) -> Option<Vec<u8>> {
    let plain = match *body {
        [0x1f, 0x8b, ..] => capped(MultiGzDecoder::new(&*body)),
        [0x78, flags, ..] if u16::from_be_bytes([0x78, flags]).is_multiple_of(31) => {
            capped(ZlibDecoder::new(&*body))
        }
        _ if deflated => capped(DeflateDecoder::new(&*body)),
        _ => return Some(body),
    };
    match plain {
        Ok(plain) if plain.len() > MAX_BODY => None,
        Ok(plain) => Some(plain),
        Err(_) => Some(body),
    }
}

/// Everything that a decoder unpacks, or the first bytes over the cap.
fn capped(decoder: impl Read) -> io::Result<Vec<u8>> {
    let mut plain = Vec::new();
    decoder.take(MAX_BODY as u64 + 1).read_to_end(&mut plain)?;
    Ok(plain)
}

/// A body without the byte order mark that .NET writes easily, and that no JSON parser takes.
fn without_mark(mut body: Vec<u8>) -> Vec<u8> {
    if body.starts_with(BYTE_ORDER_MARK) {
        body.drain(..BYTE_ORDER_MARK.len());
    }
    body
}
