//! Crashes: the daemon ends at each named point and at random moments, while files arrive and tokens rotate, and is
//! started again.

use super::{
    run::{Draws, count},
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
    for round in 0..count(200, 10_000) {
        let point = POINTS[round / 2 % POINTS.len()];
        let named = cfg!(feature = "faults") && round.is_multiple_of(2);
        siege.drop_files(2);
        if siege.draws.below(4) == 0 || named && point.starts_with("refresh") {
            siege.expire_a_token();
        }
        let times = if point.starts_with("refresh") { 1 } else { 1 + siege.draws.below(2) };
        let order = if named { format!("{point} abort {times}\n") } else { String::new() };
        fs::write(siege.stand.path("orders"), order).unwrap();
        let random = Duration::from_millis(20 + siege.draws.next() % 400);
        // A busy machine takes long to reach a point; each must be reached once.
        let patience = Duration::from_secs(if at_points.contains_key(point) { 2 } else { 10 });
        let limit = Instant::now() + if named { patience } else { random };
        siege.stand.spawn_daemon(&[("PUSHBRIDGE_FAULT_ORDERS", siege.stand.path("orders"))]);
        while Instant::now() < limit && !has_ended(&mut siege.stand) {
            std::thread::sleep(Duration::from_millis(5));
        }
        if has_ended(&mut siege.stand) {
            *at_points.entry(point).or_default() += 1;
        } else {
            at_random += 1;
        }
        siege.stand.kill_daemon();
        if point.starts_with("refresh") || round % 10 == 9 {
            siege.authorise_paused();
        }
    }
    let outcome = siege.judge();
    let kills: usize = at_points.values().sum();
    println!("crash: {kills} ends at {} points, {at_random} kills at random moments; {outcome}", at_points.len());
    if cfg!(feature = "faults") {
        let missed: Vec<_> = POINTS.iter().filter(|point| !at_points.contains_key(**point)).collect();
        assert!(missed.is_empty(), "never reached: {missed:?}");
    } else {
        println!("crash: SKIPPED the named points: this build has none (cargo test --features faults)");
    }
}

/// Whether the daemon has ended by itself.
fn has_ended(stand: &mut Stand) -> bool {
    stand.daemon.as_mut().is_none_or(|daemon| daemon.try_wait().unwrap().is_some())
}

#[test]
fn a_default_build_has_no_faults_to_order() {
    let program = fs::read(env!("CARGO_BIN_EXE_pushbridge")).unwrap();
    let name = b"PUSHBRIDGE_FAULT_ORDERS";
    let has_them = program.windows(name.len()).any(|window| window == name);
    assert_eq!(has_them, cfg!(feature = "faults"));
}
