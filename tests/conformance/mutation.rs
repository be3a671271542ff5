//! Real files, broken at random places in a way that is the same in every run: whatever comes in, an outcome comes
//! out, and every finding has a place.

use super::corpus::corpus;
use pushbridge::{
    fhir::json::{self, Limits},
    validate::{self, Policy, Validator, render},
};
use serde_json::{Value, json};
use std::fs;

/// Breaks made in each file.
const ROUNDS: usize = 8;

/// Marsaglia's xorshift: reproducible, and random enough to choose places.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap() % bound.max(1)
    }
}

/// Changes one value somewhere below.
fn mutate(value: &mut Value, dice: &mut Dice) {
    let inside = match value {
        Value::Object(members) if !members.is_empty() => {
            let place = dice.below(members.len());
            members.iter_mut().nth(place).map(|(_, member)| member)
        }
        Value::Array(items) if !items.is_empty() => {
            let place = dice.below(items.len());
            items.get_mut(place)
        }
        _ => None,
    };
    match inside {
        Some(inside) if dice.below(6) > 0 => mutate(inside, dice),
        _ => *value = replacement(value, dice),
    }
}

fn replacement(value: &Value, dice: &mut Dice) -> Value {
    match dice.below(10) {
        0 => Value::Null,
        1 => json!({}),
        2 => json!([]),
        3 => json!(""),
        4 => json!(-7.25),
        5 => json!([value, null, value]),
        6 => json!({ "extension": [{ "url": "a", "valueString": value }], "_value": [null] }),
        7 => json!("\u{1F600}#<script urn:uuid:"),
        8 => json!({ "resourceType": "Bundle", "entry": [value] }),
        _ => json!(true),
    }
}

#[test]
fn broken_files_give_outcomes() {
    let validator = Validator::new();
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    for folder in ["medmij-push", "official/json"] {
        let Some(folder) = corpus(folder) else { return };
        let mut paths: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        paths.sort_unstable();
        for path in paths.iter().filter(|path| path.extension().is_some_and(|extension| extension == "json")) {
            let bytes = fs::read(path).unwrap();
            if bytes.len() > 100_000 {
                continue;
            }
            let mut value: Value = serde_json::from_slice(&bytes).unwrap();
            for _ in 0..ROUNDS {
                mutate(&mut value, &mut dice);
                let source = value.to_string();
                let Ok(document) = json::read(source.as_bytes(), &Limits::default()) else { continue };
                let outcome = validator.resource(&document, &Policy::default());
                assert!(outcome.findings.iter().all(|finding| finding.line == 1 && finding.column > 0));
                assert!(outcome.findings.is_sorted_by_key(|finding| finding.column));
                assert!(!render::text("a", &source, &outcome).is_empty());
            }
        }
    }
}

/// Bytes of real files, in both formats, cut, doubled, swapped and overwritten.
#[test]
fn broken_bytes_give_outcomes_or_places() {
    let validator = Validator::new();
    let mut dice = Dice(0x2545_f491_4f6c_dd1d);
    let mut outcomes = 0;
    for folder in ["medmij-push", "official/json", "official/xml"] {
        let Some(folder) = corpus(folder) else { return };
        let mut paths: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        paths.sort_unstable();
        for path in paths.iter().step_by(5) {
            let bytes = fs::read(path).unwrap();
            if bytes.len() > 50_000 {
                continue;
            }
            for _ in 0..ROUNDS {
                let mut broken = bytes.clone();
                let (at, other) = (dice.below(broken.len()), dice.below(broken.len()));
                match dice.below(5) {
                    0 => broken.truncate(at),
                    1 => broken.swap(at, other),
                    2 => drop(broken.drain(at.min(other)..at.max(other))),
                    3 => broken.extend_from_within(at.min(other)..at.max(other)),
                    _ => broken[at] = b"<>&\"'/{}[],:0x\\\xff\0 "[dice.below(18)],
                }
                match validate::read(&broken, &Limits::default()) {
                    Ok(document) => {
                        let outcome = validator.resource(&document, &Policy::default());
                        let places = outcome.findings.iter().map(|finding| (finding.line, finding.column));
                        assert!(places.is_sorted(), "{}", path.display());
                        outcomes += 1;
                    }
                    Err(error) => assert!(error.position.line > 0 && error.offset <= broken.len()),
                }
            }
        }
    }
    assert!(outcomes > 100, "{outcomes}");
}
