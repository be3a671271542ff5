//! What happens to the engine, and what it wants done: data on both sides, so that a test can play
//! any order of events.

use crate::{
    model::{
        AccountId, Attempt, BundleFacts, ChannelName, ContractName, Digest, Finding, HoldReason, LibraryFacts,
        PersonId, PushType, Receipt, Recipient, RuleChange, Stage, SubmissionId, Timestamp,
    },
    push::Answer,
    route::Parcel,
};
use std::{sync::Arc, time::Duration};

/// An instant on both clocks. Waits are measured on the monotonic one; the wall clock only dates records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// Since the engine started.
    pub monotonic: Duration,
    /// For records.
    pub wall: Timestamp,
}

/// A person under a contract: whose token a push uses.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PersonKey {
    /// The contract.
    pub contract: ContractName,
    /// The person.
    pub person: PersonId,
}

/// An account under a contract: Bundles for it keep their order.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccountKey {
    /// The contract.
    pub contract: ContractName,
    /// The account.
    pub account: AccountId,
}

/// What the engine must know of an open submission; the whole record stays in the store.
#[derive(Clone, Debug)]
pub struct Opened {
    /// Its id.
    pub id: SubmissionId,
    /// Its channel.
    pub channel: ChannelName,
    /// Where that sends files.
    pub push: PushType,
    /// SHA-256 of its bytes.
    pub digest: Digest,
    /// Where it stands.
    pub stage: Stage,
    /// Whether file and report are where the stage wants them.
    pub settled: bool,
    /// Its account, once addressed.
    pub recipient: Option<Recipient>,
    /// Its turn.
    pub rank: u64,
    /// A person decided that it may be sent although it may have been before.
    pub forced: bool,
    /// Attempts so far.
    pub attempts: u32,
    /// Time already waited on an open destination, in milliseconds.
    pub waited_millis: u64,
    /// How often judging was begun without an end.
    pub judgings: u32,
    /// To whom some attempt brought it, or may have: not only who it is addressed to now.
    pub reached: Vec<Recipient>,
}

/// What the record keeps of an inspection.
#[derive(Clone, Debug, Default)]
pub struct Inspected {
    /// The Bundle's shape, where it could be read.
    pub bundle: Option<BundleFacts>,
    /// What it goes to the library as.
    pub library: Option<LibraryFacts>,
    /// Findings, gravest first, at most [`crate::model::Submission::FINDINGS_KEPT`].
    pub findings: Arc<[Finding]>,
    /// How many there were in all.
    pub findings_total: u32,
    /// Which rules counted otherwise because the channel says so.
    pub overridden: Vec<RuleChange>,
    /// Canonical URLs of the profiles that it was held to, at most [`crate::model::Submission::PROFILES_KEPT`].
    pub profiles: Vec<String>,
}

/// What judging found.
#[derive(Clone, Debug)]
pub struct Judgement {
    /// What the record keeps.
    pub inspected: Inspected,
    /// What follows.
    pub verdict: Verdict,
}

/// A submission that was delivered, with its receipt, or that may have been.
pub type Earlier = (SubmissionId, Option<Receipt>);

/// What follows from judging.
#[derive(Clone, Debug)]
pub enum Verdict {
    /// The file is wrong.
    Refused {
        /// For people.
        why: String,
    },
    /// Nobody may send it yet.
    Held(HoldReason),
    /// It belongs to one account.
    Addressed(Box<Parcel>),
}

impl Verdict {
    /// Other profiles may change it.
    pub(super) const fn waits_for_profiles(&self) -> bool {
        matches!(self, Self::Held(reason) if reason.is_answered_by_profiles())
    }
}

/// What became of a refresh.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RefreshOutcome {
    /// The new pair is on disk.
    Renewed(TokenTimes),
    /// The person must authorise again.
    Paused {
        /// For people.
        why: String,
    },
    /// Nothing was spent; the token endpoint did not serve us.
    Later {
        /// What the endpoint asked for.
        after: Option<Duration>,
        /// For people.
        why: String,
    },
    /// The endpoint refuses, and not in the API's own words: a gateway may have spoken, and nothing is known to be spent.
    Refused {
        /// For people.
        why: String,
    },
    /// The request left and no answer was read: the old token may be spent.
    Lost,
    /// Our set-up is refused.
    DestinationPaused {
        /// For people.
        why: String,
    },
    /// The person has authorised again meanwhile: what this refresh did counts no more, and the new tokens are an
    /// event of their own.
    Superseded,
}

/// How long a pair still lives, counted from now on the API's clock as far as it is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenTimes {
    /// The access token's rest.
    pub access: Duration,
    /// The refresh token's rest.
    pub refresh: Duration,
    /// How long ago the pair came.
    pub age: Duration,
}

/// A person's standing at start-up or after an import.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PersonStanding {
    /// Usable for so long.
    Fresh(TokenTimes),
    /// A refresh was begun and its end is not known.
    Rotating,
    /// Must authorise again.
    Paused,
}

/// What a person may decide about a submission.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verb {
    /// Try again now.
    Retry,
    /// Stop it.
    Hold,
    /// Let it go on.
    Release,
    /// Let it go on even where it was, or may have been, delivered.
    ForceRelease,
    /// Give it up.
    Drop,
}

