//! The lines of the journal: a checksum, the number of the batch, and what happened, as JSON.
//!
//! ```text
//! 7d1f09b25aa31c44 181+ {"kind":"submission","what":{...}}
//! 03be54f1c08b7a92 181 {"kind":"change","what":{...}}
//! ```
//!
//! The checksum is the beginning of the SHA-256 of all that follows it. A plus says that more of the batch follows.

use crate::model::{
    Account, AccountId, Attempt, BundleFacts, ChannelName, ContractName, Digest, EvidenceKind, Finding, LibraryFacts,
    Link, LinkValue, PersonId, Purpose, Recipient, RuleChange, Sealer, Stage, Submission, SubmissionId, Timestamp,
};
use crate::store::{DestinationState, Write, record::PersonRecord};
use serde::{Deserialize, Serialize};
use std::{borrow::Cow, io::Write as _, sync::Arc};

/// The form of the lines that this program writes. In the first one there was no plus and no findings.
pub(super) const VERSION: u32 = 2;

/// Hexadecimal digits of the checksum.
const CHECK: usize = 16;

/// One line. A later entry for the same thing takes the place of an earlier one.
#[derive(Serialize, Deserialize)]
#[serde(tag = "kind", content = "what", rename_all = "kebab-case")]
pub(in crate::store) enum Entry<'e> {
    /// A segment begins.
    Begin(Begin),
    /// A submission that is new to the store; without findings.
    Submission(Box<Cow<'e, Submission>>),
    /// What of a submission may change.
    Change(Box<Cow<'e, Change>>),
    /// What the inspection found in a submission.
    Findings(SubmissionId, Arc<[Finding]>),
    /// An account.
    Account(Cow<'e, Account>),
    /// No such account any more.
    NoAccount(ContractName, AccountId),
    /// A person, its tokens sealed.
    Person(Box<PersonRecord>),
    /// No such person any more.
    NoPerson(ContractName, PersonId),
    /// A link.
    Link(Cow<'e, Link>),
    /// No such link any more.
    NoLink(ChannelName, EvidenceKind, LinkValue),
    /// A destination's state.
    Destination(Cow<'e, DestinationState>),
}

/// How a segment begins.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub(in crate::store) struct Begin {
    /// [`VERSION`]
    pub(super) v: u32,
    /// It holds everything: what earlier segments say is forgotten.
    pub(super) whole: bool,
}

/// What of a submission may change after its claim, but for its findings: those are long and change once.
#[derive(Clone, Serialize, Deserialize)]
pub(in crate::store) struct Change {
    pub(in crate::store) id: SubmissionId,
    source_pending: bool,
    stage: Stage,
    since: Timestamp,
    settled: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    recipient: Option<Recipient>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    bundle: Option<BundleFacts>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    library: Option<LibraryFacts>,
    findings_total: u32,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    overridden: Vec<RuleChange>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    profiles: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    attempts: Vec<Attempt>,
    waited_millis: u64,
    forced: bool,
    judgings: u32,
    rank: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pruned: Option<Timestamp>,
}

impl Change {
    fn of(submission: &Submission) -> Self {
        // Only what goes into the line is copied: each change of each submission comes this way.
        let Submission { id, source_pending, since, settled, findings_total, .. } = *submission;
        let Submission { waited_millis, forced, judgings, rank, pruned, .. } = *submission;
        Self {
            id,
            source_pending,
            stage: submission.stage.clone(),
            since,
            settled,
            recipient: submission.recipient.clone(),
            bundle: submission.bundle.clone(),
            library: submission.library.clone(),
            findings_total,
            overridden: submission.overridden.clone(),
            profiles: submission.profiles.clone(),
            attempts: submission.attempts.clone(),
            waited_millis,
            forced,
            judgings,
            rank,
            pruned,
        }
    }

    /// Puts the change into the submission's record.
    pub(in crate::store) fn apply(self, submission: &mut Submission) {
        submission.source_pending = self.source_pending;
        (submission.stage, submission.since, submission.settled) = (self.stage, self.since, self.settled);
        (submission.recipient, submission.bundle, submission.library) = (self.recipient, self.bundle, self.library);
        (submission.findings_total, submission.overridden) = (self.findings_total, self.overridden);
        submission.profiles = self.profiles;
        (submission.attempts, submission.waited_millis) = (self.attempts, self.waited_millis);
        (submission.forced, submission.judgings, submission.rank) = (self.forced, self.judgings, self.rank);
        submission.pruned = self.pruned;
    }
}

impl<'e> Entry<'e> {
    /// The entries of a write: one, and another where a submission's findings are told.
    pub(super) fn of(write: &'e Write, told: Told, sealer: &Sealer) -> (Self, Option<Self>) {
        let entry = match write {
            Write::Submission(submission) if !told.claim => Self::submission(submission),
            Write::Submission(submission) => Self::Change(Box::new(Cow::Owned(Change::of(submission)))),
            Write::Account(account) => Self::Account(Cow::Borrowed(account)),
            Write::RemoveAccount { contract, account } => Self::NoAccount(contract.clone(), account.clone()),
            Write::Person(person) => Self::Person(Box::new(PersonRecord::seal(person, Purpose::Journal, sealer))),
            Write::RemovePerson { contract, person } => Self::NoPerson(contract.clone(), person.clone()),
            Write::Link(link) => Self::Link(Cow::Borrowed(link)),
            Write::RemoveLink { channel, kind, value } => Self::NoLink(channel.clone(), *kind, value.clone()),
            Write::Destination(state) => Self::Destination(Cow::Borrowed(state)),
        };
        let findings = match write {
            Write::Submission(submission) if !told.findings => {
                Some(Self::Findings(submission.id, submission.findings.clone()))
            }
            _ => None,
        };
        (entry, findings)
    }

    fn submission(submission: &'e Submission) -> Self {
        if submission.findings.is_empty() {
            return Self::Submission(Box::new(Cow::Borrowed(submission)));
        }
        let bare = Submission { findings: Arc::default(), ..submission.clone() };
        Self::Submission(Box::new(Cow::Owned(bare)))
    }

    /// What it speaks of; the beginning of a segment speaks of nothing.
    pub(super) fn topic(&self) -> Option<Topic> {
        let hashed = |parts: &[&str]| Some(Topic::Other(Digest::of(parts.join("\0").as_bytes())));
        match self {
            Self::Begin(_) => None,
            Self::Submission(submission) => Some(Topic::Claim(submission.id)),
            Self::Change(change) => Some(Topic::Change(change.id)),
            Self::Findings(id, _) => Some(Topic::Findings(*id)),
            Self::Account(account) => hashed(&["a", account.contract.as_str(), account.id.as_str()]),
            Self::NoAccount(contract, account) => hashed(&["a", contract.as_str(), account.as_str()]),
            Self::Person(person) => hashed(&["p", person.contract.as_str(), person.id.as_str()]),
            Self::NoPerson(contract, person) => hashed(&["p", contract.as_str(), person.as_str()]),
            Self::Link(link) => hashed(&["l", link.channel.as_str(), link.kind.as_str(), &value(&link.value)]),
            Self::NoLink(channel, kind, of) => hashed(&["l", channel.as_str(), kind.as_str(), &value(of)]),
            Self::Destination(state) => hashed(&["d", state.contract.as_str()]),
        }
    }

    /// Whether nothing is left of its topic after it. Findings that are none any more count on: the database may lack that
    /// they are gone, while it has every removal as soon as the journal has it.
    pub(super) const fn is_removal(&self) -> bool {
        matches!(self, Self::NoAccount(..) | Self::NoPerson(..) | Self::NoLink(..))
    }
}

fn value(value: &LinkValue) -> String {
    match value {
        LinkValue::Clear(text) => format!("c{text}"),
        LinkValue::Hashed(hash) => format!("h{hash}"),
    }
}

/// What an entry speaks of: of two entries of one topic only the later counts.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Topic {
    /// A submission's unchanging part.
    Claim(SubmissionId),
    /// Its changing part.
    Change(SubmissionId),
    /// Its findings.
    Findings(SubmissionId),
    /// Anything else, by the hash of its key.
    Other(Digest),
}

/// What the journal has told of a submission already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) struct Told {
    /// Its unchanging part.
    pub(in crate::store) claim: bool,
    /// Its findings as they are; there may be none to tell.
    pub(in crate::store) findings: bool,
}

impl Told {
    /// Of what is no submission, everything is told anew each time.
    pub(in crate::store) const ALL: Self = Self { claim: true, findings: true };

    /// In a journal that begins anew.
    pub(in crate::store) fn nothing_of(write: &Write) -> Self {
        match write {
            Write::Submission(submission) => Self { claim: false, findings: submission.findings.is_empty() },
            _ => Self::ALL,
        }
    }
}

/// Adds a line; more of its batch may follow.
pub(super) fn write(batch: u64, entry: &Entry<'_>, more: More, out: &mut Vec<u8>) -> std::io::Result<()> {
    let start = out.len();
    out.extend_from_slice(&[b'0'; CHECK]);
    write!(out, " {batch}{} ", if more == More::Follows { "+" } else { "" })?;
    serde_json::to_writer(&mut *out, entry)?;
    let check = check(&out[start + CHECK + 1..]);
    out[start..start + CHECK].copy_from_slice(&check);
    out.push(b'\n');
    Ok(())
}

/// Whether a line is the last one of its batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum More {
    /// It is not.
    Follows,
    /// It is.
    Ends,
}

