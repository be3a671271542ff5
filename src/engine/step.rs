//! The decisions: one event in, what is to be done out. No clock, no I/O, no randomness but a seed:
//! a test can play any order of events and look at every decision.
//!
//! Invariants: a push follows only the flush of its `Sending`; one push an account at a time;
//! what may have arrived is never sent again unless its entries are idempotent, its channel says
//! `ambiguous = "resend"`, or a person decided so.

use super::{
    event::{AccountKey, Alert, Change, Effect, Event, Judgement, Moment, Opened, PersonKey, Verb, Verdict},
    gate::Destination,
    item::{Item, Phase},
    lanes::{LaneId, Lanes},
    persons::{PersonState, TokenNeed},
};
use crate::{
    model::{ChannelName, ContractName, HoldReason, Receipt, Stage, SubmissionId},
    push::Backoff,
    route::Parcel,
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

/// Judging that ended in a crash this often holds the file.
const POISON_JUDGINGS: u32 = 3;
/// A destination is looked after more often than a single file.
const DESTINATION_WAITS: Backoff = Backoff { first: Duration::from_secs(1), longest: Duration::from_secs(60) };
const PERSON_WAITS: Backoff = Backoff { first: Duration::from_secs(1), longest: Duration::from_secs(5 * 60) };
const SUBMISSION_WAITS: Backoff = Backoff { first: Duration::from_secs(1), longest: Duration::from_secs(15 * 60) };

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
    pub(super) mappings: u32,
    pub(super) parcels: usize,
    pub(super) random: u64,
    pub(super) started: bool,
    pub(super) stopping: bool,
    /// When a person's tokens want something next; `None` where that is to be found out anew.
    pub(super) persons_due: Option<Option<Duration>>,
}

