//! A segment that holds everything: it counts only once it is whole.

use super::entry::{self, Begin, Entry, More, VERSION};
use std::{
    fs::{self, File, OpenOptions},
    io::{self, BufWriter, Write as _},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

/// The draft, beside the segments.
pub(super) struct Draft {
    path: PathBuf,
    out: BufWriter<File>,
}

impl Draft {
    /// Begins one in the place of an earlier one that was never finished.
    pub(super) fn begin(folder: &Path, name: &str, batch: u64) -> io::Result<Self> {
        let path = folder.join(name);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
        let mut draft = Self { path, out: BufWriter::new(file) };
        let mut line = Vec::new();
        entry::write(batch, &Entry::Begin(Begin { v: VERSION, whole: true }), More::Ends, &mut line)?;
        draft.lines(&line)?;
        Ok(draft)
    }

    /// Adds lines.
    pub(super) fn lines(&mut self, lines: &[u8]) -> io::Result<()> {
        self.out.write_all(lines)
    }

    /// Makes it the segment of this path, on the disk.
    pub(super) fn finish(self, segment: &Path) -> io::Result<()> {
        self.out.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
        fs::rename(&self.path, segment)?;
        match segment.parent() {
            Some(folder) => File::open(folder)?.sync_all(),
            None => Ok(()),
        }
    }
}
