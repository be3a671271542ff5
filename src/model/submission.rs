//! A submission: one file's whole way from the inbox to its outcome, as the store keeps it.

use super::{
    AccountId, AccountReference, ChannelName, ContractName, Digest, EvidenceKind, KeyedHash, LibraryFacts, PersonId,
    PushType, SubmissionId, Timestamp,
};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, sync::Arc};

/// A name that somebody else chose: any bytes. Shown with escapes, never as it is, because it may
/// hold control characters; never logged, because it may hold a patient's name.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ForeignName(#[serde(with = "name_bytes")] Vec<u8>);

impl ForeignName {
    /// From its bytes.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Self(bytes.into())
    }

    /// Its bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The name where it is UTF-8.
    pub fn as_str(&self) -> Option<&str> {
        std::str::from_utf8(&self.0).ok()
    }
}

/// Marks and overrides of direction, separators of lines and paragraphs: a name must not show as another one.
const TURNS_TEXT: [char; 14] = [
    '\u{61c}', '\u{200e}', '\u{200f}', '\u{2028}', '\u{2029}', '\u{202a}', '\u{202b}', '\u{202c}', '\u{202d}',
    '\u{202e}', '\u{2066}', '\u{2067}', '\u{2068}', '\u{2069}',
];

impl std::fmt::Display for ForeignName {
    /// Control characters, those that turn or break the text around them, backslashes and bytes that are no UTF-8 as
    /// `\xNN`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for chunk in self.0.utf8_chunks() {
            for character in chunk.valid().chars() {
                if character.is_control() || TURNS_TEXT.contains(&character) || character == '\\' {
                    let mut buffer = [0; 4];
                    for byte in character.encode_utf8(&mut buffer).bytes() {
                        write!(f, "\\x{byte:02x}")?;
                    }
                } else {
                    std::fmt::Write::write_char(f, character)?;
                }
            }
            for byte in chunk.invalid() {
                write!(f, "\\x{byte:02x}")?;
            }
        }
        Ok(())
    }
}

impl std::fmt::Debug for ForeignName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ForeignName")
    }
}

/// Names travel through JSON in their escaped form and come back byte for byte.
mod name_bytes {
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&super::ForeignName(bytes.to_vec()))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        let mut bytes = Vec::with_capacity(text.len());
        let mut rest = text.as_bytes();
        while let Some((first, tail)) = rest.split_first() {
            if *first == b'\\' {
                let pair = tail.get(1..3).and_then(|pair| std::str::from_utf8(pair).ok());
                let byte = pair.and_then(|pair| u8::from_str_radix(pair, 16).ok());
                bytes.push(byte.ok_or_else(|| serde::de::Error::custom("a name with a broken escape"))?);
                rest = &tail[3..];
            } else {
                bytes.push(*first);
                rest = tail;
            }
        }
        Ok(bytes)
    }
}

/// What the file system said of the source when it was claimed; another file under the same name differs in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceIdentity {
    /// The inode number.
    pub inode: u64,
    /// Bytes.
    pub size: u64,
    /// Modification time in nanoseconds since the Unix epoch.
    pub modified: i64,
}

/// Where a submission came from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// The path below the channel's inbox, parts joined by `/`.
    pub path: ForeignName,
    /// The sub-folder part of `path`, where there is one.
    pub folder: Option<ForeignName>,
    /// The source as it was.
    pub identity: SourceIdentity,
}

/// A sidecar that was claimed together with its Bundle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sidecar {
    /// The sidecar's own source, so that it is removed and not claimed again.
    pub origin: Origin,
    /// SHA-256 of its bytes.
    pub digest: Digest,
}

/// The account that a submission was addressed to, and by which evidence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recipient {
    /// Under this contract.
    pub contract: ContractName,
    /// With this person's token.
    pub person: PersonId,
    /// To this account.
    pub account: AccountId,
    /// Which mappings call so.
    pub reference: AccountReference,
    /// The kinds of evidence that agreed, sorted.
    pub evidence: Vec<EvidenceKind>,
}

impl Recipient {
    /// Whether it is this account, however it was found.
    pub fn is(&self, contract: &ContractName, account: &AccountId) -> bool {
        self.contract == *contract && self.account == *account
    }
}

/// One piece of evidence that was present, as reports and `route` show it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// Its kind.
    pub kind: EvidenceKind,
    /// Where it leads; `None` where no link is known for it.
    pub account: Option<AccountReference>,
}

/// What reports say of a Bundle's shape.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BundleFacts {
    /// `Bundle.type`.
    pub bundle_type: String,
    /// How many entries of each resource type.
    pub entries: BTreeMap<String, u32>,
    /// It came as XML and goes as JSON.
    #[serde(default)]
    pub from_xml: bool,
    /// Every entry may be sent twice without harm (PUT, DELETE, or POST with `ifNoneExist`).
    pub idempotent: bool,
}

