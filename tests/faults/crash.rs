//! Crashes: the daemon ends at each named point and at random moments, while files arrive and tokens rotate, and is
//! started again.

use super::{
    run::{Draws, rounds},
    siege::Siege,
    stand::Stand,
};
use pushbridge::faults::POINTS;
use std::{
    collections::BTreeMap,
    fs,
    time::{Duration, Instant},
};

#[test]
fn kills_at_each_point_and_at_random_moments_lose_nothing_and_send_nothing_twice() {
    let mut siege = Siege::of(Stand::by_folder(), Draws::new("crash"));
    let (mut at_points, mut at_random) = (BTreeMap::<&str, usize>::new(), 0);
    let begun = Instant::now();
    for round in rounds(200, 10_000) {
        let point = POINTS[round / 2 % POINTS.len()];
        let named = cfg!(feature = "faults") && round.is_multiple_of(2);
        siege.drop_files(2);
        if siege.draws.below(4) == 0 || named && point.starts_with("refresh") {
            siege.expire_a_token();
        }
        let times = if point.starts_with("refresh") { 1 } else { 1 + siege.draws.below(2) };
        let order = if named { format!("{point} abort {times}\n") } else { String::new() };
        fs::write(siege.stand.path("orders"), order).unwrap();
        // Half of the random moments are counted from the daemon's first line, which a busy machine may be long about.
        let awake = named || siege.draws.below(2) == 0;
        let random = Duration::from_millis(20 + siege.draws.next() % 400);
        let known = siege.log_length();
        // A busy machine takes long to reach a point; each must be reached once.
        let patience = Duration::from_secs(if at_points.contains_key(point) { 2 } else { 10 });
        siege.stand.spawn_daemon(&[("PUSHBRIDGE_FAULT_ORDERS", siege.stand.path("orders"))]);
        if awake {
            siege.wait_until_awake(known);
        }
        let limit = Instant::now() + if named { patience } else { random };
        while Instant::now() < limit && !siege.has_ended() {
            std::thread::sleep(Duration::from_millis(5));
        }
        if siege.has_ended() {
            *at_points.entry(point).or_default() += 1;
        } else {
            at_random += 1;
        }
        siege.stand.kill_daemon();
        if point.starts_with("refresh") || round % 10 == 9 {
            siege.authorise_paused();
        }
    }
    let minutes = begun.elapsed().as_secs_f64() / 60.0;
    let ends: usize = at_points.values().sum();
    println!(
        "crash: {ends} ends at {} points, {at_random} kills at random moments in {minutes:.0} min",
        at_points.len()
    );
    let outcome = siege.judge();
    println!("crash: {outcome}");
    // Fewer rounds are too few for every point.
    if cfg!(feature = "faults") && ends + at_random >= 200 {
        let missed: Vec<_> = POINTS.iter().filter(|point| !at_points.contains_key(**point)).collect();
        assert!(missed.is_empty(), "never reached: {missed:?}");
    }
    if !cfg!(feature = "faults") {
        println!("crash: SKIPPED the named points: this build has none (cargo test --features faults)");
    }
}
