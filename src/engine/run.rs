//! The shell around the decisions: one loop that turns whatever happens into events, gives them to
//! [`Engine::step`] one after another, and carries out what it wants.
//!
//! Nobody else changes a submission while it runs. The loop itself never parses, signs or waits for a
//! disk: judging, settling and the store's writes have threads of their own, requests have tasks.

use super::{
    clerk::{Clerk, Placed},
    custody::{Custodian, Shared},
    decide::{decide, has_its_file},
    desk::{Asked, Handle, Hold, PausedUntil, StatusFacts},
    edition::{Edition, InForce, Load, Reloads},
    event::{
        AccountKey, Alert, Earlier, Effect, Event, Moment, Opened, PersonKey, PersonStanding, RefreshOutcome, Verb,
        Verdict,
    },
    gate::Paused,
    judge::{self, Job, Judged, Judges},
    ledger::Ledger,
    step::{ChannelRules, Engine, Rules},
    tell,
    vault::{Renewal, Vault, renew, standing},
};
use crate::{
    alert::{Bell, Kind, News},
    intake::{Inbox, Notice, Orphans, Spool, Stop, Watch, remove_claimed},
    model::{
        Account, AccountReference, ChannelName, ContractName, EvidenceKind, ForeignName, HashKey, KeyedHash, LinkValue,
        Recipient, Retention, Stage, Submission, SubmissionId, Timestamp, account_remedy, clock, random_bytes,
        reauthorize,
    },
    push::{self, Client},
    route::{Directory, Parcel},
    store::{Store, StoreError, StoreTrouble, Write, Writer},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    sync::{Arc, atomic::Ordering, mpsc::SyncSender},
    thread,
    time::{Duration, Instant},
};
use tokio::sync::{
    mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
    oneshot,
};

/// One channel's settings, for every room that it passes through.
pub struct ChannelSetup {
    /// Its inbox and folders.
    pub inbox: Inbox,
    /// How its Bundles are judged.
    pub judging: judge::Channel,
    /// How they are sent.
    pub rules: ChannelRules,
}

/// All that a run needs.
pub struct Setup {
    /// The records.
    pub store: Arc<dyn Store>,
    /// Of names and identifiers.
    pub hash_key: Arc<HashKey>,
    /// A client for each contract.
    pub clients: BTreeMap<ContractName, Arc<Client>>,
    /// Every channel.
    pub channels: BTreeMap<ChannelName, ChannelSetup>,
    /// Pushes under way at once to one destination.
    pub connections: usize,
    /// Threads that judge.
    pub judge_threads: usize,
    /// Bytes that judging may take at once.
    pub memory: u64,
    /// How long pushes under way may take to end at shutdown.
    pub grace: Duration,
    /// Who is told of trouble.
    pub bell: Bell,
    /// The profiles that files are judged by at first.
    pub edition: Edition,
    /// Makes the next ones, when somebody asks for it.
    pub load: Load,
}

/// How long a run lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Until it is told to stop.
    Daemon,
    /// Until nothing is settling or sendable, or for so long.
    Once {
        /// At most.
        max_time: Duration,
    },
}

/// What a run did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// How many submissions ended or stopped at each stage.
    pub outcomes: BTreeMap<&'static str, u64>,
    /// How many are open now, by stage.
    pub open: BTreeMap<&'static str, u64>,
    /// Whether the time was up before everything had ended.
    pub timed_out: bool,
    /// What was noticed in the inboxes.
    pub notices: BTreeMap<ChannelName, Vec<Notice>>,
    /// Files that had not come to rest at the end, the first ones of each inbox.
    pub settling: BTreeMap<ChannelName, Vec<ForeignName>>,
}

/// Why a run could not begin or go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A thread could not be started.
    #[error("start a thread: {0}")]
    Thread(#[source] io::Error),
}

/// Whatever happens to the loop.
pub(super) enum Signal {
    Event(Event),
    Claims { submissions: Vec<Submission>, done: SyncSender<()> },
    Recorded { opened: Vec<Opened>, done: SyncSender<()> },
    SourcesGone(Vec<SubmissionId>),
    Notice { channel: ChannelName, notice: Notice },
    Judged(Judged),
    JudgeAgain(SubmissionId),
    TryAgain(Effect),
    Placed(Vec<Placed>),
    Flushed { id: SubmissionId, then: Vec<Effect> },
    Written(Vec<Write>),
    LetGo,
    Renewed { person: PersonKey, renewal: Option<Renewal> },
    Trouble(StoreTrouble),
    Made(Result<Edition, String>),
    Asked(Asked),
}

const OPEN_PAGE: usize = 1_000;
/// How often `run --once` looks whether everything has come to rest.
const LOOK: Duration = Duration::from_millis(25);
/// How long the loop sleeps where nothing is due.
const UNCALLED: Duration = Duration::from_secs(60);
/// How long alerts may take to leave at the end.
const LAST_ALERTS: Duration = Duration::from_secs(10);
/// Notices kept for `status`.
const NOTICES_KEPT: usize = 1_000;

