//! The samples that break a profile: each is found by that profile, at the place that `samples/profiles/manifest.json` says.

use super::snapshots::package;
use pushbridge::{
    fhir::json::Limits,
    model::Severity,
    stu3::package::{ArchiveLimits, Shelf},
    validate::{self, Policy, Validator},
};
use serde_json::Value;
use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

const OWN: &str = "http://pushbridge.example/fhir/StructureDefinition/provider-push-bundle";

fn root(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Each fault of the manifest is found by its profile at its place; those against zib2017 where its package is at hand.
#[test]
fn each_fault_of_the_manifest_is_found_by_its_profile_at_its_place() {
    let manifest: Vec<Value> =
        serde_json::from_slice(&fs::read(root("samples/profiles/manifest.json")).unwrap()).unwrap();
    let zib = package("nictiz.fhir.nl.stu3.zib2017-2.2.18.tgz");
    let mut shelf = Shelf::new();
    for name in ["provider-push-bundle.json", "provider-push-bundle-type.json"] {
        shelf.add_file(name, &fs::read(root("profiles").join(name)).unwrap());
    }
    if let Some(zib) = &zib {
        shelf.add_package(zib, &ArchiveLimits::default()).unwrap();
    }
    let validator = Validator::with(Arc::new(shelf.library()));
    for fault in &manifest {
        let profile = fault["profile"].as_str().unwrap();
        if profile != OWN && zib.is_none() {
            continue;
        }
        let bytes = fs::read(root("samples/profiles").join(fault["file"].as_str().unwrap())).unwrap();
        let document = validate::read(&bytes, &Limits::default()).unwrap();
        let policy = Policy { require: [OWN.to_owned()].into(), ..Policy::default() };
        let errors = validator.resource(&document, &policy).findings;
        let errors = errors.iter().filter(|finding| finding.severity == Severity::Error);
        let told: Vec<_> = errors.map(|error| (error.profile.as_deref().unwrap(), error.expression.as_str())).collect();
        assert!(told.contains(&(profile, fault["expression"].as_str().unwrap())), "{fault}: {told:?}");
        assert!(told.iter().all(|(by, _)| *by == profile), "nothing else is wrong with it: {fault}: {told:?}");
    }
}
