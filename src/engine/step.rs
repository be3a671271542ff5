//! The decisions: one event in, what is to be done out. No clock, no I/O, no randomness but a seed:
//! a test can play any order of events and look at every decision. This file has the state and the door; what an event
//! leads to stands by topic in `arrivals`, `judging`, `sending`, `answers`, `queues` and `ends`.
//!
//! Invariants: a push follows only the flush of its `Sending`; one push an account at a time;
//! what may have arrived is never sent again unless its entries are idempotent, its channel says
//! `ambiguous = "resend"`, or a person decided so.

use super::{
    event::{AccountKey, Earlier, Effect, Event, Judgement, Moment, PersonKey},
    gate::{Destination, Paused},
    item::Item,
    lanes::Lanes,
    persons::PersonState,
};
use crate::{
    model::{ChannelName, ContractName, SubmissionId},
    push::Backoff,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

/// What a channel's settings decide here.
#[derive(Clone, Debug)]
pub struct ChannelRules {
    /// Its contract.
    pub contract: ContractName,
    /// What passes an Unknown.
    pub order: Order,
    /// What becomes of an Unknown.
    pub ambiguous: Ambiguous,
    /// How long a Bundle is tried on an open destination.
    pub max_age: Duration,
}

/// Whether later Bundles of an account may pass one whose fate is Unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// They may.
    Claim,
    /// They wait.
    Strict,
}

/// What becomes of a Bundle that may have arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ambiguous {
    /// A person decides.
    Hold,
    /// It is sent again.
    Resend,
}

/// What the engine is set up with.
#[derive(Clone, Debug)]
pub struct Rules {
    /// Every channel.
    pub channels: BTreeMap<ChannelName, ChannelRules>,
    /// Pushes under way at once to one destination.
    pub connections: usize,
    /// Parcels kept ready in memory; beyond that a file is judged again before it is sent.
    pub parcels: usize,
    /// Of the random waits.
    pub seed: u64,
}

/// A destination is looked after more often than a single file.
const DESTINATION_WAITS: Backoff = Backoff { first: Duration::from_secs(1), longest: Duration::from_secs(60) };
const PERSON_WAITS: Backoff = Backoff { first: Duration::from_secs(1), longest: Duration::from_secs(5 * 60) };
pub(super) const SUBMISSION_WAITS: Backoff =
    Backoff { first: Duration::from_secs(1), longest: Duration::from_secs(15 * 60) };

/// The engine's whole state.
#[derive(Debug)]
pub struct Engine {
    pub(super) rules: Rules,
    /// Boxed: a tree that grows at its end is half empty.
    pub(super) items: BTreeMap<SubmissionId, Box<Item>>,
    pub(super) lanes: Lanes,
    pub(super) persons: BTreeMap<PersonKey, PersonState>,
    pub(super) destinations: BTreeMap<ContractName, Destination>,
    /// Claims of each contract that are not judged yet, with the judgements that wait for an earlier one:
    /// so that files reach their accounts in claim order however long each takes to judge.
    pub(super) arrivals: BTreeMap<ContractName, BTreeMap<SubmissionId, Option<Waiting>>>,
    /// Items in question by the end of another.
    pub(super) repeats: BTreeMap<SubmissionId, BTreeSet<SubmissionId>>,
    /// Found Claimed at start-up: judged one at a time, because one of them may have ended the last run.
    pub(super) suspects: BTreeSet<SubmissionId>,
    pub(super) suspect: Option<SubmissionId>,
    pub(super) waits: BTreeSet<(Duration, SubmissionId)>,
    /// No open submission's turn is later.
    pub(super) last_rank: u64,
    pub(super) mappings: u32,
    pub(super) parcels: usize,
    pub(super) random: u64,
    pub(super) started: bool,
    pub(super) stopping: bool,
    /// When a person's tokens want something next; `None` where that is to be found out anew.
    pub(super) persons_due: Option<Option<Duration>>,
}

pub(super) type Waiting = (Judgement, Option<Earlier>);

impl Engine {
    /// With nothing to do yet.
    pub fn new(rules: Rules) -> Self {
        let contracts: BTreeSet<_> = rules.channels.values().map(|channel| channel.contract.clone()).collect();
        Self {
            random: rules.seed,
            destinations: contracts.into_iter().map(|name| (name.clone(), Destination::new(name))).collect(),
            rules,
            items: BTreeMap::new(),
            lanes: Lanes::default(),
            persons: BTreeMap::new(),
            arrivals: BTreeMap::new(),
            repeats: BTreeMap::new(),
            suspects: BTreeSet::new(),
            suspect: None,
            waits: BTreeSet::new(),
            last_rank: 0,
            mappings: 0,
            parcels: 0,
            started: false,
            stopping: false,
            persons_due: Some(None),
        }
    }

