//! The store on sled against the store in memory: the same random operations, the same answers to every question,
//! before and after opening again; and what only an engine with files can get wrong.

use super::{
    DestinationState, Order, Pause, Secrets, SledStore, Store, StoreError, Write, export, import, memory::MemoryStore,
};
use crate::model::{
    Account, Attempt, AttemptOutcome, ChannelName, ClaimedFile, ContractName, Digest, EvidenceKind, Finding,
    ForeignName, FoundBy, HoldReason, KeyedHash, LibraryFacts, Link, LinkValue, Origin, Person, PushType, Receipt,
    Recipient, SealError, Sealer, Secret, Severity, Sidecar, SourceIdentity, Stage, Submission, SubmissionId,
    Timestamp, TokenPair, TokenState, TokenValue,
};
use proptest::prelude::*;
use std::{fmt::Debug, fs, os::unix::fs::PermissionsExt, path::Path, sync::Arc};

/// A submission as a claim makes it; what never changes of it follows from the number.
pub(super) fn submission(number: u64) -> Submission {
    let path = format!("ward {}/bundle-{}.json", number % 3, number % 7);
    let origin = |path: &str| Origin {
        path: ForeignName::new(path.as_bytes()),
        folder: Some(ForeignName::new(format!("ward {}", number % 3))),
        identity: SourceIdentity { inode: number, size: 10_240, modified: 1_480_000_000_123_456_789 },
    };
    let claimed = ClaimedFile {
        channel: channel(number % 2),
        push: if number.is_multiple_of(3) { PushType::Library } else { PushType::Provider },
        origin: origin(&path),
        name_hash: KeyedHash::from_bytes([u8::try_from(number % 7).unwrap(); 16]),
        sidecar: number
            .is_multiple_of(4)
            .then(|| Sidecar { origin: origin(&format!("{path}.route.json")), digest: Digest::of(b"sidecar") }),
        digest: digest(number % 5),
        size: 10_240,
    };
    let at = Timestamp::from_seconds(1_480_000_000);
    Submission { settled: false, ..Submission::claimed(SubmissionId::from_u64(number), at, claimed) }
}

/// Keys of 32 equal bytes.
pub(super) fn sealer(byte: u8) -> Arc<Sealer> {
    Arc::new(Sealer::from_text(&Digest::from_bytes([byte; 32]).to_string()).unwrap())
}

fn channel(number: u64) -> ChannelName {
    format!("channel-{number}").parse().unwrap()
}

/// What a file for the library goes as.
pub(super) fn library(submission: &Submission) -> Option<LibraryFacts> {
    (submission.push == PushType::Library).then(|| LibraryFacts {
        mime_type: "application/pdf".into(),
        found_by: FoundBy::Content,
        references: 1,
        tags: 2,
    })
}

#[test]
fn a_record_of_before_there_were_library_pushes_is_a_provider_push() {
    let mut json = serde_json::to_value(submission(3)).unwrap();
    assert_eq!(json.as_object_mut().unwrap().remove("push"), Some("library".into()));
    let read: Submission = serde_json::from_value(json).unwrap();
    assert_eq!((read.push, read.library), (PushType::Provider, None));
}

fn contract(number: u64) -> ContractName {
    // one name begins with the other
    if number == 0 { "c" } else { "c1" }.parse().unwrap()
}

fn digest(number: u64) -> Digest {
    Digest::of(&[u8::try_from(number).unwrap()])
}

fn recipient(number: u64) -> Recipient {
    Recipient {
        contract: contract(number % 2),
        person: "person".parse().unwrap(),
        account: format!("a{}", number % 3).parse().unwrap(),
        reference: "reference".parse().unwrap(),
        evidence: vec![EvidenceKind::Folder],
    }
}

/// To one of the recipients, or as records had it of before each attempt kept its own.
fn attempt(number: u32, to: Option<u64>, outcome: usize) -> Attempt {
    Attempt {
        number,
        recipient: to.map(recipient),
        at: Timestamp::from_seconds(1_480_000_050),
        millis: 20,
        outcome: [AttemptOutcome::Unknown, AttemptOutcome::Later, AttemptOutcome::Delivered][outcome],
        status: None,
        code: None,
        reference: None,
        detail: None,
    }
}

