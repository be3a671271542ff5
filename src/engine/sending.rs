//! Sending in turn, and what it needs: open destinations, tokens, accounts.

use super::{
    event::{AccountKey, Alert, Change, Effect, Moment, PersonKey},
    gate::Destination,
    item::Phase,
    lanes::LaneId,
    persons::{PersonState, TokenNeed},
    step::Engine,
};
use crate::model::{ContractName, Stage};
use std::time::Duration;

impl Engine {
    /// Whatever time or the event made possible.
    pub(super) fn advance(&mut self, now: Moment, out: &mut Vec<Effect>) {
        while let Some((due, id)) = self.waits.first().copied()
            && due <= now.monotonic
        {
            self.waits.remove(&(due, id));
            if let Some(item) = self.items.get_mut(&id)
                && matches!(item.phase, Phase::Waiting)
            {
                item.waited_out = true;
                self.queue_lane_of(id);
            }
        }
        let contracts: Vec<_> = self.destinations.keys().cloned().collect();
        for contract in contracts {
            if let Some(destination) = self.destinations.get_mut(&contract) {
                destination.end_wait(now.monotonic);
                destination.probe_if_due(now.monotonic, out);
            }
            if self.persons_due.is_none_or(|due| due.is_some_and(|due| now.monotonic >= due)) {
                self.renew_tokens(now, &contract, out);
            }
            self.send_in_turn(now, &contract, out);
        }
        if self.persons_due.is_none_or(|due| due.is_some_and(|due| now.monotonic >= due)) {
            let due = self.persons.iter().filter_map(|(key, person)| self.renewal_from(key, person));
            self.persons_due = Some(due.min());
        }
    }

    /// When a person's tokens want something next; while the destination takes no requests, nothing is due.
    pub(super) fn renewal_from(&self, key: &PersonKey, person: &PersonState) -> Option<Duration> {
        let answers_from = self.destinations.get(&key.contract)?.answers_from()?;
        person.due().filter(|_| !self.stopping).map(|due| due.max(answers_from))
    }

    /// Renewals that nothing asked for: refresh tokens near their end, and refreshes that a crash cut off.
    pub(super) fn renew_tokens(&mut self, now: Moment, contract: &ContractName, out: &mut Vec<Effect>) {
        let answers_from = self.destinations.get(contract).and_then(Destination::answers_from);
        if self.stopping || answers_from.is_none_or(|from| from > now.monotonic) {
            return;
        }
        let mut woken = Vec::new();
        for (key, person) in self.persons.iter_mut().filter(|(key, _)| key.contract == *contract) {
            if person.renewal_due(now.monotonic) {
                person.refreshing = true;
                out.push(Effect::Refresh { person: key.clone() });
            } else if !person.waiting.is_empty()
                && matches!(person.need(now.monotonic), TokenNeed::Usable | TokenNeed::Refresh)
            {
                woken.push(key.clone());
            }
        }
        for person in woken {
            self.wake_lanes_of(&person);
        }
    }

    /// Gives each account its turn while the destination takes more.
    pub(super) fn send_in_turn(&mut self, now: Moment, contract: &ContractName, out: &mut Vec<Effect>) {
        let connections = self.rules.connections;
        loop {
            let Some(destination) = self.destinations.get_mut(contract) else { return };
            if self.stopping || !destination.admits(connections) {
                return;
            }
            let Some(lane) = destination.turns.pop_front() else { return };
            self.lanes.at_mut(lane).queued = false;
            self.send_head(now, lane, out);
        }
    }

    pub(super) fn send_head(&mut self, now: Moment, lane_id: LaneId, out: &mut Vec<Effect>) {
        let lane = self.lanes.at(lane_id);
        let Some(id) = lane.head().filter(|_| lane.is_free()) else { return };
        let person = PersonKey { contract: lane.account.contract.clone(), person: lane.person.clone() };
        let Some(item) = self.items.get_mut(&id) else { return };
        if item.judging || !item.placed || !item.is_sendable() {
            return; // it takes its turn again when that has ended
        }
        if item.parcel.is_none() || item.mappings != self.mappings {
            return self.judge(id, out);
        }
        let state = self.persons.entry(person.clone()).or_insert_with(PersonState::new);
        match state.need(now.monotonic) {
            TokenNeed::Usable => {}
            need => {
                state.waiting.insert(lane_id);
                self.persons_due = None;
                self.lanes.at_mut(lane_id).queued = true;
                if need == TokenNeed::Refresh {
                    state.refreshing = true;
                    out.push(Effect::Refresh { person });
                }
                return;
            }
        }
        let generation = state.generation;
        let Some(parcel) = item.parcel.take() else { return };
        self.parcels = self.parcels.saturating_sub(1);
        item.phase = Phase::Sending;
        item.attempt += 1;
        item.token = generation;
        let attempt = item.attempt;
        self.lanes.at_mut(lane_id).sending = true;
        if let Some(destination) = self.destinations.get_mut(&person.contract) {
            destination.begin();
        }
        let begun = super::item::begun(attempt, parcel.recipient().clone(), now);
        let change = Change { attempt: Some(begun), ..Change::to(id, Stage::Sending { attempt }) };
        out.push(Effect::Log { change: Box::new(change), then: vec![Effect::Push { parcel, attempt }] });
    }

