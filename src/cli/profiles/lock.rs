//! `profiles.lock`: which file came from where, and the digest that it has to have.
//!
//! It lies in the folder, names every file that `profiles add` put there, and is checked whenever profiles are loaded. A
//! file that somebody dropped there by hand has no entry, and is used all the same.

use super::{Exit, Failed};
use crate::{
    model::Digest,
    stu3::package::{PackageName, PackageVersion},
};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

/// The file's name in the folder.
pub(super) const NAME: &str = "profiles.lock";

/// The one format so far.
const FORMAT: u32 = 1;

/// A larger one is none of ours.
const LARGEST: u64 = 16 << 20;

/// What was put into the folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Lock {
    format: u32,
    files: Vec<Locked>,
}

/// A file that was put into the folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Locked {
    /// Its name there.
    pub(super) file: String,
    /// `None` for a single definition.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) package: Option<PackageId>,
    /// `file`, `cache`, or the registry's address.
    pub(super) source: String,
    /// SHA-256 of its bytes.
    pub(super) sha256: Digest,
    /// Nobody asked for it: another package needs it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) as_dependency: bool,
    /// The packages that it needs.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) needs: BTreeMap<String, String>,
}

/// A package's name and version.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct PackageId {
    pub(super) name: String,
    pub(super) version: String,
}

impl PackageId {
    /// The name of its file; safe, because both parts are.
    pub(super) fn file(name: &PackageName, version: &PackageVersion) -> String {
        format!("{name}-{version}.tgz")
    }
}

impl std::fmt::Display for PackageId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}@{}", self.name, self.version)
    }
}

impl Lock {
    pub(super) fn path(folder: &Path) -> PathBuf {
        folder.join(NAME)
    }

    /// The folder's lock; an empty one where there is none.
    pub(super) fn read(folder: &Path) -> Result<Self, Failed> {
        let path = Self::path(folder);
        let failed = |why: String| Failed::say(Exit::Unreadable, format!("read {}: {why}", path.display()));
        let size = match fs::metadata(&path) {
            Ok(found) => found.len(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(Self { format: FORMAT, files: Vec::new() });
            }
            Err(error) => return Err(failed(error.to_string())),
        };
        let mend = "take it away to use the folder as it is, or put it back as it was";
        if size > LARGEST {
            return Err(failed(format!("it is too large to be ours; {mend}")));
        }
        let bytes = fs::read(&path).map_err(|error| failed(error.to_string()))?;
        let lock: Self =
            serde_json::from_slice(&bytes).map_err(|error| failed(format!("it is damaged ({error}); {mend}")))?;
        if lock.format == FORMAT {
            Ok(lock)
        } else {
            Err(failed(format!("its format is {}, and this pushbridge knows {FORMAT}; use a newer one", lock.format)))
        }
    }

    /// By file.
    pub(super) fn files(&self) -> &[Locked] {
        &self.files
    }

    pub(super) fn get(&self, file: &str) -> Option<&Locked> {
        self.files.iter().find(|locked| locked.file == file)
    }

    /// Takes an entry, in place of another of the same file.
    pub(super) fn insert(&mut self, locked: Locked) {
        self.remove(&locked.file);
        self.files.push(locked);
        self.files.sort_by(|one, other| one.file.cmp(&other.file));
    }

    pub(super) fn remove(&mut self, file: &str) {
        self.files.retain(|locked| locked.file != file);
    }

    /// What is not as it was put there.
    pub(super) fn differences(&self, found: &BTreeMap<String, Digest>) -> Vec<String> {
        let differs = |locked: &Locked| match found.get(&locked.file) {
            None => Some(format!("{} is gone", locked.file)),
            Some(digest) if *digest != locked.sha256 => {
                Some(format!("{} has another content (SHA-256 {digest}, and it was {})", locked.file, locked.sha256))
            }
            Some(_) => None,
        };
        self.files.iter().filter_map(differs).collect()
    }

    pub(super) fn to_bytes(&self) -> Result<Vec<u8>, Failed> {
        let mut bytes = serde_json::to_vec_pretty(self).map_err(|error| Failed::new(Exit::Internal, error))?;
        bytes.push(b'\n');
        Ok(bytes)
    }
}
