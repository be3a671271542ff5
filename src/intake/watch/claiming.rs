//! Claiming what is due, batch by batch, each with one flush.

use super::{BATCH, Candidate, Watch, pair::Pair};
use crate::{
    faults,
    intake::{
        aside,
        claim::{CopyError, CustodyError, Recorded, digest_of, end_claimed, open_source, stands},
        filesystem::Space,
        inbox::{Notice, Overlooked},
        lasting::Lasting,
    },
    model::ForeignName,
};
use std::{fs::File, io, thread, time::Duration};

/// How long nothing is claimed after `work/` could not be written.
const UNWRITABLE: Duration = Duration::from_secs(10);
/// How long a look waits for the judges when they have enough to do.
const BREATH: Duration = Duration::from_millis(20);
/// The longest time that a claimed source is set aside before it ends.
const ASIDE: Duration = Duration::from_secs(2);

impl Watch {
    pub(super) fn has_room(&mut self) -> bool {
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
    pub(super) fn claim_all(&mut self, due: Vec<Candidate>) -> bool {
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
