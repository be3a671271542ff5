//! How long a suite runs, from which seed, and what it stands on.

use super::stand::Stand;
use pushbridge::{model::Sealer, store::SledStore};
use std::{
    fs,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
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
pub(super) fn count(short: usize, long: usize) -> usize {
    if length() == Length::Long { long } else { short }
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
