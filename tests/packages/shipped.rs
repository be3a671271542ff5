//! The project's own profile, and the samples that meet it or do not.

use super::{Stand, text};
use pushbridge::{
    fhir::json::Limits,
    validate::{self, Policy, Validator},
};
use serde_json::Value;
use std::{fs, path::Path};

const OWN: &str = "http://pushbridge.example/fhir/StructureDefinition/provider-push-bundle";

fn root(path: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn bundle(path: &Path) -> Value {
    let bytes = fs::read(path).unwrap();
    serde_json::from_slice(bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes)).unwrap()
}

/// What the profile asks for, said once more in plain code.
fn breaches(bundle: &Value) -> Vec<&'static str> {
    let mut breaches = Vec::new();
    let mut must = |is_met: bool, what| breaches.extend((!is_met).then_some(what));
    must(bundle["type"] == "batch" || bundle["type"] == "transaction", "type");
    let entries = bundle["entry"].as_array().map(Vec::as_slice).unwrap_or_default();
    must(!entries.is_empty(), "entry");
    for entry in entries {
        let method = entry["request"]["method"].as_str();
        must(entry["fullUrl"].is_string(), "fullUrl");
        must(method.is_some(), "request");
        must(method != Some("GET"), "push-2");
        must(method == Some("DELETE") || entry["resource"].is_object(), "push-1");
        must(entry["search"].is_null() && entry["response"].is_null(), "search or response");
    }
    breaches
}

#[test]
fn the_own_profile_is_usable_and_says_what_it_should() {
    let stand = Stand::new();
    let profiles = |arguments: &[&str]| {
        let output = stand.run(arguments);
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        text(&output.stdout)
    };
    let files = ["provider-push-bundle.json", "provider-push-bundle-type.json"].map(|name| root("profiles").join(name));
    profiles(&["add", files[0].to_str().unwrap(), files[1].to_str().unwrap()]);
    let told =
        "1 profiles (0 unusable), 1 value sets, 0 code systems, 0 questionnaires, 0 errata; 0 errors, 0 warnings\n";
    assert_eq!(profiles(&["check"]), told);
    let drawn = profiles(&["show", "provider-push-bundle"]);
    assert!(drawn.starts_with(OWN), "{drawn}");
    for line in [
        "├─ type  1..1  *  code  codes: provider-push-bundle-type (required)",
        "├─ entry  1..*  *  BackboneElement",
        "│  ├─ fullUrl  1..1  *  uri",
        "│  ├─ search  0..0  BackboneElement",
        "│  ├─ request  1..1  *  BackboneElement",
        "│  └─ response  0..0  BackboneElement",
    ] {
        assert!(drawn.lines().any(|drawn| drawn == line), "{line}\n{drawn}");
    }
}

#[test]
fn pushes_among_the_samples_meet_the_own_profile() {
    let mut count = 0;
    for folder in ["valid", "several-patients", "profiles/zib2017"] {
        for entry in fs::read_dir(root("samples").join(folder)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|ending| ending == "json") {
                let expected = if path.ends_with("document.json") { "type" } else { "" };
                let breaches = breaches(&bundle(&path));
                assert_eq!(breaches.first().copied().unwrap_or_default(), expected, "{}: {breaches:?}", path.display());
                count += 1;
            }
        }
    }
    assert_eq!(count, 17 + 9 + 2);
}

#[test]
fn each_fault_against_a_profile_is_valid_without_it_and_listed() {
    let manifest: Vec<Value> =
        serde_json::from_slice(&fs::read(root("samples/profiles/manifest.json")).unwrap()).unwrap();
    let listed: Vec<&str> = manifest.iter().map(|fault| fault["file"].as_str().unwrap()).collect();
    let mut found = Vec::new();
    for folder in ["push-faults", "zib2017-faults"] {
        for entry in fs::read_dir(root("samples/profiles").join(folder)).unwrap() {
            found.push(format!("{folder}/{}", entry.unwrap().file_name().to_str().unwrap()));
        }
    }
    found.sort();
    assert_eq!(found, listed);
    for fault in &manifest {
        let path = root("samples/profiles").join(fault["file"].as_str().unwrap());
        let document_bytes = fs::read(&path).unwrap();
        let document = validate::read(&document_bytes, &Limits::default()).unwrap();
        let outcome = Validator::new().resource(&document, &Policy::default());
        assert!(outcome.valid(), "{}: {:?}", path.display(), outcome.findings);
        let bundle = bundle(&path);
        if fault["profile"] == OWN {
            assert_ne!(breaches(&bundle), [""; 0], "{}", path.display());
        } else {
            let claimed = &bundle["entry"][1]["resource"]["meta"]["profile"][0];
            assert_eq!((claimed, breaches(&bundle)), (&fault["profile"], vec![]), "{}", path.display());
        }
    }
}
