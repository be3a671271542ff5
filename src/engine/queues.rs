//! Places and queues: a file that is in its place, and its turn among those of its account.

use super::{
    event::{AccountKey, Earlier, Effect, Judgement, Opened, Verdict},
    item::Phase,
    lanes::LaneId,
    step::{Engine, Order},
};
use crate::model::{Digest, PushType, SubmissionId};

impl Engine {
    pub(super) fn placed(&mut self, id: SubmissionId, out: &mut Vec<Effect>) {
        let Some(item) = self.items.get_mut(&id) else { return };
        item.placed = true;
        if item.phase == Phase::Claimed && item.rejoins {
            return self.judge(id, out);
        }
        if matches!(item.phase, Phase::Over(_)) {
            if item.asked {
                return; // what is judged comes back to it first
            }
            return self.forget(id);
        }
        self.queue_lane_of(id);
    }

    /// It has ended and its file is in its place: the store knows what is to be known of it.
    fn forget(&mut self, id: SubmissionId) {
        let Some(item) = self.items.remove(&id) else { return };
        let elsewhere = item.reached.iter().copied().filter(|lane| Some(*lane) != item.lane);
        for lane in item.lane.into_iter().chain(elsewhere) {
            if let Some(left) = item.left_behind(id, lane) {
                self.tell_waiting(lane, (item.digest, item.push), &left);
            }
            self.lanes.at_mut(lane).forget_content(item.digest, id);
        }
    }

    /// Judgements that wait for an earlier claim were told what the store knew then: those of the same bytes for the
    /// same account are told of this one's end, before it is forgotten.
    fn tell_waiting(&mut self, lane: LaneId, content: (Digest, PushType), left: &Earlier) {
        let account = self.lanes.at(lane).account.clone();
        let waiting = self.arrivals.get_mut(&account.contract).into_iter().flatten();
        for (id, place) in waiting {
            let same = self.items.get(id).is_some_and(|item| (item.digest, item.push) == content);
            if let Some((Judgement { verdict: Verdict::Addressed(parcel), .. }, earlier)) = place
                && same
                && earlier.as_ref().is_none_or(|(_, receipt)| receipt.is_none())
                && parcel.recipient().account == account.account
            {
                *earlier = Some(left.clone());
            }
        }
    }

    /// Into the account's queue where the record says whose it is.
    pub(super) fn enter_lane(&mut self, id: SubmissionId, opened: &Opened) -> Option<LaneId> {
        let recipient = opened.recipient.as_ref()?;
        let account = AccountKey { contract: recipient.contract.clone(), account: recipient.account.clone() };
        let lane = self.lanes.lane(&account, &recipient.person);
        if let Some(item) = self.items.get_mut(&id) {
            item.logged_for = Some(self.lanes.at_mut(lane).shared(recipient));
        }
        self.move_to_lane(id, lane);
        Some(lane)
    }

    pub(super) fn move_to_lane(&mut self, id: SubmissionId, lane: LaneId) {
        let Some(item) = self.items.get_mut(&id) else { return };
        if let Some(old) = item.lane.filter(|old| *old != lane) {
            self.lanes.at_mut(old).leave(item.rank, id);
            if !item.has_reached(old) {
                self.lanes.at_mut(old).forget_content(item.digest, id);
            }
            self.queue_lane(old);
        }
        let Some(item) = self.items.get_mut(&id) else { return };
        let lane_state = self.lanes.at_mut(lane);
        item.lane = Some(lane);
        item.rejoins = false;
        lane_state.join(item.rank, id);
        lane_state.keep_content(item.digest, id);
        self.queue_lane(lane);
    }

    pub(super) fn leave_queue(&mut self, id: SubmissionId) {
        let Some(item) = self.items.get_mut(&id) else { return };
        if item.parcel.take().is_some() {
            self.parcels = self.parcels.saturating_sub(1);
        }
        if let Some(lane) = item.lane {
            self.lanes.at_mut(lane).leave(item.rank, id);
            self.queue_lane(lane);
        }
    }

    pub(super) fn queue_lane_of(&mut self, id: SubmissionId) {
        if let Some(lane) = self.items.get(&id).and_then(|item| item.lane) {
            self.queue_lane(lane);
        }
    }

    /// Gives the lane a turn where its head may be sendable.
    pub(super) fn queue_lane(&mut self, id: LaneId) {
        let lane = self.lanes.at_mut(id);
        if lane.queued || !lane.is_free() || lane.head().is_none() {
            return;
        }
        if let Some(destination) = self.destinations.get_mut(&lane.account.contract) {
            lane.queued = true;
            destination.turns.push_back(id);
        }
    }

    pub(super) fn bar(&mut self, lane: LaneId, id: SubmissionId) {
        let strict = self.items.get(&id).and_then(|item| self.rules.channels.get(&item.channel));
        if strict.is_some_and(|channel| channel.order == Order::Strict) {
            self.lanes.at_mut(lane).barred_by.insert(id);
        }
    }
}