#[test]
fn an_attempt_of_before_each_kept_its_account_went_where_the_record_says() {
    let mut json = serde_json::to_value(Submission {
        recipient: Some(recipient(1)),
        attempts: vec![attempt(1, Some(2), 0)],
        ..submission(3)
    })
    .unwrap();
    assert!(json["attempts"][0].as_object_mut().unwrap().remove("recipient").is_some());
    let read: Submission = serde_json::from_value(json).unwrap();
    assert_eq!(read.recipient_of(&read.attempts[0]), Some(&recipient(1)));
    assert!(read.may_be_at(&recipient(1).contract, &recipient(1).account));
    assert!(!read.may_be_at(&recipient(2).contract, &recipient(2).account));
}

fn receipt() -> Receipt {
    Receipt {
        at: Timestamp::from_seconds(1_480_000_100),
        status: 201,
        reference: Some("r-1".into()),
        body: Digest::of(b"{}"),
        rejected_entries: 0,
    }
}

pub(super) fn findings(count: usize) -> std::sync::Arc<[Finding]> {
    let finding = |line: usize| Finding {
        severity: Severity::Error,
        code: "structure".into(),
        key: "unknown-element".into(),
        expression: format!("Bundle.entry[{line}].resource.extension[0].value"),
        line: u32::try_from(line).unwrap(),
        column: 7,
        profile: None,
        text: "is not an element of Observation in STU3; remove it or correct its name. ".repeat(5),
    };
    (0..count).map(finding).collect()
}

pub(super) fn account(number: u64, reference: u64) -> Account {
    Account {
        contract: contract(number % 2),
        person: "person".parse().unwrap(),
        id: format!("a{}", number % 3).parse().unwrap(),
        reference: format!("ref{reference}").parse().unwrap(),
        service: Some("Somewhere".into()),
        authorised: true,
        blocked: None,
        updated: Timestamp::from_millis(5),
    }
}

pub(super) fn person(number: u64, token: &str) -> Person {
    let token = TokenValue { value: Secret::new(token.to_owned()), expiry: Timestamp::from_seconds(9) };
    Person {
        contract: contract(number % 2),
        id: format!("p{}", number % 3).parse().unwrap(),
        tokens: TokenPair { access: token.clone(), refresh: token },
        state: TokenState::Fresh,
        consent_id: None,
        updated: Timestamp::from_millis(6),
    }
}

fn link_value(number: u64) -> LinkValue {
    if number.is_multiple_of(2) {
        LinkValue::Clear(format!("fol\0der {number} ").repeat(200))
    } else {
        LinkValue::Hashed(KeyedHash::from_bytes([u8::try_from(number).unwrap(); 16]))
    }
}

pub(super) fn link(number: u64, to: u64) -> Link {
    Link {
        channel: channel(number % 2),
        kind: if number.is_multiple_of(3) { EvidenceKind::Folder } else { EvidenceKind::Patient },
        value: link_value(number),
        account: format!("ref{to}").parse().unwrap(),
        added: Timestamp::from_millis(7),
    }
}

#[derive(Clone, Debug)]
enum Operation {
    Commit(Vec<Write>),
    Reopen,
}

