//! Events of the file system: hints that a scan may find something, and which files were renamed in.

use super::{OBSERVED, Watch};
use crate::{
    intake::{
        aside::aside_of,
        claim::identity,
        filesystem::FileSystem,
        inbox::{Notice, Polling},
        settle::Observation,
    },
    model::ForeignName,
};
use notify::{
    EventKind, RecursiveMode, Watcher as _,
    event::{AccessKind, AccessMode, CreateKind, ModifyKind, RenameMode},
};
use std::{
    collections::BTreeSet,
    fs,
    os::unix::{ffi::OsStrExt, fs::MetadataExt},
    path::{Path, PathBuf},
};

impl Watch {
    /// The folder itself, whatever its name.
    pub(super) fn folder(&self) -> Option<(u64, u64)> {
        fs::metadata(&self.inbox.path).ok().map(|facts| (facts.dev(), facts.ino()))
    }

    pub(super) fn subscribe(&self) -> Option<notify::RecommendedWatcher> {
        if self.inbox.polling == Polling::Always {
            return None;
        }
        match FileSystem::of(&self.inbox.path) {
            Ok(FileSystem::Local) => {}
            Ok(FileSystem::Network) | Err(_) => return None,
        }
        let (stop, inbox, rename_in) = (self.stop.clone(), self.inbox.path.clone(), self.inbox.completeness.rename_in);
        // The last rename that gave a file its name back: that makes no file complete.
        let mut given_back = None;
        let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            if let Ok(event) = &event {
                if is_of_ours(event) && event.kind == EventKind::Modify(ModifyKind::Name(RenameMode::From)) {
                    given_back = event.tracker();
                }
                if (!is_news(&event.kind) || is_of_ours(event)) && !is_end_of(&inbox, event) {
                    return;
                }
            }
            let new_folder = event.as_ref().is_ok_and(|event| match event.kind {
                EventKind::Create(CreateKind::Folder) => true,
                EventKind::Modify(ModifyKind::Name(_)) => event.paths.last().is_some_and(|path| path.is_dir()),
                _ => false,
            });
            stop.with(|wake| {
                wake.new_folder |= new_folder;
                // An error may stand for events that were lost.
                wake.hinted = true;
                if let Ok(event) = event
                    && rename_in
                    && wake.renamed_in.len() < OBSERVED // the others rest for `quiet` as any file does
                    && let EventKind::Modify(ModifyKind::Name(RenameMode::To | RenameMode::Both)) = event.kind
                    && (event.tracker().is_none() || event.tracker() != given_back)
                {
                    wake.renamed_in.extend(event.paths.into_iter().last());
                }
            });
        });
        let watched = watcher.as_mut().map_err(|error| error.to_string()).and_then(|watcher| {
            watcher.watch(&self.inbox.path, RecursiveMode::Recursive).map_err(|error| error.to_string())
        });
        match watched {
            Ok(()) => watcher.ok(),
            Err(why) => {
                self.custody.notice(Notice::EventsMissing { why });
                None
            }
        }
    }

    pub(super) fn note_renamed(&mut self, renamed: BTreeSet<PathBuf>) {
        let now = self.now();
        for path in renamed {
            let Ok(relative) = path.strip_prefix(&self.inbox.path) else { continue };
            let Ok(metadata) = path.symlink_metadata() else { continue };
            if metadata.is_file() && self.has_place() {
                let name = ForeignName::new(relative.as_os_str().as_bytes());
                let seen = self.seen.entry(name).or_insert_with(|| Observation::new(identity(&metadata), now));
                seen.look(identity(&metadata), now);
                seen.renamed_in = true;
            }
        }
    }
}

/// Whether an event may mean a new or a changed file. Our own scans open folders and our claims open and remove
/// files: were those events a reason to look, each look would cause the next one.
const fn is_news(kind: &EventKind) -> bool {
    match kind {
        EventKind::Access(AccessKind::Close(AccessMode::Write)) => true,
        EventKind::Access(_) | EventKind::Remove(_) | EventKind::Modify(ModifyKind::Name(RenameMode::From)) => false,
        EventKind::Any | EventKind::Create(_) | EventKind::Modify(_) | EventKind::Other => true,
    }
}

/// It tells of a name under which we set a file aside.
fn is_of_ours(event: &notify::Event) -> bool {
    event.paths.last().and_then(|path| path.file_name()).is_some_and(|name| aside_of(name.as_bytes()).is_some())
}

/// The inbox itself was removed or renamed.
fn is_end_of(inbox: &Path, event: &notify::Event) -> bool {
    matches!(event.kind, EventKind::Remove(_) | EventKind::Modify(ModifyKind::Name(_)))
        && event.paths.iter().any(|path| path == inbox)
}

#[cfg(test)]
mod tests {
    use super::*;
    use notify::event::{CreateKind, DataChange, RemoveKind};

    #[test]
    fn a_scan_or_a_claim_of_our_own_asks_for_no_further_scan() {
        let ours = [
            EventKind::Access(AccessKind::Open(AccessMode::Any)),
            EventKind::Access(AccessKind::Close(AccessMode::Read)),
            EventKind::Remove(RemoveKind::File),
            EventKind::Modify(ModifyKind::Name(RenameMode::From)),
        ];
        assert!(!ours.iter().any(is_news));
        let news = [
            EventKind::Create(CreateKind::File),
            EventKind::Modify(ModifyKind::Data(DataChange::Any)),
            EventKind::Modify(ModifyKind::Name(RenameMode::To)),
            EventKind::Access(AccessKind::Close(AccessMode::Write)),
        ];
        assert!(news.iter().all(is_news));
    }
}
