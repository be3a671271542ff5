//! How long a suite runs, from which seed, and what it stands on.

use super::stand::Stand;
use pushbridge::{
    model::{Sealer, Timestamp},
    store::SledStore,
};
use std::{
    fs,
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

/// Short runs belong to every `cargo test`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Length {
    Short,
    Long,
}

pub(super) fn length() -> Length {
    match std::env::var("PUSHBRIDGE_FAULTS") {
        Ok(word) if word == "long" => Length::Long,
        Ok(word) => panic!("PUSHBRIDGE_FAULTS is {word}; the one word that it knows is long"),
        Err(_) => Length::Short,
    }
}

/// So many in a short run, so many in a long one.
pub(super) fn either(short: usize, long: usize) -> usize {
    if length() == Length::Long { long } else { short }
}

/// The size of a suite: as [`either`], but `PUSHBRIDGE_FAULTS_COUNT` may say otherwise where one is run alone.
pub(super) fn count(short: usize, long: usize) -> usize {
    number("PUSHBRIDGE_FAULTS_COUNT").unwrap_or_else(|| either(short, long))
}

/// The rounds of a suite: as many as [`count`] says, and no new one after `PUSHBRIDGE_FAULTS_MINUTES`.
pub(super) fn rounds(short: usize, long: usize) -> impl Iterator<Item = usize> {
    let limit = number("PUSHBRIDGE_FAULTS_MINUTES").map(|minutes| Duration::from_secs(60 * minutes as u64));
    let begun = Instant::now();
    (0..count(short, long)).take_while(move |_| limit.is_none_or(|limit| begun.elapsed() < limit))
}

fn number(variable: &str) -> Option<usize> {
    std::env::var(variable).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{variable} is a number")))
}

/// A clock that goes so many times as fast as the machine's, for the program and the sandbox alike.
pub(super) struct Pace {
    times: u32,
    since: i64,
}

impl Pace {
    /// From now on.
    pub(super) fn of(times: u32) -> Self {
        Self { times, since: Timestamp::now().as_millis() }
    }

    /// What it makes of the machine's milliseconds.
    pub(super) const fn at(&self, machine: i64) -> i64 {
        self.since + (machine - self.since) * self.times as i64
    }

    /// As an order to the program.
    pub(super) fn order(&self) -> String {
        format!("clock pace {} {}\n", self.times, self.since)
    }
}

/// Draws from a seed (splitmix64): the same seed gives the same draws.
pub(super) struct Draws(u64);

impl Draws {
    /// From `PUSHBRIDGE_SEED`, or a new seed; it is printed, so that a run can be replayed.
    pub(super) fn new(suite: &str) -> Self {
        let given =
            std::env::var("PUSHBRIDGE_SEED").ok().map(|text| text.parse().expect("PUSHBRIDGE_SEED is a number"));
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos();
        let seed = given.unwrap_or(u64::try_from(now % u128::from(u64::MAX)).unwrap());
        println!("{suite}: PUSHBRIDGE_SEED={seed}");
        Self(seed)
    }

    pub(super) const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// One of `0..below`.
    pub(super) fn below(&mut self, below: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(below).unwrap()).unwrap()
    }
}

/// The store, which no daemon may have open; its sealing key is made where there is none.
pub(super) fn open_store(stand: &Stand) -> SledStore {
    stand.ok(&["secrets", "status"]);
    let key = fs::read_to_string(stand.path("state/secrets.key")).unwrap();
    SledStore::open(&stand.path("state/store"), Arc::new(Sealer::from_text(&key).unwrap())).unwrap()
}
