//! Group commit: transitions that arrive together share one batch, one flush and one sync, on a thread of its own.
//!
//! Order is kept: requests are applied as they came, lazy ones among them. When the store fails, the writer opens it
//! again and applies what it had not confirmed once more, until that works; `done` is called after the sync and never
//! otherwise, so a failing disk shows as waiting.

use super::{Store, StoreError, Write};
use std::{
    collections::VecDeque,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

/// How long a lazy request waits for others.
const LAZY_LIMIT: Duration = Duration::from_secs(1);

/// How long requests wait for company while there is some: a batch costs a few hundred microseconds of CPU however
/// many requests share it, most of it in waking sled's threads. Who comes alone does not wait.
const COMPANY_LIMIT: Duration = Duration::from_millis(2);

/// How many writes go into one batch.
const BATCH_LIMIT: usize = 1024;

/// Waits between attempts to open a failed store again.
const BACKOFF: std::ops::RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_secs(10);

/// What the writer says of a failing store, once at each edge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreTrouble {
    /// Nothing is written until further notice; the writer goes on trying.
    Failing {
        /// For people: what failed.
        why: String,
    },
    /// Everything waiting is written.
    Recovered,
}

/// How a writer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shutdown {
    /// Everything is on the disk.
    Drained,
    /// The store still failed at the limit: requests whose `done` was not called are not on the disk.
    GaveUp {
        /// How many requests.
        requests: usize,
    },
}

/// Commits on its own plain thread. Dropping it without [`Writer::shutdown`] loses lazy requests.
pub struct Writer {
    queue: Arc<Queue>,
    thread: Mutex<Option<thread::JoinHandle<usize>>>,
}

#[derive(Default)]
struct Queue {
    waiting: Mutex<Waiting>,
    changed: Condvar,
}

#[derive(Default)]
struct Waiting {
    requests: VecDeque<Request>,
    /// When the requests are due; `None` while there are none.
    due: Option<Instant>,
    /// How many requests shared the last batch: as many are worth a short wait.
    company: usize,
    /// Set once by the shutdown: until when the store may be tried.
    closing: Option<Instant>,
}

struct Request {
    writes: Vec<Write>,
    done: Option<Box<dyn FnOnce() + Send>>,
}

impl Writer {
    /// Starts the thread. `on_trouble` is called on it.
    ///
    /// # Errors
    /// Where the system gives no thread.
    pub fn start(
        store: Arc<dyn Store>,
        on_trouble: impl FnMut(StoreTrouble) + Send + 'static,
    ) -> Result<Self, StoreError> {
        let queue = Arc::new(Queue::default());
        let run = Run { store, queue: Arc::clone(&queue), on_trouble: Box::new(on_trouble) };
        let thread = thread::Builder::new().name("store-writer".to_owned()).spawn(move || run.run());
        let thread = thread.map_err(|source| StoreError::Io { doing: "start the store's writer", source })?;
        Ok(Self { queue, thread: Mutex::new(Some(thread)) })
    }

    /// Asks for the writes as one; `done` is called on the writer's thread once they are on the disk, in the order of
    /// the requests. Does not block. After a shutdown nothing is taken and `done` is dropped.
    pub fn commit(&self, writes: Vec<Write>, done: Box<dyn FnOnce() + Send>) {
        self.queue.push(Request { writes, done: Some(done) }, Duration::ZERO);
    }

    /// Asks for writes that may wait for company: they ride with the next commit, or go within a second.
    pub fn commit_lazily(&self, writes: Vec<Write>) {
        self.queue.push(Request { writes, done: None }, LAZY_LIMIT);
    }

    /// [`Writer::commit_lazily`], and `done` is called once they are on the disk.
    pub fn commit_lazily_then(&self, writes: Vec<Write>, done: Box<dyn FnOnce() + Send>) {
        self.queue.push(Request { writes, done: Some(done) }, LAZY_LIMIT);
    }

    /// Writes what waits and ends the thread. A store that fails is tried for at most `limit`; one that hangs in a
    /// system call is waited for.
    pub fn shutdown(&self, limit: Duration) -> Shutdown {
        self.queue.lock().closing.get_or_insert(Instant::now() + limit);
        self.queue.changed.notify_all();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        match thread.map_or(Ok(0), thread::JoinHandle::join) {
            Ok(0) => Shutdown::Drained,
            Ok(requests) => Shutdown::GaveUp { requests },
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.queue.lock().closing.get_or_insert_with(Instant::now);
        self.queue.changed.notify_all();
    }
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, request: Request, patience: Duration) {
        let mut waiting = self.lock();
        if waiting.closing.is_some() {
            return;
        }
        waiting.requests.push_back(request);
        let due = Instant::now() + patience;
        let earlier = waiting.due.is_none_or(|before| due < before);
        if earlier {
            waiting.due = Some(due);
        }
        if earlier || waiting.requests.len() == waiting.company {
            drop(waiting);
            self.changed.notify_all();
        }
    }

    /// The next requests, in order; empty when the writer is to end.
    fn next(&self) -> Vec<Request> {
        let mut waiting = self.lock();
        loop {
            let now = Instant::now();
            let gathered = waiting.requests.len() >= waiting.company.max(2);
            let due = match waiting.due {
                _ if waiting.closing.is_some() => Some(now),
                Some(due) if waiting.company > 1 && !gathered => Some(due + COMPANY_LIMIT),
                due => due,
            };
            match due {
                Some(due) if due <= now => break,
                Some(due) => {
                    waiting = self.changed.wait_timeout(waiting, due - now).unwrap_or_else(PoisonError::into_inner).0;
                }
                None => waiting = self.changed.wait(waiting).unwrap_or_else(PoisonError::into_inner),
            }
        }
        let mut writes = 0;
        let mut taken = 0;
        while let Some(request) = waiting.requests.get(taken) {
            writes += request.writes.len();
            // at least one, however large: a request is never divided
            if taken > 0 && writes > BATCH_LIMIT {
                break;
            }
            taken += 1;
        }
        let taken: Vec<Request> = waiting.requests.drain(..taken).collect();
        waiting.company = taken.len();
        if waiting.requests.is_empty() {
            waiting.due = None;
        }
        taken
    }

