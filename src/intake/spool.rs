//! The channel's own folders: where a file is at each stage, and how it gets there.
//!
//! All moves are renames on one file system that never replace anything; each step can be done again
//! after a crash at any point. Names begin with the submission's id, so no two ever meet.

use super::lasting::Lasting;
use crate::{
    faults,
    model::{Place, Submission, SubmissionId},
};
use rustix::{
    fs::{AtFlags, CWD, RenameFlags, linkat, renameat, renameat_with, statat, unlinkat},
    io::Errno,
};
use std::{
    collections::BTreeSet,
    fs::{self, DirBuilder, OpenOptions},
    io::{self, Write},
    os::{
        fd::AsFd,
        unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt},
    },
    path::{Path, PathBuf},
    sync::Arc,
};

/// A folder set that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SpoolError {
    /// A folder could not be made or opened.
    #[error("use the channel's own folder {}: {source}; create it, or correct its owner and mode", path.display())]
    Folder {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Another user's.
    #[error("use the channel's own folder {}: it belongs to another user (uid {uid}); run this as that user, or chown the folder", path.display())]
    Foreign {
        /// Which.
        path: PathBuf,
        /// Whose.
        uid: u32,
    },
    /// Files cannot be renamed from one to another.
    #[error("use {}: it is on another file system than its neighbours; all five folders of a channel belong on one", path.display())]
    OtherFileSystem {
        /// Which.
        path: PathBuf,
    },
}

/// A report in both forms.
#[derive(Clone, Copy, Debug)]
pub struct ReportBytes<'a> {
    /// JSON.
    pub json: &'a [u8],
    /// Plain text.
    pub text: &'a [u8],
}

/// Moves that become lasting together.
#[derive(Debug)]
pub struct Moves {
    lasting: Lasting,
    touched: BTreeSet<Place>,
}

/// One channel's own folders.
#[derive(Clone, Debug)]
pub struct Spool {
    root: PathBuf,
    work: Arc<Path>,
}

/// The longest name that file systems take.
const NAME_MAX: usize = 255;
const SIDECAR: &str = ".route.json";
const REPORT_JSON: &str = ".report.json";
const REPORT_TEXT: &str = ".report.txt";

impl Spool {
    /// Makes the folders where they are missing, 0700, and checks that they lie on one file system.
    ///
    /// # Errors
    /// A folder cannot be made, opened, or lies elsewhere.
    pub fn open(root: &Path) -> Result<Self, SpoolError> {
        let folder = |path: &Path, source| SpoolError::Folder { path: path.to_owned(), source };
        make_folder(root)?;
        let device = fs::metadata(root).map_err(|source| folder(root, source))?.dev();
        for place in Place::ALL {
            let path = root.join(place.folder());
            make_folder(&path)?;
            if fs::metadata(&path).map_err(|source| folder(&path, source))?.dev() != device {
                return Err(SpoolError::OtherFileSystem { path });
            }
        }
        Ok(Self { root: root.to_owned(), work: root.join(Place::Work.folder()).into() })
    }

    /// The folders' common parent.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// `work/`.
    pub fn work(&self) -> Arc<Path> {
        self.work.clone()
    }

    /// The Bundle's name in `work/`.
    pub fn work_name(id: SubmissionId) -> String {
        format!("{id}.bundle")
    }

    /// The name in `work/` of the JSON that is sent for a Bundle in XML.
    pub fn work_json_name(id: SubmissionId) -> String {
        format!("{id}.json")
    }

    /// The sidecar's name in `work/`.
    pub fn work_sidecar_name(id: SubmissionId) -> String {
        format!("{id}{SIDECAR}")
    }

    /// Where the Bundle may be, the place of its stage first.
    pub fn paths(&self, submission: &Submission) -> Vec<PathBuf> {
        self.everywhere(submission, |place| self.path(place, submission))
    }

    /// Where its sidecar may be.
    pub fn sidecar_paths(&self, submission: &Submission) -> Vec<PathBuf> {
        self.everywhere(submission, |place| self.sidecar_path(place, submission))
    }

    fn everywhere(&self, submission: &Submission, path: impl Fn(Place) -> PathBuf) -> Vec<PathBuf> {
        let first = submission.stage.place();
        let others = Place::ALL.into_iter().filter(|place| *place != first);
        std::iter::once(first).chain(others).map(path).collect()
    }

    /// The Bundle's path in a place.
    pub fn path(&self, place: Place, submission: &Submission) -> PathBuf {
        match place {
            Place::Work => self.work.join(Self::work_name(submission.id)),
            place => self.root.join(place.folder()).join(kept_name(submission, "")),
        }
    }