/// Runs until `stop` resolves, or as `mode` says.
///
/// # Errors
/// The store cannot be read at the start, or a thread cannot be started.
pub async fn run(
    setup: Setup,
    mode: Mode,
    stop: impl Future<Output = ()>,
    ready: impl FnOnce(Handle),
) -> Result<Summary, RunError> {
    let (signals, mut inbox) = unbounded_channel();
    let mut shell = Shell::start(setup, signals.clone())?;
    shell.recover()?;
    let watches = shell.watch()?;
    ready(Handle::new(signals));
    let began = Instant::now();
    tokio::pin!(stop);
    let timed_out = loop {
        let due = shell.engine.due().map(|due| shell.started + due);
        tokio::select! {
            biased;
            () = &mut stop => break false,
            signal = inbox.recv() => {
                let Some(signal) = signal else { break false };
                shell.take(signal);
                // What has piled up is taken in one go: the store's writes share their flush then.
                while let Ok(signal) = inbox.try_recv() {
                    shell.take(signal);
                }
            }
            () = tokio::time::sleep(due.map_or(UNCALLED, clock::until)) => {
                shell.step(Event::Tick);
            }
            () = tokio::time::sleep(LOOK), if mode != Mode::Daemon => {
                if let Mode::Once { max_time } = mode && began.elapsed() >= max_time {
                    break true;
                }
            }
        }
        let at_rest = || watches.iter().all(|watch| watch.stop.is_at_rest());
        if mode != Mode::Daemon && inbox.is_empty() && at_rest() && shell.engine.is_idle() && inbox.is_empty() {
            break false;
        }
    };
    Ok(shell.end(watches, inbox, timed_out).await)
}

struct Watching {
    channel: ChannelName,
    stop: Stop,
    thread: thread::JoinHandle<()>,
}

/// Where the word of a decision goes.
type Decision = oneshot::Sender<Result<String, String>>;

struct Shell {
    engine: Engine,
    ledger: Ledger,
    store: Arc<dyn Store>,
    writer: Arc<Writer>,
    judges: Judges,
    clerk: Clerk,
    vault: Arc<Vault>,
    clients: BTreeMap<ContractName, Arc<Client>>,
    spools: BTreeMap<ChannelName, Spool>,
    inboxes: Vec<Inbox>,
    hash_key: Arc<HashKey>,
    custody: Arc<Shared>,
    signals: UnboundedSender<Signal>,
    started: Instant,
    grace: Duration,
    bell: Bell,
    /// Destinations that an earlier run told as paused: the first delivery says that they are not.
    doubtful: BTreeSet<String>,
    outcomes: BTreeMap<&'static str, u64>,
    notices: BTreeMap<ChannelName, Vec<Notice>>,
    /// Who waits for the end of a person's refresh.
    renewals: BTreeMap<PersonKey, Vec<oneshot::Sender<Result<(), String>>>>,
    reloads: Reloads,
    /// The decision that is being carried out: who waits until what it changes is on the disk, and the word for it.
    deciding: Option<(Decision, &'static str)>,
    /// How many things are on their way that must reach the disk before the end.
    holds: usize,
    /// Contracts whose API's clock is far from ours.
    wrong_clocks: BTreeSet<ContractName>,
}

impl Shell {
    fn start(setup: Setup, signals: UnboundedSender<Signal>) -> Result<Self, RunError> {
        let mut inboxes = Vec::new();
        let (mut spools, mut rules, mut judging) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        for (name, channel) in setup.channels {
            spools.insert(name.clone(), channel.inbox.spool.clone());
            rules.insert(name.clone(), channel.rules);
            judging.insert(name, channel.judging);
            inboxes.push(channel.inbox);
        }
        let trouble = signals.clone();
        let writer = Writer::start(setup.store.clone(), move |told| {
            trouble.send(Signal::Trouble(told)).unwrap_or_default();
        })?;
        let reloads = Reloads::new(setup.edition, setup.load);
        let bench = Bench {
            store: setup.store.clone(),
            hash_key: setup.hash_key.clone(),
            channels: judging,
            in_force: reloads.in_force.clone(),
            signals: signals.clone(),
        };
        let judges = Judges::start(setup.judge_threads, setup.memory, move |job| bench.judge(&job));
        let judges = judges.map_err(RunError::Thread)?;
        let placed = signals.clone();
        let clerk = Clerk::start(spools.clone(), move |done| placed.send(Signal::Placed(done)).unwrap_or_default());
        Ok(Self {
            engine: Engine::new(Rules {
                channels: rules,
                connections: setup.connections,
                parcels: 4_000,
                seed: u64::from_be_bytes(random_bytes()),
            }),
            ledger: Ledger::new(setup.store.clone()),
            custody: Arc::new(Shared::new(setup.store.last_submission_id()?)),
            store: setup.store,
            writer: Arc::new(writer),
            judges,
            clerk: clerk.map_err(RunError::Thread)?,
            vault: Arc::default(),
            clients: setup.clients,
            spools,
            inboxes,
            hash_key: setup.hash_key,
            signals,
            started: clock::now(),
            grace: setup.grace,
            doubtful: setup.bell.paused_destinations(),
            bell: setup.bell,
            outcomes: BTreeMap::new(),
            notices: BTreeMap::new(),
            renewals: BTreeMap::new(),
            reloads,
            deciding: None,
            holds: 0,
            wrong_clocks: BTreeSet::new(),
        })
    }

