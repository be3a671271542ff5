//! A number beside sled's file that tells when the file lost what was promised.
//!
//! sled takes the first broken message of its log for the end of the log: a flipped bit there makes everything after
//! it vanish without an error. So every batch carries a number that grows, and after each sync that number is
//! written here too. It is not synced itself: after a power cut it is an earlier one, never a later one.

use std::{
    fs::{File, OpenOptions},
    io,
    os::unix::fs::{FileExt, OpenOptionsExt},
    path::Path,
};

/// The file `synced` of the store's folder: the number, and its complement as a check.
pub(super) struct Witness(File);

impl Witness {
    /// Opens or makes the file.
    pub(super) fn open(folder: &Path) -> io::Result<Self> {
        let path = folder.join("synced");
        OpenOptions::new().create(true).truncate(false).read(true).write(true).mode(0o600).open(path).map(Self)
    }

    /// The last batch that was synced, as far as it is known.
    pub(super) fn last_synced(&self) -> io::Result<u64> {
        let mut bytes = [0; 16];
        match self.0.read_exact_at(&mut bytes, 0) {
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

    /// Notes that a batch was synced.
    pub(super) fn note(&self, batch: u64) -> io::Result<()> {
        let number = u128::from(batch) << 64 | u128::from(!batch);
        self.0.write_all_at(&number.to_be_bytes(), 0)
    }
}
