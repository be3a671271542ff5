//! What the engine keeps in memory of one open submission: little, because a hundred thousand may wait.

use super::{
    event::{Earlier, Inspected, Moment, Opened},
    lanes::{Lane, LaneId},
};
use crate::{
    model::{
        Attempt, AttemptOutcome, ChannelName, Digest, HoldReason, Place, PushType, Recipient, Stage, SubmissionId,
        Timestamp,
    },
    route::Parcel,
};
use std::sync::Arc;

/// Shape and findings of a judgement, on their way into the record.
pub(super) type Judged = Option<Inspected>;

/// A stage without what only the record needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Claimed,
    Ready,
    Sending,
    Waiting,
    Unknown,
    Held(HoldReason),
    /// Final; it is forgotten as soon as its file is in its place.
    Over(Box<Stage>),
}

#[derive(Debug)]
pub(super) struct Item {
    pub(super) channel: ChannelName,
    pub(super) push: PushType,
    pub(super) digest: Digest,
    pub(super) phase: Phase,
    pub(super) lane: Option<LaneId>,
    pub(super) rank: u64,
    pub(super) attempt: u32,
    /// The generation of the token that the last push used.
    pub(super) token: u32,
    pub(super) parcel: Option<Box<Parcel>>,
    /// The mappings of the moment at which it was last asked how it is judged.
    pub(super) mappings: u32,
    /// The account that the record names.
    pub(super) logged_for: Option<Arc<Recipient>>,
    pub(super) waited_millis: u64,
    /// The destination's paused time and the clock when waiting began, where it has begun.
    pub(super) waiting_since: Option<Box<(std::time::Duration, std::time::Duration)>>,
    pub(super) judgings: u32,
    /// It waits to be judged.
    pub(super) judging: bool,
    /// A judge was asked and has not answered.
    pub(super) asked: bool,
    /// What he answers is too old to count.
    pub(super) asks_again: bool,
    pub(super) placed: bool,
    pub(super) forced: bool,
    /// Some attempt brought it to its account, or may have.
    pub(super) may_have_arrived: bool,
    /// Every entry may be sent twice without harm.
    pub(super) idempotent: bool,
    /// A fresh token was refused already.
    pub(super) stale_once: bool,
    /// Its wait is over.
    pub(super) waited_out: bool,
    /// It was released, and is judged once its file is back.
    pub(super) rejoins: bool,
}

impl Item {
    pub(super) fn new(opened: &Opened, phase: Phase) -> Self {
        Self {
            channel: opened.channel.clone(),
            push: opened.push,
            digest: opened.digest,
            phase,
            lane: None,
            rank: opened.rank,
            attempt: opened.attempts,
            token: 0,
            parcel: None,
            mappings: 0,
            logged_for: None,
            waited_millis: opened.waited_millis,
            waiting_since: None,
            judgings: opened.judgings,
            judging: false,
            asked: false,
            asks_again: false,
            placed: true,
            forced: opened.forced,
            may_have_arrived: opened.may_have_arrived,
            idempotent: false,
            stale_once: false,
            waited_out: false,
            rejoins: false,
        }
    }

    pub(super) fn keep_parcel(&mut self, parcel: Box<Parcel>, kept: bool) {
        self.idempotent = parcel.idempotent();
        self.parcel = kept.then_some(parcel);
    }

    /// What it means for a repeat that it has ended: it was delivered, or may have been.
    pub(super) fn left_behind(&self, id: SubmissionId) -> Option<Earlier> {
        match &self.phase {
            Phase::Over(stage) => match &**stage {
                Stage::Delivered { receipt } => Some((id, Some(receipt.clone()))),
                Stage::Duplicate { of, receipt } => Some((*of, Some(receipt.clone()))),
                _ => (self.may_have_arrived && !self.idempotent).then_some((id, None)),
            },
            _ => None,
        }
    }

    pub(super) const fn is_sendable(&self) -> bool {
        match self.phase {
            Phase::Ready => true,
            Phase::Waiting => self.waited_out,
            _ => false,
        }
    }
}

impl Phase {
    pub(super) fn as_str(&self) -> &'static str {
        match self {
            Self::Claimed => "claimed",
            Self::Ready => "ready",
            Self::Sending => "sending",
            Self::Waiting => "waiting",
            Self::Unknown => "unknown",
            Self::Held(_) => "held",
            Self::Over(stage) => stage.as_str(),
        }
    }

    pub(super) fn place(&self) -> Place {
        match self {
            Self::Claimed | Self::Ready | Self::Sending | Self::Waiting => Place::Work,
            Self::Unknown | Self::Held(_) => Place::Held,
            Self::Over(stage) => stage.place(),
        }
    }

    /// The stage as far as a decision looks at it.
    pub(super) fn stage(&self) -> Stage {
        let until = Timestamp::from_millis(0);
        match self {
            Self::Claimed => Stage::Claimed,
            Self::Ready => Stage::Ready,
            Self::Sending => Stage::Sending { attempt: 0 },
            Self::Waiting => Stage::Waiting { attempt: 0, until },
            Self::Unknown => Stage::Unknown { attempt: 0 },
            Self::Held(reason) => Stage::Held(reason.clone()),
            Self::Over(stage) => Stage::clone(stage),
        }
    }
}

impl Lane {
    /// Nothing stands in the way of its head.
    pub(super) fn is_free(&self) -> bool {
        !self.sending && self.blocked.is_none() && self.barred_by.is_empty()
    }
}

impl HoldReason {
    /// A new link or account may answer it.
    pub(super) const fn is_answered_by_mappings(&self) -> bool {
        matches!(
            self,
            Self::NoEvidence | Self::Unlinked { .. } | Self::Contradiction { .. } | Self::AccountUnknown { .. }
        )
    }

    /// Other profiles may answer it.
    pub(super) const fn is_answered_by_profiles(&self) -> bool {
        matches!(self, Self::ProfileNotLoaded)
    }

    /// Judging again may answer it; the others wait for a person.
    pub(super) const fn is_answered_by_judging(&self) -> bool {
        self.is_answered_by_mappings() || self.is_answered_by_profiles() || matches!(self, Self::DuplicateOpen { .. })
    }
}

/// An attempt that begins now.
pub(super) const fn begun(number: u32, now: Moment) -> Attempt {
    Attempt {
        number,
        at: now.wall,
        millis: 0,
        outcome: AttemptOutcome::Open,
        status: None,
        code: None,
        reference: None,
        detail: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_item_stays_small() {
        assert!(size_of::<Item>() <= 208, "{} bytes, and a hundred thousand may wait", size_of::<Item>());
    }
}
