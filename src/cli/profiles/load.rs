//! The files that profiles are read from: the folder of the set-up, and what is named.
//!
//! Everything is made anew at each start. A cache of what was made was measured against that and not built: zib2017
//! (525 resources) takes 35 ms of CPU from the `.tgz` to the last snapshot, spread evenly over unpacking, parsing and
//! building; reading as many snapshots back would cost much of it, and a cache can be stale or forged.

use super::{
    Exit, Failed,
    lock::{self, Lock, Locked, PackageId},
};
use crate::{
    model::Digest,
    stu3::package::{ArchiveLimits, Library, Shelf},
};
use std::{
    collections::BTreeMap,
    fs,
    io::{self, Read},
    path::{Path, PathBuf},
};

/// The folder's name, beside the configuration file.
const FOLDER: &str = "profiles";

/// Larger packages are not read; the largest real ones have a few dozen megabytes.
const LARGEST_FILE: u64 = 256 << 20;

/// Everything in the folder, where there is one, and everything named.
pub(in crate::cli) fn library_if_any(config: &Path, named: &[PathBuf]) -> Result<Library, Failed> {
    everything_if_any(config, named).map(|loaded| loaded.library)
}

/// The same, with the files.
pub(super) fn everything_if_any(config: &Path, named: &[PathBuf]) -> Result<Loaded, Failed> {
    match in_folder(&folder(config)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound && named.is_empty() => Ok(Loaded::default()),
        _ => everything(config, named),
    }
}

/// All definitions, and the files that they came from.
#[derive(Default)]
pub(super) struct Loaded {
    pub(super) library: Library,
    pub(super) files: Vec<LoadedFile>,
}

/// A file that was loaded.
pub(super) struct LoadedFile {
    /// Its name in the folder; the path of a named one.
    pub(super) file: String,
    /// Name and version, where it is a package.
    pub(super) package: Option<PackageId>,
    pub(super) sha256: Digest,
    pub(super) place: Place,
}

/// Where a file lies.
pub(super) enum Place {
    /// In the folder, put there by `profiles add`.
    Locked(Locked),
    /// In the folder, put there by hand.
    Dropped,
    /// Somewhere else.
    Named,
}

/// The folder of a set-up.
pub(super) fn folder(config: &Path) -> PathBuf {
    config.parent().unwrap_or_else(|| Path::new("")).join(FOLDER)
}

/// Everything in the folder and everything named.
pub(super) fn library(config: &Path, named: &[PathBuf]) -> Result<Library, Failed> {
    everything(config, named).map(|loaded| loaded.library)
}

/// Everything in the folder, which has to be as its lock says, and everything named.
pub(super) fn everything(config: &Path, named: &[PathBuf]) -> Result<Loaded, Failed> {
    let folder = folder(config);
    let mut in_it = match in_folder(&folder) {
        Ok(files) => files,
        Err(error) if error.kind() == io::ErrorKind::NotFound && named.is_empty() => {
            let text = format!(
                "there is no folder {}: `pushbridge profiles add` makes it; or name a package with --package",
                folder.display()
            );
            return Err(Failed::sentence(Exit::Usage, text));
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(unreadable(&folder, &error)),
    };
    in_it.sort();
    let lock = Lock::read(&folder)?;
    let (mut shelf, mut files, mut digests) = (Shelf::new(), Vec::new(), BTreeMap::new());
    for path in &in_it {
        let (bytes, name) = (read(path)?, path.file_name().unwrap_or_default().to_string_lossy().into_owned());
        let sha256 = Digest::of(&bytes);
        digests.insert(name.clone(), sha256);
        // what differs from the lock is told below, by its difference
        let locked = lock.get(&name).cloned();
        if locked.as_ref().is_some_and(|locked| locked.sha256 != sha256) {
            continue;
        }
        let package = take(&mut shelf, path, &bytes)?;
        files.push(LoadedFile { file: name, package, sha256, place: locked.map_or(Place::Dropped, Place::Locked) });
    }
    agree(&folder, &lock, &digests)?;
    let mut named = named.to_vec();
    named.sort();
    named.dedup();
    for path in named.iter().filter(|path| !in_it.contains(path)) {
        let bytes = read(path)?;
        let package = take(&mut shelf, path, &bytes)?;
        let (file, sha256) = (path.display().to_string(), Digest::of(&bytes));
        files.push(LoadedFile { file, package, sha256, place: Place::Named });
    }
    Ok(Loaded { library: shelf.library(), files })
}

/// What a folder holds, and files that are not in it yet.
pub(super) fn with(folder: &Path, new: &[(PathBuf, &[u8])]) -> Result<Library, Failed> {
    let mut shelf = Shelf::new();
    for path in in_folder(folder).map_err(|error| unreadable(folder, &error))? {
        take(&mut shelf, &path, &read(&path)?)?;
    }
    for (path, bytes) in new {
        take(&mut shelf, path, bytes)?;
    }
    Ok(shelf.library())
}

/// The folder is as its lock says, but for files that somebody dropped there.
fn agree(folder: &Path, lock: &Lock, found: &BTreeMap<String, Digest>) -> Result<(), Failed> {
    let differences = lock.differences(found);
    if differences.is_empty() {
        return Ok(());
    }
    let text = format!(
        "{} is not as {} says: {}; put back what was there, or take it out with `pushbridge profiles rm FILE` and add it again",
        folder.display(),
        lock::NAME,
        differences.join("; ")
    );
    Err(Failed::sentence(Exit::No, text))
}

/// A file's bytes, where it is no larger than any package; a pipe or a device has no size beforehand.
pub(super) fn read(file: &Path) -> Result<Vec<u8>, Failed> {
    let mut bytes = Vec::new();
    let opened = fs::File::open(file).and_then(|opened| opened.take(LARGEST_FILE + 1).read_to_end(&mut bytes));
    opened.map_err(|error| unreadable(file, &error))?;
    if bytes.len() as u64 > LARGEST_FILE {
        let text = format!("read {}: it has more than {LARGEST_FILE} bytes, which no package needs", file.display());
        return Err(Failed::say(Exit::Unreadable, text));
    }
    Ok(bytes)
}

/// Puts a file's definitions on the shelf; says which package it is, where it is one.
fn take(shelf: &mut Shelf, file: &Path, bytes: &[u8]) -> Result<Option<PackageId>, Failed> {
    if is_definition(file) {
        shelf.add_file(&file.display().to_string(), bytes);
        return Ok(None);
    }
    let manifest = shelf.add_package(bytes, &ArchiveLimits::default()).map_err(|error| unreadable(file, &error))?;
    Ok(Some(PackageId { name: manifest.name.clone(), version: manifest.version.clone() }))
}

pub(super) fn unreadable(file: &Path, error: &dyn std::fmt::Display) -> Failed {
    Failed::say(Exit::Unreadable, format!("read {}: {error}", file.display()))
}

/// A single definition by its ending; everything else is taken for a package.
pub(super) fn is_definition(file: &Path) -> bool {
    kind(file) == Some(Kind::Definition)
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Package,
    Definition,
}

pub(super) fn kind(file: &Path) -> Option<Kind> {
    match file.extension()?.to_str()? {
        "tgz" => Some(Kind::Package),
        "json" | "xml" => Some(Kind::Definition),
        _ => None,
    }
}

/// Packages and definitions directly in the folder; hidden files and others are passed over.
pub(super) fn in_folder(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let is_hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        if kind(&path).is_some() && !is_hidden && path.is_file() {
            files.push(path);
        }
    }
    Ok(files)
}
