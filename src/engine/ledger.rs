//! The records that the engine is changing: read from the store, changed here, written in groups.
//!
//! A record that was changed and is not yet flushed is ahead of the store; whoever reads in between
//! reads it here.

use super::event::{Change, Inspected, Moment, Opened};
use crate::{
    model::{Attempt, Recipient, Stage, Submission, SubmissionId},
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
        address(record, recipient);
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
        shorten(&mut record.attempts);
    }
    record.rank = change.rank.unwrap_or(record.rank);
    record.forced = change.forced.unwrap_or(record.forced);
    record.waited_millis = change.waited_millis.unwrap_or(record.waited_millis);
    record.judgings = change.judgings.unwrap_or(record.judgings);
}

/// Attempts of before each kept its account went to the one that the record has had so far.
fn address(record: &mut Submission, recipient: Recipient) {
    if let Some(before) = record.recipient.replace(recipient) {
        for attempt in record.attempts.iter_mut().filter(|attempt| attempt.recipient.is_none()) {
            attempt.recipient = Some(before.clone());
        }
    }
}

/// Lets one go from the middle; none that is the only proof that an account may have the file.
fn shorten(attempts: &mut Vec<Attempt>) {
    if attempts.len() <= ATTEMPTS_KEPT {
        return;
    }
    let is_proof = |attempt: &Attempt| attempt.outcome.may_have_arrived();
    let spare = |at: &usize| {
        let attempt = &attempts[*at];
        let again = |later: &Attempt| is_proof(later) && later.recipient == attempt.recipient;
        !is_proof(attempt) || attempts[at + 1..].iter().any(again)
    };
    let middle = ATTEMPTS_KEPT / 2;
    if let Some(spare) = (middle..attempts.len() - 1).chain(0..middle).find(spare) {
        attempts.remove(spare);
    }
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
            reached: record.reached().cloned().collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::simulation::attempts::{attempt, record, to};
    use crate::model::AttemptOutcome::{self, Later, Unknown};

    fn change(record: &mut Submission, attempt: Attempt) {
        let now = Moment { monotonic: std::time::Duration::ZERO, wall: attempt.at };
        apply(record, now, Change { attempt: Some(attempt), ..Change::to(record.id, Stage::Ready) });
    }

    #[test]
    fn attempts_of_before_each_kept_its_account_stay_with_the_account_that_they_went_to() {
        let mut record = Submission { recipient: Some(to(0)), ..record(1) };
        record.attempts = vec![Attempt { recipient: None, ..attempt(1, 0, Unknown) }];
        let now = Moment { monotonic: std::time::Duration::ZERO, wall: record.claimed_at };
        let id = record.id;
        apply(&mut record, now, Change { recipient: Some(to(1)), ..Change::to(id, Stage::Ready) });
        assert!(record.may_be_at(&to(0).contract, &to(0).account));
        assert!(!record.may_be_at(&to(1).contract, &to(1).account));
    }

    #[test]
    fn of_many_attempts_none_goes_that_alone_tells_where_the_file_may_be() {
        let mut record = Submission { recipient: Some(to(0)), ..record(1) };
        for number in 1..=200 {
            let (account, outcome): (usize, AttemptOutcome) = match number {
                21 => (1, Unknown),
                30..=120 => (0, Unknown),
                _ => (0, Later),
            };
            change(&mut record, attempt(number, account, outcome));
        }
        assert_eq!(record.attempts.len(), ATTEMPTS_KEPT);
        for account in [0, 1] {
            assert!(record.may_be_at(&to(account).contract, &to(account).account), "account {account}");
        }
        let numbers: Vec<_> = record.attempts.iter().map(|attempt| attempt.number).collect();
        assert!(numbers.is_sorted());
        assert_eq!((numbers.first(), numbers.last()), (Some(&1), Some(&200)));
    }
}
