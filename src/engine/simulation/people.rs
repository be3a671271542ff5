//! What people do, and when: a schedule is drawn here, and its end, when everything is put right and decided.

use super::{
    api::{Mode, RETRY_AFTER},
    cast::{account_record, cast},
    shell::Done,
    world::{File, Happening, World},
};
use crate::{
    engine::{
        decide::decide,
        event::{Event, Opened, PersonKey, Verb},
    },
    model::{EvidenceKind, HoldReason, LinkValue, Stage, SubmissionId},
    store::{Order, Store, Write},
};
use std::time::Duration;

/// A command of somebody's.
#[derive(Clone, Debug)]
pub(super) enum Command {
    /// Of any submission, or of one at a stage that the verb is meant for.
    Decide(Verb),
    Link {
        channel: usize,
        folder: u64,
        account: Option<usize>,
    },
    Unlink {
        channel: usize,
        folder: u64,
    },
    /// `accounts sync` finds it as it should be.
    Account(usize),
    /// `accounts sync` finds it no longer authorised.
    Unauthorised(usize),
    AccountGone(usize),
    /// New tokens are imported.
    Authorise(usize),
    PersonGone(usize),
    Refresh(usize),
    /// A paused destination is asked now.
    Resume(usize),
    /// An Unknown goes on to another account, and a copy of it comes for the one that may have it.
    Readdress,
}

/// Sub-folders of an inbox.
const FOLDERS: u64 = 5;

impl World {
    pub(super) fn command(&mut self, command: Command) {
        self.figures.commands += 1;
        self.note(|| format!("command {command:?}"));
        match command {
            Command::Decide(verb) => {
                let all = self.store.submissions(Order::OldestFirst, None, usize::MAX).unwrap();
                let possible: Vec<_> = all.iter().filter(|record| decide(&record.stage, verb).is_ok()).collect();
                if !possible.is_empty() {
                    let id = possible[self.random.index(possible.len())].id;
                    self.decide(id, verb);
                }
            }
            Command::Link { channel, folder, account } => {
                let link = self.link(channel, folder, account);
                self.ask(vec![Write::Link(link)]);
            }
            Command::Unlink { channel, folder } => {
                let channel = cast().channels[channel].0.clone();
                let value = LinkValue::Clear(folder.to_string());
                self.ask(vec![Write::RemoveLink { channel, kind: EvidenceKind::Folder, value }]);
            }
            Command::Account(number) => self.ask(vec![Write::Account(account_record(number))]),
            Command::Unauthorised(number) => {
                let account = crate::model::Account { authorised: false, ..account_record(number) };
                self.ask(vec![Write::Account(account)]);
            }
            Command::AccountGone(number) => {
                let key = cast().accounts[number].0.clone();
                self.ask(vec![Write::RemoveAccount { contract: key.contract, account: key.account }]);
            }
            Command::Authorise(number) => {
                let person = self.person_record(&cast().persons[number]);
                self.ask(vec![Write::Person(person)]);
            }
            Command::PersonGone(number) => {
                let PersonKey { contract, person } = cast().persons[number].clone();
                self.ask(vec![Write::RemovePerson { contract, person }]);
            }
            Command::Refresh(number) => {
                let now = self.now();
                self.shell.engine.expire_token(now, &cast().persons[number]);
                self.step(Event::Tick);
            }
            Command::Resume(number) => self.step(Event::Resumed { contract: cast().contracts[number].clone() }),
            Command::Readdress => self.readdress(),
        }
    }