    /// Everything goes on where the last run left it.
    fn recover(&mut self) -> Result<(), RunError> {
        let now = Timestamp::now();
        tell::at_start(&self.bell, &self.inboxes);
        for person in self.store.persons(None)? {
            tell::of_standing(&person).into_iter().for_each(|news| self.bell.ring(news));
            let event_standing = standing(&person, now);
            let person = self.vault.keep(person);
            self.step(Event::Person { person, standing: event_standing });
        }
        for account in self.store.accounts(None)? {
            self.bell.ring(tell::of_state(&account));
            self.step(account_event(&account));
        }
        let (mut open, mut without_channel) = (BTreeSet::new(), 0_u64);
        let mut after = None;
        loop {
            let page = self.store.open_submissions(after, OPEN_PAGE)?;
            let Some(last) = page.last() else { break };
            after = Some(last.id);
            for record in page {
                open.insert(record.id);
                if !self.spools.contains_key(&record.channel) {
                    without_channel += 1;
                    continue;
                }
                if record.source_pending {
                    self.end_sources(&record);
                }
                if !record.settled || !record.stage.is_final() {
                    self.step(Event::Opened(Opened::from(&record)));
                }
            }
        }
        if without_channel > 0 {
            tracing::warn!(count = without_channel, "submissions of channels that are not configured stay as they are");
        }
        for (channel, spool) in &self.spools {
            let Some(inbox) = self.inboxes.iter().find(|inbox| inbox.channel == *channel) else { continue };
            match spool.tend_orphans(&inbox.path, |id| open.contains(&id)) {
                Ok(Orphans { removed, kept }) => {
                    if removed > 0 {
                        tracing::info!(%channel, removed, "removed copies whose claim was never recorded");
                    }
                    if kept > 0 {
                        tracing::error!(
                            %channel,
                            kept,
                            "files in work/ are not in the store, as after a loss of its records: they were moved to \
                             held/; drop them into the inbox again"
                        );
                    }
                }
                Err(error) => tracing::warn!(%channel, error = %error.kind(), "work/ could not be looked through"),
            }
        }
        self.step(Event::Started);
        tracing::info!(open = open.len(), "started");
        Ok(())
    }

    /// The last run ended between a claim's record and the end of its sources, or could not remove them.
    fn end_sources(&mut self, record: &Submission) {
        let inbox = self.inboxes.iter().find(|inbox| inbox.channel == record.channel);
        match inbox.map(|inbox| remove_claimed(&inbox.path, &record.into())) {
            Some(Ok(())) => self.write_lazily(record.id, |record| record.source_pending = false),
            Some(Err(error)) => {
                tracing::warn!(id = %record.id, error = %error.kind(), "a claimed file stays in the inbox")
            }
            None => {}
        }
    }

    fn watch(&self) -> Result<Vec<Watching>, RunError> {
        let start = |inbox: &Inbox| {
            let stop = Stop::default();
            let custodian = Custodian {
                channel: inbox.channel.clone(),
                push: inbox.push,
                signals: self.signals.clone(),
                store: self.store.clone(),
                hash_key: self.hash_key.clone(),
                shared: self.custody.clone(),
            };
            let thread = Watch::new(inbox.clone(), Arc::new(custodian), stop.clone()).spawn()?;
            Ok(Watching { channel: inbox.channel.clone(), stop, thread })
        };
        self.inboxes.iter().map(start).collect::<io::Result<_>>().map_err(RunError::Thread)
    }

    fn now(&self) -> Moment {
        Moment { monotonic: clock::now().saturating_duration_since(self.started), wall: Timestamp::now() }
    }

    // --- signals ----------------------------------------------------------------------------------

    fn take(&mut self, signal: Signal) {
        match signal {
            Signal::Event(event) => {
                self.step(event);
                self.compare_clocks();
            }
            Signal::Claims { submissions, done } => self.record(submissions, done),
            Signal::Recorded { opened, done } => {
                for opened in opened {
                    self.ledger.flushed(opened.id);
                    self.step(Event::Claimed(opened));
                }
                done.send(()).unwrap_or_default();
            }
            Signal::SourcesGone(ids) => {
                for id in ids {
                    self.write_lazily(id, |record| record.source_pending = false);
                }
            }
            Signal::Notice { channel, notice } => self.note(channel, notice),
            // It may be answered by now.
            Signal::Judged(Judged { id, edition, result: Ok(judgement) })
                if judgement.verdict.waits_for_profiles() && edition != self.reloads.in_force.get().0 =>
            {
                self.judge(id);
            }
            Signal::Judged(Judged { id, result: Ok(judgement), .. }) => {
                let earlier = match &judgement.verdict {
                    Verdict::Addressed(parcel) => earlier(&*self.store, &self.engine, parcel),
                    _ => Ok(None),
                };
                match earlier {
                    Ok(earlier) => self.step(Event::Judged { id, judgement, earlier }),
                    Err(error) => self.judge_later(id, &error.to_string()),
                }
            }
            Signal::Judged(Judged { id, result: Err(why), .. }) => self.judge_later(id, &why),
            Signal::TryAgain(effect) => self.carry_out(vec![effect]),
            Signal::JudgeAgain(id) => self.carry_out(vec![Effect::Judge { id }]),
            Signal::Placed(placed) => placed.into_iter().for_each(|placed| self.placed(placed)),
            Signal::Flushed { id, then } => {
                self.ledger.flushed(id);
                self.carry_out(then);
            }
            Signal::Written(writes) => {
                for event in events_of(&self.vault, writes, Timestamp::now()) {
                    self.step(event);
                }
            }
            Signal::LetGo => self.holds = self.holds.saturating_sub(1),
            Signal::Renewed { person, renewal } => self.renewed(person, renewal),
            Signal::Trouble(trouble) => self.store_trouble(&trouble),
            Signal::Made(made) => self.edition_made(made),
            Signal::Asked(asked) => self.asked(asked),
        }
    }

