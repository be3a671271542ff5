//! A whole store, sealed: for another disk, or for another machine.
//!
//! ```text
//! {"kind":"pushbridge-backup","v":1,"id":"5c01...","made":"2026-11-24T10:00:00Z","moved":false}
//! 1a2b3c4d.<base64url of a sealed block>
//! ```
//!
//! The blocks are sealed with their number and the backup's id, the last one as the last: none can be changed, left
//! out, put elsewhere or taken from another backup. Inside is the key of the keyed hashes, a line, and then an export
//! with its secrets.
//!
//! What is restored may have been sent and spent since: unless the source was retired with the backup, everything
//! unfinished is Unknown, each pair of tokens is tried once, and nothing is pushed until somebody confirms.

use super::{
    DestinationState, ExportError, ImportError, Imported, Pause, Secrets, Store, StoreError, Write,
    export::{everything, export, import},
};
use crate::model::{
    ContractName, Digest, HashKey, Purpose, SealError, Sealed, Sealer, Secret, Stage, Submission, Timestamp,
    TokenState, random_bytes,
};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeSet,
    io::{self, BufRead, BufReader, Read, Seek, SeekFrom},
};

/// The form of backups that this program writes.
const VERSION: u32 = 1;
const KIND: &str = "pushbridge-backup";

/// Bytes sealed at once.
const BLOCK: usize = 64 * 1024;
/// A longer line is no block.
const LINE_LIMIT: u64 = 2 * BLOCK as u64;

/// First line of a backup.
#[derive(Serialize, Deserialize)]
struct Head {
    kind: String,
    v: u32,
    id: Digest,
    made: Timestamp,
    moved: bool,
}

/// Whether the source goes on after the backup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// It does: what the backup knows grows old.
    GoesOn,
    /// It is retired: the backup is the store from now on.
    Retired,
}

