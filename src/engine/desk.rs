//! What may be asked of the running engine from outside: everything goes through its loop.

use super::{
    edition::{EditionFacts, Profiles},
    event::{AccountKey, PersonKey, Verb},
    signal::Signal,
};
use crate::{
    intake::Notice,
    model::{ChannelName, ContractName, SubmissionId, Timestamp},
    store::Write,
};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};
use tokio::sync::{mpsc::UnboundedSender, oneshot};

/// How long somebody waits for new tokens.
const RENEWAL_PATIENCE: Duration = Duration::from_secs(60);

/// A question to the loop.
pub(super) enum Asked {
    Status { answer: oneshot::Sender<StatusFacts> },
    Decide { id: SubmissionId, verb: Verb, answer: oneshot::Sender<Result<String, String>> },
    Write { writes: Vec<Write>, answer: oneshot::Sender<bool> },
    Retire { ids: BTreeSet<SubmissionId>, answer: oneshot::Sender<Result<Vec<SubmissionId>, String>> },
    Refresh { person: PersonKey, answer: oneshot::Sender<bool> },
    Hold { answer: oneshot::Sender<Hold> },
    Resume { contract: Option<ContractName>, answer: oneshot::Sender<Vec<ContractName>> },
    Renewal { person: PersonKey, answer: oneshot::Sender<Result<(), String>> },
    Reload { answer: oneshot::Sender<Result<EditionFacts, String>> },
}

/// What the engine knows that the store does not.
#[derive(Clone, Debug)]
pub struct StatusFacts {
    /// Open submissions by stage.
    pub stages: BTreeMap<&'static str, u64>,
    /// How many wait for each account.
    pub accounts: Vec<(AccountKey, usize)>,
    /// Destinations that are paused.
    pub paused: Vec<PausedUntil>,
    /// What was noticed of each inbox.
    pub notices: BTreeMap<ChannelName, Vec<Notice>>,
    /// The profiles that files are judged by.
    pub profiles: Profiles,
}

/// A destination that is not served, on the wall clock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PausedUntil {
    /// The contract.
    pub contract: ContractName,
    /// Why, as far as the last answer says.
    pub why: String,
    /// When the API is asked again; `None` while it is being asked, or nothing waits that could ask it.
    pub until: Option<Timestamp>,
}

/// The way to a running engine; clones are cheap.
#[derive(Clone)]
pub struct Handle {
    signals: UnboundedSender<Signal>,
}

/// While it is held the engine does not end, within its grace: something is on its way that must reach the disk.
#[derive(Debug)]
pub struct Hold {
    signals: UnboundedSender<Signal>,
}

impl Hold {
    pub(super) const fn new(signals: UnboundedSender<Signal>) -> Self {
        Self { signals }
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        // An engine that has ended needs no word.
        self.signals.send(Signal::LetGo).unwrap_or_default();
    }
}

/// The engine has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("ask the daemon: it is stopping")]
pub struct Stopping;

impl Handle {
    pub(super) const fn new(signals: UnboundedSender<Signal>) -> Self {
        Self { signals }
    }

    async fn ask<T>(&self, question: impl FnOnce(oneshot::Sender<T>) -> Asked) -> Result<T, Stopping> {
        self.put(question).await.map_err(|_| Stopping)
    }

    /// Asks, and does not wait. Nobody answers where the engine has ended.
    fn put<T>(&self, question: impl FnOnce(oneshot::Sender<T>) -> Asked) -> oneshot::Receiver<T> {
        let (answer, answered) = oneshot::channel();
        self.signals.send(Signal::Asked(question(answer))).unwrap_or_default();
        answered
    }

    /// What stands where.
    ///
    /// # Errors
    /// The engine has ended.
    pub async fn status(&self) -> Result<StatusFacts, Stopping> {
        self.ask(|answer| Asked::Status { answer }).await
    }

    /// A person's decision about each of these: the stage that follows from it, once that is on the disk, or why it does
    /// not fit. All are asked before the first answer is waited for, so that they share a flush.
    pub async fn decide(&self, ids: &[SubmissionId], verb: Verb) -> Vec<Result<Result<String, String>, Stopping>> {
        let asked: Vec<_> = ids.iter().map(|id| self.put(|answer| Asked::Decide { id: *id, verb, answer })).collect();
        let mut decided = Vec::with_capacity(asked.len());
        for answered in asked {
            decided.push(answered.await.map_err(|_| Stopping));
        }
        decided
    }

    /// Writes persons, accounts or links, and lets the engine know; `false` where the store ended before.
    ///
    /// # Errors
    /// The engine has ended.
    pub async fn write(&self, writes: Vec<Write>) -> Result<bool, Stopping> {
        self.ask(|answer| Asked::Write { writes, answer }).await
    }

    /// Marks those of the submissions that have ended as removed by retention, and says which these are once that is on
    /// the disk; nobody can release them from then on.
    ///
    /// # Errors
    /// The engine has ended, or the store cannot be read.
    pub async fn retire(&self, ids: BTreeSet<SubmissionId>) -> Result<Result<Vec<SubmissionId>, String>, Stopping> {
        self.ask(|answer| Asked::Retire { ids, answer }).await
    }

    /// Asks for a person's tokens to be renewed; `false` where there is nothing to renew.
    ///
    /// # Errors
    /// The engine has ended.
    pub async fn refresh(&self, person: PersonKey) -> Result<bool, Stopping> {
        self.ask(|answer| Asked::Refresh { person, answer }).await
    }

    /// Has the paused destination of this contract, or every one, asked now; says which these are.
    ///
    /// # Errors
    /// The engine has ended.
    pub async fn resume(&self, contract: Option<ContractName>) -> Result<Vec<ContractName>, Stopping> {
        self.ask(|answer| Asked::Resume { contract, answer }).await
    }

    /// Keeps the engine from ending until the result is dropped.
    ///
    /// # Errors
    /// It has ended or is about to.
    pub async fn hold(&self) -> Result<Hold, Stopping> {
        self.ask(|answer| Asked::Hold { answer }).await
    }

    /// Has the profiles read again; what is in force from then on, or what is wrong with what lies on the disk.
    ///
    /// # Errors
    /// The engine has ended.
    pub async fn reload(&self) -> Result<Result<EditionFacts, String>, Stopping> {
        self.ask(|answer| Asked::Reload { answer }).await
    }

    /// Has a person's tokens renewed and waits until that has ended; why it did not work otherwise.
    ///
    /// # Errors
    /// The engine has ended.
    pub async fn renewed(&self, person: PersonKey) -> Result<Result<(), String>, Stopping> {
        let ended = self.ask(|answer| Asked::Renewal { person, answer });
        // While a destination is closed no token is renewed.
        let patient = tokio::time::timeout(RENEWAL_PATIENCE, ended).await;
        patient.unwrap_or_else(|_| Ok(Err("the API is not served at present".to_owned())))
    }
}