    fn readdress(&mut self) {
        let all = self.store.submissions(Order::OldestFirst, None, usize::MAX).unwrap();
        let Some(unknown) = all.iter().find(|record| matches!(record.stage, Stage::Unknown { .. })) else { return };
        let File { channel, folder, content, .. } = self.files[self.file_of[&unknown.id]];
        let reached = unknown.recipient.as_ref().unwrap();
        let before = cast().accounts.iter().position(|(key, ..)| reached.is(&key.contract, &key.account)).unwrap();
        let elsewhere = self.random.index(cast().accounts.len());
        let beside = (folder + 1) % FOLDERS;
        let own = |link: crate::model::Link, account: usize| crate::model::Link {
            account: cast().accounts[account].2.clone(),
            ..link
        };
        let moved = self.link(channel, folder, Some(elsewhere));
        let copied = own(self.link(channel, beside, None), before);
        self.ask(vec![Write::Link(moved), Write::Link(copied)]);
        self.decide(unknown.id, Verb::Release);
        self.files.push(File { channel, folder: beside, content, in_inbox: false });
        self.note_routes();
        self.soon(5_000, Happening::Arrives(self.files.len() - 1));
    }

    /// As `Asked::Decide`.
    pub(super) fn decide(&mut self, id: SubmissionId, verb: Verb) {
        let Some(record) = self.shell.ledger.read(id).unwrap() else { return };
        if decide(&record.stage, verb).is_ok() {
            self.step(Event::Decided { opened: Box::new(Opened::from(&record)), verb });
        }
    }

    /// As `Asked::Write`.
    fn ask(&mut self, writes: Vec<Write>) {
        self.shell.vault.arrive(&writes, || {});
        self.write(writes.clone(), Done::Tell(writes));
    }

    // --- a schedule ---------------------------------------------------------------------------------

    /// Draws what will happen.
    pub(super) fn plan(&mut self) {
        // Most schedules are short: many orders of few things find more than few orders of many.
        let rich = self.random.percent(10);
        let files = if rich { self.random.between(3, 9) } else { self.random.pick(&[1, 2, 2, 3]) };
        let files = usize::try_from(files).unwrap();
        let span = self.random.pick(&[100, 1_000, 10_000, 300_000]);
        let contents = self.random.between(1, 12);
        for file in 0..files {
            let channel = self.random.pick(&[0, 0, 0, 1, 1, 2, 3, 3]);
            let (folder, content) = (self.random.pick(&[0, 0, 1, 2, 4]), self.random.below(contents));
            let content = usize::try_from(content).unwrap();
            self.files.push(File { channel, folder, content, in_inbox: false });
            self.soon(span, Happening::Arrives(file));
        }
        self.note_routes();
        for _ in 0..if rich { self.random.pick(&[0, 1, 2, 4]) } else { self.random.pick(&[0, 0, 0, 1, 1, 2]) } {
            self.soon(span * 2, Happening::Crash);
        }
        if self.random.percent(15) {
            self.soon(span * 2, Happening::Stop);
        }
        for _ in 0..self.random.pick(&[0, 0, 0, 0, 1, 3]) {
            const HOURS: i64 = 3_600_000;
            let most = self.random.pick(&[HOURS, 30 * HOURS]);
            let by = i64::try_from(self.random.below(most.unsigned_abs() * 2)).unwrap() - most;
            self.soon(span * 2, Happening::ClockJumps(by));
        }
        for contract in &cast().contracts {
            let mood = self.random.pick(&[0, 10, 30, 70]);
            self.api.modes.insert(contract.clone(), Mode::Moody(mood));
            for _ in 0..self.random.below(3) {
                let mode = self.mode();
                self.soon(span * 2, Happening::Api(contract.clone(), mode));
            }
        }
        for _ in 0..if rich { self.random.pick(&[0, 2, 4, 8]) } else { self.random.pick(&[0, 1, 1, 2, 3]) } {
            let command = self.draw();
            self.soon(span * 3, Happening::Person(command));
        }
    }

    fn mode(&mut self) -> Mode {
        match self.random.below(10) {
            0 => Mode::Busy(None),
            1 => Mode::Busy(Some(self.random.pick(&RETRY_AFTER))),
            6 => Mode::Picky(self.random.pick(&[400, 413, 422, 402, 409, 418])),
            7 => Mode::Gatekept,
            2 => Mode::Silent,
            3 => Mode::Unreachable,
            4 => Mode::Refusing,
            5 => Mode::Unauthorised,
            _ => Mode::Moody(self.random.below(60)),
        }
    }

