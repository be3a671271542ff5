//! The loop around the decisions, played: it does what `run/`, `vault.rs`, `clerk.rs` and the store's writer do, one
//! small thing at a time, so that a crash or another event can come between any two of them.

use super::{
    api::{Refreshed, Said},
    world::{Happening, World},
};
use crate::{
    engine::{
        event::{AccountKey, Effect, Event, Judgement, Opened, PersonKey, RefreshOutcome, Verdict},
        ledger::Ledger,
        lookup::earlier,
        step::{Engine, Rules},
        vault::{Concluded, Renewal, Vault},
        written::events_of,
    },
    model::{Attempt, Person, PersonId, Place, Submission, SubmissionId, Timestamp, TokenPair},
    push::{self, Answer, Tokens},
    route::Parcel,
    store::{Store, Write, memory::MemoryStore},
};
use std::{collections::VecDeque, sync::Arc};

/// What waits in the loop's channel.
#[derive(Debug)]
pub(super) enum Signal {
    Event(Box<Event>),
    Recorded(SubmissionId),
    Flushed { id: SubmissionId, then: Vec<Effect> },
    Placed { id: SubmissionId, place: Place },
    Judged(SubmissionId, Box<Judgement>),
    JudgeAgain(SubmissionId),
    Written(Vec<Write>),
    Renewed(PersonKey, Option<Renewal>),
}

impl Signal {
    pub(super) fn of(event: Event) -> Self {
        Self::Event(Box::new(event))
    }
}

/// What follows a flush.
pub(super) enum Done {
    Nothing,
    Signal(Signal),
    /// A command's writes.
    Tell(Vec<Write>),
    /// `Rotating` is on disk: the request leaves.
    Rotating(Box<Refreshing>),
    /// The new pair is on disk.
    Kept {
        began: Box<Person>,
        renewed: Box<Person>,
        outcome: RefreshOutcome,
    },
}

/// A push on its way.
#[derive(Debug)]
pub(super) struct Pushing {
    pub(super) parcel: Parcel,
    pub(super) attempt: u32,
    pub(super) person: PersonKey,
    pub(super) account: AccountKey,
    pub(super) token: u32,
    began: Timestamp,
}

/// A refresh on its way.
#[derive(Debug)]
pub(super) struct Refreshing {
    pub(super) key: PersonKey,
    pub(super) person: Person,
}

pub(super) struct Shell {
    pub(super) engine: Engine,
    pub(super) ledger: Ledger,
    pub(super) vault: Vault,
    /// Requests to the writer, in order.
    pub(super) writer: VecDeque<(Vec<Write>, Done)>,
    pub(super) clerk: VecDeque<Submission>,
    pub(super) signals: VecDeque<Signal>,
    /// On the world's clock.
    pub(super) started: u64,
}

/// The number of a pair.
pub(super) fn number(pair: &TokenPair) -> u32 {
    pair.access.value.expose().parse().unwrap()
}

impl Shell {
    pub(super) fn new(rules: Rules, store: Arc<MemoryStore>) -> Self {
        Self {
            engine: Engine::new(rules),
            ledger: Ledger::new(store),
            vault: Vault::default(),
            writer: VecDeque::new(),
            clerk: VecDeque::new(),
            signals: VecDeque::new(),
            started: 0,
        }
    }
}

impl World {
    pub(super) fn step(&mut self, event: Event) {
        self.figures.events += 1;
        let (now, clock) = (self.now(), self.clock);
        if self.trace.is_some() {
            self.note(|| super::trace::event(&event));
        }
        self.referee.event(clock, &event);
        let mut effects = Vec::new();
        self.shell.engine.step(now, event, &mut effects);
        if self.trace.is_some() {
            for effect in &effects {
                self.note(|| format!("    {}", super::trace::effect(effect)));
            }
        }
        self.judge_effects(&effects);
        self.carry_out(effects);
    }

