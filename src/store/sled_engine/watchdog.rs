//! Frees a flush of sled that waits for an error it was not told of.
//!
//! `flush()` waits on a condition variable until its bytes are written. When a write fails in sled's thread pool, the
//! error is noted, but on one path (pagecache/logger.rs, `exit_reservation`) nobody is woken. Another `flush()` wakes
//! all waiters when it finds a noted error; so where one takes long, another is begun beside it.

use std::{
    io,
    sync::{
        Arc, Weak,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

/// How long a flush may take before it is looked after.
const PATIENCE: Duration = Duration::from_secs(5);

/// Looks after the flushes of one opened database.
pub(super) struct Watchdog {
    /// Odd while a flush is on its way.
    flushes: Arc<AtomicU64>,
}

impl Watchdog {
    /// Starts its thread, which ends after the database is dropped.
    pub(super) fn start(database: &Arc<sled::Db>) -> io::Result<Self> {
        let flushes = Arc::new(AtomicU64::new(0));
        let (database, seen) = (Arc::downgrade(database), Arc::downgrade(&flushes));
        thread::Builder::new().name("store-watchdog".to_owned()).spawn(move || watch(&database, &seen))?;
        Ok(Self { flushes })
    }

    /// Does a flush under its eyes.
    pub(super) fn watch<T>(&self, flush: impl FnOnce() -> T) -> T {
        self.flushes.fetch_add(1, Ordering::SeqCst);
        let result = flush();
        self.flushes.fetch_add(1, Ordering::SeqCst);
        result
    }
}

fn watch(database: &Weak<sled::Db>, flushes: &Weak<AtomicU64>) {
    let mut before = 0;
    loop {
        thread::sleep(PATIENCE);
        let Some(now) = flushes.upgrade().map(|flushes| flushes.load(Ordering::SeqCst)) else { return };
        if now % 2 == 1 && now == before {
            let Some(database) = database.upgrade() else { return };
            // in a thread of its own: without an error this flush waits as long as the first
            let _ = thread::Builder::new().name("store-nudge".to_owned()).spawn(move || drop(database.flush()));
        }
        before = now;
    }
}
