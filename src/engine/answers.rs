//! What follows from the API's answer to a push: the table of answers, as decisions.

use super::{
    event::{AccountKey, Alert, Change, Effect, Moment, PersonKey},
    item::Phase,
    step::{Ambiguous, Engine},
};
use crate::{
    model::{Attempt, ContractName, HoldReason, Receipt, Stage, SubmissionId},
    push::{Answer, Scope},
};
use std::time::Duration;

impl Engine {
    pub(super) fn answered(
        &mut self,
        now: Moment,
        id: SubmissionId,
        answer: Answer,
        attempt: Attempt,
        out: &mut Vec<Effect>,
    ) {
        let Some(item) = self.items.get_mut(&id).filter(|item| item.phase == Phase::Sending) else { return };
        let (generation, first_stale) = (item.token, !item.stale_once);
        let Some(lane_id) = item.lane else { return };
        let lane = self.lanes.at_mut(lane_id);
        lane.sending = false;
        let account = lane.account.clone();
        let person = PersonKey { contract: account.contract.clone(), person: lane.person.clone() };
        if let Some(destination) = self.destinations.get_mut(&account.contract) {
            destination.end();
        }
        match answer {
            Answer::Delivered(receipt) => {
                let person_state = self.person(&person);
                if person_state.generation == generation && person_state.serve() {
                    out.push(Effect::Alert(Alert::PersonServed { person }));
                }
                self.delivered(now, id, &account, attempt, receipt, out);
            }
            Answer::Refused { why } => {
                if self.refuses_everybody(now, &account, &attempt, out) {
                    return self.back_to_ready(now, id, Some(attempt), out);
                }
                let change = Change { attempt: Some(attempt), ..Change::to(id, Stage::Refused { why }) };
                self.end(now, change, out);
            }
            Answer::Unexpected { status, reference } => {
                if self.refuses_everybody(now, &account, &attempt, out) {
                    return self.back_to_ready(now, id, Some(attempt), out);
                }
                self.hold_attempt(now, id, HoldReason::UnexpectedAnswer { status, reference }, attempt, out);
            }
            Answer::Damaged => self.hold_attempt(now, id, HoldReason::Damaged, attempt, out),
            Answer::TokenStale => {
                let state = self.person(&person);
                let current = state.generation == generation;
                let (unproven, told) = (state.is_unproven(), state.is_told());
                if current && unproven {
                    let why = "the API refuses a token that it has just given out";
                    self.person_refused(now, &person, why, out);
                } else if current && (first_stale || told) {
                    if let Some(item) = self.items.get_mut(&id) {
                        item.stale_once = true;
                    }
                    self.person(&person).is_stale(now.monotonic, generation);
                } else if current {
                    // The API takes the token for others.
                    return self.wait(now, id, None, attempt, out);
                }
                self.back_to_ready(now, id, Some(attempt), out);
            }
            Answer::AccountBlocked { why } => {
                out.push(Effect::BlockAccount { account: account.clone(), why: why.clone() });
                self.account(&account, Some(why), out);
                self.back_to_ready(now, id, Some(attempt), out);
            }
            Answer::DestinationPaused { why } => {
                self.close(now, &account.contract, &why, out);
                self.back_to_ready(now, id, Some(attempt), out);
            }
            Answer::Later { after, scope: Scope::Destination } => {
                let wait = self.destination_wait(&account.contract, after);
                let why = attempt.detail.clone().unwrap_or_else(|| "the API asks to wait".to_owned());
                self.back_off(now, &account.contract, wait, &why, out);
                self.back_to_ready(now, id, Some(attempt), out);
            }
            Answer::Later { after, scope: Scope::Submission } => self.wait(now, id, after, attempt, out),
            Answer::Unknown => {
                self.close(now, &account.contract, "an answer is missing: a file may have arrived", out);
                let resend = self.items.get(&id).is_some_and(|item| {
                    let channel = self.rules.channels.get(&item.channel);
                    item.idempotent || channel.is_some_and(|channel| channel.ambiguous == Ambiguous::Resend)
                });
                if resend {
                    if let Some(item) = self.items.get_mut(&id) {
                        item.reaches(lane_id);
                    }
                    self.back_to_ready(now, id, Some(attempt), out);
                } else {
                    self.unknown(now, id, Some(attempt), out);
                }
            }
        }
    }

    fn delivered(
        &mut self,
        now: Moment,
        id: SubmissionId,
        account: &AccountKey,
        attempt: Attempt,
        receipt: Receipt,
        out: &mut Vec<Effect>,
    ) {
        if let Some(destination) = self.destinations.get_mut(&account.contract) {
            if destination.is_paused() {
                self.persons_due = None;
            }
            destination.delivered(now.monotonic, out);
        }
        if receipt.rejected_entries > 0 {
            out.push(Effect::Alert(Alert::DeliveredWithErrors { id, rejected: receipt.rejected_entries }));
        }
        let change = Change { attempt: Some(attempt), ..Change::to(id, Stage::Delivered { receipt }) };
        self.end(now, change, out);
    }

