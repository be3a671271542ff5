//! A file and its sidecar: copied together, kept together or not at all.

use super::{Candidate, Watch};
use crate::{
    fhir::Wholeness,
    intake::{
        claim::{Claim, Copied, CopyError, Recorded, copy, open_source, sidecar_of, targets},
        filesystem::Space,
        inbox::Inbox,
        lasting::Lasting,
    },
    model::{ForeignName, Origin, Sidecar, SubmissionId},
};
use std::{fs::File, io};

/// A sidecar is a few lines.
const SIDECAR_LIMIT: u64 = 64 * 1024;

/// A file and its sidecar, copied.
pub(super) struct Pair {
    id: SubmissionId,
    bundle: Copied,
    sidecar: Option<(ForeignName, Copied)>,
}

impl Pair {
    pub(super) fn keep(&self, lasting: &Lasting) -> io::Result<()> {
        self.bundle.keep(lasting)?;
        self.sidecar.as_ref().map_or(Ok(()), |(_, copied)| copied.keep(lasting))
    }

    pub(super) fn seal(&self, inbox: &File, path: &ForeignName) -> Result<(), CopyError> {
        self.bundle.seal(inbox, path)?;
        self.sidecar.as_ref().map_or(Ok(()), |(path, copied)| copied.seal(inbox, path))
    }

    pub(super) fn discard(&self) {
        self.bundle.discard();
        if let Some((_, copied)) = &self.sidecar {
            copied.discard();
        }
    }

    pub(super) fn recorded(&self, candidate: &Candidate) -> Recorded {
        Recorded {
            id: self.id,
            path: candidate.path.clone(),
            file: self.bundle.taken(),
            sidecar: self.sidecar.as_ref().map(|(_, copied)| copied.taken()),
        }
    }

    pub(super) fn claim(&self, candidate: &Candidate) -> Claim {
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

impl Watch {
    pub(super) fn copy_pair(&mut self, inbox: &File, candidate: &Candidate) -> Result<Pair, CopyError> {
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
