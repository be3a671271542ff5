//! Submissions that are on the disk by the journal alone, on their way into the database.
//!
//! A submission changes several times within seconds, and each change in sled costs the writing of a page: so the
//! changes gather here, and only the last state of each goes there, many in one batch. Whoever reads sees both.

use crate::model::{Submission, SubmissionId};
use crate::store::journal::Told;
use std::collections::BTreeMap;

/// So many gather at most. Where suites attack the program it is few, so that they meet both ways of each record.
pub(super) const MOST: usize = if cfg!(any(test, feature = "faults")) { 4 } else { 512 };

/// After so many batches they go into the database whatever their number: the next opening reads the journal from there.
pub(super) const MOST_BATCHES: u64 = 16 * MOST as u64;

/// The latest states, by id.
#[derive(Default)]
pub(super) struct Pending(BTreeMap<SubmissionId, Submission>);

impl Pending {
    /// Puts a submission's latest state in.
    pub(super) fn put(&mut self, submission: Submission) {
        self.0.insert(submission.id, submission);
    }

    /// All of them are in the database.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// One of them.
    pub(super) fn get(&self, id: SubmissionId) -> Option<&Submission> {
        self.0.get(&id)
    }

    /// What the journal has told of a submission, where it is one of these.
    pub(super) fn told(&self, submission: &Submission) -> Option<Told> {
        self.get(submission.id).map(|known| Told { claim: true, findings: known.findings == submission.findings })
    }

    /// All, by id.
    pub(super) fn all(&self) -> impl DoubleEndedIterator<Item = &Submission> {
        self.0.values()
    }
}
