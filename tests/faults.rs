//! Suites that attack the running program. Each prints what it did in figures; seeds are printed, and
//! `PUSHBRIDGE_SEED` replays one; `PUSHBRIDGE_FAULTS=long` runs longer.

#[cfg(test)]
mod stand;

#[cfg(test)]
mod faults {
    use super::stand;

    mod accounts;
    mod api;
    mod canary;
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