    /// The same 4xx for several accounts in a row closes the destination: no further file is refused for it.
    fn refuses_everybody(
        &mut self,
        now: Moment,
        account: &AccountKey,
        attempt: &Attempt,
        out: &mut Vec<Effect>,
    ) -> bool {
        let Some(destination) = self.destinations.get_mut(&account.contract) else { return false };
        let status = attempt.status.unwrap_or_default();
        let everybody = destination.is_refusing_everybody(status, attempt.code.as_deref(), account.account.as_str());
        if everybody {
            self.close(now, &account.contract, "the API refuses every account in the same way", out);
        }
        everybody
    }

    /// The API refuses a person's tokens and does not say that they are over: that may be the person's trouble or
    /// everybody's, and may pass. It is asked again after a while; three persons in a row close the destination.
    pub(super) fn person_refused(&mut self, now: Moment, key: &PersonKey, why: &str, out: &mut Vec<Effect>) {
        const UNAUTHORISED: u16 = 401;
        let Some(destination) = self.destinations.get_mut(&key.contract) else { return };
        if destination.is_refusing_everybody(UNAUTHORISED, None, key.person.as_str()) {
            return self.close(now, &key.contract, "the API refuses the tokens of every person in the same way", out);
        }
        if self.person(key).is_resting(now.monotonic) {
            return; // another of its accounts was refused at the same time
        }
        let wait = self.person_wait(key);
        if self.person(key).rest(now.monotonic + wait) {
            out.push(Effect::Alert(Alert::PersonRefused { person: key.clone(), why: why.to_owned() }));
        }
    }

    fn close(&mut self, now: Moment, contract: &ContractName, why: &str, out: &mut Vec<Effect>) {
        let wait = self.destination_wait(contract, None);
        if let Some(destination) = self.destinations.get_mut(contract) {
            destination.close(now.monotonic, wait, why, out);
        }
    }

    /// Nothing was taken: it keeps its turn, and no attempt counts against it.
    pub(super) fn back_to_ready(
        &mut self,
        now: Moment,
        id: SubmissionId,
        attempt: Option<Attempt>,
        out: &mut Vec<Effect>,
    ) {
        let waited_millis = Some(self.waited(now, id));
        let Some(item) = self.items.get_mut(&id) else { return };
        item.phase = Phase::Ready;
        let change = Change { attempt, waited_millis, ..Change::to(id, Stage::Ready) };
        out.push(Effect::Log { change: Box::new(change), then: Vec::new() });
        self.queue_lane_of(id);
    }

    /// A later try, until the maximum age.
    fn wait(
        &mut self,
        now: Moment,
        id: SubmissionId,
        after: Option<Duration>,
        attempt: Attempt,
        out: &mut Vec<Effect>,
    ) {
        let paused = self.paused_total(now, id);
        let Some(item) = self.items.get_mut(&id) else { return };
        item.waiting_since.get_or_insert_with(|| Box::new((now.monotonic, paused)));
        let number = item.attempt;
        let max_age = self.rules.channels.get(&item.channel).map_or(Duration::MAX, |channel| channel.max_age);
        let waited = self.waited(now, id);
        if Duration::from_millis(waited) >= max_age {
            return self.hold_attempt(now, id, HoldReason::Expired, attempt, out);
        }
        let wait = self.submission_wait(number, after);
        let Some(item) = self.items.get_mut(&id) else { return };
        item.phase = Phase::Waiting;
        item.waited_out = false;
        self.waits.insert((now.monotonic + wait, id));
        let stage = Stage::Waiting { attempt: number, until: now.wall.plus(wait) };
        let change = Change { attempt: Some(attempt), waited_millis: Some(waited), ..Change::to(id, stage) };
        out.push(Effect::Log { change: Box::new(change), then: Vec::new() });
    }

    fn hold_attempt(
        &mut self,
        now: Moment,
        id: SubmissionId,
        reason: HoldReason,
        attempt: Attempt,
        out: &mut Vec<Effect>,
    ) {
        let waited_millis = Some(self.waited(now, id));
        self.leave_queue(id);
        let Some(item) = self.items.get_mut(&id) else { return };
        item.phase = Phase::Held(reason.clone());
        item.placed = false;
        let change = Change { attempt: Some(attempt), waited_millis, ..Change::to(id, Stage::Held(reason)) };
        out.push(Effect::Log { change: Box::new(change), then: vec![Effect::Place { id }] });
    }

    /// Milliseconds that it has been tried on an open destination, in this run and before.
    pub(super) fn waited(&mut self, now: Moment, id: SubmissionId) -> u64 {
        let paused_now = self.paused_total(now, id);
        let Some(item) = self.items.get_mut(&id) else { return 0 };
        let open = item.waiting_since.as_deref().map_or(Duration::ZERO, |&(since, paused_then)| {
            now.monotonic.saturating_sub(since).saturating_sub(paused_now.saturating_sub(paused_then))
        });
        item.waited_millis.saturating_add(u64::try_from(open.as_millis()).unwrap_or(u64::MAX))
    }

    fn paused_total(&self, now: Moment, id: SubmissionId) -> Duration {
        let channel = self.items.get(&id).and_then(|item| self.rules.channels.get(&item.channel));
        let destination = channel.and_then(|channel| self.destinations.get(&channel.contract));
        destination.map_or(Duration::ZERO, |destination| destination.paused_total(now.monotonic))
    }
}