    pub(super) fn refreshed(
        &mut self,
        now: Moment,
        key: &PersonKey,
        outcome: super::event::RefreshOutcome,
        out: &mut Vec<Effect>,
    ) {
        use super::event::RefreshOutcome;
        self.person(key).refreshing = false;
        match outcome {
            RefreshOutcome::Renewed(times) => {
                self.person(key).renewed(now.monotonic, times);
                self.wake_lanes_of(key);
            }
            RefreshOutcome::Paused { why } => self.pause_person(key, why, out),
            RefreshOutcome::Superseded => {
                // The new tokens may still be on their way to the disk.
                let wait = self.person_wait(key);
                self.person(key).retry_at(now.monotonic + wait);
                self.wake_lanes_of(key);
            }
            RefreshOutcome::Refused { why } => self.person_refused(now, key, &why, out),
            RefreshOutcome::Later { after, why } => {
                let wait = self.destination_wait(&key.contract, after);
                self.person(key).retry_at(now.monotonic + wait);
                self.back_off(now, &key.contract, wait, &why, out);
            }
            RefreshOutcome::Lost => {
                let wait = self.destination_wait(&key.contract, None);
                self.person(key).lose(now.monotonic + wait);
                if let Some(destination) = self.destinations.get_mut(&key.contract) {
                    destination.close(now.monotonic, wait, "the token endpoint did not answer", out);
                }
            }
            RefreshOutcome::DestinationPaused { why } => {
                let wait = self.destination_wait(&key.contract, None);
                self.person(key).retry_at(now.monotonic + wait);
                if let Some(destination) = self.destinations.get_mut(&key.contract) {
                    destination.close(now.monotonic, wait, &why, out);
                }
            }
        }
    }

    pub(super) fn pause_person(&mut self, key: &PersonKey, why: String, out: &mut Vec<Effect>) {
        if !self.person(key).pause() {
            return; // told already
        }
        out.push(Effect::PausePerson { person: key.clone(), why: why.clone() });
        out.push(Effect::Alert(Alert::PersonPaused { person: key.clone(), why }));
    }

    /// The API asked for patience, or could not be reached. Somebody is told where the wait is a long one.
    pub(super) fn back_off(
        &mut self,
        now: Moment,
        contract: &ContractName,
        wait: Duration,
        why: &str,
        out: &mut Vec<Effect>,
    ) {
        let Some(destination) = self.destinations.get_mut(contract) else { return };
        destination.back_off(now.monotonic, wait, why, out);
        if destination.is_newly_parked(now.monotonic) {
            let (contract, why, until) = (contract.clone(), why.to_owned(), now.wall.plus(wait));
            out.push(Effect::Alert(Alert::DestinationParked { contract, why, until }));
        }
    }

    /// Somebody does not want to wait: the destination is asked now, and so are its persons' tokens.
    pub(super) fn ask_now(&mut self, contract: &ContractName, now: Moment) {
        if let Some(destination) = self.destinations.get_mut(contract) {
            destination.ask_now(now.monotonic);
        }
        for (_, person) in self.persons.iter_mut().filter(|(key, _)| key.contract == *contract) {
            person.ask_now();
        }
        self.persons_due = None;
    }

    pub(super) fn probed(&mut self, now: Moment, contract: &ContractName, failed: bool) {
        let wait = self.destination_wait(contract, None);
        if let Some(destination) = self.destinations.get_mut(contract) {
            destination.probed(now.monotonic, wait, failed);
        }
        self.persons_due = None;
    }

    /// An account was found blocked or free. What a start finds in the store was told by an earlier run.
    pub(super) fn account(&mut self, account: &AccountKey, blocked: Option<String>, out: &mut Vec<Effect>) {
        let before = self.lanes.block(account, blocked.clone());
        if let Some(id) = self.lanes.find(account) {
            self.queue_lane(id);
        }
        let account = account.clone();
        match (before, blocked) {
            (None, Some(why)) if self.started => out.push(Effect::Alert(Alert::AccountBlocked { account, why })),
            (Some(_), None) => out.push(Effect::Alert(Alert::AccountOpen { account })),
            _ => {}
        }
    }

    /// For a change: when it wants something next is found out anew.
    pub(super) fn person(&mut self, key: &PersonKey) -> &mut PersonState {
        self.persons_due = None;
        self.persons.entry(key.clone()).or_insert_with(PersonState::new)
    }

    pub(super) fn wake_lanes_of(&mut self, key: &PersonKey) {
        for lane in std::mem::take(&mut self.person(key).waiting) {
            self.lanes.at_mut(lane).queued = false;
            self.queue_lane(lane);
        }
    }
}
