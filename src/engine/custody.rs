//! Claims on their way from an inbox into the store.

use super::signal::Signal;
use crate::{
    intake::{Claim, Custody, CustodyError, Notice, Recorded},
    model::{ChannelName, ClaimedFile, ForeignName, HashKey, PushType, Submission, SubmissionId, Timestamp},
    store::Store,
};
use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicUsize, Ordering},
    mpsc,
};
use tokio::sync::mpsc::UnboundedSender;

/// Claims that may wait for their judgement: enough to keep the judges busy, few enough to hold in memory.
const UNJUDGED: usize = 500;

/// What the custodians of all inboxes share.
#[derive(Debug, Default)]
pub(super) struct Shared {
    last_id: Mutex<Option<SubmissionId>>,
    /// Claims that are not judged yet, as the engine last said.
    pub(super) unjudged: AtomicUsize,
}

impl Shared {
    pub(super) fn new(last_id: Option<SubmissionId>) -> Self {
        Self { last_id: Mutex::new(last_id), unjudged: AtomicUsize::new(0) }
    }
}

/// Keeps the claims of one channel.
pub(super) struct Custodian {
    pub(super) channel: ChannelName,
    /// Where it sends files.
    pub(super) push: PushType,
    pub(super) signals: UnboundedSender<Signal>,
    pub(super) store: Arc<dyn Store>,
    pub(super) hash_key: Arc<HashKey>,
    pub(super) shared: Arc<Shared>,
}

impl Custodian {
    fn submission(&self, claim: Claim, now: Timestamp) -> Submission {
        let name_hash = self.hash_key.name(&claim.origin.file_name());
        let file = ClaimedFile {
            channel: self.channel.clone(),
            push: self.push,
            origin: claim.origin,
            name_hash,
            sidecar: claim.sidecar,
            digest: claim.digest,
            size: claim.size,
        };
        Submission::claimed(claim.id, now, file)
    }
}

impl Custody for Custodian {
    fn next_id(&self) -> SubmissionId {
        let mut last = self.shared.last_id.lock().unwrap_or_else(PoisonError::into_inner);
        let id = SubmissionId::next(*last, Timestamp::now());
        *last = Some(id);
        id
    }

    fn recorded(&self, path: &ForeignName) -> Result<Vec<Recorded>, CustodyError> {
        let found = self.store.source(&self.channel, path).map_err(|_| CustodyError)?;
        Ok(found.iter().map(Recorded::from).collect())
    }

    fn claimed(&self, id: SubmissionId) -> Result<Option<Recorded>, CustodyError> {
        let found = self.store.submission(id).map_err(|_| CustodyError)?;
        Ok(found.as_ref().map(Recorded::from))
    }

    fn record(&self, claims: Vec<Claim>) -> Result<(), CustodyError> {
        let now = Timestamp::now();
        self.shared.unjudged.fetch_add(claims.len(), Ordering::Relaxed);
        let submissions = claims.into_iter().map(|claim| self.submission(claim, now)).collect();
        let (done, recorded) = mpsc::sync_channel(1);
        self.signals.send(Signal::Claims { submissions, done }).map_err(|_| CustodyError)?;
        recorded.recv().map_err(|_| CustodyError)
    }

    fn removed(&self, ids: Vec<SubmissionId>) {
        if !ids.is_empty() {
            // A daemon that has ended finds at its next start that the sources are gone.
            self.signals.send(Signal::SourcesGone(ids)).unwrap_or_default();
        }
    }

    fn notice(&self, notice: Notice) {
        self.signals.send(Signal::Notice { channel: self.channel.clone(), notice }).unwrap_or_default();
    }

    fn capacity(&self) -> usize {
        UNJUDGED.saturating_sub(self.shared.unjudged.load(Ordering::Relaxed))
    }
}
