//! The store's folder: its lock, its version, the modes of its files, and what has to reach the disk.
//!
//! ```text
//! FOLDER/lock      held while a process has the store open
//! FOLDER/version   which form the whole has; read before sled opens anything, because sled writes when it opens
//! FOLDER/synced    which batches were synced last, see witness.rs
//! FOLDER/sled/     sled's own folder: conf, db, snap.*, blobs/
//! FOLDER/journal/  the second record, see ../journal/
//! FOLDER/damaged-* databases that were set aside
//! ```

use super::witness::Witness;
use crate::model::Timestamp;
use crate::store::StoreError;
use std::{
    fs::{self, DirBuilder, File, OpenOptions, Permissions, TryLockError},
    io::{self, Read, Write},
    os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

/// The store's form that this program writes. In the first one the database was never behind the journal: a program that
/// knows no other would take what it lacks for what was never confirmed.
const VERSION: u32 = 2;
const FIRST: u32 = 1;
const VERSION_WORD: &str = "pushbridge-store";
/// Stands while damage was met and not looked into.
const SUSPECT: &str = "suspect";
/// Stands when the store was moved to another machine.
const MOVED: &str = "moved";

/// Which of sled's snapshots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Snapshots {
    /// Those that were begun and not ended.
    Drafts,
    /// Every one.
    All,
}

/// The folder, locked.
pub(super) struct Folder {
    path: PathBuf,
    /// The lock goes with this handle.
    _lock: File,
    /// What is wrong with its version, until it is set aside.
    damage: Mutex<Option<String>>,
}

