//! The watch over one inbox: a thread that scans, lets files come to rest, and claims them in batches.
//!
//! Nothing that was skipped is forgotten, because every scan looks at the whole folder again. Memory
//! does not grow with the folder: at most [`OBSERVED`] files are waited for at once.

use super::{
    aside::{self, Ended, Part, aside_of, later_of},
    claim::{
        self, Claim, Copied, CopyError, Custody, CustodyError, Recorded, copy, digest_of, end_claimed, identity,
        open_source, sidecar_of, stands, targets,
    },
    filesystem::{FileSystem, Space},
    lasting::Lasting,
    settle::{Completeness, Observation, Role, SIDECAR},
    spool::Spool,
};
use crate::{
    faults,
    fhir::Wholeness,
    model::{ChannelName, ForeignName, Origin, PushType, Sidecar, SourceIdentity, SubmissionId},
};
use notify::{
    EventKind, RecursiveMode, Watcher as _,
    event::{AccessKind, AccessMode, CreateKind, ModifyKind, RenameMode},
};
use std::{
    collections::{BTreeSet, HashMap, HashSet, VecDeque},
    fs::{self, File},
    io,
    os::unix::{ffi::OsStrExt, fs::MetadataExt},
    path::{Path, PathBuf},
    sync::{Arc, Condvar, Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

/// How an inbox is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Polling {
    /// Events where the file system gives them.
    Auto,
    /// Never events.
    Always,
}

/// One channel's inbox.
#[derive(Clone, Debug)]
pub struct Inbox {
    /// The channel.
    pub channel: ChannelName,
    /// Where it sends files.
    pub push: PushType,
    /// The folder.
    pub path: PathBuf,
    /// The channel's own folders.
    pub spool: Spool,
    /// When a file is complete.
    pub completeness: Completeness,
    /// Larger files are left where they are.
    pub max_bytes: u64,
    /// The longest time between two scans.
    pub rescan: Duration,
    /// Whether events are asked for.
    pub polling: Polling,
    /// Below so many free bytes nothing is claimed.
    pub min_free: u64,
}

/// Why a file is left where it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Overlooked {
    /// It is a link, a pipe, a device or a folder with a file's name.
    NotRegular,
    /// It has more bytes than the channel takes.
    TooLarge,
    /// It has more bytes than there is room for beside the reserve.
    NoRoom,
    /// It may not be read.
    Unreadable,
    /// It was claimed, and its source may not be removed.
    NotRemovable,
    /// It was claimed, and the record of that is lost.
    Unrecorded,
    /// It waits for its sidecar.
    WaitsForSidecar,
}

impl Overlooked {
    /// For people: why, and what to do.
    pub const fn text(self) -> &'static str {
        match self {
            Self::NotRegular => "it is a link, a pipe, a device or a folder; put a plain file there",
            Self::TooLarge => "it is larger than the channel's max_size",
            Self::NoRoom => "there is not enough free disk for it beside limits.min_free; it is tried again by itself",
            Self::Unreadable => "it may not be read; correct its owner or its mode",
            Self::NotRemovable => "it was claimed and cannot be removed; let this user remove files of the inbox",
            Self::Unrecorded => {
                "it was claimed once and may have been sent, but the record of that is lost; rename it to send it, or \
                 remove it"
            }
            Self::WaitsForSidecar => "it waits for its sidecar, the same name with .route.json behind it",
        }
    }
}

/// An edge that somebody should know of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// A file is left where it is.
    Overlooked {
        /// Which.
        path: ForeignName,
        /// Why.
        reason: Overlooked,
    },
    /// The inbox cannot be read.
    InboxGone {
        /// Why.
        why: String,
    },
    /// It can be read again.
    InboxBack,
    /// No room: nothing is claimed.
    DiskFull,
    /// There is room again.
    DiskFree,
    /// Events do not come; the folder is polled.
    EventsMissing {
        /// Why.
        why: String,
    },
}

