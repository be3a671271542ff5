//! The promises, checked after every step, at every push and refresh that leaves, and at the end.

use super::{
    cast::cast,
    referee::{Cause, Subject, Word},
    world::World,
};
use crate::{
    engine::event::{Change, Effect, Verb},
    model::{HoldReason, Stage, SubmissionId},
    push::Answer,
    store::Store,
};

impl World {
    pub(super) fn judge_effects(&mut self, effects: &[Effect]) {
        for effect in effects {
            match effect {
                Effect::Log { change, then } => self.judge_change(change, then),
                Effect::Push { .. } => panic!("a push that waits for no flush"),
                Effect::Refresh { person } => {
                    let referee = &mut self.referee;
                    assert!(!referee.doors[&person.contract].closed, "a refresh while the destination is closed");
                    assert!(referee.usable.contains(person), "a refresh of a paused person's tokens");
                    assert!(referee.refreshing.insert(person.clone()), "two refreshes of one person at a time");
                }
                Effect::PausePerson { person, .. } => self.referee.pauses(person),
                Effect::Probe { contract } => {
                    let door = self.referee.doors.get_mut(contract).unwrap();
                    assert!(door.closed, "a probe of an open destination");
                    assert!(!std::mem::replace(&mut door.probing, true), "two probes at a time");
                }
                Effect::Alert(alert) => {
                    self.alerts.push(alert.clone());
                    self.referee.alert(alert);
                }
                Effect::Judge { .. } | Effect::Place { .. } | Effect::BlockAccount { .. } => {}
            }
        }
    }

    /// Every stage has its cause.
    fn judge_change(&mut self, change: &Change, then: &[Effect]) {
        let id = change.id;
        let (cause, answer) = (self.referee.cause.clone(), self.referee.answer.clone());
        let subject = self.subject(id);
        let (before, word) = (subject.stage.clone(), subject.word);
        let answered = cause == Cause::Answered(id) && matches!(before, Stage::Sending { .. });
        let opened_sending = cause == Cause::Opened(id) && matches!(before, Stage::Sending { .. });
        let decided =
            |wanted: &[Verb]| matches!(&cause, Cause::Decided(of, verb) if *of == id && wanted.contains(verb));
        let pushes = then.iter().filter(|effect| matches!(effect, Effect::Push { .. })).count();
        assert_eq!(pushes, usize::from(matches!(change.stage, Stage::Sending { .. })), "a push follows Sending alone");
        let fits = match &change.stage {
            Stage::Sending { .. } => {
                let [Effect::Push { parcel, .. }] = then else { panic!("Sending without its push") };
                self.judge_start(id, parcel);
                matches!(before, Stage::Ready | Stage::Waiting { .. })
            }
            Stage::Claimed => before == Stage::Claimed || decided(&[Verb::Release, Verb::ForceRelease, Verb::Retry]),
            Stage::Refused { .. } => {
                word == Some(Word::Refused) || (answered && matches!(answer, Some(Answer::Refused { .. })))
            }
            Stage::Delivered { .. } => answered && matches!(answer, Some(Answer::Delivered(_))),
            Stage::Unknown { .. } => opened_sending || (answered && answer == Some(Answer::Unknown)),
            Stage::Waiting { .. } => answered && matches!(answer, Some(Answer::Later { .. } | Answer::TokenStale)),
            Stage::Dropped => decided(&[Verb::Drop]),
            Stage::Duplicate { of, .. } => self.was_delivered(id, *of, change),
            Stage::Ready => match before {
                Stage::Sending { .. } => answered && self.judge_return(id, answer.as_ref()),
                Stage::Claimed | Stage::Held(_) | Stage::Ready | Stage::Waiting { .. } => word == Some(Word::Addressed),
                _ => false,
            },
            Stage::Held(reason) => match reason {
                HoldReason::ByPerson => decided(&[Verb::Hold]),
                HoldReason::UnexpectedAnswer { .. } => answered && matches!(answer, Some(Answer::Unexpected { .. })),
                HoldReason::Damaged => answered && answer == Some(Answer::Damaged),
                HoldReason::Expired => {
                    let (since, max_age) = (subject.tried_since, self.rules.channels[&subject.channel].max_age);
                    let tried = since.map_or(0, |since| self.clock - since);
                    let records = self.store.submission(id).unwrap().map_or(0, |record| record.waited_millis);
                    assert!(
                        u128::from(tried + records) >= max_age.as_millis(),
                        "{} expired early",
                        super::trace::id(id)
                    );
                    answered && matches!(answer, Some(Answer::Later { .. } | Answer::TokenStale))
                }
                HoldReason::Poison => cause == Cause::Opened(id) && before == Stage::Claimed,
                HoldReason::DuplicateOpen { .. } => word == Some(Word::Addressed),
                _ => word == Some(Word::Held),
            },
        };
        assert!(
            fits,
            "{} goes from {} to {} by {cause:?}, {answer:?}, {word:?}",
            super::trace::id(id),
            before.as_str(),
            change.stage.as_str()
        );
        if matches!(change.stage, Stage::Refused { .. } | Stage::Held(HoldReason::UnexpectedAnswer { .. })) && answered
        {
            let door = &self.referee.doors[cast().contract_of(&self.subject(id).channel)];
            assert!(!door.refuses_everybody(), "a file is blamed although the API refuses everybody");
        }
        self.follow(id, change);
    }

