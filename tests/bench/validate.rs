//! How fast the validator is, as a ratio to `serde_json::Value` reading the same bytes in the same run.
//!
//! `cargo bench --bench validate` prints the figures. The Bundles are composed of the official examples where the
//! development data is there (set PUSHBRIDGE_SHARED), of `samples/valid` otherwise.

use pushbridge::{
    fhir::json::{self, Limits},
    stu3::package::{ArchiveLimits, Shelf},
    validate::{Policy, Validator},
};
use std::{
    fmt::Write as _,
    fs,
    hint::black_box,
    io::Write,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    time::Instant,
};

/// How many Bundles, and how large each is at least.
const BUNDLES: usize = 500;
const BUNDLE_BYTES: usize = 10_000;
/// Larger resources would be a Bundle of their own.
const MOST_RESOURCE_BYTES: usize = 6_000;
/// Every figure is the median of so many rounds; the two readers take turns.
const ROUNDS: usize = 15;

fn main() {
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    let validator = Validator::new();
    let bundles = bundles(&validator);
    let bytes: usize = bundles.iter().map(String::len).sum();
    let megabytes = bytes as f64 / 1e6;
    say(&format!("{} Bundles, {:.1} KB each", bundles.len(), bytes as f64 / 1e3 / bundles.len() as f64));
    let (mut parsing, mut reading, mut judging) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        parsing.push(seconds(|| {
            for bundle in &bundles {
                black_box(serde_json::from_str::<serde_json::Value>(bundle).expect("it is JSON"));
            }
        }));
        reading.push(seconds(|| {
            for bundle in &bundles {
                black_box(json::read(bundle.as_bytes(), &Limits::default()).expect("it is JSON"));
            }
        }));
        judging.push(seconds(|| {
            for bundle in &bundles {
                let document = json::read(bundle.as_bytes(), &Limits::default()).expect("it is JSON");
                black_box(validator.resource(&document, &Policy::default()));
            }
        }));
    }
    let (parse, read, judge) = (median(parsing), median(reading), median(judging));
    say(&format!("serde_json::Value                     {:7.0} MB/s", megabytes / parse));
    say(&format!("reading into the tree                 {:7.0} MB/s = {:.2} x", megabytes / read, parse / read));
    say(&format!("reading and validating, all rules on  {:7.0} MB/s = {:.2} x", megabytes / judge, parse / judge));
    let allocations = allocation_counter::measure(|| {
        for bundle in &bundles {
            let document = json::read(bundle.as_bytes(), &Limits::default()).expect("it is JSON");
            black_box(validator.resource(&document, &Policy::default()));
        }
    });
    say(&format!(
        "allocations per Bundle                {:7.0}",
        allocations.count_total as f64 / bundles.len() as f64
    ));
    profiles(&validator);
    growth(&validator);
    second_opinion(&bundles, megabytes / judge);
}

/// The HL7 Java validator on the same Bundles, warm, where it and a JDK are there; `cargo bench --bench validate -- java`.
fn second_opinion(bundles: &[String], ours: f64) {
    if !std::env::args().any(|argument| argument == "java") {
        return;
    }
    let runner = shared().join("oracle/run");
    let folder = tempfile::tempdir().expect("a temporary folder");
    for (number, bundle) in bundles.iter().enumerate() {
        fs::write(folder.path().join(format!("{number:03}.json")), bundle).expect("the folder takes files");
    }
    let files =
        fs::read_dir(folder.path()).expect("the folder can be read").map(|entry| entry.expect("an entry").path());
    let run = Command::new(runner).args(["--bench", "4"]).args(files).output();
    match run {
        Ok(output) if output.status.success() => {
            say("the HL7 Java validator, by its own account:");
            say(String::from_utf8_lossy(&output.stdout).trim_end());
            say(&format!("ours on the same Bundles                {ours:7.0} MB/s on one core"));
        }
        _ => say("the HL7 Java validator is not there, or needs a JDK: skipped"),
    }
}

/// The same resources with and without the profiles that they claim: those of the package zib2017.
fn profiles(plain: &Validator) {
    let Ok(package) = fs::read(shared().join("stu3/nictiz.fhir.nl.stu3.zib2017-2.2.18.tgz")) else {
        return say("the package zib2017 is not there: profiles are not measured");
    };
    let mut made = None;
    let mut ready = 0.0;
    let kept = allocation_counter::measure(|| {
        ready = seconds(|| {
            let mut shelf = Shelf::new();
            shelf.add_package(&package, &ArchiveLimits::default()).expect("it is a package");
            made = Some(Validator::with(Arc::new(shelf.library())));
        });
    });
    let held = made.expect("it was made");
    let megabytes = kept.bytes_current as f64 / 1e6;
    say(&format!("the package zib2017: ready in {:.0} ms, keeps {megabytes:.1} MB", ready * 1e3));
    let corpus = shared().join("corpus");
    for (what, texts) in [
        ("examples of zib2017", files(&corpus.join("zib2017-examples"))),
        ("pushes of MedMij", files(&corpus.join("medmij-push"))),
        ("20,000 small Observations", vec![claiming(&observations(20_000))]),
    ] {
        let limits = Limits { max_bytes: 1 << 30, ..Limits::default() };
        let judged = |validator: &Validator| {
            for text in &texts {
                let document = pushbridge::validate::read(text.as_bytes(), &limits).expect("it can be read");
                black_box(validator.resource(&document, &Policy::default()));
            }
        };
        judged(&held);
        let rounds = (0..ROUNDS).map(|_| (seconds(|| judged(plain)), seconds(|| judged(&held))));
        let (without, with): (Vec<f64>, Vec<f64>) = rounds.unzip();
        let (without, with) = (median(without), median(with));
        let megabytes = texts.iter().map(String::len).sum::<usize>() as f64 / 1e6;
        say(&format!("{what:26} {:.0} MB/s with it = {:.2} x without", megabytes / with, without / with));
    }
}

