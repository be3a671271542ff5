//! The scan of the whole inbox: what has come to rest, what is waited for, and what is left.

use super::{Candidate, OBSERVED, POLL, Watch};
use crate::{
    intake::{
        aside::{self, Part, aside_of, later_of},
        claim::identity,
        inbox::{Notice, Overlooked},
        settle::{Observation, Role, SIDECAR},
    },
    model::{ForeignName, SourceIdentity, SubmissionId},
};
use std::{
    collections::HashSet,
    fs, io,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
    time::Duration,
};

/// Files that are left for a reason of their own and known as such. They take no place from those that are waited for.
const LEFT: usize = 50_000;
/// Files that are named where somebody asks what is waited for.
const NAMED: usize = 20;
/// Files claimed with one scan: a scan of a full inbox is dear.
const DUE: usize = 64 * super::BATCH;
/// Sub-folders inside each other that are looked into.
const DEPTH: usize = 8;

impl Watch {
    /// One scan of the whole inbox: what is due now, and the time until something else is.
    pub(super) fn survey(&mut self) -> (Vec<Candidate>, Duration) {
        self.scan += 1;
        // What is set aside may turn out to be something else.
        self.settling = !self.asides.is_empty();
        self.named.clear();
        self.strays.clear();
        let mut due = Vec::new();
        let mut next = self.inbox.rescan;
        if let Some((end, _)) = self.asides.front() {
            next = next.min(end.saturating_sub(self.now()));
        }
        match self.survey_folder(&PathBuf::new(), 0, &mut due, &mut next) {
            Ok(()) if self.gone => {
                self.gone = false;
                self.custody.notice(Notice::InboxBack);
            }
            Ok(()) => {}
            Err(error) => {
                if !self.gone {
                    self.gone = true;
                    self.custody.notice(Notice::InboxGone { why: error.to_string() });
                }
                return (Vec::new(), POLL);
            }
        }
        let scan = self.scan;
        self.seen.retain(|_, seen| seen.scan == scan);
        self.left = self.seen.values().filter(|seen| seen.left.is_some()).count();
        // One that is told of does not keep a later file of its name waiting.
        let earlier = self.seen.iter().filter(|(_, seen)| !seen.noticed).filter_map(|(path, _)| later_of(path));
        let waiting: HashSet<ForeignName> = earlier.collect();
        due.retain(|candidate: &Candidate| !waiting.contains(&candidate.path));
        (due, next)
    }

    fn survey_folder(
        &mut self,
        relative: &Path,
        depth: usize,
        due: &mut Vec<Candidate>,
        next: &mut Duration,
    ) -> io::Result<()> {
        for entry in fs::read_dir(self.inbox.path.join(relative))? {
            let entry = entry?;
            let path = relative.join(entry.file_name());
            let kind = entry.file_type()?;
            if kind.is_dir() {
                if depth < DEPTH && !entry.file_name().as_bytes().starts_with(b".") {
                    // A sub-folder that vanishes or may not be read is no reason to leave the others alone.
                    if let Err(error) = self.survey_folder(&path, depth + 1, due, next) {
                        tracing::debug!(error = %error.kind(), "a sub-folder of an inbox could not be read");
                    }
                }
            } else if let Some((id, part)) = aside_of(entry.file_name().as_bytes()) {
                self.survey_aside(relative, id, part);
            } else if self.inbox.completeness.role(entry.file_name().as_bytes()) == Role::Bundle {
                let name = ForeignName::new(path.as_os_str().as_bytes());
                if kind.is_file() {
                    self.survey_file(name, relative, &entry, due, next);
                } else {
                    self.overlook(&name, Overlooked::NotRegular);
                }
            }
        }
        Ok(())
    }