    fn step(&mut self, event: Event) {
        let mut effects = Vec::new();
        self.engine.step(self.now(), event, &mut effects);
        self.carry_out(effects);
        self.custody.unjudged.store(self.engine.unjudged(), Ordering::Relaxed);
    }

    /// Tells when our clock turns out to be wrong by the API's, and when it no longer is.
    fn compare_clocks(&mut self) {
        const WRONG: i64 = 30_000;
        for (contract, client) in &self.clients {
            let skew = client.clock_skew_millis();
            if skew.abs() > WRONG && self.wrong_clocks.insert(contract.clone()) {
                tracing::warn!(
                    %contract,
                    seconds = skew / 1000,
                    "alert: the API's clock is ahead of ours by so many seconds; requests are corrected by it: \
                     let this machine's clock follow a time server"
                );
            } else if skew.abs() <= WRONG && self.wrong_clocks.remove(contract) {
                tracing::warn!(%contract, "alert: our clock and the API's agree again");
            }
        }
    }

    fn store_trouble(&self, trouble: &StoreTrouble) {
        match trouble {
            StoreTrouble::Failing { why } => {
                tracing::error!(why, "the store fails: nothing new is claimed or sent until it works again");
            }
            StoreTrouble::Recovered => tracing::info!("the store works again"),
        }
        self.bell.ring(tell::of_trouble(trouble));
        if let Some(why) = self.store.was_rebuilt() {
            self.bell.ring(News::of(Kind::StoreRebuilt).because(why));
        }
    }

    fn record(&mut self, submissions: Vec<Submission>, done: SyncSender<()>) {
        let opened = submissions.iter().map(Opened::from).collect();
        let mut writes = Vec::with_capacity(submissions.len());
        for submission in submissions {
            log_stage(&submission);
            self.bell.file_came(&submission.channel);
            // Whatever kept it in the inbox is over.
            if let Some(notices) = self.notices.get_mut(&submission.channel) {
                notices.retain(
                    |notice| !matches!(notice, Notice::Overlooked { path, .. } if *path == submission.origin.path),
                );
            }
            writes.push(Write::Submission(Box::new(submission.clone())));
            self.ledger.begin(submission);
        }
        let signals = self.signals.clone();
        self.writer
            .commit(writes, Box::new(move || signals.send(Signal::Recorded { opened, done }).unwrap_or_default()));
    }

