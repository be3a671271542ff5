//! The shell around the decisions: one loop that turns whatever happens into events, gives them to
//! [`Engine::step`] one after another, and carries out what it wants.
//!
//! Nobody else changes a submission while it runs. The loop itself never parses, signs or waits for a
//! disk: judging, settling and the store's writes have threads of their own, requests have tasks.

mod effects;
mod end;
mod log;
mod questions;
mod signals;
mod start;

use super::{
    clerk::Clerk,
    custody::Shared,
    desk::Handle,
    edition::{Edition, Load, Reloads},
    event::{Event, Moment, PersonKey},
    judge::{self, Judges},
    ledger::Ledger,
    signal::Signal,
    step::{ChannelRules, Engine},
    vault::Vault,
};
use crate::{
    alert::Bell,
    intake::{Inbox, Notice, Spool, Stop},
    model::{ChannelName, ContractName, ForeignName, HashKey, Timestamp, clock},
    push::Client,
    store::{Store, StoreError, Writer},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    sync::{Arc, atomic::Ordering},
    thread,
    time::{Duration, Instant},
};
use tokio::sync::{
    mpsc::{UnboundedSender, unbounded_channel},
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

/// How often `run --once` looks whether everything has come to rest.
const LOOK: Duration = Duration::from_millis(25);
/// How long the loop sleeps where nothing is due.
const UNCALLED: Duration = Duration::from_secs(60);

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
    fn now(&self) -> Moment {
        Moment { monotonic: clock::now().saturating_duration_since(self.started), wall: Timestamp::now() }
    }

    fn step(&mut self, event: Event) {
        let mut effects = Vec::new();
        self.engine.step(self.now(), event, &mut effects);
        self.carry_out(effects);
        self.custody.unjudged.store(self.engine.unjudged(), Ordering::Relaxed);
    }
}
