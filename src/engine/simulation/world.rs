//! One simulated world: clock, disk, inbox, API and the agenda of what will happen; [`super::shell`] is the loop in it.

use super::{
    api::Api,
    cast::{account_record, cast},
    people::Command,
    random::Random,
    referee::Referee,
    shell::{Pushing, Refreshing, Shell, Signal},
};
use crate::{
    engine::{
        event::{Alert, Event, Judgement, Moment},
        step::{Ambiguous, ChannelRules, Order, Rules},
    },
    model::{ContractName, Link, LinkValue, Place, SubmissionId, Timestamp},
    store::{Write, memory::MemoryStore},
};
use std::{collections::BTreeMap, ops::AddAssign, sync::Arc, time::Duration};

/// A file that somebody drops.
#[derive(Clone, Debug)]
pub(super) struct File {
    pub(super) channel: usize,
    /// The folder that it is dropped into: its evidence.
    pub(super) folder: u64,
    pub(super) content: usize,
    /// It stands in the inbox.
    pub(super) in_inbox: bool,
}

/// What will happen.
#[derive(Debug)]
pub(super) enum Happening {
    // Outside: goes on whatever becomes of the daemon.
    Arrives(usize),
    Person(Command),
    Crash,
    Stop,
    Api(ContractName, super::api::Mode),
    ClockJumps(i64),
    // Inside: ends with the daemon.
    Claim(usize),
    Sync,
    Settle,
    Read(SubmissionId),
    Judged(SubmissionId, Box<Judgement>),
    Told(Box<Signal>),
    SourceGone(SubmissionId),
    PushArrives(Box<Pushing>),
    RefreshArrives(Box<Refreshing>),
    RefreshEnds(Box<Refreshing>, super::api::Refreshed),
    Probe(ContractName),
}

impl Happening {
    pub(super) const fn is_inside(&self) -> bool {
        !self.is_outside()
    }

    const fn is_outside(&self) -> bool {
        matches!(
            self,
            Self::Arrives(_) | Self::Person(_) | Self::Crash | Self::Stop | Self::Api(..) | Self::ClockJumps(_)
        )
    }
}

/// What was played.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Figures {
    pub(super) schedules: u64,
    pub(super) files: u64,
    pub(super) events: u64,
    pub(super) crashes: u64,
    pub(super) commands: u64,
    pub(super) pushes: u64,
    pub(super) delivered: u64,
    pub(super) duplicates: u64,
    pub(super) unknown: u64,
    pub(super) held: u64,
    pub(super) refreshes: u64,
    pub(super) refreshes_lost: u64,
    pub(super) probes: u64,
    pub(super) hours: u64,
}

impl AddAssign for Figures {
    fn add_assign(&mut self, other: Self) {
        self.schedules += other.schedules;
        self.files += other.files;
        self.events += other.events;
        self.crashes += other.crashes;
        self.commands += other.commands;
        self.pushes += other.pushes;
        self.delivered += other.delivered;
        self.duplicates += other.duplicates;
        self.unknown += other.unknown;
        self.held += other.held;
        self.refreshes += other.refreshes;
        self.refreshes_lost += other.refreshes_lost;
        self.probes += other.probes;
        self.hours += other.hours;
    }
}

pub(super) struct World {
    pub(super) random: Random,
    /// Milliseconds.
    pub(super) clock: u64,
    wall_offset: i64,
    pub(super) rules: Rules,
    pub(super) trace: Option<Vec<String>>,
    pub(super) figures: Figures,
    pub(super) referee: Referee,
    pub(super) api: Api,
    pub(super) store: Arc<MemoryStore>,
    pub(super) files: Vec<File>,
    pub(super) file_of: BTreeMap<SubmissionId, usize>,
    /// Where each claimed file lies.
    pub(super) places: BTreeMap<SubmissionId, Place>,
    pub(super) agenda: BTreeMap<(u64, u64), Happening>,
    pub(super) sequence: u64,
    pub(super) last_id: u64,
    pub(super) shell: Shell,
    /// All that were told.
    pub(super) alerts: Vec<Alert>,
    idle_ticks: u32,
}

impl World {
    pub(super) fn new(seed: u64, traced: bool) -> Self {
        let mut random = Random::new(seed);
        let cast = cast();
        let order = if random.percent(30) { Order::Strict } else { Order::Claim };
        let resend = random.percent(20);
        let max_age = Duration::from_secs(random.between(60, 7200));
        let channel = |(name, contract): &(crate::model::ChannelName, ContractName)| {
            // The second channel resends where any does, so that both kinds meet at one account.
            let ambiguous = if resend && name.as_str() == "b" { Ambiguous::Resend } else { Ambiguous::Hold };
            (name.clone(), ChannelRules { contract: contract.clone(), order, ambiguous, max_age })
        };
        let rules = Rules {
            channels: cast.channels.iter().map(channel).collect(),
            connections: random.pick(&[1, 2, 4, 8]),
            parcels: random.pick(&[1, 3, 4_000]),
            seed: random.next(),
        };
        let store = Arc::new(MemoryStore::default());
        let access_life = random.pick(&[40_000, 600_000, 7_200_000]);
        let mut world = Self {
            shell: Shell::new(rules.clone(), store.clone()),
            random,
            clock: 1_000,
            wall_offset: 1_480_000_000_000,
            rules,
            trace: traced.then(Vec::new),
            figures: Figures { schedules: 1, ..Figures::default() },
            referee: Referee::default(),
            api: Api::new(access_life),
            store,
            files: Vec::new(),
            file_of: BTreeMap::new(),
            places: BTreeMap::new(),
            agenda: BTreeMap::new(),
            sequence: 0,
            last_id: 0,
            alerts: Vec::new(),
            idle_ticks: 0,
        };
        world.found();
        world
    }

