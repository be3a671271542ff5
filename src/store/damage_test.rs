//! Damage: whatever happens to the database's files, what was confirmed is known again from the journal; and what
//! the journal cannot tell is never taken for unsent.

use super::{
    Order, SledStore, Store, StoreError, Write,
    memory::MemoryStore,
    model_test::{account, compare, findings, library, link, person, sealer, submission},
};
use crate::model::{HoldReason, Receipt, Stage, Submission, SubmissionId, Timestamp, TokenState};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// Everything of a small clinic: 300 submissions, some of them under way and some delivered, and whom they concern.
fn history() -> Vec<Vec<Write>> {
    let write = |submission: &Submission| Write::Submission(Box::new(submission.clone()));
    let mut batches = vec![vec![
        Write::Person(person(0, "first")),
        Write::Account(account(0, 0)),
        Write::Account(account(0, 1)),
        Write::Link(link(0, 0)),
        Write::Link(link(1, 1)),
    ]];
    for number in 0..300 {
        let mut record = submission(number);
        batches.push(vec![write(&record)]);
        record.source_pending = false;
        record.library = library(&record);
        record.stage = Stage::Ready;
        batches.push(vec![write(&record)]);
        record.stage = Stage::Sending { attempt: 1 };
        batches.push(vec![write(&record), Write::Person(person(0, &format!("token-{number}")))]);
        if number % 3 > 0 {
            let at = Timestamp::from_seconds(1_480_000_100);
            let receipt = Receipt { at, status: 202, reference: None, body: record.digest, rejected_entries: 0 };
            (record.stage, record.settled) = (Stage::Delivered { receipt }, number % 3 == 1);
            record.pruned = (number % 6 == 1).then_some(at);
            batches.push(vec![write(&record)]);
        }
    }
    let gone = link(1, 1);
    batches.push(vec![Write::RemoveLink { channel: gone.channel, kind: gone.kind, value: gone.value }]);
    batches
}

/// A store with that history in this folder, and the same in memory.
fn store(folder: &Path) -> MemoryStore {
    let (store, memory) = (SledStore::open(folder, sealer(1)).unwrap(), MemoryStore::default());
    for batch in history() {
        store.apply(&batch).unwrap();
        memory.commit(&batch).unwrap();
    }
    store.sync().unwrap();
    memory
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(|entry| entry.unwrap()) {
        let target = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy(&entry.path(), &target),
            false => drop(fs::copy(entry.path(), target).unwrap()),
        }
    }
}

/// Opens, and meets what there is to meet: damage in the middle of a file shows where it is read.
fn opened(folder: &Path) -> SledStore {
    let store = SledStore::open(folder, sealer(1)).unwrap();
    let read = store.submissions(Order::OldestFirst, None, 1000).and_then(|_| store.persons(None).map(drop));
    if let Err(error) = read {
        assert!(matches!(error, StoreError::Damaged { .. }), "{error}");
        assert!(matches!(store.persons(None), Err(StoreError::Unavailable)), "nothing more is read from it");
        store.reopen().unwrap();
    }
    store
}

fn journal(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder.join("journal")).unwrap();
    let mut found: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    found.sort();
    found
}

fn flip(path: &Path, step: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes.iter_mut().skip(step).step_by(step).for_each(|byte| *byte ^= 0x10);
    fs::write(path, bytes).unwrap();
}

#[test]
fn whatever_happens_to_the_database_is_made_good_from_the_journal() {
    let folder = tempfile::tempdir().unwrap();
    let memory = store(folder.path());
    let cut = |path: &Path| fs::File::options().write(true).open(path).unwrap().set_len(300_000).unwrap();
    type Damage<'d> = (&'static str, &'d dyn Fn(&Path));
    let damages: [Damage<'_>; 8] = [
        ("bits flipped all over", &|store| flip(&store.join("sled/db"), 97)),
        ("bits flipped here and there", &|store| flip(&store.join("sled/db"), 4099)),
        ("few bits flipped", &|store| flip(&store.join("sled/db"), 32_771)),
        ("file cut", &|store| cut(&store.join("sled/db"))),
        ("file missing", &|store| fs::remove_file(store.join("sled/db")).unwrap()),
        ("folder missing", &|store| fs::remove_dir_all(store.join("sled")).unwrap()),
        ("version missing", &|store| fs::remove_file(store.join("version")).unwrap()),
        ("version unreadable", &|store| fs::write(store.join("version"), b"\xff\0").unwrap()),
    ];
    for (what, damage) in damages {
        let place = tempfile::tempdir().unwrap();
        copy(folder.path(), place.path());
        damage(place.path());
        let store = opened(place.path());
        let rebuilt = store.rebuilt().unwrap_or_else(|| panic!("{what}: nothing was rebuilt"));
        assert_eq!(rebuilt.missing, 0, "{what}: {rebuilt:?}");
        let aside = rebuilt.aside.unwrap();
        assert!(aside.starts_with(place.path()) && aside.is_dir(), "{what}");
        compare(&store, &memory);
        drop(store);
        let store = opened(place.path());
        assert_eq!(store.rebuilt(), None, "{what}: once is enough");
        compare(&store, &memory);
    }
}

