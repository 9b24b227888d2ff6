//! A path over which connections go, and which a test can cut, mend and lead elsewhere.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    sync::oneshot,
    task::{JoinHandle, JoinSet},
};

use crate::ports::free_port;

pub struct Wire {
    address: SocketAddr,
    target: Arc<Mutex<SocketAddr>>,
    /// The task that takes connections, and what ends it when it is dropped.
    running: Option<(oneshot::Sender<()>, JoinHandle<()>)>,
}

impl Wire {
    pub async fn to(target: SocketAddr) -> Self {
        Self::at(SocketAddr::from(([127, 0, 0, 1], free_port())), target).await
    }

    /// One that begins at this address.
    pub async fn at(address: SocketAddr, target: SocketAddr) -> Self {
        let mut wire = Self { address, target: Arc::new(Mutex::new(target)), running: None };
        wire.begin().await;
        wire
    }

    async fn begin(&mut self) {
        let listener = TcpListener::bind(self.address).await.unwrap();
        let (stop, stopped) = oneshot::channel();
        self.running = Some((stop, tokio::spawn(forward(listener, Arc::clone(&self.target), stopped))));
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends all connections, and refuses new ones: all of it has happened when this returns.
    pub async fn cut(&mut self) {
        if let Some((stop, running)) = self.running.take() {
            drop(stop);
            running.await.unwrap();
        }
    }

    /// Takes connections again, to this target.
    pub async fn mend(&mut self, target: SocketAddr) {
        self.cut().await;
        *self.target.lock().unwrap() = target;
        self.begin().await;
    }
}

async fn forward(listener: TcpListener, target: Arc<Mutex<SocketAddr>>, stopped: oneshot::Receiver<()>) {
    let mut connections = JoinSet::new();
    let accepting = async {
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
    };
    tokio::select! {
        () = accepting => {}
        _ = stopped => {}
    }
    drop(listener);
    connections.shutdown().await;
}