/// A line whose checksum is right.
pub(super) struct Line<'l> {
    pub(super) batch: u64,
    pub(super) more: More,
    json: &'l [u8],
}

impl<'l> Line<'l> {
    /// `None` where the line is torn, changed, or not of this form.
    pub(super) fn read(line: &'l [u8]) -> Option<Self> {
        let (found, rest) = line.strip_suffix(b"\n")?.split_at_checked(CHECK)?;
        let rest = rest.strip_prefix(b" ")?;
        if found != check(rest) {
            return None;
        }
        let blank = rest.iter().position(|byte| *byte == b' ')?;
        let number = std::str::from_utf8(&rest[..blank]).ok()?;
        let (number, more) = match number.strip_suffix('+') {
            Some(number) => (number, More::Follows),
            None => (number, More::Ends),
        };
        Some(Self { batch: number.parse().ok()?, more, json: &rest[blank + 1..] })
    }

    /// What it says; `None` where that is no entry.
    pub(super) fn entry(&self) -> Option<Entry<'static>> {
        serde_json::from_slice(self.json).ok()
    }
}

fn check(bytes: &[u8]) -> [u8; CHECK] {
    let mut text = [0; CHECK];
    let digest = Digest::of(bytes);
    for (pair, byte) in text.chunks_exact_mut(2).zip(digest.as_bytes()) {
        let digit = |half: u8| b"0123456789abcdef"[usize::from(half)];
        pair.copy_from_slice(&[digit(byte >> 4), digit(byte & 15)]);
    }
    text
}
