//! Events and effects in a line each, for the trace of a failure.

use crate::{
    engine::event::{Effect, Event, Verdict},
    model::SubmissionId,
};

pub(super) fn id(id: SubmissionId) -> String {
    format!("#{}", id.as_u64() >> 16)
}

pub(super) fn event(event: &Event) -> String {
    match event {
        Event::Opened(opened) => format!("opened {} {:?} settled={}", id(opened.id), opened.stage, opened.settled),
        Event::Claimed(opened) => format!("claimed {}", id(opened.id)),
        Event::Judged { id: of, judgement, earlier } => {
            let verdict = match &judgement.verdict {
                Verdict::Refused { .. } => "refused".to_owned(),
                Verdict::Held(reason) => format!("{reason:?}"),
                Verdict::Addressed(parcel) => format!("for {}", parcel.recipient().account),
            };
            format!(
                "judged {} {verdict}, earlier: {:?}",
                id(*of),
                earlier.as_ref().map(|(of, receipt)| (id(*of), receipt.is_some()))
            )
        }
        Event::Answered { id: of, answer, .. } => format!("answered {} {answer:?}", id(*of)),
        Event::Placed { id: of } => format!("placed {}", id(*of)),
        Event::Decided { opened, verb } => format!("decided {} {verb:?}", id(opened.id)),
        other => format!("{other:?}"),
    }
}

pub(super) fn effect(effect: &Effect) -> String {
    match effect {
        Effect::Log { change, then } => {
            let then: Vec<_> = then.iter().map(self::effect).collect();
            format!("log {} {:?}, then {then:?}", id(change.id), change.stage)
        }
        Effect::Judge { id: of } => format!("judge {}", id(*of)),
        Effect::Push { parcel, attempt } => {
            format!("push {} to {}, attempt {attempt}", id(parcel.submission()), parcel.recipient().account)
        }
        Effect::Place { id: of } => format!("place {}", id(*of)),
        other => format!("{other:?}"),
    }
}
