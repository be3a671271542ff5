//! What a running daemon looks after by the clock, beside its queue: the persons' accounts as the API lists them, and
//! refresh tokens that near their own end.

use super::{
    desk::{Desk, Hands},
    protocol::Answer,
    sync::Stale,
};
use crate::model::{ContractName, PersonId, Timestamp, clock};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::{Duration, Instant},
};

/// A start is not the moment to ask the API for more than what waits.
const FIRST_SYNC: Duration = Duration::from_secs(60);
/// How often the ends of tokens are looked at.
const TOKEN_LOOK: Duration = Duration::from_secs(10 * 60);

/// Runs for as long as the daemon.
pub async fn tend<H: Hands>(desk: Arc<Desk<H>>) {
    let start = clock::now();
    let mut syncs: BTreeMap<ContractName, Instant> = BTreeMap::new();
    for (contract, schedule) in desk.schedules.iter().filter(|(_, schedule)| !schedule.accounts_sync.is_zero()) {
        syncs.insert(contract.clone(), start + schedule.accounts_sync.min(FIRST_SYNC));
    }
    let (mut look, mut near, mut failing) = (start, BTreeSet::new(), BTreeSet::new());
    loop {
        let due = syncs.values().copied().chain([look]).min().unwrap_or(look);
        tokio::time::sleep(clock::until(due)).await;
        if clock::now() >= look {
            tell_ends(&desk, &mut near);
            look = clock::now() + TOKEN_LOOK;
        }
        for (contract, due) in &mut syncs {
            if clock::now() < *due {
                continue;
            }
            sync(&desk, contract, &mut failing).await;
            // After the end of one: a slow API is not asked without a pause.
            *due = clock::now() + desk.schedules.get(contract).map_or(FIRST_SYNC, |schedule| schedule.accounts_sync);
        }
    }
}

async fn sync<H: Hands>(desk: &Desk<H>, contract: &ContractName, failing: &mut BTreeSet<ContractName>) {
    if desk.store.persons(Some(contract)).is_ok_and(|persons| persons.is_empty()) {
        return;
    }
    match desk.sync_accounts(contract, Stale::Skip).await {
        Ok(Answer::Done { text }) => {
            tracing::debug!(%contract, text, "accounts were read");
            if failing.remove(contract) {
                tracing::info!(%contract, "accounts can be read again");
            }
        }
        Ok(_) => {}
        Err(refusal) => {
            if failing.insert(contract.clone()) {
                tracing::warn!(%contract, why = refusal.text, "accounts cannot be read; trying on");
            }
        }
    }
}

/// One line when a refresh token begins to near its end, one when a new one has come.
fn tell_ends<H: Hands>(desk: &Desk<H>, near: &mut BTreeSet<(ContractName, PersonId)>) {
    let Ok(persons) = desk.store.persons(None) else { return };
    let now = Timestamp::now();
    let mut still = BTreeSet::new();
    for person in persons {
        let key = (person.contract.clone(), person.id.clone());
        if person.paused_because().is_some() || !desk.ends_soon(&person, now) {
            continue;
        }
        if !near.contains(&key) {
            let (contract, end, remedy) = (&person.contract, person.tokens.refresh.expiry, person.remedy());
            tracing::warn!(%contract, person = %person.id, %end, remedy, "alert: a refresh token ends soon");
        }
        still.insert(key);
    }
    for (contract, person) in near.difference(&still) {
        tracing::info!(%contract, %person, "the refresh token no longer ends soon");
    }
    *near = still;
}
