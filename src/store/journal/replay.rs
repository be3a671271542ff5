//! Reading the journal from its beginning, or from where the database ends.

use super::{
    Segment,
    entry::{Entry, Line, More, VERSION},
    segments,
};
use std::{
    fs::File,
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

/// Which part of a journal is read.
#[derive(Clone, Copy, Debug)]
pub(in crate::store) struct Span {
    /// Batches up to this one are known already.
    after: u64,
    /// The last segment's number.
    last: u64,
}

impl Span {
    /// All batches after this one.
    pub(in crate::store) const fn after(batch: u64) -> Self {
        Self { after: batch, last: u64::MAX }
    }

    /// All up to the segment of this number.
    pub(super) const fn up_to(segment: u64) -> Self {
        Self { after: 0, last: segment }
    }
}

/// A journal to be read.
pub(in crate::store) struct Replay<'f>(pub(in crate::store) &'f Path);

impl Replay<'_> {
    /// Gives every entry of whole batches, since the last segment that holds everything, in order, to `take`, with its
    /// line's bytes.
    ///
    /// # Errors
    /// Of the file system, and those of `take`.
    pub(in crate::store) fn each<E: From<io::Error>>(
        &self,
        span: Span,
        mut take: impl FnMut(Entry<'static>, &[u8]) -> Result<(), E>,
    ) -> Result<Replayed, E> {
        let mut segments = segments(self.0)?;
        segments.retain(|segment| segment.number <= span.last);
        // The number that the next segment has to have; the first one, or the last that holds everything.
        let (mut begin, mut expected) = (0, 1);
        for (index, segment) in segments.iter().enumerate().rev() {
            let opening = Opening::of(segment)?;
            // What came before it is known already.
            let is_known = span.after > 0 && opening.first.is_some_and(|first| first <= span.after);
            if opening.is_whole || is_known {
                (begin, expected) = (index, segment.number);
                break;
            }
        }
        let mut reading = Reading { after: span.after, replayed: Replayed::default(), take: &mut take };
        for segment in &segments[begin..] {
            reading.replayed.damaged += u64::from(segment.number != expected);
            expected = segment.number + 1;
            reading.segment(segment)?;
        }
        Ok(reading.replayed)
    }

    /// The last whole batch that the journal tells of, from its end; 0 where there is none.
    pub(in crate::store) fn last_batch(&self) -> io::Result<u64> {
        for segment in segments(self.0)?.iter().rev() {
            if let Some(batch) = last_batch_of(segment)? {
                return Ok(batch);
            }
        }
        Ok(0)
    }
}

/// A batch may be long, and one that is torn long too: more is read until a whole one is found.
fn last_batch_of(segment: &Segment) -> io::Result<Option<u64>> {
    let is_whole = Opening::of(segment)?.is_whole;
    let mut file = File::open(&segment.path)?;
    let length = file.metadata()?.len();
    let (mut tail, mut look) = (Vec::new(), TAIL);
    loop {
        file.seek(SeekFrom::Start(length.saturating_sub(look)))?;
        tail.clear();
        file.read_to_end(&mut tail)?;
        let lines = tail.split_inclusive(|byte| *byte == b'\n').rev();
        // A segment's own first line has no batch.
        let mut ends = lines.filter_map(Line::read).filter(|line| is_whole || line.more == More::Ends);
        match ends.find(|line| line.batch > 0) {
            None if look < length => look *= 8,
            found => return Ok(found.map(|line| line.batch)),
        }
    }
}

/// How a segment begins.
struct Opening {
    /// It holds everything: what earlier segments say is forgotten.
    is_whole: bool,
    /// The batch of its first line.
    first: Option<u64>,
}

impl Opening {
    fn of(segment: &Segment) -> io::Result<Self> {
        let mut reader = BufReader::new(File::open(&segment.path)?);
        let mut line = Vec::new();
        read_line(&mut reader, &mut line)?;
        let begin = Line::read(&line).and_then(|line| line.entry());
        let is_whole = matches!(begin, Some(Entry::Begin(begin)) if begin.whole);
        read_line(&mut reader, &mut line)?;
        Ok(Self { is_whole, first: Line::read(&line).map(|line| line.batch) })
    }
}

/// Who takes the entries, each with its line's bytes.
type Take<'t, E> = &'t mut dyn FnMut(Entry<'static>, &[u8]) -> Result<(), E>;

struct Reading<'t, E> {
    after: u64,
    replayed: Replayed,
    take: Take<'t, E>,
}

impl<E: From<io::Error>> Reading<'_, E> {
    fn segment(&mut self, segment: &Segment) -> Result<(), E> {
        let mut reader = BufReader::new(File::open(&segment.path)?);
        let (mut bytes, mut broken, mut is_first, mut is_whole) = (Vec::new(), 0, true, false);
        // Lines of a batch whose end was not read yet.
        let mut batch: Vec<(Entry<'static>, Vec<u8>)> = Vec::new();
        let mut number = 0;
        while read_line(&mut reader, &mut bytes)? {
            let line = Line::read(&bytes);
            let known = line.as_ref().is_some_and(|line| line.batch > 0 && line.batch <= self.after);
            if known {
                // Whatever is broken before it was known too.
                (broken, is_first) = (0, false);
                continue;
            }
            let Some((line, entry)) = line.and_then(|line| line.entry().map(|entry| (line, entry))) else {
                broken += 1;
                // A torn first line is a segment in which nothing was ever written.
                is_first = false;
                continue;
            };
            self.replayed.damaged += std::mem::take(&mut broken);
            match entry {
                Entry::Begin(begin) if is_first && begin.v <= VERSION => {
                    is_whole = begin.whole;
                    self.replayed.last_batch = self.replayed.last_batch.max(line.batch);
                }
                Entry::Begin(_) => self.replayed.damaged += 1,
                entry => {
                    // It goes on although its end was not read: that was damaged, and what is left of it counts.
                    if number != line.batch {
                        self.batch(number, &mut batch)?;
                    }
                    number = line.batch;
                    let is_last = is_whole || line.more == More::Ends;
                    batch.push((entry, std::mem::take(&mut bytes)));
                    if is_last {
                        self.batch(number, &mut batch)?;
                    }
                }
            }
            is_first = false;
        }
        // One torn line at the end is what a crash leaves, with the beginning of its batch; more are not.
        self.replayed.damaged += broken.saturating_sub(1);
        Ok(())
    }

    fn batch(&mut self, number: u64, batch: &mut Vec<(Entry<'static>, Vec<u8>)>) -> Result<(), E> {
        self.replayed.last_batch = self.replayed.last_batch.max(number);
        batch.drain(..).try_for_each(|(entry, line)| (self.take)(entry, &line))
    }
}

fn read_line(reader: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<bool> {
    line.clear();
    let length = Read::take(&mut *reader, LINE_LIMIT).read_until(b'\n', line)?;
    Ok(length > 0)
}
