//! A spell of bad weather over a whole destination: nothing fails, little is Unknown, one alert when it
//! begins and one when it ends, and then everything goes, in order. Every spell for some seconds, and those of an outage
//! for an hour of a faster clock.

use super::{
    many::{Lane, Many, Settings, USUAL},
    run,
    stand::names,
    wire::{Act, Door, answer},
};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

/// What a destination does while it lasts.
struct Spell {
    name: &'static str,
    doors: &'static [Door],
    act: Act,
    /// What is sent may have arrived, for all that anybody can tell.
    silent: bool,
    /// The API says that the tokens are over.
    expired: bool,
    /// What the alerts at its beginning and its end say.
    alert: (&'static str, &'static str),
    /// It is one of those that are also tried for an hour.
    hour: bool,
}

const DOORS: [Door; 4] = [Door::Push, Door::Token, Door::Accounts, Door::Contract];
const EVERY: &[Door] = &DOORS;
const ACCOUNTS: usize = 4;
/// The configuration's own.
const CONNECTIONS: usize = 8;
/// More than any spell leaves.
const MOST_UNKNOWN: usize = 60;
/// A connection's silence is over after three seconds, which an answer of this machine itself never takes, and the
/// accounts are read on their schedule.
const SCHEDULED: Settings = Settings {
    contract: "connect_timeout = \"3s\"\nidle_timeout = \"3s\"\ntotal_timeout = \"8s\"\n",
    channel: USUAL.channel,
};
/// How many times as fast an hour goes.
const PACE: u32 = 120;
const DESTINATION: (&str, &str) = ("alert: destination paused contract", "alert: destination open again contract");
const PERSON: (&str, &str) = ("person is not served", "person is served again");

fn spells() -> Vec<Spell> {
    let say = |status: u16, body: &str| Act::Say(answer(status, &[], body.as_bytes()));
    let again_at_once = Act::Say(answer(503, &[("retry-after", "0")], b""));
    let spell = |name, doors, act, alert| Spell { name, doors, act, silent: false, expired: false, alert, hour: false };
    let silent = |name, doors, act| Spell { silent: true, ..spell(name, doors, act, DESTINATION) };
    let tokens = |name, act, alert| Spell { expired: true, ..spell(name, &[Door::Token], act, alert) };
    let hour = |spell| Spell { hour: true, ..spell };
    let refused = r#"{"error":{"code":"InvalidClient","message":"no","reference":"r"}}"#;
    let old = r#"{"error":{"code":"SDKVersionInvalid","message":"no"}}"#;
    let stale = r#"{"error":{"code":"InvalidToken","message":"no"}}"#;
    vec![
        hour(spell("503 everywhere", EVERY, say(503, ""), DESTINATION)),
        spell("503, come again at once", &[Door::Push], again_at_once, DESTINATION),
        spell("429 for pushes", &[Door::Push], say(429, ""), DESTINATION),
        hour(spell("a bare 401 everywhere", EVERY, say(401, ""), PERSON)),
        spell("a gateway's 401 everywhere", EVERY, say(401, "<html>"), PERSON),
        spell("401 InvalidToken for pushes", &[Door::Push], say(401, stale), PERSON),
        spell("401 InvalidClient everywhere", EVERY, say(401, refused), DESTINATION),
        spell("400 SDKVersionInvalid everywhere", EVERY, say(400, old), DESTINATION),
        hour(silent("silence everywhere", EVERY, Act::Silence { taken: false })),
        silent("resets everywhere", EVERY, Act::Reset { taken: false }),
        hour(silent("silence for pushes", &[Door::Push], Act::Silence { taken: true })),
        tokens("tokens over, and silence where new ones are given", Act::Silence { taken: false }, DESTINATION),
        tokens("tokens over, and a gateway's 502 where new ones are given", say(502, "<html>"), DESTINATION),
        tokens("tokens over, and a gateway's 401 where new ones are given", say(401, "<html>"), PERSON),
        tokens("tokens over, and 503 where new ones are given", say(503, ""), DESTINATION),
    ]
}

#[test]
fn a_spell_fails_nothing_and_all_goes_in_order_when_it_is_over() {
    let lasts = Duration::from_secs(u64::try_from(run::either(8, 60)).unwrap());
    last_for(&spells(), 100, lasts, 1);
}

/// An hour of the program's, in half a minute: its waits, its schedules and the ends of tokens come so much sooner. A
/// connection's silence is over after three seconds, which are six minutes of that hour.
#[test]
fn an_hour_of_it_over_a_thousand_files_is_no_worse() {
    if !cfg!(feature = "faults") {
        println!("spells: SKIPPED an hour of each: this build's clock has one pace (cargo test --features faults)");
        return;
    }
    let hour: Vec<_> = spells().into_iter().filter(|spell| spell.hour).collect();
    last_for(&hour, run::count(1_000, 5_000), Duration::from_secs(3_600) / PACE, PACE);
}

