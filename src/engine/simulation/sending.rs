//! The promises at the moment of sending: to whom, when, in whose turn, and never twice.

use super::{
    cast::cast,
    referee::{Fate, Sent, Subject},
    shell::{Pushing, Refreshing, number},
    world::World,
};
use crate::{
    engine::{
        event::{AccountKey, Change, PersonKey},
        step::{Ambiguous, Order},
    },
    model::{Digest, Place, PushType, Stage, SubmissionId},
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
        let tokens = referee.tokens[&person];
        self.referee.doors.get_mut(&account.contract).unwrap().in_flight += 1;
        self.referee.subjects.get_mut(&id).unwrap().tokens = tokens;
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
        let (digest, push, forced) = (subject.digest, subject.push, subject.forced.is_some());
        let resends = self.rules.channels[&subject.channel].ambiguous == Ambiguous::Resend;
        let same = |earlier: &Subject| (earlier.digest, earlier.push) == (digest, push);
        for (other, earlier) in self.referee.subjects.iter().filter(|(_, earlier)| same(earlier)) {
            let own = *other == id;
            let excused = if own { earlier.excused } else { 0 };
            for sent in earlier.sent.iter().skip(excused).filter(|sent| sent.account == pushing.account) {
                let decided = if own { resends } else { forced };
                let allowed = sent.fate == Fate::NotTaken || is_idempotent(digest, push) || decided;
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
    pub(super) fn judge_return(&self, id: SubmissionId, answer: Option<&Answer>) -> bool {
        let subject = self.subject(id);
        let resends = self.rules.channels[&subject.channel].ambiguous == Ambiguous::Resend;
        let (digest, push) = (subject.digest, subject.push);
        let door = &self.referee.doors[cast().contract_of(&subject.channel)];
        match answer {
            Some(Answer::Delivered(_) | Answer::Damaged) | None => false,
            Some(Answer::Unknown) => is_idempotent(digest, push) || resends,
            Some(Answer::Refused { .. } | Answer::Unexpected { .. }) => door.refuses_everybody(),
            Some(_) => true,
        }
    }

    /// Whether the API has these bytes for this account.
    pub(super) fn was_delivered(&self, id: SubmissionId, of: SubmissionId, change: &Change) -> bool {
        let Some(recipient) = &change.recipient else { return false };
        let account = AccountKey { contract: recipient.contract.clone(), account: recipient.account.clone() };
        let (digest, push) = (self.subject(id).digest, self.subject(id).push);
        let push_of = |id| cast().push_of(&cast().channels[self.files[self.file_of[id]].channel].0);
        let taken = &self.api.taken;
        of != id && taken.iter().any(|(to, bytes, id)| *to == account && *bytes == digest && push_of(id) == push)
    }

    /// A refresh request leaves.
    pub(super) fn judge_refresh(&self, refreshing: &Refreshing) {
        self.referee.refresh_leaves(&refreshing.key, number(&refreshing.person.tokens));
    }
}

fn is_idempotent(digest: Digest, push: PushType) -> bool {
    push == PushType::Provider && cast().contents.iter().any(|content| content.digest == digest && content.idempotent)
}
