//! Numbers beside sled's file that tell when it, or the journal, lost what was promised.
//!
//! sled takes the first broken message of its log for the end of the log: a flipped bit there makes everything after
//! it vanish without an error. So every batch carries a number that grows, and after each sync the last numbers are
//! written here too. They are not synced themselves: after a power cut they are earlier ones, never later ones.

use std::{
    fs::{File, OpenOptions},
    io,
    os::unix::fs::{FileExt, OpenOptionsExt},
    path::Path,
};

/// The last batches that are known to have been on the disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Promised {
    pub(super) database: u64,
    pub(super) journal: u64,
}

/// The file `synced` of the store's folder: two numbers, each with its complement as a check.
pub(super) struct Witness(File);

impl Witness {
    /// Opens or makes the file.
    pub(super) fn open(folder: &Path) -> io::Result<Self> {
        let path = folder.join("synced");
        OpenOptions::new().create(true).truncate(false).read(true).write(true).mode(0o600).open(path).map(Self)
    }

    /// What was noted last, as far as it is known.
    pub(super) fn read(&self) -> io::Result<Promised> {
        let database = self.number(0)?;
        // In the first form of stores the one number stood for both.
        Ok(Promised { database, journal: self.number(LENGTH)?.max(database) })
    }

    fn number(&self, at: u64) -> io::Result<u64> {
        let mut bytes = [0; LENGTH as usize];
        match self.0.read_exact_at(&mut bytes, at) {
            Ok(()) => {
                let number = u128::from_be_bytes(bytes);
                let (number, check) = (number >> 64, number & u128::from(u64::MAX));
                let number = u64::try_from(number).expect("half of 128 bits");
                Ok(if u128::from(!number) == check { number } else { 0 })
            }
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(0),
            Err(error) => Err(error),
        }
    }

    /// Notes that these are on the disk.
    pub(super) fn note(&self, promised: Promised) -> io::Result<()> {
        let checked = |batch: u64| (u128::from(batch) << 64 | u128::from(!batch)).to_be_bytes();
        let bytes = [checked(promised.database), checked(promised.journal)].concat();
        self.0.write_all_at(&bytes, 0)
    }
}

/// Bytes of a number with its check.
const LENGTH: u64 = 16;
