//! Puts one batch together: the records, and the index keys that their new state needs or needs no more.

use super::from_sled;
use crate::model::{Account, AccountReference, Purpose, Sealer, Submission};
use crate::store::{
    StoreError, Write,
    journal::Told,
    key::{self, Key},
    record::{self, Marks, PIECE, PersonRecord},
};
use serde::Serialize;
use std::collections::BTreeMap;

/// Changes to the tree, not applied yet; later ones of the batch see the earlier ones.
pub(super) struct Staged<'t> {
    tree: &'t sled::Tree,
    sealer: &'t Sealer,
    changes: BTreeMap<Key, Option<sled::IVec>>,
}

impl<'t> Staged<'t> {
    pub(super) fn new(tree: &'t sled::Tree, sealer: &'t Sealer) -> Self {
        Self { tree, sealer, changes: BTreeMap::new() }
    }

    pub(super) fn add(&mut self, write: &Write) -> Result<(), StoreError> {
        match write {
            Write::Submission(submission) => self.submission(submission),
            Write::Account(account) => self.account(account),
            Write::RemoveAccount { contract, account } => {
                let key = key::account(contract, account);
                if let Some(old) = self.record::<Account>("an account", &key)? {
                    self.unset(key::account_by_reference(contract, &old.reference, account));
                }
                self.remove(key)
            }
            Write::Person(person) => {
                let record = PersonRecord::seal(person, Purpose::Tokens, self.sealer);
                self.plain("a person", key::person(&person.contract, &person.id), &record)
            }
            Write::RemovePerson { contract, person } => self.remove(key::person(contract, person)),
            Write::Link(link) => self.plain("a link", key::link(&link.channel, link.kind, &link.value), link),
            Write::RemoveLink { channel, kind, value } => self.remove(key::link(channel, *kind, value)),
            Write::Destination(state) => self.plain("a destination", key::destination(&state.contract), state),
        }
    }

    /// The batch, with its number.
    pub(super) fn into_batch(self, number: u64) -> sled::Batch {
        let mut batch = sled::Batch::default();
        batch.insert(key::BATCHES, &number.to_be_bytes());
        for (key, value) in self.changes {
            match value {
                Some(value) => batch.insert(key.as_bytes(), value),
                None => batch.remove(key.as_bytes()),
            }
        }
        batch
    }

    /// A submission's state.
    pub(super) fn submission(&mut self, submission: &Submission) -> Result<(), StoreError> {
        let id = submission.id;
        let key = key::submission(id);
        let old = self.get(&key)?;
        let stood = old.as_deref().map_or_else(Marks::default, Marks::read);
        let wanted = Marks::of(submission);
        if old.is_none() {
            self.set(key::by_digest(&submission.digest).with_id(id));
            self.set(key::by_name(&submission.name_hash).with_id(id));
        }
        match (stood.open, wanted.open) {
            (false, true) => self.set(key::open(id)),
            (true, false) => self.unset(key::open(id)),
            (false, false) | (true, true) => {}
        }
        if stood.source != wanted.source {
            let sidecar = submission.sidecar.as_ref().map(|sidecar| &sidecar.origin.path);
            for path in std::iter::once(&submission.origin.path).chain(sidecar) {
                let key = key::by_source(&submission.channel, path).with_id(id);
                if wanted.source { self.set(key) } else { self.unset(key) }
            }
        }
        // Keys that stood stay, because they are known by their hash alone: who reads one looks at the record.
        if stood.accounts != wanted.accounts {
            key::by_account(submission).for_each(|key| self.set(key.with_id(id)));
        }
        if stood.findings != wanted.findings {
            let key = key::findings(id);
            match wanted.findings {
                0 => self.remove(key)?,
                _ => self.plain("findings", key, &submission.findings)?,
            }
        }
        let value = record::encode_submission(submission, wanted)?;
        self.put(key, old.as_deref(), value)
    }

    fn account(&mut self, account: &Account) -> Result<(), StoreError> {
        let key = key::account(&account.contract, &account.id);
        let by_reference =
            |reference: &AccountReference| key::account_by_reference(&account.contract, reference, &account.id);
        if let Some(old) = self.record::<Account>("an account", &key)? {
            self.unset(by_reference(&old.reference));
        }
        self.set(by_reference(&account.reference));
        self.plain("an account", key, account)
    }

    fn plain<T: Serialize>(&mut self, what: &str, key: Key, record: &T) -> Result<(), StoreError> {
        let old = self.get(&key)?;
        self.put(key, old.as_deref(), record::encode_plain(what, record)?)
    }

    fn record<T: serde::de::DeserializeOwned>(&self, what: &str, key: &Key) -> Result<Option<T>, StoreError> {
        let Some(first) = self.get(key)? else { return Ok(None) };
        let whole = join(key, &first, |piece| self.get(piece))?;
        record::decode_plain(what, &whole).map(Some)
    }

    fn put(&mut self, key: Key, old: Option<&[u8]>, mut value: Vec<u8>) -> Result<(), StoreError> {
        let had = old.map_or(0, record::pieces);
        let rest = value.split_off(value.len().min(PIECE));
        let pieces = u16::try_from(rest.chunks(PIECE).count()).map_err(|_| StoreError::Record {
            doing: "write",
            what: "a submission".to_owned(),
            why: "it is too long".to_owned(),
        })?;
        record::set_pieces(&mut value, pieces);
        for (number, piece) in (1..=pieces).zip(rest.chunks(PIECE)) {
            self.changes.insert(key::piece(&key, number), Some(piece.into()));
        }
        for number in pieces + 1..=had {
            self.unset(key::piece(&key, number));
        }
        self.changes.insert(key, Some(value.into()));
        Ok(())
    }

    fn remove(&mut self, key: Key) -> Result<(), StoreError> {
        if let Some(old) = self.get(&key)? {
            for number in 1..=record::pieces(&old) {
                self.unset(key::piece(&key, number));
            }
            self.unset(key);
        }
        Ok(())
    }

    fn set(&mut self, key: Key) {
        self.changes.insert(key, Some(sled::IVec::default()));
    }

    fn unset(&mut self, key: Key) {
        self.changes.insert(key, None);
    }

    fn get(&self, key: &Key) -> Result<Option<sled::IVec>, StoreError> {
        match self.changes.get(key) {
            Some(change) => Ok(change.clone()),
            None => self.tree.get(key.as_bytes()).map_err(|error| from_sled("read from the store", error)),
        }
    }
}

/// What the journal has told of a submission where the database follows it.
pub(super) fn told_by(tree: &sled::Tree, submission: &Submission) -> Result<Told, StoreError> {
    let value = tree.get(key::submission(submission.id).as_bytes());
    let value = value.map_err(|error| from_sled("read from the store", error))?;
    let marks = value.as_deref().map_or_else(Marks::default, Marks::read);
    Ok(Told { claim: value.is_some(), findings: marks.findings == Marks::of_findings(&submission.findings) })
}

/// A value with its further pieces.
pub(super) fn join(
    key: &Key,
    first: &sled::IVec,
    mut piece: impl FnMut(&Key) -> Result<Option<sled::IVec>, StoreError>,
) -> Result<sled::IVec, StoreError> {
    let pieces = record::pieces(first);
    if pieces == 0 {
        return Ok(first.clone());
    }
    let mut whole = first.to_vec();
    for number in 1..=pieces {
        let next = piece(&key::piece(key, number))?;
        whole.extend_from_slice(&next.ok_or_else(|| StoreError::Damaged {
            why: format!("piece {number} of {pieces} of a record is missing"),
        })?);
    }
    Ok(whole.into())
}