/// Files that are waited for at once.
const OBSERVED: usize = 10_000;
/// Files that are left for a reason of their own and known as such. They take no place from those that are waited for.
const LEFT: usize = 50_000;
/// Files that are named where somebody asks what is waited for.
const NAMED: usize = 20;
/// Files claimed with one flush.
const BATCH: usize = 32;
/// Files claimed with one scan: a scan of a full inbox is dear.
const DUE: usize = 64 * BATCH;
/// How long nothing is claimed after `work/` could not be written.
const UNWRITABLE: Duration = Duration::from_secs(10);
/// How long a look waits for the judges when they have enough to do.
const BREATH: Duration = Duration::from_millis(20);
/// A sidecar is a few lines.
const SIDECAR_LIMIT: u64 = 64 * 1024;
/// Sub-folders inside each other that are looked into.
const DEPTH: usize = 8;
/// Events that come close together make one scan.
const GATHER: Duration = Duration::from_millis(20);
/// The longest time that a claimed source is set aside before it ends.
const ASIDE: Duration = Duration::from_secs(2);
/// Sources that are set aside at once; beyond that the oldest end at once.
const ASIDES: usize = 4096;
/// The longest rest between scans where no events come.
const POLL: Duration = Duration::from_secs(1);

/// Wakes and stops the watch.
#[derive(Clone, Debug, Default)]
pub struct Stop {
    shared: Arc<(Mutex<Wake>, Condvar)>,
}

#[derive(Debug, Default)]
struct Wake {
    stopped: bool,
    hinted: bool,
    /// The last look left nothing that may still come to rest by itself.
    at_rest: bool,
    /// What it left, where that is not nothing.
    settling: Vec<ForeignName>,
    renamed_in: BTreeSet<PathBuf>,
    /// A folder came into the inbox. What is put into it before it is watched makes no event.
    new_folder: bool,
}

impl Stop {
    /// Ends the watch at its next step.
    pub fn stop(&self) {
        self.with(|wake| wake.stopped = true);
    }

    /// Asks for a scan now.
    pub fn hint(&self) {
        self.with(|wake| wake.hinted = true);
    }

    /// Whether the last look found nothing that may still come to rest by itself.
    pub fn is_at_rest(&self) -> bool {
        self.shared.0.lock().unwrap_or_else(PoisonError::into_inner).at_rest
    }

    /// Files that the last look left because they may still come to rest; the first of them, where they are many.
    pub fn settling(&self) -> Vec<ForeignName> {
        self.shared.0.lock().unwrap_or_else(PoisonError::into_inner).settling.clone()
    }

    fn with(&self, change: impl FnOnce(&mut Wake)) {
        change(&mut self.shared.0.lock().unwrap_or_else(PoisonError::into_inner));
        self.shared.1.notify_all();
    }

    fn is_stopped(&self) -> bool {
        self.shared.0.lock().unwrap_or_else(PoisonError::into_inner).stopped
    }

    /// Sleeps until then, or until a hint or the end; gives the files that were renamed in meanwhile, and whether a
    /// folder came in.
    fn wait(&self, until: Instant) -> (BTreeSet<PathBuf>, bool) {
        let (lock, changed) = &*self.shared;
        let mut wake = lock.lock().unwrap_or_else(PoisonError::into_inner);
        while !wake.stopped && !wake.hinted {
            let Some(rest) = until.checked_duration_since(Instant::now()).filter(|rest| !rest.is_zero()) else { break };
            wake = changed.wait_timeout(wake, rest).unwrap_or_else(PoisonError::into_inner).0;
        }
        wake.hinted = false;
        (std::mem::take(&mut wake.renamed_in), std::mem::take(&mut wake.new_folder))
    }
}

