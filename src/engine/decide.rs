//! What a person may decide about a submission, whether the daemon runs or not.

use super::event::Verb;
use crate::model::{HoldReason, Stage, Submission};

/// A decision that does not fit the submission's stage; the text says why and what would.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NotPossible(&'static str);

/// Whether there is still a file to decide about.
///
/// # Errors
/// Retention removed it.
pub fn has_its_file(record: &Submission) -> Result<(), NotPossible> {
    const GONE: NotPossible = NotPossible("retention removed its file; drop the file in again");
    if record.pruned.is_some() { Err(GONE) } else { Ok(()) }
}

/// The stage that follows from the decision. `Claimed` means: judged again from the start.
///
/// # Errors
/// The decision does not fit, with the reason.
pub fn decide(stage: &Stage, verb: Verb) -> Result<Stage, NotPossible> {
    const DAMAGED: NotPossible =
        NotPossible("its copy no longer has its digest and is never sent; drop in the file again");
    const SENDING: NotPossible = NotPossible("it is being sent at this moment; look again when its answer is here");
    const MOVING: NotPossible = NotPossible("it is on its way already; hold stops it");
    const DELIVERED: NotPossible = NotPossible("it was delivered; release --force sends it once more");
    const REPEAT: NotPossible = NotPossible("the same bytes wait already; release --force sends them twice");
    match (verb, stage) {
        (_, Stage::Sending { .. }) => Err(SENDING),
        (Verb::Drop, Stage::Delivered { .. } | Stage::Duplicate { .. }) => {
            Err(NotPossible("it was delivered; there is nothing to drop"))
        }
        (Verb::Drop, Stage::Dropped) => Err(NotPossible("it was dropped already")),
        (Verb::Drop, _) => Ok(Stage::Dropped),
        (Verb::Hold, Stage::Claimed | Stage::Ready | Stage::Waiting { .. } | Stage::Held(_)) => {
            Ok(Stage::Held(HoldReason::ByPerson))
        }
        (Verb::Hold, Stage::Unknown { .. }) => Err(NotPossible("it is Unknown, and so held: release or drop decide")),
        (Verb::Hold, _) => Err(NotPossible("it has ended; there is nothing to hold")),
        (_, Stage::Held(HoldReason::Damaged)) => Err(DAMAGED),
        (Verb::Retry, Stage::Waiting { .. } | Stage::Ready) => Ok(Stage::Ready),
        (_, Stage::Claimed | Stage::Ready | Stage::Waiting { .. }) => Err(MOVING),
        (Verb::Retry, Stage::Unknown { .. }) => {
            Err(NotPossible("it may have arrived: release sends it again, drop gives it up"))
        }
        (Verb::Retry | Verb::Release, Stage::Held(HoldReason::DuplicateOpen { .. })) => Err(REPEAT),
        (Verb::Retry | Verb::Release, Stage::Delivered { .. } | Stage::Duplicate { .. }) => Err(DELIVERED),
        (Verb::Retry | Verb::Release | Verb::ForceRelease, _) => Ok(Stage::Claimed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Digest, Receipt, SubmissionId, Timestamp};

    fn delivered() -> Stage {
        let at = Timestamp::from_millis(0);
        let receipt = Receipt { at, status: 200, reference: None, body: Digest::of(b""), rejected_entries: 0 };
        Stage::Delivered { receipt }
    }

    #[test]
    fn only_force_sends_again_what_was_delivered() {
        assert!(decide(&delivered(), Verb::Release).is_err());
        assert!(decide(&delivered(), Verb::Retry).is_err());
        assert_eq!(decide(&delivered(), Verb::ForceRelease), Ok(Stage::Claimed));
        let repeat = Stage::Held(HoldReason::DuplicateOpen { of: SubmissionId::from_u64(1) });
        assert!(decide(&repeat, Verb::Release).is_err());
        assert_eq!(decide(&repeat, Verb::ForceRelease), Ok(Stage::Claimed));
    }

    #[test]
    fn nothing_touches_a_push_on_its_way() {
        for verb in [Verb::Retry, Verb::Hold, Verb::Release, Verb::ForceRelease, Verb::Drop] {
            assert!(decide(&Stage::Sending { attempt: 1 }, verb).is_err());
        }
    }

    #[test]
    fn a_damaged_copy_is_never_sent() {
        for verb in [Verb::Retry, Verb::Release, Verb::ForceRelease] {
            assert!(decide(&Stage::Held(HoldReason::Damaged), verb).is_err());
        }
        assert_eq!(decide(&Stage::Held(HoldReason::Damaged), Verb::Drop), Ok(Stage::Dropped));
    }

    #[test]
    fn an_unknown_needs_release_or_drop() {
        let unknown = Stage::Unknown { attempt: 1 };
        assert!(decide(&unknown, Verb::Retry).is_err());
        assert_eq!(decide(&unknown, Verb::Release), Ok(Stage::Claimed));
        assert_eq!(decide(&unknown, Verb::Drop), Ok(Stage::Dropped));
    }
}
