//! The start of a run: its threads, what the last run left, and the watches over the inboxes.

use super::{RunError, Setup, Shell, Watching};
use crate::{
    engine::{
        clerk::Clerk,
        custody::{Custodian, Shared},
        edition::{InForce, Reloads},
        event::{Event, Opened},
        judge::{self, Job, Judged, Judges},
        ledger::Ledger,
        lookup::ChannelDirectory,
        signal::Signal,
        step::{Engine, Rules},
        tell,
        vault::standing,
        written::account_event,
    },
    intake::{Inbox, Orphans, Stop, Watch, remove_claimed},
    model::{ChannelName, HashKey, Submission, Timestamp, clock, random_bytes},
    store::{Store, Writer},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    sync::Arc,
};
use tokio::sync::mpsc::UnboundedSender;

/// Open submissions that are read at once.
const OPEN_PAGE: usize = 1_000;

impl Shell {
    pub(super) fn start(setup: Setup, signals: UnboundedSender<Signal>) -> Result<Self, RunError> {
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
    pub(super) fn recover(&mut self) -> Result<(), RunError> {
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

    pub(super) fn watch(&self) -> Result<Vec<Watching>, RunError> {
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
