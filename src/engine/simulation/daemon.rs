//! The daemon's own work in the simulated world: claims, flushes, moves, judging; and its ends and starts.

use super::{
    cast::cast,
    shell::{Done, Shell, Signal, number},
    world::{File, Happening, World},
};
use crate::{
    engine::{
        event::{Event, Inspected, Judgement, Opened, PersonKey, Verdict},
        vault::standing,
        written::account_event,
    },
    model::{
        ClaimedFile, EvidenceKind, ForeignName, HoldReason, KeyedHash, LinkValue, Origin, Person, Place, PushType,
        SourceIdentity, Submission, SubmissionId, TokenState,
    },
    store::{Store, Write},
};
use std::time::Duration;

impl World {
    pub(super) fn inside(&mut self, happening: Happening) {
        match happening {
            Happening::Claim(file) => self.claim(file),
            Happening::Sync => self.sync(),
            Happening::Settle => self.settle(),
            Happening::Read(id) => self.read(id),
            Happening::Judged(id, judgement) => self.shell.signals.push_back(Signal::Judged(id, judgement)),
            Happening::Told(signal) => self.shell.signals.push_back(*signal),
            Happening::SourceGone(id) => self.source_gone(id),
            Happening::PushArrives(pushing) => self.push_arrives(*pushing),
            Happening::RefreshArrives(refreshing) => self.refresh_arrives(refreshing),
            Happening::RefreshEnds(refreshing, refreshed) => self.refresh_ends(*refreshing, &refreshed),
            Happening::Probe(contract) => {
                let failure = (!self.api.probe(&mut self.random, &contract)).then(|| "no answer".to_owned());
                self.shell.signals.push_back(Signal::of(Event::Probed { contract, failure }));
            }
            outside => unreachable!("{outside:?} happens outside"),
        }
    }

    fn claim(&mut self, file: usize) {
        self.last_id += 1;
        // As real ids, which grow with the clock, they leave room between each other.
        let id = SubmissionId::from_u64(self.last_id << 16);
        let File { channel, content, .. } = self.files[file].clone();
        let now = self.now().wall;
        let path = ForeignName::new(file.to_string());
        let claimed = ClaimedFile {
            channel: cast().channels[channel].0.clone(),
            push: cast().push_of(&cast().channels[channel].0),
            origin: Origin { path, folder: None, identity: SourceIdentity { inode: 0, size: 1, modified: 0 } },
            name_hash: KeyedHash::from_bytes([0; 16]),
            sidecar: None,
            digest: cast().content(content).digest,
            size: 1,
        };
        let submission = Submission::claimed(id, now, claimed);
        self.note(|| format!("file {file} is claimed as {}", super::trace::id(id)));
        self.file_of.insert(id, file);
        self.places.insert(id, Place::Work);
        self.shell.ledger.begin(submission.clone());
        self.write(vec![Write::Submission(Box::new(submission))], Done::Signal(Signal::Recorded(id)));
    }

    fn source_gone(&mut self, id: SubmissionId) {
        let file = self.file_of[&id];
        self.files[file].in_inbox = false;
        self.write_lazily(id, |record| record.source_pending = false);
    }

    /// One flush and sync: the front of the queue, in order.
    fn sync(&mut self) {
        let waiting = self.shell.writer.len();
        let taken = if self.random.percent(70) { waiting } else { self.random.index(waiting) + 1 };
        let requests: Vec<_> = self.shell.writer.drain(..taken).collect();
        if taken < waiting {
            self.soon(25, Happening::Sync);
        }
        let (writes, done): (Vec<_>, Vec<_>) = requests.into_iter().unzip();
        self.commit(&writes.into_iter().flatten().collect::<Vec<_>>());
        for done in done {
            match done {
                Done::Nothing => {}
                Done::Signal(signal) => self.shell.signals.push_back(signal),
                Done::Tell(writes) => {
                    if writes.iter().any(|write| !matches!(write, Write::Person(_))) {
                        self.referee.telling.push_back(self.referee.version);
                    }
                    self.shell.signals.push_back(Signal::Written(writes));
                }
                Done::Rotating(refreshing) => self.refresh_leaves(refreshing),
                Done::Kept { began, renewed, outcome } => self.refresh_kept(&began, *renewed, outcome),
            }
        }
    }

    /// What is on the disk from now on; the referee remembers what links said when.
    pub(super) fn commit(&mut self, writes: &[Write]) {
        for write in writes {
            if let Write::Person(person) = write {
                let key = PersonKey { contract: person.contract.clone(), person: person.id.clone() };
                let pair = (key, number(&person.tokens));
                if person.state == TokenState::Rotating {
                    self.referee.marked.insert(pair.clone());
                }
                self.referee.on_disk.insert(pair);
            }
        }
        self.store.commit(writes).unwrap();
        if writes.iter().any(|write| !matches!(write, Write::Submission(_) | Write::Person(_))) {
            self.note_routes();
        }
    }

    /// The clerk moves the front of his queue.
    fn settle(&mut self) {
        let waiting = self.shell.clerk.len();
        let taken = self.random.index(waiting) + 1;
        for record in self.shell.clerk.drain(..taken).collect::<Vec<_>>() {
            let (id, place) = (record.id, record.stage.place());
            self.places.insert(id, place);
            self.shell.signals.push_back(Signal::Placed { id, place });
        }
        if taken < waiting {
            self.soon(60, Happening::Settle);
        }
    }

