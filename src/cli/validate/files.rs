//! What is judged: standard input, files, and what lies below folders in sorted order.

use std::{
    fs::{self, File},
    io::{self, Read},
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
    vec,
};

/// The name of standard input, on the command line and in what is printed.
pub(super) const STANDARD_INPUT: &str = "-";

/// Where bytes come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Source {
    StandardInput,
    File(PathBuf),
}

impl Source {
    fn new(path: PathBuf) -> Self {
        if path.as_os_str() == STANDARD_INPUT { Self::StandardInput } else { Self::File(path) }
    }

    pub(super) fn path(&self) -> &Path {
        match self {
            Self::StandardInput => Path::new(STANDARD_INPUT),
            Self::File(path) => path,
        }
    }

    /// The name as it is printed.
    pub(super) fn name(&self) -> String {
        self.path().display().to_string()
    }

    pub(super) fn path_bytes(&self) -> &[u8] {
        self.path().as_os_str().as_bytes()
    }

    /// All bytes, or one more than `most` where there are more: the reader then says that it is too large.
    pub(super) fn read(&self, most: u64) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        match self {
            Self::StandardInput => io::stdin().lock().take(most.saturating_add(1)).read_to_end(&mut bytes)?,
            Self::File(path) => {
                let file = File::open(path)?;
                let size = file.metadata().map_or(0, |metadata| metadata.len().min(most));
                bytes.reserve_exact(usize::try_from(size).unwrap_or(0).saturating_add(1));
                file.take(most.saturating_add(1)).read_to_end(&mut bytes)?
            }
        };
        Ok(bytes)
    }
}

/// Something to judge, or a place that could not be looked into.
pub(super) type Found = Result<Source, (PathBuf, io::Error)>;

/// The files of the given paths, in their order; folders are walked as far as is asked for. Links below a folder
/// are not followed.
#[derive(Debug)]
pub(super) struct Files {
    given: vec::IntoIter<PathBuf>,
    /// The folders that are being walked, outermost first.
    open: Vec<vec::IntoIter<fs::DirEntry>>,
}

impl Files {
    pub(super) fn new(given: Vec<PathBuf>) -> Self {
        Self { given: given.into_iter(), open: Vec::new() }
    }

    fn enter(&mut self, folder: &Path) -> io::Result<()> {
        let mut entries: Vec<fs::DirEntry> = fs::read_dir(folder)?.collect::<io::Result<_>>()?;
        entries.sort_by_key(fs::DirEntry::file_name);
        self.open.push(entries.into_iter());
        Ok(())
    }

    /// What an entry of a folder is; `None` where it is nothing to judge or a folder that is walked now.
    fn look(&mut self, entry: &fs::DirEntry) -> Option<Found> {
        let path = entry.path();
        let entered = entry.file_type().and_then(|kind| if kind.is_dir() { self.enter(&path) } else { Ok(()) });
        if let Err(error) = entered {
            return Some(Err((path, error)));
        }
        let is_file = entry.file_type().is_ok_and(|kind| kind.is_file());
        (is_file && is_resource(&path)).then_some(Ok(Source::File(path)))
    }
}

/// The endings that resources have.
fn is_resource(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ["json", "xml"].iter().any(|known| ending.eq_ignore_ascii_case(known)))
}

impl Iterator for Files {
    type Item = Found;

    fn next(&mut self) -> Option<Found> {
        loop {
            if let Some(folder) = self.open.last_mut() {
                let Some(entry) = folder.next() else {
                    self.open.pop();
                    continue;
                };
                if let Some(found) = self.look(&entry) {
                    return Some(found);
                }
                continue;
            }
            let source = Source::new(self.given.next()?);
            let Source::File(path) = &source else { return Some(Ok(source)) };
            match fs::metadata(path) {
                Ok(metadata) if metadata.is_dir() => {
                    if let Err(error) = self.enter(path) {
                        return Some(Err((path.clone(), error)));
                    }
                }
                Ok(_) => return Some(Ok(source)),
                Err(error) => return Some(Err((path.clone(), error))),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_walked_in_order_and_what_is_missing_is_told_in_its_turn() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("b")).unwrap();
        for name in ["c.xml", "a.json", "b/2.JSON", "b/1.json", "readme.txt"] {
            fs::write(folder.path().join(name), "{}").unwrap();
        }
        let given = vec![folder.path().join("missing"), folder.path().to_owned(), "-".into()];
        let found: Vec<String> = Files::new(given)
            .map(|found| match found {
                Ok(source) => source.path().strip_prefix(folder.path()).unwrap_or(source.path()).display().to_string(),
                Err((path, error)) => format!("{}: {:?}", path.file_name().unwrap().display(), error.kind()),
            })
            .collect();
        assert_eq!(found, ["missing: NotFound", "a.json", "b/1.json", "b/2.JSON", "c.xml", "-"]);
    }

    #[test]
    fn no_more_is_read_than_the_reader_takes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.json");
        fs::write(&path, "0123456789").unwrap();
        assert_eq!(Source::File(path.clone()).read(4).unwrap(), b"01234");
        assert_eq!(Source::File(path).read(10).unwrap(), b"0123456789");
    }
}
