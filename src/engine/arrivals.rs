//! Arrivals: claims, and records that a start finds, each where it stood.

use super::{
    event::{AccountKey, Change, Effect, Moment, Opened},
    item::{Item, Phase},
    step::{Engine, SUBMISSION_WAITS},
};
use crate::model::{HoldReason, Stage, SubmissionId};

/// Judging that ended in a crash this often holds the file.
const POISON_JUDGINGS: u32 = 3;

impl Engine {
    /// A record found at start-up goes on where it stood.
    pub(super) fn open(&mut self, now: Moment, opened: Opened, out: &mut Vec<Effect>) {
        let (id, settled) = (opened.id, opened.settled);
        match opened.stage.clone() {
            Stage::Claimed => {
                let judgings = opened.judgings;
                self.admit(opened.clone());
                self.rejoin(id, &opened);
                if judgings >= POISON_JUDGINGS {
                    self.hold(id, HoldReason::Poison, None, out);
                    self.forget_arrival(now, id, out);
                } else {
                    self.suspects.insert(id);
                }
            }
            Stage::Sending { attempt } => {
                // The last run ended while bytes may have been on the wire.
                let item = self.insert(&opened, Phase::Sending);
                item.attempt = attempt;
                let lane = self.enter_lane(id, &opened);
                if let Some(lane) = lane {
                    self.lanes.at_mut(lane).sending = false;
                }
                self.unknown(now, id, None, out);
            }
            Stage::Waiting { until, .. } => {
                let wait = until.since(now.wall).min(SUBMISSION_WAITS.longest);
                self.insert(&opened, Phase::Waiting);
                self.enter_lane(id, &opened);
                self.waits.insert((now.monotonic + wait, id));
            }
            Stage::Ready => {
                self.insert(&opened, Phase::Ready);
                self.enter_lane(id, &opened);
            }
            Stage::Unknown { attempt } => {
                self.insert(&opened, Phase::Unknown).attempt = attempt;
                if let Some(lane) = self.enter_lane(id, &opened) {
                    self.leave_queue(id);
                    self.bar(lane, id);
                }
            }
            Stage::Held(reason) => {
                if let HoldReason::DuplicateOpen { of } = &reason {
                    self.repeats.entry(*of).or_default().insert(id);
                }
                self.insert(&opened, Phase::Held(reason));
                if self.enter_lane(id, &opened).is_some() {
                    self.leave_queue(id);
                }
            }
            stage => {
                self.insert(&opened, Phase::Over(Box::new(stage)));
                if self.enter_lane(id, &opened).is_some() {
                    self.leave_queue(id);
                }
            }
        }
        if !settled && let Some(item) = self.items.get_mut(&id) {
            item.placed = false;
            out.push(Effect::Place { id });
        }
    }

    /// A new claim, or one to be judged again, takes its place in the order of claims.
    pub(super) fn admit(&mut self, opened: Opened) {
        let id = opened.id;
        let contract = self.rules.channels.get(&opened.channel).map(|channel| channel.contract.clone());
        self.insert(&opened, Phase::Claimed).judging = true;
        if let Some(contract) = contract {
            self.arrivals.entry(contract).or_default().insert(id, None);
        }
    }

    /// One that has an account and is no longer in its queue: its bytes stay with the account.
    pub(super) fn rejoin(&mut self, id: SubmissionId, opened: &Opened) {
        if let Some(lane) = self.enter_lane(id, opened) {
            self.leave_queue(id);
            if let Some(item) = self.items.get_mut(&id) {
                item.logged_for = None;
            }
            self.queue_lane(lane);
        }
    }

    /// With the accounts that may have it: repeats for those are held, whoever it is addressed to now.
    pub(super) fn insert(&mut self, opened: &Opened, phase: Phase) -> &mut Item {
        self.last_rank = self.last_rank.max(opened.rank);
        let mut item = Box::new(Item::new(opened, phase));
        for to in &opened.reached {
            let account = AccountKey { contract: to.contract.clone(), account: to.account.clone() };
            let lane = self.lanes.find(&account).unwrap_or_else(|| self.lanes.lane(&account, &to.person));
            item.reaches(lane);
            self.lanes.at_mut(lane).keep_content(item.digest, opened.id);
        }
        self.items.entry(opened.id).insert_entry(item).into_mut()
    }

    /// Every record is known.
    pub(super) fn start(&mut self, out: &mut Vec<Effect>) {
        self.started = true;
        // Links and accounts may have come while nothing ran.
        self.mappings_changed(out);
        self.profiles_changed(out);
        self.next_suspect(out);
        // The last run ended after the end of these ones' first and before they were judged again.
        let ended = |of: &SubmissionId| self.items.get(of).is_none_or(|item| matches!(item.phase, Phase::Over(_)));
        let ended: Vec<_> = self.repeats.keys().copied().filter(ended).collect();
        for of in ended {
            for repeat in self.repeats.remove(&of).unwrap_or_default() {
                self.judge(repeat, out);
            }
        }
    }

    /// After a crash one file at a time is judged, each counted first, so that the one that ends the program is found.
    pub(super) fn next_suspect(&mut self, out: &mut Vec<Effect>) {
        if self.suspect.is_some() {
            return;
        }
        let Some(id) = self.suspects.pop_first() else { return };
        let Some(item) = self.items.get_mut(&id) else { return };
        self.suspect = Some(id);
        item.judgings += 1;
        let change = Change { judgings: Some(item.judgings), ..Change::to(id, Stage::Claimed) };
        let mut then = Vec::new();
        self.judge(id, &mut then);
        out.push(Effect::Log { change: Box::new(change), then });
    }
}
