//! The database gets from the journal what it does not have: what came after its last batch, or, where it was damaged
//! and set aside, everything.

use super::{Opened, from_sled, pending::Pending, staged::Staged, verbs};
use crate::model::{ContractName, Person, PersonId, Purpose, Sealer, Stage, Submission, SubmissionId, TokenState};
use crate::store::{
    Order, StoreError, Write, is_open,
    journal::{Entry, Replay, Replayed, Span},
    record::PersonRecord,
};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::atomic::Ordering,
};

/// Submissions held in memory before they are written.
const PAGE: usize = 256;

/// What was done about a damaged database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rebuilt {
    /// What was wrong with it.
    pub why: String,
    /// Where it lies now, unless it was whole and only the journal beyond it was damaged.
    pub aside: Option<PathBuf>,
    /// Records that are known again.
    pub records: u64,
    /// What the journal could not tell: where it is not zero, open submissions are Unknown and tokens count as
    /// `Rotating`, because they may have been sent and spent.
    pub missing: u64,
}

/// Puts everything that the journal tells and the database does not have into it, not synced yet. `promised` is the last
/// batch that is known to have been there.
pub(super) fn replay(
    opened: &Opened,
    journal: &Path,
    sealer: &Sealer,
    promised: u64,
) -> Result<(u64, Replayed), StoreError> {
    let known = opened.followed.load(Ordering::SeqCst);
    let mut restoring = Restoring {
        opened,
        sealer,
        known,
        submissions: BTreeMap::new(),
        persons: BTreeMap::new(),
        writes: Vec::new(),
        records: 0,
        missing: 0,
    };
    let mut replayed = Replay(journal).each(Span::after(known), |entry, _| restoring.take(entry))?;
    replayed.last_batch = replayed.last_batch.max(known);
    // A journal that is gone, or ends too early.
    replayed.damaged += u64::from(replayed.last_batch == 0 || replayed.last_batch < promised);
    restoring.persons()?;
    restoring.flush()?;
    replayed.damaged += restoring.missing;
    if replayed.damaged > 0 {
        restoring.doubt()?;
    }
    // Only now it has all of it: after a crash before this, it begins from where it began.
    opened.batches.store(replayed.last_batch, Ordering::SeqCst);
    opened.put(Staged::new(&opened.database, sealer), replayed.last_batch)?;
    Ok((restoring.records, replayed))
}

struct Restoring<'o> {
    opened: &'o Opened,
    sealer: &'o Sealer,
    /// The last batch that the database had.
    known: u64,
    submissions: BTreeMap<SubmissionId, Submission>,
    /// Opened at the end alone: a key that sealed an earlier pair may be gone.
    persons: BTreeMap<(ContractName, PersonId), PersonRecord>,
    writes: Vec<Write>,
    records: u64,
    missing: u64,
}