/// The watch over one inbox.
pub struct Watch {
    inbox: Inbox,
    custody: Arc<dyn Custody>,
    stop: Stop,
    started: Instant,
    seen: HashMap<ForeignName, Observation>,
    /// How many of them are left for a reason of their own.
    left: usize,
    scan: u64,
    gone: bool,
    full: bool,
    /// Until then nothing is claimed: writing failed although there seemed to be room.
    unwritable_until: Duration,
    buffer: Vec<u8>,
    /// Claims whose sources are set aside, with the time of their end, in claim order.
    asides: VecDeque<(Duration, Recorded)>,
    /// What the last scan met set aside that is not among those: a crash came between, or it could not be removed.
    strays: Vec<(PathBuf, SubmissionId, Part)>,
    /// Whether the last scan left anything that may still come to rest.
    settling: bool,
    /// The first of what it left.
    named: Vec<ForeignName>,
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

/// A file that has come to rest.
struct Candidate {
    path: ForeignName,
    folder: Option<ForeignName>,
    marked: bool,
}

impl Watch {
    /// A watch that has not begun.
    pub fn new(inbox: Inbox, custody: Arc<dyn Custody>, stop: Stop) -> Self {
        Self {
            inbox,
            custody,
            stop,
            started: Instant::now(),
            seen: HashMap::new(),
            left: 0,
            scan: 0,
            gone: false,
            full: false,
            unwritable_until: Duration::ZERO,
            buffer: Vec::new(),
            asides: VecDeque::new(),
            strays: Vec::new(),
            settling: false,
            named: Vec::new(),
        }
    }

    /// Watches on a thread of its own until stopped.
    ///
    /// # Errors
    /// No thread could be started.
    pub fn spawn(self) -> io::Result<thread::JoinHandle<()>> {
        thread::Builder::new().name(format!("inbox-{}", self.inbox.channel)).spawn(move || self.run())
    }

    fn run(mut self) {
        let (mut watcher, mut watched) = (self.subscribe(), self.folder());
        let mut again = None;
        while !self.stop.is_stopped() {
            let next = self.look();
            let (at_rest, settling) = (!self.settling, std::mem::take(&mut self.named));
            self.stop.with(|wake| (wake.at_rest, wake.settling) = (at_rest, settling));
            // Events come from a folder, not from its name: another one may stand there now.
            let folder = self.folder();
            if self.gone || folder != watched {
                (watcher, watched) = (None, folder);
            }
            if watcher.is_none() && !self.gone {
                watcher = self.subscribe();
                if watcher.is_some() {
                    self.stop.hint(); // what came before the first event
                }
            }
            let next = if watcher.is_some() { next } else { next.min(POLL) };
            let now = Instant::now();
            again = again.filter(|again| *again > now);
            let until = now + next.max(GATHER);
            let (renamed, new_folder) = self.stop.wait(again.map_or(until, |again| until.min(again)));
            if new_folder {
                again = Some(Instant::now() + POLL);
            }
            self.note_renamed(renamed);
        }
        self.end_asides(true);
    }

    /// Scans and claims until nothing more is due. The time until the next look.
    fn look(&mut self) -> Duration {
        loop {
            self.end_asides(false);
            let (due, next) = self.survey();
            self.end_strays();
            if due.is_empty() || self.stop.is_stopped() {
                return next.min(self.inbox.rescan);
            }
            if !self.has_room() {
                return next.min(POLL);
            }
            if !self.claim_all(due) {
                // What was due and is not claimed may still be, unless there is no room for it.
                let (due, next) = self.survey();
                self.settling |= !due.is_empty() && !self.full;
                return next.min(POLL);
            }
        }
    }

    fn now(&self) -> Duration {
        self.started.elapsed()
    }

    // --- events -----------------------------------------------------------------------------------

    /// The folder itself, whatever its name.
    fn folder(&self) -> Option<(u64, u64)> {
        fs::metadata(&self.inbox.path).ok().map(|facts| (facts.dev(), facts.ino()))
    }

