//! Suites that attack the running program. Each prints what it did in figures; seeds are printed, and
//! `PUSHBRIDGE_SEED` replays one. `PUSHBRIDGE_FAULTS=long` runs longer; of a suite that is named and runs alone,
//! `PUSHBRIDGE_FAULTS_COUNT` says how much it does, and `PUSHBRIDGE_FAULTS_MINUTES` when it begins nothing more.
//!
//! All of them need a program with faults to order: `cargo test --features faults --test faults`. Without it those that
//! order any say that they are skipped.

#[cfg(test)]
mod stand;

#[cfg(test)]
mod faults {
    use super::stand;

    mod accounts;
    mod api;
    mod canary;
    mod clock;
    mod crash;
    mod disk;
    mod files;
    mod many;
    mod network;
    mod power;
    mod racing;
    mod run;
    mod siege;
    mod spells;
    mod tokens;
    mod wire;
    mod world;
}