    fn draw(&mut self) -> Command {
        let account = self.random.index(cast().accounts.len());
        let person = self.random.index(cast().persons.len());
        let (channel, folder) = (self.random.index(cast().channels.len()), self.random.below(FOLDERS));
        match self.random.below(20) {
            0..=2 => Command::Decide(Verb::Hold),
            3 | 4 => Command::Decide(Verb::Release),
            5 => Command::Decide(Verb::ForceRelease),
            6 => Command::Decide(Verb::Retry),
            7 => Command::Decide(Verb::Drop),
            8 | 9 => Command::Link { channel, folder, account: Some(account) },
            10 => Command::Unlink { channel, folder },
            11 => {
                if self.random.percent(50) {
                    Command::Unauthorised(account)
                } else {
                    Command::AccountGone(account)
                }
            }
            12 => Command::Account(account),
            13 => Command::Authorise(person),
            14 => {
                if self.random.percent(20) {
                    Command::PersonGone(person)
                } else {
                    Command::Authorise(person)
                }
            }
            15 => Command::Refresh(person),
            16 => Command::Resume(self.random.index(cast().contracts.len())),
            _ => Command::Readdress,
        }
    }

    // --- its end ------------------------------------------------------------------------------------

    /// Plays the whole schedule: what was drawn, then everything put right, then everything decided.
    pub(super) fn play(&mut self) {
        self.start();
        self.plan();
        // One span after the last thing that comes from outside.
        while self.agenda.values().any(|happening| !happening.is_inside()) && self.once() {}
        let rest = self.random.pick(&[0, 1, 60]);
        self.run_for(Duration::from_secs(rest));
        self.put_right();
        self.run_for(Duration::from_secs(30 * 3600));
        self.judge_rest();
        self.decide_all();
        self.run_for(Duration::from_secs(30 * 3600));
        self.judge_end();
        self.figures.hours = self.clock / 3_600_000;
    }

    fn put_right(&mut self) {
        self.note(|| "everything is put right".to_owned());
        for contract in &cast().contracts {
            self.api.modes.insert(contract.clone(), Mode::Healthy);
        }
        // Answers of the bad days may still be on their way.
        self.run_for(Duration::from_secs(120));
        let mut writes = Vec::new();
        for key in &cast().persons {
            writes.push(Write::Person(self.person_record(key)));
        }
        writes.extend((0..cast().accounts.len()).map(|number| Write::Account(account_record(number))));
        for channel in 0..cast().channels.len() {
            writes.extend((0..FOLDERS).map(|folder| Write::Link(self.link(channel, folder, None))));
        }
        self.ask(writes);
        // A day that the API asked for is waited, or somebody does not want to.
        if self.random.percent(80) {
            for contract in &cast().contracts {
                self.step(Event::Resumed { contract: contract.clone() });
            }
            for record in self.store.submissions(Order::OldestFirst, None, usize::MAX).unwrap() {
                if matches!(record.stage, Stage::Waiting { .. }) {
                    self.decide(record.id, Verb::Retry);
                }
            }
        }
    }

    /// A person decides whatever waits for one, the earliest first, until nothing does.
    fn decide_all(&mut self) {
        for _ in 0..4 {
            for record in self.store.submissions(Order::OldestFirst, None, usize::MAX).unwrap() {
                let verb = match record.stage {
                    Stage::Unknown { .. } => self.random.pick(&[Verb::Release, Verb::Drop]),
                    Stage::Held(HoldReason::Damaged) => Verb::Drop,
                    Stage::Held(HoldReason::DuplicateOpen { .. }) => {
                        self.random.pick(&[Verb::ForceRelease, Verb::Drop])
                    }
                    Stage::Held(_) => Verb::Release,
                    _ => continue,
                };
                self.decide(record.id, verb);
            }
            self.run_for(Duration::from_secs(3600));
        }
    }
}
