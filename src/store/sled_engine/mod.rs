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
//! - Each batch writes the log twice more than its records ask for, so one batch for many requests is cheap and
//!   many batches are not; a batch within one tree is atomic, and so everything is in one tree.
//! - Only the flusher's thread moves live pages out of half-empty segments, about one segment a round, so it has to
//!   run. The file still takes several times what the records do: 6 to 8 KB for a Bundle of five transitions.
//! - A broken message in the log is taken for the log's end, and what follows is dropped in silence: witness.rs.
//! - After an I/O error nothing works until the database is opened again; some paths panic instead (`unwrap` of a
//!   `sync_all` when it is dropped, assertions on damaged pages). Panics are caught and count as damage.
//! - The lock on `db` is released when sled's last thread lets go of the file, a moment after the drop. Our own
//!   lock is on a file beside it and is held across reopening.

mod files;
mod rebuild;
mod staged;
mod verbs;
mod watchdog;
mod witness;

pub use rebuild::Rebuilt;

use super::{
    StoreError, Write,
    export::everything,
    journal::{Journal, Replay},
    key,
};
use crate::{faults, model::Sealer};
use files::{Folder, Snapshots};
use rebuild::{replay, verify};
use staged::Staged;
use std::{
    fs::File,
    io::{self, ErrorKind},
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, RwLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use watchdog::Watchdog;
use witness::Witness;

/// sled counts what its pages take in the log; in memory they take a few times as much.
const CACHE_BYTES: u64 = 8 * 1024 * 1024;

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
    /// The number of the last batch applied.
    batches: AtomicU64,
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
            let mut staged = Staged::new(&opened.database, &self.sealer);
            writes.iter().try_for_each(|write| staged.add(write))?;
            let number = opened.batches.load(Ordering::SeqCst) + 1;
            faults::reach("journal.append")?;
            opened.journal().append(number, writes, &self.sealer, |id| staged.is_new(id))?;
            faults::reach("store.apply")?;
            opened.apply(staged)
        })
    }

    fn bring_to_disk(&self) -> Result<(), StoreError> {
        self.with_or_close(|opened| {
            let batches = opened.batches.load(Ordering::SeqCst);
            faults::reach("journal.sync")?;
            opened.journal().sync()?;
            faults::reach("store.flush")?;
            opened.watchdog.watch(|| opened.database.flush()).map_err(|error| from_sled("flush the store", error))?;
            let io = |source| StoreError::Io { doing: "sync the store's file", source };
            opened.file.sync_data().map_err(io)?;
            faults::pass("store.synced");
            opened.witness.note(batches).map_err(io)
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
                Ok(opened) => {
                    self.folder.clear_suspicion()?;
                    *self.opened.write().unwrap_or_else(PoisonError::into_inner) = Some(opened);
                    return self.align_journal(false);
                }
                Err(StoreError::Damaged { why }) => why,
                Err(error) => return Err(error),
            },
        };
        let synced = self.folder.witness().and_then(|witness| witness.last_synced()).unwrap_or_default();
        let aside = self.folder.set_aside()?;
        let opened = Opened::open(&self.folder)?;
        let (records, replayed) = replay(&opened, &self.folder.journal(), &self.sealer, synced)?;
        let number = replayed.last_batch.max(opened.batches.load(Ordering::SeqCst));
        opened.batches.store(number, Ordering::SeqCst);
        opened.apply(Staged::new(&opened.database, &self.sealer))?;
        *self.opened.write().unwrap_or_else(PoisonError::into_inner) = Some(opened);
        self.align_journal(replayed.damaged > 0)?;
        self.bring_to_disk()?;
        self.folder.clear_suspicion()?;
        let rebuilt = Rebuilt { why, aside, records, missing: replayed.damaged };
        *self.rebuilt.lock().unwrap_or_else(PoisonError::into_inner) = Some(rebuilt);
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

    /// After a crash the journal may tell of a batch that the database does not have, which was never confirmed, or
    /// lack one that it has. Neither may stay: a later rebuild would believe it.
    fn align_journal(&self, is_damaged: bool) -> Result<(), StoreError> {
        let journal = self.folder.journal();
        let batches = self.with(|opened| Ok(opened.batches.load(Ordering::SeqCst)))?;
        let told = Replay(&journal).last_batch()?;
        if told > batches {
            Replay(&journal).cut_after(batches)?;
        }
        if !is_damaged && told >= batches {
            return Ok(());
        }
        let journal = self.with(|opened| Ok(Arc::clone(&opened.journal)))?;
        let mut journal = journal.lock().unwrap_or_else(PoisonError::into_inner);
        journal.begin_whole(batches, &self.sealer, |take| everything(self, take))
    }
}

impl Opened {
    fn journal(&self) -> MutexGuard<'_, Journal> {
        self.journal.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Applies a batch with the next number.
    fn apply(&self, staged: Staged<'_>) -> Result<(), StoreError> {
        let number = self.batches.load(Ordering::SeqCst) + 1;
        self.database.apply_batch(staged.into_batch(number)).map_err(|error| from_sled("write to the store", error))?;
        self.batches.store(number, Ordering::SeqCst);
        Ok(())
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
        Ok(Self { database, file, watchdog, witness, journal, batches: AtomicU64::new(batches) })
    }
}

/// The number of the last batch; damage where a later one was synced once.
fn last_batch(folder: &Folder, database: &sled::Db) -> Result<(Witness, u64), StoreError> {
    let io = |source| StoreError::Io { doing: "read which batch was synced last", source };
    let witness = folder.witness().map_err(io)?;
    let synced = witness.last_synced().map_err(io)?;
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
