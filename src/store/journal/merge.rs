//! Merging closed segments into one that holds everything and nothing that is out of date.

use super::{
    Segment,
    draft::Draft,
    entry::Topic,
    replay::{Replay, Span},
    segments,
};
use crate::model::{Digest, SubmissionId};
use std::{
    collections::HashMap,
    fs, io,
    path::Path,
    thread::{self, JoinHandle},
};

/// So many segments are merged whatever their size.
const MANY: usize = 32;
/// Less is not worth it.
const WORTH: u64 = 64 * 1024 * 1024;

/// The merging under way, if any.
#[derive(Default)]
pub(super) struct Merging(Option<JoinHandle<()>>);

impl Merging {
    /// Begins to merge the segments before `open` where that is worth it: a merged segment is rewritten only when
    /// what came after it is as long, so each entry is rewritten a few times at most.
    pub(super) fn look(&mut self, folder: &Path, open: u64) -> io::Result<()> {
        if self.0.as_ref().is_some_and(|thread| !thread.is_finished()) {
            return Ok(());
        }
        let mut closed = segments(folder)?;
        closed.retain(|segment| segment.number < open);
        let lengths = closed.iter().map(|segment| fs::metadata(&segment.path).map(|facts| facts.len()));
        let lengths = lengths.collect::<io::Result<Vec<_>>>()?;
        let Some((first, later)) = lengths.split_first() else { return Ok(()) };
        let later_bytes: u64 = later.iter().sum();
        if later.len() < MANY && later_bytes < (*first).max(WORTH) {
            return Ok(());
        }
        let folder = folder.to_owned();
        let thread = thread::Builder::new().name("journal-merge".to_owned()).spawn(move || {
            if let Err(error) = merge(&folder, &closed) {
                // Nothing is lost: the segments stand as they were, and a later look tries again.
                tracing::warn!(%error, "the journal's segments could not be merged");
            }
        });
        self.0 = thread.ok();
        Ok(())
    }
}

impl Drop for Merging {
    fn drop(&mut self) {
        if let Some(thread) = self.0.take() {
            // A panic of the merging has left the segments as they were.
            drop(thread.join());
        }
    }
}

/// Entries are counted from 1.
const NOTHING: u64 = 0;

/// The number of the last entry of each topic. Nearly all topics are submissions', so those take little: where a hundred
/// thousand wait, their journal is merged too.
#[derive(Default)]
struct Latest {
    /// Claim and change.
    submissions: HashMap<SubmissionId, [u64; 2]>,
    findings: HashMap<SubmissionId, u64>,
    others: HashMap<Digest, u64>,
}

impl Latest {
    fn note(&mut self, topic: Topic, number: u64) {
        match topic {
            Topic::Claim(id) => self.submissions.entry(id).or_default()[0] = number,
            Topic::Change(id) => self.submissions.entry(id).or_default()[1] = number,
            Topic::Findings(id) => drop(self.findings.insert(id, number)),
            Topic::Other(key) => drop(self.others.insert(key, number)),
        }
    }

    /// [`NOTHING`] where none is left.
    fn of(&self, topic: Topic) -> u64 {
        let of_submission = |id, part: usize| self.submissions.get(&id).map_or(NOTHING, |numbers| numbers[part]);
        match topic {
            Topic::Claim(id) => of_submission(id, 0),
            Topic::Change(id) => of_submission(id, 1),
            Topic::Findings(id) => self.findings.get(&id).copied().unwrap_or(NOTHING),
            Topic::Other(key) => self.others.get(&key).copied().unwrap_or(NOTHING),
        }
    }
}

/// Writes what still counts into one segment in the place of the last of these, then removes the others.
///
/// # Errors
/// Of the file system, and where a segment is damaged: those are evidence, and stay.
pub(super) fn merge(folder: &Path, closed: &[Segment]) -> io::Result<()> {
    let Some(last) = closed.last() else { return Ok(()) };
    let mut latest = Latest::default();
    let mut number = 0;
    let replayed = Replay(folder).each(Span::up_to(last.number), |entry, _| {
        number += 1;
        if let Some(topic) = entry.topic() {
            latest.note(topic, if entry.is_removal() { NOTHING } else { number });
        }
        Ok::<_, io::Error>(())
    })?;
    if replayed.damaged > 0 {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "a line of it is damaged"));
    }
    let mut draft = Draft::begin(folder, "merged.draft", replayed.last_batch)?;
    number = 0;
    Replay(folder).each(Span::up_to(last.number), |entry, line| {
        number += 1;
        match entry.topic() {
            Some(topic) if latest.of(topic) == number => draft.lines(line),
            Some(_) | None => Ok(()),
        }
    })?;
    draft.finish(&last.path)?;
    // From here on the earlier ones count no more, whether they stand or not.
    for segment in segments(folder)?.iter().filter(|segment| segment.number < last.number) {
        fs::remove_file(&segment.path)?;
    }
    Ok(())
}