#[test]
fn without_a_whole_journal_nothing_open_counts_as_unsent() {
    let folder = tempfile::tempdir().unwrap();
    let memory = store(folder.path());
    memory.commit(&[Write::Submission(Box::new(submission(300)))]).unwrap();
    SledStore::open(folder.path(), sealer(1)).unwrap().commit(&[Write::Submission(Box::new(submission(300)))]).unwrap();
    fs::remove_file(folder.path().join("sled/db")).unwrap();
    // A bit in the middle of the first segment, which is the longest.
    let segments = journal(folder.path());
    let mut bytes = fs::read(&segments[0]).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&segments[0], bytes).unwrap();

    let store = opened(folder.path());
    assert!(store.rebuilt().unwrap().missing > 0);
    let find = |number| store.submission(SubmissionId::from_u64(number)).unwrap().unwrap();
    assert!(matches!(find(300).stage, Stage::Unknown { .. }), "claimed, and perhaps more that is not told");
    assert!(matches!(find(1).stage, Stage::Delivered { .. }), "what was delivered stays delivered");
    assert_eq!(find(0).stage, Stage::Sending { attempt: 1 }, "the start of the engine makes it Unknown");
    let persons = store.persons(None).unwrap();
    assert_eq!(persons[0].state, TokenState::Rotating, "the pair may be spent");
    drop(store);
    let store = opened(folder.path());
    assert_eq!(store.rebuilt(), None);
    drop(store);
    // The journal was begun anew: the next damage finds it whole.
    fs::remove_file(folder.path().join("sled/db")).unwrap();
    let store = opened(folder.path());
    assert_eq!(store.rebuilt().unwrap().missing, 0);
    assert!(matches!(store.submission(SubmissionId::from_u64(300)).unwrap().unwrap().stage, Stage::Unknown { .. }));
}

#[test]
fn a_journal_that_is_gone_or_ends_too_early_is_missed() {
    for what in ["gone", "cut"] {
        let folder = tempfile::tempdir().unwrap();
        store(folder.path());
        let segments = journal(folder.path());
        match what {
            "gone" => segments.iter().for_each(|segment| fs::remove_file(segment).unwrap()),
            _ => {
                let text = fs::read(&segments[0]).unwrap();
                let end = text.len() / 2 + text[text.len() / 2..].iter().position(|byte| *byte == b'\n').unwrap() + 1;
                fs::write(&segments[0], &text[..end]).unwrap();
            }
        }
        flip(&folder.path().join("sled/db"), 97);
        assert!(opened(folder.path()).rebuilt().unwrap().missing > 0, "{what}");
    }
}

#[test]
fn a_lost_journal_is_written_anew_while_the_database_is_whole() {
    let folder = tempfile::tempdir().unwrap();
    let memory = store(folder.path());
    fs::remove_dir_all(folder.path().join("journal")).unwrap();
    let whole = opened(folder.path());
    assert_eq!(whole.rebuilt(), None);
    drop(whole);
    fs::remove_file(folder.path().join("sled/db")).unwrap();
    let store = opened(folder.path());
    assert_eq!(store.rebuilt().unwrap().missing, 0);
    compare(&store, &memory);
}

/// The store as a crash leaves it after these batches: they are in the journal alone.
fn crashed_after(batches: &[Vec<Write>]) -> (tempfile::TempDir, MemoryStore) {
    let (folder, crashed) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let memory = store(folder.path());
    copy(folder.path(), crashed.path());
    let store = SledStore::open(folder.path(), sealer(1)).unwrap();
    for batch in batches {
        store.commit(batch).unwrap();
        memory.commit(batch).unwrap();
    }
    fs::remove_dir_all(crashed.path().join("journal")).unwrap();
    copy(&folder.path().join("journal"), &crashed.path().join("journal"));
    (crashed, memory)
}

