//! How long files of what has ended are kept. Records are kept for ever: a repeat is known by its digest long after
//! its file is gone.

use super::{Place, Stage, Submission, Timestamp};
use std::time::Duration;

/// `[retention]`; `None` keeps for ever. What is open is never touched, whatever stands here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    /// Delivered files, after so long.
    pub done: Option<Duration>,
    /// Delivered files, the oldest first, where those of a channel take more.
    pub done_size: Option<u64>,
    /// Refused and dropped files, and those delivered with errors, after so long.
    pub failed: Option<Duration>,
    /// Repeats, after so long.
    pub duplicates: Option<Duration>,
}

impl Retention {
    /// Nothing goes sooner, by whatever rule.
    pub const LEAST: Duration = Duration::from_secs(24 * 3_600);
    /// Nothing that somebody may still ask for goes sooner.
    pub const LEAST_FAILED: Duration = Duration::from_secs(14 * 24 * 3_600);
    /// Where files of what has ended lie.
    pub const PLACES: [Place; 3] = [Place::Done, Place::Failed, Place::Duplicates];

    /// After how long a file of this stage goes by its age; `None` is never, and so for all that has not ended.
    pub fn age(&self, stage: &Stage) -> Option<Duration> {
        match stage {
            Stage::Delivered { receipt } if receipt.rejected_entries == 0 => self.done.map(|age| age.max(Self::LEAST)),
            Stage::Delivered { .. } | Stage::Refused { .. } | Stage::Dropped => {
                self.failed.map(|age| age.max(Self::LEAST_FAILED))
            }
            Stage::Duplicate { .. } => self.duplicates.map(|age| age.max(Self::LEAST_FAILED)),
            _ => None,
        }
    }

    /// The least age of all that may lie in a place, so that younger files need no look.
    pub fn least(&self, place: Place) -> Option<Duration> {
        let ages = match place {
            Place::Done => {
                [self.done.map(|age| age.max(Self::LEAST)), self.failed.map(|age| age.max(Self::LEAST_FAILED))]
            }
            Place::Failed => [self.failed.map(|age| age.max(Self::LEAST_FAILED)), None],
            Place::Duplicates => [self.duplicates.map(|age| age.max(Self::LEAST_FAILED)), None],
            Place::Work | Place::Held => [None, None],
        };
        ages.into_iter().flatten().min()
    }

    /// Whether the file of this record goes by its age.
    pub fn is_over(&self, record: &Submission, now: Timestamp) -> bool {
        Self::may_go(record) && self.age(&record.stage).is_some_and(|age| now.since(record.since) >= age)
    }

    /// Whether it may go because its channel's files take too much: only what was delivered whole.
    pub fn may_make_room(record: &Submission, now: Timestamp) -> bool {
        let is_whole = matches!(&record.stage, Stage::Delivered { receipt } if receipt.rejected_entries == 0);
        Self::may_go(record) && is_whole && now.since(record.since) >= Self::LEAST
    }

    /// Whether anything of it may be removed at all: it has ended, and its files are where they belong.
    pub const fn may_go(record: &Submission) -> bool {
        record.stage.is_final() && record.settled && !record.source_pending
    }
}
