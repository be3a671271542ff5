//! How each effect is carried out, and how those end that take their time.

use super::{
    Shell,
    log::{log_alert, log_stage, refresh_word},
};
use crate::{
    alert::{Kind, News},
    engine::{
        event::{AccountKey, Change, Effect, Event, PersonKey, RefreshOutcome},
        judge::Job,
        report::outcome,
        signal::Signal,
        tell,
        vault::{Renewal, renew},
    },
    intake::Spool,
    model::{ContractName, Secret, Stage, SubmissionId, Timestamp},
    push,
    route::Parcel,
    store::{StoreError, Write},
};
use std::time::Duration;

impl Shell {
    pub(super) fn carry_out(&mut self, effects: Vec<Effect>) {
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

    fn log(&mut self, change: Change, then: Vec<Effect>) {
        let (id, again) = (change.id, change.clone());
        let now = self.now();
        let record = match self.ledger.change(now, change) {
            Ok(Some(record)) => record,
            Ok(None) => return,
            Err(error) => return self.try_again(&error, Effect::Log { change: Box::new(again), then }),
        };
        log_stage(record);
        if record.stage.is_final() || matches!(record.stage, Stage::Held(_) | Stage::Unknown { .. }) {
            *self.outcomes.entry(outcome(&record.stage)).or_default() += 1;
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
    pub(super) fn try_again(&self, error: &StoreError, effect: Effect) {
        tracing::warn!(%error, "a change is put off");
        // Where damage closed the store, the writer opens it again; so it needs something to write.
        self.writer.commit_lazily(Vec::new());
        self.later(effect);
    }

    /// Carries it out after a rest.
    pub(super) fn later(&self, effect: Effect) {
        const REST: Duration = Duration::from_secs(1);
        let signals = self.signals.clone();
        tokio::spawn(async move {
            tokio::time::sleep(REST).await;
            signals.send(Signal::TryAgain(effect)).unwrap_or_default();
        });
    }

    pub(super) fn judge(&mut self, id: SubmissionId) {
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
        let access = self.vault.access(&key).unwrap_or_else(|| Secret::new(String::new()));
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

    pub(super) fn renewed(&mut self, person: PersonKey, renewal: Option<Renewal>) {
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
}
