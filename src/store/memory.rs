//! A store in memory, for tests: plain maps without any index, so that it can judge the real one; and it fails and
//! forgets on order, as a disk does.

use super::{DestinationState, Order, Store, StoreError, Write, is_open};
use crate::model::{
    Account, AccountId, AccountReference, ChannelName, ContractName, Digest, EvidenceKind, ForeignName, KeyedHash,
    Link, LinkValue, Person, PersonId, Submission, SubmissionId,
};
use std::{
    collections::BTreeMap,
    io,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// The store. What was applied and not synced is gone after [`MemoryStore::fail`] and [`Store::reopen`].
#[derive(Default)]
pub(crate) struct MemoryStore(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    now: State,
    on_disk: State,
    unsynced: Vec<Write>,
    closed: bool,
    fail_syncs: u32,
    fail_reopens: u32,
    syncs: u64,
}

#[derive(Clone, Default)]
struct State {
    submissions: BTreeMap<SubmissionId, Submission>,
    accounts: BTreeMap<(ContractName, AccountId), Account>,
    persons: BTreeMap<(ContractName, PersonId), Person>,
    links: BTreeMap<(ChannelName, EvidenceKind, LinkValue), Link>,
    destinations: BTreeMap<ContractName, DestinationState>,
}

impl MemoryStore {
    /// The next syncs fail, so many, and then so many times opening again.
    pub(crate) fn fail(&self, syncs: u32, reopens: u32) {
        let mut inner = self.inner();
        inner.fail_syncs = syncs;
        inner.fail_reopens = reopens;
    }

    /// How many syncs worked.
    pub(crate) fn syncs(&self) -> u64 {
        self.inner().syncs
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read<T>(&self, job: impl FnOnce(&State) -> T) -> Result<T, StoreError> {
        let inner = self.inner();
        if inner.closed { Err(StoreError::Unavailable) } else { Ok(job(&inner.now)) }
    }
}

impl State {
    fn apply(&mut self, write: &Write) {
        match write.clone() {
            Write::Submission(submission) => {
                self.submissions.insert(submission.id, *submission);
            }
            Write::Account(account) => {
                self.accounts.insert((account.contract.clone(), account.id.clone()), account);
            }
            Write::RemoveAccount { contract, account } => {
                self.accounts.remove(&(contract, account));
            }
            Write::Person(person) => {
                self.persons.insert((person.contract.clone(), person.id.clone()), person);
            }
            Write::RemovePerson { contract, person } => {
                self.persons.remove(&(contract, person));
            }
            Write::Link(link) => {
                self.links.insert((link.channel.clone(), link.kind, link.value.clone()), link);
            }
            Write::RemoveLink { channel, kind, value } => {
                self.links.remove(&(channel, kind, value));
            }
            Write::Destination(state) => {
                self.destinations.insert(state.contract.clone(), state);
            }
        }
    }

    fn select(&self, wanted: impl Fn(&Submission) -> bool) -> impl DoubleEndedIterator<Item = &Submission> {
        self.submissions.values().filter(move |submission| wanted(submission))
    }
}

fn ordered() -> io::Error {
    io::Error::other("ordered by the test")
}

impl Store for MemoryStore {
    fn apply(&self, writes: &[Write]) -> Result<(), StoreError> {
        let mut inner = self.inner();
        if inner.closed {
            return Err(StoreError::Unavailable);
        }
        for write in writes {
            inner.now.apply(write);
            inner.unsynced.push(write.clone());
        }
        Ok(())
    }

    fn sync(&self) -> Result<(), StoreError> {
        let mut inner = self.inner();
        if inner.closed {
            return Err(StoreError::Unavailable);
        }
        if inner.fail_syncs > 0 {
            inner.fail_syncs -= 1;
            inner.closed = true;
            return Err(StoreError::Io { doing: "sync the store's file", source: ordered() });
        }
        for write in std::mem::take(&mut inner.unsynced) {
            inner.on_disk.apply(&write);
        }
        inner.syncs += 1;
        Ok(())
    }

    fn reopen(&self) -> Result<(), StoreError> {
        let mut inner = self.inner();
        inner.closed = true;
        if inner.fail_reopens > 0 {
            inner.fail_reopens -= 1;
            return Err(StoreError::Io { doing: "open the store", source: ordered() });
        }
        inner.now = inner.on_disk.clone();
        inner.unsynced.clear();
        inner.closed = false;
        Ok(())
    }

    fn retire(&self) -> Result<(), StoreError> {
        Ok(()) // it is never opened again anyway
    }

    fn submission(&self, id: SubmissionId) -> Result<Option<Submission>, StoreError> {
        self.read(|state| state.submissions.get(&id).cloned())
    }

    fn open_submissions(&self, after: Option<SubmissionId>, limit: usize) -> Result<Vec<Submission>, StoreError> {
        self.read(|state| {
            let wanted = |s: &Submission| is_open(s) && after.is_none_or(|after| s.id > after);
            state.select(wanted).take(limit).cloned().collect()
        })
    }

    fn submissions(
        &self,
        order: Order,
        from: Option<SubmissionId>,
        limit: usize,
    ) -> Result<Vec<Submission>, StoreError> {
        self.read(|state| match order {
            Order::OldestFirst => state.select(|s| from.is_none_or(|from| s.id > from)).take(limit).cloned().collect(),
            Order::NewestFirst => {
                state.select(|s| from.is_none_or(|from| s.id < from)).rev().take(limit).cloned().collect()
            }
        })
    }

    fn last_submission_id(&self) -> Result<Option<SubmissionId>, StoreError> {
        self.read(|state| state.submissions.keys().next_back().copied())
    }

    fn by_digest(&self, digest: &Digest) -> Result<Vec<SubmissionId>, StoreError> {
        self.read(|state| state.select(|s| s.digest == *digest).map(|s| s.id).collect())
    }

    fn by_name(&self, name: &KeyedHash) -> Result<Vec<SubmissionId>, StoreError> {
        self.read(|state| state.select(|s| s.name_hash == *name).map(|s| s.id).collect())
    }

    fn latest_at(
        &self,
        contract: &ContractName,
        account: &AccountId,
        digest: &Digest,
        limit: usize,
    ) -> Result<Vec<Submission>, StoreError> {
        self.read(|state| {
            let wanted = |s: &Submission| s.digest == *digest && s.may_be_at(contract, account);
            state.select(wanted).rev().take(limit).cloned().collect()
        })
    }

    fn source(&self, channel: &ChannelName, path: &ForeignName) -> Result<Vec<Submission>, StoreError> {
        self.read(|state| {
            let wanted = |s: &Submission| {
                let sidecar = s.sidecar.as_ref().is_some_and(|sidecar| sidecar.origin.path == *path);
                s.channel == *channel && s.source_pending && (s.origin.path == *path || sidecar)
            };
            state.select(wanted).cloned().collect()
        })
    }

    fn account(&self, contract: &ContractName, account: &AccountId) -> Result<Option<Account>, StoreError> {
        self.read(|state| state.accounts.get(&(contract.clone(), account.clone())).cloned())
    }

    fn accounts(&self, contract: Option<&ContractName>) -> Result<Vec<Account>, StoreError> {
        let wanted = |account: &&Account| contract.is_none_or(|contract| account.contract == *contract);
        self.read(|state| state.accounts.values().filter(wanted).cloned().collect())
    }

    fn accounts_by_reference(
        &self,
        contract: &ContractName,
        reference: &AccountReference,
    ) -> Result<Vec<Account>, StoreError> {
        let wanted = |account: &&Account| account.contract == *contract && account.reference == *reference;
        self.read(|state| state.accounts.values().filter(wanted).cloned().collect())
    }

    fn person(&self, contract: &ContractName, person: &PersonId) -> Result<Option<Person>, StoreError> {
        self.read(|state| state.persons.get(&(contract.clone(), person.clone())).cloned())
    }

    fn persons(&self, contract: Option<&ContractName>) -> Result<Vec<Person>, StoreError> {
        let wanted = |person: &&Person| contract.is_none_or(|contract| person.contract == *contract);
        self.read(|state| state.persons.values().filter(wanted).cloned().collect())
    }

    fn link(&self, channel: &ChannelName, kind: EvidenceKind, value: &LinkValue) -> Result<Option<Link>, StoreError> {
        self.read(|state| state.links.get(&(channel.clone(), kind, value.clone())).cloned())
    }

    fn links(&self, channel: Option<&ChannelName>) -> Result<Vec<Link>, StoreError> {
        let wanted = |link: &&Link| channel.is_none_or(|channel| link.channel == *channel);
        self.read(|state| state.links.values().filter(wanted).cloned().collect())
    }

    fn destination(&self, contract: &ContractName) -> Result<Option<DestinationState>, StoreError> {
        self.read(|state| state.destinations.get(contract).cloned())
    }

    fn destinations(&self) -> Result<Vec<DestinationState>, StoreError> {
        self.read(|state| state.destinations.values().cloned().collect())
    }
}