    fn sidecar_path(&self, place: Place, submission: &Submission) -> PathBuf {
        match place {
            Place::Work => self.work.join(Self::work_sidecar_name(submission.id)),
            place => self.root.join(place.folder()).join(kept_name(submission, SIDECAR)),
        }
    }

    /// The path of the JSON report of a file that is not in `work/`.
    pub fn report_path(&self, submission: &Submission) -> Option<PathBuf> {
        let place = submission.stage.place();
        (place != Place::Work).then(|| self.root.join(place.folder()).join(kept_name(submission, REPORT_JSON)))
    }

    /// Begins the moves of so many submissions.
    ///
    /// # Errors
    /// The folder could not be opened.
    pub fn moves(&self, submissions: usize) -> io::Result<Moves> {
        // Two reports each.
        Ok(Moves { lasting: Lasting::plan(&self.root, 2 * submissions)?, touched: BTreeSet::new() })
    }

    /// Brings the file, its sidecar and its report to where the stage wants them; [`Spool::sync`] makes it lasting.
    ///
    /// # Errors
    /// A step failed; all of them can be done again.
    pub fn place(&self, submission: &Submission, report: ReportBytes<'_>, moves: &mut Moves) -> io::Result<Found> {
        let target = submission.stage.place();
        faults::reach("settle.move")?;
        let from = self.bring(target, &self.paths(submission), &mut moves.touched)?;
        if submission.sidecar.is_some() {
            self.bring(target, &self.sidecar_paths(submission), &mut moves.touched)?;
        }
        moves.touched.insert(target);
        faults::pass("settle.moved");
        if target != Place::Work && submission.bundle.as_ref().is_some_and(|bundle| bundle.from_xml) {
            remove(&self.work.join(Self::work_json_name(submission.id)))?;
        }
        // What leaves work/ has no report yet; after a crash nobody knows whence a file came.
        let others = Place::ALL.into_iter().filter(|place| *place != Place::Work && *place != target);
        for place in others.filter(|_| from != Some(Place::Work) || target == Place::Work) {
            for ending in [REPORT_JSON, REPORT_TEXT] {
                remove(&self.root.join(place.folder()).join(kept_name(submission, ending)))?;
            }
        }
        if target != Place::Work {
            let folder = self.root.join(target.folder());
            for (ending, bytes) in [(REPORT_JSON, report.json), (REPORT_TEXT, report.text)] {
                let draft = folder.join(format!(".{}{ending}", submission.id));
                faults::reach("settle.report")?;
                let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
                file.write_all(bytes)?;
                moves.lasting.written(&file)?;
                faults::reach("settle.rename")?;
                fs::rename(&draft, folder.join(kept_name(submission, ending)))?;
            }
        }
        Ok(if from.is_some() { Found::There } else { Found::Missing })
    }

