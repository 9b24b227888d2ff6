//! Clients, each from an address of its own of this machine, and what they see.

use std::{
    collections::BTreeMap,
    fmt,
    net::{IpAddr, Ipv4Addr},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::{
    net::{TcpSocket, TcpStream},
    task::JoinSet,
    time::sleep,
};

use crate::{
    servers::PATIENCE,
    support::{JSON, RESET},
};

/// One request: when it began, how long it took, and the status of its reply, or 0 for none.
#[derive(Clone)]
struct Request {
    began: Instant,
    took: Duration,
    status: u16,
    /// Why there is no reply.
    failure: Option<String>,
    /// Whether the reply named a time to wait.
    has_wait: bool,
}

/// Clients that send requests until they are told to stop.
pub struct Load {
    stop: Arc<AtomicBool>,
    sent: Arc<AtomicUsize>,
    /// Whether the clients wait, and how many are in the middle of a request.
    held: Arc<AtomicBool>,
    active: Arc<AtomicUsize>,
    clients: JoinSet<Vec<Request>>,
    /// How many clients were told that their connection ends.
    pub told: Arc<AtomicUsize>,
}

/// What clients saw.
#[derive(Clone)]
pub struct Seen(Vec<Request>);

impl Load {
    /// Clients that ask for resets of traders who exist and of some who do not.
    pub fn of_resets(
        public: &str,
        clients: usize,
        pause: Duration,
        builder: impl Fn() -> reqwest::ClientBuilder,
    ) -> Self {
        let (stop, sent, told) =
            (Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
        let (held, active) = (Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default());
        let mut set = JoinSet::new();
        for number in 0..clients {
            let client = builder().local_address(address(1, number)).timeout(Duration::from_secs(30));
            let client = client.build().unwrap();
            let (stop, sent, told) = (Arc::clone(&stop), Arc::clone(&sent), Arc::clone(&told));
            let (held, active) = (Arc::clone(&held), Arc::clone(&active));
            let url = format!("{public}{RESET}");
            set.spawn(async move {
                let mut requests = Vec::new();
                // Not all at once.
                sleep(pause.mul_f64(number as f64 / clients as f64)).await;
                while !stop.load(Ordering::Relaxed) {
                    active.fetch_add(1, Ordering::SeqCst);
                    if held.load(Ordering::SeqCst) {
                        active.fetch_sub(1, Ordering::SeqCst);
                        sleep(Duration::from_millis(10)).await;
                        continue;
                    }
                    let login = format!("trader-{}", (number * 7 + requests.len()) % 60);
                    let began = Instant::now();
                    let request = client.post(&url).header(JSON.0, JSON.1);
                    let reply = request.body(format!(r#"{{"User": "{login}"}}"#)).send().await;
                    let status = reply.as_ref().map_or(0, |reply| reply.status().as_u16());
                    let has_wait =
                        reply.as_ref().is_ok_and(|reply| reply.headers().contains_key("retry-after"));
                    let ends = reply.as_ref().is_ok_and(|reply| {
                        reply.headers().get("connection").is_some_and(|value| value == "close")
                    });
                    // A reply is whole when its body is.
                    let whole = match reply {
                        Ok(reply) => reply.bytes().await.map(|_| status),
                        Err(error) => Err(error),
                    };
                    let failure = whole.as_ref().err().map(|error| format!("{error:?}"));
                    let status = whole.unwrap_or(0);
                    requests.push(Request { began, took: began.elapsed(), status, failure, has_wait });
                    sent.fetch_add(1, Ordering::Relaxed);
                    active.fetch_sub(1, Ordering::SeqCst);
                    if ends {
                        told.fetch_add(1, Ordering::Relaxed);
                        break;
                    }
                    sleep(pause).await;
                }
                requests
            });
        }
        Self { stop, sent, held, active, clients: set, told }
    }

    /// Waits until as many requests more have their replies.
    pub async fn settle(&self, more: usize) {
        let (before, deadline) = (self.sent.load(Ordering::Relaxed), Instant::now() + PATIENCE);
        while self.sent.load(Ordering::Relaxed) < before + more {
            assert!(Instant::now() < deadline, "the load has stopped");
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// Lets no request begin, and waits until those under way have their replies: what is done meanwhile meets none of them.
    pub async fn hold(&self) {
        self.held.store(true, Ordering::SeqCst);
        let deadline = Instant::now() + PATIENCE;
        while self.active.load(Ordering::SeqCst) > 0 {
            assert!(Instant::now() < deadline, "a request does not end");
            sleep(Duration::from_millis(5)).await;
        }
    }

    /// Lets requests begin again.
    pub fn go_on(&self) {
        self.held.store(false, Ordering::SeqCst);
    }

    /// Stops the clients, once the request of each has its reply.
    pub async fn end(self) -> Seen {
        self.stop.store(true, Ordering::Relaxed);
        let mut all = self.clients.join_all().await.concat();
        all.sort_by_key(|request| request.began);
        Seen(all)
    }
}

impl Seen {
    /// The requests that began in this time.
    pub fn between(&self, from: Instant, to: Instant) -> Self {
        Self(self.0.iter().filter(|request| request.began >= from && request.began < to).cloned().collect())
    }

    pub fn count(&self, status: u16) -> usize {
        self.0.iter().filter(|request| request.status == status).count()
    }

    /// Every reply has one of these statuses, and each refusal in an outage says how long to wait.
    #[track_caller]
    pub fn are_all(&self, statuses: &[u16]) {
        assert!(!self.0.is_empty());
        let failure = self.0.iter().find_map(|request| request.failure.as_deref()).unwrap_or_default();
        assert!(self.0.iter().all(|request| statuses.contains(&request.status)), "{self}: {failure}");
        assert!(
            self.0.iter().all(|request| request.status != 503 || request.has_wait),
            "a 503 without a wait"
        );
    }

    /// Replies come about as fast as on a good day: half a second, which is the floor, and not much. A machine that is busy with other tests is
    /// slow by itself, so the short form looks at the median, and allows less than the five seconds that an attack or a slow Autoshares takes there.
    #[track_caller]
    pub fn are_quick(&self) {
        assert!(self.percentile(50) < super::lasting(4.0, 1.5), "{self}");
        assert!(self.percentile(99) < super::lasting(20.0, 1.5), "{self}");
    }

    /// The time within which so many of a hundred replies came.
    pub fn percentile(&self, of_hundred: usize) -> Duration {
        let mut times: Vec<_> = self.0.iter().map(|request| request.took).collect();
        times.sort_unstable();
        times
            .get((times.len() * of_hundred / 100).min(times.len().saturating_sub(1)))
            .copied()
            .unwrap_or_default()
    }
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut counts = BTreeMap::<u16, usize>::new();
        for request in &self.0 {
            *counts.entry(request.status).or_default() += 1;
        }
        let counts: Vec<_> = counts
            .iter()
            .map(|(status, count)| match status {
                0 => format!("{count} without a reply"),
                status => format!("{count} × {status}"),
            })
            .collect();
        let ms = |of_hundred| self.percentile(of_hundred).as_millis();
        write!(f, "{} (p50 {} ms, p99 {} ms)", counts.join(", "), ms(50), ms(99))
    }
}

/// Connections that say nothing, each from an address of its own.
pub async fn connect(public: &str, kind: u8, count: usize) -> Vec<TcpStream> {
    let target = public.trim_start_matches("http://").parse().unwrap();
    let mut connections = Vec::new();
    for number in 0..count {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind((address(kind, number), 0).into()).unwrap();
        // Those that are not let in wait in the queue of the system.
        connections.push(socket.connect(target).await.unwrap());
    }
    connections
}

/// An address of this machine, each in a network of its own: 256 networks of each kind, and 250 in each.
fn address(kind: u8, number: usize) -> IpAddr {
    let part = |number: usize| u8::try_from(number).unwrap_or(u8::MAX);
    Ipv4Addr::new(127, kind, part(number / 250), part(number % 250 + 1)).into()
}