/// How grave a finding is (FHIR `issue-severity`, without `fatal`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The resource does not conform.
    Error,
    /// It conforms, yet somebody should look.
    Warning,
    /// Worth knowing.
    Information,
}

impl Severity {
    /// FHIR's code for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Information => "information",
        }
    }
}

/// What the inspection found at one place. Texts quote no values of the Bundle.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Finding {
    /// How grave.
    pub severity: Severity,
    /// FHIR issue type: `structure`, `required`, `value`, `invariant`, ...
    pub code: String,
    /// Stable rule key, `bdl-7` for example.
    pub key: String,
    /// FHIRPath of the node.
    pub expression: String,
    /// 1-based line of the node in the file.
    pub line: u32,
    /// 1-based column, in Unicode scalars.
    pub column: u32,
    /// The profile whose rule it is; `None` for the release's own.
    pub profile: Option<String>,
    /// What is wrong and what to do.
    pub text: String,
}

/// What a channel's settings made of a rule's breaches.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleChange {
    /// The rule's key.
    pub key: String,
    /// The level that it has by itself: `error`, `warning` or `information`.
    pub from: String,
    /// The level that it was given; also `off`.
    pub to: String,
    /// How many breaches that changed.
    pub count: u64,
}

/// Why a submission waits for somebody.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "why")]
pub enum HoldReason {
    /// The channel's evidence was not there at all.
    NoEvidence,
    /// Evidence of this kind was there, and no link is known for it.
    Unlinked {
        /// Which kind.
        kind: EvidenceKind,
    },
    /// Pieces of evidence lead to different accounts.
    Contradiction {
        /// The kinds that were present.
        kinds: Vec<EvidenceKind>,
    },
    /// The Bundle speaks of more than one patient.
    SeveralPatients,
    /// The sidecar is no JSON object with `accountReference` or `key`.
    SidecarUnreadable,
    /// The labels in a library file's sidecar are not what they may be.
    SidecarLabels {
        /// `reference` or `tags`.
        member: String,
        /// For people, without the labels.
        what: String,
    },
    /// It was claimed for one type of push, and its channel is set to the other now.
    OtherPush {
        /// For which it was claimed.
        claimed: PushType,
    },
    /// A link names an accountReference that no account of the contract has, or that several have.
    AccountUnknown {
        /// The accountReference.
        reference: AccountReference,
    },
    /// The same bytes for the same account still wait or are Unknown.
    DuplicateOpen {
        /// The earlier submission.
        of: SubmissionId,
    },
    /// An answer that the table of answers does not know.
    UnexpectedAnswer {
        /// HTTP status.
        status: u16,
        /// The API's `error.reference`.
        reference: Option<String>,
    },
    /// It waited for the API longer than the channel's maximum age.
    Expired,
    /// Our own copy no longer has its digest; it is never sent.
    Damaged,
    /// Judging it made the program panic or the daemon end, repeatedly.
    Poison,
    /// A resource claims a profile that is not loaded, and the channel waits for such.
    ProfileNotLoaded,
    /// A person holds it.
    ByPerson,
}

/// What a delivery left behind as proof.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// When the answer was read.
    pub at: Timestamp,
    /// HTTP status.
    pub status: u16,
    /// The API's id for the request or the push, where the answer has one.
    pub reference: Option<String>,
    /// SHA-256 of the answer's body (its first 64 KiB).
    pub body: Digest,
    /// How many entries a FHIR batch-response rejects: above zero it is `delivered with errors`.
    pub rejected_entries: u32,
}

/// Where a submission stands. One change of stage is one batch in the store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "stage")]
pub enum Stage {
    /// Ours, and not yet judged (or to be judged again).
    Claimed,
    /// Never sent: the file is wrong, or the API said so of this file.
    Refused {
        /// For people, without patient data.
        why: String,
    },
    /// Waits for a person or a mapping.
    Held(HoldReason),
    /// May be sent when its turn comes.
    Ready,
    /// Bytes may be on the wire.
    Sending {
        /// 1 for the first attempt.
        attempt: u32,
    },
    /// Will be sent again.
    Waiting {
        /// The attempt that failed.
        attempt: u32,
        /// Not before.
        until: Timestamp,
    },
    /// It may have arrived, and nobody can tell.
    Unknown {
        /// The attempt whose answer is missing.
        attempt: u32,
    },
    /// The API took it.
    Delivered {
        /// The proof.
        receipt: Receipt,
    },
    /// The same bytes were delivered to the same account before.
    Duplicate {
        /// The delivered submission.
        of: SubmissionId,
        /// Its receipt.
        receipt: Receipt,
    },
    /// A person gave it up.
    Dropped,
}

