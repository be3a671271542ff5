//! The end of claimed sources: set aside for a while, then removed, or given back where something newer stands there.

use super::Watch;
use crate::{
    faults,
    intake::{
        aside::{self, Ended},
        claim::end_claimed,
        inbox::Overlooked,
    },
};
use std::fs::File;

/// Sources that are set aside at once; beyond that the oldest end at once.
const ASIDES: usize = 4096;

impl Watch {
    /// Ends what was set aside long enough, or all of it.
    pub(super) fn end_asides(&mut self, all: bool) {
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
    pub(super) fn end_strays(&mut self) {
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
}
