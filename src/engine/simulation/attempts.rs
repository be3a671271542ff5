//! Where a file may be by its attempts: faults and their regressions, with records as a test writes them.

use super::cast::{account_record, cast};
use crate::{
    engine::{
        lookup::earlier,
        step::{Engine, Rules},
    },
    model::{
        Attempt, AttemptOutcome, ClaimedFile, ForeignName, HoldReason, KeyedHash, Origin, PushType, Recipient,
        SourceIdentity, Stage, Submission, SubmissionId, Timestamp,
    },
    store::{Store, Write, memory::MemoryStore},
};
use std::collections::BTreeMap;

const AT: Timestamp = Timestamp::from_millis(1_480_000_000_000);

pub(in crate::engine) fn to(account: usize) -> Recipient {
    let digest = cast().contents[0].digest;
    cast().parcel(SubmissionId::from_u64(0), digest, false, &account_record(account)).recipient().clone()
}

pub(in crate::engine) fn attempt(number: u32, account: usize, outcome: AttemptOutcome) -> Attempt {
    Attempt {
        number,
        recipient: Some(to(account)),
        at: AT,
        millis: 0,
        outcome,
        status: None,
        code: None,
        reference: None,
        detail: None,
    }
}

/// Of the first of the cast's contents.
pub(in crate::engine) fn record(number: u64) -> Submission {
    let file = ClaimedFile {
        channel: cast().channels[0].0.clone(),
        push: PushType::Provider,
        origin: Origin {
            path: ForeignName::new(number.to_string()),
            folder: None,
            identity: SourceIdentity { inode: 0, size: 1, modified: 0 },
        },
        name_hash: KeyedHash::from_bytes([0; 16]),
        sidecar: None,
        digest: cast().contents[0].digest,
        size: 1,
    };
    Submission::claimed(SubmissionId::from_u64(number << 16), AT, file)
}

/// What a new file of these bytes is told of an earlier one when it is judged for the account.
fn told(records: Vec<Submission>, account: usize) -> Option<SubmissionId> {
    let store = MemoryStore::default();
    store.commit(&records.into_iter().map(|record| Write::Submission(Box::new(record))).collect::<Vec<_>>()).unwrap();
    let engine = Engine::new(Rules { channels: BTreeMap::new(), connections: 1, parcels: 1, seed: 0 });
    let digest = cast().contents[0].digest;
    let parcel = cast().parcel(SubmissionId::from_u64(u64::MAX), digest, false, &account_record(account));
    earlier(&store, &engine, &parcel).unwrap().map(|(of, _)| of)
}

#[test]
fn a_file_that_may_have_arrived_counts_there_after_it_was_delivered_elsewhere() {
    let moved = Submission {
        stage: Stage::Dropped,
        recipient: Some(to(1)),
        attempts: vec![attempt(1, 0, AttemptOutcome::Unknown), attempt(2, 1, AttemptOutcome::Refused)],
        ..record(1)
    };
    assert_eq!(told(vec![moved.clone()], 0), Some(moved.id));
    assert_eq!(told(vec![moved.clone()], 1), None);
    assert_eq!(told(vec![moved], 2), None);
}

#[test]
fn a_file_that_may_have_arrived_counts_however_many_repeats_of_it_were_given_up() {
    let first = Submission {
        stage: Stage::Dropped,
        recipient: Some(to(0)),
        attempts: vec![attempt(1, 0, AttemptOutcome::Unknown)],
        ..record(1)
    };
    let repeat = |number| Submission {
        stage: if number % 2 == 0 { Stage::Dropped } else { Stage::Held(HoldReason::DuplicateOpen { of: first.id }) },
        recipient: Some(to(0)),
        ..record(number)
    };
    let records = std::iter::once(first.clone()).chain((2..200).map(repeat)).collect();
    assert_eq!(told(records, 0), Some(first.id));
}

/// The daemon has nothing to do with the records of such a channel, but the account may have the file all the same.
#[test]
fn an_unknown_of_a_channel_that_is_no_longer_configured_still_counts() {
    let unknown = Submission {
        channel: "renamed".parse().unwrap(),
        stage: Stage::Unknown { attempt: 1 },
        recipient: Some(to(0)),
        attempts: vec![attempt(1, 0, AttemptOutcome::Unknown)],
        ..record(1)
    };
    assert_eq!(told(vec![unknown.clone()], 0), Some(unknown.id));
}
