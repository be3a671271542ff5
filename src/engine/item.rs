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
    /// Whose accounts have it from some attempt, or may have: not only the one that it is addressed to now.
    pub(super) reached: Vec<LaneId>,
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
            reached: Vec::new(),
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

    /// An attempt brought it there, or may have.
    pub(super) fn has_reached(&self, lane: LaneId) -> bool {
        self.reached.contains(&lane)
    }

    pub(super) fn reaches(&mut self, lane: LaneId) {
        if !self.has_reached(lane) {
            self.reached.push(lane);
        }
    }

    /// What it means for a repeat of that account that it has ended: it was delivered there, or may have been.
    pub(super) fn left_behind(&self, id: SubmissionId, lane: LaneId) -> Option<Earlier> {
        let Phase::Over(stage) = &self.phase else { return None };
        match &**stage {
            Stage::Delivered { receipt } if self.lane == Some(lane) => Some((id, Some(receipt.clone()))),
            Stage::Duplicate { of, receipt } if self.lane == Some(lane) => Some((*of, Some(receipt.clone()))),
            _ => (self.has_reached(lane) && !self.idempotent).then_some((id, None)),
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
pub(super) fn begun(number: u32, recipient: Recipient, now: Moment) -> Attempt {
    Attempt {
        number,
        recipient: Some(recipient),
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