    /// A quiet one: every folder is linked, tokens last, and nothing is sent twice.
    pub(super) fn plain(seed: u64, connections: usize) -> Self {
        let mut world = Self::new(seed, false);
        world.rules.connections = connections;
        world.rules.parcels = 4_000;
        for channel in world.rules.channels.values_mut() {
            (channel.order, channel.ambiguous) = (Order::Claim, Ambiguous::Hold);
            channel.max_age = Duration::from_secs(7_200);
        }
        world.api.access_life = 86_400_000;
        let mut writes = Vec::new();
        for person in &cast().persons {
            writes.push(Write::Person(world.person_record(person)));
        }
        writes.extend((0..4).map(|folder| Write::Link(world.link(0, folder, None))));
        world.commit(&writes);
        world
    }

    /// What was set up before the first start.
    fn found(&mut self) {
        let mut writes: Vec<_> =
            (0..cast().accounts.len()).map(|number| Write::Account(account_record(number))).collect();
        for person in &cast().persons {
            writes.push(Write::Person(self.person_record(person)));
        }
        for channel in 0..cast().channels.len() {
            for folder in 0..5 {
                if self.random.percent(85) {
                    writes.push(Write::Link(self.link(channel, folder, None)));
                }
            }
        }
        self.commit(&writes);
    }

    /// A folder's link: to the account that belongs there, or to any of the contract.
    pub(super) fn link(&self, channel: usize, folder: u64, account: Option<usize>) -> Link {
        let (name, contract) = &cast().channels[channel];
        let own: Vec<_> = cast().accounts.iter().filter(|(key, ..)| key.contract == *contract).collect();
        let number = account.unwrap_or(usize::try_from(folder).unwrap()) % own.len();
        Link {
            channel: name.clone(),
            kind: crate::model::EvidenceKind::Folder,
            value: LinkValue::Clear(folder.to_string()),
            account: own[number].2.clone(),
            added: self.now().wall,
        }
    }

    pub(super) fn now(&self) -> Moment {
        let wall = Timestamp::from_millis(self.wall_offset + i64::try_from(self.clock).unwrap());
        Moment { monotonic: Duration::from_millis(self.clock - self.shell.started), wall }
    }

    pub(super) fn note(&mut self, text: impl FnOnce() -> String) {
        if let Some(trace) = &mut self.trace {
            trace.push(format!("{:>9} {}", self.clock, text()));
        }
    }

    pub(super) fn at(&mut self, time: u64, happening: Happening) {
        self.sequence += 1;
        self.agenda.insert((time, self.sequence), happening);
    }

    /// Within a drawn delay.
    pub(super) fn soon(&mut self, longest: u64, happening: Happening) {
        let delay = self.random.between(0, longest);
        self.at(self.clock + delay, happening);
    }

    /// One thing happens; `false` where nothing ever will.
    pub(super) fn once(&mut self) -> bool {
        let due = self.shell.engine.due().map(|due| self.shell.started + u64::try_from(due.as_millis()).unwrap() + 1);
        let next = self.agenda.first_key_value().map(|((time, _), _)| *time);
        let waits = next.is_none_or(|next| next > self.clock + 10) && due.is_none_or(|due| due > self.clock + 10);
        if !self.shell.signals.is_empty() && (waits || self.random.percent(75)) {
            self.idle_ticks = 0;
            self.take();
        } else if let Some(due) = due.filter(|due| next.is_none_or(|next| *due <= next)) {
            self.idle_ticks = if due <= self.clock { self.idle_ticks + 1 } else { 0 };
            assert!(self.idle_ticks < 20, "the loop turns in circles: something is due and nothing is done about it");
            self.clock = self.clock.max(due);
            self.step(Event::Tick);
        } else if let Some(((time, _), happening)) = self.agenda.pop_first() {
            self.idle_ticks = 0;
            self.clock = self.clock.max(time);
            self.happens(happening);
        } else {
            return false;
        }
        true
    }

    fn happens(&mut self, happening: Happening) {
        match happening {
            Happening::Arrives(file) => {
                self.note(|| format!("file {file} is dropped"));
                self.files[file].in_inbox = true;
                self.figures.files += 1;
                self.soon(30, Happening::Claim(file));
            }
            Happening::Person(command) => self.command(command),
            Happening::Crash => self.crash(),
            Happening::Stop => self.stop(),
            Happening::Api(contract, mode) => {
                self.note(|| format!("the API of {contract} is {mode:?}"));
                self.api.modes.insert(contract, mode);
            }
            Happening::ClockJumps(by) => {
                self.note(|| format!("the wall clock jumps by {by}"));
                self.wall_offset += by;
            }
            inside => self.inside(inside),
        }
    }

    /// The daemon ended: its own plans go with it.
    pub(super) fn forget_inside(&mut self) {
        self.agenda.retain(|_, happening| happening.is_outside());
    }
}
