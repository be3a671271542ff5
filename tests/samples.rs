//! Every sample is judged as its manifest says.

use pushbridge::{
    fhir::json::Limits,
    model::Severity,
    validate::{self, Outcome, Policy, Validator},
};
use serde_json::Value;
use std::{fs, path::Path};

/// Faults of rules that are not judged yet; one that is found must leave this list.
const LATER: [&str; 0] = [];

fn judge(path: &Path) -> Outcome {
    let bytes = fs::read(path).unwrap();
    match validate::read(&bytes, &Limits::default()) {
        Ok(document) => Validator::new().resource(&document, &Policy::default()),
        Err(error) => Outcome::of_unreadable(&error),
    }
}

#[test]
fn valid_samples_are_accepted() {
    let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("samples");
    let mut count = 0;
    let folders = ["valid", "several-patients", "demo/alex-clinic", "demo/robin", "demo/unmapped", "profiles/zib2017"];
    for folder in folders {
        for entry in fs::read_dir(samples.join(folder)).unwrap() {
            let path = entry.unwrap().path();
            let outcome = judge(&path);
            assert!(outcome.valid(), "{}: {:?}", path.display(), outcome.findings);
            count += 1;
        }
    }
    assert_eq!(count, 18 + 9 + 3 + 2 + 1 + 2);
}

#[test]
fn each_invalid_sample_is_refused_at_its_place_by_its_rule() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("samples/invalid");
    let manifest: Vec<Value> = serde_json::from_slice(&fs::read(folder.join("manifest.json")).unwrap()).unwrap();
    let (mut found, mut later) = (0, 0);
    for fault in &manifest {
        let file = fault["file"].as_str().unwrap();
        let outcome = judge(&folder.join(file));
        if LATER.contains(&file) {
            assert!(outcome.valid(), "{file} is found now: take it off the list");
            later += 1;
            continue;
        }
        let warns = fault["severity"] == "warning";
        assert_eq!(outcome.valid(), warns, "{file}: {:?}", outcome.findings);
        let severity = if warns { Severity::Warning } else { Severity::Error };
        let is_meant = |finding: &&pushbridge::model::Finding| {
            finding.severity == severity
                && fault["key"] == finding.key.as_str()
                && fault["line"] == finding.line
                && (fault["expression"].is_null() || fault["expression"] == finding.expression.as_str())
        };
        assert!(outcome.findings.iter().any(|finding| is_meant(&finding)), "{fault}: {:?}", outcome.findings);
        found += 1;
    }
    assert_eq!((found, later), (172, LATER.len()));
}