/// Why there is no backup, or why one cannot be restored.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// Of the store or the output.
    #[error(transparent)]
    Export(#[from] ExportError),
    /// Of the store or of what is inside.
    #[error(transparent)]
    Import(#[from] ImportError),
    /// Of the store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The file cannot be read or written.
    #[error("read or write the backup: {0}")]
    File(#[from] io::Error),
    /// It is something else.
    #[error("restore a backup: this is none, or its first line was changed")]
    NoBackup,
    /// A later pushbridge made it.
    #[error("restore a backup: its form {found} is newer than this pushbridge, which knows {VERSION}")]
    Newer {
        /// Its form.
        found: u32,
    },
    /// A block cannot be opened.
    #[error("restore a backup: block {number}: {why}")]
    Block {
        /// Counted from 1.
        number: u64,
        /// What is wrong.
        why: SealError,
    },
    /// Blocks are missing at its end.
    #[error("restore a backup: it was cut, the last block is missing")]
    Cut,
    /// There is something in the store already.
    #[error("restore a backup: the store is not empty; restore into a new state folder")]
    NotEmpty,
}

/// What was restored.
#[derive(Debug)]
pub struct Restored {
    /// The key of the keyed hashes, as its file has it: without it no link is found.
    pub hash_key: Secret<String>,
    /// What was put in.
    pub imported: Imported,
    /// When the backup was made.
    pub made: Timestamp,
    /// Whether somebody has to confirm before anything is pushed.
    pub needs_confirmation: bool,
}

/// Writes everything that the store knows, sealed, with the key of the keyed hashes. The store may be written to
/// meanwhile: each record is whole, as it was at some moment of the backup, and a restored copy doubts all that was open.
///
/// # Errors
/// Of the store and of the output.
pub fn backup(
    store: &dyn Store,
    hash_key: &HashKey,
    source: Source,
    sealer: &Sealer,
    out: &mut dyn io::Write,
) -> Result<(), BackupError> {
    let id = Digest::from_bytes(random_bytes());
    let moved = source == Source::Retired;
    let head = Head { kind: KIND.to_owned(), v: VERSION, id, made: Timestamp::now(), moved };
    serde_json::to_writer(&mut *out, &head).map_err(io::Error::from)?;
    out.write_all(b"\n")?;
    let mut sealing = Sealing { sealer, head: &head, out, block: Secret::new(Vec::with_capacity(BLOCK)), number: 0 };
    io::Write::write_all(&mut sealing, format!("{}\n", hash_key.to_text().expose()).as_bytes())?;
    export(store, Secrets::With, &mut sealing)?;
    sealing.seal(true)?;
    out.flush()?;
    Ok(())
}

/// Puts a backup into a store that is empty. All of it is opened before the first record is written.
///
/// # Errors
/// It is damaged, cut, sealed under another key, or the store is not empty.
pub fn restore<R: BufRead + Seek>(store: &dyn Store, sealer: &Sealer, input: &mut R) -> Result<Restored, BackupError> {
    let mut is_empty = true;
    everything::<StoreError>(store, &mut |page| {
        is_empty &= page.is_empty();
        Ok(())
    })?;
    if !is_empty {
        return Err(BackupError::NotEmpty);
    }
    let mut line = Vec::new();
    input.take(LINE_LIMIT).read_until(b'\n', &mut line)?;
    let head: Head = serde_json::from_slice(&line).map_err(|_| BackupError::NoBackup)?;
    match head.v {
        _ if head.kind != KIND => return Err(BackupError::NoBackup),
        found if found > VERSION => return Err(BackupError::Newer { found }),
        _ => {}
    }
    let blocks = input.stream_position()?;
    io::copy(&mut Opening::new(sealer, &head, input), &mut io::sink()).map_err(|error| of_inside(error.into()))?;
    input.seek(SeekFrom::Start(blocks))?;
    let mut inside = BufReader::new(Opening::new(sealer, &head, input));
    let mut hash_key = Secret::new(String::new());
    let read =
        read_key(&mut inside, &mut hash_key).map_err(ImportError::from).and_then(|()| import(store, &mut inside));
    let imported = read.map_err(of_inside)?;
    if !head.moved {
        doubt(store, head.made)?;
    }
    Ok(Restored { hash_key, imported, made: head.made, needs_confirmation: !head.moved })
}

/// Somebody has seen to it that nobody else pushes: pushing may begin.
///
/// # Errors
/// Of the store.
pub fn confirm(store: &dyn Store) -> Result<(), StoreError> {
    let open = |state: DestinationState| Write::Destination(DestinationState { paused: None, ..state });
    store.commit(&store.destinations()?.into_iter().map(open).collect::<Vec<_>>())
}

/// Since which backup somebody has to confirm, if so.
///
/// # Errors
/// Of the store.
pub fn unconfirmed(store: &dyn Store) -> Result<Option<Pause>, StoreError> {
    Ok(store.destinations()?.into_iter().find_map(|state| state.paused))
}

/// What may have happened since a backup was made has happened, as far as anybody here knows.
fn doubt(store: &dyn Store, made: Timestamp) -> Result<(), StoreError> {
    let mut contracts: BTreeSet<ContractName> = BTreeSet::new();
    everything(store, &mut |page| {
        let mut doubted = Vec::new();
        for write in page {
            match write {
                Write::Submission(submission) if !submission.stage.is_final() => {
                    let attempt = submission.attempts.last().map_or(0, |attempt| attempt.number);
                    let unknown =
                        Submission { stage: Stage::Unknown { attempt }, settled: false, ..(**submission).clone() };
                    doubted.push(Write::Submission(Box::new(unknown)));
                }
                Write::Person(person) => {
                    contracts.insert(person.contract.clone());
                    let mut person = person.clone();
                    if person.state == TokenState::Fresh {
                        person.state = TokenState::Rotating;
                    }
                    doubted.push(Write::Person(person));
                }
                Write::Account(account) => drop(contracts.insert(account.contract.clone())),
                _ => {}
            }
        }
        if doubted.is_empty() { Ok(()) } else { store.apply(&doubted) }
    })?;
    let why = format!("restored from a backup of {made}");
    let pause = |contract| {
        let paused = Some(Pause { why: why.clone(), since: Timestamp::now() });
        Write::Destination(DestinationState { contract, paused })
    };
    store.commit(&contracts.into_iter().map(pause).collect::<Vec<_>>())
}

fn read_key(inside: &mut impl BufRead, key: &mut Secret<String>) -> io::Result<()> {
    let mut line = String::new();
    inside.take(LINE_LIMIT).read_line(&mut line)?;
    *key = Secret::new(line);
    Ok(())
}

/// What went wrong with a block came through the reader of its contents.
fn of_inside(error: ImportError) -> BackupError {
    match error {
        ImportError::Input(error) => match error.downcast::<BackupError>() {
            Ok(error) => error,
            Err(error) => BackupError::File(error),
        },
        error => BackupError::Import(error),
    }
}

fn context(head: &Head, number: u64, is_last: bool) -> Vec<u8> {
    let Head { id, made, moved, .. } = head;
    format!("{id} {made} {moved} {number} {is_last}").into_bytes()
}

struct Sealing<'o> {
    sealer: &'o Sealer,
    head: &'o Head,
    out: &'o mut dyn io::Write,
    block: Secret<Vec<u8>>,
    number: u64,
}

impl Sealing<'_> {
    fn seal(&mut self, is_last: bool) -> io::Result<()> {
        self.number += 1;
        let block = std::mem::replace(&mut self.block, Secret::new(Vec::with_capacity(BLOCK)));
        let context = context(self.head, self.number, is_last);
        let sealed = String::from(self.sealer.seal(Purpose::Backup, &context, block.expose()));
        writeln!(self.out, "{sealed}")
    }
}

