//! What is told of trouble: from the engine's alerts, records and notices to the bell's news.
//!
//! The bell knows edges: it does not matter how often something is rung that was told already.

use super::{
    event::{AccountKey, Alert, PersonKey},
    report::reason,
};
use crate::{
    alert::{Bell, Kind, News},
    intake::{Inbox, Notice, Space},
    model::{Account, ChannelName, HoldReason, Person, Stage, Submission, TokenState},
    store::{StoreTrouble, Write},
};

/// Of a person.
pub(super) fn of_person(kind: Kind, key: &PersonKey) -> News {
    News { person: Some(key.person.clone()), ..News::under(kind, &key.contract) }
}

fn of_account(kind: Kind, key: &AccountKey) -> News {
    News { account: Some(key.account.clone()), ..News::under(kind, &key.contract) }
}

/// What the engine noticed of the API; what concerns one submission is told by its stage.
pub(super) fn of_alert(alert: &Alert) -> Option<News> {
    match alert {
        Alert::DestinationPaused { contract, why } => Some(News::under(Kind::DestinationPaused, contract).because(why)),
        Alert::DestinationParked { contract, why, until } => {
            Some(News::under(Kind::DestinationParked, contract).because(format!("until {until}: {why}")))
        }
        Alert::DestinationOpen { contract } => Some(News::under(Kind::DestinationOpen, contract)),
        Alert::PersonPaused { person, why } => Some(of_person(Kind::PersonPaused, person).because(why)),
        Alert::PersonRefused { person, why } => Some(of_person(Kind::PersonRefused, person).because(why)),
        Alert::PersonServed { person } => Some(of_person(Kind::PersonServed, person)),
        Alert::AccountOpen { account } => Some(of_account(Kind::AccountOpen, account)),
        Alert::AccountBlocked { account, why } => Some(of_account(Kind::AccountBlocked, account).because(why)),
        Alert::DeliveredWithErrors { .. } | Alert::Unknown { .. } => None,
    }
}

/// A stage that somebody should know of, but for those that somebody chose.
pub(super) fn of_stage(record: &Submission) -> Option<News> {
    let kind = match &record.stage {
        Stage::Held(HoldReason::ByPerson) => return None,
        Stage::Held(_) => Kind::Held,
        Stage::Unknown { .. } => Kind::Unknown,
        Stage::Refused { .. } => Kind::Refused,
        Stage::Delivered { receipt } if receipt.rejected_entries > 0 => Kind::DeliveredWithErrors,
        _ => return None,
    };
    let news = News { submission: Some(record.id), ..News::in_channel(kind, &record.channel) };
    Some(news.because(reason(&record.stage)))
}

/// What is over, or begins, with these writes.
pub(super) fn of_writes(writes: &[Write]) -> Vec<News> {
    let of_write = |write: &Write| match write {
        Write::Person(person) => of_standing(person),
        Write::Account(account) => Some(of_state(account)),
        _ => None,
    };
    writes.iter().filter_map(of_write).collect()
}

/// How a person stands.
pub(super) fn of_standing(person: &Person) -> Option<News> {
    let key = PersonKey { contract: person.contract.clone(), person: person.id.clone() };
    match &person.state {
        TokenState::Fresh => Some(of_person(Kind::PersonAuthorised, &key)),
        TokenState::Rotating => None,
        TokenState::Paused { why, .. } => Some(of_person(Kind::PersonPaused, &key).because(why)),
    }
}

/// How an account stands.
pub(super) fn of_state(account: &Account) -> News {
    let key = AccountKey { contract: account.contract.clone(), account: account.id.clone() };
    match (&account.blocked, account.authorised) {
        (Some(why), _) => of_account(Kind::AccountBlocked, &key).because(why),
        (None, false) => of_account(Kind::AccountBlocked, &key).because("it is no longer authorised at its provider"),
        (None, true) => of_account(Kind::AccountOpen, &key),
    }
}

/// What an inbox said; files that are left in it are in `status`.
pub(super) fn of_notice(channel: &ChannelName, notice: &Notice) -> Option<News> {
    let kind = match notice {
        Notice::InboxGone { .. } => Kind::InboxGone,
        Notice::InboxBack => Kind::InboxBack,
        Notice::DiskFull => Kind::DiskFull,
        Notice::DiskFree => Kind::DiskFree,
        Notice::Overlooked { .. } | Notice::EventsMissing { .. } => return None,
    };
    Some(News::in_channel(kind, channel))
}

/// What the store's writer said.
pub(super) fn of_trouble(trouble: &StoreTrouble) -> News {
    match trouble {
        StoreTrouble::Failing { why } => News::of(Kind::StoreFailing).because(why),
        StoreTrouble::Recovered => News::of(Kind::StoreWorks),
    }
}

/// What ended while nobody looked, as far as a start can see.
pub(super) fn at_start(bell: &Bell, inboxes: &[Inbox]) {
    bell.ring(News::of(Kind::StoreWorks));
    bell.ring(News::of(Kind::ProfilesLoaded));
    for inbox in inboxes {
        if std::fs::read_dir(&inbox.path).is_ok() {
            bell.ring(News::in_channel(Kind::InboxBack, &inbox.channel));
        }
        if Space::at(inbox.spool.root()).is_ok_and(|space| space.bytes >= inbox.min_free) {
            bell.ring(News::in_channel(Kind::DiskFree, &inbox.channel));
        }
    }
}
