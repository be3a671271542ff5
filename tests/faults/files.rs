//! Hostile contents: real files with broken bytes, bombs, floods. Good files keep their pace, nothing wrong
//! is sent, memory stays flat.

use super::{
    many::bundle,
    run::{Draws, count},
    stand::Stand,
};
use pushbridge::{
    fhir::json::Limits,
    model::Digest,
    validate::{self, Policy, Validator},
};
use std::{
    collections::BTreeMap,
    fs,
    path::PathBuf,
    time::{Duration, Instant},
};

fn stand() -> (Stand, pushbridge::sandbox::NewPerson) {
    let stand = Stand::new(
        "[channel.clinic]\ncontract = \"main\"\ninbox = \"inbox\"\nquiet = \"100ms\"\ntruncated_limit = \"2s\"\n\
         max_size = \"8MB\"\n[channel.clinic.route]\nfolder = true\n",
    );
    let person = stand.person(&["a", "b", "c", "d"]);
    for (number, account) in person.accounts.iter().enumerate() {
        stand.link_folder(&number.to_string(), &account.reference);
    }
    (stand, person)
}

/// Whether every one of the good files was taken exactly once.
fn all_taken(stand: &Stand, good: &[Vec<u8>]) -> bool {
    let mut taken: BTreeMap<Digest, usize> = BTreeMap::new();
    for push in stand.sandbox.received() {
        *taken.entry(push.sha256).or_default() += 1;
    }
    good.iter().all(|bytes| taken.get(&Digest::of(bytes)).copied().unwrap_or_default() == 1)
}

/// The stages that have an end for the program.
fn at_rest(stand: &Stand, files: usize) -> bool {
    let records = stand.records();
    let rests = |stage: &str| ["delivered", "held", "refused", "duplicate"].contains(&stage);
    records.len() == files
        && records.iter().all(|record| rests(record["submission"]["stage"]["stage"].as_str().unwrap()))
}

/// Files of the shared corpus up to a size.
fn corpus() -> Option<Vec<Vec<u8>>> {
    let shared = std::env::var_os("PUSHBRIDGE_SHARED").map(PathBuf::from);
    let shared = shared.unwrap_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../shared")));
    let entries = fs::read_dir(shared.join("corpus/medmij-push")).ok()?;
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).filter(|path| path.is_file()).collect();
    paths.sort();
    Some(paths.into_iter().map(|path| fs::read(path).unwrap()).filter(|bytes| bytes.len() < 1 << 20).collect())
}

/// A few bytes, or a piece, are not what they were.
fn broken(bytes: &[u8], draws: &mut Draws) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for _ in 0..=draws.below(3) {
        let place = draws.below(bytes.len());
        let end = (place + 1 + draws.below(40)).min(bytes.len());
        match draws.below(7) {
            0 => bytes[place] ^= 1 << draws.below(8),
            1 => drop(bytes.drain(place..end)),
            2 => bytes.insert(place, b"{}[]\",:<>&\0\xff\\"[draws.below(13)]),
            3 => bytes.truncate(place.max(1)),
            4 => {
                let piece = bytes[place..end].to_vec();
                bytes.splice(place..place, piece);
            }
            5 => bytes[place] = b'0' + u8::try_from(draws.below(10)).unwrap(),
            _ => bytes.swap(place, end - 1),
        }
    }
    bytes
}

