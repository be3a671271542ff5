//! The wall clock jumps by hours and days, forward and back, while the daemon runs and while it does not, and each time
//! files wait and tokens seem to end. Waits go by the monotonic clock and the API's own word ends a token: a jump costs
//! a person one refresh at the most.

use super::{
    many::{Many, USUAL},
    run::{Draws, count},
    wire::{Act, Door, answer},
};

const LANES: usize = 3;
const ACCOUNTS: usize = 2;
/// So many for each account while the API is away, and as many when it is back.
const FILES: usize = 2;
const MINUTE: i64 = 60;
const DAY: i64 = 24 * 60 * MINUTE;

/// What is left of an access token's hour, or of a refresh token's 30 days, hours both ways, and days.
const JUMPS: [i64; 12] = [
    55 * MINUTE,
    59 * MINUTE,
    61 * MINUTE,
    3 * 60 * MINUTE,
    12 * 60 * MINUTE,
    20 * DAY,
    29 * DAY,
    40 * DAY,
    -5 * MINUTE,
    -61 * MINUTE,
    -12 * 60 * MINUTE,
    -40 * DAY,
];

#[test]
fn a_clock_that_jumps_loses_nothing_and_costs_a_refresh_at_the_most() {
    if !cfg!(feature = "faults") {
        println!("clock: SKIPPED: this build's clock jumps for nobody (cargo test --features faults)");
        return;
    }
    let mut draws = Draws::new("clock");
    let mut many = Many::new(LANES, ACCOUNTS, USUAL);
    many.start_with("");
    let (mut files, mut restarts, mut refreshes) = (0, 0, 0);
    let jumps = count(2 * JUMPS.len(), 50 * JUMPS.len());
    for jump in 0..jumps {
        // Every jump once, and then back to where the clock was right.
        let ahead = if jump % 2 == 0 { JUMPS[jump / 2 % JUMPS.len()] } else { 0 };
        let ends = draws.below(2) == 0;
        for lane in &many.lanes {
            many.wire.cast(&lane.name, Door::Push, Act::Say(answer(503, &[("retry-after", "1")], b"")));
            if ends {
                many.stand.sandbox.expire_access_token(&lane.person.id);
            }
        }
        let renewed = many.stand.sandbox.stats().refreshes;
        let before: Vec<_> = (0..LANES).map(|lane| many.seen(lane, Door::Token)).collect();
        drop_files(&many, &mut files);
        if draws.below(2) == 0 {
            // In order: what a kill leaves is another suite's matter.
            assert_eq!(many.stand.stop_daemon(), Some(0));
            many.start_with(&format!("clock ahead {ahead}\n"));
            restarts += 1;
        } else {
            std::fs::write(many.stand.path("orders"), format!("clock ahead {ahead}\n")).unwrap();
        }
        many.wire.lift();
        drop_files(&many, &mut files);
        many.stand.wait("all are taken", || many.stand.sandbox.received_count() == LANES * files);
        let log = || format!("a clock {ahead} s ahead (jump {jump}, tokens over: {ends})\n{}", many.stand.log());
        for (lane, before) in before.iter().enumerate() {
            let asked = many.seen(lane, Door::Token) - before;
            // The API refuses a request of another time; it has done nothing then, and is signed once more.
            assert!(asked <= 2, "{asked} requests for new tokens of lane {lane} by {}", log());
        }
        let renewed = many.stand.sandbox.stats().refreshes - renewed;
        assert!(renewed <= LANES as u64, "{renewed} refreshes of {LANES} persons by {}", log());
        refreshes += renewed;
    }
    many.stand.wait("all are told", || many.why().values().all(|why| why["outcome"] == "delivered"));
    let why = many.why();
    assert_eq!(why.len(), LANES * files);
    for lane in 0..LANES {
        assert_eq!(many.alerts(lane, "person must authorise again"), 0);
        many.judge_order(lane, ACCOUNTS, &why, |number| content(lane, number));
    }
    println!(
        "clock: {jumps} jumps, {restarts} of them while the daemon was down; {} files, each taken once and in order; \
         {refreshes} refreshes of {LANES} persons, no pair lost",
        LANES * files
    );
    assert_eq!(many.stand.stop_daemon(), Some(0));
}

fn drop_files(many: &Many, files: &mut usize) {
    for number in *files..*files + ACCOUNTS * FILES {
        for lane in 0..LANES {
            many.drop_bundle(lane, number % ACCOUNTS, &format!("{lane}-{number}.json"), content(lane, number), 0);
        }
    }
    *files += ACCOUNTS * FILES;
}

/// The number of the Bundle; no two files have the same.
const fn content(lane: usize, number: usize) -> usize {
    number * LANES + lane
}
