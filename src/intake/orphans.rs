//! Copies in `work/` that no record speaks of.
//!
//! Usually a crash came between a copy and its record: the source still stands in the inbox, and the copy is
//! removed. Where no source stands the record itself was lost (a store that was set aside, an older backup), and
//! the copy is all that is left of the file: it goes to `held/` and is told.

use super::{
    aside::aside_of,
    claim::digest_of,
    spool::{Spool, rename_without_replacing},
};
use crate::model::{Digest, Place, SubmissionId};
use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsStr,
    fs::{self, File},
    io,
    os::unix::{ffi::OsStrExt, fs::MetadataExt},
    path::{Path, PathBuf},
};

/// What became of the orphans.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Orphans {
    /// Removed: their sources stand.
    pub removed: u32,
    /// Moved to `held/`: nothing else is left of them.
    pub kept: u32,
}

impl Spool {
    /// Looks after the copies in `work/` whose record is not known.
    ///
    /// # Errors
    /// A folder could not be read, or a copy not be moved.
    pub fn tend_orphans(&self, inbox: &Path, is_known: impl Fn(SubmissionId) -> bool) -> io::Result<Orphans> {
        let mut strays: BTreeMap<SubmissionId, Vec<PathBuf>> = BTreeMap::new();
        for entry in fs::read_dir(self.work())? {
            let path = entry?.path();
            let name = path.file_name().and_then(|name| name.to_str());
            let id = name.and_then(|name| name.get(..13)).and_then(|id| id.parse::<SubmissionId>().ok());
            if let Some(id) = id.filter(|id| !is_known(*id)) {
                strays.entry(id).or_default().push(path);
            }
        }
        let mut orphans = Orphans::default();
        if strays.is_empty() {
            return Ok(orphans);
        }
        let mut bundles = BTreeMap::new();
        for id in strays.keys() {
            let copy = self.work().join(Self::work_name(*id));
            match File::open(&copy) {
                Ok(file) => drop(bundles.insert(*id, (file.metadata()?.len(), digest_of(file, &mut Vec::new())?))),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {} // a sidecar without its Bundle
                Err(error) => return Err(error),
            }
        }
        let standing = standing(inbox, &bundles.values().map(|(size, _)| *size).collect());
        for (id, paths) in strays {
            let is_lost = bundles.get(&id).is_some_and(|(size, digest)| *size > 0 && !standing.contains(digest));
            for path in paths {
                // a JSON form can be made anew
                let form = Self::work_json_name(id);
                let is_form = |name: &OsStr| name == form.as_str() || name == format!("{form}.draft").as_str();
                if is_lost && let Some(name) = path.file_name().filter(|name| !is_form(name)) {
                    rename_without_replacing(&path, &self.root().join(Place::Held.folder()).join(name))?;
                } else {
                    fs::remove_file(&path)?;
                }
            }
            if is_lost {
                orphans.kept += 1;
            } else {
                orphans.removed += 1;
            }
        }
        Ok(orphans)
    }
}

/// The digests of the inbox' files of these sizes.
fn standing(inbox: &Path, sizes: &BTreeSet<u64>) -> BTreeSet<Digest> {
    let (mut found, mut buffer) = (BTreeSet::new(), Vec::new());
    let mut folders = vec![inbox.to_owned()];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(folder) else { continue };
        for entry in entries.flatten() {
            // What is set aside was recorded once.
            if aside_of(entry.file_name().as_bytes()).is_some() {
                continue;
            }
            let Ok(facts) = entry.metadata() else { continue };
            if facts.is_dir() {
                folders.push(entry.path());
            } else if facts.is_file() && sizes.contains(&facts.size()) {
                let digest = File::open(entry.path()).and_then(|file| digest_of(file, &mut buffer));
                found.extend(digest.ok());
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_whose_source_stands_is_removed_and_the_last_one_of_a_file_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let inbox = folder.path().join("inbox/sub");
        fs::create_dir_all(&inbox).unwrap();
        let spool = Spool::open(&folder.path().join("own")).unwrap();
        let [known, doubled, last] = [5, 6, 7].map(SubmissionId::from_u64);
        for (id, text) in [(known, "known"), (doubled, "doubled"), (last, "the last")] {
            fs::write(spool.work().join(Spool::work_name(id)), text).unwrap();
        }
        fs::write(spool.work().join(Spool::work_sidecar_name(last)), "{}").unwrap();
        fs::write(spool.work().join("note"), "somebody's").unwrap();
        fs::write(inbox.join("a.json"), "doubled").unwrap();
        fs::write(inbox.join(format!(".pushbridge-{last}")), "the last").unwrap();
        let orphans = spool.tend_orphans(&folder.path().join("inbox"), |id| id == known).unwrap();
        assert_eq!(orphans, Orphans { removed: 1, kept: 1 });
        let names = |path: &Path| {
            let names = fs::read_dir(path).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
            names.collect::<BTreeSet<_>>()
        };
        assert_eq!(names(&spool.work()), BTreeSet::from([Spool::work_name(known), "note".to_owned()]));
        let kept = BTreeSet::from([Spool::work_name(last), Spool::work_sidecar_name(last)]);
        assert_eq!(names(&spool.root().join("held")), kept);
    }
}