/// What happens.
#[derive(Debug)]
pub enum Event {
    /// An open submission read from the store at start-up.
    Opened(Opened),
    /// Start-up is over.
    Started,
    /// A claim is on disk.
    Claimed(Opened),
    /// A file was judged.
    Judged {
        /// Which.
        id: SubmissionId,
        /// What was found.
        judgement: Judgement,
        /// The latest submission of the same bytes that the same account has, or may have.
        earlier: Option<Earlier>,
    },
    /// A push ended.
    Answered {
        /// Which.
        id: SubmissionId,
        /// How.
        answer: Answer,
        /// What the record keeps of it.
        attempt: Attempt,
    },
    /// A refresh ended.
    Refreshed {
        /// Whose.
        person: PersonKey,
        /// How.
        outcome: RefreshOutcome,
    },
    /// A probe of a closed destination ended.
    Probed {
        /// Which.
        contract: ContractName,
        /// `None` where it was answered well.
        failure: Option<String>,
    },
    /// Somebody wants a paused destination asked now.
    Resumed {
        /// Which.
        contract: ContractName,
    },
    /// A person's tokens are known, new, or gone.
    Person {
        /// Who.
        person: PersonKey,
        /// How they stand.
        standing: PersonStanding,
    },
    /// An account was found blocked or is free again.
    Account {
        /// Which.
        account: AccountKey,
        /// Why nothing may be sent to it.
        blocked: Option<String>,
    },
    /// Links or accounts changed.
    MappingsChanged,
    /// Other profiles are loaded.
    ProfilesChanged,
    /// File and report are where the stage wants them.
    Placed {
        /// Which.
        id: SubmissionId,
    },
    /// A person decided; the record as it stands goes with it.
    Decided {
        /// The submission.
        opened: Box<Opened>,
        /// What to do.
        verb: Verb,
    },
    /// Time passed.
    Tick,
    /// No new pushes.
    Shutdown,
}

/// One change of a record: what is `None` stays as it is.
#[derive(Clone, Debug)]
pub struct Change {
    /// Which record.
    pub id: SubmissionId,
    /// The new stage.
    pub stage: Stage,
    /// The account.
    pub recipient: Option<Recipient>,
    /// Shape and findings.
    pub judged: Option<Inspected>,
    /// A new attempt, or the end of the one with the same number.
    pub attempt: Option<Attempt>,
    /// A new turn.
    pub rank: Option<u64>,
    /// Whether a person allowed a second delivery.
    pub forced: Option<bool>,
    /// Time waited so far.
    pub waited_millis: Option<u64>,
    /// Judging begins once more.
    pub judgings: Option<u32>,
}

impl Change {
    /// To a stage, all else as it is.
    pub const fn to(id: SubmissionId, stage: Stage) -> Self {
        Self {
            id,
            stage,
            recipient: None,
            judged: None,
            attempt: None,
            rank: None,
            forced: None,
            waited_millis: None,
            judgings: None,
        }
    }
}

/// What the engine wants done.
#[derive(Debug)]
pub enum Effect {
    /// Write the change; when it is flushed, and not before, do what follows.
    Log {
        /// The change.
        change: Box<Change>,
        /// What waits for the flush.
        then: Vec<Effect>,
    },
    /// Judge the file.
    Judge {
        /// Which.
        id: SubmissionId,
    },
    /// Send it with the person's present token.
    Push {
        /// The parcel.
        parcel: Box<Parcel>,
        /// The attempt's number.
        attempt: u32,
    },
    /// Move the file to where the stage wants it, with its report.
    Place {
        /// Which.
        id: SubmissionId,
    },
    /// Renew a person's tokens.
    Refresh {
        /// Whose.
        person: PersonKey,
    },
    /// Keep that the person must authorise again.
    PausePerson {
        /// Who.
        person: PersonKey,
        /// Why, for people.
        why: String,
    },
    /// Keep that nothing may be sent to the account.
    BlockAccount {
        /// Which.
        account: AccountKey,
        /// Why, for people.
        why: String,
    },
    /// Ask the API whether it serves us again.
    Probe {
        /// Which destination.
        contract: ContractName,
    },
    /// Tell somebody, once.
    Alert(Alert),
}

/// An edge worth telling: when trouble begins and when it ends, not while it lasts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Alert {
    /// Nothing is sent to this destination.
    DestinationPaused {
        /// Which.
        contract: ContractName,
        /// Why.
        why: String,
    },
    /// The API asks for a long wait.
    DestinationParked {
        /// Which.
        contract: ContractName,
        /// Why.
        why: String,
        /// By our clock.
        until: Timestamp,
    },
    /// It is served again.
    DestinationOpen {
        /// Which.
        contract: ContractName,
    },
    /// The person must authorise again.
    PersonPaused {
        /// Who.
        person: PersonKey,
        /// Why.
        why: String,
    },
    /// The API refuses the person's tokens and does not say that they are over; it is asked again and again.
    PersonRefused {
        /// Who.
        person: PersonKey,
        /// Why.
        why: String,
    },
    /// The person's tokens are taken again.
    PersonServed {
        /// Who.
        person: PersonKey,
    },
    /// The account must be authorised again at its provider.
    AccountBlocked {
        /// Which.
        account: AccountKey,
        /// Why.
        why: String,
    },
    /// Its Bundles go again.
    AccountOpen {
        /// Which.
        account: AccountKey,
    },
    /// A delivery with rejected entries.
    DeliveredWithErrors {
        /// Which.
        id: SubmissionId,
        /// How many.
        rejected: u32,
    },
    /// Somebody must decide.
    Unknown {
        /// Which.
        id: SubmissionId,
    },
}
