//! Text that has to wait for what stands before it: in memory while it is small, then in a file without a name.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Seek, SeekFrom, Write},
    os::unix::fs::OpenOptionsExt,
};

/// What stays in memory.
const MOST: usize = 8 << 20;

/// Grows at its end and is read once.
#[derive(Default)]
pub(super) struct Spill {
    memory: Vec<u8>,
    file: Option<File>,
}

impl Spill {
    pub(super) fn push(&mut self, text: &str) -> io::Result<()> {
        self.memory.extend_from_slice(text.as_bytes());
        if self.memory.len() > MOST { self.relieve() } else { Ok(()) }
    }

    fn relieve(&mut self) -> io::Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            None => self.file.insert(nameless()?),
        };
        file.write_all(&self.memory)?;
        self.memory.clear();
        Ok(())
    }

    /// Everything, in its order.
    pub(super) fn pour(mut self, to: &mut impl Write) -> io::Result<()> {
        if let Some(file) = &mut self.file {
            file.seek(SeekFrom::Start(0))?;
            io::copy(file, to)?;
        }
        to.write_all(&self.memory)
    }
}

/// A file for us alone that is gone with the process.
fn nameless() -> io::Result<File> {
    let path = std::env::temp_dir().join(format!("pushbridge-validate-{}", std::process::id()));
    let file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&path)?;
    fs::remove_file(&path)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_in_comes_out_in_order_beyond_memory_too() {
        let mut spill = Spill::default();
        let line = "x".repeat(1 << 20);
        for number in 0..20 {
            spill.push(&format!("{number}{line}")).unwrap();
        }
        assert!(spill.file.is_some() && spill.memory.len() <= MOST);
        let mut out = Vec::new();
        spill.pour(&mut out).unwrap();
        let expected: String = (0..20).map(|number| format!("{number}{line}")).collect();
        assert!(out == expected.into_bytes());
    }
}
