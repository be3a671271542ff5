//! The audit log: who decided what, in `state/audit.jsonl`, a JSON line each, appended and synced.
//!
//! ```text
//! {"id":"5f0c...","at":"2026-11-24T10:00:00.000Z","uid":1000,"user":"anna","pid":4711,"through":"socket","command":"queue release","submission":"0hfz3k9q2m4tx","stage":"unknown"}
//! {"of":"5f0c...","at":"2026-11-24T10:00:00.004Z","done":true,"text":"claimed"}
//! ```
//!
//! The first line is on the disk before anything is done; where it cannot be written, nothing is done. The second says
//! what came of it, once that is on the disk too: after a power cut nothing that is said to be done is undone. Submissions stand by their ids, accounts by their references, links by the keyed hash of their
//! value; there is no patient data and no token in it. It grows by people's actions alone, so it is never cut.

use crate::model::{
    AccountReference, ChannelName, ContractName, EvidenceKind, KeyedHash, PersonId, SubmissionId, Timestamp,
    random_bytes,
};
use serde::{Deserialize, Serialize};
use std::{
    fs::{self, File, OpenOptions},
    io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Caller {
    /// The user's number, as the kernel tells it.
    pub uid: u32,
    /// Its name, where `/etc/passwd` has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The process.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid: Option<i32>,
    /// `socket` where the daemon was asked, `command` where the command opened the store itself.
    pub through: String,
}

impl Caller {
    /// Whoever is at the other end of a socket.
    pub fn at_the_socket(uid: u32, pid: Option<i32>) -> Self {
        Self { uid, user: name_of(uid), pid, through: "socket".to_owned() }
    }

    /// The user of this process.
    ///
    /// # Errors
    /// `/proc` does not tell.
    pub fn of_this_process() -> io::Result<Self> {
        let uid = fs::metadata("/proc/self")?.uid();
        let pid = i32::try_from(std::process::id()).ok();
        Ok(Self { uid, user: name_of(uid), pid, through: "command".to_owned() })
    }
}

fn name_of(uid: u32) -> Option<String> {
    let users = fs::read_to_string("/etc/passwd").ok()?;
    let fields = users.lines().map(|line| line.split(':').collect::<Vec<_>>());
    let number = uid.to_string();
    fields.into_iter().find(|fields| fields.get(2) == Some(&number.as_str())).map(|fields| fields[0].to_owned())
}

/// What somebody wants done, without values that may be patient data.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deed {
    /// As it is typed: `queue release --force`.
    pub command: String,
    /// About this submission.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub submission: Option<SubmissionId>,
    /// Where it stood.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage: Option<String>,
    /// In this channel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel: Option<ChannelName>,
    /// A link of this kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<EvidenceKind>,
    /// The keyed hash of the link's value, and of its system.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<KeyedHash>,
    /// These accounts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub accounts: Vec<AccountReference>,
    /// Under this contract.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contract: Option<ContractName>,
    /// Of this person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub person: Option<PersonId>,
}

impl Deed {
    /// One that has no more to it than its command.
    pub fn of(command: impl Into<String>) -> Self {
        Self { command: command.into(), ..Self::default() }
    }
}

/// A deed that stands in the log and has not ended.
#[derive(Clone, Debug)]
pub struct Begun(String);

#[derive(Serialize, Deserialize)]
struct DeedLine {
    id: String,
    at: String,
    #[serde(flatten)]
    caller: Caller,
    #[serde(flatten)]
    deed: Deed,
}

#[derive(Serialize, Deserialize)]
struct EndLine {
    of: String,
    at: String,
    done: bool,
    text: String,
}

/// One deed with its end, as the log tells it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// When it was asked for.
    pub at: String,
    /// Who.
    #[serde(flatten)]
    pub caller: Caller,
    /// What.
    #[serde(flatten)]
    pub deed: Deed,
    /// Whether it was done; `None` where the program ended before it could say so.
    pub done: Option<bool>,
    /// What came of it.
    pub text: Option<String>,
}

/// What a log says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entries {
    /// In the order of the file.
    pub entries: Vec<Entry>,
    /// Lines that cannot be read.
    pub unreadable: u64,
}

/// The log.
#[derive(Clone, Debug)]
pub struct Audit {
    path: PathBuf,
}