type Waiting = (Judgement, Option<(SubmissionId, Receipt)>);

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
            Event::Started => {
                self.started = true;
                // Links and accounts may have come while nothing ran.
                self.mappings_changed(out);
                self.next_suspect(out);
            }
            Event::Claimed(opened) => {
                let id = opened.id;
                self.admit(opened);
                out.push(Effect::Judge { id });
            }
            Event::Judged { id, judgement, delivered } => self.judged(now, id, judgement, delivered, out),
            Event::Answered { id, answer, attempt } => self.answered(now, id, answer, attempt, out),
            Event::Refreshed { person, outcome } => self.refreshed(now, &person, outcome, out),
            Event::Probed { contract, failure } => self.probed(now, &contract, failure.is_some()),
            Event::Person { person, standing } => {
                self.person(&person).stand(now.monotonic, &standing);
                self.wake_lanes_of(&person);
            }
            Event::Account { account, blocked } => self.account(&account, blocked, out),
            Event::MappingsChanged => self.mappings_changed(out),
            Event::Placed { id } => self.placed(id, out),
            Event::Decided { opened, verb } => self.decided(now, *opened, verb, out),
            Event::Tick => {}
            Event::Shutdown => self.stopping = true,
        }
        self.advance(now, out);
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

    /// Contracts whose destination is paused.
    pub fn paused_destinations(&self) -> Vec<ContractName> {
        self.destinations.iter().filter(|(_, state)| state.is_paused()).map(|(name, _)| name.clone()).collect()
    }

    /// How many wait for each account, for `status`.
    pub fn waiting_by_account(&self) -> Vec<(AccountKey, usize)> {
        self.lanes
            .all()
            .filter(|(_, lane)| lane.len() > 0)
            .map(|(_, lane)| (lane.account.clone(), lane.len()))
            .collect()
    }

    // --- arrivals -------------------------------------------------------------------------------

    /// A record found at start-up goes on where it stood.
    fn open(&mut self, now: Moment, opened: Opened, out: &mut Vec<Effect>) {
        let (id, settled) = (opened.id, opened.settled);
        match opened.stage.clone() {
            Stage::Claimed => {
                let judgings = opened.judgings;
                self.admit(opened);
                if judgings >= POISON_JUDGINGS {
                    self.forget_arrival(id);
                    self.hold(id, HoldReason::Poison, None, out);
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
            }
        }
        if !settled && let Some(item) = self.items.get_mut(&id) {
            item.placed = false;
            out.push(Effect::Place { id });
        }
    }

    /// A new claim, or one to be judged again, takes its place in the order of claims.
    fn admit(&mut self, opened: Opened) {
        let id = opened.id;
        let contract = self.rules.channels.get(&opened.channel).map(|channel| channel.contract.clone());
        let mappings = self.mappings;
        self.insert(&opened, Phase::Claimed).begin_judging(mappings);
        if let Some(contract) = contract {
            self.arrivals.entry(contract).or_default().insert(id, None);
        }
    }

    fn insert(&mut self, opened: &Opened, phase: Phase) -> &mut Item {
        let item = Box::new(Item::new(opened, phase));
        self.items.entry(opened.id).insert_entry(item).into_mut()
    }

    /// After a crash one file at a time is judged, each counted first, so that the one that ends the program is found.
    fn next_suspect(&mut self, out: &mut Vec<Effect>) {
        if self.suspect.is_some() {
            return;
        }
        let Some(id) = self.suspects.pop_first() else { return };
        let Some(item) = self.items.get_mut(&id) else { return };
        self.suspect = Some(id);
        item.judgings += 1;
        let change = Change { judgings: Some(item.judgings), ..Change::to(id, Stage::Claimed) };
        out.push(Effect::Log { change: Box::new(change), then: vec![Effect::Judge { id }] });
    }

    // --- judging --------------------------------------------------------------------------------

    fn judged(
        &mut self,
        now: Moment,
        id: SubmissionId,
        judgement: Judgement,
        delivered: Option<(SubmissionId, Receipt)>,
        out: &mut Vec<Effect>,
    ) {
        if self.suspect == Some(id) {
            self.suspect = None;
            self.next_suspect(out);
        }
        let Some(item) = self.items.get(&id) else { return };
        let contract = self.rules.channels.get(&item.channel).map(|channel| channel.contract.clone());
        let Some(arrivals) = contract.and_then(|contract| self.arrivals.get_mut(&contract)) else {
            return self.apply(now, id, judgement, delivered, out);
        };
        let Some(place) = arrivals.get_mut(&id) else {
            return self.apply(now, id, judgement, delivered, out);
        };
        *place = Some((judgement, delivered));
        let mut ready = Vec::new();
        while let Some(first) = arrivals.first_entry()
            && first.get().is_some()
        {
            let (id, waiting) = first.remove_entry();
            ready.extend(waiting.map(|waiting| (id, waiting)));
        }
        for (id, (judgement, delivered)) in ready {
            self.apply(now, id, judgement, delivered, out);
        }
    }

    fn apply(
        &mut self,
        now: Moment,
        id: SubmissionId,
        judgement: Judgement,
        delivered: Option<(SubmissionId, Receipt)>,
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
            Verdict::Held(reason) => {
                let answerable = reason.is_answered_by_mappings();
                self.hold(id, reason, judged, out);
                // A mapping that came while it was judged may answer it, and nobody would tell it of that again.
                if let Some(item) = self.items.get_mut(&id).filter(|item| item.judged_by != self.mappings && answerable)
                {
                    item.begin_judging(self.mappings);
                    out.push(Effect::Judge { id });
                }
            }
            Verdict::Addressed(parcel) => self.addressed(now, id, parcel, judged, delivered, out),
        }
    }

    fn addressed(
        &mut self,
        now: Moment,
        id: SubmissionId,
        parcel: Box<Parcel>,
        judged: super::item::Judged,
        delivered: Option<(SubmissionId, Receipt)>,
        out: &mut Vec<Effect>,
    ) {
        let recipient = parcel.recipient().clone();
        let account = AccountKey { contract: recipient.contract.clone(), account: recipient.account.clone() };
        let lane = self.lanes.lane(&account, &recipient.person);
        let Some(item) = self.items.get(&id) else { return };
        let (digest, push, forced, waiting) =
            (item.digest, item.push, item.forced, matches!(item.phase, Phase::Waiting));
        let twin = self.lanes.at(lane).same_content(digest, id).find_map(|twin| {
            // The same bytes for the account's provider and for its library are two things.
            let twin_item = self.items.get(&twin).filter(|twin| twin.push == push)?;
            match &twin_item.phase {
                Phase::Over(stage) => match &**stage {
                    Stage::Delivered { receipt } => Some((twin, Some(receipt.clone()))),
                    _ => None,
                },
                // A repeat does not make its first wait for it.
                Phase::Held(HoldReason::DuplicateOpen { .. }) => None,
                _ if twin < id => Some((twin, None)),
                _ => None,
            }
        });
        let earlier = twin.or_else(|| delivered.map(|(of, receipt)| (of, Some(receipt))));
        if let Some((of, receipt)) = earlier.filter(|(of, _)| !forced && *of != id) {
            if let Some(item) = self.items.get_mut(&id).filter(|item| item.judged_by != self.mappings) {
                // By the newest mappings it may be another account's, and no repeat at all.
                item.begin_judging(self.mappings);
                return out.push(Effect::Judge { id });
            }
            self.move_to_lane(id, lane);
            self.leave_queue(id);
            if let Some(receipt) = receipt {
                let recipient = Some(recipient);
                let change = Change { judged, recipient, ..Change::to(id, Stage::Duplicate { of, receipt }) };
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
        if waiting || (was_ready && item.logged_for.as_deref() == Some(&recipient)) {
            return; // judged again before its turn, and nothing new was found
        }
        item.phase = Phase::Ready;
        item.logged_for = Some(self.lanes.at_mut(lane).shared(&recipient));
        item.placed &= !was_held;
        let rank = Some(item.rank);
        let then = if was_held { vec![Effect::Place { id }] } else { Vec::new() };
        let change = Change { judged, recipient: Some(recipient), rank, ..Change::to(id, Stage::Ready) };
        out.push(Effect::Log { change: Box::new(change), then });
    }

    fn mappings_changed(&mut self, out: &mut Vec<Effect>) {
        self.mappings = self.mappings.wrapping_add(1);
        for (id, item) in &mut self.items {
            if let Phase::Held(reason) = &item.phase
                && reason.is_answered_by_mappings()
                && !item.judging
            {
                item.begin_judging(self.mappings);
                out.push(Effect::Judge { id: *id });
            }
        }
    }

    // --- sending --------------------------------------------------------------------------------

    /// Whatever time or the event made possible.
    fn advance(&mut self, now: Moment, out: &mut Vec<Effect>) {
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
                destination.probe_if_due(now.monotonic, out);
            }
            if self.persons_due.is_none_or(|due| due.is_some_and(|due| now.monotonic >= due)) {
                self.renew_tokens(now, &contract, out);
            }
            self.send_in_turn(now, &contract, out);
        }
        if self.persons_due.is_none_or(|due| due.is_some_and(|due| now.monotonic >= due)) {
            self.persons_due = Some(self.next_of_persons(now));
        }
    }

    /// When a person's tokens want something next. While its destination is closed nothing is asked for, so nothing is due.
    fn next_of_persons(&self, now: Moment) -> Option<Duration> {
        let due = |(key, person): (&PersonKey, &PersonState)| {
            let due = person.due()?;
            match self.destinations.get(&key.contract) {
                Some(destination) if !destination.answers(now.monotonic) => Some(due.max(destination.due()?)),
                _ => Some(due),
            }
        };
        self.persons.iter().filter_map(due).min()
    }

    /// Renewals that nothing asked for: refresh tokens near their end, and refreshes that a crash cut off.
    fn renew_tokens(&mut self, now: Moment, contract: &ContractName, out: &mut Vec<Effect>) {
        let answers = self.destinations.get(contract).is_some_and(|state| state.answers(now.monotonic));
        if self.stopping || !answers {
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
    fn send_in_turn(&mut self, now: Moment, contract: &ContractName, out: &mut Vec<Effect>) {
        let connections = self.rules.connections;
        loop {
            let Some(destination) = self.destinations.get_mut(contract) else { return };
            if self.stopping || !destination.admits(now.monotonic, connections) {
                return;
            }
            let Some(lane) = destination.turns.pop_front() else { return };
            self.lanes.at_mut(lane).queued = false;
            self.send_head(now, lane, out);
        }
    }

    fn send_head(&mut self, now: Moment, lane_id: LaneId, out: &mut Vec<Effect>) {
        let lane = self.lanes.at(lane_id);
        let Some(id) = lane.head().filter(|_| lane.is_free()) else { return };
        let person = PersonKey { contract: lane.account.contract.clone(), person: lane.person.clone() };
        let Some(item) = self.items.get_mut(&id) else { return };
        if item.judging || !item.placed || !item.is_sendable() {
            return; // it takes its turn again when that has ended
        }
        if item.parcel.is_none() || item.mappings != self.mappings {
            item.begin_judging(self.mappings);
            return out.push(Effect::Judge { id });
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
        let change =
            Change { attempt: Some(super::item::begun(attempt, now)), ..Change::to(id, Stage::Sending { attempt }) };
        out.push(Effect::Log { change: Box::new(change), then: vec![Effect::Push { parcel, attempt }] });
    }

    // --- tokens, probes, accounts ---------------------------------------------------------------

    fn refreshed(
        &mut self,
        now: Moment,
        key: &PersonKey,
        outcome: super::event::RefreshOutcome,
        out: &mut Vec<Effect>,
    ) {
        use super::event::RefreshOutcome;
        match outcome {
            RefreshOutcome::Renewed(times) => {
                self.person(key).renewed(now.monotonic, times);
                self.wake_lanes_of(key);
            }
            RefreshOutcome::Paused { why } => self.pause_person(key, why, out),
            RefreshOutcome::Superseded => {}
            RefreshOutcome::Later { after, why } => {
                let wait = self.destination_wait(&key.contract, after);
                self.person(key).retry_at(now.monotonic + wait);
                if let Some(destination) = self.destinations.get_mut(&key.contract) {
                    destination.back_off(now.monotonic, wait, &why, out);
                }
            }
            RefreshOutcome::Refused { why } => self.person_refused(now, key, &why, out),
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
        self.person(key).pause();
        out.push(Effect::PausePerson { person: key.clone(), why: why.clone() });
        out.push(Effect::Alert(Alert::PersonPaused { person: key.clone(), why }));
    }

    fn probed(&mut self, now: Moment, contract: &ContractName, failed: bool) {
        let wait = self.destination_wait(contract, None);
        self.persons_due = None;
        if let Some(destination) = self.destinations.get_mut(contract) {
            destination.probed(now.monotonic, wait, failed);
        }
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

    // --- places and queues ----------------------------------------------------------------------

    fn placed(&mut self, id: SubmissionId, out: &mut Vec<Effect>) {
        let Some(item) = self.items.get_mut(&id) else { return };
        item.placed = true;
        if item.phase == Phase::Claimed && item.rejoins {
            return out.push(Effect::Judge { id });
        }
        if matches!(item.phase, Phase::Over(_)) {
            let (lane, digest) = (item.lane, item.digest);
            self.items.remove(&id);
            if let Some(lane) = lane {
                self.lanes.at_mut(lane).forget_content(digest, id);
            }
            return;
        }
        self.queue_lane_of(id);
    }

    /// Into the account's queue where the record says whose it is.
    fn enter_lane(&mut self, id: SubmissionId, opened: &Opened) -> Option<LaneId> {
        let recipient = opened.recipient.as_ref()?;
        let account = AccountKey { contract: recipient.contract.clone(), account: recipient.account.clone() };
        let lane = self.lanes.lane(&account, &recipient.person);
        if let Some(item) = self.items.get_mut(&id) {
            item.logged_for = Some(self.lanes.at_mut(lane).shared(recipient));
        }
        self.move_to_lane(id, lane);
        Some(lane)
    }

    fn move_to_lane(&mut self, id: SubmissionId, lane: LaneId) {
        let Some(item) = self.items.get_mut(&id) else { return };
        if let Some(old) = item.lane.filter(|old| *old != lane) {
            let (rank, digest) = (item.rank, item.digest);
            self.lanes.at_mut(old).leave(rank, id);
            self.lanes.at_mut(old).forget_content(digest, id);
            // Those behind it have their turn.
            self.queue_lane(old);
        }
        let Some(item) = self.items.get_mut(&id) else { return };
        let lane_state = self.lanes.at_mut(lane);
        if item.lane != Some(lane) && item.rejoins {
            item.rank = lane_state.tail(id);
        }
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

    fn bar(&mut self, lane: LaneId, id: SubmissionId) {
        let strict = self.items.get(&id).and_then(|item| self.rules.channels.get(&item.channel));
        if strict.is_some_and(|channel| channel.order == Order::Strict) {
            self.lanes.at_mut(lane).barred_by.insert(id);
        }
    }

    // --- ends -----------------------------------------------------------------------------------

    fn hold(&mut self, id: SubmissionId, reason: HoldReason, judged: super::item::Judged, out: &mut Vec<Effect>) {
        self.leave_queue(id);
        self.hold_for(id, reason, judged, None, out);
    }

    fn hold_for(
        &mut self,
        id: SubmissionId,
        reason: HoldReason,
        judged: super::item::Judged,
        recipient: Option<crate::model::Recipient>,
        out: &mut Vec<Effect>,
    ) {
        let Some(item) = self.items.get_mut(&id) else { return };
        if item.phase == Phase::Held(reason.clone()) {
            return; // nothing new: the report stands
        }
        item.phase = Phase::Held(reason.clone());
        item.placed = false;
        let change = Change { judged, recipient, ..Change::to(id, Stage::Held(reason)) };
        out.push(Effect::Log { change: Box::new(change), then: vec![Effect::Place { id }] });
    }

    /// Nothing moves it any more; those that waited for its end are judged again.
    pub(super) fn end(&mut self, now: Moment, change: Change, out: &mut Vec<Effect>) {
        let id = change.id;
        self.leave_queue(id);
        let Some(item) = self.items.get_mut(&id) else { return };
        item.phase = Phase::Over(Box::new(change.stage.clone()));
        item.placed = false;
        if let Some(lane) = item.lane {
            self.lanes.at_mut(lane).barred_by.remove(&id);
            self.queue_lane(lane);
        }
        let mut then = vec![Effect::Place { id }];
        for repeat in self.repeats.remove(&id).unwrap_or_default() {
            if let Some(item) = self.items.get_mut(&repeat)
                && !item.judging
            {
                item.begin_judging(self.mappings);
                then.push(Effect::Judge { id: repeat });
            }
        }
        let change = Change { waited_millis: Some(self.waited(now, id)), ..change };
        out.push(Effect::Log { change: Box::new(change), then });
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
            self.bar(lane, id);
        }
        let waited_millis = Some(self.waited(now, id));
        let change = Change { attempt, waited_millis, ..Change::to(id, Stage::Unknown { attempt: number }) };
        let then = vec![Effect::Place { id }, Effect::Alert(Alert::Unknown { id })];
        out.push(Effect::Log { change: Box::new(change), then });
    }

    // --- a person's decisions -------------------------------------------------------------------

    /// The verb was found possible by [`super::decide::decide`]; the item may have moved since, so it is looked at again.
    fn decided(&mut self, now: Moment, opened: Opened, verb: Verb, out: &mut Vec<Effect>) {
        let id = opened.id;
        let stage = self.items.get(&id).map_or_else(|| opened.stage.clone(), |item| item.phase.stage());
        let Ok(next) = super::decide::decide(&stage, verb) else { return };
        if matches!((&stage, &next), (Stage::Waiting { .. } | Stage::Ready, Stage::Ready)) {
            if let Some(item) = self.items.get_mut(&id) {
                item.waited_out = true;
            }
            return self.queue_lane_of(id);
        }
        match next {
            Stage::Held(reason) => self.hold(id, reason, None, out),
            Stage::Dropped => {
                self.items.entry(id).or_insert_with(|| Box::new(Item::new(&opened, Phase::Claimed)));
                self.forget_arrival(id);
                self.end(now, Change::to(id, Stage::Dropped), out);
            }
            _ => self.release(&opened, verb, out),
        }
    }

    /// Judged again from the start; it joins its account's queue at the tail.
    fn release(&mut self, opened: &Opened, verb: Verb, out: &mut Vec<Effect>) {
        let id = opened.id;
        self.leave_queue(id);
        let item = self.items.entry(id).or_insert_with(|| Box::new(Item::new(opened, Phase::Claimed)));
        let was_unknown = matches!(item.phase, Phase::Unknown);
        if let Some(lane) = item.lane.take() {
            let digest = item.digest;
            self.lanes.at_mut(lane).barred_by.remove(&id);
            self.lanes.at_mut(lane).forget_content(digest, id);
            self.queue_lane(lane);
        }
        let Some(item) = self.items.get_mut(&id) else { return };
        item.phase = Phase::Claimed;
        item.rejoins = true;
        item.begin_judging(self.mappings);
        item.placed = false;
        item.logged_for = None;
        item.forced |= was_unknown || verb == Verb::ForceRelease;
        let change = Change { forced: Some(item.forced), ..Change::to(id, Stage::Claimed) };
        out.push(Effect::Log { change: Box::new(change), then: vec![Effect::Place { id }] });
    }

    /// A claim that was given up no longer keeps later ones waiting.
    fn forget_arrival(&mut self, id: SubmissionId) {
        for arrivals in self.arrivals.values_mut() {
            arrivals.remove(&id);
        }
        self.suspects.remove(&id);
    }

    // --- waits ----------------------------------------------------------------------------------

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
