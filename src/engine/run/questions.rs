//! What is done with each question from outside.

use super::{Decision, Shell};
use crate::{
    alert::{Kind, News},
    engine::{
        decide::{decide, has_its_file},
        desk::{Asked, Hold, PausedUntil, StatusFacts},
        edition::{Edition, Load},
        event::{Event, Opened, Verb},
        gate::Paused,
        signal::Signal,
        tell,
    },
    model::{ContractName, Retention, Stage, SubmissionId, Timestamp},
    store::Write,
};
use std::collections::BTreeSet;
use tokio::sync::oneshot;

impl Shell {
    pub(super) fn asked(&mut self, asked: Asked) {
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

    pub(super) fn edition_made(&mut self, made: Result<Edition, String>) {
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
}
