//! Stores of earlier releases: each release leaves one behind, and every later program has to read it.
//!
//! `tests/fixtures/store-1.tgz` was written by the first form. `UPDATE_FIXTURE=1 cargo test --lib fixture` makes the one
//! of the present form anew; an earlier one is never touched again.

use super::{
    DestinationState, SledStore, Store, Write,
    memory::MemoryStore,
    model_test::{account, compare, findings, link, person, sealer, submission},
};
use crate::model::{HoldReason, PushType, Stage, Submission};
use std::{fs, path::Path};

/// The form that this program writes.
const PRESENT: u32 = 2;

fn path(form: u32) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/fixtures/store-{form}.tgz"))
}

/// What every fixture knows.
fn contents() -> Vec<Write> {
    let mut writes = vec![
        Write::Person(person(0, "token-of-the-fixture")),
        Write::Account(account(0, 0)),
        Write::Account(account(1, 1)),
        Write::Link(link(0, 0)),
        Write::Link(link(1, 1)),
        Write::Destination(DestinationState { contract: "c".parse().unwrap(), paused: None }),
    ];
    let stages = [
        Stage::Claimed,
        Stage::Refused { why: "it is no Bundle".to_owned() },
        Stage::Held(HoldReason::NoEvidence),
        Stage::Ready,
        Stage::Sending { attempt: 1 },
        Stage::Unknown { attempt: 2 },
        Stage::Dropped,
    ];
    for (number, stage) in (0..).zip(stages) {
        let findings = findings(usize::try_from(number).unwrap());
        // It was written before there were library pushes: its records do not say which way they go.
        let record = Submission { stage, findings, push: PushType::Provider, ..submission(number) };
        writes.push(Write::Submission(Box::new(record)));
    }
    writes
}

#[test]
fn stores_of_earlier_forms_are_read_whole() {
    if std::env::var_os("UPDATE_FIXTURE").is_some() {
        make(&path(PRESENT));
    }
    let memory = MemoryStore::default();
    memory.commit(&contents()).unwrap();
    for form in 1..=PRESENT {
        let folder = tempfile::tempdir().unwrap();
        let packed = fs::File::open(path(form)).unwrap();
        tar::Archive::new(flate2::read::GzDecoder::new(packed)).unpack(folder.path()).unwrap();
        let store = SledStore::open(&folder.path().join("store"), sealer(1)).unwrap();
        assert_eq!(store.rebuilt(), None, "form {form} is whole");
        compare(&store, &memory);
        // And its journal: it has to tell the same, in the first form but for findings.
        drop(store);
        fs::remove_dir_all(folder.path().join("store/sled")).unwrap();
        let store = SledStore::open(&folder.path().join("store"), sealer(1)).unwrap();
        assert_eq!(store.rebuilt().unwrap().missing, 0, "form {form}");
        assert_eq!(store.persons(None).unwrap(), memory.persons(None).unwrap());
        assert_eq!(store.links(None).unwrap(), memory.links(None).unwrap());
        assert_eq!(store.open_submissions(None, 100).unwrap().len(), memory.open_submissions(None, 100).unwrap().len());
        if form > 1 {
            compare(&store, &memory);
        }
    }
}

fn make(path: &Path) {
    let folder = tempfile::tempdir().unwrap();
    let store = SledStore::open(&folder.path().join("store"), sealer(1)).unwrap();
    store.commit(&contents()).unwrap();
    drop(store);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let packed = flate2::write::GzEncoder::new(fs::File::create(path).unwrap(), flate2::Compression::best());
    let mut archive = tar::Builder::new(packed);
    archive.append_dir_all("store", folder.path().join("store")).unwrap();
    archive.into_inner().unwrap().finish().unwrap();
}
