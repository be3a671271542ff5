//! How far it has come: a bar on the terminal, with the time that is left once the files have been counted.
//!
//! The files are judged as they are found; those that are still to come are counted beside that, and only when so many
//! have been judged that somebody may be waiting.

use super::files::Files;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::{
    io::{self, IsTerminal},
    path::PathBuf,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

/// Fewer files are done before anybody looks.
const MANY: u64 = 50;
/// Drawn so often in a second at most.
const OFTEN: u8 = 10;
/// Before the files are counted.
const COUNTING: &str = "{human_pos} files, {msg}";
/// Afterwards.
const COUNTED: &str = "[{bar:30}] {human_pos} of {human_len} files, {msg}, {eta} left";

/// Shows nothing where standard error is no terminal.
pub(super) struct Progress {
    /// What is judged; nothing where nobody looks.
    paths: Option<Vec<PathBuf>>,
    shown: Option<Shown>,
}

struct Shown {
    bar: ProgressBar,
    total: Arc<Total>,
}

/// How many files there are.
#[derive(Default)]
struct Total {
    files: OnceLock<u64>,
    /// Nobody needs it any more.
    over: AtomicBool,
}

impl Progress {
    /// Of these paths.
    pub(super) fn new(paths: &[PathBuf]) -> Self {
        let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        let wanted = io::stderr().is_terminal() && !dumb;
        Self { paths: wanted.then(|| paths.to_vec()), shown: None }
    }

    /// After each file; `failed` of `files` count as failed.
    pub(super) fn tell(&mut self, files: u64, failed: u64) {
        if files > MANY
            && let Some(paths) = self.paths.take()
        {
            self.shown = Some(Shown::new(ProgressDrawTarget::stderr_with_hz(OFTEN), paths, files));
        }
        if let Some(shown) = &self.shown {
            shown.tell(files, failed);
        }
    }

    /// Writes something else, with the bar out of the way.
    pub(super) fn aside<T>(&self, write: impl FnOnce() -> T) -> T {
        match &self.shown {
            Some(shown) => shown.bar.suspend(write),
            None => write(),
        }
    }

    /// All is done.
    pub(super) fn end(&mut self) {
        self.paths = None;
        self.shown = None;
    }
}

impl Shown {
    fn new(target: ProgressDrawTarget, paths: Vec<PathBuf>, files: u64) -> Self {
        let bar = ProgressBar::with_draw_target(None, target).with_position(files).with_style(style(COUNTING));
        bar.reset_eta();
        let total = Arc::new(Total::default());
        let counted = Arc::clone(&total);
        // without a thread to spare there is no end in sight, and that is all
        drop(thread::Builder::new().name("count".to_owned()).spawn(move || counted.count(paths)));
        Self { bar, total }
    }

    fn tell(&self, files: u64, failed: u64) {
        if self.bar.length().is_none()
            && let Some(total) = self.total.files.get()
        {
            self.bar.set_length(*total);
            self.bar.set_style(style(COUNTED));
        }
        self.bar.set_message(format!("{failed} failed"));
        self.bar.set_position(files);
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        self.total.over.store(true, Ordering::Relaxed);
        self.bar.finish_and_clear();
    }
}

impl Total {
    fn count(&self, paths: Vec<PathBuf>) {
        let mut files = 0;
        for _ in Files::new(paths) {
            if self.over.load(Ordering::Relaxed) {
                return;
            }
            files += 1;
        }
        self.files.get_or_init(|| files);
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("=> ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use indicatif::TermLike;
    use std::{fs, sync::Mutex};

    /// A terminal of one line.
    #[derive(Clone, Debug, Default)]
    struct Line(Arc<Mutex<String>>);

    impl Line {
        fn text(&self) -> String {
            self.0.lock().unwrap().trim().to_owned()
        }
    }

    impl TermLike for Line {
        fn width(&self) -> u16 {
            100
        }
        fn move_cursor_up(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_down(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_right(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_left(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn write_line(&self, text: &str) -> io::Result<()> {
            self.write_str(text)
        }
        fn write_str(&self, text: &str) -> io::Result<()> {
            self.0.lock().unwrap().push_str(text);
            Ok(())
        }
        fn clear_line(&self) -> io::Result<()> {
            self.0.lock().unwrap().clear();
            Ok(())
        }
        fn flush(&self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn the_bar_tells_how_many_are_left_once_they_are_counted() {
        let folder = tempfile::tempdir().unwrap();
        for number in 0..60 {
            fs::write(folder.path().join(format!("{number}.json")), "{}").unwrap();
        }
        fs::write(folder.path().join("other.txt"), "").unwrap();
        let line = Line::default();
        let target = ProgressDrawTarget::term_like(Box::new(line.clone()));
        let shown = Shown::new(target, vec![folder.path().to_owned()], MANY + 1);
        assert_eq!(*shown.total.files.wait(), 60);
        shown.tell(55, 2);
        let progress = Progress { paths: None, shown: Some(shown) };
        let seen = progress.aside(|| line.text());
        assert_eq!(seen, "", "the bar is out of the way");
        let bar = line.text();
        assert!(bar.contains("] 55 of 60 files, 2 failed, ") && bar.ends_with(" left"), "{bar}");
        drop(progress);
        assert_eq!(line.text(), "", "the bar leaves nothing behind");
    }

    #[test]
    fn nothing_is_shown_of_few_files_or_where_nobody_looks() {
        let mut few = Progress { paths: Some(Vec::new()), shown: None };
        few.tell(MANY, 0);
        assert!(few.shown.is_none());
        let mut unseen = Progress { paths: None, shown: None };
        unseen.tell(MANY + 1, 0);
        assert!(unseen.shown.is_none());
        assert_eq!(unseen.aside(|| 1), 1);
    }
}
