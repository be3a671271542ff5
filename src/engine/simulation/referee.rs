//! The independent judge: it sees every event and every effect, keeps its own small picture of what is going on, and
//! says so when a promise is broken. It shares no decision with the engine.

use super::{api::Refreshed, cast::cast, shell::number};
use crate::{
    engine::event::{AccountKey, Alert, Event, Opened, PersonKey, PersonStanding, RefreshOutcome, Verb, Verdict},
    model::{
        AccountId, Attempt, ChannelName, ContractName, Digest, PersonId, PushType, Recipient, Stage, SubmissionId,
        TokenState,
    },
    push::{Answer, Scope},
    store::{Store, memory::MemoryStore},
};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// What is known of one push.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Open,
    /// The answer proves that nothing was taken.
    NotTaken,
    /// It was taken, or nobody can tell.
    Maybe,
}

#[derive(Clone, Debug)]
pub(super) struct Sent {
    pub(super) account: AccountKey,
    pub(super) fate: Fate,
}

/// What was last judged of a file, in this run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Word {
    Refused,
    Held,
    Addressed,
}

/// The referee's picture of a submission.
#[derive(Clone, Debug)]
pub(super) struct Subject {
    pub(super) channel: ChannelName,
    pub(super) push: PushType,
    pub(super) digest: Digest,
    pub(super) stage: Stage,
    pub(super) recipient: Option<Recipient>,
    pub(super) word: Option<Word>,
    pub(super) sent: Vec<Sent>,
    /// Pushes that a person knew of when deciding for another one.
    pub(super) excused: usize,
    /// The person's tokens that its last push was begun with, as they are counted here.
    pub(super) tokens: u32,
    /// A person let it go although its account may have it: for this account, or for whichever it gets first.
    pub(super) forced: Option<Option<AccountKey>>,
    /// In the order of events.
    pub(super) claimed: u64,
    pub(super) released: Option<u64>,
    /// Since when it stands in its account's queue without a break.
    pub(super) queued: Option<u64>,
    /// A crash took back a release: its turn is not judged any more.
    pub(super) turn_unsure: bool,
    pub(super) in_first_order: bool,
    pub(super) tried_since: Option<u64>,
}

impl Subject {
    fn person(&self) -> Option<PersonKey> {
        let Recipient { contract, person, .. } = self.recipient.clone()?;
        Some(PersonKey { contract, person })
    }

    pub(super) fn account(&self) -> Option<AccountKey> {
        let recipient = self.recipient.as_ref()?;
        Some(AccountKey { contract: recipient.contract.clone(), account: recipient.account.clone() })
    }
}

/// A destination as the referee sees it.
#[derive(Clone, Debug, Default)]
pub(super) struct Door {
    pub(super) closed: bool,
    /// One at a time, until one is delivered.
    pub(super) narrow: bool,
    /// Retry-After.
    pub(super) not_before: u64,
    pub(super) in_flight: usize,
    pub(super) alerted: bool,
    pub(super) probing: bool,
    /// Accounts, or persons, that were refused in the same way since the last delivery.
    row: (u16, Option<String>, BTreeSet<String>),
    /// Somebody was told that the API asks for a long wait.
    parked: bool,
    /// How often a probe was answered well.
    probed_well: u64,
}

impl Door {
    /// One more that is refused; whether the API refuses everybody.
    fn refuses(&mut self, status: u16, code: Option<&str>, whom: &str) -> bool {
        if self.row.0 != status || self.row.1.as_deref() != code {
            self.row = (status, code.map(str::to_owned), BTreeSet::new());
        }
        self.row.2.insert(whom.to_owned());
        self.refuses_everybody()
    }

    pub(super) fn refuses_everybody(&self) -> bool {
        self.row.2.len() >= 3
    }

    /// Only a probe opens it.
    const fn close(&mut self) {
        (self.closed, self.not_before) = (true, 0);
    }

    const fn close_if(&mut self, everybody: bool) {
        if everybody {
            self.close();
        }
    }
}

/// What made the engine act.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    Other,
    Opened(SubmissionId),
    Answered(SubmissionId),
    Decided(SubmissionId, Verb),
}

/// Whom a file belongs to, since which version of the links.
type Route = (u64, Option<(AccountId, PersonId)>);