impl Audit {
    /// The log in this state folder; the file is made by its first line.
    pub fn new(state: &Path) -> Self {
        Self { path: state.join("audit.jsonl") }
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes what is about to be done, and brings it to the disk. What cannot be written must not be done.
    ///
    /// # Errors
    /// The file cannot be written or synced.
    pub fn begin(&self, caller: &Caller, deeds: Vec<Deed>) -> io::Result<Vec<Begun>> {
        let at = Timestamp::now().to_string();
        let mut begun = Vec::with_capacity(deeds.len());
        let mut lines = Vec::new();
        for deed in deeds {
            let id = format!("{:016x}", u64::from_be_bytes(random_bytes()));
            let line = DeedLine { id: id.clone(), at: at.clone(), caller: caller.clone(), deed };
            push_line(&mut lines, &line)?;
            begun.push(Begun(id));
        }
        self.append(&lines)?;
        Ok(begun)
    }

    /// Writes what came of it: what it is now, or why nothing was done.
    ///
    /// # Errors
    /// As for [`Audit::begin`]; the deed is done by then.
    pub fn end(&self, ended: Vec<(Begun, Result<String, String>)>) -> io::Result<()> {
        let at = Timestamp::now().to_string();
        let mut lines = Vec::new();
        for (Begun(of), outcome) in ended {
            let done = outcome.is_ok();
            let text = outcome.unwrap_or_else(|why| why);
            push_line(&mut lines, &EndLine { of, at: at.clone(), done, text })?;
        }
        self.append(&lines)
    }

    fn append(&self, lines: &[u8]) -> io::Result<()> {
        if lines.is_empty() {
            return Ok(());
        }
        let is_new = !self.path.exists();
        let mut file = OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(&self.path)?;
        let metadata = file.metadata()?;
        if metadata.permissions().mode() & 0o077 != 0 {
            file.set_permissions(fs::Permissions::from_mode(0o600))?;
        }
        // A disk that was full may have cut the last line: it must not spoil the next one.
        let is_cut = metadata.len() > 0 && {
            let mut last = [0];
            file.seek(SeekFrom::End(-1))?;
            file.read_exact(&mut last)?;
            last != *b"\n"
        };
        let text = if is_cut { [b"\n", lines].concat() } else { lines.to_vec() };
        file.write_all(&text)?;
        file.sync_data()?;
        match self.path.parent().filter(|_| is_new) {
            Some(folder) => File::open(folder)?.sync_all(),
            None => Ok(()),
        }
    }

    /// Reads the log; there is none before the first deed.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn read(&self) -> io::Result<Entries> {
        let file = match File::open(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Entries::default()),
            other => other?,
        };
        let mut found = Entries::default();
        let mut places = std::collections::HashMap::new();
        for line in BufReader::new(file).split(b'\n') {
            let line = line?;
            if let Ok(DeedLine { id, at, caller, deed }) = serde_json::from_slice(&line) {
                places.insert(id, found.entries.len());
                found.entries.push(Entry { at, caller, deed, done: None, text: None });
            } else if let Ok(EndLine { of, done, text, .. }) = serde_json::from_slice(&line)
                && let Some(entry) = places.get(&of).and_then(|place: &usize| found.entries.get_mut(*place))
            {
                (entry.done, entry.text) = (Some(done), Some(text));
            } else if !line.is_empty() {
                found.unreadable += 1;
            }
        }
        Ok(found)
    }
}

fn push_line(lines: &mut Vec<u8>, line: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut *lines, line)?;
    lines.push(b'\n');
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller() -> Caller {
        Caller { uid: 7, user: Some("anna".to_owned()), pid: None, through: "socket".to_owned() }
    }

    #[test]
    fn a_deed_is_on_the_disk_before_its_end_and_a_cut_line_spoils_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let audit = Audit::new(folder.path());
        assert_eq!(audit.read().unwrap(), Entries::default());
        let deeds = vec![Deed::of("queue drop"), Deed { stage: Some("held".to_owned()), ..Deed::of("queue release") }];
        let mut begun = audit.begin(&caller(), deeds).unwrap();
        assert_eq!(audit.read().unwrap().entries[1].done, None);
        let cut = File::options().append(true).open(audit.path()).and_then(|mut file| file.write_all(b"{\"id\":\"1"));
        cut.unwrap();
        audit.end(vec![(begun.remove(1), Err("no".to_owned())), (begun.remove(0), Ok("dropped".to_owned()))]).unwrap();
        let Entries { entries, unreadable } = audit.read().unwrap();
        assert_eq!(unreadable, 1);
        let told: Vec<_> =
            entries.iter().map(|entry| (&*entry.deed.command, entry.done, entry.text.as_deref())).collect();
        assert_eq!(told, [("queue drop", Some(true), Some("dropped")), ("queue release", Some(false), Some("no"))]);
        assert_eq!(entries[0].caller, caller());
        assert_eq!(fs::metadata(audit.path()).unwrap().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_log_that_others_may_read_is_closed_again() {
        let folder = tempfile::tempdir().unwrap();
        let audit = Audit::new(folder.path());
        fs::write(audit.path(), "").unwrap();
        fs::set_permissions(audit.path(), fs::Permissions::from_mode(0o644)).unwrap();
        audit.begin(&Caller::of_this_process().unwrap(), vec![Deed::of("secrets rotate")]).unwrap();
        assert_eq!(fs::metadata(audit.path()).unwrap().mode() & 0o777, 0o600);
    }
}
