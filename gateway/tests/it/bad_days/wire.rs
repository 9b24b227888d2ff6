//! A path over which connections go, and which a test can cut, mend and lead elsewhere.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpSocket, TcpStream},
    task::{JoinHandle, JoinSet},
};

use crate::{ports::free_port, servers::PATIENCE};

pub struct Wire {
    address: SocketAddr,
    target: Arc<Mutex<SocketAddr>>,
    running: Option<JoinHandle<()>>,
}

impl Wire {
    pub async fn to(target: SocketAddr) -> Self {
        Self::at(SocketAddr::from(([127, 0, 0, 1], free_port())), target).await
    }

    /// One that begins at this address.
    pub async fn at(address: SocketAddr, target: SocketAddr) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let (address, target) = (listener.local_addr().unwrap(), Arc::new(Mutex::new(target)));
        let running = Some(tokio::spawn(forward(listener, Arc::clone(&target))));
        Self { address, target, running }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends all connections, and refuses new ones.
    pub fn cut(&mut self) {
        if let Some(running) = self.running.take() {
            running.abort();
        }
    }

    /// Takes connections again, to this target.
    pub async fn mend(&mut self, target: SocketAddr) {
        self.cut();
        *self.target.lock().unwrap() = target;
        let deadline = std::time::Instant::now() + PATIENCE;
        let listener = loop {
            assert!(std::time::Instant::now() < deadline, "somebody has taken {}", self.address);
            let socket = TcpSocket::new_v4().unwrap();
            socket.set_reuseaddr(true).unwrap();
            match socket.bind(self.address).and_then(|()| socket.listen(1024)) {
                Ok(listener) => break listener,
                // The one before is on its way out.
                Err(_) => tokio::task::yield_now().await,
            }
        };
        self.running = Some(tokio::spawn(forward(listener, Arc::clone(&self.target))));
    }
}

async fn forward(listener: TcpListener, target: Arc<Mutex<SocketAddr>>) {
    // Dropped with this task, and with it all connections.
    let mut connections = JoinSet::new();
    loop {
        let Ok((mut stream, _)) = listener.accept().await else { continue };
        let target = *target.lock().unwrap();
        connections.spawn(async move {
            if let Ok(mut onward) = TcpStream::connect(target).await {
                // An end on either side ends both.
                let _ = copy_bidirectional(&mut stream, &mut onward).await;
            }
        });
        while connections.try_join_next().is_some() {}
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.cut();
    }
}
