//! The store on sled 0.34.7, and all that has to be known of sled.
//!
//! What its source says, and what follows from it here:
//! - `flush()` ends in `sync_file_range` on Linux (pagecache/iobuf.rs, `write_to_log`), which syncs neither the
//!   file's size nor the disk's cache. So `sync` calls `sync_data` on a handle of our own after it.
//! - State lives in `db`. `conf` is written at the first open without a sync, `snap.*` at each open with one, and
//!   neither's folder is synced: opening syncs `conf` and the folder. A lost snapshot is made anew from `db`.
//! - A snapshot that was begun and not ended (a full disk, a crash) keeps the name `snap.*.generating`; sled takes
//!   the last name for the snapshot, cannot read it, and never opens again. So does a snapshot that is cut off. All
//!   that is in them is in `db`: drafts are removed before each opening, snapshots where it fails.
//! - A message above a quarter of a segment (128 KiB) goes to `blobs/`, never synced: values are kept small
//!   (`PIECE` in record.rs), so there are none.
//! - Each batch writes the log twice more than its records ask for, and wakes several threads, so one batch for many
//!   requests is cheap and many batches are not: sled follows behind the journal (pending.rs), which is what is synced
//!   before a change is confirmed. A batch within one tree is atomic, and so everything is in one tree.
//! - Only the flusher's thread moves live pages out of half-empty segments, about one segment a round, so it has to
//!   run. The file still takes several times what the records do: 6 to 8 KB for a Bundle of five transitions.
//! - A broken message in the log is taken for the log's end, and what follows is dropped in silence: witness.rs.
//! - After an I/O error nothing works until the database is opened again; some paths panic instead (`unwrap` of a
//!   `sync_all` when it is dropped, assertions on damaged pages). Panics are caught and count as damage.
//! - The lock on `db` is released when sled's last thread lets go of the file, a moment after the drop. Our own
//!   lock is on a file beside it and is held across reopening.

mod files;
mod pending;
mod rebuild;
mod staged;
mod verbs;
mod watchdog;
mod witness;

pub use rebuild::Rebuilt;

