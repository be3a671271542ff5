//! Reading the journal from its beginning.

use super::{
    entry::{self, Entry, VERSION},
    segments,
};
use std::{
    fs::{File, OpenOptions},
    io::{self, BufRead, BufReader, Read, Seek, SeekFrom},
    path::Path,
};

/// A longer line is none of ours.
const LINE_LIMIT: u64 = 1024 * 1024;

/// How much of a segment's end is looked at for its last line.
const TAIL: u64 = 256 * 1024;

/// What a journal turned out to be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::store) struct Replayed {
    /// The last batch that it tells of.
    pub(in crate::store) last_batch: u64,
    /// Lines and segments that are missing or broken, but for a torn end: what they said is not known.
    pub(in crate::store) damaged: u64,
}

/// A journal to be read.
pub(in crate::store) struct Replay<'f>(pub(in crate::store) &'f Path);

impl Replay<'_> {
    /// Gives every entry since the last segment that holds everything, in order, to `take`, with its line's bytes.
    ///
    /// # Errors
    /// Of the file system, and those of `take`.
    pub(in crate::store) fn each<E: From<io::Error>>(
        &self,
        last: u64,
        mut take: impl FnMut(Entry<'static>, &[u8]) -> Result<(), E>,
    ) -> Result<Replayed, E> {
        let mut segments = segments(self.0)?;
        segments.retain(|segment| segment.number <= last);
        // The number that the next segment has to have; the first one, or the last that holds everything.
        let (mut begin, mut expected) = (0, 1);
        for (index, segment) in segments.iter().enumerate() {
            if is_whole(&segment.path)? {
                (begin, expected) = (index, segment.number);
            }
        }
        let mut replayed = Replayed::default();
        for segment in &segments[begin..] {
            replayed.damaged += u64::from(segment.number != expected);
            expected = segment.number + 1;
            each_of(&segment.path, &mut replayed, &mut take)?;
        }
        Ok(replayed)
    }
}

impl Replay<'_> {
    /// The last batch that the journal tells of, from its end; 0 where that is not to be found there.
    pub(in crate::store) fn last_batch(&self) -> io::Result<u64> {
        for segment in segments(self.0)?.iter().rev() {
            let mut file = File::open(&segment.path)?;
            let length = file.metadata()?.len();
            file.seek(SeekFrom::Start(length.saturating_sub(TAIL)))?;
            let mut tail = Vec::new();
            file.read_to_end(&mut tail)?;
            let mut lines = tail.split_inclusive(|byte| *byte == b'\n').rev();
            // A segment's own first line has no batch.
            if let Some(batch) =
                lines.find_map(|line| entry::read(line).map(|(batch, _)| batch).filter(|batch| *batch > 0))
            {
                return Ok(batch);
            }
        }
        Ok(0)
    }

    /// Cuts off what was written for batches after this one: they were never confirmed, and the store does not have
    /// them.
    pub(in crate::store) fn cut_after(&self, batch: u64) -> io::Result<()> {
        for segment in segments(self.0)?.iter().rev() {
            let file = OpenOptions::new().read(true).write(true).open(&segment.path)?;
            let mut reader = BufReader::new(&file);
            let (mut line, mut offset, mut is_clean) = (Vec::new(), 0, true);
            while read_line(&mut reader, &mut line)? {
                if entry::read(&line).is_some_and(|(of, _)| of > batch) {
                    file.set_len(offset)?;
                    file.sync_all()?;
                    is_clean = false;
                    break;
                }
                offset += line.len() as u64;
            }
            if is_clean && offset > 0 {
                break;
            }
        }
        Ok(())
    }
}

fn is_whole(path: &Path) -> io::Result<bool> {
    let mut line = Vec::new();
    read_line(&mut BufReader::new(File::open(path)?), &mut line)?;
    Ok(matches!(entry::read(&line), Some((_, Entry::Begin(begin))) if begin.whole))
}

fn each_of<E: From<io::Error>>(
    path: &Path,
    replayed: &mut Replayed,
    take: &mut impl FnMut(Entry<'static>, &[u8]) -> Result<(), E>,
) -> Result<(), E> {
    let mut reader = BufReader::new(File::open(path)?);
    let (mut line, mut broken, mut is_first) = (Vec::new(), 0, true);
    while read_line(&mut reader, &mut line)? {
        let Some((batch, entry)) = entry::read(&line) else {
            broken += 1;
            // A torn first line is a segment in which nothing was ever written.
            is_first = false;
            continue;
        };
        replayed.damaged += std::mem::take(&mut broken);
        replayed.last_batch = replayed.last_batch.max(batch);
        match entry {
            Entry::Begin(begin) if is_first && begin.v <= VERSION => {}
            Entry::Begin(_) => replayed.damaged += 1,
            entry => take(entry, &line)?,
        }
        is_first = false;
    }
    // One torn line at the end is what a crash leaves; more are not.
    replayed.damaged += broken.saturating_sub(1);
    Ok(())
}

fn read_line(reader: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<bool> {
    line.clear();
    let length = Read::take(&mut *reader, LINE_LIMIT).read_until(b'\n', line)?;
    Ok(length > 0)
}
