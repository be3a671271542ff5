//! What a folder lies on: whether events can be trusted there, and how much room is left.

use std::{io, path::Path};

/// The kind of a file system, as far as it matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileSystem {
    /// On this machine: events come.
    Local,
    /// NFS, SMB, FUSE and the like: others write, and no event comes.
    Network,
}

/// Magic numbers of statfs(2) whose writers sit elsewhere: NFS, SMB, SMB2, CIFS, FUSE, 9P, Ceph, AFS, Coda, NCP.
const REMOTE: [u64; 10] =
    [0x6969, 0x517b, 0xfe53_4d42, 0xff53_4d42, 0x6573_5546, 0x0102_1997, 0x00c3_6400, 0x5346_414f, 0x7375_7245, 0x564c];

impl FileSystem {
    /// What the path lies on.
    ///
    /// # Errors
    /// The path cannot be looked at.
    pub fn of(path: &Path) -> io::Result<Self> {
        let kind = u64::try_from(rustix::fs::statfs(path)?.f_type).unwrap_or_default() & 0xffff_ffff;
        Ok(if REMOTE.contains(&kind) { Self::Network } else { Self::Local })
    }
}

/// Room on a file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    /// Bytes that we may still write.
    pub bytes: u64,
    /// Files that may still be made; `None` where the file system does not count them.
    pub files: Option<u64>,
}

impl Space {
    /// The room where the path lies.
    ///
    /// # Errors
    /// The path cannot be looked at.
    pub fn at(path: &Path) -> io::Result<Self> {
        let facts = rustix::fs::statvfs(path)?;
        Ok(Self {
            bytes: facts.f_bavail.saturating_mul(facts.f_frsize),
            files: (facts.f_files > 0).then_some(facts.f_favail),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_temporary_folder_is_local_and_has_room() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(FileSystem::of(folder.path()).unwrap(), FileSystem::Local);
        assert!(Space::at(folder.path()).unwrap().bytes > 0);
        assert!(FileSystem::of(&folder.path().join("missing")).is_err());
    }
}
