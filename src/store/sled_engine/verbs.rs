//! The verbs of the trait, on the tree.

use super::{SledStore, from_sled, staged::join};
use crate::model::{
    Account, AccountId, AccountReference, ChannelName, ContractName, Digest, EvidenceKind, ForeignName, KeyedHash,
    Link, LinkValue, Person, PersonId, Purpose, Sealer, Submission, SubmissionId,
};
use crate::store::{
    DestinationState, Order, Store, StoreError, Write, is_open,
    key::{self, Key},
    record::{self, Marks, PersonRecord},
};
use serde::de::DeserializeOwned;
use std::ops::Bound;

impl Store for SledStore {
    fn was_rebuilt(&self) -> Option<String> {
        self.rebuilt().map(|rebuilt| rebuilt.to_string())
    }

    fn apply(&self, writes: &[Write]) -> Result<(), StoreError> {
        self.write(writes)
    }

    fn sync(&self) -> Result<(), StoreError> {
        self.bring_to_disk()
    }

    fn reopen(&self) -> Result<(), StoreError> {
        self.open_again()
    }

    fn retire(&self) -> Result<(), StoreError> {
        self.folder.retire().map_err(|source| StoreError::Io { doing: "retire the store", source })
    }

    fn submission(&self, id: SubmissionId) -> Result<Option<Submission>, StoreError> {
        self.read(|tree| submission(tree, id))
    }

    fn open_submissions(&self, after: Option<SubmissionId>, limit: usize) -> Result<Vec<Submission>, StoreError> {
        self.read(|tree| open_submissions(tree, after, limit))
    }

    fn submissions(
        &self,
        order: Order,
        from: Option<SubmissionId>,
        limit: usize,
    ) -> Result<Vec<Submission>, StoreError> {
        self.read(|tree| match order {
            Order::OldestFirst => submissions(tree, from, limit),
            Order::NewestFirst => read_all(tree, backward(tree, key::SUBMISSION, from).take(limit)),
        })
    }

    fn last_submission_id(&self) -> Result<Option<SubmissionId>, StoreError> {
        self.read(|tree| {
            let last = backward(tree, key::SUBMISSION, None).next().transpose()?;
            Ok(last.and_then(|key| key::id_of(&key)))
        })
    }

    fn by_digest(&self, digest: &Digest) -> Result<Vec<SubmissionId>, StoreError> {
        self.read(|tree| ids(tree, &key::by_digest(digest)))
    }

    fn by_name(&self, name: &KeyedHash) -> Result<Vec<SubmissionId>, StoreError> {
        self.read(|tree| ids(tree, &key::by_name(name)))
    }

    fn latest_at(
        &self,
        contract: &ContractName,
        account: &AccountId,
        digest: &Digest,
        limit: usize,
    ) -> Result<Vec<Submission>, StoreError> {
        self.read(|tree| {
            let mut found = Vec::new();
            for entry in tree.scan_prefix(key::at_account(contract, account, digest).as_bytes()).keys().rev() {
                if found.len() == limit {
                    break;
                }
                let submission = indexed(tree, &entry.map_err(reading)?)?;
                found.extend(submission.filter(|submission| submission.may_be_at(contract, account)));
            }
            Ok(found)
        })
    }

    fn source(&self, channel: &ChannelName, path: &ForeignName) -> Result<Vec<Submission>, StoreError> {
        self.read(|tree| {
            let ids = ids(tree, &key::by_source(channel, path))?;
            let found = ids.into_iter().map(|id| submission(tree, id)).collect::<Result<Vec<_>, _>>()?;
            Ok(found.into_iter().flatten().filter(|submission| submission.source_pending).collect())
        })
    }

    fn account(&self, contract: &ContractName, account: &AccountId) -> Result<Option<Account>, StoreError> {
        self.read(|tree| plain(tree, "an account", &key::account(contract, account)))
    }

    fn accounts(&self, contract: Option<&ContractName>) -> Result<Vec<Account>, StoreError> {
        self.read(|tree| all(tree, "an account", &of(key::ACCOUNT, contract)))
    }

