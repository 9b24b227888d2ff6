//! PROXY headers (version 1 and 2 of HAProxy's protocol), in which a trusted proxy that does not read HTTP says who came to it.

use std::{io, net::SocketAddr, time::Duration};

use proxy_header::{Error, ParseConfig, ProxyHeader};
use tokio::{
    io::AsyncReadExt,
    net::TcpStream,
    time::{sleep, timeout},
};

/// How long a proxy may take to send the header, which comes before anything else.
const DEADLINE: Duration = Duration::from_secs(15);
/// How long to wait for the rest of a header that came in pieces, which hardly one does.
const PIECE: Duration = Duration::from_millis(5);
/// The longest header that is read: proxies add little to the addresses.
const LONGEST: usize = 1024;

/// Whether each connection begins with a header.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Header {
    /// One without is closed: nobody knows whose it is.
    #[default]
    Required,
    /// A scraper comes without, and a balancer's health check with one.
    Optional,
}

/// Reads the header, and nothing after it. `None` when there is none, or the connection is the proxy's own, as that of a health check.
///
/// # Errors
///
/// An [`io::Error`] when a header is required and none comes in time.
pub async fn read(stream: &mut TcpStream, header: Header) -> io::Result<Option<SocketAddr>> {
    timeout(DEADLINE, read_now(stream, header)).await.map_err(io::Error::other)?
}

async fn read_now(stream: &mut TcpStream, header: Header) -> io::Result<Option<SocketAddr>> {
    let invalid = |why: &str| io::Error::new(io::ErrorKind::InvalidData, why.to_owned());
    let config = ParseConfig { include_tlvs: false, ..ParseConfig::default() };
    let (mut bytes, mut before) = ([0; LONGEST], 0);
    loop {
        // Looks without taking, for what follows is not ours to read.
        let there = stream.peek(&mut bytes).await?;
        match ProxyHeader::parse(&bytes[..there], config) {
            Ok((header, length)) => {
                let client = header.proxied_address().map(|address| address.source);
                stream.read_exact(&mut bytes[..length]).await?;
                return Ok(client);
            }
            Err(Error::BufferTooShort) if there < LONGEST => {}
            // What can begin no header, or what follows none.
            Err(Error::Invalid) if header == Header::Optional => return Ok(None),
            Err(error) => return Err(invalid(&error.to_string())),
        }
        if there == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if there == before {
            sleep(PIECE).await;
        }
        before = there;
    }
}