    fn judge_later(&self, id: SubmissionId, why: &str) {
        tracing::warn!(%id, why, "judging is put off");
        let signals = self.signals.clone();
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_secs(1)).await;
            signals.send(Signal::JudgeAgain(id)).unwrap_or_default();
        });
    }

    fn placed(&mut self, placed: Placed) {
        let id = placed.id;
        // It may have moved on while its file was on the way; then another move is under way.
        let record = match self.ledger.read(id) {
            Ok(record) => record,
            Err(error) => return self.try_again(&error, Effect::Place { id }),
        };
        if record.is_some_and(|record| record.stage.place() == placed.place) {
            self.write_lazily(id, |record| record.settled = true);
            self.step(Event::Placed { id });
        }
    }

    fn write_lazily(&mut self, id: SubmissionId, edit: impl FnOnce(&mut Submission)) {
        match self.ledger.edit(id, edit) {
            Ok(Some(record)) => {
                let write = vec![Write::Submission(Box::new(record.clone()))];
                let signals = self.signals.clone();
                // Until then the ledger keeps the record: the store's is older.
                let done = move || signals.send(Signal::Flushed { id, then: Vec::new() }).unwrap_or_default();
                self.writer.commit_lazily_then(write, Box::new(done));
            }
            Ok(None) => {}
            Err(error) => tracing::warn!(%id, %error, "a record could not be read"),
        }
    }

    fn note(&mut self, channel: ChannelName, notice: Notice) {
        match &notice {
            Notice::Overlooked { path, reason } => {
                let name = self.hash_key.name(path);
                tracing::warn!(%channel, %name, reason = ?reason, "a file is left in the inbox");
            }
            Notice::InboxGone { why } => tracing::error!(%channel, why, "the inbox cannot be read"),
            Notice::InboxBack => tracing::info!(%channel, "the inbox can be read again"),
            Notice::DiskFull => tracing::error!(%channel, "the disk is full: nothing is claimed, sending goes on"),
            Notice::DiskFree => tracing::info!(%channel, "there is room on the disk again"),
            Notice::EventsMissing { why } => tracing::warn!(%channel, why, "no file events: the inbox is polled"),
        }
        tell::of_notice(&channel, &notice).into_iter().for_each(|news| self.bell.ring(news));
        let notices = self.notices.entry(channel).or_default();
        if notices.len() >= NOTICES_KEPT {
            notices.remove(0);
        }
        notices.push(notice);
    }

    // --- effects ----------------------------------------------------------------------------------

    fn carry_out(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Log { change, then } => self.log(*change, then),
                Effect::Judge { id } => self.judge(id),
                Effect::Push { parcel, attempt } => self.push(*parcel, attempt),
                Effect::Place { id } => match self.ledger.read(id) {
                    Ok(Some(record)) => self.clerk.submit(record),
                    Ok(None) => {}
                    Err(error) => self.try_again(&error, Effect::Place { id }),
                },
                Effect::Refresh { person } => self.refresh(person),
                Effect::PausePerson { person, why } => self.pause_person(&person, why),
                Effect::BlockAccount { account, why } => self.block_account(&account, why),
                Effect::Probe { contract } => self.probe(contract),
                Effect::Alert(alert) => {
                    log_alert(&alert);
                    tell::of_alert(&alert).into_iter().for_each(|news| self.bell.ring(news));
                }
            }
        }
    }

    fn log(&mut self, change: super::event::Change, then: Vec<Effect>) {
        let (id, again) = (change.id, change.clone());
        let now = self.now();
        let record = match self.ledger.change(now, change) {
            Ok(Some(record)) => record,
            Ok(None) => return,
            Err(error) => return self.try_again(&error, Effect::Log { change: Box::new(again), then }),
        };
        log_stage(record);
        if record.stage.is_final() || matches!(record.stage, Stage::Held(_) | Stage::Unknown { .. }) {
            *self.outcomes.entry(super::report::outcome(&record.stage)).or_default() += 1;
        }
        // A held one that is judged again and stays as it is was told before.
        let news = (record.since == now.wall).then(|| tell::of_stage(record)).flatten();
        let write = vec![Write::Submission(Box::new(record.clone()))];
        if let (Stage::Delivered { .. }, Some(to)) = (&record.stage, &record.recipient)
            && self.doubtful.remove(to.contract.as_str())
        {
            self.bell.ring(News::under(Kind::DestinationOpen, &to.contract));
        }
        let (signals, bell) = (self.signals.clone(), self.bell.clone());
        let decided = self.deciding.take();
        let flushed = move || {
            if let Some((answer, word)) = decided {
                answer.send(Ok(word.to_owned())).unwrap_or_default();
            }
            news.into_iter().for_each(|news| bell.ring(news));
            signals.send(Signal::Flushed { id, then }).unwrap_or_default();
        };
        self.writer.commit(write, Box::new(flushed));
    }

    /// The store does not answer now: nothing that follows has begun, and it is tried until it does.
    fn try_again(&self, error: &StoreError, effect: Effect) {
        tracing::warn!(%error, "a change is put off");
        // Where damage closed the store, the writer opens it again; so it needs something to write.
        self.writer.commit_lazily(Vec::new());
        let signals = self.signals.clone();
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_secs(1)).await;
            signals.send(Signal::TryAgain(effect)).unwrap_or_default();
        });
    }

    fn judge(&mut self, id: SubmissionId) {
        let record = match self.ledger.read(id) {
            Ok(Some(record)) => record,
            Ok(None) => return,
            Err(error) => return self.judge_later(id, &error.to_string()),
        };
        let Some(spool) = self.spools.get(&record.channel) else { return };
        self.judges.submit(Job {
            paths: spool.paths(&record),
            sidecars: spool.sidecar_paths(&record),
            work_name: Spool::work_name(id),
            submission: record,
        });
    }

    fn push(&self, parcel: Parcel, attempt: u32) {
        let recipient = parcel.recipient();
        let key = PersonKey { contract: recipient.contract.clone(), person: recipient.person.clone() };
        let Some(client) = self.clients.get(&key.contract).cloned() else { return };
        let access = self.vault.access(&key).unwrap_or_else(|| crate::model::Secret::new(String::new()));
        let signals = self.signals.clone();
        tokio::spawn(async move {
            let sent = push::send(&client, &parcel, &access, attempt).await;
            let event = Event::Answered { id: parcel.submission(), answer: sent.answer, attempt: sent.attempt };
            signals.send(Signal::Event(event)).unwrap_or_default();
        });
    }

    fn refresh(&self, person: PersonKey) {
        let Some(client) = self.clients.get(&person.contract).cloned() else { return };
        let (vault, writer, signals) = (self.vault.clone(), self.writer.clone(), self.signals.clone());
        tokio::spawn(async move {
            let renewal = renew(&vault, &writer, &client, &person).await;
            signals.send(Signal::Renewed { person, renewal }).unwrap_or_default();
        });
    }

    fn renewed(&mut self, person: PersonKey, renewal: Option<Renewal>) {
        let outcome = self.vault.outcome(&person, renewal);
        tracing::info!(contract = %person.contract, outcome = refresh_word(&outcome), "tokens");
        if matches!(outcome, RefreshOutcome::Renewed(_)) {
            self.bell.ring(tell::of_person(Kind::PersonAuthorised, &person));
        }
        let told = match &outcome {
            RefreshOutcome::Renewed(_) | RefreshOutcome::Superseded => Ok(()),
            RefreshOutcome::Lost => Err("the API did not answer".to_owned()),
            RefreshOutcome::Paused { why }
            | RefreshOutcome::Later { why, .. }
            | RefreshOutcome::Refused { why }
            | RefreshOutcome::DestinationPaused { why } => Err(why.clone()),
        };
        for waiting in self.renewals.remove(&person).unwrap_or_default() {
            waiting.send(told.clone()).unwrap_or_default();
        }
        self.step(Event::Refreshed { person, outcome });
    }

    fn pause_person(&self, key: &PersonKey, why: String) {
        self.vault.pause(key, why, Timestamp::now(), |person| {
            self.writer.commit_lazily(vec![Write::Person(person.clone())]);
        });
    }

    fn block_account(&self, key: &AccountKey, why: String) {
        match self.store.account(&key.contract, &key.account) {
            Ok(Some(mut account)) => {
                (account.blocked, account.updated) = (Some(why), Timestamp::now());
                self.writer.commit_lazily(vec![Write::Account(account)]);
            }
            Ok(None) => {}
            Err(error) => tracing::warn!(%error, "an account could not be read"),
        }
    }

    /// With a token where one can be used: that is what the next push needs. No token is ever renewed for a probe.
    fn probe(&self, contract: ContractName) {
        let Some(client) = self.clients.get(&contract).cloned() else { return };
        let access = self.vault.any_access(&contract, Timestamp::now());
        let signals = self.signals.clone();
        tokio::spawn(async move {
            let failure = match access {
                Some(access) => client.accounts(&access).await.err().filter(|failure| !failure.is_token_stale()),
                None => client.contract().await.err(),
            };
            let failure = failure.map(|failure| failure.to_string());
            signals.send(Signal::Event(Event::Probed { contract, failure })).unwrap_or_default();
        });
    }

    // --- questions --------------------------------------------------------------------------------

    fn asked(&mut self, asked: Asked) {
        match asked {
            Asked::Status { answer } => {
                let facts = StatusFacts {
                    stages: self.engine.counts(),
                    accounts: self.engine.waiting_by_account(),
                    paused: self.paused(),
                    notices: self.notices.clone(),
                    profiles: self.reloads.profiles(),
                };
                answer.send(facts).unwrap_or_default();
            }
            Asked::Decide { id, verb, answer } => self.decide(id, verb, answer),
            Asked::Write { writes, answer } => {
                let (signals, bell, news) = (self.signals.clone(), self.bell.clone(), tell::of_writes(&writes));
                let asked = writes.clone();
                // Told by the writer itself, so that the engine hears of two commands in the order of their writes.
                let done = move || {
                    signals.send(Signal::Written(writes)).unwrap_or_default();
                    news.into_iter().for_each(|news| bell.ring(news));
                    answer.send(true).unwrap_or_default();
                };
                self.vault.arrive(&asked, || self.writer.commit(asked.clone(), Box::new(done)));
            }
            Asked::Retire { ids, answer } => self.retire(&ids, answer),
            Asked::Refresh { person, answer } => {
                let generation = self.engine.expire_token(self.now(), &person);
                self.step(Event::Tick);
                answer.send(generation).unwrap_or_default();
            }
            // Whoever asks while the engine ends hears that it does.
            Asked::Hold { answer } if !self.engine.is_stopping() => {
                self.holds += 1;
                // Where nobody waits for it any more it is dropped, and so let go.
                answer.send(Hold::new(self.signals.clone())).unwrap_or_default();
            }
            Asked::Hold { .. } => {}
            Asked::Resume { contract, answer } => {
                let wanted = |paused: &ContractName| contract.as_ref().is_none_or(|contract| contract == paused);
                let paused = self.engine.paused_destinations().into_iter().map(|paused| paused.contract);
                let paused: Vec<_> = paused.filter(wanted).collect();
                for contract in paused.clone() {
                    self.step(Event::Resumed { contract });
                }
                answer.send(paused).unwrap_or_default();
            }
            Asked::Reload { answer } => {
                if let Some(load) = self.reloads.ask(answer) {
                    self.make_edition(load);
                }
            }
            Asked::Renewal { person, answer } => {
                if self.engine.expire_token(self.now(), &person) {
                    self.renewals.entry(person).or_default().push(answer);
                    self.step(Event::Tick);
                } else {
                    answer.send(Err("it has no tokens that could be renewed".to_owned())).unwrap_or_default();
                }
            }
        }
    }

    fn paused(&self) -> Vec<PausedUntil> {
        let now = self.now();
        let on_the_wall = |paused: Paused| PausedUntil {
            contract: paused.contract,
            why: paused.why,
            until: paused.again.map(|again| now.wall.plus(again.saturating_sub(now.monotonic))),
        };
        self.engine.paused_destinations().into_iter().map(on_the_wall).collect()
    }

    /// Reads and compiles the profiles that lie on the disk, beside those in force.
    fn make_edition(&self, load: Load) {
        let signals = self.signals.clone();
        tokio::spawn(async move {
            let made = tokio::task::spawn_blocking(move || load()).await;
            let made = made.unwrap_or_else(|_| Err("making them ready ended by a panic: please report it".to_owned()));
            signals.send(Signal::Made(made)).unwrap_or_default();
        });
    }

    fn edition_made(&mut self, made: Result<Edition, String>) {
        let (told, again) = self.reloads.made(made, Timestamp::now());
        match told {
            Ok(facts) => {
                tracing::info!(%facts, "profiles loaded");
                self.bell.ring(News::of(Kind::ProfilesLoaded));
                self.step(Event::ProfilesChanged);
            }
            Err(why) => {
                tracing::error!(why, "alert: the profiles on the disk cannot be used; those before stay in force");
                self.bell.ring(News::of(Kind::ProfilesRejected).because(why));
            }
        }
        if let Some(load) = again {
            self.make_edition(load);
        }
    }

    /// What a decision changes is on the disk before whoever took it hears that it is done.
    fn decide(&mut self, id: SubmissionId, verb: Verb, answer: Decision) {
        let decided = match self.ledger.read(id) {
            Ok(Some(record)) => has_its_file(&record)
                .and_then(|()| decide(&record.stage, verb))
                .map(|stage| (stage, Box::new(Opened::from(&record))))
                .map_err(|error| error.to_string()),
            Ok(None) => Err("no such submission".to_owned()),
            Err(error) => Err(error.to_string()),
        };
        match decided {
            Ok((stage, opened)) => {
                let word = stage.as_str();
                // A retry that only ends a wait changes no record.
                if stage == Stage::Ready {
                    answer.send(Ok(word.to_owned())).unwrap_or_default();
                } else {
                    self.deciding = Some((answer, word));
                }
                self.step(Event::Decided { opened, verb });
                if let Some((answer, _)) = self.deciding.take() {
                    const LATER: &str = "the store does not answer at present; look again whether it was done";
                    answer.send(Err(LATER.to_owned())).unwrap_or_default();
                }
            }
            Err(why) => answer.send(Err(why)).unwrap_or_default(),
        }
    }

    /// From here on nobody can release them: their files are removed once this is on the disk.
    fn retire(&mut self, ids: &BTreeSet<SubmissionId>, answer: oneshot::Sender<Result<Vec<SubmissionId>, String>>) {
        let now = Timestamp::now();
        let (mut writes, mut marked) = (Vec::new(), Vec::new());
        for id in ids {
            match self.ledger.read(*id) {
                Ok(Some(record)) if Retention::may_go(&record) => {}
                Ok(_) => continue,
                Err(error) => return answer.send(Err(error.to_string())).unwrap_or_default(),
            }
            if let Ok(Some(record)) = self.ledger.edit(*id, |record| record.pruned = record.pruned.or(Some(now))) {
                writes.push(Write::Submission(Box::new(record.clone())));
                marked.push(*id);
            }
        }
        let signals = self.signals.clone();
        let flushed = move || {
            for id in &marked {
                signals.send(Signal::Flushed { id: *id, then: Vec::new() }).unwrap_or_default();
            }
            answer.send(Ok(marked)).unwrap_or_default();
        };
        self.writer.commit(writes, Box::new(flushed));
    }

    // --- end --------------------------------------------------------------------------------------

    /// No new claims, no new pushes; those under way may end within the grace. What does not stays
    /// `Sending` on disk, and is Unknown at the next start.
    async fn end(mut self, watches: Vec<Watching>, mut inbox: UnboundedReceiver<Signal>, timed_out: bool) -> Summary {
        let mut settling = BTreeMap::new();
        for watch in &watches {
            settling.insert(watch.channel.clone(), watch.stop.settling());
            watch.stop.stop();
        }
        settling.retain(|_, names| !names.is_empty());
        self.step(Event::Shutdown);
        let joined = tokio::task::spawn_blocking(move || {
            for watch in watches {
                if watch.thread.join().is_err() {
                    tracing::error!("an inbox' thread had ended by a panic");
                }
            }
        });
        tokio::pin!(joined);
        let mut watching = true;
        let limit = tokio::time::Instant::now() + self.grace;
        while watching || self.engine.in_flight() > 0 || self.engine.is_refreshing() || self.holds > 0 {
            tokio::select! {
                signal = inbox.recv() => if let Some(signal) = signal { self.take(signal) },
                _ = &mut joined, if watching => watching = false,
                () = tokio::time::sleep_until(limit) => {
                    tracing::warn!(pushes = self.engine.in_flight(), "the grace is over: what is under way becomes Unknown");
                    break;
                }
            }
        }
        let (open, outcomes) = (self.engine.counts(), std::mem::take(&mut self.outcomes));
        let notices = std::mem::take(&mut self.notices);
        let Self { judges, clerk, writer, grace, bell, .. } = self;
        let ended = tokio::task::spawn_blocking(move || {
            judges.stop();
            clerk.stop();
            writer.shutdown(grace)
        });
        if !matches!(ended.await, Ok(crate::store::Shutdown::Drained)) {
            tracing::error!("the store did not take the last records; the next start looks after them");
        }
        bell.close(LAST_ALERTS).await;
        Summary { outcomes, open, timed_out, notices, settling }
    }
}

