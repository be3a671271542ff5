//! CELLAR: what pushbridge knows, on disk, behind a trait of domain verbs.
//!
//! [`Store`] is the trait; [`SledStore`] is its engine, a journal with sled 0.34.7 behind it, and the only user of sled, so
//! that another engine can take its place. [`Writer`] shares one flush and sync among many transitions.
//! [`export`] and [`import`] carry everything as JSON lines.
//!
//! What must stay true:
//! - The writes of one [`Store::commit`] are in the store together or not at all, their indices included.
//! - What `commit` returned for (or what [`Writer`] called `done` for) is on the disk itself.
//! - A record is written whole, so that writing it again changes nothing: that is how the writer recovers.
//! - A submission's id, channel, origin, sidecar, digest and name hash never change once it is stored.

mod backup;
#[cfg(test)]
mod damage_test;
mod export;
#[cfg(test)]
mod fixture_test;
mod journal;
mod key;
#[cfg(test)]
mod kill_test;
#[cfg(test)]
pub(crate) mod memory;
#[cfg(test)]
mod model_test;
mod record;
mod sled_engine;
mod writer;

pub use backup::{BackupError, Restored, Source, backup, confirm, restore, unconfirmed};
pub use export::{ExportError, ImportError, Imported, Secrets, export, fill_new_file, import};
pub use sled_engine::{Rebuilt, SledStore};
pub use writer::{Shutdown, StoreTrouble, Writer};

use crate::model::{
    Account, AccountId, AccountReference, ChannelName, ContractName, Digest, EvidenceKind, ForeignName, KeyedHash,
    Link, LinkValue, Person, PersonId, SealError, Submission, SubmissionId, Timestamp,
};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, io, path::PathBuf};

/// Why the store could not do its job. The texts fit after "failed to" and hold no record's contents.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process has the store open.
    #[error("open the store {}: another pushbridge has the store open; stop that one first", folder.display())]
    Locked {
        /// The store's folder.
        folder: PathBuf,
    },
    /// A later pushbridge wrote it. It is left untouched.
    #[error(
        "open the store: its version is {found} and this pushbridge knows versions up to {known}; \
         use the newer pushbridge that wrote it (nothing was changed)"
    )]
    Newer {
        /// The version on disk.
        found: u32,
        /// The newest version that this program reads.
        known: u32,
    },
    /// It was moved to another machine.
    #[error(
        "open the store {}: it was moved to another machine at {when}, which pushes now; if that came to nothing, \
         remove the file `moved` in it",
        folder.display()
    )]
    Moved {
        /// The store's folder.
        folder: PathBuf,
        /// When.
        when: String,
    },
    /// It cannot be read as a store.
    #[error("read the store: it is damaged ({why}); move its folder aside and start again from a backup or an export")]
    Damaged {
        /// What was found.
        why: String,
    },
    /// Tokens cannot be opened: nothing is damaged, a key is missing.
    #[error("open a person's tokens: {why}; give back the key that sealed them ([secrets] key of the configuration)")]
    Sealed {
        /// What is wrong.
        why: SealError,
    },
    /// The file system refused.
    #[error("{doing}: {source}")]
    Io {
        /// What was being done, with its object: "sync the store's file".
        doing: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// One record cannot be read or written.
    #[error("{doing} the record of {what}: {why}")]
    Record {
        /// "read" or "write".
        doing: &'static str,
        /// Which kind of record, and its id where that is no patient data.
        what: String,
        /// What is wrong, without its contents.
        why: String,
    },
    /// The store failed before and is not open again yet.
    #[error("use the store: it failed a moment ago and is being opened again")]
    Unavailable,
}

impl From<io::Error> for StoreError {
    /// Of the journal: what concerns the database says what was being done itself.
    fn from(source: io::Error) -> Self {
        Self::Io { doing: "read or write the store's journal", source }
    }
}

/// Whether pushing to a contract's destination is paused, as it outlives a restart.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DestinationState {
    /// The destination is the contract's.
    pub contract: ContractName,
    /// Present while it is paused.
    pub paused: Option<Pause>,
}

/// Why a destination is paused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pause {
    /// For people, without secrets and contents.
    pub why: String,
    /// Since when.
    pub since: Timestamp,
}

/// One change of what is known. Every one may be applied twice without harm.
#[derive(Clone, Debug)]
pub enum Write {
    /// Puts a submission in, or in place of its earlier state.
    Submission(Box<Submission>),
    /// Puts an account in, or in place of its earlier state.
    Account(Account),
    /// Takes an account out; none of that id is no error.
    RemoveAccount {
        /// Under this contract.
        contract: ContractName,
        /// The API's id.
        account: AccountId,
    },
    /// Puts a person and its tokens in, or in place of the earlier state.
    Person(Person),
    /// Takes a person out; none of that id is no error.
    RemovePerson {
        /// Under this contract.
        contract: ContractName,
        /// The user id.
        person: PersonId,
    },
    /// Puts a link in, or in place of the one for the same evidence.
    Link(Link),
    /// Takes a link out; no such link is no error.
    RemoveLink {
        /// In this channel.
        channel: ChannelName,
        /// Of this kind.
        kind: EvidenceKind,
        /// For this value.
        value: LinkValue,
    },
    /// Says whether a destination is paused.
    Destination(DestinationState),
}

/// In which order submissions are listed; claim order is the order of ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// In claim order.
    OldestFirst,
    /// Against claim order.
    NewestFirst,
}

/// How many open submissions stand at a stage, and since when the oldest was claimed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StageCount {
    /// How many.
    pub count: u64,
    /// When the oldest of them was claimed.
    pub oldest: Timestamp,
}