#[test]
fn real_files_with_broken_bytes_end_in_a_word_and_only_valid_ones_are_sent() {
    let Some(corpus) = corpus() else {
        println!("files: SKIPPED: the shared corpus (corpus/medmij-push) is not there");
        return;
    };
    let mut draws = Draws::new("files");
    let (mut stand, _) = stand();
    let files = count(240, 20_000);
    let (mut dropped, mut good) = (Vec::new(), Vec::new());
    stand.start_daemon();
    for number in 0..files {
        let original = &corpus[draws.below(corpus.len())];
        let bytes = broken(original, &mut draws);
        stand.drop_file(&format!("{}/broken{number}.json", number % 4), &bytes);
        dropped.push(bytes);
        if number % 4 == 0 {
            good.push(bundle(number));
            stand.drop_file(&format!("{}/good{number}.json", number % 4), &bundle(number));
        }
    }
    // What a change of bytes left whole may lie there twice; a repeat has its own outcome.
    let all = dropped.len() + good.len();
    stand.wait("all rest", || at_rest(&stand, all));
    assert!(all_taken(&stand, &good));
    let (validator, policy) = (Validator::new(), Policy::default());
    let mut valid = BTreeMap::new();
    for bytes in &dropped {
        let Ok(document) = validate::read(bytes, &Limits::default()) else { continue };
        if validator.bundle(&document, &policy).is_ok() {
            // XML is sent as the JSON that says the same.
            let mut json = bytes.clone();
            if document.is_xml() {
                json.clear();
                pushbridge::fhir::write::json(&document, &mut json).unwrap();
            }
            valid.insert(Digest::of(&json), ());
        }
    }
    let mut stages: BTreeMap<String, usize> = BTreeMap::new();
    for record in stand.records() {
        let stage = &record["submission"]["stage"];
        assert_ne!(stage["why"], "poison", "{record}");
        *stages.entry(stage["stage"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    for push in stand.sandbox.received() {
        let known = valid.contains_key(&push.sha256) || good.iter().any(|bytes| Digest::of(bytes) == push.sha256);
        assert!(known, "what was sent is one of the files, whole, and valid");
    }
    println!("files: {files} broken files among {} good ones: {stages:?}", good.len());
    assert_eq!(stand.stop_daemon(), Some(0));
}

/// Contents that are made to hurt a reader.
fn bombs() -> Vec<(&'static str, Vec<u8>)> {
    let entry = r#"{"resource":{"resourceType":"Basic"}}"#;
    let around =
        |inside: &str| format!(r#"{{"resourceType":"Bundle","type":"batch","entry":[{inside}]}}"#).into_bytes();
    let billion = "<!DOCTYPE b [<!ENTITY a \"aaaaaaaaaa\"><!ENTITY b \"&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;\">]>";
    let utf16: Vec<u8> = "\u{feff}{}".encode_utf16().flat_map(u16::to_le_bytes).collect();
    vec![
        ("deep arrays", [vec![b'['; 1 << 20], vec![b']'; 1 << 20]].concat()),
        ("deep objects", [br#"{"a":"#.repeat(100_000), b"1".to_vec(), vec![b'}'; 100_000]].concat()),
        ("a hundred thousand entries", around(&[entry].repeat(100_000).join(","))),
        ("a million nulls", around(&["null"].repeat(1_000_000).join(","))),
        ("one long text", around(&format!("\"{}\"", "x".repeat(7 << 20)))),
        ("one long number", around(&"9".repeat(1 << 20))),
        ("a number beyond all", around("1e999999999")),
        ("one name over and over", format!("{{{}\"a\":1}}", "\"a\":1,".repeat(200_000)).into_bytes()),
        ("escapes alone", around(&format!("\"{}\"", r"\u0041".repeat(500_000)))),
        ("lone surrogates", around(r#""\ud800\ud800""#)),
        ("NUL in the middle", around("\"a\0b\"")),
        ("UTF-16", utf16),
        ("a byte order mark and nothing", b"\xef\xbb\xbf".to_vec()),
        ("white space alone", vec![b' '; 1 << 20]),
        ("two documents", b"{}{}".to_vec()),
        ("NaN", around("NaN")),
        ("a picture", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".to_vec()),
        ("a zip", b"PK\x03\x04\x14\0\0\0\x08\0".to_vec()),
        ("XML entities", format!("<?xml version=\"1.0\"?>{billion}<Bundle>&b;</Bundle>").into_bytes()),
        ("deep XML", [b"<a>".repeat(100_000), b"</a>".repeat(100_000)].concat()),
        (
            "a file of the machine",
            b"<!DOCTYPE x [<!ENTITY f SYSTEM \"file:///etc/passwd\">]><Bundle>&f;</Bundle>".to_vec(),
        ),
        (
            "many attributes",
            format!("<Bundle {}/>", (0..50_000).map(|n| format!("a{n}=\"1\" ")).collect::<String>()).into_bytes(),
        ),
        ("larger than the channel takes", vec![b' '; 9 << 20]),
        ("empty", Vec::new()),
    ]
}

/// How long the good files take, alone or among others.
fn pace(stand: &Stand, good: usize, first: usize, between: impl Fn(usize)) -> Duration {
    let begun = Instant::now();
    let mut dropped = Vec::new();
    for number in first..first + good {
        between(number - first);
        dropped.push(bundle(number));
        stand.drop_file(&format!("{}/good{number}.json", number % 4), &bundle(number));
    }
    stand.wait_at_most(Duration::from_secs(600), "the good ones are delivered", || all_taken(stand, &dropped));
    begun.elapsed()
}

#[test]
fn bombs_are_refused_and_good_files_keep_their_pace() {
    let (mut stand, _) = stand();
    let bombs = bombs();
    let good = 4 * bombs.len();
    stand.start_daemon();
    let alone = pace(&stand, good, 0, |_| {});
    let before = stand.peak_megabytes();
    let among = pace(&stand, good, good, |number| {
        if let (0, Some((_, bytes))) = (number % 4, bombs.get(number / 4)) {
            stand.drop_file(&format!("{}/bomb{number}.json", number % 3), bytes);
        }
    });
    // The one that is too large stays where it is.
    let claimed = 2 * good + bombs.len() - 1;
    stand.wait("the bombs are over", || at_rest(&stand, claimed));
    let peak = stand.peak_megabytes();
    let told = stand.ok(&["status"]);
    assert!(told.contains("larger"), "{told}");
    let records = stand.records();
    for (number, (name, _)) in bombs.iter().enumerate() {
        let ending = format!("bomb{}.json", 4 * number);
        let record = records
            .iter()
            .find(|record| record["submission"]["origin"]["path"].as_str().is_some_and(|path| path.ends_with(&ending)));
        if let Some(record) = record {
            assert_eq!(record["submission"]["stage"]["stage"], "refused", "{name}: {}", record["submission"]["stage"]);
        }
    }
    println!(
        "files: {} bombs; {good} good files took {:.1} s alone and {:.1} s among them; memory {before} MB, then {peak} MB",
        bombs.len(),
        alone.as_secs_f64(),
        among.as_secs_f64()
    );
    // An unoptimised program takes a few seconds for a bomb; what good files wait for is one thread of two.
    assert!(among < alone * 4 + Duration::from_secs(20), "{alone:?} and {among:?}");
    assert!(peak < 400, "{peak} MB");
    assert_eq!(stand.stop_daemon(), Some(0));
}

/// Names that are never claimed, of each kind: an unfinished upload, a link, a file that is too large.
fn crowd(stand: &Stand, names: usize) {
    let folder = stand.path("inbox/0");
    fs::create_dir_all(&folder).unwrap();
    let large = stand.path("large");
    fs::File::create(&large).unwrap().set_len(9 << 20).unwrap();
    for number in 0..names {
        match number % 3 {
            0 => drop(fs::File::create(folder.join(format!("upload-of-a-hospital-{number}.json.part"))).unwrap()),
            1 => std::os::unix::fs::symlink(&large, folder.join(format!("link-of-a-hospital-{number}.json"))).unwrap(),
            // A few tens of thousands of names are all that one file may have.
            _ => {
                let path = folder.join(format!("scan-of-a-hospital-{number}.json"));
                if fs::hard_link(&large, &path).is_err() {
                    fs::remove_file(&large).unwrap();
                    fs::File::create(&large).unwrap().set_len(9 << 20).unwrap();
                    fs::hard_link(&large, path).unwrap();
                }
            }
        }
    }
}

/// Those that are left are known up to a number, and take no place from the others.
#[test]
fn names_that_are_never_claimed_keep_no_good_file_from_its_turn() {
    let (mut stand, _) = stand();
    let names = count(40_000, 1_000_000);
    stand.start_daemon();
    let alone = pace(&stand, 100, 0, |_| {});
    let before = stand.peak_megabytes();
    crowd(&stand, names);
    let among = pace(&stand, 100, 100, |_| {});
    // It has looked at all of them more than once by now; the good ones are claimed from among them at a start too.
    assert_eq!(stand.stop_daemon(), Some(0));
    for number in 200..300 {
        stand.drop_file(&format!("0/good{number}.json"), &bundle(number));
    }
    stand.start_daemon();
    let good: Vec<_> = (0..300).map(bundle).collect();
    stand.wait_at_most(Duration::from_secs(600), "the good ones are delivered after a start", || {
        all_taken(&stand, &good)
    });
    let peak = stand.peak_megabytes();
    println!(
        "files: {names} names that are never claimed: 100 good files took {:.1} s without them, {:.1} s among them; \
         memory {before} MB, then {peak} MB",
        alone.as_secs_f64(),
        among.as_secs_f64()
    );
    assert!(peak < before + 64, "{before} MB, then {peak} MB");
    assert_eq!(stand.stop_daemon(), Some(0));
}

#[test]
fn a_flood_of_files_takes_no_more_memory_than_a_few() {
    let (mut stand, _) = stand();
    let flood = count(1_000, 10_000);
    stand.start_daemon();
    pace(&stand, 200, 0, |_| {});
    let few = stand.peak_megabytes();
    let begun = Instant::now();
    pace(&stand, flood, 1_000, |_| {});
    let seconds = begun.elapsed().as_secs_f64();
    let many = stand.peak_megabytes();
    println!("files: {flood} at once in {seconds:.1} s; memory {few} MB after 200, {many} MB after all");
    assert!(many < few + 32, "{few} MB, then {many} MB");
    assert_eq!(stand.stop_daemon(), Some(0));
}