impl io::Write for Sealing<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = BLOCK - self.block.expose().len();
        let taken = bytes.len().min(room);
        self.block.expose_mut().extend_from_slice(&bytes[..taken]);
        if taken == room {
            self.seal(false)?;
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(()) // a block is sealed when it is full, or the last
    }
}

struct Opening<'i, R> {
    sealer: &'i Sealer,
    head: &'i Head,
    input: &'i mut R,
    clear: Secret<Vec<u8>>,
    at: usize,
    number: u64,
    ended: bool,
}

impl<'i, R: BufRead> Opening<'i, R> {
    const fn new(sealer: &'i Sealer, head: &'i Head, input: &'i mut R) -> Self {
        Self { sealer, head, input, clear: Secret::new(Vec::new()), at: 0, number: 0, ended: false }
    }

    fn open(&mut self) -> Result<(), BackupError> {
        let mut line = String::new();
        (&mut self.input).take(LINE_LIMIT).read_line(&mut line)?;
        if line.is_empty() {
            return Err(BackupError::Cut);
        }
        self.number += 1;
        let number = self.number;
        let block = |why| BackupError::Block { number, why };
        let sealed = Sealed::try_from(line.trim_end().to_owned()).map_err(|_| block(SealError::Broken))?;
        let open = |is_last| self.sealer.open(Purpose::Backup, &context(self.head, number, is_last), &sealed);
        (self.clear, self.ended) = match open(false) {
            Ok(clear) => (clear, false),
            Err(SealError::Broken) => (open(true).map_err(block)?, true),
            Err(why) => return Err(block(why)),
        };
        self.at = 0;
        Ok(())
    }
}

