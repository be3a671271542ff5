//! Ends and stops: held, over, Unknown; and what a person decides of it.

use super::{
    event::{Alert, Change, Effect, Moment, Opened, Verb},
    item::Phase,
    step::Engine,
};
use crate::model::{HoldReason, Stage, SubmissionId};

impl Engine {
    pub(super) fn hold(
        &mut self,
        id: SubmissionId,
        reason: HoldReason,
        judged: super::item::Judged,
        out: &mut Vec<Effect>,
    ) {
        self.leave_queue(id);
        self.hold_for(id, reason, judged, None, out);
    }

    pub(super) fn hold_for(
        &mut self,
        id: SubmissionId,
        reason: HoldReason,
        judged: super::item::Judged,
        recipient: Option<crate::model::Recipient>,
        out: &mut Vec<Effect>,
    ) {
        let Some(item) = self.items.get_mut(&id) else { return };
        let is_logged = recipient.as_ref().is_none_or(|to| item.logged_for.as_deref() == Some(to));
        if item.phase == Phase::Held(reason.clone()) && is_logged {
            return; // nothing new: the report stands
        }
        if let (Some(to), Some(lane)) = (&recipient, item.lane) {
            item.logged_for = Some(self.lanes.at_mut(lane).shared(to));
        }
        item.phase = Phase::Held(reason.clone());
        item.placed = false;
        let forced = Some(item.forced);
        let change = Change { judged, recipient, forced, ..Change::to(id, Stage::Held(reason)) };
        out.push(Effect::Log { change: Box::new(change), then: vec![Effect::Place { id }] });
    }

    /// Nothing moves it any more; those that waited for its end are judged again.
    pub(super) fn end(&mut self, now: Moment, change: Change, out: &mut Vec<Effect>) {
        let id = change.id;
        self.leave_queue(id);
        let Some(item) = self.items.get_mut(&id) else { return };
        if let (Stage::Delivered { .. }, Some(lane)) = (&change.stage, item.lane) {
            item.reaches(lane);
        }
        item.phase = Phase::Over(Box::new(change.stage.clone()));
        item.placed = false;
        if let Some(lane) = item.lane {
            self.lanes.at_mut(lane).barred_by.remove(&id);
            self.queue_lane(lane);
        }
        self.look_again_at_twins(id);
        let mut then = vec![Effect::Place { id }];
        for repeat in self.repeats.remove(&id).unwrap_or_default() {
            if self.items.get(&repeat).is_some_and(|item| !item.judging) {
                self.judge(repeat, &mut then);
            }
        }
        let change = Change { waited_millis: Some(self.waited(now, id)), ..change };
        out.push(Effect::Log { change: Box::new(change), then });
    }

    /// One that a person forced past others of the same bytes has ended: they are judged again before their turn.
    pub(super) fn look_again_at_twins(&mut self, id: SubmissionId) {
        let Some((lane, digest)) = self.items.get(&id).and_then(|item| Some((item.lane?, item.digest))) else { return };
        for twin in self.lanes.at(lane).same_content(digest, id) {
            if self.items.get_mut(&twin).is_some_and(|twin| twin.parcel.take().is_some()) {
                self.parcels = self.parcels.saturating_sub(1);
            }
        }
    }

    pub(super) fn unknown(
        &mut self,
        now: Moment,
        id: SubmissionId,
        attempt: Option<crate::model::Attempt>,
        out: &mut Vec<Effect>,
    ) {
        self.leave_queue(id);
        let Some(item) = self.items.get_mut(&id) else { return };
        item.phase = Phase::Unknown;
        item.placed = false;
        let (number, lane) = (item.attempt, item.lane);
        if let Some(lane) = lane {
            item.reaches(lane);
            self.bar(lane, id);
        }
        self.look_again_at_twins(id);
        let waited_millis = Some(self.waited(now, id));
        let change = Change { attempt, waited_millis, ..Change::to(id, Stage::Unknown { attempt: number }) };
        let then = vec![Effect::Place { id }, Effect::Alert(Alert::Unknown { id })];
        out.push(Effect::Log { change: Box::new(change), then });
    }

    /// The verb was found possible by [`super::decide::decide`]; the item may have moved since, so it is looked at again.
    pub(super) fn decided(&mut self, now: Moment, opened: Opened, verb: Verb, out: &mut Vec<Effect>) {
        let id = opened.id;
        let stage = self.items.get(&id).map_or_else(|| opened.stage.clone(), |item| item.phase.stage());
        let Ok(next) = super::decide::decide(&stage, verb) else { return };
        if matches!((&stage, &next), (Stage::Waiting { .. } | Stage::Ready, Stage::Ready)) {
            if let Some(item) = self.items.get_mut(&id) {
                item.waited_out = true;
            }
            return self.queue_lane_of(id);
        }
        if !self.items.contains_key(&id) {
            self.insert(&opened, Phase::Claimed);
            self.rejoin(id, &opened);
        }
        match next {
            Stage::Held(reason) => {
                self.hold(id, reason, None, out);
                self.forget_arrival(now, id, out);
            }
            Stage::Dropped => {
                self.end(now, Change::to(id, Stage::Dropped), out);
                self.forget_arrival(now, id, out);
            }
            _ => self.release(id, verb, out),
        }
    }

    /// Judged again from the start; its turn is after all others, and its age begins anew.
    pub(super) fn release(&mut self, id: SubmissionId, verb: Verb, out: &mut Vec<Effect>) {
        self.leave_queue(id);
        let Some(item) = self.items.get_mut(&id) else { return };
        let was_unknown = matches!(item.phase, Phase::Unknown);
        // Its bytes stay with the account: a repeat that is judged meanwhile must not go in its stead.
        if let Some(lane) = item.lane {
            self.lanes.at_mut(lane).barred_by.remove(&id);
            self.queue_lane(lane);
        }
        let Some(item) = self.items.get_mut(&id) else { return };
        item.phase = Phase::Claimed;
        self.last_rank = self.last_rank.max(item.rank) + 1;
        item.rank = self.last_rank;
        item.rejoins = true;
        item.judging = true;
        item.placed = false;
        item.logged_for = None;
        (item.waited_millis, item.waiting_since) = (0, None);
        item.forced |= was_unknown || verb == Verb::ForceRelease;
        let (forced, rank, waited_millis) = (Some(item.forced), Some(item.rank), Some(0));
        let change = Change { forced, rank, waited_millis, ..Change::to(id, Stage::Claimed) };
        out.push(Effect::Log { change: Box::new(change), then: vec![Effect::Place { id }] });
    }

    /// A claim that was held or given up no longer keeps later ones waiting.
    pub(super) fn forget_arrival(&mut self, now: Moment, id: SubmissionId, out: &mut Vec<Effect>) {
        self.suspects.remove(&id);
        let contract = self.items.get(&id).and_then(|item| self.rules.channels.get(&item.channel));
        let Some(contract) = contract.map(|channel| channel.contract.clone()) else { return };
        if self.arrivals.get_mut(&contract).is_some_and(|arrivals| arrivals.remove(&id).is_some()) {
            self.apply_in_order(now, &contract, out);
        }
    }
}