fn operation() -> impl Strategy<Value = Operation> {
    let state = (0..24u64, 0..6u8, any::<bool>(), any::<bool>(), prop::option::of(0..6u64), 0..40usize);
    let attempts = prop::collection::vec((prop::option::of(0..6u64), 0..3usize), 0..4);
    let submission =
        (state, attempts).prop_map(|((number, stage, source_pending, settled, to, finding_count), attempts)| {
            let stage = match stage {
                0 => Stage::Claimed,
                1 => Stage::Held(HoldReason::NoEvidence),
                2 => Stage::Refused { why: "it is no Bundle".into() },
                3 => Stage::Delivered { receipt: receipt() },
                4 => Stage::Unknown { attempt: 1 },
                _ => Stage::Duplicate { of: SubmissionId::from_u64(1), receipt: receipt() },
            };
            let (recipient, findings) = (to.map(recipient), findings(finding_count));
            let claim = submission(number);
            let library = library(&claim).filter(|_| recipient.is_some());
            let attempts = (1..).zip(attempts).map(|(number, (to, outcome))| attempt(number, to, outcome)).collect();
            let state = Submission { stage, source_pending, settled, recipient, findings, library, attempts, ..claim };
            Write::Submission(Box::new(state))
        });
    let destination = (0..2u64, any::<bool>()).prop_map(|(number, paused)| {
        let paused = paused.then(|| Pause { why: "it answers 503".into(), since: Timestamp::from_millis(8) });
        Write::Destination(DestinationState { contract: contract(number), paused })
    });
    let write = prop_oneof![
        6 => submission,
        1 => (0..6u64, 0..3u64).prop_map(|(number, reference)| Write::Account(account(number, reference))),
        1 => (0..6u64).prop_map(|number| {
            let Account { contract, id: account, .. } = account(number, 0);
            Write::RemoveAccount { contract, account }
        }),
        1 => (0..6u64, 1..9000usize).prop_map(|(number, length)| Write::Person(person(number, &"t".repeat(length)))),
        1 => (0..6u64).prop_map(|number| {
            let Person { contract, id: person, .. } = person(number, "");
            Write::RemovePerson { contract, person }
        }),
        1 => (0..6u64, 0..3u64).prop_map(|(number, to)| Write::Link(link(number, to))),
        1 => (0..6u64).prop_map(|number| {
            let Link { channel, kind, value, .. } = link(number, 0);
            Write::RemoveLink { channel, kind, value }
        }),
        1 => destination,
    ];
    prop_oneof![
        9 => prop::collection::vec(write, 1..5).prop_map(Operation::Commit),
        1 => Just(Operation::Reopen),
    ]
}

fn same<T: Debug + PartialEq>(ask: impl Fn(&dyn Store) -> Result<T, StoreError>, stores: [&dyn Store; 2]) {
    let [sled, memory] = stores.map(|store| ask(store).unwrap());
    assert_eq!(sled, memory);
}

/// Asks both stores everything.
pub(super) fn compare(sled: &dyn Store, memory: &dyn Store) {
    let stores = [sled, memory];
    same(|store| store.last_submission_id(), stores);
    same(|store| store.stage_counts(), stores);
    for id in std::iter::once(None).chain((0..24).step_by(5).map(|id| Some(SubmissionId::from_u64(id)))) {
        for limit in [0, 3, 100] {
            same(|store| store.open_submissions(id, limit), stores);
            same(|store| store.submissions(Order::OldestFirst, id, limit), stores);
            same(|store| store.submissions(Order::NewestFirst, id, limit), stores);
        }
    }
    for number in 0..24 {
        same(|store| store.submission(SubmissionId::from_u64(number)), stores);
        let claim = submission(number);
        same(|store| store.by_digest(&claim.digest), stores);
        same(|store| store.by_name(&claim.name_hash), stores);
        let sidecar = claim.sidecar.map(|sidecar| sidecar.origin.path);
        for path in std::iter::once(claim.origin.path).chain(sidecar) {
            same(|store| store.source(&claim.channel, &path), stores);
        }
        for to in (0..6).map(recipient) {
            for limit in [1, 100] {
                same(|store| store.latest_at(&to.contract, &to.account, &claim.digest, limit), stores);
            }
        }
    }
    for number in 0..6 {
        for account in (0..3).map(|reference| account(number, reference)) {
            same(|store| store.account(&account.contract, &account.id), stores);
            same(|store| store.accounts_by_reference(&account.contract, &account.reference), stores);
        }
        let person = person(number, "");
        same(|store| store.person(&person.contract, &person.id), stores);
        let link = link(number, 0);
        same(|store| store.link(&link.channel, link.kind, &link.value), stores);
    }
    for number in [None, Some(0), Some(1)] {
        let (contract, channel) = (number.map(contract), number.map(channel));
        same(|store| store.accounts(contract.as_ref()), stores);
        same(|store| store.persons(contract.as_ref()), stores);
        same(|store| store.links(channel.as_ref()), stores);
        same(|store| contract.as_ref().map_or(Ok(None), |contract| store.destination(contract)), stores);
    }
    same(|store| store.destinations(), stores);
}