    pub(super) fn subject(&self, id: SubmissionId) -> &Subject {
        self.referee.subjects.get(&id).unwrap_or_else(|| panic!("{} is not known", super::trace::id(id)))
    }

    /// The referee's picture follows.
    fn follow(&mut self, id: SubmissionId, change: &Change) {
        let (event, clock) = (self.referee.event, self.clock);
        let unknown_before = matches!(self.subject(id).stage, Stage::Unknown { .. });
        if matches!(change.stage, Stage::Ready) && self.subject(id).in_first_order {
            let contract = cast().contract_of(&self.subject(id).channel);
            let earlier = self.referee.subjects.iter().take_while(|(other, _)| **other < id).find(|(_, other)| {
                other.stage == Stage::Claimed
                    && other.word.is_none()
                    && other.in_first_order
                    && cast().contract_of(&other.channel) == contract
            });
            assert!(earlier.is_none(), "{} is ready before an earlier claim is judged", super::trace::id(id));
        }
        let decided = matches!(&self.referee.cause, Cause::Decided(of, _) if *of == id);
        let force = self.referee.cause == Cause::Decided(id, Verb::ForceRelease);
        match &change.stage {
            Stage::Unknown { .. } => self.figures.unknown += 1,
            Stage::Held(_) => self.figures.held += 1,
            Stage::Duplicate { .. } => self.figures.duplicates += 1,
            _ => {}
        }
        let subject = self.referee.subjects.get_mut(&id).unwrap();
        let account = subject.account();
        if let Some(recipient) = &change.recipient {
            subject.recipient = Some(recipient.clone());
            subject.forced = match subject.forced.take() {
                Some(None) => Some(subject.account()),
                forced => forced.filter(|account| *account == subject.account()),
            };
        }
        if change.stage == Stage::Claimed && decided {
            subject.released = Some(event);
            subject.in_first_order = false;
            subject.tried_since = None;
            // A person let this very submission go on; others of the same bytes only where that is what was meant.
            subject.excused = subject.sent.len();
            if unknown_before || force {
                subject.forced = Some(account.clone());
            }
        }
        if change.stage != Stage::Claimed {
            subject.in_first_order = false;
        }
        let queues = matches!(change.stage, Stage::Ready | Stage::Waiting { .. } | Stage::Sending { .. });
        if !queues || account != subject.account() {
            subject.queued = None;
        }
        if queues {
            subject.queued.get_or_insert(event);
        }
        if matches!(change.stage, Stage::Waiting { .. }) {
            subject.tried_since.get_or_insert(clock);
        }
        subject.stage = change.stage.clone();
    }
}