/// The writes are on the disk: the vault's tokens are used from here on, and the engine is told this.
pub(super) fn events_of(vault: &Vault, writes: Vec<Write>, now: Timestamp) -> Vec<Event> {
    let mut events = Vec::new();
    // First, so that what an account's freedom lets go is judged by the new mappings before it is sent.
    if writes.iter().any(|write| !matches!(write, Write::Person(_))) {
        events.push(Event::MappingsChanged);
    }
    for write in writes {
        match write {
            Write::Person(person) => {
                let standing = standing(&person, now);
                events.push(Event::Person { person: vault.arrived(person), standing });
            }
            Write::RemovePerson { contract, person } => {
                let person = PersonKey { contract, person };
                vault.forget(&person);
                events.push(Event::Person { person, standing: PersonStanding::Paused });
            }
            Write::Account(account) => events.push(account_event(&account)),
            Write::RemoveAccount { contract, account } => {
                // Its Bundles are held when they are judged again; an account that comes back begins anew.
                events.push(Event::Account { account: AccountKey { contract, account }, blocked: None });
            }
            _ => {}
        }
    }
    events
}

/// What all judging threads share.
struct Bench {
    store: Arc<dyn Store>,
    hash_key: Arc<HashKey>,
    channels: BTreeMap<ChannelName, judge::Channel>,
    in_force: InForce,
    signals: UnboundedSender<Signal>,
}

