//! What is told: data, and the words for it.

use crate::model::{AccountId, ChannelName, ContractName, PersonId, SubmissionId, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Nothing is sent to a destination.
    DestinationPaused,
    /// The API of a paused destination asks for a long wait.
    DestinationParked,
    /// It is served again.
    DestinationOpen,
    /// A person must authorise again.
    PersonPaused,
    /// It has.
    PersonAuthorised,
    /// A person's tokens are refused without a word on why: they are tried again.
    PersonRefused,
    /// They are taken again.
    PersonServed,
    /// A person's refresh token nears its end and could not be renewed.
    TokenEnding,
    /// It no longer does.
    TokenRenewed,
    /// Nothing is sent to an account.
    AccountBlocked,
    /// It is free again.
    AccountOpen,
    /// A submission waits for somebody.
    Held,
    /// A submission may have arrived.
    Unknown,
    /// A file was refused.
    Refused,
    /// The API took a Bundle and rejected some of its entries.
    DeliveredWithErrors,
    /// No room: nothing is claimed.
    DiskFull,
    /// There is room again.
    DiskFree,
    /// An inbox cannot be read.
    InboxGone,
    /// It can be read again.
    InboxBack,
    /// The store cannot be written.
    StoreFailing,
    /// It works again.
    StoreWorks,
    /// A damaged store was set aside and rebuilt.
    StoreRebuilt,
    /// No file came through a channel for longer than its `quiet_alert`.
    NoFiles,
    /// Files come again.
    FilesAgain,
    /// The profiles on the disk cannot be used: those before stay in force.
    ProfilesRejected,
    /// They can be used again.
    ProfilesLoaded,
    /// Somebody tries whether alerts arrive.
    Test,
}

/// Which way the edge goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Edge {
    /// Trouble begins; told once until it ends.
    Begins(Topic),
    /// It ends; told where its beginning was.
    Ends(Topic),
    /// It stands alone.
    Event,
}

/// What a trouble is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Topic {
    Destination,
    Person,
    PersonService,
    Token,
    Account,
    Disk,
    Inbox,
    Store,
    Files,
    Profiles,
}

/// A trouble that was told and has not ended.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct Trouble {
    pub(super) topic: Topic,
    pub(super) of: String,
}

