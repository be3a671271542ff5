//! The second record: what is known, once more, in plain files that do not depend on the database.
//!
//! ```text
//! FOLDER/00000001.journal    lines of entry.rs, appended and synced with each batch; sealed where secret
//! FOLDER/00000002.journal    the next segment: one begins with each opening, and when one is long
//! ```
//!
//! The store is rebuilt from it when the database is damaged. A line that is torn at the end of a segment is what
//! a crash leaves behind; a broken one before a good one, or a missing segment, is damage, and is told as such.
//! Segments that later ones have made out of date are merged into one.

mod draft;
mod entry;
mod merge;
mod replay;

pub(super) use entry::Entry;
pub(super) use replay::{Replay, Replayed};

use super::Write;
use crate::model::{Sealer, SubmissionId};
use draft::Draft;
use entry::{Begin, VERSION};
use merge::Merging;
use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

/// A longer segment is closed.
const SEGMENT: u64 = 16 * 1024 * 1024;

/// The number of a segment, and its file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Segment {
    number: u64,
    path: PathBuf,
}

/// The journal, open for appending.
pub(super) struct Journal {
    folder: PathBuf,
    /// The segment that is appended to; none before the first append and after an error.
    open: Option<(File, u64)>,
    /// The last segment's number; 0 where there is none.
    last: u64,
    merging: Merging,
    buffer: Vec<u8>,
}

impl Journal {
    /// Opens the journal in its folder, which is made (0700) where it is missing. Nothing is read or written yet.
    pub(super) fn open(folder: &Path) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        let last = segments(folder)?.last().map_or(0, |segment| segment.number);
        let merging = Merging::default();
        Ok(Self { folder: folder.to_owned(), open: None, last, merging, buffer: Vec::new() })
    }

    /// Appends a batch's writes; `is_new` says which submissions the store did not have before.
    ///
    /// # Errors
    /// Of the file system; the next append begins a new segment then, so that nothing follows a torn line.
    pub(super) fn append(
        &mut self,
        batch: u64,
        writes: &[Write],
        sealer: &Sealer,
        is_new: impl Fn(SubmissionId) -> bool,
    ) -> io::Result<()> {
        if writes.is_empty() {
            return Ok(());
        }
        let mut lines = std::mem::take(&mut self.buffer);
        lines.clear();
        for write in writes {
            let new = matches!(write, Write::Submission(submission) if is_new(submission.id));
            entry::write(batch, &Entry::of(write, new, sealer), &mut lines)?;
        }
        let written = self.extend(&lines);
        self.buffer = lines;
        if written.is_err() {
            self.open = None;
        }
        written
    }

    /// Begins anew with everything that `fill` hands over, page by page: earlier segments count no more.
    ///
    /// # Errors
    /// Of the file system, and those of `fill`; what was before still counts then.
    pub(super) fn begin_whole<E: From<io::Error>>(
        &mut self,
        batch: u64,
        sealer: &Sealer,
        fill: impl FnOnce(&mut dyn FnMut(&[Write]) -> Result<(), E>) -> Result<(), E>,
    ) -> Result<(), E> {
        self.open = None;
        let mut draft = Draft::begin(&self.folder, "whole.draft", batch)?;
        let mut lines = Vec::new();
        fill(&mut |page| {
            lines.clear();
            for write in page {
                entry::write(batch, &Entry::of(write, true, sealer), &mut lines)?;
            }
            Ok(draft.lines(&lines)?)
        })?;
        draft.finish(&segment_path(&self.folder, self.last + 1))?;
        self.last += 1;
        Ok(())
    }

    /// Brings what was appended to the disk itself.
    pub(super) fn sync(&mut self) -> io::Result<()> {
        let Some((file, _)) = &self.open else { return Ok(()) };
        let synced = file.sync_data();
        if synced.is_err() {
            // What a failed sync left behind cannot be told: a new segment gets it once more.
            self.open = None;
        }
        synced
    }

    fn extend(&mut self, lines: &[u8]) -> io::Result<()> {
        if self.open.as_ref().is_some_and(|(_, length)| *length >= SEGMENT) {
            self.sync()?;
            self.open = None;
        }
        if self.open.is_none() {
            self.open = Some(self.begin()?);
            self.merging.look(&self.folder, self.last)?;
        }
        let Some((file, length)) = &mut self.open else { unreachable!("it was opened above") };
        file.write_all(lines)?;
        *length += lines.len() as u64;
        Ok(())
    }

    /// A new segment, on the disk with its name and its first line.
    fn begin(&mut self) -> io::Result<(File, u64)> {
        let number = self.last + 1;
        let path = segment_path(&self.folder, number);
        let mut file = OpenOptions::new().append(true).create_new(true).mode(0o600).open(path)?;
        self.last = number;
        let mut line = Vec::new();
        entry::write(0, &Entry::Begin(Begin { v: VERSION, whole: false }), &mut line)?;
        file.write_all(&line)?;
        file.sync_all()?;
        File::open(&self.folder)?.sync_all()?;
        Ok((file, line.len() as u64))
    }
}

fn segment_path(folder: &Path, number: u64) -> PathBuf {
    folder.join(format!("{number:08}.journal"))
}

/// The segments there are, in order.
fn segments(folder: &Path) -> io::Result<Vec<Segment>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.strip_suffix(".journal"));
        if let Some(number) = name.and_then(|name| name.parse().ok()) {
            found.push(Segment { number, path });
        }
    }
    found.sort();
    Ok(found)
}
