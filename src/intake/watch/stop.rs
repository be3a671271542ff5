//! How a watch is woken and stopped, and what its last look left.

use crate::model::ForeignName;
use std::{
    collections::BTreeSet,
    path::PathBuf,
    sync::{Arc, Condvar, Mutex, PoisonError},
    time::Instant,
};

/// Wakes and stops the watch.
#[derive(Clone, Debug, Default)]
pub struct Stop {
    shared: Arc<(Mutex<Wake>, Condvar)>,
}

#[derive(Debug, Default)]
pub(super) struct Wake {
    stopped: bool,
    pub(super) hinted: bool,
    /// The last look left nothing that may still come to rest by itself.
    pub(super) at_rest: bool,
    /// What it left, where that is not nothing.
    pub(super) settling: Vec<ForeignName>,
    pub(super) renamed_in: BTreeSet<PathBuf>,
    /// A folder came into the inbox. What is put into it before it is watched makes no event.
    pub(super) new_folder: bool,
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

    pub(super) fn with(&self, change: impl FnOnce(&mut Wake)) {
        change(&mut self.shared.0.lock().unwrap_or_else(PoisonError::into_inner));
        self.shared.1.notify_all();
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.shared.0.lock().unwrap_or_else(PoisonError::into_inner).stopped
    }

    /// Sleeps until then, or until a hint or the end; gives the files that were renamed in meanwhile, and whether a
    /// folder came in.
    pub(super) fn wait(&self, until: Instant) -> (BTreeSet<PathBuf>, bool) {
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