    /// Moves the first path that exists to the first of all; says where it was.
    fn bring(&self, target: Place, paths: &[PathBuf], touched: &mut BTreeSet<Place>) -> io::Result<Option<Place>> {
        let Some((wanted, others)) = paths.split_first() else { return Ok(None) };
        if wanted.symlink_metadata().is_ok() {
            return Ok(Some(target));
        }
        for (path, place) in others.iter().zip(Place::ALL.into_iter().filter(|place| *place != target)) {
            match rename_without_replacing(path, wanted) {
                Ok(()) => {
                    touched.extend([place, target]);
                    return Ok(Some(place));
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    /// Makes all moves lasting, with their reports.
    ///
    /// # Errors
    /// They may not be; all of them can be done again.
    pub fn sync(&self, moves: &Moves) -> io::Result<()> {
        let folders: Vec<PathBuf> = moves.touched.iter().map(|place| self.root.join(place.folder())).collect();
        faults::reach("settle.sync")?;
        moves.lasting.finish(folders.iter().map(PathBuf::as_path))?;
        faults::pass("settle.synced");
        Ok(())
    }
}

/// Whether the file was there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// It is where it belongs now.
    There,
    /// It is in none of the folders.
    Missing,
}

/// Ours alone: made, or closed again.
fn make_folder(path: &Path) -> Result<(), SpoolError> {
    let failed = |source| SpoolError::Folder { path: path.to_owned(), source };
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(failed)?;
    let metadata = fs::metadata(path).map_err(failed)?;
    let mut permissions = metadata.permissions();
    if metadata.uid() != rustix::process::geteuid().as_raw() {
        return Err(SpoolError::Foreign { path: path.to_owned(), uid: metadata.uid() });
    }
    if permissions.mode() & 0o077 != 0 {
        permissions.set_mode(0o700);
        fs::set_permissions(path, permissions).map_err(failed)?;
    }
    Ok(())
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Renames a file unless that would replace one. A file system without `RENAME_NOREPLACE` has hard links: those never
/// replace either.
///
/// # Errors
/// `AlreadyExists`, and what the file system says.
pub fn rename_without_replacing(from: &Path, to: &Path) -> io::Result<()> {
    rename_in_folder(CWD, from, to)
}

/// The same for names in a folder.
pub(super) fn rename_in_folder(folder: impl AsFd, from: &Path, to: &Path) -> io::Result<()> {
    match renameat_with(&folder, from, &folder, to, RenameFlags::NOREPLACE) {
        Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {
            linkat(&folder, from, &folder, to, AtFlags::empty())?;
            Ok(unlinkat(&folder, from, AtFlags::empty())?)
        }
        other => Ok(other?),
    }
}

/// Renames to a name that nobody but us makes: where a file system knows no other way, a look before is enough.
pub(super) fn rename_to_own_name(folder: impl AsFd, from: &Path, to: &Path) -> io::Result<()> {
    match renameat_with(&folder, from, &folder, to, RenameFlags::NOREPLACE) {
        Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => match statat(&folder, to, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => Ok(renameat(&folder, from, &folder, to)?),
            Err(error) => Err(error.into()),
            Ok(_) => Err(io::ErrorKind::AlreadyExists.into()),
        },
        other => Ok(other?),
    }
}

/// The names of a submission's file, sidecar and reports outside `work/`.
pub(super) fn kept_names(submission: &Submission) -> [String; 4] {
    ["", SIDECAR, REPORT_JSON, REPORT_TEXT].map(|ending| kept_name(submission, ending))
}

/// `<id>-<original name><ending>`, cut so that it fits and stripped of what a shell or a share would stumble over.
fn kept_name(submission: &Submission, ending: &str) -> String {
    let original = submission.file_name();
    let original = String::from_utf8_lossy(original.as_bytes());
    let clean: String =
        original.chars().map(|c| if c.is_control() || "\\/:*?\"<>|".contains(c) { '_' } else { c }).collect();
    let mut name = format!("{}-{clean}", submission.id);
    let mut end = name.len().min(NAME_MAX - REPORT_JSON.len());
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    name.truncate(end);
    name + ending
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::intake::tests::submission;
    use crate::model::{HoldReason, Stage};

    const REPORT: ReportBytes<'static> = ReportBytes { json: b"{}\n", text: b"held\n" };

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> =
            fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_goes_to_its_place_with_its_report_and_back_without_it() {
        let folder = tempfile::tempdir().unwrap();
        let spool = Spool::open(folder.path()).unwrap();
        let mut record = submission("clinic/a:b.json");
        fs::write(spool.path(Place::Work, &record), b"{}").unwrap();
        let mut moves = spool.moves(1).unwrap();
        record.stage = Stage::Held(HoldReason::NoEvidence);
        for _ in 0..2 {
            assert_eq!(spool.place(&record, REPORT, &mut moves).unwrap(), Found::There);
            spool.sync(&moves).unwrap();
            let name = format!("{}-a_b.json", record.id);
            let wanted = [name.clone(), format!("{name}.report.json"), format!("{name}.report.txt")];
            assert_eq!(names(&folder.path().join("held")), wanted, "doing it again changes nothing");
        }
        record.stage = Stage::Ready;
        assert_eq!(spool.place(&record, REPORT, &mut moves).unwrap(), Found::There);
        assert!(names(&folder.path().join("held")).is_empty());
        assert_eq!(names(&folder.path().join("work")), [Spool::work_name(record.id)]);
    }

    #[test]
    fn nothing_is_ever_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("from"), folder.path().join("to"));
        fs::write(&from, b"new").unwrap();
        fs::write(&to, b"old").unwrap();
        assert_eq!(rename_without_replacing(&from, &to).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read(&to).unwrap(), b"old");
    }

    #[test]
    fn long_and_strange_names_fit() {
        let mut record = submission("x");
        record.origin.path = crate::model::ForeignName::new([b"\xff\n".to_vec(), vec![b'y'; 250]].concat());
        let name = kept_name(&record, REPORT_JSON);
        assert!(name.len() <= NAME_MAX, "{}", name.len());
        assert!(!name.contains('\n'));
    }
}
