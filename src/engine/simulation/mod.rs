//! Deterministic simulation: the engine in a world whose clock, disk, API, persons and files are drawn from a seed.
//!
//! A schedule is one world from its set-up to the last decision: files arrive, links and tokens change, answers come late
//! or never, the daemon is killed between any two steps and begins again from what was flushed. After every step an
//! independent referee checks the promises (`rules.rs`). `PUSHBRIDGE_FAULTS=long` plays many more schedules;
//! `PUSHBRIDGE_SEED=N` plays one, with a trace.

mod api;
pub(super) mod attempts;
mod cast;
mod daemon;
mod ends;
mod outages;
mod people;
mod random;
mod referee;
mod regressions;
mod rules;
mod sending;
mod shell;
mod trace;
mod world;

use std::{
    env,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::atomic::{AtomicU64, Ordering},
    thread,
    time::Instant,
};
use world::{Figures, World};

const SHORT: u64 = 100_000;
const LONG: u64 = 20_000_000;

/// Plays one schedule; what was broken, where something was.
fn play(seed: u64, traced: bool) -> Result<Figures, (String, Vec<String>)> {
    let mut world = World::new(seed, traced);
    match catch_unwind(AssertUnwindSafe(|| world.play())) {
        Ok(()) => Ok(world.figures),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().cloned();
            let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
            Err((text.unwrap_or_default(), world.trace.take().unwrap_or_default()))
        }
    }
}

fn replay(seed: u64) {
    match play(seed, true) {
        Ok(figures) => println!("seed {seed}: all promises were kept, {figures:?}"),
        Err((broken, trace)) => {
            println!("{}", trace.join("\n"));
            panic!("seed {seed}: {broken}");
        }
    }
}

#[test]
fn every_promise_holds_in_every_order_of_events() {
    if let Some(seed) = env::var("PUSHBRIDGE_SEED").ok().and_then(|seed| seed.parse().ok()) {
        return replay(seed);
    }
    let schedules = if env::var("PUSHBRIDGE_FAULTS").is_ok_and(|length| length == "long") { LONG } else { SHORT };
    let (next, broken) = (AtomicU64::new(0), AtomicU64::new(u64::MAX));
    let began = Instant::now();
    let work = || {
        let mut figures = Figures::default();
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= schedules.min(broken.load(Ordering::Relaxed)) {
                return figures;
            }
            match play(seed, false) {
                Ok(played) => figures += played,
                Err(_) => {
                    broken.fetch_min(seed, Ordering::Relaxed);
                }
            }
        }
    };
    let mut figures = Figures::default();
    thread::scope(|scope| {
        let threads = thread::available_parallelism().map_or(2, std::num::NonZero::get);
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        for worker in workers {
            figures += worker.join().unwrap();
        }
    });
    println!("{figures:?} in {:?}", began.elapsed());
    let seed = broken.into_inner();
    if seed < u64::MAX {
        println!("PUSHBRIDGE_SEED={seed} cargo test --lib engine::simulation plays this one alone");
        replay(seed);
    }
}
