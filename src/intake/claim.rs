//! A claim: a copy of our own, its digest, its record on disk, and only then the end of the source.
//!
//! A source is removed like this:
//!
//! 1. Its record is on disk, with inode, size, modification time and digest of what was copied. If the name means
//!    something else by now, that is another arrival and is left alone.
//! 2. It is renamed, within its folder, to `.pushbridge-<id>`, which nobody else uses; its sidecar to
//!    `.pushbridge-<id>.route.json`. From here on no writer finds it by its name, and a later file may take that name.
//! 3. What was renamed is compared with the record through a descriptor: another file that had taken the name in between,
//!    or one that is being written, gets its name back at once.
//! 4. After a moment, as long as `quiet` but at most two seconds, it is opened and compared again, this time with all its
//!    bytes, and is removed only if it is what was claimed. What a writer who had it open did meanwhile is so found, on a
//!    share too, where times are coarse or come late.
//! 5. What is something else gets its name back by a rename that replaces nothing, and is claimed as any arrival. Where a
//!    later file has the name, it becomes `pushbridge-<id>-<name>`, and the later file waits until it is claimed; its
//!    sidecar goes with it and never speaks for the later one.
//! 6. After a crash between any two of these steps the start, or the next rescan that meets such a name, goes on with 4.
//!    A name that no record speaks of, as after a loss of the store, is left and told: the file may have been sent.
//!
//! A folder is opened without following links, and steps 2 to 6 happen inside it. Where a file cannot be renamed it
//! stays, is told, and is tried again. Who had the file open all that time and writes for the first time after step 4
//! writes to nobody: no look could have known.

use super::{
    aside::{self, Part, Taken},
    inbox::Notice,
    lasting::Lasting,
    settle::SIDECAR,
    spool::Spool,
};
use crate::{
    faults,
    fhir::{Wholeness, WholenessCheck},
    model::{Digest, Digester, ForeignName, Origin, Sidecar, SourceIdentity, Submission, SubmissionId},
};
use rustix::fs::{AtFlags, Mode, OFlags, ResolveFlags, Stat, openat, openat2, statat};
use std::{
    ffi::OsStr,
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    os::{
        fd::{AsFd, OwnedFd},
        unix::{
            ffi::OsStrExt,
            fs::{MetadataExt, OpenOptionsExt},
        },
    },
    path::{Path, PathBuf},
};

/// A file that is ours now; its record is not written yet.
#[derive(Clone, Debug)]
pub struct Claim {
    /// Its id, and so its name in `work/`.
    pub id: SubmissionId,
    /// Where it came from.
    pub origin: Origin,
    /// SHA-256 of the copy.
    pub digest: Digest,
    /// Bytes of the copy.
    pub size: u64,
    /// The sidecar claimed with it.
    pub sidecar: Option<Sidecar>,
}

/// A claim whose sources may still stand in the inbox.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// Its id.
    pub id: SubmissionId,
    /// Where the file stood.
    pub path: ForeignName,
    /// What was taken from there.
    pub file: Taken,
    /// What was taken of its sidecar.
    pub sidecar: Option<Taken>,
}

impl From<&Submission> for Recorded {
    fn from(submission: &Submission) -> Self {
        let taken = |origin: &Origin, digest| Taken { identity: origin.identity, digest };
        Self {
            id: submission.id,
            path: submission.origin.path.clone(),
            file: taken(&submission.origin, submission.digest),
            sidecar: submission.sidecar.as_ref().map(|sidecar| taken(&sidecar.origin, sidecar.digest)),
        }
    }
}

impl Recorded {
    /// What was taken, the file first.
    pub(super) fn parts(&self) -> impl Iterator<Item = (Part, &Taken)> {
        let sidecar = self.sidecar.iter().map(|taken| (Part::Sidecar, taken));
        std::iter::once((Part::File, &self.file)).chain(sidecar)
    }

    /// What was taken from this path.
    pub(super) fn taken_from(&self, path: &ForeignName) -> Option<&Taken> {
        if *path == self.path { Some(&self.file) } else { self.sidecar.as_ref() }
    }
}

/// The record could not be written; nothing was claimed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("record the claims: the daemon stops or its store does not answer")]
pub struct CustodyError;

/// Who keeps the records of claims.
pub trait Custody: Send + Sync {
    /// A new id, later than every other.
    fn next_id(&self) -> SubmissionId;