impl Bench {
    fn judge(&self, job: &Job) {
        // Its channel may be gone from the configuration.
        let Some(channel) = self.channels.get(&job.submission.channel) else { return };
        let directory = ChannelDirectory {
            store: &*self.store,
            hash_key: &self.hash_key,
            channel: &job.submission.channel,
            contract: channel.contract(),
        };
        let (number, edition) = self.in_force.get();
        let result = judge::judge(job, channel, &edition.validator, &directory).map_err(|error| error.to_string());
        let judged = Judged { id: job.submission.id, edition: number, result };
        self.signals.send(Signal::Judged(judged)).unwrap_or_default();
    }
}

/// The links of a channel and the accounts of its contract, as the store has them.
#[derive(Clone, Copy)]
pub struct ChannelDirectory<'a> {
    /// The records.
    pub store: &'a dyn Store,
    /// Of identifiers.
    pub hash_key: &'a HashKey,
    /// Its links alone.
    pub channel: &'a ChannelName,
    /// Its accounts alone.
    pub contract: &'a ContractName,
}

impl Directory for ChannelDirectory<'_> {
    type Error = StoreError;

    fn link(&self, kind: EvidenceKind, value: &LinkValue) -> Result<Option<AccountReference>, StoreError> {
        Ok(self.store.link(self.channel, kind, value)?.map(|link| link.account))
    }

    fn accounts(&self, reference: &AccountReference) -> Result<Vec<Account>, StoreError> {
        self.store.accounts_by_reference(self.contract, reference)
    }

    fn hash(&self, kind: EvidenceKind, parts: &[&[u8]]) -> KeyedHash {
        self.hash_key.evidence(self.channel, kind, parts)
    }
}

