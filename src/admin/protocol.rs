//! Questions and answers, as they travel over the socket and as `--json` prints them.

use crate::{
    engine::{EditionFacts, PausedUntil, Profiles, Verb},
    intake::Overlooked,
    model::{
        Account, AccountId, AccountReference, ChannelName, ContractName, Digest, EvidenceKind, ForeignName, KeyedHash,
        Link, PersonId, Secret, Submission, SubmissionId, Timestamp, TokenPair,
    },
};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, path::PathBuf};

/// Which submissions are meant. All that is given must fit; nothing given means none, unless `all`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Selector {
    /// Ids, file names (or their ends), SHA-256 digests or accountReferences: a submission fits one of them.
    pub words: Vec<String>,
    /// Every submission.
    pub all: bool,
    /// Only those at this stage.
    pub stage: Option<String>,
    /// Only those of this channel.
    pub channel: Option<ChannelName>,
    /// Only those claimed since.
    pub since: Option<Timestamp>,
    /// Only those that have not ended.
    pub open: bool,
    /// At most so many, newest first.
    pub limit: usize,
}

/// A question.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "question")]
pub enum Question {
    /// Writes a sealed backup.
    Backup {
        /// Into this new file, an absolute path.
        file: PathBuf,
    },
    /// How things stand.
    Status,
    /// Submissions.
    Find {
        /// Which.
        selector: Selector,
    },
    /// A decision.
    Decide {
        /// About which.
        selector: Selector,
        /// What.
        verb: Verb,
    },
    /// Accounts, of one contract or of all.
    Accounts {
        /// Of this contract.
        contract: Option<ContractName>,
    },
    /// Keeps accounts.
    KeepAccounts {
        /// These.
        accounts: Vec<Account>,
    },
    /// Forgets an account.
    RemoveAccount {
        /// Its contract.
        contract: ContractName,
        /// Its reference.
        reference: AccountReference,
    },
    /// Reads the accounts from the API.
    SyncAccounts {
        /// Of this contract.
        contract: ContractName,
    },
    /// Links, of one channel or of all.
    Links {
        /// Of this channel.
        channel: Option<ChannelName>,
    },
    /// Makes a link; values that may be patient data are hashed where they arrive and kept nowhere.
    AddLink {
        /// In this channel.
        channel: ChannelName,
        /// Of this kind.
        kind: EvidenceKind,
        /// For a patient identifier: its system.
        system: Option<String>,
        /// What the evidence says.
        value: String,
        /// Where it leads.
        account: AccountReference,
    },
    /// Removes a link.
    RemoveLink {
        /// In this channel.
        channel: ChannelName,
        /// Of this kind.
        kind: EvidenceKind,
        /// For a patient identifier: its system.
        system: Option<String>,
        /// What the evidence says.
        value: String,
    },
    /// How every person's tokens stand.
    Tokens,
    /// Keeps a person's tokens.
    ImportTokens {
        /// Under this contract.
        contract: ContractName,
        /// The person.
        person: PersonId,
        /// The pair.
        tokens: TokenPair,
        /// The consent that it rests on.
        consent_id: Option<String>,
    },
    /// Makes the link by which a person authorises us.
    BeginAuthorisation {
        /// Under this contract.
        contract: ContractName,
        /// What the person is asked.
        invite: Invite,
    },
    /// Makes the link by which a person or an account is authorised again.
    BeginReauthorisation {
        /// The person's id, or the account's reference or id.
        word: String,
        /// Under this contract.
        contract: Option<ContractName>,
        /// What the person is asked.
        invite: Invite,
    },
    /// Takes what a person's answer brought.
    FinishAuthorisation {
        /// What was begun.
        begun: Box<Begun>,
        /// The address that the person was sent back to; it holds a code.
        callback: Secret<String>,
    },
    /// Removes the files that have had their time.
    Prune {
        /// Only says which these are.
        dry_run: bool,
    },
    /// Has paused destinations asked now.
    Resume {
        /// Of this contract; of every one where absent.
        contract: Option<ContractName>,
    },
    /// Reads the profiles again and judges by them from then on.
    ReloadProfiles,
    /// Renews a person's tokens now.
    RefreshTokens {
        /// Under this contract.
        contract: ContractName,
        /// Whose; every person's where absent.
        person: Option<PersonId>,
    },
}

/// What a person is asked when authorising.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invite {
    /// The address that the person is sent back to.
    pub callback: String,
    /// The provider, where it is known.
    pub service: Option<String>,
    /// The language of the API's pages.
    pub locale: Option<String>,
}

/// Who must answer an authorisation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Whom {
    /// Whoever gets the link.
    Anybody,
    /// This person.
    Person {
        /// `sub` of the tokens.
        person: PersonId,
    },
    /// This person, about one account at its provider.
    Account {
        /// `sub` of the tokens.
        person: PersonId,
        /// The account.
        reference: AccountReference,
    },
}

impl Whom {
    /// The only person whose answer counts.
    pub const fn person(&self) -> Option<&PersonId> {
        match self {
            Self::Anybody => None,
            Self::Person { person } | Self::Account { person, .. } => Some(person),
        }
    }
}