fn exported(store: &dyn Store, secrets: Secrets) -> String {
    let mut text = Vec::new();
    export(store, secrets, &mut text).unwrap();
    String::from_utf8(text).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn sled_answers_as_plain_maps_do(operations in prop::collection::vec(operation(), 1..40)) {
        let folder = tempfile::tempdir().unwrap();
        let mut sled = SledStore::open(folder.path(), sealer(1)).unwrap();
        let memory = MemoryStore::default();
        for operation in operations {
            match operation {
                Operation::Commit(writes) => {
                    sled.commit(&writes).unwrap();
                    memory.commit(&writes).unwrap();
                }
                Operation::Reopen => {
                    drop(sled);
                    sled = SledStore::open(folder.path(), sealer(1)).unwrap();
                }
            }
        }
        compare(&sled, &memory);
        sled.reopen().unwrap();
        compare(&sled, &memory);

        let text = exported(&sled, Secrets::With);
        prop_assert_eq!(&text, &exported(&memory, Secrets::With));
        let copy = MemoryStore::default();
        import(&copy, &mut text.as_bytes()).unwrap();
        compare(&sled, &copy);
    }
}

#[test]
fn large_records_never_make_a_blob_that_sled_would_not_sync() {
    let folder = tempfile::tempdir().unwrap();
    let store = SledStore::open(folder.path(), sealer(1)).unwrap();
    for number in 0..200 {
        let large = Submission { findings: findings(Submission::FINDINGS_KEPT), ..submission(number) };
        let large = [Write::Submission(Box::new(large)), Write::Person(person(number, &"t".repeat(9000)))];
        store.apply(&large).unwrap();
    }
    for number in (0..200).step_by(3) {
        store.apply(&[Write::Submission(Box::new(submission(number)))]).unwrap();
    }
    store.sync().unwrap();
    assert_eq!(fs::read_dir(folder.path().join("sled/blobs")).unwrap().count(), 0);
    let found = store.submission(SubmissionId::from_u64(7)).unwrap().unwrap();
    assert_eq!(found.findings.len(), Submission::FINDINGS_KEPT);
}

#[test]
fn a_second_opening_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let first = SledStore::open(folder.path(), sealer(1)).unwrap();
    let Err(error) = SledStore::open(folder.path(), sealer(1)) else { panic!("it opened twice") };
    assert!(matches!(error, StoreError::Locked { .. }));
    assert!(error.to_string().contains("another pushbridge has the store open"));
    drop(first);
    SledStore::open(folder.path(), sealer(1)).unwrap();
}

#[test]
fn a_newer_store_is_left_untouched() {
    let folder = tempfile::tempdir().unwrap();
    drop(SledStore::open(folder.path(), sealer(1)).unwrap());
    fs::write(folder.path().join("version"), "pushbridge-store 3\n").unwrap();
    let contents = |folder: &Path| {
        let mut files: Vec<_> = fs::read_dir(folder.join("sled"))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.is_file())
            .map(|path| (path.clone(), fs::read(path).unwrap()))
            .collect();
        files.sort();
        files
    };
    let before = contents(folder.path());
    assert!(matches!(SledStore::open(folder.path(), sealer(1)), Err(StoreError::Newer { found: 3, known: 2 })));
    assert!(contents(folder.path()) == before);
}

#[test]
fn nobody_else_may_read_the_files() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("new/store");
    let store = SledStore::open(&path, sealer(1)).unwrap();
    store.commit(&[Write::Submission(Box::new(submission(1)))]).unwrap();
    drop(store);
    drop(SledStore::open(&path, sealer(1)).unwrap());
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&path), 0o700);
    assert_eq!(mode(&path.join("lock")), 0o600);
    for entry in fs::read_dir(path.join("sled")).unwrap().map(|entry| entry.unwrap().path()) {
        assert_eq!(mode(&entry), if entry.is_dir() { 0o700 } else { 0o600 }, "{}", entry.display());
    }
}

