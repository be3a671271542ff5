//! The arrows between rooms, read from the sources: down only, and each external crate through few doors.

use std::{collections::BTreeMap, fs, path::Path};

/// Each room, and the rooms that it may know.
const ARROWS: [(&str, &[&str]); 15] = [
    ("model", &["faults"]),
    ("faults", &[]),
    ("fhir", &[]),
    ("stu3", &["fhir"]),
    ("validate", &["stu3", "fhir", "model"]),
    ("route", &["validate", "fhir", "model"]),
    ("push", &["route", "model", "faults"]),
    ("store", &["model", "faults"]),
    ("intake", &["fhir", "model", "faults"]),
    ("config", &["model"]),
    ("alert", &["push", "model"]),
    ("engine", &["alert", "intake", "push", "store", "route", "validate", "fhir", "model", "faults"]),
    ("admin", &["engine", "alert", "intake", "push", "store", "model"]),
    ("sandbox", &["model"]),
    (
        "cli",
        &[
            "admin", "alert", "config", "engine", "fhir", "intake", "model", "push", "route", "sandbox", "store",
            "stu3", "validate",
        ],
    ),
];

/// Each external crate, and the rooms that may name it.
const DOORS: [(&str, &[&str]); 24] = [
    // Everything that may do harm or be replaced enters through one room.
    ("sled", &["store"]),
    ("reqwest", &["push"]),
    ("http_body", &["push"]),
    ("notify", &["intake"]),
    ("toml_edit", &["config"]),
    ("clap", &["cli"]),
    ("clap_complete", &["cli"]),
    ("indicatif", &["cli"]),
    ("anyhow", &["cli"]),
    ("axum", &["sandbox", "admin"]),
    ("fhirbolt", &["validate"]),
    ("flate2", &["stu3"]),
    ("tar", &["stu3"]),
    ("memchr", &["fhir"]),
    ("regex", &["fhir"]),
    ("infer", &["route"]),
    ("mime_guess", &["route"]),
    ("jiff", &["model"]),
    ("zeroize", &["model"]),
    ("tracing_subscriber", &["cli"]),
    // The sandbox reads and checks tokens by code of its own, so it needs the same tools as the courier.
    ("aws_lc_rs", &["model", "push", "sandbox"]),
    ("base64", &["model", "push", "sandbox"]),
    ("rustix", &["intake", "cli"]),
    // Rooms that decide or judge have no event loop.
    ("tokio", &["push", "alert", "engine", "admin", "sandbox", "cli"]),
];

/// Rooms that do no I/O and read no clock.
const PURE: [&str; 4] = ["fhir", "stu3", "validate", "route"];

/// Every source of a room, without its unit tests.
fn sources() -> BTreeMap<String, Vec<(String, String)>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut rooms: BTreeMap<String, Vec<(String, String)>> = BTreeMap::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let relative = path.strip_prefix(&root).unwrap();
            let first = relative.components().next().unwrap().as_os_str().to_str().unwrap();
            let room = first.trim_end_matches(".rs").to_owned();
            let text = fs::read_to_string(&path).unwrap();
            if is_for_tests(&relative.display().to_string()) {
                continue;
            }
            let code = text.split("#[cfg(test)]\nmod tests").next().unwrap();
            let code: String = code
                .lines()
                .filter(|line| !line.trim_start().starts_with("//"))
                .map(|line| format!("{line}\n"))
                .collect();
            rooms.entry(room).or_default().push((relative.display().to_string(), code));
        }
    }
    rooms
}

/// Files of a room that exist for tests alone.
fn is_for_tests(file: &str) -> bool {
    ["_test.rs", "keys_for_tests.rs", "memory.rs", "testing.rs"].iter().any(|name| file.ends_with(name))
}