/// Every Observation claims a profile of the package, and meets it.
fn claiming(bundle: &str) -> String {
    let claim = r#""resourceType":"Observation","meta":{"profile":["http://nictiz.nl/fhir/StructureDefinition/zib-BodyWeight"]},"category":[{"coding":[{"system":"http://hl7.org/fhir/observation-category","code":"vital-signs"}]}]"#;
    bundle.replace(r#""resourceType":"Observation""#, claim)
}

/// All files of a folder, in their order.
fn files(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("the folder can be read");
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.sort_unstable();
    let named = |path: &PathBuf| path.extension().is_some_and(|ending| ending == "json" || ending == "xml");
    paths.into_iter().filter(named).filter_map(|path| fs::read_to_string(path).ok()).collect()
}

/// One Bundle with N Observations that refer to one Patient: the time has to grow with N, not with its square.
fn growth(validator: &Validator) {
    let times: Vec<(usize, f64, f64)> = [1_000, 10_000, 100_000]
        .into_iter()
        .map(|count| {
            let bundle = observations(count);
            let limits = Limits { max_bytes: 1 << 30, max_nodes: u32::MAX, ..Limits::default() };
            let time = seconds(|| {
                let document = json::read(bundle.as_bytes(), &limits).expect("it is JSON");
                let outcome = validator.resource(&document, &Policy::default());
                assert!(outcome.valid(), "{:?}", outcome.findings);
            });
            (count, time, bundle.len() as f64 / 1e6)
        })
        .collect();
    for (count, time, megabytes) in &times {
        let rate = megabytes / time;
        say(&format!("{count:6} Observations of one Patient     {:7.0} ms ({rate:.0} MB/s)", time * 1e3));
    }
    say(&format!("100,000 take {:.1} times what 10,000 take", times[2].1 / times[1].1));
}

fn observations(count: usize) -> String {
    let mut bundle = r#"{"resourceType":"Bundle","type":"collection","entry":[{"fullUrl":"urn:uuid:a2ec7cd2-1ccc-4b7c-9d3b-000000000000","resource":{"resourceType":"Patient","name":[{"family":"Example"}]}}"#.to_owned();
    for number in 1..=count {
        let _ = write!(
            bundle,
            r#",{{"fullUrl":"urn:uuid:a2ec7cd2-1ccc-4b7c-9d3b-{number:012x}","resource":{{"resourceType":"Observation","status":"final","code":{{"coding":[{{"system":"http://loinc.org","code":"29463-7"}}]}},"subject":{{"reference":"urn:uuid:a2ec7cd2-1ccc-4b7c-9d3b-000000000000"}},"effectiveDateTime":"2020-01-01","valueQuantity":{{"value":{}.5,"unit":"kg","system":"http://unitsofmeasure.org","code":"kg"}}}}}}"#,
            60 + number % 40
        );
    }
    bundle.push_str("]}");
    bundle
}

/// Valid Bundles of about the wanted size.
fn bundles(validator: &Validator) -> Vec<String> {
    let resources = resources(validator);
    assert!(!resources.is_empty(), "there are valid resources to compose Bundles of");
    let mut next = 0;
    let mut made = Vec::with_capacity(BUNDLES);
    while made.len() < BUNDLES {
        let mut bundle = r#"{"resourceType":"Bundle","type":"collection","entry":["#.to_owned();
        while bundle.len() < BUNDLE_BYTES {
            if !bundle.ends_with('[') {
                bundle.push(',');
            }
            let number = next;
            next += 1;
            let _ = write!(
                bundle,
                r#"{{"fullUrl":"urn:uuid:a2ec7cd2-1ccc-4b7c-9d3b-{number:012x}","resource":{}}}"#,
                resources[number % resources.len()]
            );
        }
        bundle.push_str("]}");
        made.push(bundle);
    }
    made
}

/// Resources that are valid by themselves, in the order of their files.
fn resources(validator: &Validator) -> Vec<String> {
    let mut paths: Vec<PathBuf> =
        fs::read_dir(folder()).expect("the folder can be read").map(|entry| entry.expect("an entry").path()).collect();
    paths.sort_unstable();
    paths
        .into_iter()
        .filter(|path| path.extension().is_some_and(|ending| ending == "json"))
        .filter_map(|path| fs::read_to_string(path).ok())
        .filter(|text| text.len() <= MOST_RESOURCE_BYTES)
        .filter(|text| {
            json::read(text.as_bytes(), &Limits::default())
                .is_ok_and(|document| validator.resource(&document, &Policy::default()).valid())
        })
        .collect()
}

fn folder() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let official = shared().join("corpus/official/json");
    if official.is_dir() {
        return official;
    }
    say("the official examples are not there: the Bundles are made of samples/valid");
    root.join("samples/valid")
}

fn shared() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    std::env::var_os("PUSHBRIDGE_SHARED").map_or_else(|| root.join("../shared"), PathBuf::from)
}

fn seconds(work: impl FnOnce()) -> f64 {
    let begun = Instant::now();
    work();
    begun.elapsed().as_secs_f64()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn say(text: &str) {
    writeln!(std::io::stdout(), "{text}").expect("standard output can be written");
}