/// The channel's own folder that a file belongs to; decided by the stage alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Place {
    /// On its way.
    Work,
    /// Delivered.
    Done,
    /// Refused or dropped.
    Failed,
    /// Held or Unknown.
    Held,
    /// Delivered before.
    Duplicates,
}

impl Place {
    /// Every place.
    pub const ALL: [Self; 5] = [Self::Work, Self::Done, Self::Failed, Self::Held, Self::Duplicates];

    /// The folder's name.
    pub const fn folder(self) -> &'static str {
        match self {
            Self::Work => "work",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Held => "held",
            Self::Duplicates => "duplicates",
        }
    }
}

impl Stage {
    /// The word for it in commands, logs and reports.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Claimed => "claimed",
            Self::Refused { .. } => "refused",
            Self::Held(_) => "held",
            Self::Ready => "ready",
            Self::Sending { .. } => "sending",
            Self::Waiting { .. } => "waiting",
            Self::Unknown { .. } => "unknown",
            Self::Delivered { .. } => "delivered",
            Self::Duplicate { .. } => "duplicate",
            Self::Dropped => "dropped",
        }
    }

    /// Where the file belongs.
    pub const fn place(&self) -> Place {
        match self {
            Self::Claimed | Self::Ready | Self::Sending { .. } | Self::Waiting { .. } => Place::Work,
            Self::Held(_) | Self::Unknown { .. } => Place::Held,
            Self::Delivered { .. } => Place::Done,
            Self::Refused { .. } | Self::Dropped => Place::Failed,
            Self::Duplicate { .. } => Place::Duplicates,
        }
    }

    /// Nothing moves it any more, except a person's command.
    pub const fn is_final(&self) -> bool {
        matches!(self, Self::Delivered { .. } | Self::Refused { .. } | Self::Duplicate { .. } | Self::Dropped)
    }
}

/// How one attempt to push ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AttemptOutcome {
    /// It is on its way; found so at start-up it is Unknown.
    Open,
    /// A 2xx.
    Delivered,
    /// The API refused this file.
    Refused,
    /// The token was stale; nothing was taken.
    TokenStale,
    /// The account or person is blocked.
    Blocked,
    /// The destination refused everybody.
    DestinationPaused,
    /// To be tried again.
    Later,
    /// The body left, no answer came.
    Unknown,
    /// An answer that a person must look at.
    Unexpected,
}

impl AttemptOutcome {
    /// Whether the account has the bytes of such an attempt, or may have.
    pub const fn may_have_arrived(self) -> bool {
        matches!(self, Self::Open | Self::Delivered | Self::Unknown)
    }
}

/// One attempt to push, as reports and `queue why` show it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// 1 for the first.
    pub number: u32,
    /// To whom, and by which evidence. Records of before that was kept have none: they went to the account that the
    /// record names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recipient: Option<Recipient>,
    /// When it began.
    pub at: Timestamp,
    /// How long it took.
    pub millis: u64,
    /// How it ended.
    pub outcome: AttemptOutcome,
    /// HTTP status, where one was read.
    pub status: Option<u16>,
    /// The API's `error.code`.
    pub code: Option<String>,
    /// The API's `error.reference`, for its support.
    pub reference: Option<String>,
    /// For people: what happened, without secrets and contents.
    pub detail: Option<String>,
}

/// One file's whole record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Submission {
    /// Its id; grows in claim order.
    pub id: SubmissionId,
    /// The channel it came through.
    pub channel: ChannelName,
    /// Where that sent files when it was claimed.
    #[serde(default)]
    pub push: PushType,
    /// Where it came from.
    pub origin: Origin,
    /// Whether the source may still stand in the inbox.
    pub source_pending: bool,
    /// Keyed hash of the file name, for logs and look-ups.
    pub name_hash: KeyedHash,
    /// The sidecar claimed with it.
    pub sidecar: Option<Sidecar>,
    /// SHA-256 of its bytes.
    pub digest: Digest,
    /// Bytes.
    pub size: u64,
    /// When it was claimed.
    pub claimed_at: Timestamp,
    /// Where it stands.
    pub stage: Stage,
    /// Since when.
    pub since: Timestamp,
    /// Whether file and report are where the stage wants them.
    pub settled: bool,
    /// Its account, once addressed.
    pub recipient: Option<Recipient>,
    /// Its shape, once read.
    pub bundle: Option<BundleFacts>,
    /// What it goes to the library as, once looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub library: Option<LibraryFacts>,
    /// What the inspection found, at most [`Submission::FINDINGS_KEPT`], gravest first.
    pub findings: Arc<[Finding]>,
    /// How many it found in all.
    pub findings_total: u32,
    /// Which rules counted otherwise because the channel says so; earlier records have none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub overridden: Vec<RuleChange>,
    /// Canonical URLs of the profiles that it was held to, at most [`Submission::PROFILES_KEPT`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub profiles: Vec<String>,
    /// Every attempt to push.
    pub attempts: Vec<Attempt>,
    /// Time already spent waiting for an open destination, in milliseconds; the maximum age is measured by it.
    pub waited_millis: u64,
    /// A person decided that it may be sent although it may have been before.
    pub forced: bool,
    /// How often judging was begun without an end: a crash counter.
    pub judgings: u32,
    /// When retention removed its file and reports; the record stays, so that a repeat is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pruned: Option<Timestamp>,
    /// Its turn among the Bundles of its account: the id's number, or a later one after a release.
    pub rank: u64,
}