/// What the rooms above may ask of a store. Lists are sorted by id, name or value unless said otherwise.
///
/// Every verb fails with [`StoreError::Unavailable`] after a failed write until [`Store::reopen`] has worked.
pub trait Store: Send + Sync {
    /// Applies the writes in order, as one: all are in the store from now on, or none. They are on the disk
    /// only after [`Store::sync`]; the engine of a daemon uses a [`Writer`], which does both.
    ///
    /// # Errors
    /// After one the store is closed: state that may not be on the disk is not to be read.
    fn apply(&self, writes: &[Write]) -> Result<(), StoreError>;

    /// Brings everything applied so far to the disk itself.
    ///
    /// # Errors
    /// As for [`Store::apply`].
    fn sync(&self) -> Result<(), StoreError>;

    /// Opens the store again after an error; what was not synced may be gone and has to be applied again.
    ///
    /// # Errors
    /// As for opening; the store stays closed then, and this may be tried again.
    fn reopen(&self) -> Result<(), StoreError>;

    /// Retires the store because another machine has it now: from the next opening on it is refused.
    ///
    /// # Errors
    /// Of the file system; the store is not retired then.
    fn retire(&self) -> Result<(), StoreError>;

    /// What the last opening did about damage, for people; told once.
    fn was_rebuilt(&self) -> Option<String> {
        None
    }

    /// [`Store::apply`] and [`Store::sync`]: what it returns for survives power loss.
    ///
    /// # Errors
    /// As for the two.
    fn commit(&self, writes: &[Write]) -> Result<(), StoreError> {
        self.apply(writes)?;
        self.sync()
    }

    /// The submission of this id.
    ///
    /// # Errors
    /// Where the disk or the record cannot be read; so for all verbs that read.
    fn submission(&self, id: SubmissionId) -> Result<Option<Submission>, StoreError>;

    /// Open submissions in claim order: at most `limit` with ids above `after`. See [`is_open`].
    fn open_submissions(&self, after: Option<SubmissionId>, limit: usize) -> Result<Vec<Submission>, StoreError>;

    /// Submissions ever seen: at most `limit` that follow `from` (itself excluded) in this order.
    fn submissions(
        &self,
        order: Order,
        from: Option<SubmissionId>,
        limit: usize,
    ) -> Result<Vec<Submission>, StoreError>;

    /// The greatest id ever stored.
    fn last_submission_id(&self) -> Result<Option<SubmissionId>, StoreError>;

    /// Submissions whose file has these bytes.
    fn by_digest(&self, digest: &Digest) -> Result<Vec<SubmissionId>, StoreError>;

    /// Submissions whose file name has this keyed hash.
    fn by_name(&self, name: &KeyedHash) -> Result<Vec<SubmissionId>, StoreError>;

    /// Submissions of these bytes that this account has, or may have ([`Submission::may_be_at`]), newest first, at most
    /// `limit`: where a repeat finds the earlier one.
    fn latest_at(
        &self,
        contract: &ContractName,
        account: &AccountId,
        digest: &Digest,
        limit: usize,
    ) -> Result<Vec<Submission>, StoreError>;

    /// Submissions claimed from this path (their own or their sidecar's) whose source may still stand
    /// ([`Submission::source_pending`]).
    fn source(&self, channel: &ChannelName, path: &ForeignName) -> Result<Vec<Submission>, StoreError>;

    /// One account.
    fn account(&self, contract: &ContractName, account: &AccountId) -> Result<Option<Account>, StoreError>;

    /// The accounts of one contract, or of all.
    fn accounts(&self, contract: Option<&ContractName>) -> Result<Vec<Account>, StoreError>;

    /// The accounts of a contract that go by this reference: one, unless the API gave it twice.
    fn accounts_by_reference(
        &self,
        contract: &ContractName,
        reference: &AccountReference,
    ) -> Result<Vec<Account>, StoreError>;

    /// One person with its tokens.
    fn person(&self, contract: &ContractName, person: &PersonId) -> Result<Option<Person>, StoreError>;

    /// The persons of one contract, or of all.
    fn persons(&self, contract: Option<&ContractName>) -> Result<Vec<Person>, StoreError>;

    /// The link of this evidence.
    fn link(&self, channel: &ChannelName, kind: EvidenceKind, value: &LinkValue) -> Result<Option<Link>, StoreError>;

    /// The links of one channel, or of all, sorted by channel, kind and value.
    fn links(&self, channel: Option<&ChannelName>) -> Result<Vec<Link>, StoreError>;

    /// Whether a contract's destination is paused; `None` where nothing was ever said of it.
    fn destination(&self, contract: &ContractName) -> Result<Option<DestinationState>, StoreError>;

    /// Every destination's state.
    fn destinations(&self) -> Result<Vec<DestinationState>, StoreError>;

    /// How many open submissions stand at each stage, by the stage's word. Reads them all: for a `status`
    /// beside a daemon that is not running.
    fn stage_counts(&self) -> Result<BTreeMap<&'static str, StageCount>, StoreError> {
        const PAGE: usize = 1000;
        let mut counts: BTreeMap<&'static str, StageCount> = BTreeMap::new();
        let mut after = None;
        loop {
            let page = self.open_submissions(after, PAGE)?;
            for submission in &page {
                let claimed = submission.claimed_at;
                let entry = counts.entry(submission.stage.as_str()).or_insert(StageCount { count: 0, oldest: claimed });
                entry.count += 1;
                entry.oldest = entry.oldest.min(claimed);
            }
            match page.last() {
                Some(last) => after = Some(last.id),
                None => return Ok(counts),
            }
        }
    }
}

/// Whether anything is left to do or to decide about a submission: its stage is not final, or its file is
/// not yet where the stage wants it, or its source may still stand.
pub const fn is_open(submission: &Submission) -> bool {
    !submission.stage.is_final() || !submission.settled || submission.source_pending
}
