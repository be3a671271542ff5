//! The verbs of the trait, on the tree.

use super::{SledStore, from_sled, pending::Pending, staged::join};
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
use std::{collections::BTreeSet, iter::Peekable, ops::Bound};

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
        self.view(|view| view.submission(id))
    }

    fn open_submissions(&self, after: Option<SubmissionId>, limit: usize) -> Result<Vec<Submission>, StoreError> {
        self.view(|view| view.open_submissions(after, limit))
    }

    fn submissions(
        &self,
        order: Order,
        from: Option<SubmissionId>,
        limit: usize,
    ) -> Result<Vec<Submission>, StoreError> {
        self.view(|view| view.submissions(order, from, limit))
    }

    fn last_submission_id(&self) -> Result<Option<SubmissionId>, StoreError> {
        self.view(|view| {
            let stored = backward(view.tree, key::SUBMISSION, None).next().transpose()?;
            Ok(stored.max(view.pending.all().next_back().map(|submission| submission.id)))
        })
    }

    fn by_digest(&self, digest: &Digest) -> Result<Vec<SubmissionId>, StoreError> {
        self.view(|view| view.ids(&key::by_digest(digest), |submission| submission.digest == *digest))
    }

    fn by_name(&self, name: &KeyedHash) -> Result<Vec<SubmissionId>, StoreError> {
        self.view(|view| view.ids(&key::by_name(name), |submission| submission.name_hash == *name))
    }

    fn latest_at(
        &self,
        contract: &ContractName,
        account: &AccountId,
        digest: &Digest,
        limit: usize,
    ) -> Result<Vec<Submission>, StoreError> {
        let is_wanted =
            |submission: &Submission| submission.digest == *digest && submission.may_be_at(contract, account);
        self.view(|view| {
            let beginning = key::at_account(contract, account, digest);
            let stored = view.tree.scan_prefix(beginning.as_bytes()).keys().rev().filter_map(id_in);
            view.select(Order::NewestFirst, stored, is_wanted, limit)
        })
    }

    fn source(&self, channel: &ChannelName, path: &ForeignName) -> Result<Vec<Submission>, StoreError> {
        let is_wanted = |submission: &Submission| {
            let sidecar = submission.sidecar.as_ref().map(|sidecar| &sidecar.origin.path);
            submission.source_pending
                && submission.channel == *channel
                && (submission.origin.path == *path || sidecar == Some(path))
        };
        self.view(|view| {
            let stored = view.tree.scan_prefix(key::by_source(channel, path).as_bytes()).keys().filter_map(id_in);
            view.select(Order::OldestFirst, stored, is_wanted, usize::MAX)
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
        self.view(|view| view.persons(contract, &self.sealer))
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

    fn view<T>(&self, job: impl FnOnce(View<'_>) -> Result<T, StoreError>) -> Result<T, StoreError> {
        self.with(|opened| job(View { tree: &opened.database, pending: &opened.pending() }))
    }
}

fn of(kind: u8, contract: Option<&ContractName>) -> Key {
    contract.map_or_else(|| Key::of(kind), |contract| key::of_contract(kind, contract))
}

/// What is known: the database, and the submissions that it does not have yet.
#[derive(Clone, Copy)]
pub(super) struct View<'v> {
    pub(super) tree: &'v sled::Tree,
    pub(super) pending: &'v Pending,
}

impl View<'_> {
    /// The record of this id, with its findings.
    pub(super) fn submission(self, id: SubmissionId) -> Result<Option<Submission>, StoreError> {
        match self.pending.get(id) {
            Some(submission) => Ok(Some(submission.clone())),
            None => stored(self.tree, id),
        }
    }

    /// Open ones in claim order, at most so many after this one.
    pub(super) fn open_submissions(
        self,
        after: Option<SubmissionId>,
        limit: usize,
    ) -> Result<Vec<Submission>, StoreError> {
        let is_wanted =
            |submission: &Submission| after.is_none_or(|after| after < submission.id) && is_open(submission);
        self.select(Order::OldestFirst, forward(self.tree, key::OPEN, after), is_wanted, limit)
    }

    /// At most so many that follow this one in this order.
    pub(super) fn submissions(
        self,
        order: Order,
        from: Option<SubmissionId>,
        limit: usize,
    ) -> Result<Vec<Submission>, StoreError> {
        match order {
            Order::OldestFirst => {
                let follows = |submission: &Submission| from.is_none_or(|from| from < submission.id);
                self.select(order, forward(self.tree, key::SUBMISSION, from), follows, limit)
            }
            Order::NewestFirst => {
                let follows = |submission: &Submission| from.is_none_or(|from| from > submission.id);
                self.select(order, backward(self.tree, key::SUBMISSION, from), follows, limit)
            }
        }
    }

    /// Persons with their tokens opened.
    pub(super) fn persons(self, contract: Option<&ContractName>, sealer: &Sealer) -> Result<Vec<Person>, StoreError> {
        let records = all::<PersonRecord>(self.tree, "a person", &of(key::PERSON, contract))?;
        records.into_iter().map(|record| record.open(Purpose::Tokens, sealer)).collect()
    }

    /// The ids that an index has, with those that it will have.
    fn ids(self, beginning: &Key, is_wanted: impl Fn(&Submission) -> bool) -> Result<Vec<SubmissionId>, StoreError> {
        let stored = self.tree.scan_prefix(beginning.as_bytes()).keys().filter_map(id_in);
        let pending = self.pending.all().filter(|submission| is_wanted(submission)).map(|submission| Ok(submission.id));
        Ok(stored.chain(pending).collect::<Result<BTreeSet<_>, _>>()?.into_iter().collect())
    }

    /// At most so many of those that an index has, and of those that it will have, as they are now. An index may have
    /// more than what is wanted: a state that has changed since, or an earlier one's key.
    fn select(
        self,
        order: Order,
        stored: impl Iterator<Item = Result<SubmissionId, StoreError>>,
        is_wanted: impl Fn(&Submission) -> bool,
        limit: usize,
    ) -> Result<Vec<Submission>, StoreError> {
        let mut pending: Vec<SubmissionId> =
            self.pending.all().filter(|submission| is_wanted(submission)).map(|submission| submission.id).collect();
        if order == Order::NewestFirst {
            pending.reverse();
        }
        let mut found = Vec::new();
        let ids = Merged { order, stored: stored.peekable(), pending: pending.into_iter().peekable() };
        for id in ids {
            if found.len() == limit {
                break;
            }
            found.extend(self.submission(id?)?.filter(|submission| is_wanted(submission)));
        }
        Ok(found)
    }
}

/// Two sequences of ids in one order as one, without repeats.
struct Merged<S: Iterator> {
    order: Order,
    stored: Peekable<S>,
    pending: Peekable<std::vec::IntoIter<SubmissionId>>,
}

impl<S: Iterator<Item = Result<SubmissionId, StoreError>>> Iterator for Merged<S> {
    type Item = S::Item;

    fn next(&mut self) -> Option<Self::Item> {
        let (Some(Ok(stored)), Some(pending)) = (self.stored.peek(), self.pending.peek()) else {
            return self.stored.next().or_else(|| self.pending.next().map(Ok));
        };
        let first = match self.order {
            Order::OldestFirst => *stored.min(pending),
            Order::NewestFirst => *stored.max(pending),
        };
        if *pending == first {
            self.pending.next();
        }
        let is_stored = *stored == first;
        if is_stored { self.stored.next() } else { Some(Ok(first)) }
    }
}

/// The record of this id as the database has it, with its findings.
fn stored(tree: &sled::Tree, id: SubmissionId) -> Result<Option<Submission>, StoreError> {
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

/// The id at the end of a key; none where the key has none.
fn id_in(key: sled::Result<sled::IVec>) -> Option<Result<SubmissionId, StoreError>> {
    key.map(|key| key::id_of(&key)).map_err(reading).transpose()
}

fn forward(
    tree: &sled::Tree,
    kind: u8,
    after: Option<SubmissionId>,
) -> impl Iterator<Item = Result<SubmissionId, StoreError>> {
    let start = match after {
        Some(id) => Bound::Excluded(Key::of(kind).with_id(id)),
        None => Bound::Included(Key::of(kind)),
    };
    let range = (start.map(Key::into_bytes), Bound::Excluded(vec![kind + 1]));
    tree.range::<Vec<u8>, _>(range).keys().filter_map(id_in)
}

fn backward(
    tree: &sled::Tree,
    kind: u8,
    before: Option<SubmissionId>,
) -> impl Iterator<Item = Result<SubmissionId, StoreError>> {
    let end = before.map_or_else(|| vec![kind + 1], |id| Key::of(kind).with_id(id).into_bytes());
    tree.range::<Vec<u8>, _>(vec![kind]..end).keys().rev().filter_map(id_in)
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