impl Restoring<'_> {
    fn take(&mut self, entry: Entry<'_>) -> Result<(), StoreError> {
        match entry {
            Entry::Begin(_) => {}
            Entry::Submission(submission) => drop(self.submissions.insert(submission.id, submission.into_owned())),
            Entry::Change(change) => {
                let change = change.into_owned();
                self.edit(change.id, |submission| change.apply(submission))?;
            }
            Entry::Findings(id, findings) => self.edit(id, |submission| submission.findings = findings)?,
            Entry::Account(account) => self.writes.push(Write::Account(account.into_owned())),
            Entry::NoAccount(contract, account) => self.writes.push(Write::RemoveAccount { contract, account }),
            Entry::Person(record) => {
                self.persons.insert((record.contract.clone(), record.id.clone()), *record);
            }
            Entry::NoPerson(contract, person) => {
                self.persons.remove(&(contract.clone(), person.clone()));
                self.writes.push(Write::RemovePerson { contract, person });
            }
            Entry::Link(link) => self.writes.push(Write::Link(link.into_owned())),
            Entry::NoLink(channel, kind, value) => self.writes.push(Write::RemoveLink { channel, kind, value }),
            Entry::Destination(state) => self.writes.push(Write::Destination(state.into_owned())),
        }
        if self.submissions.len() + self.writes.len() >= PAGE { self.flush() } else { Ok(()) }
    }

    fn edit(&mut self, id: SubmissionId, edit: impl FnOnce(&mut Submission)) -> Result<(), StoreError> {
        let known = match self.submissions.remove(&id) {
            Some(known) => Some(known),
            None => verbs::View { tree: &self.opened.database, pending: &Pending::default() }.submission(id)?,
        };
        match known {
            Some(mut submission) => {
                edit(&mut submission);
                self.submissions.insert(id, submission);
            }
            None => self.missing += 1, // its claim is lost, and what the file was
        }
        Ok(())
    }

    fn persons(&mut self) -> Result<(), StoreError> {
        for record in std::mem::take(&mut self.persons).into_values() {
            self.writes.push(Write::Person(record.open(Purpose::Journal, self.sealer)?));
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), StoreError> {
        let submissions = std::mem::take(&mut self.submissions).into_values();
        self.writes.extend(submissions.map(|submission| Write::Submission(Box::new(submission))));
        let mut staged = Staged::new(&self.opened.database, self.sealer);
        self.writes.iter().try_for_each(|write| staged.add(write))?;
        self.records += self.writes.len() as u64;
        self.opened.put(staged, self.known)?;
        self.writes.clear();
        Ok(())
    }

    /// What is not proved unsent may have been sent, and tokens may be spent.
    fn doubt(&mut self) -> Result<(), StoreError> {
        let nothing = Pending::default();
        let view = verbs::View { tree: &self.opened.database, pending: &nothing };
        for person in view.persons(None, self.sealer)?.into_iter().filter(|person| person.state == TokenState::Fresh) {
            self.writes.push(Write::Person(Person { state: TokenState::Rotating, ..person }));
        }
        self.flush()?;
        let mut after = None;
        loop {
            let page = view.open_submissions(after, PAGE)?;
            let Some(last) = page.last() else { return Ok(()) };
            after = Some(last.id);
            for mut submission in page.into_iter().filter(is_open) {
                if matches!(submission.stage, Stage::Claimed | Stage::Ready | Stage::Waiting { .. } | Stage::Held(_)) {
                    let attempt = submission.attempts.last().map_or(0, |attempt| attempt.number);
                    submission.stage = Stage::Unknown { attempt };
                    submission.settled = false;
                    self.submissions.insert(submission.id, submission);
                }
            }
            self.flush()?;
        }
    }
}

/// Reads every record once: damage in the middle of the file shows only where it is read.
pub(super) fn verify(opened: &Opened, sealer: &Sealer) -> Result<(), StoreError> {
    for entry in opened.database.iter() {
        entry.map_err(|error| from_sled("read from the store", error))?;
    }
    let unreadable = |error| match error {
        StoreError::Record { what, why, .. } => StoreError::Damaged { why: format!("the record of {what}: {why}") },
        error => error,
    };
    let nothing = Pending::default();
    let view = verbs::View { tree: &opened.database, pending: &nothing };
    let mut after = None;
    loop {
        let page = view.submissions(Order::OldestFirst, after, PAGE).map_err(unreadable)?;
        let Some(last) = page.last() else { break };
        after = Some(last.id);
    }
    match view.persons(None, sealer).map_err(unreadable) {
        // A key that is missing is no damage.
        Ok(_) | Err(StoreError::Sealed { .. }) => Ok(()),
        Err(error) => Err(error),
    }
}

impl std::fmt::Display for Rebuilt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { why, aside, records, missing } = self;
        match aside {
            Some(aside) => write!(
                f,
                "the store's database was damaged ({why}): it was set aside as {}, and {records} records were rebuilt from \
                 the journal",
                aside.display()
            )?,
            None => {
                write!(f, "the store's database was brought up to date with {records} records of the journal ({why})")?
            }
        }
        match missing {
            0 => write!(f, "; nothing is missing"),
            _ => write!(
                f,
                "; the journal was damaged too ({missing} places), so what was open is Unknown: see queue ls --unknown"
            ),
        }
    }
}