    fn survey_file(
        &mut self,
        name: ForeignName,
        folder: &Path,
        entry: &fs::DirEntry,
        due: &mut Vec<Candidate>,
        next: &mut Duration,
    ) {
        let waits = self.inbox.completeness.sidecar && !self.local(&name, SIDECAR).exists();
        let is_known = self.seen.contains_key(&name);
        if !is_known && if waits { self.left >= LEFT } else { !self.has_place() } {
            self.settling |= !waits;
            return; // its turn comes in a later scan
        }
        let Ok(metadata) = entry.metadata() else { return };
        if !is_known && self.left >= LEFT && metadata.len() > self.inbox.max_bytes {
            return; // so many are known as too large that this one would only be tried in vain at every scan
        }
        let (now, scan) = (self.now(), self.scan);
        let marked = self.is_marked(&name);
        let seen = self.seen.entry(name.clone()).or_insert_with(|| Observation::new(identity(&metadata), now));
        seen.look(identity(&metadata), now);
        seen.scan = scan;
        if !waits && seen.left == Some(Overlooked::WaitsForSidecar) {
            seen.left = None;
        }
        let is_left = seen.left.is_some();
        let at = seen.due(&self.inbox.completeness, marked);
        if waits {
            // Its arrival makes an event, and every rescan looks again.
            self.leave(&name, Overlooked::WaitsForSidecar);
        } else if at > now {
            // What is left for a reason of its own does not come to rest by itself.
            if !is_left {
                self.settling = true;
                if self.named.len() < NAMED {
                    self.named.push(name);
                }
            }
            *next = (*next).min(at - now);
        } else if metadata.len() > self.inbox.max_bytes {
            self.overlook(&name, Overlooked::TooLarge);
        } else if due.len() < DUE {
            let folder = (!folder.as_os_str().is_empty()).then(|| ForeignName::new(folder.as_os_str().as_bytes()));
            due.push(Candidate { path: name, folder, marked });
        }
    }

    /// What is set aside and is not waited for is looked after now, unless that failed a moment ago.
    fn survey_aside(&mut self, folder: &Path, id: SubmissionId, part: Part) {
        if self.strays.len() >= OBSERVED || self.is_waited_for(id) {
            return;
        }
        let (now, scan) = (self.now(), self.scan);
        if let Some(seen) = self.seen.get_mut(&aside::path_in(folder, id, part)) {
            seen.scan = scan;
            if seen.due(&self.inbox.completeness, false) > now {
                return;
            }
        }
        self.strays.push((folder.to_owned(), id, part));
    }

    fn is_waited_for(&self, id: SubmissionId) -> bool {
        self.asides.binary_search_by_key(&id, |(_, claim)| claim.id).is_ok()
    }

    fn is_marked(&self, name: &ForeignName) -> bool {
        self.inbox.completeness.done_suffix.as_ref().is_some_and(|suffix| self.local(name, suffix).exists())
    }

    fn local(&self, name: &ForeignName, ending: &str) -> PathBuf {
        let bytes = [name.as_bytes(), ending.as_bytes()].concat();
        self.inbox.path.join(Path::new(std::ffi::OsStr::from_bytes(&bytes)))
    }

    /// Says once why a file stays.
    pub(super) fn overlook(&mut self, path: &ForeignName, reason: Overlooked) {
        let now = self.now();
        let nowhere = SourceIdentity { inode: 0, size: 0, modified: 0 };
        if self.left >= LEFT && self.seen.get(path).is_none_or(|seen| seen.left.is_none()) {
            self.seen.remove(path);
            return;
        }
        let scan = self.scan;
        let seen = self.seen.entry(path.clone()).or_insert_with(|| Observation::new(nowhere, now));
        seen.scan = scan;
        seen.put_off(now);
        self.leave(path, reason);
    }

    fn leave(&mut self, path: &ForeignName, reason: Overlooked) {
        let Some(seen) = self.seen.get_mut(path) else { return };
        if seen.left.replace(reason).is_none() {
            self.left += 1;
        }
        if !std::mem::replace(&mut seen.noticed, true) {
            self.custody.notice(Notice::Overlooked { path: path.clone(), reason });
        }
    }

    /// Whether one more file can be waited for.
    pub(super) fn has_place(&self) -> bool {
        self.seen.len().saturating_sub(self.left) < OBSERVED
    }
}