    /// Claims of this path, as a Bundle or as a sidecar, whose sources may still stand.
    ///
    /// # Errors
    /// The store does not answer.
    fn recorded(&self, path: &ForeignName) -> Result<Vec<Recorded>, CustodyError>;

    /// The claim of this id, whatever became of it.
    ///
    /// # Errors
    /// The store does not answer.
    fn claimed(&self, id: SubmissionId) -> Result<Option<Recorded>, CustodyError>;

    /// Writes the records; returns when they are on disk.
    ///
    /// # Errors
    /// They are not.
    fn record(&self, claims: Vec<Claim>) -> Result<(), CustodyError>;

    /// The sources of these are gone.
    fn removed(&self, ids: Vec<SubmissionId>);

    /// Something that somebody should know of the inbox.
    fn notice(&self, notice: Notice);

    /// How many more claims are welcome now.
    fn capacity(&self) -> usize;
}

/// Why a file was not copied.
#[derive(Debug)]
pub(super) enum CopyError {
    /// It is a link, a pipe, a device or a folder.
    NotRegular,
    /// It has more bytes than the channel takes.
    TooLarge,
    /// It has more bytes than there is room for.
    NoRoom,
    /// It changed or vanished while it was copied.
    Changed,
    /// Its bytes end before its JSON does.
    Unfinished,
    /// It could not be read.
    Source(io::Error),
    /// `work/` could not be written.
    Work(io::Error),
}

/// A copy in `work/` that is not synced yet.
#[derive(Debug)]
pub(super) struct Copied {
    pub(super) digest: Digest,
    pub(super) size: u64,
    pub(super) identity: SourceIdentity,
    pub(super) wholeness: Wholeness,
    source: File,
    target: File,
    path: PathBuf,
}

pub(super) fn identity(metadata: &fs::Metadata) -> SourceIdentity {
    SourceIdentity {
        inode: metadata.ino(),
        size: metadata.size(),
        modified: metadata.mtime().saturating_mul(1_000_000_000).saturating_add(metadata.mtime_nsec()),
    }
}

/// Opens a file below the inbox without following any link on the way.
pub(super) fn open_source(inbox: &File, path: &ForeignName) -> Result<File, CopyError> {
    match open_below(inbox, Path::new(OsStr::from_bytes(path.as_bytes())), OFlags::NONBLOCK) {
        Ok(file) => Ok(File::from(file)),
        Err(rustix::io::Errno::LOOP | rustix::io::Errno::NXIO) => Err(CopyError::NotRegular),
        Err(rustix::io::Errno::NOENT) => Err(CopyError::Changed),
        Err(error) => Err(CopyError::Source(error.into())),
    }
}

/// Opens what stands below the inbox to be read, without following any link on the way.
pub(super) fn open_below(inbox: &File, path: &Path, flags: OFlags) -> rustix::io::Result<OwnedFd> {
    let flags = flags | OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
    match openat2(inbox.as_fd(), path, flags, Mode::empty(), resolve) {
        // An older kernel: the last part is still not followed.
        Err(rustix::io::Errno::NOSYS) => openat(inbox.as_fd(), path, flags, Mode::empty()),
        other => other,
    }
}

const BLOCK: usize = 256 * 1024;

/// Copies a file into `work/`, taking its digest on the way.
pub(super) fn copy(source: File, target: PathBuf, max_bytes: u64, buffer: &mut Vec<u8>) -> Result<Copied, CopyError> {
    let before = source.metadata().map_err(CopyError::Source)?;
    if !before.is_file() {
        return Err(CopyError::NotRegular);
    }
    if before.len() > max_bytes {
        return Err(CopyError::TooLarge);
    }
    let created = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&target).map_err(CopyError::Work)?;
    let mut copied = Copied {
        digest: Digest::from_bytes([0; 32]),
        size: 0,
        identity: identity(&before),
        wholeness: Wholeness::Empty,
        source,
        target: created,
        path: target,
    };
    match copied.pour(max_bytes, buffer) {
        Ok(()) => Ok(copied),
        Err(error) => {
            copied.discard();
            Err(error)
        }
    }
}

