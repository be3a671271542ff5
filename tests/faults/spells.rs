//! A spell of bad weather over a whole destination: nothing fails, little is Unknown, one alert when it
//! begins and one when it ends, and then everything goes, in order. What an hour does to a thousand files,
//! seconds do to a hundred: the waits grow the same way.

use super::{
    many::{Many, USUAL},
    run,
    stand::names,
    wire::{Act, Door, answer},
};
use pushbridge::model::Digest;
use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

/// What a destination does while it lasts.
struct Spell {
    name: &'static str,
    doors: &'static [Door],
    act: Act,
    /// How many may have arrived for all that anybody can tell.
    unknown: usize,
    /// The API says that the tokens are over.
    expired: bool,
    /// What the alert at its beginning is about.
    alert: (&'static str, &'static str),
}

const EVERY: &[Door] = &[Door::Push, Door::Token, Door::Accounts, Door::Contract];
const ACCOUNTS: usize = 4;
/// The configuration's own.
const CONNECTIONS: usize = 8;
const DESTINATION: (&str, &str) = ("destination paused", "destination open again");
const PERSON: (&str, &str) = ("person is not served", "person is served again");

fn spells() -> Vec<Spell> {
    let say = |status: u16, body: &str| Act::Say(answer(status, &[], body.as_bytes()));
    let again_at_once = Act::Say(answer(503, &[("retry-after", "0")], b""));
    let spell = |name, doors, act, unknown, alert| Spell { name, doors, act, unknown, expired: false, alert };
    let tokens = |name, act, alert| Spell { name, doors: &[Door::Token], act, unknown: 0, expired: true, alert };
    let refused = r#"{"error":{"code":"InvalidClient","message":"no","reference":"r"}}"#;
    let old = r#"{"error":{"code":"SDKVersionInvalid","message":"no"}}"#;
    let stale = r#"{"error":{"code":"InvalidToken","message":"no"}}"#;
    vec![
        spell("503 everywhere", EVERY, say(503, ""), 0, DESTINATION),
        spell("503, come again at once", &[Door::Push], again_at_once, 0, DESTINATION),
        spell("429 for pushes", &[Door::Push], say(429, ""), 0, DESTINATION),
        spell("a bare 401 everywhere", EVERY, say(401, ""), 0, PERSON),
        spell("a gateway's 401 everywhere", EVERY, say(401, "<html>"), 0, PERSON),
        spell("401 InvalidToken for pushes", &[Door::Push], say(401, stale), 0, PERSON),
        spell("401 InvalidClient everywhere", EVERY, say(401, refused), 0, DESTINATION),
        spell("400 SDKVersionInvalid everywhere", EVERY, say(400, old), 0, DESTINATION),
        spell("silence everywhere", EVERY, Act::Silence { taken: false }, CONNECTIONS, DESTINATION),
        spell("resets everywhere", EVERY, Act::Reset { taken: false }, CONNECTIONS, DESTINATION),
        // Every probe that succeeds lets one Bundle go.
        spell("silence for pushes", &[Door::Push], Act::Silence { taken: true }, CONNECTIONS + 8, DESTINATION),
        tokens("tokens over, and silence where new ones are given", Act::Silence { taken: false }, DESTINATION),
        tokens("tokens over, and a gateway's 502 where new ones are given", say(502, "<html>"), DESTINATION),
        tokens("tokens over, and a gateway's 401 where new ones are given", say(401, "<html>"), PERSON),
        tokens("tokens over, and 503 where new ones are given", say(503, ""), DESTINATION),
    ]
}