fn last_for(spells: &[Spell], files: usize, lasts: Duration, pace: u32) {
    let mut many = Many::new(spells.len(), ACCOUNTS, SCHEDULED);
    for (lane, spell) in spells.iter().enumerate() {
        if spell.expired {
            many.stand.sandbox.expire_access_token(&many.lanes[lane].person.id);
        }
        for door in spell.doors {
            many.wire.cast(&many.lanes[lane].name, *door, spell.act.clone());
        }
        for number in 0..files {
            many.drop_bundle(lane, number % ACCOUNTS, &file(lane, number), content(lane, number), 0);
        }
    }
    many.start_at_pace(pace);
    let begun = Instant::now();
    let is_empty = |lane: &Lane| (0..ACCOUNTS).all(|folder| names(&many.inbox(lane, folder)).is_empty());
    many.stand.wait_at_most(Duration::from_secs(600), "all are claimed", || many.lanes.iter().all(is_empty));
    std::thread::sleep(lasts.saturating_sub(begun.elapsed()));
    // However busy the machine is: what is over before anybody was told of it says nothing.
    let is_told = |many: &Many| spells.iter().enumerate().all(|(lane, spell)| many.alerts(lane, spell.alert.0) > 0);
    many.stand.wait_at_most(Duration::from_secs(600), "each spell is told", || is_told(&many));
    let lasted = begun.elapsed();
    println!("spells: they lasted {:.0} min", (lasted * pace).as_secs_f64() / 60.0);
    let asked: Vec<[usize; 4]> = (0..spells.len()).map(|lane| DOORS.map(|door| many.seen(lane, door))).collect();
    many.wire.lift();
    let over = Instant::now();
    let mut why = BTreeMap::new();
    many.stand.wait_at_most(Duration::from_secs(600), "all have gone", || {
        // Who asks for all of it every moment is what it waits for.
        std::thread::sleep(Duration::from_millis(500));
        let least = spells.len().saturating_mul(files.saturating_sub(MOST_UNKNOWN));
        if many.stand.sandbox.received_count() >= least {
            why = many.why();
        }
        let has_gone = |why: &Value| why["outcome"] == "delivered" || why["outcome"] == "unknown";
        why.len() == spells.len() * files && why.values().all(has_gone)
    });
    let drained = over.elapsed();
    for (lane, spell) in spells.iter().enumerate() {
        let of_lane = |outcome: &str| {
            why.iter().filter(|(file, why)| file.starts_with(&format!("{lane}-")) && why["outcome"] == outcome).count()
        };
        let (delivered, unknown) = (of_lane("delivered"), of_lane("unknown"));
        let (began, ended) = (many.alerts(lane, spell.alert.0), many.alerts(lane, spell.alert.1));
        let persons = many.alerts(lane, "person must authorise again");
        let requests: usize = asked[lane].iter().sum();
        // Every probe that succeeds lets one Bundle go.
        let probes = if spell.doors == [Door::Push] { asked[lane][2] } else { 0 };
        println!(
            "spells: {}: {delivered} delivered, {unknown} unknown, {requests} requests while it lasted",
            spell.name
        );
        // Patience grows up to a minute, of which half is waited on average.
        let minutes = usize::try_from((lasted * pace).as_secs() / 60).unwrap();
        assert!(requests <= 2 * CONNECTIONS + 40 + 3 * minutes, "{}: {requests} requests", spell.name);
        assert_eq!(delivered + unknown, files, "{}", spell.name);
        let most = if spell.silent { CONNECTIONS + probes } else { 0 };
        assert!(unknown <= most, "{}: {unknown} are Unknown, after {probes} probes", spell.name);
        let log = many.stand.log();
        assert_eq!((began, ended, persons), (1, 1, 0), "{}: alerts\n{log}", spell.name);
        assert!(names(&many.stand.path(&format!("channels/{}/failed", many.lanes[lane].name))).is_empty());
        many.judge_order(lane, ACCOUNTS, &why, |number| content(lane, number));
    }
    println!(
        "spells: {} over {files} files each, all gone {:.1} s after; the clock went {pace} times as fast",
        spells.len(),
        drained.as_secs_f64()
    );
    assert_eq!(many.stand.stop_daemon(), Some(0));
}

fn file(lane: usize, number: usize) -> String {
    format!("{lane}-{number}.json")
}

/// The number of the Bundle; no two files have the same.
const fn content(lane: usize, number: usize) -> usize {
    lane * 10_000 + number
}
