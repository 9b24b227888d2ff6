//! Strangers. They know every login and every rule, have as many networks as the plan says, and wait no longer than they have to.

use std::{sync::Arc, time::Duration};

use rand::{RngExt, SeedableRng, rngs::StdRng};
use tokio::{task::JoinSet, time::Instant};

use super::{
    Scene,
    people::{Request, Seen, Visitor},
};

/// An attack, with the number of networks that take part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attack {
    None,
    /// Guesses codes in flows of accounts that the attacker has.
    GuessLive(u32),
    /// Guesses codes in flows of logins that do not exist, to spend the ledger.
    GuessDead(u32),
    /// Asks for resets of logins that do not exist.
    Flood(u32),
    /// One host with an IPv6 /48 asks for resets from every /64 of it.
    FloodFromOneHost,
    /// Asks for mails to one account in every spelling.
    Bomb(u32),
    /// Uses up the mails and the codes of a trader's login, one trader for each network.
    Besiege(u32),
    /// Sends the same few codes over and over, for a store that may forget them.
    Repeat(u32),
}

impl Attack {
    pub fn any(random: &mut StdRng) -> Self {
        let networks = [1, 5, 30, 120][random.random_range(0..4)];
        match random.random_range(0..10) {
            0 | 1 => Attack::None,
            2 | 3 => Attack::GuessLive(networks),
            4 => Attack::GuessDead(networks),
            5 => Attack::Flood(networks),
            6 => Attack::FloodFromOneHost,
            7 => Attack::Repeat(networks.min(30)),
            8 => Attack::Besiege(networks.min(30)),
            _ => Attack::Bomb(networks),
        }
    }

    /// The attacks that are told of.
    pub fn table() -> Vec<Self> {
        let mut table = vec![Attack::FloodFromOneHost];
        for networks in [1, 5, 30, 120] {
            table.extend([
                Attack::GuessLive(networks),
                Attack::GuessDead(networks),
                Attack::Flood(networks),
                Attack::Bomb(networks),
            ]);
        }
        table.extend([Attack::Besiege(1), Attack::Besiege(5)]);
        table
    }

    /// Which share of the honest steps, in percent, it may have refused, as `SECURITY.md` declares.
    pub fn declared(self) -> f64 {
        match self {
            // Guesses become dearer, so that an office where two mistyped a code has used up its share.
            Attack::GuessLive(2..=5) => 0.1,
            // Nobody can pause codes or resets alone, nor with a few networks. What is refused is of an office of five behind one address, two
            // of whom mistyped a code, as it would be without an attack: one step in a hundred thousand.
            Attack::None
            | Attack::FloodFromOneHost
            | Attack::GuessLive(..=5)
            | Attack::GuessDead(..=5)
            | Attack::Flood(..=5)
            | Attack::Bomb(..=5)
            | Attack::Repeat(..=5) => 0.05,
            Attack::Bomb(..=30) => 10.0,
            Attack::GuessDead(..=30) | Attack::Flood(..=30) => 25.0,
            Attack::GuessLive(..=30) => 30.0,
            Attack::Flood(_) | Attack::Bomb(_) => 65.0,
            Attack::Besiege(..=5) => 10.0,
            Attack::GuessLive(_) | Attack::GuessDead(_) | Attack::Repeat(_) | Attack::Besiege(_) => 96.0,
        }
    }
}

/// Lets the strangers loose until a moment.
pub fn begin(scene: &Arc<Scene>, attack: Attack, seed: u64, until: Instant) -> JoinSet<()> {
    let mut crowd = JoinSet::new();
    let mut random = StdRng::seed_from_u64(seed);
    let networks = match attack {
        Attack::None => 0,
        Attack::FloodFromOneHost => 60,
        Attack::GuessLive(networks)
        | Attack::GuessDead(networks)
        | Attack::Flood(networks)
        | Attack::Bomb(networks)
        | Attack::Besiege(networks)
        | Attack::Repeat(networks) => networks,
    };
    scene.platform.add("victim", None);
    for number in 0..networks {
        let address = match attack {
            Attack::FloodFromOneHost => {
                std::net::Ipv6Addr::from(0x2001_0dff_0001_u128 << 80 | u128::from(number) << 64 | 1).into()
            }
            _ => scene.new_address(),
        };
        let visitor = Visitor::new(scene, address);
        let seed: u64 = random.random();
        match attack {
            Attack::None => {}
            Attack::GuessLive(_) | Attack::GuessDead(_) => {
                let login = format!("attacker-{number}");
                if matches!(attack, Attack::GuessLive(_)) {
                    scene.platform.add(&login, None);
                }
                crowd.spawn(guess(visitor, login, number, seed, until));
            }
            Attack::Besiege(_) => {
                crowd.spawn(guess(visitor, format!("trader-{number}"), number, seed, until));
            }
            Attack::Repeat(_) => {
                let login = format!("attacker-{number}");
                scene.platform.add(&login, None);
                crowd.spawn(repeat(visitor, login, number, seed, until));
            }
            Attack::Flood(_) | Attack::FloodFromOneHost => {
                crowd.spawn(flood(visitor, number, seed, until));
            }
            Attack::Bomb(_) => {
                crowd.spawn(bomb(visitor, seed, until));
            }
        }
    }
    crowd
}

