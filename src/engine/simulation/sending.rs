//! The promises at the moment of sending: to whom, when, in whose turn, and never twice.

use super::{
    cast::cast,
    referee::{Fate, Sent},
    shell::{Pushing, Refreshing, number},
    world::World,
};
use crate::{
    engine::{
        event::{AccountKey, Change, PersonKey},
        step::{Ambiguous, Order},
    },
    model::{Place, Stage, SubmissionId},
    push::Answer,
    route::Parcel,
    store::Store,
};

impl World {
    /// The decision to send: to whom, when, in whose turn.
    pub(super) fn judge_start(&mut self, id: SubmissionId, parcel: &Parcel) {
        let recipient = parcel.recipient().clone();
        assert_eq!(parcel.submission(), id);
        let account = AccountKey { contract: recipient.contract.clone(), account: recipient.account.clone() };
        let person = PersonKey { contract: recipient.contract.clone(), person: recipient.person.clone() };
        let (name, referee, clock) = (super::trace::id(id), &self.referee, self.clock);
        let told = referee.told;
        let routes = &referee.routes[self.file_of[&id]];
        let first = routes.iter().rposition(|(version, _)| *version <= told).unwrap_or(0);
        let says_so = |(_, to): &(u64, Option<_>)| *to == Some((recipient.account.clone(), recipient.person.clone()));
        assert!(routes[first..].iter().any(says_so), "{name} goes to an account that the links do not say");
        assert!(referee.usable.contains(&person), "{name} is sent while its person is paused");
        assert!(!referee.blocked.contains(&account), "{name} is sent while its account is blocked");
        let door = &referee.doors[&account.contract];
        assert!(!door.closed, "{name} is sent while the destination is closed");
        assert!(!door.narrow || door.in_flight == 0, "{name} is a second push through a narrow door");
        assert!(clock >= door.not_before, "{name} is sent before Retry-After is over");
        assert!(door.in_flight < self.rules.connections, "more pushes than connections");
        let subject = self.subject(id);
        for (other, waits) in referee.subjects.iter().filter(|(other, _)| **other != id) {
            let same = waits.account().as_ref() == Some(&account);
            let queues = matches!(waits.stage, Stage::Ready | Stage::Waiting { .. } | Stage::Sending { .. });
            let strict = matches!(waits.stage, Stage::Unknown { .. })
                && self.rules.channels[&waits.channel].order == Order::Strict;
            let (number, other) = (other, super::trace::id(*other));
            assert!(!(same && strict), "{name} passes {other}, which is Unknown in a strict channel");
            if !(same && queues) || waits.turn_unsure || subject.turn_unsure {
                continue;
            }
            assert!(!matches!(waits.stage, Stage::Sending { .. }), "{name} and {other} are sent at the same time");
            let since = waits.queued.unwrap_or(u64::MAX);
            let passes = match (subject.released, waits.released) {
                (Some(released), _) => since < released,
                (None, Some(_)) => since < subject.claimed,
                (None, None) => *number < id,
            };
            assert!(!passes, "{name} passes {other}, whose turn it is");
        }
        self.referee.doors.get_mut(&account.contract).unwrap().in_flight += 1;
    }

    /// Bytes leave.
    pub(super) fn judge_push(&mut self, pushing: &Pushing) {
        let id = pushing.parcel.submission();
        let name = super::trace::id(id);
        let record = self.store.submission(id).unwrap().unwrap();
        assert_eq!(record.stage, Stage::Sending { attempt: pushing.attempt }, "{name} leaves before its flush");
        assert_eq!(self.places[&id], Place::Work, "{name} is sent and its file is elsewhere");
        // None where the person was removed a moment ago.
        let flushed = pushing.token == 0 || self.referee.on_disk.contains(&(pushing.person.clone(), pushing.token));
        assert!(flushed, "{name} uses a token that is not flushed");
        let subject = self.subject(id);
        let (digest, forced) = (subject.digest, subject.forced);
        let resends = self.rules.channels[&subject.channel].ambiguous == Ambiguous::Resend;
        for (other, earlier) in self.referee.subjects.iter().filter(|(_, earlier)| earlier.digest == digest) {
            let own = *other == id;
            // A limit: where a person changed the links between two attempts, the record has the last account alone.
            if earlier.account().as_ref() != Some(&pushing.account) {
                continue;
            }
            let excused = if own { earlier.excused } else { 0 };
            for sent in earlier.sent.iter().skip(excused).filter(|sent| sent.account == pushing.account) {
                let decided = if own { resends } else { forced };
                let allowed = sent.fate == Fate::NotTaken || is_idempotent(digest) || decided;
                assert!(allowed, "{name} is sent although {} may have arrived", super::trace::id(*other));
            }
        }
        let sent = self.referee.subjects.values().flat_map(|subject| &subject.sent);
        let together = sent.filter(|sent| sent.fate == Fate::Open && sent.account == pushing.account).count();
        assert_eq!(together, 0, "{name} is a second push to one account at a time");
        let sent = Sent { account: pushing.account.clone(), fate: Fate::Open };
        self.referee.subjects.get_mut(&id).unwrap().sent.push(sent);
    }

    /// Back in the queue by itself: only what was not taken, or may be sent twice.
    pub(super) fn judge_return(&mut self, id: SubmissionId, answer: Option<&Answer>) -> bool {
        let subject = self.subject(id);
        let resends = self.rules.channels[&subject.channel].ambiguous == Ambiguous::Resend;
        let (digest, contract) = (subject.digest, cast().contract_of(&subject.channel).clone());
        match answer {
            Some(Answer::Delivered(_) | Answer::Damaged) | None => false,
            Some(Answer::Unknown) => is_idempotent(digest) || resends,
            Some(Answer::Refused { .. } | Answer::Unexpected { .. }) => {
                let door = self.referee.doors.get_mut(&contract).unwrap();
                (door.closed, door.not_before) = (true, 0);
                door.row.1.len() >= 3
            }
            Some(_) => true,
        }
    }

    /// Whether the API has these bytes for this account.
    pub(super) fn was_delivered(&self, id: SubmissionId, of: SubmissionId, change: &Change) -> bool {
        let Some(recipient) = &change.recipient else { return false };
        let account = AccountKey { contract: recipient.contract.clone(), account: recipient.account.clone() };
        let digest = self.subject(id).digest;
        of != id && self.api.taken.iter().any(|(to, bytes, _)| *to == account && *bytes == digest)
    }

    /// A refresh request leaves.
    pub(super) fn judge_refresh(&mut self, refreshing: &Refreshing) {
        let (key, pair) = (&refreshing.key, number(&refreshing.person.tokens));
        let marked = self.referee.marked.contains(&(key.clone(), pair));
        assert!(marked, "a refresh leaves before Rotating is flushed");
        assert!(!self.referee.spent.contains(&(key.clone(), pair)), "a refresh token is used twice");
    }
}

fn is_idempotent(digest: crate::model::Digest) -> bool {
    cast().contents.iter().any(|content| content.digest == digest && content.idempotent)
}
