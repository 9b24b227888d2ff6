//! Ports on which nobody listens.

use tokio::net::TcpSocket;

/// A port that this process reserves until it ends, at all addresses of the machine: other tests, which ask the system for any port, are not given
/// this one. A server that asks for this very port gets it, as long as it sets `SO_REUSEADDR`, which all servers do.
pub fn free_port() -> u16 {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_reuseaddr(true).unwrap();
    socket.bind(([0, 0, 0, 0], 0).into()).unwrap();
    let port = socket.local_addr().unwrap().port();
    // As long as this socket has the port and does not listen, the system refuses connections to it.
    std::mem::forget(socket);
    port
}
