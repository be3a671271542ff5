//! Who carries decisions out: the running engine, or the command itself where none runs.

use super::retention::retire;
use crate::{
    engine::{
        Change, EditionFacts, Handle, Hold, Moment, PersonKey, StatusFacts, Verb, apply_change, decide, has_its_file,
    },
    model::{ContractName, Stage, Submission, SubmissionId, Timestamp, reauthorize},
    store::{Store, Write},
};
use std::{collections::BTreeSet, sync::Arc, time::Duration};

/// What differs with and without a daemon.
pub trait Hands: Send + Sync {
    /// Writes persons, accounts and links; returns when they are on disk.
    fn write(&self, writes: Vec<Write>) -> impl Future<Output = Result<(), String>> + Send;

    /// A person's decision about each of these submissions; the stage that follows, once it is on the disk.
    fn decide(&self, ids: &[SubmissionId], verb: Verb) -> impl Future<Output = Vec<Result<String, String>>> + Send;

    /// Renews a person's tokens now.
    fn refresh(&self, person: PersonKey) -> impl Future<Output = Result<(), String>> + Send;

    /// Renews a person's tokens and waits for the end of that.
    fn renewed(&self, person: PersonKey) -> impl Future<Output = Result<(), String>> + Send;

    /// Has the paused destination of this contract, or every one, asked now; says which these are.
    fn resume(&self, contract: Option<ContractName>) -> impl Future<Output = Result<Vec<ContractName>, String>> + Send;

    /// What keeps the other side from ending.
    type Hold: Send;

    /// Keeps whoever writes from ending until the result is dropped: tokens that were handed out once must reach the disk.
    fn hold(&self) -> impl Future<Output = Result<Self::Hold, String>> + Send;

    /// Marks submissions that have ended as files that are about to be removed, on the disk; those that may be.
    fn retire(&self, ids: BTreeSet<SubmissionId>) -> impl Future<Output = Result<Vec<SubmissionId>, String>> + Send;

    /// Reads the profiles again; what is in force from then on.
    fn reload(&self) -> impl Future<Output = Result<EditionFacts, String>> + Send;

    /// What only a running engine knows.
    fn status(&self) -> impl Future<Output = Option<StatusFacts>> + Send;
}

impl Hands for Handle {
    async fn write(&self, writes: Vec<Write>) -> Result<(), String> {
        match Self::write(self, writes).await {
            Ok(true) => Ok(()),
            Ok(false) => Err("the store ended before it was written".to_owned()),
            Err(error) => Err(error.to_string()),
        }
    }

    async fn decide(&self, ids: &[SubmissionId], verb: Verb) -> Vec<Result<String, String>> {
        let decided = Self::decide(self, ids, verb).await;
        decided.into_iter().map(|decided| decided.map_err(|error| error.to_string())?).collect()
    }

    async fn refresh(&self, person: PersonKey) -> Result<(), String> {
        let remedy = reauthorize(&person.contract, person.person.as_str());
        match Self::refresh(self, person).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(format!("the person has no tokens that could be renewed; {remedy}")),
            Err(error) => Err(error.to_string()),
        }
    }

    async fn renewed(&self, person: PersonKey) -> Result<(), String> {
        Self::renewed(self, person).await.map_err(|error| error.to_string())?
    }

    async fn resume(&self, contract: Option<ContractName>) -> Result<Vec<ContractName>, String> {
        Self::resume(self, contract).await.map_err(|error| error.to_string())
    }

    type Hold = Hold;

    async fn hold(&self) -> Result<Hold, String> {
        Self::hold(self).await.map_err(|error| error.to_string())
    }

    async fn retire(&self, ids: BTreeSet<SubmissionId>) -> Result<Vec<SubmissionId>, String> {
        Self::retire(self, ids).await.map_err(|error| error.to_string())?
    }

    async fn reload(&self) -> Result<EditionFacts, String> {
        let loaded = Self::reload(self).await.map_err(|error| error.to_string())?;
        loaded.map_err(|why| format!("the profiles on the disk cannot be used, and those before stay in force: {why}"))
    }

    async fn status(&self) -> Option<StatusFacts> {
        Self::status(self).await.ok()
    }
}

/// Without a daemon: the store is ours for the moment of the command.
pub struct Offline {
    /// The records.
    pub store: Arc<dyn Store>,
}

impl Offline {
    /// The record as the decision makes it.
    fn decided(&self, id: SubmissionId, verb: Verb) -> Result<Submission, String> {
        let record = self.store.submission(id).map_err(|error| error.to_string())?;
        let mut record = record.ok_or("no such submission")?;
        has_its_file(&record).map_err(|error| error.to_string())?;
        // A daemon that ended while it sent left a Sending behind: nobody is sending now.
        let stage = match record.stage {
            Stage::Sending { attempt } => Stage::Unknown { attempt },
            ref stage => stage.clone(),
        };
        let next = decide(&stage, verb).map_err(|error| error.to_string())?;
        let forced = record.forced || matches!(stage, Stage::Unknown { .. }) || verb == Verb::ForceRelease;
        let goes_on = next == Stage::Claimed;
        let (forced, waited_millis) = (Some(forced && goes_on), goes_on.then_some(0));
        let change = Change { forced, waited_millis, ..Change::to(id, next) };
        apply_change(&mut record, Moment { monotonic: Duration::ZERO, wall: Timestamp::now() }, change);
        Ok(record)
    }
}

impl Hands for Offline {
    async fn write(&self, writes: Vec<Write>) -> Result<(), String> {
        self.store.commit(&writes).map_err(|error| error.to_string())
    }

    async fn decide(&self, ids: &[SubmissionId], verb: Verb) -> Vec<Result<String, String>> {
        let decided: Vec<_> = ids.iter().map(|id| self.decided(*id, verb)).collect();
        let writes = decided.iter().flatten().map(|record| Write::Submission(Box::new(record.clone()))).collect();
        let written = self.write(writes).await;
        let word = |record: Submission| written.clone().map(|()| record.stage.as_str().to_owned());
        decided.into_iter().map(|decided| decided.and_then(word)).collect()
    }

    async fn refresh(&self, _: PersonKey) -> Result<(), String> {
        Err("tokens are renewed by the daemon alone, so that no two do it at once; start it with pushbridge run"
            .to_owned())
    }

    async fn renewed(&self, person: PersonKey) -> Result<(), String> {
        self.refresh(person).await
    }

    async fn resume(&self, _: Option<ContractName>) -> Result<Vec<ContractName>, String> {
        Err("no daemon runs, so nothing is paused: it asks the API when it starts".to_owned())
    }

    type Hold = ();

    async fn hold(&self) -> Result<(), String> {
        Ok(())
    }

    async fn retire(&self, ids: BTreeSet<SubmissionId>) -> Result<Vec<SubmissionId>, String> {
        retire(&self.store, &ids)
    }

    async fn reload(&self) -> Result<EditionFacts, String> {
        Err("no daemon runs here; it reads the profiles when it starts, and pushbridge profiles check looks at them now"
            .to_owned())
    }

    async fn status(&self) -> Option<StatusFacts> {
        None
    }
}