/// The latest submission of the same bytes that the same account has, or may have, as the store tells it. Of those
/// that the engine has open it knows more.
pub(super) fn earlier(store: &dyn Store, engine: &Engine, parcel: &Parcel) -> Result<Option<Earlier>, StoreError> {
    const LOOKED_AT: usize = 64;
    let Recipient { contract, account, .. } = parcel.recipient();
    let mut found = store.latest_at(contract, account, &parcel.claimed(), LOOKED_AT)?;
    found.retain(|record| record.id != parcel.submission() && record.push == parcel.push());
    let stays = |record: &&Submission| record.recipient.as_ref().is_some_and(|to| to.is(contract, account));
    let delivered = found.iter().filter(stays).find_map(|record| match &record.stage {
        Stage::Delivered { receipt } => Some((record.id, Some(receipt.clone()))),
        Stage::Duplicate { of, receipt } => Some((*of, Some(receipt.clone()))),
        _ => None,
    });
    let uncertain = || found.iter().find(|record| !engine.has_open(record.id) && !parcel.idempotent());
    Ok(delivered.or_else(|| uncertain().map(|record| (record.id, None))))
}

pub(super) fn account_event(account: &Account) -> Event {
    Event::Account {
        account: AccountKey { contract: account.contract.clone(), account: account.id.clone() },
        blocked: account.blocked_because().map(str::to_owned),
    }
}

/// One line per transition; names and contents never.
fn log_stage(record: &Submission) {
    let (id, name, channel) = (record.id, record.name_hash, &record.channel);
    let attempt = record.attempts.last().map(|attempt| attempt.number);
    tracing::info!(%id, %name, %channel, push = %record.push, stage = record.stage.as_str(), attempt, size = record.size, "submission");
}

fn log_alert(alert: &Alert) {
    match alert {
        Alert::DestinationPaused { contract, why } => tracing::warn!(%contract, why, "alert: destination paused"),
        Alert::DestinationParked { contract, why, until } => {
            let remedy = format!("pushbridge resume {contract}");
            tracing::warn!(%contract, why, %until, remedy, "alert: destination paused for long");
        }
        Alert::DestinationOpen { contract } => tracing::warn!(%contract, "alert: destination open again"),
        Alert::PersonPaused { person, why } => {
            let remedy = reauthorize(&person.contract, person.person.as_str());
            tracing::warn!(contract = %person.contract, person = %person.person, why, remedy, "alert: person must authorise again");
        }
        Alert::PersonRefused { person, why } => {
            tracing::warn!(contract = %person.contract, person = %person.person, why, "alert: person is not served");
        }
        Alert::PersonServed { person } => {
            tracing::warn!(contract = %person.contract, person = %person.person, "alert: person is served again");
        }
        Alert::AccountBlocked { account, why } => {
            let remedy = account_remedy(&account.contract, account.account.as_str(), why);
            tracing::warn!(contract = %account.contract, account = %account.account, why, remedy, "alert: account blocked");
        }
        Alert::AccountOpen { account } => {
            tracing::warn!(contract = %account.contract, account = %account.account, "alert: account open again");
        }
        Alert::DeliveredWithErrors { id, rejected } => tracing::warn!(%id, rejected, "alert: delivered with errors"),
        Alert::Unknown { id } => tracing::warn!(%id, "alert: a person must decide: it may have arrived"),
    }
}

const fn refresh_word(outcome: &RefreshOutcome) -> &'static str {
    match outcome {
        RefreshOutcome::Renewed(_) => "renewed",
        RefreshOutcome::Paused { .. } => "person paused",
        RefreshOutcome::Later { .. } => "later",
        RefreshOutcome::Refused { .. } => "refused",
        RefreshOutcome::Lost => "lost",
        RefreshOutcome::DestinationPaused { .. } => "destination paused",
        RefreshOutcome::Superseded => "authorised again meanwhile",
    }
}
