//! The folder `profiles/` of a set-up: what lies there, what is put there, and what is taken away.
//!
//! One command at a time changes it. A file appears whole or not at all, and never in place of another.

use super::{
    Exit, Failed,
    load::{in_folder, unreadable},
    lock::Lock,
};
use crate::{
    cli::context::{make_folder, remove_if_there, write_anew, write_new},
    intake::rename_without_replacing,
};
use std::{
    fs::{File, TryLockError},
    io,
    path::{Path, PathBuf},
};

/// The folder, held until it is dropped: no other `profiles add` or `rm` changes it meanwhile.
pub(super) struct Folder {
    path: PathBuf,
    held: File,
    pub(super) lock: Lock,
}

impl Folder {
    /// Opens it, and makes it where there is none.
    pub(super) fn open(path: PathBuf) -> Result<Self, Failed> {
        make_folder(&path)?;
        let held = File::open(&path).map_err(|error| unreadable(&path, &error))?;
        match held.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let text = format!("another pushbridge is changing {}; nothing was changed, try again", path.display());
                return Err(Failed::sentence(Exit::Busy, text));
            }
            Err(TryLockError::Error(error)) => return Err(unreadable(&path, &error)),
        }
        let lock = Lock::read(&path)?;
        Ok(Self { path, held, lock })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Names of the packages and definitions in it.
    pub(super) fn names(&self) -> Result<Vec<String>, Failed> {
        let files = in_folder(&self.path).map_err(|error| unreadable(&self.path, &error))?;
        let name = |file: &PathBuf| file.file_name().and_then(|name| name.to_str()).map(str::to_owned);
        let mut names: Vec<String> = files.iter().filter_map(name).collect();
        names.sort();
        Ok(names)
    }

    /// Puts a file there; fails where one of this name is.
    pub(super) fn put(&self, name: &str, bytes: &[u8]) -> Result<(), Failed> {
        let (new, path) = (self.path.join(format!(".{name}.new")), self.path.join(name));
        let written = remove_if_there(&new)
            .and_then(|()| write_new(&new, bytes))
            .and_then(|()| rename_without_replacing(&new, &path))
            .and_then(|()| self.held.sync_all());
        written.map_err(|error| {
            let _gone_or_told = remove_if_there(&new);
            match error.kind() {
                io::ErrorKind::AlreadyExists => {
                    let text = format!("put {name} there: a file of this name came meanwhile, and was left as it is");
                    Failed::say(Exit::No, text)
                }
                _ => unwritable(&path, &error),
            }
        })
    }

    /// Takes a file away.
    pub(super) fn take(&self, name: &str) -> Result<(), Failed> {
        let path = self.path.join(name);
        remove_if_there(&path).and_then(|()| self.held.sync_all()).map_err(|error| unwritable(&path, &error))
    }

    /// Writes the lock, in place of the one before; where there was none and is nothing to keep, none is made.
    pub(super) fn write_lock(&self) -> Result<(), Failed> {
        let path = Lock::path(&self.path);
        if self.lock.files().is_empty() && !path.exists() {
            return Ok(());
        }
        write_anew(&path, &self.lock.to_bytes()?).map_err(|error| unwritable(&path, &error))
    }
}

fn unwritable(path: &Path, error: &io::Error) -> Failed {
    Failed::say(Exit::Unreadable, format!("write {}: {error}", path.display()))
}
