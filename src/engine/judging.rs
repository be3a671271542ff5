//! Judging: asked for one at a time of each file, applied in the order of claims; what it says of repeats.

use super::{
    event::{AccountKey, Change, Earlier, Effect, Judgement, Moment, Verdict},
    item::{Item, Phase},
    lanes::LaneId,
    step::Engine,
};
use crate::{
    model::{ContractName, HoldReason, Stage, SubmissionId},
    route::Parcel,
};
use std::collections::BTreeMap;

impl Engine {
    /// Asks for the file to be judged by the mappings of now; one answer is asked for at a time.
    pub(super) fn judge(&mut self, id: SubmissionId, out: &mut Vec<Effect>) {
        let Some(item) = self.items.get_mut(&id) else { return };
        item.judging = true;
        if item.asked {
            item.asks_again = true;
            return;
        }
        (item.asked, item.mappings) = (true, self.mappings);
        out.push(Effect::Judge { id });
    }

    /// Links or accounts changed after it was asked for.
    pub(super) fn is_outdated(&self, id: SubmissionId, judgement: &Judgement) -> bool {
        let current = self.items.get(&id).is_none_or(|item| item.mappings == self.mappings);
        !current && !matches!(judgement.verdict, Verdict::Refused { .. })
    }

    pub(super) fn judged(
        &mut self,
        now: Moment,
        id: SubmissionId,
        judgement: Judgement,
        earlier: Option<Earlier>,
        out: &mut Vec<Effect>,
    ) {
        if self.suspect == Some(id) {
            self.suspect = None;
            self.next_suspect(out);
        }
        let Some(item) = self.items.get_mut(&id) else { return };
        item.asked = false;
        if matches!(item.phase, Phase::Over(_)) && item.placed {
            return self.placed(id, out);
        }
        if std::mem::take(&mut item.asks_again) || self.is_outdated(id, &judgement) {
            return self.judge(id, out);
        }
        let Some(item) = self.items.get(&id) else { return };
        let contract = self.rules.channels.get(&item.channel).map(|channel| channel.contract.clone());
        let Some(contract) = contract else { return };
        let Some(place) = self.arrivals.get_mut(&contract).and_then(|arrivals| arrivals.get_mut(&id)) else {
            return self.apply(now, id, judgement, earlier, out);
        };
        *place = Some((judgement, earlier));
        self.apply_in_order(now, &contract, out);
    }

    /// The judgements that wait for no earlier claim of their contract.
    pub(super) fn apply_in_order(&mut self, now: Moment, contract: &ContractName, out: &mut Vec<Effect>) {
        while let Some(mut first) = self.arrivals.get_mut(contract).and_then(BTreeMap::first_entry)
            && let Some((judgement, earlier)) = first.get_mut().take()
        {
            let id = *first.key();
            if self.is_outdated(id, &judgement) {
                return self.judge(id, out);
            }
            self.arrivals.get_mut(contract).and_then(BTreeMap::pop_first);
            self.apply(now, id, judgement, earlier, out);
        }
    }

    pub(super) fn apply(
        &mut self,
        now: Moment,
        id: SubmissionId,
        judgement: Judgement,
        earlier: Option<Earlier>,
        out: &mut Vec<Effect>,
    ) {
        let Some(item) = self.items.get_mut(&id) else { return };
        item.judging = false;
        if matches!(item.phase, Phase::Sending | Phase::Over(_) | Phase::Unknown) {
            return;
        }
        if let Phase::Held(reason) = &item.phase
            && !reason.is_answered_by_judging()
        {
            return; // somebody held it while it was being judged
        }
        let judged = Some(judgement.inspected);
        match judgement.verdict {
            Verdict::Refused { why } => {
                let change = Change { judged, ..Change::to(id, Stage::Refused { why }) };
                self.end(now, change, out);
            }
            Verdict::Held(reason) => self.hold(id, reason, judged, out),
            Verdict::Addressed(parcel) => self.addressed(now, id, parcel, judged, earlier, out),
        }
    }