async fn guess(mut visitor: Visitor, login: String, number: u32, seed: u64, until: Instant) {
    let mut random = StdRng::seed_from_u64(seed);
    let scene = Arc::clone(&visitor.scene);
    let mut count = 0;
    while scene.clock.now() < until {
        let request = Request::Reset { login: login.clone(), answer: None };
        let seen = visitor.send(random.random_range(0..9), request).await;
        if seen.status != 200 {
            pause(&scene, &seen, &mut random).await;
            continue;
        }
        let mut codes = Vec::new();
        for _ in 0..7 {
            // Codes that nobody else makes up, and that no mail holds: odd.
            count += 1;
            let code = format!("{:06}", (u64::from(number) * 2000 + count) * 2 % 1_000_000 + 1);
            let seen = visitor.send(random.random_range(0..9), Request::Code(code.clone())).await;
            codes.push(code);
            if random.random_bool(0.1) {
                // One that came before in this flow.
                let code = codes[random.random_range(0..codes.len())].clone();
                visitor.send(random.random_range(0..9), Request::Code(code)).await;
            }
            if seen.status != 200 {
                pause(&scene, &seen, &mut random).await;
            }
            if scene.clock.now() >= until {
                return;
            }
        }
    }
}

async fn repeat(mut visitor: Visitor, login: String, number: u32, seed: u64, until: Instant) {
    let mut random = StdRng::seed_from_u64(seed);
    let scene = Arc::clone(&visitor.scene);
    let mut count = 0;
    while scene.clock.now() < until {
        visitor.handle = None;
        let request = Request::Reset { login: login.clone(), answer: None };
        let seen = visitor.send(random.random_range(0..9), request).await;
        // Each flow has codes of its own.
        let first = count;
        count += 2;
        for _ in 0..8 {
            if seen.status != 200 || scene.clock.now() >= until {
                break;
            }
            let code = first + random.random_range(0..2);
            let code = format!("{:06}", (number * 2000 + code) * 2 % 1_000_000 + 1);
            visitor.send(random.random_range(0..9), Request::Code(code)).await;
            scene.wait(Duration::from_secs(random.random_range(5..40))).await;
        }
        scene.wait(Duration::from_secs(random.random_range(60..600))).await;
    }
}

async fn flood(mut visitor: Visitor, number: u32, seed: u64, until: Instant) {
    let mut random = StdRng::seed_from_u64(seed);
    let scene = Arc::clone(&visitor.scene);
    let mut count = 0;
    while scene.clock.now() < until {
        count += 1;
        let login = format!("nobody-{number}-{count}");
        visitor.handle = None;
        let seen = visitor.send(random.random_range(0..9), Request::Reset { login, answer: None }).await;
        if seen.status != 200 {
            pause(&scene, &seen, &mut random).await;
        }
        scene.wait(Duration::from_millis(random.random_range(100..3000))).await;
    }
}

/// Spellings of `victim` that are one account to Autoshares, and some that are none.
const SPELLINGS: [&str; 21] = [
    "victim",
    "VICTIM",
    " Victim ",
    "victim😀",
    "😀victim",
    "vic\u{10380}tim",
    "ｖictim",
    "victim\u{2800}",
    "vi\u{200b}ctim",
    "victim\u{e000}",
    "victim\u{1d42b}",
    "victim\u{2028}",
    "victimᵃ",
    "ᵃvictim",
    "ᵛictim",
    "victiᵐ",
    "vicșștim",
    "victimግ",
    "vicᎳtim",
    "vicτim",
    "victiꜧm",
];

async fn bomb(mut visitor: Visitor, seed: u64, until: Instant) {
    let mut random = StdRng::seed_from_u64(seed);
    let scene = Arc::clone(&visitor.scene);
    while scene.clock.now() < until {
        let mut login = SPELLINGS[random.random_range(0..SPELLINGS.len())].to_owned();
        if random.random_bool(0.3) {
            let emoji = char::from_u32(0x1f600 + random.random_range(0..80)).unwrap();
            login.insert(login.char_indices().nth(3).unwrap().0, emoji);
        }
        if random.random_bool(0.3) {
            let young = ['ᵃ', 'ș', 'ግ', '\u{7c1}', '\u{a727}'][random.random_range(0..5)];
            login.push(young);
        }
        let seen = visitor.send(random.random_range(0..9), Request::Reset { login, answer: None }).await;
        if matches!(seen.status, 429 | 503) {
            pause(&scene, &seen, &mut random).await;
        }
        scene.wait(Duration::from_secs(random.random_range(1..60))).await;
    }
}

/// Waits as long as it must, and not longer than a minute.
async fn pause(scene: &Scene, seen: &Seen, random: &mut StdRng) {
    let told = seen.retry_after().unwrap_or(Duration::from_secs(1)).min(Duration::from_secs(60));
    scene.wait(told + Duration::from_millis(random.random_range(0..500))).await;
}