#[test]
fn rooms_know_only_the_rooms_below_them() {
    let rooms = sources();
    for (room, known) in ARROWS {
        let files = rooms.get(room).unwrap_or_else(|| panic!("there is a room {room}"));
        for (file, code) in files {
            for (other, _) in ARROWS.iter().filter(|(other, _)| *other != room && !known.contains(other)) {
                let named = [format!("crate::{other}::"), format!("crate::{other};"), format!("crate::{other},")];
                assert!(!named.iter().any(|name| code.contains(name)), "{file} must not know {other}");
                let grouped = code.split("use crate::{").skip(1).filter_map(|rest| rest.split("};").next());
                for group in grouped {
                    let outermost = group.lines().any(|line| {
                        let line = line.strip_prefix("    ").filter(|line| !line.starts_with(' ')).unwrap_or(line);
                        line.trim_start_matches('{').starts_with(&format!("{other}::"))
                            || line.split(", ").any(|part| part.trim_end_matches(',') == *other)
                    });
                    assert!(!outermost, "{file} must not use crate::{{{other}}}");
                }
            }
        }
    }
    let listed: Vec<_> = ARROWS.iter().map(|(room, _)| *room).collect();
    for room in rooms.keys().filter(|room| !["lib", "main"].contains(&room.as_str())) {
        assert!(listed.contains(&room.as_str()), "room {room} has no line in ARROWS");
    }
}

#[test]
fn the_arrows_make_no_circle() {
    let mut below: BTreeMap<&str, &[&str]> = ARROWS.into_iter().collect();
    while !below.is_empty() {
        let floor = below.iter().find(|(_, known)| known.iter().all(|other| !below.contains_key(other)));
        let (floor, _) = floor.unwrap_or_else(|| panic!("these rooms know each other in a circle: {below:?}"));
        let floor = *floor;
        below.remove(floor);
    }
}

#[test]
fn external_crates_enter_through_their_doors() {
    for (room, files) in sources() {
        for (file, code) in files {
            for (name, rooms) in DOORS.iter().filter(|(_, rooms)| !rooms.contains(&room.as_str())) {
                let used = code.contains(&format!("{name}::"))
                    && code.lines().any(|line| {
                        line.split(|c: char| !(c.is_alphanumeric() || c == '_')).any(|word| word == *name)
                            && line.contains(&format!("{name}::"))
                    });
                let allowed = room == "sandbox" && *name == "http_body";
                assert!(!used || allowed, "{file}: {name} enters through {rooms:?} alone");
            }
        }
    }
}

#[test]
fn rooms_that_judge_do_no_input_and_read_no_clock() {
    let rooms = sources();
    for room in PURE {
        for (file, code) in &rooms[room] {
            for forbidden in [
                "std::fs",
                "std::net",
                "SystemTime",
                "Instant::now",
                "Timestamp::now",
                "std::env::var",
                "thread::sleep",
            ] {
                assert!(!code.contains(forbidden), "{file} uses {forbidden}");
            }
        }
    }
}

#[test]
fn only_the_router_makes_parcels_and_only_the_inspector_makes_valid_bundles() {
    for (room, files) in sources() {
        for (file, code) in files {
            assert!(room == "route" || !code.contains("Parcel {"), "{file} makes a Parcel");
            assert!(room == "route" || !code.contains("Addressed::new"), "{file} makes an Addressed");
            assert!(room == "validate" || !code.contains("Valid("), "{file} makes a Valid");
            // Each kind of address has one maker: that of valid Bundles, and that of a library channel's files.
            for (kind, maker) in [("ForProvider {", "route/address.rs"), ("ForLibrary {", "route/library.rs")] {
                let made = code.replace(&format!("pub struct {kind}"), "").contains(kind);
                assert!(file == maker || !made, "{file} makes a {kind}");
            }
        }
    }
}

#[test]
fn a_default_build_has_no_faults_to_order() {
    let program = fs::read(env!("CARGO_BIN_EXE_pushbridge")).unwrap();
    let has = |words: &str| memchr::memmem::find(&program, words.as_bytes()).is_some();
    // The one door of all orders, and what the orders are called: abort points, errors, the clock.
    for words in ["PUSHBRIDGE_FAULT_ORDERS", "is not on the list", "is no fault", "the pace of the clock"] {
        assert_eq!(has(words), cfg!(feature = "faults"), "{words}");
    }
}
