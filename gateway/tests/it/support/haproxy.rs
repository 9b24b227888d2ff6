//! HAProxy, the real one; Redis comes from the tests of the counting crate.

use std::{fmt::Write, fs};

use crate::{ports::free_port, servers::Server};

/// HAProxy in front of some gateways, each in turn; one that does not answer is passed over.
pub fn haproxy(gateways: &[String]) -> Server {
    let (folder, port) = (tempfile::tempdir().unwrap(), free_port());
    let mut config = format!(
        "global\n  maxconn 200\ndefaults\n  mode http\n  timeout connect 5s\n  timeout client 10s\n  timeout server 10s\n  \
         retries 3\n  option redispatch 1\n  option forwardfor\nlisten gateways\n  bind 127.0.0.1:{port}\n  balance roundrobin\n"
    );
    for (index, gateway) in gateways.iter().enumerate() {
        let address = gateway.trim_start_matches("http://");
        writeln!(config, "  server gateway{index} {address} check inter 1s fall 3").unwrap();
    }
    let file = folder.path().join("haproxy.cfg");
    fs::write(&file, config).unwrap();
    let arguments = vec!["-db".to_owned(), "-f".to_owned(), file.to_str().unwrap().to_owned()];
    Server::start("haproxy", arguments, port, folder)
}