impl Origin {
    /// The last part of the path.
    pub fn file_name(&self) -> ForeignName {
        let bytes = self.path.as_bytes();
        let start = bytes.iter().rposition(|byte| *byte == b'/').map_or(0, |slash| slash + 1);
        ForeignName::new(&bytes[start..])
    }
}

/// A file as it was claimed: what of its record never changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimedFile {
    /// See [`Submission::channel`].
    pub channel: ChannelName,
    /// See [`Submission::push`].
    pub push: PushType,
    /// See [`Submission::origin`].
    pub origin: Origin,
    /// See [`Submission::name_hash`].
    pub name_hash: KeyedHash,
    /// See [`Submission::sidecar`].
    pub sidecar: Option<Sidecar>,
    /// See [`Submission::digest`].
    pub digest: Digest,
    /// See [`Submission::size`].
    pub size: u64,
}

impl Submission {
    /// How many findings a record keeps.
    pub const FINDINGS_KEPT: usize = 100;

    /// How many profiles a record keeps.
    pub const PROFILES_KEPT: usize = 100;

    /// The record of a file that is claimed now: not judged yet, and its source may still stand.
    pub fn claimed(id: SubmissionId, at: Timestamp, file: ClaimedFile) -> Self {
        let ClaimedFile { channel, push, origin, name_hash, sidecar, digest, size } = file;
        Self {
            id,
            channel,
            push,
            origin,
            source_pending: true,
            name_hash,
            sidecar,
            digest,
            size,
            claimed_at: at,
            stage: Stage::Claimed,
            since: at,
            settled: true,
            recipient: None,
            bundle: None,
            library: None,
            findings: Arc::default(),
            findings_total: 0,
            overridden: Vec::new(),
            profiles: Vec::new(),
            attempts: Vec::new(),
            waited_millis: 0,
            forced: false,
            judgings: 0,
            pruned: None,
            rank: id.as_u64(),
        }
    }

    /// The last part of the origin's path.
    pub fn file_name(&self) -> ForeignName {
        self.origin.file_name()
    }

    /// To whom one of its attempts went.
    pub fn recipient_of<'s>(&'s self, attempt: &'s Attempt) -> Option<&'s Recipient> {
        attempt.recipient.as_ref().or(self.recipient.as_ref())
    }

    /// Where an attempt brought it, or may have, whatever became of it afterwards: also accounts that it is no longer
    /// addressed to.
    pub fn reached(&self) -> impl Iterator<Item = &Recipient> {
        let arrived = self.attempts.iter().filter(|attempt| attempt.outcome.may_have_arrived());
        arrived.filter_map(|attempt| self.recipient_of(attempt))
    }

    /// Who has its bytes, or may have: from one of its attempts, or because it is a repeat of what was delivered there.
    pub fn whereabouts(&self) -> impl Iterator<Item = &Recipient> {
        let repeats = self.recipient.iter().filter(|_| matches!(self.stage, Stage::Duplicate { .. }));
        self.reached().chain(repeats)
    }

    /// Whether the account has its bytes, or may have.
    pub fn may_be_at(&self, contract: &ContractName, account: &AccountId) -> bool {
        self.whereabouts().any(|to| to.is(contract, account))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_names_survive_json() {
        let name = ForeignName::new(b"a\\b\n\xff\xc3\xa9.json".to_vec());
        assert_eq!(name.to_string(), "a\\x5cb\\x0a\\xff\u{e9}.json");
        let json = serde_json::to_string(&name).unwrap();
        assert_eq!(serde_json::from_str::<ForeignName>(&json).unwrap(), name);
        assert_eq!(format!("{name:?}"), "ForeignName");
    }

    #[test]
    fn stages_keep_their_words() {
        let held = Stage::Held(HoldReason::Unlinked { kind: EvidenceKind::Folder });
        assert_eq!(serde_json::to_string(&held).unwrap(), r#"{"stage":"held","why":"unlinked","kind":"folder"}"#);
        assert_eq!(serde_json::to_string(&Stage::Ready).unwrap(), r#"{"stage":"ready"}"#);
    }
}