fn later() -> Vec<Vec<Write>> {
    let write = |record: &Submission| Write::Submission(Box::new(record.clone()));
    let mut changed = submission(2);
    (changed.stage, changed.findings) = (Stage::Held(HoldReason::NoEvidence), findings(3));
    let claims: Vec<Write> = (301..304).map(|number| write(&submission(number))).collect();
    vec![claims, vec![write(&changed)], vec![Write::Person(person(0, "last")), write(&submission(304))]]
}

#[test]
fn what_the_journal_tells_beyond_the_database_is_known_from_the_next_opening_on() {
    let (folder, memory) = crashed_after(&later());
    for _ in 0..2 {
        let store = opened(folder.path());
        assert_eq!(store.rebuilt(), None, "that is no damage");
        compare(&store, &memory);
    }
    fs::remove_file(folder.path().join("sled/db")).unwrap();
    let store = opened(folder.path());
    assert_eq!(store.rebuilt().unwrap().missing, 0);
    compare(&store, &memory);
}

#[test]
fn of_a_batch_that_a_crash_has_cut_nothing_is_ever_known() {
    let (folder, memory) = crashed_after(&[]);
    let (whole, _) = crashed_after(&[later().concat()]);
    let last = journal(whole.path()).pop().unwrap();
    let text = fs::read(&last).unwrap();
    let lines: Vec<&[u8]> = text.split_inclusive(|byte| *byte == b'\n').collect();
    // Cut between two lines of the batch, and within one.
    for end in [lines[..3].concat().len(), text.len() - 5] {
        fs::write(folder.path().join("journal").join(last.file_name().unwrap()), &text[..end]).unwrap();
        for _ in 0..2 {
            let store = opened(folder.path());
            assert_eq!(store.rebuilt(), None, "a crash is no damage");
            compare(&store, &memory);
        }
        let rebuilt = tempfile::tempdir().unwrap();
        copy(folder.path(), rebuilt.path());
        fs::remove_file(rebuilt.path().join("sled/db")).unwrap();
        let store = opened(rebuilt.path());
        assert_eq!(store.rebuilt().unwrap().missing, 0);
        compare(&store, &memory);
    }
}

#[test]
fn where_the_journal_is_damaged_beyond_the_database_nothing_open_counts_as_unsent() {
    let (folder, _) = crashed_after(&later());
    let last = journal(folder.path()).pop().unwrap();
    let mut bytes = fs::read(&last).unwrap();
    let second = bytes.iter().position(|byte| *byte == b'\n').unwrap() + 40;
    bytes[second] ^= 1;
    fs::write(&last, bytes).unwrap();
    let store = opened(folder.path());
    let rebuilt = store.rebuilt().unwrap();
    assert!(rebuilt.missing > 0 && rebuilt.aside.is_none(), "{rebuilt:?}");
    let find = |number| store.submission(SubmissionId::from_u64(number)).unwrap().unwrap();
    assert!(matches!(find(304).stage, Stage::Unknown { .. }), "claimed, and perhaps more that is not told");
    assert!(matches!(find(1).stage, Stage::Delivered { .. }), "what was delivered stays delivered");
    assert_eq!(store.persons(None).unwrap()[0].state, TokenState::Rotating, "the pair may be spent");
    drop(store);
    assert_eq!(opened(folder.path()).rebuilt(), None);
}

#[test]
fn merged_segments_tell_the_same_in_less() {
    let folder = tempfile::tempdir().unwrap();
    let memory = MemoryStore::default();
    for batches in history().chunks(10) {
        let store = SledStore::open(folder.path(), sealer(1)).unwrap();
        for batch in batches {
            store.commit(batch).unwrap();
            memory.commit(batch).unwrap();
        }
        // Each opening begins a segment, and many of them are merged.
    }
    let segments = journal(folder.path());
    assert!(segments.len() < 60, "{} segments", segments.len());
    fs::remove_file(folder.path().join("sled/db")).unwrap();
    let store = opened(folder.path());
    assert_eq!(store.rebuilt().unwrap().missing, 0);
    compare(&store, &memory);
    // Only the last of the 300 pairs of tokens is left of those that were merged.
    let pairs = |path: &PathBuf| fs::read_to_string(path).unwrap().matches("\"kind\":\"person\"").count();
    assert_eq!(pairs(&segments[0]), 1);
}