    fn subscribe(&self) -> Option<notify::RecommendedWatcher> {
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

    fn note_renamed(&mut self, renamed: BTreeSet<PathBuf>) {
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

    // --- scanning ---------------------------------------------------------------------------------

    /// One scan of the whole inbox: what is due now, and the time until something else is.
    fn survey(&mut self) -> (Vec<Candidate>, Duration) {
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
    fn overlook(&mut self, path: &ForeignName, reason: Overlooked) {
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
    fn has_place(&self) -> bool {
        self.seen.len().saturating_sub(self.left) < OBSERVED
    }

    // --- claiming ---------------------------------------------------------------------------------

    fn has_room(&mut self) -> bool {
        let free = self.now() >= self.unwritable_until
            && Space::at(&self.inbox.spool.work()).is_ok_and(|space| {
                space.bytes >= self.inbox.min_free
                    && space.files.is_none_or(|files| files > 4 * u64::try_from(BATCH).unwrap_or(0))
            });
        self.tell_room(free);
        free
    }

    fn unwritable(&mut self, error: &io::Error) {
        tracing::warn!(error = %error.kind(), "work/ could not be written");
        self.unwritable_until = self.now() + UNWRITABLE;
        self.tell_room(false);
    }

    fn tell_room(&mut self, free: bool) {
        if self.full == free {
            self.full = !free;
            self.custody.notice(if free { Notice::DiskFree } else { Notice::DiskFull });
        }
    }

    /// Claims everything that is due, batch by batch; says whether it makes sense to go on at once.
    fn claim_all(&mut self, due: Vec<Candidate>) -> bool {
        let Ok(inbox) = File::open(&self.inbox.path) else { return false };
        let mut claimed_any = false;
        for batch in due.chunks(BATCH) {
            while self.custody.capacity() < batch.len() && !self.stop.is_stopped() {
                thread::sleep(BREATH);
            }
            if self.stop.is_stopped() {
                return false;
            }
            match self.claim_batch(&inbox, batch) {
                Ok(claimed) => claimed_any |= claimed > 0,
                Err(error) => {
                    tracing::debug!(%error, "claiming pauses");
                    return false;
                }
            }
            if self.full {
                return false;
            }
        }
        claimed_any
    }

    fn claim_batch(&mut self, inbox: &File, batch: &[Candidate]) -> Result<usize, CustodyError> {
        let work = self.inbox.spool.work();
        let Ok(lasting) = Lasting::plan(&work, batch.len()) else { return Err(CustodyError) };
        faults::pass("claim.begin");
        let mut copies = Vec::with_capacity(batch.len());
        for candidate in batch {
            if self.was_recorded(inbox, &candidate.path)? {
                continue;
            }
            match self.copy_pair(inbox, candidate) {
                Ok(copied) => copies.push((candidate, copied)),
                Err(error) => self.put_off(candidate, error),
            }
            if self.full {
                break;
            }
        }
        let kept =
            faults::reach("claim.sync").and_then(|()| copies.iter().try_for_each(|(_, pair)| pair.keep(&lasting)));
        if let Err(error) = kept.and_then(|()| if copies.is_empty() { Ok(()) } else { lasting.finish([&*work]) }) {
            copies.iter().for_each(|(_, pair)| pair.discard());
            self.unwritable(&error);
            return Ok(0);
        }
        let mut sealed = Vec::with_capacity(copies.len());
        for (candidate, pair) in copies {
            match pair.seal(inbox, &candidate.path) {
                Ok(()) => sealed.push((candidate, pair)),
                Err(error) => {
                    pair.discard();
                    self.put_off(candidate, error);
                }
            }
        }
        if sealed.is_empty() {
            return Ok(0);
        }
        let claims = sealed.iter().map(|(candidate, pair)| pair.claim(candidate)).collect();
        // On an error the copies stay: a record may have reached the disk all the same, and needs its copy.
        faults::pass("claim.record");
        self.custody.record(claims)?;
        faults::pass("claim.recorded");
        let end = self.now() + self.inbox.completeness.quiet.min(ASIDE);
        for (candidate, pair) in &sealed {
            match self.set_aside(inbox, candidate, pair) {
                Ok(recorded) => {
                    self.seen.remove(&candidate.path);
                    self.asides.push_back((end, recorded));
                }
                Err(_) => self.overlook(&candidate.path, Overlooked::NotRemovable),
            }
        }
        Ok(sealed.len())
    }

    fn set_aside(&self, inbox: &File, candidate: &Candidate, pair: &Pair) -> io::Result<Recorded> {
        let recorded = pair.recorded(candidate);
        aside::set_aside(inbox, &recorded)?;
        if candidate.marked
            && let Some(suffix) = &self.inbox.completeness.done_suffix
        {
            let marker = [candidate.path.as_bytes(), suffix.as_bytes()].concat();
            aside::remove(inbox, &ForeignName::new(marker))?;
        }
        Ok(recorded)
    }

    /// Ends what was set aside long enough, or all of it.
    fn end_asides(&mut self, all: bool) {
        let now = self.now();
        let excess = self.asides.len().saturating_sub(ASIDES);
        let due =
            self.asides.iter().enumerate().take_while(|(at, (end, _))| all || *at < excess || *end <= now).count();
        if due == 0 {
            return;
        }
        // What cannot be ended now is met by the next scan.
        let inbox = File::open(&self.inbox.path);
        let mut ended = Vec::with_capacity(due);
        for (_, claim) in self.asides.drain(..due) {
            if inbox.as_ref().is_ok_and(|inbox| aside::end(inbox, &claim, &mut self.buffer).is_ok()) {
                ended.push(claim.id);
            }
        }
        if !ended.is_empty() {
            faults::pass("claim.removed");
            self.custody.removed(ended);
        }
    }

    /// Ends what the last scan met set aside although nobody waits for it.
    fn end_strays(&mut self) {
        let mut strays = std::mem::take(&mut self.strays);
        if strays.is_empty() {
            return;
        }
        strays.sort(); // a sidecar after its file
        let Ok(inbox) = File::open(&self.inbox.path) else { return };
        for (folder, id, part) in strays {
            let Ok(claim) = self.custody.claimed(id) else { return };
            let path = aside::path_in(&folder, id, part);
            let Some(claim) = claim else {
                self.overlook(&path, Overlooked::Unrecorded);
                continue;
            };
            let ended = aside::end_part(&inbox, &folder, &claim, part, &mut self.buffer);
            // The folder may have another name by now; nothing else of the claim stays either.
            match ended.and_then(|ended| end_claimed(&inbox, &claim, &mut self.buffer).map(|()| ended)) {
                Ok(ended) => {
                    self.seen.remove(&path);
                    self.custody.removed(vec![id]);
                    if ended == Ended::Returned {
                        self.settling = true;
                        self.stop.hint();
                    }
                }
                Err(_) => self.overlook(&path, Overlooked::NotRemovable),
            }
        }
    }

    /// A source that was claimed before is removed, not claimed again.
    fn was_recorded(&mut self, inbox: &File, path: &ForeignName) -> Result<bool, CustodyError> {
        for recorded in self.custody.recorded(path)? {
            let Some(taken) = recorded.taken_from(path).filter(|taken| stands(inbox, path, &taken.identity)) else {
                continue;
            };
            let Ok(source) = open_source(inbox, path) else { continue };
            if digest_of(source, &mut self.buffer).is_ok_and(|digest| digest == taken.digest) {
                match end_claimed(inbox, &recorded, &mut self.buffer) {
                    Ok(()) => self.custody.removed(vec![recorded.id]),
                    Err(_) => self.overlook(path, Overlooked::NotRemovable),
                }
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn copy_pair(&mut self, inbox: &File, candidate: &Candidate) -> Result<Pair, CopyError> {
        let id = self.custody.next_id();
        let (target, sidecar_target) = targets(&self.inbox.spool, id);
        let sidecar = if self.inbox.completeness.sidecar {
            let path = sidecar_of(&candidate.path);
            let source = open_source(inbox, &path).map_err(|_| CopyError::Unfinished)?;
            let copied = copy(source, sidecar_target, SIDECAR_LIMIT, &mut self.buffer)?;
            if matches!(copied.wholeness, Wholeness::Truncated | Wholeness::Empty) {
                copied.discard();
                return Err(CopyError::Unfinished);
            }
            // A sidecar that could not be removed with its Bundle never speaks for another one.
            let earlier = self.custody.recorded(&path).map_err(|_| CopyError::Unfinished);
            let taken = copied.taken();
            if !earlier.is_ok_and(|earlier| earlier.iter().all(|claim| claim.taken_from(&path) != Some(&taken))) {
                copied.discard();
                return Err(CopyError::Unfinished);
            }
            Some((path, copied))
        } else {
            None
        };
        let copied = open_source(inbox, &candidate.path).and_then(|source| {
            leaves_reserve(&source, &self.inbox)?;
            copy(source, target, self.inbox.max_bytes, &mut self.buffer)
        });
        let discard_sidecar = || {
            if let Some((_, copied)) = &sidecar {
                copied.discard();
            }
        };
        let bundle = copied.inspect_err(|_| discard_sidecar())?;
        let (now, wholeness) = (self.now(), self.inbox.completeness.wholeness(bundle.wholeness, bundle.size));
        let whole = candidate.marked
            || self
                .seen
                .get_mut(&candidate.path)
                .is_none_or(|seen| seen.may_claim(wholeness, &self.inbox.completeness, now));
        if !whole {
            bundle.discard();
            discard_sidecar();
            return Err(CopyError::Unfinished);
        }
        Ok(Pair { id, bundle, sidecar })
    }

    fn put_off(&mut self, candidate: &Candidate, error: CopyError) {
        let now = self.now();
        match error {
            CopyError::NotRegular => self.overlook(&candidate.path, Overlooked::NotRegular),
            CopyError::TooLarge => self.overlook(&candidate.path, Overlooked::TooLarge),
            CopyError::NoRoom => self.overlook(&candidate.path, Overlooked::NoRoom),
            CopyError::Source(error) => {
                tracing::debug!(error = %error.kind(), "a file in the inbox could not be read");
                self.overlook(&candidate.path, Overlooked::Unreadable);
            }
            CopyError::Unfinished => {}
            CopyError::Changed => {
                if let Some(seen) = self.seen.get_mut(&candidate.path) {
                    seen.put_off(now);
                }
            }
            CopyError::Work(error) => {
                self.unwritable(&error);
            }
        }
    }
}

/// Whether the reserve stays free beside a copy: a large file alone could take all of it. One that the channel does not
/// take is left for that reason.
fn leaves_reserve(source: &File, inbox: &Inbox) -> Result<(), CopyError> {
    /// Of smaller ones a whole batch is looked after by the look before it.
    const LARGE: u64 = 1 << 20;
    let size = source.metadata().map_err(CopyError::Source)?.len();
    if size < LARGE || size > inbox.max_bytes {
        return Ok(());
    }
    let space = Space::at(&inbox.spool.work()).map_err(CopyError::Work)?;
    if space.bytes < inbox.min_free.saturating_add(size) { Err(CopyError::NoRoom) } else { Ok(()) }
}

/// A file and its sidecar, copied.
struct Pair {
    id: SubmissionId,
    bundle: Copied,
    sidecar: Option<(ForeignName, Copied)>,
}

impl Pair {
    fn keep(&self, lasting: &Lasting) -> io::Result<()> {
        self.bundle.keep(lasting)?;
        self.sidecar.as_ref().map_or(Ok(()), |(_, copied)| copied.keep(lasting))
    }

    fn seal(&self, inbox: &File, path: &ForeignName) -> Result<(), CopyError> {
        self.bundle.seal(inbox, path)?;
        self.sidecar.as_ref().map_or(Ok(()), |(path, copied)| copied.seal(inbox, path))
    }

    fn discard(&self) {
        self.bundle.discard();
        if let Some((_, copied)) = &self.sidecar {
            copied.discard();
        }
    }

    fn recorded(&self, candidate: &Candidate) -> Recorded {
        Recorded {
            id: self.id,
            path: candidate.path.clone(),
            file: self.bundle.taken(),
            sidecar: self.sidecar.as_ref().map(|(_, copied)| copied.taken()),
        }
    }

    fn claim(&self, candidate: &Candidate) -> claim::Claim {
        let origin =
            |path: &ForeignName, identity| Origin { path: path.clone(), folder: candidate.folder.clone(), identity };
        Claim {
            id: self.id,
            origin: origin(&candidate.path, self.bundle.identity),
            digest: self.bundle.digest,
            size: self.bundle.size,
            sidecar: self
                .sidecar
                .as_ref()
                .map(|(path, copied)| Sidecar { origin: origin(path, copied.identity), digest: copied.digest }),
        }
    }
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