    fn accounts_by_reference(
        &self,
        contract: &ContractName,
        reference: &AccountReference,
    ) -> Result<Vec<Account>, StoreError> {
        let beginning = key::by_reference(contract, reference);
        self.read(|tree| {
            let mut found = Vec::new();
            for entry in tree.scan_prefix(beginning.as_bytes()).keys() {
                let entry = entry.map_err(reading)?;
                let id = entry.get(beginning.as_bytes().len()..entry.len() - 1);
                let id = id.and_then(|id| std::str::from_utf8(id).ok()?.parse().ok());
                let id = id.ok_or_else(|| StoreError::Damaged { why: "an index key has no account id".to_owned() })?;
                found.extend(plain(tree, "an account", &key::account(contract, &id))?);
            }
            Ok(found)
        })
    }

    fn person(&self, contract: &ContractName, person: &PersonId) -> Result<Option<Person>, StoreError> {
        let record = self.read(|tree| plain::<PersonRecord>(tree, "a person", &key::person(contract, person)))?;
        record.map(|record| record.open(Purpose::Tokens, &self.sealer)).transpose()
    }

    fn persons(&self, contract: Option<&ContractName>) -> Result<Vec<Person>, StoreError> {
        self.read(|tree| persons(tree, contract, &self.sealer))
    }

    fn link(&self, channel: &ChannelName, kind: EvidenceKind, value: &LinkValue) -> Result<Option<Link>, StoreError> {
        self.read(|tree| plain(tree, "a link", &key::link(channel, kind, value)))
    }

    fn links(&self, channel: Option<&ChannelName>) -> Result<Vec<Link>, StoreError> {
        let beginning = channel.map_or_else(|| Key::of(key::LINK), key::of_channel);
        let mut links: Vec<Link> = self.read(|tree| all(tree, "a link", &beginning))?;
        links.sort_by(|a, b| (&a.channel, a.kind, &a.value).cmp(&(&b.channel, b.kind, &b.value)));
        Ok(links)
    }

    fn destination(&self, contract: &ContractName) -> Result<Option<DestinationState>, StoreError> {
        self.read(|tree| plain(tree, "a destination", &key::destination(contract)))
    }

    fn destinations(&self) -> Result<Vec<DestinationState>, StoreError> {
        self.read(|tree| all(tree, "a destination", &Key::of(key::DESTINATION)))
    }
}

impl SledStore {
    /// Seals anew, under the present key, what an earlier key sealed.
    pub(super) fn seal_anew(&self) -> Result<(), StoreError> {
        let records = self.read(|tree| all::<PersonRecord>(tree, "a person", &of(key::PERSON, None)))?;
        let earlier = records.into_iter().filter(|record| record.key() != self.sealer.present());
        let writes = earlier.map(|record| record.open(Purpose::Tokens, &self.sealer).map(Write::Person));
        let writes = writes.collect::<Result<Vec<_>, _>>()?;
        if writes.is_empty() { Ok(()) } else { self.commit(&writes) }
    }

    fn read<T>(&self, job: impl FnOnce(&sled::Tree) -> Result<T, StoreError>) -> Result<T, StoreError> {
        self.with(|opened| job(&opened.database))
    }
}

fn of(kind: u8, contract: Option<&ContractName>) -> Key {
    contract.map_or_else(|| Key::of(kind), |contract| key::of_contract(kind, contract))
}

/// Open ones in claim order, at most so many after this one.
pub(super) fn open_submissions(
    tree: &sled::Tree,
    after: Option<SubmissionId>,
    limit: usize,
) -> Result<Vec<Submission>, StoreError> {
    let mut found = Vec::new();
    for key in forward(tree, key::OPEN, after) {
        if found.len() == limit {
            break;
        }
        // between the key and the record a batch may have closed it
        found.extend(indexed(tree, &key?)?.filter(is_open));
    }
    Ok(found)
}

/// All in claim order, at most so many after this one.
pub(super) fn submissions(
    tree: &sled::Tree,
    after: Option<SubmissionId>,
    limit: usize,
) -> Result<Vec<Submission>, StoreError> {
    read_all(tree, forward(tree, key::SUBMISSION, after).take(limit))
}

fn read_all(
    tree: &sled::Tree,
    keys: impl Iterator<Item = Result<sled::IVec, StoreError>>,
) -> Result<Vec<Submission>, StoreError> {
    let mut found = Vec::new();
    for key in keys {
        found.extend(indexed(tree, &key?)?);
    }
    Ok(found)
}