impl Kind {
    /// The word for it in alerts.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::DestinationPaused => "destination-paused",
            Self::DestinationParked => "destination-parked",
            Self::DestinationOpen => "destination-open",
            Self::PersonPaused => "person-paused",
            Self::PersonAuthorised => "person-authorised",
            Self::PersonRefused => "person-refused",
            Self::PersonServed => "person-served",
            Self::TokenEnding => "token-ending",
            Self::TokenRenewed => "token-renewed",
            Self::AccountBlocked => "account-blocked",
            Self::AccountOpen => "account-open",
            Self::Held => "held",
            Self::Unknown => "unknown",
            Self::Refused => "refused",
            Self::DeliveredWithErrors => "delivered-with-errors",
            Self::DiskFull => "disk-full",
            Self::DiskFree => "disk-free",
            Self::InboxGone => "inbox-gone",
            Self::InboxBack => "inbox-back",
            Self::StoreFailing => "store-failing",
            Self::StoreWorks => "store-works",
            Self::StoreRebuilt => "store-rebuilt",
            Self::NoFiles => "no-files",
            Self::FilesAgain => "files-again",
            Self::ProfilesRejected => "profiles-rejected",
            Self::ProfilesLoaded => "profiles-loaded",
            Self::Test => "test",
        }
    }

    pub(super) const fn edge(self) -> Edge {
        match self {
            Self::DestinationPaused => Edge::Begins(Topic::Destination),
            Self::DestinationOpen => Edge::Ends(Topic::Destination),
            Self::PersonPaused => Edge::Begins(Topic::Person),
            Self::PersonAuthorised => Edge::Ends(Topic::Person),
            Self::PersonRefused => Edge::Begins(Topic::PersonService),
            Self::PersonServed => Edge::Ends(Topic::PersonService),
            Self::TokenEnding => Edge::Begins(Topic::Token),
            Self::TokenRenewed => Edge::Ends(Topic::Token),
            Self::AccountBlocked => Edge::Begins(Topic::Account),
            Self::AccountOpen => Edge::Ends(Topic::Account),
            Self::DiskFull => Edge::Begins(Topic::Disk),
            Self::DiskFree => Edge::Ends(Topic::Disk),
            Self::InboxGone => Edge::Begins(Topic::Inbox),
            Self::InboxBack => Edge::Ends(Topic::Inbox),
            Self::StoreFailing => Edge::Begins(Topic::Store),
            Self::StoreWorks => Edge::Ends(Topic::Store),
            Self::NoFiles => Edge::Begins(Topic::Files),
            Self::FilesAgain => Edge::Ends(Topic::Files),
            Self::ProfilesRejected => Edge::Begins(Topic::Profiles),
            Self::ProfilesLoaded => Edge::Ends(Topic::Profiles),
            Self::DestinationParked
            | Self::Held
            | Self::Unknown
            | Self::Refused
            | Self::DeliveredWithErrors
            | Self::StoreRebuilt
            | Self::Test => Edge::Event,
        }
    }

    /// One sentence, and where to look.
    const fn text(self) -> &'static str {
        match self {
            Self::DestinationPaused => {
                "nothing is sent: the API does not serve us; files wait and none fails; see pushbridge status"
            }
            Self::DestinationParked => {
                "the API asks us to wait for long; pushbridge resume CONTRACT asks it again at once; see pushbridge status"
            }
            Self::DestinationOpen => "the API serves us again: what waited is sent",
            Self::PersonPaused => "must authorise again; its Bundles wait; see pushbridge tokens status",
            Self::PersonAuthorised => "authorised again: what waited is sent",
            Self::PersonRefused => {
                "the API refuses its tokens without a word on why; they are tried again by themselves"
            }
            Self::PersonServed => "the API takes its tokens again: what waited is sent",
            Self::TokenEnding => {
                "its refresh token ends soon: renew it in time, or it must authorise again; see pushbridge tokens status"
            }
            Self::TokenRenewed => "its refresh token no longer ends soon",
            Self::AccountBlocked => {
                "nothing is sent to the account until it is authorised again; see pushbridge accounts ls"
            }
            Self::AccountOpen => "the account is free again: what waited is sent",
            Self::Held => "held until somebody decides or links; see pushbridge queue why ALL --held",
            Self::Unknown => {
                "may have arrived: ask the receiver, then queue drop or queue release; see pushbridge queue why ALL --unknown"
            }
            Self::Refused => {
                "refused, and moved to failed/ with its report; see pushbridge queue why ALL --stage refused"
            }
            Self::DeliveredWithErrors => {
                "delivered, and the API rejected some of its entries; see pushbridge queue why"
            }
            Self::DiskFull => "the disk is full: nothing is claimed, sending goes on",
            Self::DiskFree => "there is room on the disk again",
            Self::InboxGone => "the inbox cannot be read; see pushbridge status",
            Self::InboxBack => "the inbox can be read again",
            Self::StoreFailing => "the store fails: nothing new is claimed or sent until it works again; see the log",
            Self::StoreWorks => "the store works again",
            Self::StoreRebuilt => "the store was damaged: it was set aside and rebuilt; see the log",
            Self::NoFiles => "no file came for longer than the channel's quiet_alert: does its exporter run?",
            Self::FilesAgain => "files come again",
            Self::ProfilesRejected => {
                "the profiles on the disk cannot be used: files are judged by those before; see pushbridge profiles check"
            }
            Self::ProfilesLoaded => "the profiles on the disk are in force again",
            Self::Test => "this is a test: alerts arrive",
        }
    }
}

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct News {
    /// What happened.
    #[serde(skip)]
    pub kind: Kind,
    /// Of this contract.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub contract: Option<ContractName>,
    /// Of this person.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub person: Option<PersonId>,
    /// Of this account.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<AccountId>,
    /// Of this channel.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channel: Option<ChannelName>,
    /// Of this submission.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub submission: Option<SubmissionId>,
    /// Why, as the log says it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

impl News {
    /// That this happened, of nothing yet.
    pub const fn of(kind: Kind) -> Self {
        Self { kind, contract: None, person: None, account: None, channel: None, submission: None, why: None }
    }

    /// Of a channel.
    pub fn in_channel(kind: Kind, channel: &ChannelName) -> Self {
        Self { channel: Some(channel.clone()), ..Self::of(kind) }
    }

    /// Of a contract.
    pub fn under(kind: Kind, contract: &ContractName) -> Self {
        Self { contract: Some(contract.clone()), ..Self::of(kind) }
    }

    /// With the reason.
    #[must_use]
    pub fn because(mut self, why: impl Into<String>) -> Self {
        self.why = Some(why.into());
        self
    }

    /// The trouble that it begins or ends.
    pub(super) fn trouble(&self) -> Option<Trouble> {
        let (Edge::Begins(topic) | Edge::Ends(topic)) = self.kind.edge() else { return None };
        let parts = [
            self.contract.as_ref().map(ContractName::as_str),
            self.person.as_ref().map(PersonId::as_str),
            self.account.as_ref().map(AccountId::as_str),
            self.channel.as_ref().map(ChannelName::as_str),
        ];
        Some(Trouble { topic, of: parts.into_iter().flatten().collect::<Vec<_>>().join(" ") })
    }
}

/// One alert as it leaves: a kind, how often, and the first of them.
pub(super) fn message(kind: Kind, at: Timestamp, count: u64, items: &[News]) -> Value {
    let edge = match kind.edge() {
        Edge::Begins(_) => "begins",
        Edge::Ends(_) => "ends",
        Edge::Event => "event",
    };
    let whose = match items {
        [one] if count == 1 => {
            let submission = one.submission.map(|id| id.to_string());
            let about = [
                one.channel.as_ref().map(|channel| format!("channel {channel}")),
                one.contract.as_ref().map(|contract| format!("contract {contract}")),
                one.person.as_ref().map(|person| format!("person {person}")),
                one.account.as_ref().map(|account| format!("account {account}")),
                submission,
            ];
            about.into_iter().flatten().collect::<Vec<_>>().join(", ")
        }
        _ => format!("{count} times"),
    };
    let why = items.iter().filter(|_| count == 1).find_map(|item| item.why.as_ref());
    let why = why.map_or_else(String::new, |why| format!(" ({why})"));
    let whose = if whose.is_empty() { "pushbridge".to_owned() } else { whose };
    json!({
        "alert": kind, "edge": edge, "at": at.to_string(), "count": count,
        "text": format!("{whose}: {}{why}", kind.text()), "items": items,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_those_that_json_has() {
        for kind in [Kind::DestinationPaused, Kind::DeliveredWithErrors, Kind::NoFiles, Kind::Test] {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
        }
    }

    #[test]
    fn one_is_named_and_many_are_counted() {
        let channel = "clinic".parse().unwrap();
        let news = News { submission: Some(SubmissionId::from_u64(1)), ..News::in_channel(Kind::Held, &channel) };
        let at = Timestamp::from_millis(0);
        let one = message(Kind::Held, at, 1, &[news.clone().because("nothing says whose it is")]);
        let text = one["text"].as_str().unwrap();
        assert!(text.starts_with("channel clinic, 0000000000001: held until"), "{text}");
        assert!(text.ends_with("(nothing says whose it is)"), "{text}");
        let many = message(Kind::Held, at, 70, &[news.clone(), news]);
        assert!(many["text"].as_str().unwrap().starts_with("70 times: held"), "{many}");
        assert_eq!(many["items"].as_array().unwrap().len(), 2);
    }
}
