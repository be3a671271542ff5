//! Files of what has ended: how much they take, and their end.
//!
//! Only plain files under the names that the submission's record gives them are ever removed, by names inside a folder
//! that was opened without following links. Whatever else somebody put there stays.

use super::spool::{Spool, kept_names};
use crate::model::{Place, Submission, SubmissionId};
use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, openat, statat, unlinkat};
use std::{collections::BTreeMap, io, os::fd::OwnedFd};

impl Spool {
    /// The submissions that have files in a place, in claim order, with the bytes on disk that they take.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn kept(&self, place: Place) -> io::Result<BTreeMap<SubmissionId, u64>> {
        let folder = self.open_place(place)?;
        let mut kept: BTreeMap<SubmissionId, u64> = BTreeMap::new();
        for entry in Dir::read_from(&folder)? {
            let entry = entry?;
            let name = entry.file_name();
            let Some((id, [b'-', ..])) = name.to_bytes().split_at_checked(13) else { continue };
            let Some(id) = std::str::from_utf8(id).ok().and_then(|id| id.parse().ok()) else { continue };
            if let Some(bytes) = size_of(&folder, name)? {
                *kept.entry(id).or_default() += bytes;
            }
        }
        Ok(kept)
    }

    /// Removes a submission's file, sidecar and reports from a place; the bytes on disk that became free, `None` where
    /// nothing was there.
    ///
    /// # Errors
    /// Something could not be removed; it can be tried again.
    pub fn remove_kept(&self, place: Place, submission: &Submission) -> io::Result<Option<u64>> {
        let folder = self.open_place(place)?;
        let mut freed = None;
        // The reports last: while they are there it can be seen what the file was.
        for name in kept_names(submission) {
            if let Some(bytes) = size_of(&folder, name.as_str())? {
                unlinkat(&folder, name.as_str(), AtFlags::empty())?;
                freed = Some(freed.unwrap_or(0) + bytes);
            }
        }
        Ok(freed)
    }

    fn open_place(&self, place: Place) -> io::Result<OwnedFd> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = openat(CWD, self.root(), flags, Mode::empty())?;
        Ok(openat(&root, place.folder(), flags | OFlags::NOFOLLOW, Mode::empty())?)
    }
}

/// What a plain file takes on the disk; a second name of it keeps its bytes there.
fn size_of(folder: &OwnedFd, name: impl rustix::path::Arg) -> io::Result<Option<u64>> {
    let facts = match statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) {
        Err(rustix::io::Errno::NOENT) => return Ok(None),
        other => other?,
    };
    if FileType::from_raw_mode(facts.st_mode) != FileType::RegularFile {
        return Ok(None);
    }
    let blocks = u64::try_from(facts.st_blocks).unwrap_or_default();
    Ok(Some(if facts.st_nlink > 1 { 0 } else { blocks * 512 }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::intake::tests::submission;
    use crate::model::Stage;
    use std::{fs, os::unix::fs::symlink};

    #[test]
    fn only_plain_files_under_their_own_names_go_and_no_link_is_followed() {
        let folder = tempfile::tempdir().unwrap();
        let spool = Spool::open(&folder.path().join("own")).unwrap();
        let mut record = submission("a.json");
        record.stage = Stage::Dropped;
        let failed = folder.path().join("own/failed");
        let id = record.id;
        let outside = folder.path().join("outside");
        fs::write(&outside, "somebody's").unwrap();
        fs::write(failed.join(format!("{id}-a.json")), vec![b'x'; 5_000]).unwrap();
        symlink(&outside, failed.join(format!("{id}-a.json.report.json"))).unwrap();
        fs::write(failed.join(format!("{id}-b.json")), "another name").unwrap();
        fs::write(failed.join("note.txt"), "somebody's").unwrap();
        fs::create_dir(failed.join(format!("{id}-a.json.report.txt"))).unwrap();
        let kept = spool.kept(Place::Failed).unwrap();
        assert!(kept.len() == 1 && kept[&id] >= 5_000, "{kept:?}");
        let freed = spool.remove_kept(Place::Failed, &record).unwrap().unwrap();
        assert!(freed >= 5_000);
        assert_eq!(spool.remove_kept(Place::Failed, &record).unwrap(), None);
        assert_eq!(fs::read_dir(&failed).unwrap().count(), 4, "the link, the other name, the note and the folder stay");
        assert_eq!(fs::read(&outside).unwrap(), b"somebody's");
    }

    #[test]
    fn a_place_that_became_a_link_is_not_entered() {
        let folder = tempfile::tempdir().unwrap();
        let spool = Spool::open(&folder.path().join("own")).unwrap();
        let record = submission("a.json");
        let elsewhere = folder.path().join("elsewhere");
        fs::create_dir(&elsewhere).unwrap();
        fs::write(elsewhere.join(format!("{}-a.json", record.id)), "somebody's").unwrap();
        fs::remove_dir(folder.path().join("own/done")).unwrap();
        symlink(&elsewhere, folder.path().join("own/done")).unwrap();
        assert!(spool.kept(Place::Done).is_err());
        assert!(spool.remove_kept(Place::Done, &record).is_err());
        assert_eq!(fs::read_dir(&elsewhere).unwrap().count(), 1);
    }
}