    /// Waits for `duration`, and not longer than a shutdown allows; says whether to go on trying.
    fn pause(&self, duration: Duration) -> bool {
        let mut waiting = self.lock();
        let until = Instant::now() + duration;
        loop {
            let now = Instant::now();
            if waiting.closing.is_some_and(|limit| limit <= now) {
                return false;
            }
            let until = waiting.closing.map_or(until, |limit| limit.min(until));
            if until <= now {
                return true;
            }
            waiting = self.changed.wait_timeout(waiting, until - now).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

struct Run {
    store: Arc<dyn Store>,
    queue: Arc<Queue>,
    on_trouble: Box<dyn FnMut(StoreTrouble) + Send>,
}

impl Run {
    /// Until the shutdown; returns how many requests stayed unwritten.
    fn run(mut self) -> usize {
        loop {
            let mut requests = self.queue.next();
            if requests.is_empty() {
                return 0;
            }
            let writes: Vec<Write> = requests.iter_mut().flat_map(|request| request.writes.drain(..)).collect();
            if !self.write(&writes) {
                return requests.len() + self.queue.lock().requests.len();
            }
            for done in requests.into_iter().filter_map(|request| request.done) {
                // a panic of the caller's must not end the writing of everybody else
                let _ = catch_unwind(AssertUnwindSafe(done));
            }
        }
    }

    /// Until it is on the disk; `false` where a shutdown's limit came first.
    fn write(&mut self, writes: &[Write]) -> bool {
        let Err(error) = self.store.commit(writes) else { return true };
        (self.on_trouble)(StoreTrouble::Failing { why: error.to_string() });
        let mut wait = *BACKOFF.start();
        while self.queue.pause(wait) {
            let again = self.store.reopen().and_then(|()| self.store.commit(writes));
            if again.is_ok() {
                (self.on_trouble)(StoreTrouble::Recovered);
                return true;
            }
            wait = (wait * 2).min(*BACKOFF.end());
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{memory::MemoryStore, model_test::submission};
    use std::sync::mpsc;

    fn writer(store: &Arc<MemoryStore>) -> (Writer, mpsc::Receiver<StoreTrouble>) {
        let (sender, troubles) = mpsc::channel();
        let store: Arc<dyn Store> = Arc::<MemoryStore>::clone(store);
        (Writer::start(store, move |trouble| sender.send(trouble).unwrap()).unwrap(), troubles)
    }

    fn put(id: u64) -> Vec<Write> {
        vec![Write::Submission(Box::new(submission(id)))]
    }

    #[test]
    fn requests_that_wait_together_share_a_sync_and_are_done_in_order() {
        let store = Arc::new(MemoryStore::default());
        let (writer, _troubles) = writer(&store);
        let (sender, done) = mpsc::channel();
        let (release, held) = mpsc::channel::<()>();
        writer.commit(put(1), Box::new(move || held.recv().unwrap()));
        for id in 2..200 {
            let (sender, seen) = (sender.clone(), Arc::clone(&store));
            writer.commit(
                put(id),
                Box::new(move || {
                    assert!(seen.submission(submission(id).id).unwrap().is_some());
                    sender.send(id).unwrap();
                }),
            );
        }
        release.send(()).unwrap();
        assert_eq!(done.iter().take(198).collect::<Vec<_>>(), (2..200).collect::<Vec<_>>());
        assert!(store.syncs() <= 3, "{} syncs", store.syncs());
        assert_eq!(writer.shutdown(Duration::ZERO), Shutdown::Drained);
    }

    #[test]
    fn a_failing_store_is_opened_again_and_nothing_is_lost() {
        let store = Arc::new(MemoryStore::default());
        store.fail(2, 1);
        let (writer, troubles) = writer(&store);
        let (sender, done) = mpsc::channel();
        writer.commit(put(7), Box::new(move || sender.send(()).unwrap()));
        assert!(matches!(troubles.recv().unwrap(), StoreTrouble::Failing { why } if why.contains("sync")));
        assert!(matches!(store.submission(submission(7).id), Err(StoreError::Unavailable)));
        assert!(done.try_recv().is_err());
        assert_eq!(troubles.recv().unwrap(), StoreTrouble::Recovered);
        done.recv().unwrap();
        assert!(store.submission(submission(7).id).unwrap().is_some());
        assert!(troubles.try_recv().is_err(), "told once per edge");
    }

    #[test]
    fn a_shutdown_writes_lazy_requests_without_waiting_for_them() {
        let store = Arc::new(MemoryStore::default());
        let (writer, _troubles) = writer(&store);
        writer.commit_lazily(put(1));
        assert_eq!(writer.shutdown(Duration::ZERO), Shutdown::Drained);
        assert!(store.submission(submission(1).id).unwrap().is_some());
    }

    #[test]
    fn a_shutdown_gives_up_on_a_store_that_stays_broken() {
        let store = Arc::new(MemoryStore::default());
        store.fail(u32::MAX, u32::MAX);
        let (writer, troubles) = writer(&store);
        writer.commit(put(1), Box::new(|| panic!("it never was written")));
        assert!(matches!(troubles.recv().unwrap(), StoreTrouble::Failing { .. }));
        writer.commit_lazily(put(2));
        assert_eq!(writer.shutdown(Duration::from_millis(50)), Shutdown::GaveUp { requests: 2 });
    }
}