    fn carry_out(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Log { change, then } => {
                    let (id, now) = (change.id, self.now());
                    let record =
                        self.shell.ledger.change(now, *change).unwrap().expect("a change is of a record").clone();
                    self.write(vec![Write::Submission(Box::new(record))], Done::Signal(Signal::Flushed { id, then }));
                }
                Effect::Judge { id } => self.soon(40, Happening::Read(id)),
                Effect::Push { parcel, attempt } => self.push(*parcel, attempt),
                Effect::Place { id } => {
                    if let Some(record) = self.shell.ledger.read(id).unwrap() {
                        if self.shell.clerk.is_empty() {
                            self.soon(60, Happening::Settle);
                        }
                        self.shell.clerk.push_back(record);
                    }
                }
                Effect::Refresh { person } => self.refresh(person),
                Effect::PausePerson { person, why } => {
                    let (now, mut paused) = (self.now().wall, None);
                    self.shell.vault.pause(&person, why, now, |person| paused = Some(person.clone()));
                    if let Some(person) = paused {
                        self.write(vec![Write::Person(person)], Done::Nothing);
                    }
                }
                Effect::BlockAccount { account: key, why } => {
                    if let Some(mut account) = self.store.account(&key.contract, &key.account).unwrap() {
                        account.blocked = Some(why);
                        self.write(vec![Write::Account(account)], Done::Nothing);
                    }
                }
                Effect::Probe { contract } => {
                    self.figures.probes += 1;
                    self.soon(3_000, Happening::Probe(contract));
                }
                Effect::Alert(_) => {}
            }
        }
    }

    pub(super) fn write(&mut self, writes: Vec<Write>, done: Done) {
        if self.shell.writer.is_empty() {
            self.soon(25, Happening::Sync);
        }
        self.shell.writer.push_back((writes, done));
    }

    pub(super) fn write_lazily(&mut self, id: SubmissionId, edit: impl FnOnce(&mut Submission)) {
        let record = self.shell.ledger.edit(id, edit).unwrap().cloned();
        if let Some(record) = record {
            let flushed = Signal::Flushed { id, then: Vec::new() };
            self.write(vec![Write::Submission(Box::new(record))], Done::Signal(flushed));
        }
    }

    /// Takes the next signal of the channel.
    pub(super) fn take(&mut self) {
        let Some(signal) = self.shell.signals.pop_front() else { return };
        match signal {
            Signal::Event(event) => self.step(*event),
            Signal::Recorded(id) => {
                self.shell.ledger.flushed(id);
                let record = self.store.submission(id).unwrap().unwrap();
                self.step(Event::Claimed(Opened::from(&record)));
                self.soon(20, Happening::SourceGone(id));
            }
            Signal::Flushed { id, then } => {
                self.shell.ledger.flushed(id);
                self.carry_out(then);
            }
            Signal::Placed { id, place } => {
                let record = self.shell.ledger.read(id).unwrap();
                if record.is_some_and(|record| record.stage.place() == place) {
                    self.write_lazily(id, |record| record.settled = true);
                    self.step(Event::Placed { id });
                }
            }
            Signal::Judged(id, judgement) => {
                let earlier = match &judgement.verdict {
                    Verdict::Addressed(parcel) => earlier(&*self.store, &self.shell.engine, parcel).unwrap(),
                    _ => None,
                };
                self.step(Event::Judged { id, judgement: *judgement, earlier });
            }
            Signal::JudgeAgain(id) => self.carry_out(vec![Effect::Judge { id }]),
            Signal::Written(writes) => {
                for event in events_of(&self.shell.vault, writes, self.now().wall) {
                    self.step(event);
                }
            }
            Signal::Renewed(person, renewal) => {
                let outcome = self.shell.vault.outcome(&person, renewal);
                self.step(Event::Refreshed { person, outcome });
            }
        }
    }

    // --- pushes -----------------------------------------------------------------------------------

    fn push(&mut self, parcel: Parcel, attempt: u32) {
        let recipient = parcel.recipient();
        let person = PersonKey { contract: recipient.contract.clone(), person: recipient.person.clone() };
        let account = AccountKey { contract: recipient.contract.clone(), account: recipient.account.clone() };
        let token = self.shell.vault.access(&person).map_or(0, |token| token.expose().parse().unwrap());
        let pushing = Pushing { parcel, attempt, person, account, token, began: self.now().wall };
        self.figures.pushes += 1;
        if self.trace.is_some() {
            self.note(|| {
                format!(
                    "push of {} leaves, attempt {attempt}, token {token}",
                    super::trace::id(pushing.parcel.submission())
                )
            });
        }
        self.judge_push(&pushing);
        self.soon(200, Happening::PushArrives(Box::new(pushing)));
    }

    /// The body is whole; the answer comes later, or the silence ends.
    pub(super) fn push_arrives(&mut self, pushing: Pushing) {
        let (id, digest, wall) = (pushing.parcel.submission(), pushing.parcel.claimed(), self.now().wall);
        let sent = (&pushing.account, &pushing.person, digest, id);
        let said = self.api.push(&mut self.random, wall, self.clock, sent, pushing.token);
        let Said { answer, status, code } = said;
        if matches!(answer, Answer::Delivered(_)) {
            self.figures.delivered += 1;
        }
        let silent = answer == Answer::Unknown;
        let attempt = Attempt {
            number: pushing.attempt,
            recipient: Some(pushing.parcel.recipient().clone()),
            at: pushing.began,
            millis: 0,
            outcome: answer.outcome(),
            status,
            code: code.map(str::to_owned),
            reference: None,
            detail: None,
        };
        let delay = if silent { self.random.pick(&[100, 60_000]) } else { self.random.between(1, 2_000) };
        let answered = Signal::of(Event::Answered { id, answer, attempt });
        self.at(self.clock + delay, Happening::Told(Box::new(answered)));
    }

    // --- refreshes: `vault::renew`, step by step ----------------------------------------------------

    fn refresh(&mut self, key: PersonKey) {
        self.figures.refreshes += 1;
        let mut write = Vec::new();
        let begun = self.shell.vault.begin(&key, self.now().wall, |person| write.push(Write::Person(person.clone())));
        match begun {
            Some(person) => self.write(write, Done::Rotating(Box::new(Refreshing { key, person }))),
            None => self.soon(3, Happening::Told(Box::new(Signal::Renewed(key, None)))),
        }
    }

    pub(super) fn refresh_leaves(&mut self, refreshing: Box<Refreshing>) {
        self.judge_refresh(&refreshing);
        self.soon(200, Happening::RefreshArrives(refreshing));
    }

    pub(super) fn refresh_arrives(&mut self, refreshing: Box<Refreshing>) {
        let pair = number(&refreshing.person.tokens);
        let refreshed = self.api.refresh(&mut self.random, self.clock, &refreshing.key, pair);
        let delay = if matches!(refreshed, Refreshed::Silence) { 30_000 } else { self.random.between(1, 2_000) };
        self.at(self.clock + delay, Happening::RefreshEnds(refreshing, refreshed));
    }

    pub(super) fn refresh_ends(&mut self, refreshing: Refreshing, refreshed: &Refreshed) {
        if self.trace.is_some() {
            self.note(|| format!("refresh of {} ends: {refreshed:?}", refreshing.key.person));
        }
        self.referee.refresh_ended(&refreshing.key, number(&refreshing.person.tokens), refreshed);
        let (why, now, mut written) = (String::new(), self.now().wall, None::<Person>);
        let Refreshing { key, person } = refreshing;
        let tokens = |id: PersonId, pair: u32| Tokens { pair: self.api.pair(pair, now), person: id, consent_id: None };
        let answer = match refreshed {
            Refreshed::Renewed(pair) => push::Refreshed::Renewed(tokens(person.id.clone(), *pair)),
            Refreshed::Foreign => push::Refreshed::Renewed(tokens("mallory".parse().unwrap(), 0)),
            Refreshed::Spent => push::Refreshed::Spent { why },
            Refreshed::Later(after) => push::Refreshed::Later { after: *after, why },
            Refreshed::Refusing => push::Refreshed::DestinationPaused { why },
            Refreshed::Refused => push::Refreshed::Refused { why },
            Refreshed::Silence => push::Refreshed::Lost,
        };
        let concluded = self.shell.vault.conclude(&person, answer, now, |person| written = Some(person.clone()));
        let writes = written.into_iter().map(Write::Person).collect();
        match concluded {
            Some(Concluded { outcome, renewed: Some(renewed) }) => {
                let (began, renewed) = (Box::new(person), Box::new(renewed));
                self.write(writes, Done::Kept { began, renewed, outcome });
            }
            concluded => {
                if !writes.is_empty() {
                    self.write(writes, Done::Nothing);
                }
                if concluded.as_ref().is_some_and(|concluded| concluded.outcome == RefreshOutcome::Lost) {
                    self.figures.refreshes_lost += 1;
                }
                let ended = |concluded: Concluded| Renewal { outcome: concluded.outcome, pair: person.tokens };
                self.shell.signals.push_back(Signal::Renewed(key, concluded.map(ended)));
            }
        }
    }

    pub(super) fn refresh_kept(&mut self, began: &Person, renewed: Person, outcome: RefreshOutcome) {
        let key = PersonKey { contract: began.contract.clone(), person: began.id.clone() };
        let pair = renewed.tokens.clone();
        let renewal = self.shell.vault.renewed(began, renewed).then_some(Renewal { outcome, pair });
        self.soon(3, Happening::Told(Box::new(Signal::Renewed(key, renewal))));
    }
}