/// Whether a text stands in a file of the folder, or in a folder of it.
fn is_written(folder: &Path, text: &str) -> bool {
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).any(|path| match path.is_dir() {
        true => is_written(&path, text),
        false => fs::read(path).unwrap().windows(text.len()).any(|window| window == text.as_bytes()),
    })
}

#[test]
fn tokens_lie_on_the_disk_sealed_and_a_missing_key_is_no_damage() {
    let folder = tempfile::tempdir().unwrap();
    let store = SledStore::open(folder.path(), sealer(1)).unwrap();
    let known = person(0, "secret-token");
    store.commit(&[Write::Person(known.clone()), Write::Link(link(0, 0))]).unwrap();
    drop(store);
    assert!(is_written(folder.path(), known.id.as_str()), "the search finds what is there");
    assert!(!is_written(folder.path(), "secret-token"));
    let present = sealer(1).present();
    assert!(matches!(
        SledStore::open(folder.path(), sealer(2)).err(),
        Some(StoreError::Sealed { why: SealError::UnknownKey(key) }) if key == present
    ));
    let store = SledStore::open(folder.path(), sealer(1)).unwrap();
    assert_eq!(store.person(&known.contract, &known.id).unwrap(), Some(known));
}

#[test]
fn opened_with_a_new_key_in_front_the_earlier_one_is_needed_no_more() {
    let folder = tempfile::tempdir().unwrap();
    let known = person(0, "secret-token");
    SledStore::open(folder.path(), sealer(1)).unwrap().commit(&[Write::Person(known.clone())]).unwrap();
    let both = [2, 1].map(|byte| Digest::from_bytes([byte; 32]).to_string()).join("\n");
    drop(SledStore::open(folder.path(), Arc::new(Sealer::from_text(&both).unwrap())).unwrap());
    let store = SledStore::open(folder.path(), sealer(2)).unwrap();
    assert_eq!(store.person(&known.contract, &known.id).unwrap(), Some(known));
}

#[test]
fn an_export_without_secrets_has_none_and_spoils_none() {
    let (from, to) = (MemoryStore::default(), MemoryStore::default());
    from.commit(&[Write::Person(person(0, "secret-token")), Write::Person(person(1, "secret-token"))]).unwrap();
    let text = exported(&from, Secrets::Without);
    assert!(!text.contains("secret-token"));

    to.commit(&[Write::Person(person(0, "own-token"))]).unwrap();
    let imported = import(&to, &mut text.as_bytes()).unwrap();
    assert_eq!((imported.kept, imported.without_tokens), (1, 1));
    let [known, new] = [person(0, ""), person(1, "")].map(|p| to.person(&p.contract, &p.id).unwrap().unwrap());
    assert_eq!(known.tokens.access.value.expose(), "own-token");
    assert!(matches!(new.state, TokenState::Paused { .. }));
}

#[test]
fn an_import_names_the_line_that_it_refuses() {
    let store = MemoryStore::default();
    store.commit(&[Write::Account(account(0, 0)), Write::Link(link(0, 0))]).unwrap();
    let text = exported(&store, Secrets::Without);
    let lines: Vec<&str> = text.lines().collect();
    let refused = |lines: &[&str]| {
        let text = lines.join("\n");
        import(&MemoryStore::default(), &mut text.as_bytes()).unwrap_err().to_string()
    };
    let newer = lines[2].replace("\"v\":1", "\"v\":9");
    let unknown = lines[2].replace("\"link\"", "\"ghost\"");
    assert!(refused(&[lines[0], lines[1], &newer, lines[3]]).starts_with("import line 3: its form 9 is newer"));
    assert!(refused(&[lines[0], lines[1], &unknown, lines[3]]).starts_with("import line 3: its kind is unknown"));
    assert!(refused(&lines[..3]).starts_with("import line 4: the end line is missing"));
    assert!(refused(&[lines[0], lines[1], lines[3]]).starts_with("import line 3: lines are missing"));
    assert!(refused(&lines[1..]).starts_with("import line 1: an export begins"));
    assert!(refused(&[lines[0], "{"]).starts_with("import line 2: not as an export"));
}