use super::{
    StoreError, Write,
    export::everything,
    journal::{Journal, Replay, Told},
    key,
};
use crate::{
    faults,
    model::{Sealer, Submission},
};
use files::{Folder, Snapshots};
use pending::{MOST, MOST_BATCHES, Pending};
use rebuild::{replay, verify};
use staged::{Staged, told_by};
use std::{
    collections::BTreeSet,
    fs::File,
    io::{self, ErrorKind},
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use watchdog::Watchdog;
use witness::{Promised, Witness};

/// sled counts what its pages take in the log; in memory they take a few times as much.
const CACHE_BYTES: u64 = 8 * 1024 * 1024;

/// Submissions that go into the database between two flushes. Until a flush sled gathers what it writes, and it writes a
/// whole page for most records: hundreds of them take many megabytes, which the allocator keeps.
const PART: usize = if cfg!(any(test, feature = "faults")) { 2 } else { 16 };

/// How often sled tidies its file; its own default.
const TIDY_EVERY: Duration = Duration::from_millis(500);

/// How long sled's own threads may hold on to a file that was closed.
const RELEASE_LIMIT: Duration = Duration::from_secs(5);

/// The store in a folder of its own, by sled 0.34.7. One process at a time has it open.
pub struct SledStore {
    folder: Folder,
    sealer: Arc<Sealer>,
    opened: RwLock<Option<Opened>>,
    /// One batch is put together at a time, because it depends on what is stored.
    writing: Mutex<()>,
    /// Pages of the file may have failed to reach the disk.
    suspect: AtomicBool,
    /// What opening it did about damage, until somebody asks.
    rebuilt: Mutex<Option<Rebuilt>>,
}

struct Opened {
    database: Arc<sled::Db>,
    file: File,
    watchdog: Watchdog,
    witness: Witness,
    journal: Arc<Mutex<Journal>>,
    /// The number of the last batch that the journal has.
    batches: AtomicU64,
    /// The number of the last batch that the database has; the submissions of later ones are pending.
    followed: AtomicU64,
    /// And of the last one that it has on the disk.
    synced: AtomicU64,
    pending: RwLock<Pending>,
}

impl SledStore {
    /// Opens the store in `folder`, which is made (0700, its files 0600) where it is missing. Tokens are sealed with
    /// the keys; those that an earlier key sealed are sealed anew. A damaged database is set aside in the folder, and
    /// rebuilt from the journal: see [`SledStore::rebuilt`].
    ///
    /// # Errors
    /// [`StoreError::Locked`], [`StoreError::Newer`] (nothing is touched), [`StoreError::Sealed`],
    /// [`StoreError::Damaged`] where rebuilding failed too, or [`StoreError::Io`].
    pub fn open(folder: &Path, sealer: Arc<Sealer>) -> Result<Self, StoreError> {
        let folder = Folder::take(folder)?;
        let store = Self {
            folder,
            sealer,
            opened: RwLock::new(None),
            writing: Mutex::new(()),
            suspect: AtomicBool::new(false),
            rebuilt: Mutex::new(None),
        };
        store.open_or_rebuild()?;
        store.seal_anew()?;
        Ok(store)
    }

    /// What the last opening did about damage; told once.
    pub fn rebuilt(&self) -> Option<Rebuilt> {
        self.rebuilt.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Damage closes the store: the next opening looks at everything.
    fn with<T>(&self, job: impl FnOnce(&Opened) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let result = {
            let opened = self.opened.read().unwrap_or_else(PoisonError::into_inner);
            let opened = opened.as_ref().ok_or(StoreError::Unavailable)?;
            guarded(|| job(opened))
        };
        if let Err(StoreError::Damaged { .. }) = &result {
            // Where that cannot be noted, the damage is met again.
            self.folder.mark_suspect().unwrap_or_default();
            self.close();
        }
        result
    }

    /// For writes: an error closes the store, unless it is about one record and nothing was written.
    fn with_or_close<T>(&self, job: impl FnOnce(&Opened) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let result = self.with(job);
        if matches!(result, Err(StoreError::Io { .. } | StoreError::Damaged { .. })) {
            self.suspect.store(true, Ordering::SeqCst);
            self.close();
        }
        result
    }

    fn close(&self) {
        let opened = self.opened.write().unwrap_or_else(PoisonError::into_inner).take();
        // sled unwraps a sync when it is dropped; what it could not sync then is what made us close it
        let _ = catch_unwind(AssertUnwindSafe(|| drop(opened)));
    }

    fn write(&self, writes: &[Write]) -> Result<(), StoreError> {
        let _one_at_a_time = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        self.with_or_close(|opened| {
            let last = last_states(writes);
            if last.is_empty() {
                return Ok(());
            }
            let told = last.iter().map(|write| opened.told(write)).collect::<Result<Vec<_>, _>>()?;
            let number = opened.batches.load(Ordering::SeqCst) + 1;
            faults::reach("journal.append")?;
            opened.journal().append(number, last.iter().copied().zip(told), &self.sealer)?;
            opened.batches.store(number, Ordering::SeqCst);
            let mut others = Vec::new();
            {
                let mut pending = opened.pending.write().unwrap_or_else(PoisonError::into_inner);
                for write in last {
                    match write {
                        Write::Submission(submission) => pending.put(Submission::clone(submission)),
                        other => others.push(other),
                    }
                }
            }
            // Of all but submissions there are few changes: the database has them at once.
            if others.is_empty() { Ok(()) } else { opened.follow(&others, &self.sealer) }
        })
    }

    fn bring_to_disk(&self) -> Result<(), StoreError> {
        let _nobody_writes = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        self.with_or_close(|opened| {
            faults::reach("journal.sync")?;
            opened.journal().sync()?;
            if opened.is_far_ahead() {
                opened.follow(&[], &self.sealer)?;
            }
            opened.sync_database()
        })
    }

    /// Everything goes into the database, so that the next opening has nothing to look for in the journal.
    fn end(&self) -> Result<(), StoreError> {
        self.with(|opened| {
            opened.journal().sync()?;
            opened.follow(&[], &self.sealer)?;
            opened.sync_database()
        })
    }

    fn open_again(&self) -> Result<(), StoreError> {
        let _nobody_writes = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        self.close();
        if self.suspect.load(Ordering::SeqCst) {
            // After a failed sync Linux holds the pages as clean, although they are not on the disk: opening would
            // read them, and no later sync would write them. Written once more they are dirty again.
            self.folder.rewrite_database()?;
        }
        self.open_or_rebuild()?;
        self.suspect.store(false, Ordering::SeqCst);
        if let Some(rebuilt) = &*self.rebuilt.lock().unwrap_or_else(PoisonError::into_inner) {
            tracing::error!("{rebuilt}");
        }
        Ok(())
    }

    fn open_or_rebuild(&self) -> Result<(), StoreError> {
        let why = match self.folder.damage() {
            Some(why) => why,
            None => match self.open_whole() {
                Ok(opened) => match self.catch_up(opened) {
                    Err(StoreError::Damaged { why }) => why,
                    caught_up => return caught_up,
                },
                Err(StoreError::Damaged { why }) => why,
                Err(error) => return Err(error),
            },
        };
        self.close();
        let promised = self.folder.witness().and_then(|witness| witness.read()).unwrap_or_default().journal;
        let aside = self.folder.set_aside()?;
        let (records, missing) = self.follow_journal(Opened::open(&self.folder)?, promised)?;
        *self.rebuilt.lock().unwrap_or_else(PoisonError::into_inner) =
            Some(Rebuilt { why, aside: Some(aside), records, missing });
        Ok(())
    }

    /// Opens the database; one that was found damaged before is read as a whole.
    fn open_whole(&self) -> Result<Opened, StoreError> {
        let opened = Opened::open(&self.folder)?;
        if self.folder.is_suspect() {
            guarded(|| verify(&opened, &self.sealer))?;
        }
        Ok(opened)
    }

    /// The database is behind the journal after a crash. It is ahead of it where the journal was lost: that is written
    /// anew then, because a later rebuild would believe it.
    fn catch_up(&self, opened: Opened) -> Result<(), StoreError> {
        let batches = opened.batches.load(Ordering::SeqCst);
        let promised = opened.witness.read()?.journal;
        let told = Replay(&self.folder.journal()).last_batch()?;
        if told > batches || batches < promised {
            let (records, missing) = self.follow_journal(opened, promised)?;
            if missing > 0 {
                let why = "what the journal tells beyond it is damaged".to_owned();
                *self.rebuilt.lock().unwrap_or_else(PoisonError::into_inner) =
                    Some(Rebuilt { why, aside: None, records, missing });
            }
            return Ok(());
        }
        self.folder.clear_suspicion()?;
        *self.opened.write().unwrap_or_else(PoisonError::into_inner) = Some(opened);
        if told < batches { self.begin_journal() } else { Ok(()) }
    }

    /// Puts into the database what it does not have of the journal; how many records that were, and how much of what
    /// was promised is missing.
    fn follow_journal(&self, opened: Opened, promised: u64) -> Result<(u64, u64), StoreError> {
        let (records, replayed) = guarded(|| replay(&opened, &self.folder.journal(), &self.sealer, promised))?;
        opened.sync_database()?;
        *self.opened.write().unwrap_or_else(PoisonError::into_inner) = Some(opened);
        if replayed.damaged > 0 {
            self.begin_journal()?;
        }
        self.folder.clear_suspicion()?;
        Ok((records, replayed.damaged))
    }

    /// Begins the journal anew with all that the database has.
    fn begin_journal(&self) -> Result<(), StoreError> {
        let (journal, batches) =
            self.with(|opened| Ok((Arc::clone(&opened.journal), opened.batches.load(Ordering::SeqCst))))?;
        let mut journal = journal.lock().unwrap_or_else(PoisonError::into_inner);
        journal.begin_whole(batches, &self.sealer, |take| everything(self, take))
    }
}

impl Drop for SledStore {
    fn drop(&mut self) {
        // Where it fails, the next opening does it.
        let _ = self.end();
    }
}

/// Of several states of a submission only the last.
fn last_states(writes: &[Write]) -> Vec<&Write> {
    let mut seen = BTreeSet::new();
    let is_last = |write: &&Write| match write {
        Write::Submission(submission) => seen.insert(submission.id),
        _ => true,
    };
    let mut last: Vec<&Write> = writes.iter().rev().filter(is_last).collect();
    last.reverse();
    last
}

impl Opened {
    fn journal(&self) -> MutexGuard<'_, Journal> {
        self.journal.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn pending(&self) -> RwLockReadGuard<'_, Pending> {
        self.pending.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn told(&self, write: &Write) -> Result<Told, StoreError> {
        let Write::Submission(submission) = write else { return Ok(Told::ALL) };
        match self.pending().told(submission) {
            Some(told) => Ok(told),
            None => told_by(&self.database, submission),
        }
    }

    /// Whether what is pending is much.
    fn is_far_ahead(&self) -> bool {
        let batches = self.batches.load(Ordering::SeqCst) - self.followed.load(Ordering::SeqCst);
        self.pending().len() >= MOST || batches >= MOST_BATCHES
    }

    /// Brings the database up to the journal: what is pending goes into it, and these writes of the last batch.
    fn follow(&self, others: &[&Write], sealer: &Sealer) -> Result<(), StoreError> {
        let (number, before) = (self.batches.load(Ordering::SeqCst), self.followed.load(Ordering::SeqCst));
        if others.is_empty() && before == number {
            return Ok(());
        }
        faults::reach("store.apply")?;
        let mut staged = Staged::new(&self.database, sealer);
        for (index, submission) in self.pending().all().enumerate() {
            // After a crash between two parts all of it is read from the journal again.
            if index > 0 && index.is_multiple_of(PART) {
                self.put(std::mem::replace(&mut staged, Staged::new(&self.database, sealer)), before)?;
                self.flush()?;
            }
            staged.submission(submission)?;
        }
        others.iter().try_for_each(|write| staged.add(write))?;
        self.put(staged, number)?;
        self.pending.write().unwrap_or_else(PoisonError::into_inner).clear();
        Ok(())
    }

    /// Puts a batch into the database, which has all up to this number then.
    fn put(&self, staged: Staged<'_>, number: u64) -> Result<(), StoreError> {
        self.database.apply_batch(staged.into_batch(number)).map_err(|error| from_sled("write to the store", error))?;
        self.followed.store(number, Ordering::SeqCst);
        Ok(())
    }

    /// Has sled write what it gathered.
    fn flush(&self) -> Result<(), StoreError> {
        faults::reach("store.flush")?;
        self.watchdog.watch(|| self.database.flush()).map(drop).map_err(|error| from_sled("flush the store", error))
    }

    /// Brings to the disk what the database has, and notes what is promised now that the journal is there.
    fn sync_database(&self) -> Result<(), StoreError> {
        let io = |source| StoreError::Io { doing: "sync the store's file", source };
        let followed = self.followed.load(Ordering::SeqCst);
        if followed > self.synced.load(Ordering::SeqCst) {
            self.flush()?;
            self.file.sync_data().map_err(io)?;
            faults::pass("store.synced");
            self.synced.store(followed, Ordering::SeqCst);
        }
        let promised = Promised { database: followed, journal: self.batches.load(Ordering::SeqCst) };
        self.witness.note(promised).map_err(io)
    }

    fn open(folder: &Folder) -> Result<Self, StoreError> {
        let config = sled::Config::new()
            .path(folder.database())
            .cache_capacity(CACHE_BYTES)
            .use_compression(false)
            .flush_every_ms(Some(u64::try_from(TIDY_EVERY.as_millis()).unwrap_or(u64::MAX)));
        let began = Instant::now();
        folder.remove_snapshots(Snapshots::Drafts)?;
        let mut without_snapshots = false;
        let database = loop {
            match guarded(|| config.open().map_err(|error| from_sled("open the store", error))) {
                Err(StoreError::Io { source, .. }) if is_sleds_lock(&source) && began.elapsed() < RELEASE_LIMIT => {
                    std::thread::sleep(Duration::from_millis(20));
                }
                Err(StoreError::Io { source, .. }) if is_sleds_lock(&source) => return Err(folder.locked()),
                Err(StoreError::Damaged { .. }) if !without_snapshots => {
                    without_snapshots = true;
                    folder.remove_snapshots(Snapshots::All)?;
                }
                result => break Arc::new(result?),
            }
        };
        // What an earlier process wrote and did not sync is read as state by now, so it has to be on the disk.
        let file = folder.sync_database()?;
        let (witness, batches) = last_batch(folder, &database)?;
        let watchdog = Watchdog::start(&database)
            .map_err(|source| StoreError::Io { doing: "start the store's watchdog thread", source })?;
        let journal = Arc::new(Mutex::new(Journal::open(&folder.journal())?));
        let [last, followed, synced] = [batches; 3].map(AtomicU64::new);
        Ok(Self {
            database,
            file,
            watchdog,
            witness,
            journal,
            batches: last,
            followed,
            synced,
            pending: RwLock::default(),
        })
    }
}

/// The number of the last batch that the database has; damage where a later one was there once: what is left of it is
/// not what it was at any time, because sled moves pages about in its file.
fn last_batch(folder: &Folder, database: &sled::Db) -> Result<(Witness, u64), StoreError> {
    let io = |source| StoreError::Io { doing: "read which batch was synced last", source };
    let witness = folder.witness().map_err(io)?;
    let synced = witness.read().map_err(io)?.database;
    let stored = guarded(|| database.get(key::BATCHES).map_err(|error| from_sled("read from the store", error)))?;
    let stored = stored.and_then(|value| value.as_ref().try_into().ok()).map_or(0, u64::from_be_bytes);
    if stored < synced {
        return Err(StoreError::Damaged { why: format!("it ends at batch {stored}, and {synced} were synced") });
    }
    Ok((witness, stored))
}

fn guarded<T>(job: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
    catch_unwind(AssertUnwindSafe(job))
        .unwrap_or_else(|_| Err(StoreError::Damaged { why: "sled panicked over it".to_owned() }))
}

fn from_sled(doing: &'static str, error: sled::Error) -> StoreError {
    match error {
        // sled copies an error with the debugging form of its text, which is nothing for people: the kind says enough
        sled::Error::Io(source) if source.kind() != ErrorKind::Other => {
            StoreError::Io { doing, source: source.kind().into() }
        }
        sled::Error::Io(source) => StoreError::Io { doing, source },
        sled::Error::Corruption { .. } => StoreError::Damaged { why: "a checksum is wrong".to_owned() },
        other => StoreError::Damaged { why: other.to_string() },
    }
}

/// sled 0.34.7 tells a taken lock by text alone (config.rs, `try_lock`).
fn is_sleds_lock(error: &io::Error) -> bool {
    error.kind() == ErrorKind::Other && error.to_string().starts_with("could not acquire lock")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{
        Store,
        model_test::{sealer, submission},
    };

    #[test]
    fn after_a_failure_reads_wait_for_the_reopening_and_the_file_is_written_anew() {
        let folder = tempfile::tempdir().unwrap();
        let store = SledStore::open(folder.path(), sealer(1)).unwrap();
        let writes: Vec<Write> = (0..500).map(|number| Write::Submission(Box::new(submission(number)))).collect();
        store.commit(&writes).unwrap();
        let failed = store.with_or_close(|_| -> Result<(), StoreError> {
            Err(StoreError::Io { doing: "sync the store's file", source: io::Error::other("ordered by the test") })
        });
        assert!(matches!(failed, Err(StoreError::Io { .. })));
        assert!(matches!(store.submission(submission(1).id), Err(StoreError::Unavailable)));
        assert!(matches!(store.commit(&writes), Err(StoreError::Unavailable)));

        store.reopen().unwrap();
        assert_eq!(store.open_submissions(None, usize::MAX).unwrap().len(), 500);
        store.commit(&writes).unwrap();
    }

    #[test]
    fn a_snapshot_that_a_full_disk_cut_off_does_not_keep_the_store_closed() {
        let folder = tempfile::tempdir().unwrap();
        let writes: Vec<Write> = (0..500).map(|number| Write::Submission(Box::new(submission(number)))).collect();
        let store = SledStore::open(folder.path(), sealer(1)).unwrap();
        store.commit(&writes).unwrap();
        let database = folder.path().join("sled");
        std::fs::write(database.join("snap.7FFFFFFFFFFFFFFF.generating"), b"").unwrap();
        store.reopen().unwrap();
        drop(store);
        for name in ["snap.7FFFFFFFFFFFFFFE.generating", "snap.7FFFFFFFFFFFFFFF"] {
            std::fs::write(database.join(name), b"cut").unwrap();
            let store = SledStore::open(folder.path(), sealer(1)).unwrap();
            assert_eq!(store.open_submissions(None, usize::MAX).unwrap().len(), 500, "{name}");
        }
    }

    #[test]
    fn a_panic_of_sled_is_damage() {
        let folder = tempfile::tempdir().unwrap();
        let store = SledStore::open(folder.path(), sealer(1)).unwrap();
        let failed = store.with_or_close(|_| -> Result<(), StoreError> { panic!("ordered by the test") });
        assert!(matches!(failed, Err(StoreError::Damaged { .. })));
        store.reopen().unwrap();
    }
}
