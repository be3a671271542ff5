//! The watch over one inbox: a thread that scans, lets files come to rest, and claims them in batches.
//!
//! Nothing that was skipped is forgotten, because every scan looks at the whole folder again. Memory
//! does not grow with the folder: at most [`OBSERVED`] files are waited for at once.

mod claiming;
mod ending;
mod events;
mod pair;
mod scan;
mod stop;

use super::{
    aside::Part,
    claim::{Custody, Recorded},
    inbox::Inbox,
    settle::Observation,
};
use crate::model::{ForeignName, SubmissionId};
use std::{
    collections::{HashMap, VecDeque},
    io,
    path::PathBuf,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};
pub use stop::Stop;

/// Files that are waited for at once.
const OBSERVED: usize = 10_000;
/// Files claimed with one flush.
const BATCH: usize = 32;
/// Events that come close together make one scan.
const GATHER: Duration = Duration::from_millis(20);
/// The longest rest between scans where no events come.
const POLL: Duration = Duration::from_secs(1);

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
}
