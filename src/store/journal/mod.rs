//! The second record: what is known, once more, in plain files that do not depend on the database.
//!
//! ```text
//! FOLDER/00000001.journal    lines of entry.rs, appended and synced with each batch; sealed where secret
//! FOLDER/00000002.journal    the next segment: one begins with each opening, and when one is long
//! ```
//!
//! It is this record that is synced before a change is confirmed; the database follows behind it, and gets what it
//! lacks from here at the next opening. From here it is rebuilt when it is damaged, too. A batch that is torn at the end
//! of a segment is what a crash leaves behind, and was never confirmed; a broken line before a good one, or a missing
//! segment, is damage, and is told as such.
//! Segments that later ones have made out of date are merged into one.

mod draft;
mod entry;
mod merge;
mod replay;

pub(super) use entry::{Entry, Told};
pub(super) use replay::{Replay, Replayed, Span};

use super::Write;
use crate::model::Sealer;
use draft::Draft;
use entry::{Begin, More, VERSION};
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

    /// Appends a batch's writes, each with what the journal tells of it already.
    ///
    /// # Errors
    /// Of the file system; the next append begins a new segment then, so that nothing follows a torn batch.
    pub(super) fn append<'w>(
        &mut self,
        batch: u64,
        writes: impl Iterator<Item = (&'w Write, Told)>,
        sealer: &Sealer,
    ) -> io::Result<()> {
        let mut lines = std::mem::take(&mut self.buffer);
        lines.clear();
        write_lines(batch, writes, sealer, &mut lines)?;
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
            write_lines(batch, page.iter().map(|write| (write, Told::nothing_of(write))), sealer, &mut lines)?;
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
        entry::write(0, &Entry::Begin(Begin { v: VERSION, whole: false }), More::Ends, &mut line)?;
        file.write_all(&line)?;
        file.sync_all()?;
        File::open(&self.folder)?.sync_all()?;
        Ok((file, line.len() as u64))
    }
}

/// The lines of a batch.
fn write_lines<'w>(
    batch: u64,
    writes: impl Iterator<Item = (&'w Write, Told)>,
    sealer: &Sealer,
    lines: &mut Vec<u8>,
) -> io::Result<()> {
    let entries = writes.flat_map(|(write, told)| {
        let (entry, findings) = Entry::of(write, told, sealer);
        std::iter::once(entry).chain(findings)
    });
    let mut entries = entries.peekable();
    while let Some(entry) = entries.next() {
        let more = if entries.peek().is_some() { More::Follows } else { More::Ends };
        entry::write(batch, &entry, more, lines)?;
    }
    Ok(())
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