#[derive(Debug)]
pub(super) struct Referee {
    pub(super) subjects: BTreeMap<SubmissionId, Subject>,
    pub(super) doors: BTreeMap<ContractName, Door>,
    pub(super) blocked: BTreeSet<AccountKey>,
    /// Persons with tokens that may be used.
    pub(super) usable: BTreeSet<PersonKey>,
    pub(super) told_paused: BTreeSet<PersonKey>,
    told_blocked: BTreeSet<AccountKey>,
    /// Persons whose tokens are refused without a word on why, as far as somebody was told.
    told_refused: BTreeSet<PersonKey>,
    /// The account that the present event frees.
    freed: Option<AccountKey>,
    pub(super) refreshing: BTreeSet<PersonKey>,
    /// How often each person has had new tokens.
    pub(super) tokens: BTreeMap<PersonKey, u32>,
    /// Persons whose present tokens come from a refresh, and were not taken yet.
    unproven: BTreeSet<PersonKey>,
    /// Persons of whose tokens the API has said that they are over, or that brought another's.
    over: BTreeSet<PersonKey>,
    /// Refreshes whose answer never came, with how many probes had been answered by then.
    lost: BTreeMap<(PersonKey, u32), u64>,
    /// Refresh tokens whose use was answered and so is known.
    pub(super) spent: BTreeSet<(PersonKey, u32)>,
    /// Pairs that are or were on the disk.
    pub(super) on_disk: BTreeSet<(PersonKey, u32)>,
    /// Those of them that were there as `Rotating`.
    pub(super) marked: BTreeSet<(PersonKey, u32)>,
    pub(super) cause: Cause,
    pub(super) answer: Option<Answer>,
    pub(super) event: u64,
    pub(super) clock: u64,
    pub(super) routes: Vec<Vec<Route>>,
    pub(super) version: u64,
    pub(super) told: u64,
    pub(super) telling: VecDeque<u64>,
}

impl Default for Referee {
    fn default() -> Self {
        Self {
            subjects: BTreeMap::new(),
            doors: cast().contracts.iter().map(|contract| (contract.clone(), Door::default())).collect(),
            blocked: BTreeSet::new(),
            usable: BTreeSet::new(),
            told_paused: BTreeSet::new(),
            told_blocked: BTreeSet::new(),
            told_refused: BTreeSet::new(),
            freed: None,
            refreshing: BTreeSet::new(),
            tokens: BTreeMap::new(),
            unproven: BTreeSet::new(),
            over: BTreeSet::new(),
            lost: BTreeMap::new(),
            spent: BTreeSet::new(),
            marked: BTreeSet::new(),
            on_disk: BTreeSet::new(),
            cause: Cause::Other,
            answer: None,
            event: 0,
            clock: 0,
            routes: Vec::new(),
            version: 0,
            told: 0,
            telling: VecDeque::new(),
        }
    }
}

impl Referee {
    /// A new run: what the last one knew and did not write is gone.
    pub(super) fn restart(&mut self, store: &MemoryStore) {
        self.doors.values_mut().for_each(|door| *door = Door::default());
        (self.told, self.cause) = (self.version, Cause::Other);
        self.telling.clear();
        self.blocked.clear();
        self.usable.clear();
        self.told_paused.clear();
        self.told_blocked.clear();
        self.told_refused.clear();
        self.refreshing.clear();
        self.unproven.clear();
        self.over.clear();
        self.lost.clear();
        for person in store.persons(None).unwrap().into_iter().filter(|person| person.state == TokenState::Rotating) {
            // Whatever was answered, this run has not read it: the old token is tried once.
            let key = PersonKey { contract: person.contract.clone(), person: person.id.clone() };
            self.spent.remove(&(key, number(&person.tokens)));
        }
        self.subjects.retain(|id, subject| {
            for sent in subject.sent.iter_mut().filter(|sent| sent.fate == Fate::Open) {
                sent.fate = Fate::Maybe;
            }
            subject.tried_since = None;
            match store.submission(*id).unwrap() {
                Some(record) => {
                    if subject.stage != record.stage && subject.stage == Stage::Claimed {
                        (subject.released, subject.turn_unsure) = (None, true); // the release was lost
                    }
                    (subject.stage, subject.recipient) = (record.stage, record.recipient);
                    true
                }
                None => false, // its claim was never recorded; the file still stands in the inbox
            }
        });
    }

