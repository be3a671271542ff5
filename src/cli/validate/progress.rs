//! How far it has come, as one line on the terminal that is written over.

use std::{
    io::{self, IsTerminal, Write},
    time::{Duration, Instant},
};

/// Fewer files are done before anybody looks.
const MANY: u64 = 50;
/// Between two lines.
const PAUSE: Duration = Duration::from_millis(100);
/// To the line's beginning, and clear it.
const CLEAR: &str = "\r\u{1b}[K";

/// Shows nothing where standard error is no terminal.
pub(super) struct Progress {
    wanted: bool,
    visible: bool,
    last: Instant,
}

impl Progress {
    pub(super) fn new() -> Self {
        let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        Self { wanted: io::stderr().is_terminal() && !dumb, visible: false, last: Instant::now() }
    }

    /// After each file; `failed` of `files` count as failed.
    pub(super) fn tell(&mut self, files: u64, failed: u64) {
        if self.wanted && files > MANY && self.last.elapsed() >= PAUSE {
            self.last = Instant::now();
            self.visible = true;
            let mut stderr = io::stderr().lock();
            write!(stderr, "{CLEAR}{files} files, {failed} failed").unwrap_or_default();
            stderr.flush().unwrap_or_default();
        }
    }

    /// Before anything else is written.
    pub(super) fn clear(&mut self) {
        if std::mem::take(&mut self.visible) {
            write!(io::stderr().lock(), "{CLEAR}").unwrap_or_default();
        }
    }
}