/// An authorisation that was begun. It is to be kept as a secret until the person has answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Begun {
    /// Under this contract.
    pub contract: ContractName,
    /// Who must answer.
    pub whom: Whom,
    /// Comes back in the callback.
    pub state: String,
    /// Proves that we began it.
    pub verifier: Secret<String>,
}

/// What an authorisation brought.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Authorised {
    /// Under this contract.
    pub contract: ContractName,
    /// The person.
    pub person: PersonId,
    /// The account that was chosen, where the API lists it.
    pub account: Option<Account>,
    /// All accounts of the person.
    pub accounts: Vec<Account>,
    /// What is not as it should be, and what to do.
    pub trouble: Option<String>,
}

/// An answer.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "answer")]
pub enum Answer {
    /// How things stand.
    Status(Box<Status>),
    /// The submissions asked for.
    Submissions {
        /// Newest first.
        submissions: Vec<Recorded>,
    },
    /// What became of a decision, for each submission.
    Decided {
        /// In the order of the ids.
        decided: Vec<Decided>,
    },
    /// Accounts.
    Accounts {
        /// Sorted.
        accounts: Vec<Account>,
    },
    /// Links.
    Links {
        /// Sorted.
        links: Vec<LinkView>,
    },
    /// Tokens.
    Tokens {
        /// Sorted.
        tokens: Vec<TokenStatus>,
    },
    /// A link for a person.
    Begun {
        /// For the person, and nobody else.
        url: String,
        /// To be kept until the person has answered.
        begun: Box<Begun>,
        /// What is out of the ordinary, for people.
        note: Option<String>,
    },
    /// A person's tokens are kept.
    Authorised(Box<Authorised>),
    /// Nothing was kept, and the same callback will never bring anything.
    NotAuthorised {
        /// Why and what to do, for people.
        text: String,
        /// Whether it was the API that refused.
        api: bool,
    },
    /// What retention removed, or would.
    Pruned(super::retention::Pruned),
    /// The profiles that files are judged by from now on.
    Reloaded(EditionFacts),
    /// It is done.
    Done {
        /// What, for people.
        text: String,
    },
    /// It could not be done.
    Failed {
        /// Why and what to do, for people.
        text: String,
        /// Whether it was the API that could not be reached or refused.
        #[serde(default)]
        api: bool,
    },
}

/// A submission with where its file lies.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Recorded {
    /// The record.
    pub submission: Submission,
    /// The file.
    pub path: Option<PathBuf>,
    /// Its report.
    pub report: Option<PathBuf>,
    /// What keeps it from being sent although its turn may have come.
    #[serde(default)]
    pub waits_for: Option<Obstacle>,
}

/// A person or an account that must be authorised again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Obstacle {
    /// Who, and why, for people.
    pub why: String,
    /// What to do.
    pub remedy: String,
}

/// What became of a decision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decided {
    /// About this submission.
    pub id: SubmissionId,
    /// The stage that follows.
    pub stage: Option<String>,
    /// Why it does not fit.
    pub error: Option<String>,
}

/// A link as it is shown: a hashed value stays hashed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkView {
    /// The link.
    #[serde(flatten)]
    pub link: Link,
}

/// How a person's tokens stand; never the tokens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenStatus {
    /// Under this contract.
    pub contract: ContractName,
    /// The person.
    pub person: PersonId,
    /// `fresh`, `rotating` or `paused`.
    pub state: String,
    /// Why it is paused.
    pub why: Option<String>,
    /// The access token's end.
    pub access_expiry: Timestamp,
    /// The refresh token's end.
    pub refresh_expiry: Timestamp,
    /// Whether it nears that end, as the contract's `token_warning` says.
    #[serde(default)]
    pub ends_soon: bool,
    /// What to do where it is paused or ends soon.
    #[serde(default)]
    pub remedy: Option<String>,
}

/// How many submissions are at a stage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StageStatus {
    /// How many.
    pub count: u64,
    /// When the oldest was claimed.
    pub oldest: Option<Timestamp>,
}

/// What was noticed in a channel's inbox.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChannelStatus {
    /// Files that are left where they are, with the reason.
    pub overlooked: Vec<(ForeignName, Overlooked)>,
    /// Troubles that last.
    pub troubles: Vec<String>,
}

/// How things stand.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// Whether a daemon answered.
    pub running: bool,
    /// Open submissions by stage.
    pub stages: BTreeMap<String, StageStatus>,
    /// Open submissions by type of push.
    #[serde(default)]
    pub pushes: BTreeMap<String, StageStatus>,
    /// How many wait for each account, oldest claim with it.
    pub accounts: BTreeMap<String, StageStatus>,
    /// Contracts whose API does not serve us at present, with why and until when.
    pub paused: Vec<PausedUntil>,
    /// Every person's tokens.
    pub tokens: Vec<TokenStatus>,
    /// Accounts to which nothing is sent, with the reason.
    pub blocked: Vec<(AccountId, String)>,
    /// Each channel's inbox.
    pub channels: BTreeMap<ChannelName, ChannelStatus>,
    /// The profiles that the daemon judges by.
    #[serde(default)]
    pub profiles: Option<Profiles>,
}

/// What a word of a selector may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Word {
    Id(SubmissionId),
    Digest(Digest),
    Name(KeyedHash),
}
