//! The records that the engine is changing: read from the store, changed here, written in groups.
//!
//! A record that was changed and is not yet flushed is ahead of the store; whoever reads in between
//! reads it here.

use super::event::{Change, Inspected, Moment, Opened};
use crate::{
    model::{AttemptOutcome, Stage, Submission, SubmissionId},
    store::{Store, StoreError},
};
use std::{collections::BTreeMap, sync::Arc};

/// Records kept for the next change; one that is not flushed is never let go.
const KEPT: usize = 512;
/// Attempts that a record keeps: the first ones and the last ones tell the story.
const ATTEMPTS_KEPT: usize = 40;

#[derive(Debug)]
struct Entry {
    record: Submission,
    /// Writes under way.
    unflushed: u32,
}

/// The records in change.
pub(super) struct Ledger {
    store: Arc<dyn Store>,
    entries: BTreeMap<SubmissionId, Entry>,
}

impl Ledger {
    pub(super) const fn new(store: Arc<dyn Store>) -> Self {
        Self { store, entries: BTreeMap::new() }
    }

    /// The record as it stands, flushed or not.
    pub(super) fn read(&self, id: SubmissionId) -> Result<Option<Submission>, StoreError> {
        match self.entries.get(&id) {
            Some(entry) => Ok(Some(entry.record.clone())),
            None => self.store.submission(id),
        }
    }

    /// A new record that is on its way to the store.
    pub(super) fn begin(&mut self, record: Submission) {
        self.shrink();
        self.entries.insert(record.id, Entry { record, unflushed: 1 });
    }

    /// Changes a record; the result is to be written, and [`Ledger::flushed`] told when that is done.
    pub(super) fn change(&mut self, now: Moment, change: Change) -> Result<Option<&Submission>, StoreError> {
        let id = change.id;
        self.edit(id, |record| apply(record, now, change))
    }

    /// Changes a record in place; see [`Ledger::change`].
    pub(super) fn edit(
        &mut self,
        id: SubmissionId,
        edit: impl FnOnce(&mut Submission),
    ) -> Result<Option<&Submission>, StoreError> {
        if !self.entries.contains_key(&id) {
            let Some(record) = self.store.submission(id)? else { return Ok(None) };
            self.shrink();
            self.entries.insert(id, Entry { record, unflushed: 0 });
        }
        Ok(self.entries.get_mut(&id).map(|entry| {
            edit(&mut entry.record);
            entry.unflushed += 1;
            &entry.record
        }))
    }

    /// One write of the record is on disk.
    pub(super) fn flushed(&mut self, id: SubmissionId) {
        if let Some(entry) = self.entries.get_mut(&id) {
            entry.unflushed = entry.unflushed.saturating_sub(1);
            if entry.unflushed == 0 && entry.record.settled && entry.record.stage.is_final() {
                self.entries.remove(&id);
            }
        }
    }

    /// Lets go of the oldest flushed records.
    fn shrink(&mut self) {
        if self.entries.len() < KEPT {
            return;
        }
        let old: Vec<_> =
            self.entries.iter().filter(|(_, entry)| entry.unflushed == 0).map(|(id, _)| *id).take(KEPT / 4).collect();
        for id in old {
            self.entries.remove(&id);
        }
    }
}

/// The one place where a change reaches a record: stage, account, findings, attempts.
pub fn apply(record: &mut Submission, now: Moment, change: Change) {
    if record.stage != change.stage {
        if record.stage.place() != change.stage.place() || change.stage.place() != Stage::Ready.place() {
            record.settled = false;
        }
        record.stage = change.stage;
        record.since = now.wall;
    }
    if let Some(recipient) = change.recipient {
        record.recipient = Some(recipient);
    }
    if let Some(Inspected { bundle, library, findings, findings_total, overridden, profiles }) = change.judged {
        (record.bundle, record.library, record.findings) = (bundle, library, findings);
        (record.findings_total, record.overridden, record.profiles) = (findings_total, overridden, profiles);
    }
    if let Some(attempt) = change.attempt {
        match record.attempts.last_mut().filter(|last| last.number == attempt.number) {
            Some(last) => *last = attempt,
            None => record.attempts.push(attempt),
        }
        if record.attempts.len() > ATTEMPTS_KEPT {
            record.attempts.remove(ATTEMPTS_KEPT / 2);
        }
    }
    record.rank = change.rank.unwrap_or(record.rank);
    record.forced = change.forced.unwrap_or(record.forced);
    record.waited_millis = change.waited_millis.unwrap_or(record.waited_millis);
    record.judgings = change.judgings.unwrap_or(record.judgings);
}

/// Whether some attempt brought it to its account, or may have, whatever became of it afterwards.
pub(super) fn may_have_arrived(record: &Submission) -> bool {
    use AttemptOutcome::{Delivered, Open, Unknown};
    record.attempts.iter().any(|attempt| matches!(attempt.outcome, Open | Unknown | Delivered))
}

impl From<&Submission> for Opened {
    fn from(record: &Submission) -> Self {
        Self {
            id: record.id,
            channel: record.channel.clone(),
            push: record.push,
            digest: record.digest,
            stage: record.stage.clone(),
            settled: record.settled,
            recipient: record.recipient.clone(),
            rank: record.rank,
            forced: record.forced,
            attempts: record.attempts.last().map_or(0, |attempt| attempt.number),
            waited_millis: record.waited_millis,
            judgings: record.judgings,
            may_have_arrived: may_have_arrived(record),
        }
    }
}
