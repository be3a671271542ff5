//! Settling: reports are written and files moved on a thread of its own, in batches that share the
//! syncs of their folders. A step that fails is done again until it works; nothing else waits for it.

use super::report::report;
use crate::{
    intake::{Found, Moves, ReportBytes, Spool},
    model::{ChannelName, Place, Submission, SubmissionId, Timestamp},
};
use std::{
    collections::{BTreeMap, VecDeque, btree_map::Entry},
    io,
    sync::{Arc, Condvar, Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

/// Files moved with one sync of their folders.
const BATCH: usize = 64;
const RETRY: Duration = Duration::from_secs(1);
/// How soon after a batch the next one begins, unless it is full: a stream of files shares its syncs, and a
/// file that comes alone does not wait.
const GATHER: Duration = Duration::from_millis(50);

/// A file that is where its stage wants it, with its report.
#[derive(Clone, Copy, Debug)]
pub(super) struct Placed {
    pub(super) id: SubmissionId,
    pub(super) place: Place,
}

/// The thread that settles.
pub(super) struct Clerk {
    shared: Arc<(Mutex<Queue>, Condvar)>,
    thread: Option<thread::JoinHandle<()>>,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Submission>,
    closed: bool,
}

impl Clerk {
    pub(super) fn start<F>(spools: BTreeMap<ChannelName, Spool>, placed: F) -> io::Result<Self>
    where
        F: Fn(Vec<Placed>) + Send + 'static,
    {
        let shared = Arc::new((Mutex::new(Queue::default()), Condvar::new()));
        let queue = shared.clone();
        let thread = thread::Builder::new().name("clerk".to_owned()).spawn(move || {
            let (mut failing, mut rested) = (false, Instant::now());
            while let Some(batch) = take(&queue, rested) {
                rested = Instant::now() + GATHER;
                let (done, again) = settle(&spools, batch, &mut failing);
                placed(done);
                if !again.is_empty() && !put_back(&queue, again) {
                    return;
                }
            }
        })?;
        Ok(Self { shared, thread: Some(thread) })
    }

    pub(super) fn submit(&self, submission: Submission) {
        let mut queue = self.shared.0.lock().unwrap_or_else(PoisonError::into_inner);
        queue.waiting.push_back(submission);
        // Between the first and a full batch nobody needs to be woken.
        if queue.waiting.len() == 1 || queue.waiting.len() == BATCH {
            drop(queue);
            self.shared.1.notify_one();
        }
    }

    /// Ends after what waits is done; what fails then is found again at the next start.
    pub(super) fn stop(mut self) {
        self.shared.0.lock().unwrap_or_else(PoisonError::into_inner).closed = true;
        self.shared.1.notify_all();
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the settling thread had ended by a panic");
        }
    }
}

fn take(shared: &(Mutex<Queue>, Condvar), not_before: Instant) -> Option<Vec<Submission>> {
    let mut queue = shared.0.lock().unwrap_or_else(PoisonError::into_inner);
    loop {
        let rest = not_before.saturating_duration_since(Instant::now());
        if !queue.waiting.is_empty() && queue.waiting.len() < BATCH && !queue.closed && !rest.is_zero() {
            queue = shared.1.wait_timeout(queue, rest).unwrap_or_else(PoisonError::into_inner).0;
            continue;
        }
        if !queue.waiting.is_empty() {
            let count = queue.waiting.len().min(BATCH);
            return Some(queue.waiting.drain(..count).collect());
        }
        if queue.closed {
            return None;
        }
        queue = shared.1.wait(queue).unwrap_or_else(PoisonError::into_inner);
    }
}

/// Waits a moment before the next try; says whether there is one.
fn put_back(shared: &(Mutex<Queue>, Condvar), again: Vec<Submission>) -> bool {
    let mut queue = shared.0.lock().unwrap_or_else(PoisonError::into_inner);
    if !queue.closed {
        let was_open = |queue: &mut Queue| !queue.closed;
        queue = shared.1.wait_timeout_while(queue, RETRY, was_open).unwrap_or_else(PoisonError::into_inner).0;
    }
    for submission in again.into_iter().rev() {
        queue.waiting.push_front(submission);
    }
    !queue.closed
}

fn settle(
    spools: &BTreeMap<ChannelName, Spool>,
    batch: Vec<Submission>,
    failing: &mut bool,
) -> (Vec<Placed>, Vec<Submission>) {
    let mut moves: BTreeMap<ChannelName, Moves> = BTreeMap::new();
    let count = batch.len();
    let (mut done, mut again) = (Vec::with_capacity(batch.len()), Vec::new());
    let mut settled = Vec::with_capacity(batch.len());
    for submission in batch {
        let place = submission.stage.place();
        let Some(spool) = spools.get(&submission.channel) else {
            continue; // its channel is gone from the configuration: its files stay as they are
        };
        let report = report(&submission, Timestamp::now());
        let bytes = ReportBytes { json: &report.json, text: &report.text };
        let begun = match moves.entry(submission.channel.clone()) {
            Entry::Occupied(begun) => Ok(begun.into_mut()),
            Entry::Vacant(vacant) => spool.moves(count).map(|begun| vacant.insert(begun)),
        };
        match begun.and_then(|begun| spool.place(&submission, bytes, begun)) {
            Ok(found) => {
                if found == Found::Missing {
                    tracing::error!(id = %submission.id, "the file is in none of the channel's folders");
                }
                done.push(Placed { id: submission.id, place });
                settled.push(submission);
            }
            Err(error) => {
                tell(failing, &error);
                again.push(submission);
            }
        }
    }
    for (channel, moves) in moves {
        let synced = spools.get(&channel).map_or(Ok(()), |spool| spool.sync(&moves));
        if let Err(error) = synced {
            tell(failing, &error);
            done.clear();
            again.append(&mut settled);
        }
    }
    if again.is_empty() && std::mem::replace(failing, false) {
        tracing::info!("files can be moved again");
    }
    (done, again)
}

fn tell(failing: &mut bool, error: &io::Error) {
    if !std::mem::replace(failing, true) {
        tracing::warn!(error = %error.kind(), "files cannot be moved to their places; trying on");
    }
}