    pub(super) fn addressed(
        &mut self,
        now: Moment,
        id: SubmissionId,
        parcel: Box<Parcel>,
        judged: super::item::Judged,
        earlier: Option<Earlier>,
        out: &mut Vec<Effect>,
    ) {
        let recipient = parcel.recipient().clone();
        let account = AccountKey { contract: recipient.contract.clone(), account: recipient.account.clone() };
        let lane = self.lanes.lane(&account, &recipient.person);
        let Some(item) = self.items.get_mut(&id) else { return };
        // Who let it go although it may have been sent decided for the account that it had.
        item.forced &= item.lane.is_none_or(|before| before == lane);
        let (forced, waiting) = (item.forced, matches!(item.phase, Phase::Waiting));
        let first = self.first_of(id, lane, parcel.idempotent()).or(earlier);
        if let Some((of, receipt)) = first.filter(|(of, _)| !forced && *of != id) {
            self.move_to_lane(id, lane);
            self.leave_queue(id);
            if let Some(receipt) = receipt {
                let (recipient, forced) = (Some(recipient), Some(forced));
                let change = Change { judged, recipient, forced, ..Change::to(id, Stage::Duplicate { of, receipt }) };
                return self.end(now, change, out);
            }
            self.repeats.entry(of).or_default().insert(id);
            return self.hold_for(id, HoldReason::DuplicateOpen { of }, judged, Some(recipient), out);
        }
        self.move_to_lane(id, lane);
        let kept = self.parcels < self.rules.parcels || self.lanes.at(lane).head() == Some(id);
        let Some(item) = self.items.get_mut(&id) else { return };
        let was_held = item.phase.place() != Stage::Ready.place();
        let was_ready = matches!(item.phase, Phase::Ready);
        if item.parcel.is_none() && kept {
            self.parcels += 1;
        }
        item.keep_parcel(parcel, kept);
        if (waiting || was_ready) && item.logged_for.as_deref() == Some(&recipient) {
            return; // judged again before its turn, and nothing new was found
        }
        if was_held {
            item.waiting_since = None; // who waits for a person or a link is not being tried
        }
        item.phase = Phase::Ready;
        item.logged_for = Some(self.lanes.at_mut(lane).shared(&recipient));
        item.placed &= !was_held;
        let rank = Some(item.rank);
        let then = if was_held { vec![Effect::Place { id }] } else { Vec::new() };
        let (recipient, forced) = (Some(recipient), Some(forced));
        let change = Change { judged, recipient, rank, forced, ..Change::to(id, Stage::Ready) };
        out.push(Effect::Log { change: Box::new(change), then });
    }

    /// Another open one of the same bytes that the account has, may have, or is to get before this one.
    fn first_of(&self, id: SubmissionId, lane: LaneId, idempotent: bool) -> Option<Earlier> {
        let item = self.items.get(&id)?;
        // One that waits here already gives way to earlier ones alone, so that of two only one is held.
        let accepted = item.lane == Some(lane) && matches!(item.phase, Phase::Ready | Phase::Waiting);
        self.lanes.at(lane).same_content(item.digest, id).find_map(|twin| {
            // The same bytes for the account's provider and for its library are two things.
            let other = self.items.get(&twin).filter(|twin| twin.push == item.push)?;
            match &other.phase {
                Phase::Over(_) => other.left_behind(twin, lane),
                _ if other.has_reached(lane) && !idempotent => Some((twin, None)),
                _ if other.lane != Some(lane) => None,
                // A repeat does not make its first wait for it.
                Phase::Held(HoldReason::DuplicateOpen { .. }) => None,
                Phase::Held(_) => (twin < id).then_some((twin, None)),
                _ if accepted && twin > id => None,
                _ => Some((twin, None)),
            }
        })
    }

    pub(super) fn mappings_changed(&mut self, out: &mut Vec<Effect>) {
        self.mappings = self.mappings.wrapping_add(1);
        let answered = |item: &Item| matches!(&item.phase, Phase::Held(reason) if reason.is_answered_by_mappings());
        let held: Vec<_> = self.items.iter().filter(|(_, item)| answered(item) && !item.judging).collect();
        for id in held.into_iter().map(|(id, _)| *id).collect::<Vec<_>>() {
            self.judge(id, out);
        }
    }

    /// Other profiles are loaded: what waits for one is judged again. What they say of files that are judged already, or
    /// that are being judged, does not count.
    pub(super) fn profiles_changed(&mut self, out: &mut Vec<Effect>) {
        let waits = |item: &Item| matches!(&item.phase, Phase::Held(reason) if reason.is_answered_by_profiles());
        let mut waiting: Vec<SubmissionId> =
            self.items.iter().filter(|(_, item)| waits(item) && !item.judging).map(|(id, _)| *id).collect();
        for (id, place) in self.arrivals.values_mut().flatten() {
            if matches!(place, Some((judgement, _)) if judgement.verdict.waits_for_profiles()) {
                *place = None;
                waiting.push(*id);
            }
        }
        for id in waiting {
            self.judge(id, out);
        }
    }
}