/// Persons with their tokens opened.
pub(super) fn persons(
    tree: &sled::Tree,
    contract: Option<&ContractName>,
    sealer: &Sealer,
) -> Result<Vec<Person>, StoreError> {
    let records = all::<PersonRecord>(tree, "a person", &of(key::PERSON, contract))?;
    records.into_iter().map(|record| record.open(Purpose::Tokens, sealer)).collect()
}

/// The record of this id, with its findings.
pub(super) fn submission(tree: &sled::Tree, id: SubmissionId) -> Result<Option<Submission>, StoreError> {
    let key = key::submission(id);
    loop {
        let Some(found) = value(tree, &key)? else { return Ok(None) };
        let mut submission = record::decode_submission(&found)?;
        let marks = Marks::read(&found);
        if marks.findings == 0 {
            return Ok(Some(submission));
        }
        let findings = plain(tree, "findings", &key::findings(id))?;
        // A batch may have come between the two readings.
        let now = tree.get(key.as_bytes()).map_err(reading)?;
        if now.as_deref().map(Marks::read) == Some(marks) {
            submission.findings = findings
                .ok_or_else(|| StoreError::Damaged { why: "the findings of a submission are missing".to_owned() })?;
            return Ok(Some(submission));
        }
    }
}

fn indexed(tree: &sled::Tree, key: &[u8]) -> Result<Option<Submission>, StoreError> {
    key::id_of(key).map_or(Ok(None), |id| submission(tree, id))
}

fn plain<T: DeserializeOwned>(tree: &sled::Tree, what: &str, key: &Key) -> Result<Option<T>, StoreError> {
    value(tree, key)?.map(|value| record::decode_plain(what, &value)).transpose()
}

fn all<T: DeserializeOwned>(tree: &sled::Tree, what: &str, beginning: &Key) -> Result<Vec<T>, StoreError> {
    let mut found = Vec::new();
    for entry in tree.scan_prefix(beginning.as_bytes()).keys() {
        let key = Key::from_bytes(&entry.map_err(reading)?);
        found.extend(plain(tree, what, &key)?);
    }
    Ok(found)
}

fn ids(tree: &sled::Tree, beginning: &Key) -> Result<Vec<SubmissionId>, StoreError> {
    let keys = tree.scan_prefix(beginning.as_bytes()).keys();
    keys.filter_map(|key| key.map(|key| key::id_of(&key)).map_err(reading).transpose()).collect()
}

fn forward(
    tree: &sled::Tree,
    kind: u8,
    after: Option<SubmissionId>,
) -> impl Iterator<Item = Result<sled::IVec, StoreError>> {
    let start = match after {
        Some(id) => Bound::Excluded(Key::of(kind).with_id(id)),
        None => Bound::Included(Key::of(kind)),
    };
    let range = (start.map(Key::into_bytes), Bound::Excluded(vec![kind + 1]));
    tree.range::<Vec<u8>, _>(range).keys().map(|key| key.map_err(reading))
}

fn backward(
    tree: &sled::Tree,
    kind: u8,
    before: Option<SubmissionId>,
) -> impl Iterator<Item = Result<sled::IVec, StoreError>> {
    let end = before.map_or_else(|| vec![kind + 1], |id| Key::of(kind).with_id(id).into_bytes());
    tree.range::<Vec<u8>, _>(vec![kind]..end).keys().rev().map(|key| key.map_err(reading))
}

/// A value with all its pieces, of one state: a batch may come between the reading of two pieces.
fn value(tree: &sled::Tree, key: &Key) -> Result<Option<sled::IVec>, StoreError> {
    let mut first = tree.get(key.as_bytes()).map_err(reading)?;
    loop {
        let Some(value) = &first else { return Ok(None) };
        if record::pieces(value) == 0 {
            return Ok(first);
        }
        let whole = join(key, value, |piece| tree.get(piece.as_bytes()).map_err(reading));
        let again = tree.get(key.as_bytes()).map_err(reading)?;
        if again == first {
            return whole.map(Some);
        }
        first = again;
    }
}

fn reading(error: sled::Error) -> StoreError {
    from_sled("read from the store", error)
}
