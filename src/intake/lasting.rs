//! Brings many files to the disk at once: a flush of the disk costs the same for one file as for fifty.

use std::{
    fs::{self, File},
    io,
    path::Path,
    sync::OnceLock,
};

/// From so many files on, one sync of their file system is cheaper than one for each.
const SHARED: usize = 8;

/// How what is about to be written becomes lasting.
#[derive(Debug)]
pub(super) enum Lasting {
    /// Each file by itself, when it is written.
    Each,
    /// All together by a sync of their file system.
    Together(File),
}

impl Lasting {
    /// For `files` files that will be written below `folder`. Opened before they are, because the kernel tells a
    /// failed write to those handles only that were open by then.
    pub(super) fn plan(folder: &Path, files: usize) -> io::Result<Self> {
        if files < SHARED || !tells_failures() {
            return Ok(Self::Each);
        }
        Ok(Self::Together(File::open(folder)?))
    }

    /// After one file was written.
    pub(super) fn written(&self, file: &File) -> io::Result<()> {
        match self {
            Self::Each => file.sync_data(),
            Self::Together(_) => Ok(()),
        }
    }

    /// After all were written and renamed: with them the names in these folders.
    pub(super) fn finish<'a>(&self, folders: impl IntoIterator<Item = &'a Path>) -> io::Result<()> {
        match self {
            Self::Each => folders.into_iter().try_for_each(|folder| File::open(folder)?.sync_all()),
            Self::Together(root) => Ok(rustix::fs::syncfs(root)?),
        }
    }
}

/// Before Linux 5.8 `syncfs` said nothing of writes that failed.
fn tells_failures() -> bool {
    static TELLS: OnceLock<bool> = OnceLock::new();
    *TELLS.get_or_init(|| {
        fs::read_to_string("/proc/sys/kernel/osrelease")
            .ok()
            .and_then(|release| is_since_5_8(&release))
            .unwrap_or(false)
    })
}

fn is_since_5_8(release: &str) -> Option<bool> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit());
    let mut next = || numbers.next()?.parse::<u32>().ok();
    Some((next()?, next()?) >= (5, 8))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_kernels_whose_syncfs_tells_failures_are_trusted_with_it() {
        for (release, trusted) in [("6.18.44-fc", true), ("5.8.0", true), ("5.7.19", false), ("4.18.0-553.el8", false)]
        {
            assert_eq!(is_since_5_8(release), Some(trusted), "{release}");
        }
        assert_eq!(is_since_5_8("unknown"), None);
    }

    #[test]
    fn few_files_are_synced_one_by_one_and_many_together() {
        let folder = tempfile::tempdir().unwrap();
        assert!(matches!(Lasting::plan(folder.path(), SHARED - 1).unwrap(), Lasting::Each));
        let together = Lasting::plan(folder.path(), SHARED).unwrap();
        assert_eq!(matches!(together, Lasting::Together(_)), tells_failures());
        let file = File::create(folder.path().join("x")).unwrap();
        together.written(&file).unwrap();
        together.finish([folder.path()]).unwrap();
    }
}