#[test]
fn a_spell_fails_nothing_and_all_goes_in_order_when_it_is_over() {
    let files = run::count(100, 1000);
    let lasts = Duration::from_secs(u64::try_from(run::count(8, 60)).unwrap());
    let spells = spells();
    let mut many = Many::new(spells.len(), ACCOUNTS, USUAL);
    for (lane, spell) in spells.iter().enumerate() {
        if spell.expired {
            many.stand.sandbox.expire_access_token(&many.lanes[lane].person.id);
        }
        for door in spell.doors {
            many.wire.cast(&many.lanes[lane].name, *door, spell.act.clone());
        }
        for number in 0..files {
            many.drop_bundle(lane, number % ACCOUNTS, &format!("{lane}-{number}.json"), lane * 2_000 + number, 0);
        }
    }
    many.stand.start_daemon();
    let begun = Instant::now();
    many.stand.wait("all are claimed", || many.why().len() == files * spells.len());
    std::thread::sleep(lasts.saturating_sub(begun.elapsed()));
    let asked: Vec<_> = (0..spells.len()).map(|lane| EVERY.iter().map(|door| many.seen(lane, *door)).sum()).collect();
    many.wire.lift();
    let over = Instant::now();
    many.stand.wait("all have gone", || {
        many.why().values().all(|why| why["outcome"] == "delivered" || why["outcome"] == "unknown")
    });
    let drained = over.elapsed();
    let log = many.stand.log();
    let why = many.why();
    let received = many.stand.sandbox.received();
    for (lane, spell) in spells.iter().enumerate() {
        let name = &many.lanes[lane].name;
        let of_lane = |outcome: &str| {
            why.iter().filter(|(file, why)| file.starts_with(&format!("{lane}-")) && why["outcome"] == outcome).count()
        };
        let (delivered, unknown) = (of_lane("delivered"), of_lane("unknown"));
        let alerts = |text: &str| {
            let told = |line: &&str| line.contains(text) && line.contains(&format!("contract={name} "));
            log.lines().map(|line| format!("{line} ")).filter(|line| told(&&**line)).count()
        };
        let (began, ended) = (alerts(spell.alert.0), alerts(spell.alert.1));
        let persons = alerts("person must authorise again");
        let asked: usize = asked[lane];
        println!("spells: {}: {delivered} delivered, {unknown} unknown, {asked} requests while it lasted", spell.name);
        // Patience grows with the length of the spell.
        assert!(asked <= 2 * CONNECTIONS + 40, "{}: {asked} requests", spell.name);
        assert_eq!(delivered + unknown, files, "{}", spell.name);
        assert!(unknown <= spell.unknown, "{}: {unknown} are Unknown", spell.name);
        assert_eq!((began, ended, persons), (1, 1, 0), "{}: alerts\n{log}", spell.name);
        assert!(names(&many.stand.path(&format!("channels/{name}/failed"))).is_empty(), "{}", spell.name);
        // Nothing is sent twice, and what is delivered comes in the order of its account's claims.
        let mut taken: BTreeMap<Digest, usize> = BTreeMap::new();
        for (place, push) in received.iter().enumerate() {
            assert!(taken.insert(push.sha256, place).is_none(), "{}: one was taken twice", spell.name);
        }
        for account in 0..ACCOUNTS {
            let mut claimed: Vec<_> = why
                .iter()
                .filter(|(file, why)| {
                    let number = file.strip_prefix(&format!("{lane}-")).and_then(|rest| rest.strip_suffix(".json"));
                    let number = number.and_then(|number| number.parse::<usize>().ok());
                    number.is_some_and(|number| number % ACCOUNTS == account) && why["outcome"] == "delivered"
                })
                .map(|(file, why)| (why["id"].as_str().unwrap().to_owned(), file.clone()))
                .collect();
            claimed.sort();
            let number = |file: &str| file.split(['-', '.']).nth(1).unwrap().parse::<usize>().unwrap();
            let places: Vec<_> = claimed
                .iter()
                .map(|(_, file)| taken[&Digest::of(&super::many::bundle(lane * 2_000 + number(file)))])
                .collect();
            assert!(places.is_sorted(), "{}: account {account} was served out of order", spell.name);
        }
    }
    println!(
        "spells: {} of {:.0} s over {files} files each, all gone {:.1} s after",
        spells.len(),
        lasts.as_secs_f64(),
        drained.as_secs_f64()
    );
    assert_eq!(many.stand.stop_daemon(), Some(0));
}