impl Folder {
    /// Makes the folder where it is missing, locks it and looks at its version.
    pub(super) fn take(path: &Path) -> Result<Self, StoreError> {
        let io = |doing| move |source| StoreError::Io { doing, source };
        make_folder(path).map_err(io("make the store's folder"))?;
        let lock = path.join("lock");
        let lock = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(lock);
        let lock = lock.map_err(io("open the store's lock file"))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(StoreError::Locked { folder: path.to_owned() }),
            Err(TryLockError::Error(source)) => return Err(io("lock the store")(source)),
        }
        let folder = Self { path: path.to_owned(), _lock: lock, damage: Mutex::new(None) };
        if let Ok(when) = fs::read_to_string(folder.path.join(MOVED)) {
            return Err(StoreError::Moved { folder: folder.path, when: when.trim().to_owned() });
        }
        match folder.check_version() {
            Err(StoreError::Damaged { why }) => *folder.lock_damage() = Some(why),
            checked => checked?,
        }
        make_folder(&folder.database()).map_err(io("make the database's folder"))?;
        folder.sync_folders().map_err(io("sync the store's folder"))?;
        Ok(folder)
    }

    /// sled's own folder.
    pub(super) fn database(&self) -> PathBuf {
        self.path.join("sled")
    }

    /// Retires the store: it is not opened again.
    pub(super) fn retire(&self) -> io::Result<()> {
        let mut file = OpenOptions::new().create_new(true).write(true).mode(0o600).open(self.path.join(MOVED))?;
        writeln!(file, "{}", Timestamp::now())?;
        file.sync_all()?;
        File::open(&self.path)?.sync_all()
    }

    /// The folder of the journal.
    pub(super) fn journal(&self) -> PathBuf {
        self.path.join("journal")
    }

    /// What is wrong with the folder as a whole.
    pub(super) fn damage(&self) -> Option<String> {
        self.lock_damage().clone()
    }

    fn lock_damage(&self) -> MutexGuard<'_, Option<String>> {
        self.damage.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that the database was found damaged: the next opening has to read all of it.
    pub(super) fn mark_suspect(&self) -> io::Result<()> {
        File::create(self.path.join(SUSPECT)).map(drop)
    }

    pub(super) fn is_suspect(&self) -> bool {
        self.path.join(SUSPECT).exists()
    }

    /// It was read as a whole, or rebuilt.
    pub(super) fn clear_suspicion(&self) -> io::Result<()> {
        match fs::remove_file(self.path.join(SUSPECT)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Moves the database into a folder of its own beside it, `damaged-` and the time, and begins an empty one.
    pub(super) fn set_aside(&self) -> Result<PathBuf, StoreError> {
        let io = |source| StoreError::Io { doing: "set the damaged database aside", source };
        let second = Timestamp::now().to_string().replace(':', "");
        let (mut aside, mut number) = (self.path.join(format!("damaged-{second}")), 1);
        while let Err(error) = DirBuilder::new().mode(0o700).create(&aside) {
            if error.kind() != io::ErrorKind::AlreadyExists {
                return Err(io(error));
            }
            number += 1;
            aside = self.path.join(format!("damaged-{second}-{number}"));
        }
        for name in ["sled", "synced", "version"] {
            match fs::rename(self.path.join(name), aside.join(name)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(io(error)),
                Ok(()) | Err(_) => {}
            }
        }
        *self.lock_damage() = None;
        write_version(&self.path.join("version")).map_err(io)?;
        make_folder(&self.database()).map_err(io)?;
        self.sync_folders().map_err(io)?;
        Ok(aside)
    }

    /// The number of the batch that was synced last.
    pub(super) fn witness(&self) -> io::Result<Witness> {
        Witness::open(&self.path)
    }

    /// The error of a lock that another process has.
    pub(super) fn locked(&self) -> StoreError {
        StoreError::Locked { folder: self.path.clone() }
    }

    /// After sled opened its files: closes them to others, syncs them and their folder, and gives a handle on
    /// `db` by which it can be synced from now on.
    pub(super) fn sync_database(&self) -> Result<File, StoreError> {
        let io = |doing| move |source| StoreError::Io { doing, source };
        self.restrict_modes().map_err(io("set the modes of the store's files"))?;
        let file = OpenOptions::new().read(true).write(true).open(self.database().join("db"));
        let file = file.map_err(io("open the store's file"))?;
        file.sync_all().map_err(io("sync the store's file"))?;
        File::open(self.database().join("conf"))
            .and_then(|conf| conf.sync_all())
            .and_then(|()| self.sync_folders())
            .map_err(io("sync the store's folder"))?;
        Ok(file)
    }

    /// Removes sled's snapshots: what they hold is in its file too.
    pub(super) fn remove_snapshots(&self, which: Snapshots) -> Result<(), StoreError> {
        let io = |source| StoreError::Io { doing: "remove a snapshot of the store", source };
        let entries = match fs::read_dir(self.database()) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(io(error)),
        };
        for entry in entries {
            let entry = entry.map_err(io)?;
            let name = entry.file_name();
            let name = name.to_string_lossy();
            if name.starts_with("snap.") && (which == Snapshots::All || name.ends_with(".generating")) {
                fs::remove_file(entry.path()).map_err(io)?;
            }
        }
        Ok(())
    }

    /// Writes sled's file over itself, so that all of it is dirty again, and syncs it.
    pub(super) fn rewrite_database(&self) -> Result<(), StoreError> {
        match rewrite(&self.database().join("db")) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                Err(StoreError::Io { doing: "write the store's file anew", source })
            }
            Ok(()) | Err(_) => Ok(()),
        }
    }

    fn check_version(&self) -> Result<(), StoreError> {
        let path = self.path.join("version");
        let damaged = |why: &str| StoreError::Damaged { why: why.to_owned() };
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                if self.database().join("db").exists() {
                    return Err(damaged("its file `version` is missing"));
                }
                return write_version(&path).map_err(|source| StoreError::Io { doing: "begin a store", source });
            }
            Err(error) if error.kind() == io::ErrorKind::InvalidData => return Err(damaged("`version` is no text")),
            Err(source) => return Err(StoreError::Io { doing: "read the store's version", source }),
        };
        let number = text.trim_end().strip_prefix(VERSION_WORD).and_then(|number| number.trim_start().parse().ok());
        match number {
            Some(VERSION) => Ok(()),
            // All that it holds is read as it is.
            Some(FIRST) => {
                write_version(&path).map_err(|source| StoreError::Io { doing: "bring a store up to date", source })
            }
            Some(found) if found > VERSION => Err(StoreError::Newer { found, known: VERSION }),
            Some(_) | None => Err(damaged("its file `version` holds no version of a pushbridge store")),
        }
    }

    /// The folder keeps others out already; this holds where somebody opens it up.
    fn restrict_modes(&self) -> io::Result<()> {
        for entry in fs::read_dir(self.database())? {
            let entry = entry?;
            let mode = if entry.file_type()?.is_dir() { 0o700 } else { 0o600 };
            match fs::set_permissions(entry.path(), Permissions::from_mode(mode)) {
                // sled's own threads may remove a file meanwhile
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                Ok(()) | Err(_) => {}
            }
        }
        Ok(())
    }

    fn sync_folders(&self) -> io::Result<()> {
        File::open(self.database())?.sync_all()?;
        File::open(&self.path)?.sync_all()?;
        match self.path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            // the folder may be new itself; who may not read its parent cannot sync it
            Some(parent) => File::open(parent).map_or(Ok(()), |parent| parent.sync_all()),
            None => Ok(()),
        }
    }
}

fn make_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    fs::set_permissions(path, Permissions::from_mode(0o700))
}

fn write_version(path: &Path) -> io::Result<()> {
    let unfinished = path.with_extension("new");
    let mut file = OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&unfinished)?;
    writeln!(file, "{VERSION_WORD} {VERSION}")?;
    file.sync_all()?;
    fs::rename(&unfinished, path)
}

fn rewrite(path: &Path) -> io::Result<()> {
    let mut file = OpenOptions::new().read(true).write(true).open(path)?;
    let mut block = vec![0; 1024 * 1024];
    let mut offset = 0;
    loop {
        let length = file.read(&mut block)?;
        if length == 0 {
            return file.sync_all();
        }
        file.write_all_at(&block[..length], offset)?;
        offset += u64::try_from(length).expect("a block's length fits");
    }
}