    /// A judge reads the file and the links; his word reaches the loop later.
    fn read(&mut self, id: SubmissionId) {
        let Some(record) = self.shell.ledger.read(id).unwrap() else { return };
        if self.random.percent(2) {
            return self.at(self.clock + 1_000, Happening::Told(Box::new(Signal::JudgeAgain(id))));
        }
        let verdict = self.verdict(&record);
        let judgement = Box::new(Judgement { inspected: Inspected::default(), verdict });
        self.soon(60, Happening::Judged(id, judgement));
    }

    fn verdict(&self, record: &Submission) -> Verdict {
        let File { channel, content, folder, .. } = &self.files[self.file_of[&record.id]];
        let (content, (channel, contract)) = (cast().content(*content), &cast().channels[*channel]);
        let provider = record.push == PushType::Provider;
        if provider && !content.valid {
            return Verdict::Refused { why: "it is not valid".to_owned() };
        }
        let value = LinkValue::Clear(folder.to_string());
        let Some(link) = self.store.link(channel, EvidenceKind::Folder, &value).unwrap() else {
            return Verdict::Held(HoldReason::Unlinked { kind: EvidenceKind::Folder });
        };
        match self.store.accounts_by_reference(contract, &link.account).unwrap().as_slice() {
            [account] if provider => {
                Verdict::Addressed(cast().parcel(record.id, record.digest, content.idempotent, account))
            }
            [account] => Verdict::Addressed(cast().library_parcel(record.id, record.digest, account)),
            _ => Verdict::Held(HoldReason::AccountUnknown { reference: link.account }),
        }
    }

    pub(super) fn person_record(&mut self, key: &PersonKey) -> Person {
        let pair = self.api.grant(self.clock, key);
        let wall = self.now().wall;
        Person {
            contract: key.contract.clone(),
            id: key.person.clone(),
            tokens: self.api.pair(pair, wall),
            state: TokenState::Fresh,
            consent_id: None,
            updated: wall,
        }
    }

    // --- ends and starts ----------------------------------------------------------------------------

    /// What was asked of the disk may have reached it, in order; all else is gone.
    pub(super) fn crash(&mut self) {
        self.figures.crashes += 1;
        let reached = self.random.index(self.shell.writer.len() + 1);
        self.note(|| format!("CRASH; {reached} more writes were on the disk"));
        let writes: Vec<_> = self.shell.writer.drain(..reached).flat_map(|(writes, _)| writes).collect();
        self.commit(&writes);
        self.start();
    }

    /// In order: no new pushes, and those under way may end within the grace.
    pub(super) fn stop(&mut self) {
        self.step(Event::Shutdown);
        let grace = self.clock + 5_000;
        while (self.shell.engine.in_flight() > 0 || self.shell.engine.is_refreshing())
            && self.clock < grace
            && self
                .agenda
                .first_key_value()
                .is_some_and(|((time, _), happening)| *time < grace && happening.is_inside())
        {
            self.once();
        }
        let writes: Vec<_> = self.shell.writer.drain(..).flat_map(|(writes, _)| writes).collect();
        self.commit(&writes);
        self.note(|| "stopped".to_owned());
        self.start();
    }

    /// The next run begins from what is on the disk.
    pub(super) fn start(&mut self) {
        self.forget_inside();
        self.clock += 1;
        self.shell = Shell::new(self.rules.clone(), self.store.clone());
        self.shell.started = self.clock;
        self.referee.restart(&self.store);
        let wall = self.now().wall;
        for person in self.store.persons(None).unwrap() {
            let standing = standing(&person, wall);
            let person = self.shell.vault.keep(person);
            self.step(Event::Person { person, standing });
        }
        for account in self.store.accounts(None).unwrap() {
            self.step(account_event(&account));
        }
        let mut claimed = std::collections::BTreeSet::new();
        for record in self.store.open_submissions(None, usize::MAX).unwrap() {
            let id = record.id;
            if record.source_pending {
                claimed.insert(self.file_of[&id]);
                self.source_gone(id);
            }
            if !record.settled || !record.stage.is_final() {
                self.step(Event::Opened(Opened::from(&record)));
            }
        }
        self.step(Event::Started);
        for file in (0..self.files.len()).filter(|file| !claimed.contains(file)) {
            if self.files[file].in_inbox {
                self.soon(30, Happening::Claim(file));
            }
        }
    }

    fn is_quiet(&self) -> bool {
        let Shell { engine, signals, writer, clerk, .. } = &self.shell;
        let empty = signals.is_empty() && writer.is_empty() && clerk.is_empty() && self.agenda.is_empty();
        empty && (self.referee.is_at_rest() || (engine.is_idle() && engine.paused_destinations().is_empty()))
    }

    /// Until nothing moves by itself any more, or `limit` milliseconds are over.
    pub(super) fn run_for(&mut self, limit: Duration) {
        let end = self.clock + u64::try_from(limit.as_millis()).unwrap();
        while self.clock < end && !self.is_quiet() && self.once() {}
    }
}
