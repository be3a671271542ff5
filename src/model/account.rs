//! Persons, their accounts, and the links that lead evidence to an account.

use super::{AccountId, AccountReference, ChannelName, ContractName, KeyedHash, PersonId, Secret, Timestamp};
use serde::{Deserialize, Serialize};

/// One token as the API hands it out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenValue {
    /// The token itself.
    pub value: Secret<String>,
    /// When it ends.
    pub expiry: Timestamp,
}

/// Access and refresh token; they rotate together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenPair {
    /// Goes into every push.
    pub access: TokenValue,
    /// Is spent by the refresh that it pays for.
    pub refresh: TokenValue,
}

/// Where a person's tokens stand.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TokenState {
    /// The pair can be used.
    Fresh,
    /// A refresh was begun with this pair and its answer is not on disk: the refresh token may be spent.
    Rotating,
    /// The person must authorise again; the text says why.
    Paused {
        /// For people: why, without secrets.
        why: String,
        /// Since when.
        since: Timestamp,
    },
}

/// A person at the API, under one contract: one token set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Person {
    /// The contract that the tokens belong to.
    pub contract: ContractName,
    /// The user id, `sub` of the tokens.
    pub id: PersonId,
    /// The present pair.
    pub tokens: TokenPair,
    /// Where the pair stands.
    pub state: TokenState,
    /// The consent that the tokens rest on, as the API names it.
    pub consent_id: Option<String>,
    /// When the record last changed.
    pub updated: Timestamp,
}

/// An account that can be pushed to: belongs to one person under one contract.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// The contract under which the account is known.
    pub contract: ContractName,
    /// The person whose token opens it.
    pub person: PersonId,
    /// The API's id, sent as header `accountId`.
    pub id: AccountId,
    /// The name in mappings.
    pub reference: AccountReference,
    /// The provider's name as the API gives it, for people.
    pub service: Option<String>,
    /// Whether the provider still accepts pushes (`accessTokenStatus.authorized`; absent counts as yes).
    pub authorised: bool,
    /// Why nothing is sent to it at present (an answer 403, 404 or 511), for people; empties when it is authorised again.
    pub blocked: Option<String>,
    /// When the record last changed.
    pub updated: Timestamp,
}

impl Person {
    /// Why nothing is sent for this person, for people.
    pub fn paused_because(&self) -> Option<&str> {
        match &self.state {
            TokenState::Paused { why, .. } => Some(why),
            TokenState::Fresh | TokenState::Rotating => None,
        }
    }

    /// What lets its Bundles go again.
    pub fn remedy(&self) -> String {
        reauthorize(&self.contract, self.id.as_str())
    }
}

impl Account {
    /// What its record says when the API's list of a person's accounts no longer has it.
    pub const NOT_LISTED: &'static str = "the API no longer lists it among its person's accounts";

    /// Why nothing is sent to it, for people.
    pub fn blocked_because(&self) -> Option<&str> {
        let unauthorised = (!self.authorised).then_some("it is no longer authorised at its provider");
        self.blocked.as_deref().or(unauthorised)
    }

    /// What lets its Bundles go again.
    pub fn remedy(&self) -> String {
        self.blocked_because()
            .map_or_else(String::new, |why| account_remedy(&self.contract, self.reference.as_str(), why))
    }
}

/// What lets the Bundles of an account go again that is blocked for this reason.
pub fn account_remedy(contract: &ContractName, account: &str, why: &str) -> String {
    if why == Account::NOT_LISTED {
        return format!("pushbridge authorize --contract {contract}, where its person chooses the service again");
    }
    reauthorize(contract, account)
}

/// The command by which a person or an account is authorised again.
pub fn reauthorize(contract: &ContractName, whom: &str) -> String {
    format!("pushbridge reauthorize {} --contract {contract}", shell_word(whom))
}

/// A word of a command that is printed to be typed: in quotes where a shell would read more in it.
pub fn shell_word(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | ':' | '/' | '@' | ',');
    if !text.is_empty() && text.chars().all(is_plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', "'\\''"))
    }
}

/// What kind of evidence says whose Bundle it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EvidenceKind {
    /// The name of the inbox' sub-folder that held the file.
    Folder,
    /// A sidecar `<file>.route.json`.
    Sidecar,
    /// A patient identifier in the Bundle.
    Patient,
    /// A FHIRPath expression of the channel, evaluated on the Bundle.
    Expression,
    /// The channel's default account (a channel for a single person).
    Default,
}

impl EvidenceKind {
    /// The word for it in commands, reports and records.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Folder => "folder",
            Self::Sidecar => "sidecar",
            Self::Patient => "patient",
            Self::Expression => "expression",
            Self::Default => "default",
        }
    }
}

impl std::fmt::Display for EvidenceKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

/// The value that a link is found by. Values that can be patient data are kept as a keyed hash alone.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LinkValue {
    /// In clear: a folder's name or a sidecar's key.
    Clear(String),
    /// A patient identifier or an expression's value.
    Hashed(KeyedHash),
}

/// A mapping: this evidence in this channel means this account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// Links of one channel never serve another.
    pub channel: ChannelName,
    /// Folder, sidecar, patient or expression.
    pub kind: EvidenceKind,
    /// What the evidence says.
    pub value: LinkValue,
    /// Where it leads.
    pub account: AccountReference,
    /// When it was made.
    pub added: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_commands_survive_a_shell() {
        assert_eq!(shell_word("http://clinic.example/number"), "http://clinic.example/number");
        assert_eq!(shell_word("a b"), "'a b'");
        assert_eq!(shell_word("d'or$1"), r"'d'\''or$1'");
        assert_eq!(shell_word(""), "''");
    }
}