impl Copied {
    fn pour(&mut self, max_bytes: u64, buffer: &mut Vec<u8>) -> Result<(), CopyError> {
        let (mut digester, mut check) = (Digester::new(), WholenessCheck::new());
        buffer.resize(BLOCK, 0);
        loop {
            let read = match self.source.read(buffer) {
                Ok(0) => break,
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(CopyError::Source(error)),
            };
            let block = &buffer[..read];
            self.size += u64::try_from(read).unwrap_or(u64::MAX);
            if self.size > max_bytes {
                return Err(CopyError::TooLarge);
            }
            digester.update(block);
            check.feed(block);
            faults::reach("claim.write").and_then(|()| self.target.write_all(block)).map_err(CopyError::Work)?;
        }
        (self.digest, self.wholeness) = (digester.finish(), check.verdict());
        Ok(())
    }

    /// What was taken.
    pub(super) const fn taken(&self) -> Taken {
        Taken { identity: self.identity, digest: self.digest }
    }

    /// Removes the copy.
    pub(super) fn discard(&self) {
        if let Err(error) = fs::remove_file(&self.path) {
            tracing::warn!(error = %error.kind(), "a copy that is not wanted could not be removed from work/");
        }
    }

    /// Brings the copy to the disk, or leaves that to the sync of all.
    pub(super) fn keep(&self, lasting: &Lasting) -> io::Result<()> {
        lasting.written(&self.target)
    }

    /// Once the copy is on the disk: the source is still as it was.
    pub(super) fn seal(&self, inbox: &File, path: &ForeignName) -> Result<(), CopyError> {
        let handle = self.source.metadata().map_err(CopyError::Source)?;
        if identity(&handle) != self.identity || self.size != self.identity.size || !stands(inbox, path, &self.identity)
        {
            return Err(CopyError::Changed);
        }
        Ok(())
    }
}

/// Whether the name still means the same file.
pub(super) fn stands(inbox: &File, path: &ForeignName, wanted: &SourceIdentity) -> bool {
    let name = Path::new(OsStr::from_bytes(path.as_bytes()));
    statat(inbox.as_fd(), name, AtFlags::SYMLINK_NOFOLLOW).is_ok_and(|facts| is_identity(&facts, wanted))
}

/// Whether these are the facts of what was claimed.
pub(super) fn is_identity(facts: &Stat, wanted: &SourceIdentity) -> bool {
    facts.st_ino == wanted.inode
        && u64::try_from(facts.st_size).is_ok_and(|size| size == wanted.size)
        && facts.st_mtime.saturating_mul(1_000_000_000).saturating_add(nanoseconds(facts.st_mtime_nsec))
            == wanted.modified
}

/// The part below a second; its type differs between machines.
fn nanoseconds(part: impl TryInto<i64>) -> i64 {
    part.try_into().unwrap_or_default()
}

/// Removes what still stands of a claim's sources, after a crash came between its record and their end.
/// A sidecar that stayed would speak for the next file of that name.
///
/// # Errors
/// Something still stands.
pub fn remove_claimed(inbox: &Path, claim: &Recorded) -> io::Result<()> {
    end_claimed(&File::open(inbox)?, claim, &mut Vec::new())
}

/// Sets the sources aside, where they stand, and ends them without a pause: they were seen long ago.
pub(super) fn end_claimed(inbox: &File, claim: &Recorded, buffer: &mut Vec<u8>) -> io::Result<()> {
    aside::end(inbox, claim, buffer)?;
    aside::set_aside(inbox, claim)?;
    aside::end(inbox, claim, buffer)
}

/// The digest of a source, for one that was claimed before.
pub(super) fn digest_of(mut source: File, buffer: &mut Vec<u8>) -> io::Result<Digest> {
    let mut digester = Digester::new();
    buffer.resize(BLOCK, 0);
    loop {
        match source.read(buffer)? {
            0 => return Ok(digester.finish()),
            read => digester.update(&buffer[..read]),
        }
    }
}

/// The name of a file's sidecar.
pub(super) fn sidecar_of(path: &ForeignName) -> ForeignName {
    ForeignName::new([path.as_bytes(), SIDECAR.as_bytes()].concat())
}

/// Where a claim's files lie in `work/`.
pub(super) fn targets(spool: &Spool, id: SubmissionId) -> (PathBuf, PathBuf) {
    (spool.work().join(Spool::work_name(id)), spool.work().join(Spool::work_sidecar_name(id)))
}