    /// Takes one event; what is to be done is appended to `out`, in order.
    pub fn step(&mut self, now: Moment, event: Event, out: &mut Vec<Effect>) {
        match event {
            Event::Opened(opened) => self.open(now, opened, out),
            Event::Started => self.start(out),
            Event::Claimed(opened) => {
                let id = opened.id;
                // Somebody who was quicker may have held it or given it up.
                if !self.items.contains_key(&id) {
                    self.admit(opened);
                    self.judge(id, out);
                }
            }
            Event::Judged { id, judgement, earlier } => self.judged(now, id, judgement, earlier, out),
            Event::Answered { id, answer, attempt } => self.answered(now, id, answer, attempt, out),
            Event::Refreshed { person, outcome } => self.refreshed(now, &person, outcome, out),
            Event::Probed { contract, failure } => self.probed(now, &contract, failure.is_some()),
            Event::Resumed { contract } => self.ask_now(&contract, now),
            Event::Person { person, standing } => {
                self.person(&person).stand(now.monotonic, &standing);
                self.wake_lanes_of(&person);
            }
            Event::Account { account, blocked } => self.account(&account, blocked, out),
            Event::MappingsChanged => self.mappings_changed(out),
            Event::ProfilesChanged => self.profiles_changed(out),
            Event::Placed { id } => self.placed(id, out),
            Event::Decided { opened, verb } => self.decided(now, *opened, verb, out),
            Event::Tick => {}
            Event::Shutdown => {
                self.stopping = true;
                self.persons_due = None;
            }
        }
        self.advance(now, out);
    }

    /// Whether it knows more of this submission than the store does.
    pub fn has_open(&self, id: SubmissionId) -> bool {
        self.items.contains_key(&id)
    }

    /// When time alone changes something next.
    pub fn due(&self) -> Option<Duration> {
        let waits = self.waits.first().map(|(due, _)| *due);
        let destinations = self.destinations.values().filter_map(Destination::due);
        waits.into_iter().chain(destinations).chain(self.persons_due.flatten()).min()
    }

    /// A person's token is to be renewed although it has not ended; `false` where there is none to renew.
    pub fn expire_token(&mut self, now: Moment, key: &PersonKey) -> bool {
        let person = self.person(key);
        let generation = person.generation;
        person.is_stale(now.monotonic, generation);
        person.renew_now(now.monotonic)
    }

    /// Whether tokens are being renewed.
    pub fn is_refreshing(&self) -> bool {
        self.persons.values().any(|person| person.refreshing)
    }

    /// Whether it was told to end.
    pub const fn is_stopping(&self) -> bool {
        self.stopping
    }

    /// Pushes under way.
    pub fn in_flight(&self) -> usize {
        self.destinations.values().map(Destination::in_flight).sum()
    }

    /// Claims that are not judged yet.
    pub fn unjudged(&self) -> usize {
        self.arrivals.values().map(BTreeMap::len).sum()
    }

    /// Whether nothing will move until somebody or something outside does, for `run --once`:
    /// no judging, no push, no refresh, no file on its way to its place, and nothing that may be sent now.
    pub fn is_idle(&self) -> bool {
        self.in_flight() == 0
            && self.unjudged() == 0
            && !self.is_refreshing()
            && !self.items.values().any(|item| item.judging || !item.placed)
            && !self.lanes.all().any(|(_, lane)| lane.head().is_some() && self.may_move(lane))
    }

    fn may_move(&self, lane: &super::lanes::Lane) -> bool {
        let key = PersonKey { contract: lane.account.contract.clone(), person: lane.person.clone() };
        lane.blocked.is_none()
            && lane.barred_by.is_empty()
            && !self.persons.get(&key).is_none_or(PersonState::is_paused)
            && !self.destinations.get(&key.contract).is_none_or(Destination::is_paused)
    }

    /// Counts for `status`: items by stage.
    pub fn counts(&self) -> BTreeMap<&'static str, u64> {
        let mut counts = BTreeMap::new();
        for item in self.items.values() {
            *counts.entry(item.phase.as_str()).or_default() += 1;
        }
        counts
    }

    /// Destinations that are paused.
    pub(super) fn paused_destinations(&self) -> Vec<Paused> {
        self.destinations.values().filter_map(Destination::paused).collect()
    }

    /// How many wait for each account, for `status`.
    pub fn waiting_by_account(&self) -> Vec<(AccountKey, usize)> {
        self.lanes
            .all()
            .filter(|(_, lane)| lane.len() > 0)
            .map(|(_, lane)| (lane.account.clone(), lane.len()))
            .collect()
    }

    pub(super) fn destination_wait(&mut self, contract: &ContractName, after: Option<Duration>) -> Duration {
        let failures = self.destinations.get(contract).map_or(0, Destination::failures);
        asked_or_own(after, failures, DESTINATION_WAITS.wait(failures.max(1), self.next_random()))
    }

    pub(super) fn person_wait(&mut self, key: &PersonKey) -> Duration {
        let failures = self.person(key).failures.saturating_add(1);
        PERSON_WAITS.wait(failures, self.next_random())
    }

    pub(super) fn submission_wait(&mut self, attempt: u32, after: Option<Duration>) -> Duration {
        asked_or_own(after, attempt.saturating_sub(1), SUBMISSION_WAITS.wait(attempt, self.next_random()))
    }

    /// Splitmix64: enough to spread waits.
    const fn next_random(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

/// What the API asks for wins. Who asks for no wait at all again and again is spared all the same: `failures` came before.
fn asked_or_own(after: Option<Duration>, failures: u32, own: Duration) -> Duration {
    const NEXT_TO_NOTHING: Duration = Duration::from_secs(1);
    match after {
        None => own,
        Some(after) if failures > 0 && after < NEXT_TO_NOTHING => after.max(own),
        Some(after) => after,
    }
}

#[cfg(test)]
mod tests;
