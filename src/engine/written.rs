//! What the engine hears of writes once they are on the disk.

use super::{
    event::{AccountKey, Event, PersonKey, PersonStanding},
    vault::{Vault, standing},
};
use crate::{
    model::{Account, Timestamp},
    store::Write,
};

/// The writes are on the disk: the vault's tokens are used from here on, and the engine is told this.
pub(super) fn events_of(vault: &Vault, writes: Vec<Write>, now: Timestamp) -> Vec<Event> {
    let mut events = Vec::new();
    // First, so that what an account's freedom lets go is judged by the new mappings before it is sent.
    if writes.iter().any(|write| !matches!(write, Write::Person(_))) {
        events.push(Event::MappingsChanged);
    }
    for write in writes {
        match write {
            Write::Person(person) => {
                let standing = standing(&person, now);
                events.push(Event::Person { person: vault.arrived(person), standing });
            }
            Write::RemovePerson { contract, person } => {
                let person = PersonKey { contract, person };
                vault.forget(&person);
                events.push(Event::Person { person, standing: PersonStanding::Paused });
            }
            Write::Account(account) => events.push(account_event(&account)),
            Write::RemoveAccount { contract, account } => {
                // Its Bundles are held when they are judged again; an account that comes back begins anew.
                events.push(Event::Account { account: AccountKey { contract, account }, blocked: None });
            }
            _ => {}
        }
    }
    events
}

pub(super) fn account_event(account: &Account) -> Event {
    Event::Account {
        account: AccountKey { contract: account.contract.clone(), account: account.id.clone() },
        blocked: account.blocked_because().map(str::to_owned),
    }
}