    /// Before the engine sees it.
    pub(super) fn event(&mut self, clock: u64, event: &Event) {
        self.event += 1;
        self.clock = clock;
        self.cause = Cause::Other;
        self.answer = None;
        self.freed = None;
        match event {
            Event::Opened(opened) => {
                self.begin(opened);
                self.cause = Cause::Opened(opened.id);
            }
            Event::Claimed(opened) => {
                if !self.subjects.contains_key(&opened.id) {
                    self.begin(opened);
                }
            }
            Event::Judged { id, judgement, .. } => {
                if let Some(subject) = self.subjects.get_mut(id) {
                    subject.word = Some(match judgement.verdict {
                        Verdict::Refused { .. } => Word::Refused,
                        Verdict::Held(_) => Word::Held,
                        Verdict::Addressed(_) => Word::Addressed,
                    });
                }
            }
            Event::Answered { id, answer, attempt } => self.answered(*id, answer, attempt),
            Event::Refreshed { person, outcome } => self.refreshed(person, outcome),
            Event::Probed { contract, failure } => {
                let door = self.doors.get_mut(contract).unwrap();
                door.probing = false;
                door.probed_well += u64::from(failure.is_none());
                if failure.is_none() && door.closed {
                    (door.closed, door.narrow, door.not_before) = (false, true, 0);
                }
            }
            Event::Resumed { contract } => self.doors.get_mut(contract).unwrap().not_before = 0,
            Event::Person { person, standing } => {
                *self.tokens.entry(person.clone()).or_default() += 1;
                self.unproven.remove(person);
                self.told_paused.remove(person);
                self.told_refused.remove(person);
                match standing {
                    PersonStanding::Paused => self.usable.remove(person),
                    _ => self.usable.insert(person.clone()),
                };
            }
            Event::Account { account, blocked: Some(_) } => _ = self.blocked.insert(account.clone()),
            Event::Account { account, blocked: None } => {
                let was_blocked = self.blocked.remove(account);
                self.told_blocked.remove(account);
                self.freed = was_blocked.then(|| account.clone());
            }
            Event::MappingsChanged => self.told = self.told.max(self.telling.pop_front().unwrap_or(0)),
            Event::Decided { opened, verb } => {
                self.cause = Cause::Decided(opened.id, *verb);
                if !self.subjects.contains_key(&opened.id) {
                    self.begin(opened);
                }
            }
            Event::Started | Event::ProfilesChanged | Event::Placed { .. } | Event::Tick | Event::Shutdown => {}
        }
    }

    fn begin(&mut self, opened: &Opened) {
        let subject = self.subjects.entry(opened.id).or_insert_with(|| Subject {
            channel: opened.channel.clone(),
            push: opened.push,
            digest: opened.digest,
            stage: Stage::Claimed,
            recipient: None,
            word: None,
            sent: Vec::new(),
            excused: 0,
            tokens: 0,
            forced: None,
            claimed: self.event,
            released: None,
            queued: None,
            turn_unsure: false,
            in_first_order: true,
            tried_since: None,
        });
        (subject.stage, subject.recipient, subject.word) = (opened.stage.clone(), opened.recipient.clone(), None);
    }

    fn answered(&mut self, id: SubmissionId, answer: &Answer, attempt: &Attempt) {
        self.cause = Cause::Answered(id);
        self.answer = Some(answer.clone());
        let Some(subject) = self.subjects.get_mut(&id) else { return };
        let (Some(account), Some(person)) = (subject.account(), subject.person()) else { return };
        let is_current = self.tokens.get(&person) == Some(&subject.tokens);
        let Some(sent) = subject.sent.last_mut() else { return };
        sent.fate = match answer {
            Answer::Delivered(_) | Answer::Unknown => Fate::Maybe,
            _ => Fate::NotTaken,
        };
        let door = self.doors.get_mut(&account.contract).unwrap();
        door.in_flight = door.in_flight.saturating_sub(1);
        match answer {
            Answer::Delivered(_) => {
                door.row.2.clear();
                if is_current {
                    self.unproven.remove(&person);
                }
                if !door.closed && self.clock >= door.not_before {
                    door.narrow = false;
                }
            }
            Answer::Unknown | Answer::DestinationPaused { .. } => door.close(),
            Answer::TokenStale if is_current && self.unproven.contains(&person) => self.refuses_person(&person),
            Answer::Later { after, scope: Scope::Destination } if !door.closed => {
                let wait = after.map_or(0, |after| u64::try_from(after.as_millis()).unwrap());
                (door.narrow, door.not_before) = (true, door.not_before.max(self.clock + wait));
            }
            Answer::Refused { .. } | Answer::Unexpected { .. } => {
                let whom = account.account.as_str();
                let everybody = door.refuses(attempt.status.unwrap(), attempt.code.as_deref(), whom);
                door.close_if(everybody);
            }
            _ => {}
        }
    }

    /// A person's tokens are refused without a word on why.
    fn refuses_person(&mut self, person: &PersonKey) {
        let door = self.doors.get_mut(&person.contract).unwrap();
        let everybody = door.refuses(401, None, person.person.as_str());
        door.close_if(everybody);
        if !everybody {
            self.unproven.remove(person);
        }
    }