impl<R: BufRead> Read for Opening<'_, R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while self.at == self.clear.expose().len() {
            if self.ended {
                return Ok(0);
            }
            self.open().map_err(io::Error::other)?;
        }
        let rest = &self.clear.expose()[self.at..];
        let taken = rest.len().min(out.len());
        out[..taken].copy_from_slice(&rest[..taken]);
        self.at += taken;
        Ok(taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{
        memory::MemoryStore,
        model_test::{account, compare, link, person, sealer, submission},
    };

    fn store() -> MemoryStore {
        let store = MemoryStore::default();
        let submissions = (0..400).map(|number| {
            let mut record = submission(number);
            if number % 2 == 0 {
                record.stage = Stage::Dropped;
            }
            Write::Submission(Box::new(record))
        });
        let known = [Write::Person(person(0, "token")), Write::Account(account(0, 0)), Write::Link(link(0, 0))];
        store.commit(&known.into_iter().chain(submissions).collect::<Vec<_>>()).unwrap();
        store
    }

    fn made(source: Source) -> Vec<u8> {
        let mut out = Vec::new();
        let key = HashKey::new([0xab; 32]);
        backup(&store(), &key, source, &sealer(1), &mut out).unwrap();
        out
    }

    fn restored(bytes: &[u8], key: u8) -> Result<(MemoryStore, Restored), BackupError> {
        let store = MemoryStore::default();
        let restored = restore(&store, &sealer(key), &mut io::Cursor::new(bytes))?;
        Ok((store, restored))
    }

    #[test]
    fn a_store_that_is_moved_is_the_same_elsewhere() {
        let bytes = made(Source::Retired);
        assert!(bytes.len() > 3 * BLOCK, "several blocks");
        assert!(!bytes.windows(5).any(|window| window == b"token"));
        let (there, restored) = restored(&bytes, 1).unwrap();
        compare(&there, &store());
        assert_eq!(restored.hash_key.expose().trim(), "ab".repeat(32));
        assert!(!restored.needs_confirmation && unconfirmed(&there).unwrap().is_none());
    }

    #[test]
    fn what_may_have_happened_since_a_backup_counts_as_done_until_somebody_confirms() {
        let (there, restored) = restored(&made(Source::GoesOn), 1).unwrap();
        assert!(restored.needs_confirmation && unconfirmed(&there).unwrap().is_some());
        let all = there.submissions(crate::store::Order::OldestFirst, None, 1000).unwrap();
        let unknown = all.iter().filter(|record| matches!(record.stage, Stage::Unknown { .. })).count();
        let dropped = all.iter().filter(|record| record.stage == Stage::Dropped).count();
        assert_eq!((unknown, dropped), (200, 200));
        assert_eq!(there.persons(None).unwrap()[0].state, TokenState::Rotating);
        confirm(&there).unwrap();
        assert!(unconfirmed(&there).unwrap().is_none());
    }

    #[test]
    fn a_backup_that_was_changed_in_any_way_is_refused() {
        let bytes = made(Source::GoesOn);
        let lines: Vec<&[u8]> = bytes.split_inclusive(|byte| *byte == b'\n').collect();
        let refused = |lines: &[&[u8]]| restored(&lines.concat(), 1).err().map(|error| error.to_string());
        assert_eq!(refused(&lines), None);
        assert!(refused(&lines[..lines.len() - 1]).unwrap().contains("it was cut"));
        let mut swapped = lines.clone();
        swapped.swap(1, 2);
        assert!(refused(&swapped).unwrap().contains("block 1: its seal is broken"));
        let left_out = [&lines[..2], &lines[3..]].concat();
        assert!(refused(&left_out).unwrap().contains("block 2: its seal is broken"));
        let moved = String::from_utf8(lines[0].to_vec()).unwrap().replace("false", "true");
        assert!(refused(&[&[moved.as_bytes()], &lines[1..]].concat()).unwrap().contains("its seal is broken"));
        assert!(refused(&[b"{}\n"]).unwrap().contains("this is none"));
        let other = restored(&bytes, 2).err().unwrap().to_string();
        assert!(other.contains("sealed under key"), "{other}");
        let full = store();
        let error = restore(&full, &sealer(1), &mut io::Cursor::new(&bytes)).err().unwrap();
        assert!(matches!(error, BackupError::NotEmpty));
    }
}