    fn refreshed(&mut self, person: &PersonKey, outcome: &RefreshOutcome) {
        self.refreshing.remove(person);
        let door = self.doors.get_mut(&person.contract).unwrap();
        match outcome {
            RefreshOutcome::Renewed(_) => {
                self.told_paused.remove(person);
                self.usable.insert(person.clone());
                *self.tokens.entry(person.clone()).or_default() += 1;
                self.unproven.insert(person.clone());
            }
            RefreshOutcome::Refused { .. } => self.refuses_person(person),
            RefreshOutcome::Paused { .. } | RefreshOutcome::Superseded => {}
            RefreshOutcome::Later { after, .. } => {
                if !door.closed {
                    let wait = after.map_or(0, |after| u64::try_from(after.as_millis()).unwrap());
                    (door.narrow, door.not_before) = (true, door.not_before.max(self.clock + wait));
                }
            }
            RefreshOutcome::Lost | RefreshOutcome::DestinationPaused { .. } => door.close(),
        }
    }

    /// What the API said to a refresh, as far as it was read.
    pub(super) fn refresh_ended(&mut self, person: &PersonKey, pair: u32, refreshed: &Refreshed) {
        let token = (person.clone(), pair);
        match refreshed {
            Refreshed::Renewed(_) => _ = self.spent.insert(token),
            Refreshed::Foreign | Refreshed::Spent => {
                self.spent.insert(token);
                self.over.insert(person.clone());
            }
            Refreshed::Silence => _ = self.lost.insert(token, self.doors[&person.contract].probed_well),
            Refreshed::Later(_) | Refreshed::Refusing | Refreshed::Refused => {}
        }
    }

    /// A refresh request leaves. One whose answer never came may be asked again: as often as the API has shown since
    /// that it answers, and never after it has said what became of it.
    pub(super) fn refresh_leaves(&self, person: &PersonKey, pair: u32) {
        let token = (person.clone(), pair);
        assert!(self.marked.contains(&token), "a refresh leaves before Rotating is flushed");
        assert!(!self.spent.contains(&token), "a refresh token is used twice");
        let shown = self.doors[&person.contract].probed_well;
        let waited = self.lost.get(&token).is_none_or(|then| shown > *then);
        assert!(waited, "a lost refresh is asked again although the API has not answered since");
    }

    /// Only the API's own word costs a person its authorisation.
    pub(super) fn pauses(&mut self, person: &PersonKey) {
        self.usable.remove(person);
        assert!(self.over.contains(person), "a person must authorise again, and the API has not said so");
    }

    pub(super) fn alert(&mut self, alert: &Alert) {
        match alert {
            Alert::DestinationPaused { contract, .. } => {
                let door = self.doors.get_mut(contract).unwrap();
                assert!(!std::mem::replace(&mut door.alerted, true), "a second alert that {contract} is paused");
            }
            Alert::DestinationParked { contract, .. } => {
                let door = self.doors.get_mut(contract).unwrap();
                assert!(
                    door.alerted && door.not_before >= self.clock + 600_000,
                    "a short wait is told of as a long one"
                );
                assert!(
                    !std::mem::replace(&mut door.parked, true),
                    "a second alert that {contract} asks for a long wait"
                );
            }
            Alert::DestinationOpen { contract } => {
                let door = self.doors.get_mut(contract).unwrap();
                door.parked = false;
                assert!(std::mem::replace(&mut door.alerted, false), "an alert that {contract} is open, which it was");
            }
            Alert::PersonPaused { person, .. } => {
                self.usable.remove(person);
                assert!(self.told_paused.insert(person.clone()), "a second alert that a person is paused");
            }
            Alert::PersonRefused { person, .. } => {
                assert!(self.told_refused.insert(person.clone()), "a second alert that a person is not served");
            }
            Alert::PersonServed { person } => {
                assert!(self.told_refused.remove(person), "an alert that a person is served, which it was");
            }
            Alert::AccountOpen { account } => {
                assert_eq!(self.freed.take().as_ref(), Some(account), "an alert that an account is open, which it was");
            }
            Alert::AccountBlocked { account, .. } => {
                self.blocked.insert(account.clone());
                assert!(self.told_blocked.insert(account.clone()), "a second alert that an account is blocked");
            }
            Alert::DeliveredWithErrors { id, .. } => {
                let errors = matches!(&self.answer, Some(Answer::Delivered(receipt)) if receipt.rejected_entries > 0);
                assert!(errors && self.cause == Cause::Answered(*id), "an alert of errors that there were not");
            }
            Alert::Unknown { .. } => {}
        }
    }

    /// Whether nothing is on its way to anywhere.
    pub(super) fn is_at_rest(&self) -> bool {
        self.subjects
            .values()
            .all(|subject| subject.stage.is_final() || matches!(subject.stage, Stage::Held(_) | Stage::Unknown { .. }))
    }
}
