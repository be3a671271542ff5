//! What a running daemon looks after by the clock, beside its queue: the persons' accounts as the API lists them, and
//! refresh tokens that near their own end.

use super::{desk::Desk, hands::Hands, protocol::Answer, sync::Stale};
use crate::{
    alert::{Bell, Kind, News},
    model::{ContractName, PersonId, Timestamp, clock},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::{Duration, Instant},
};

/// A start is not the moment to ask the API for more than what waits.
const FIRST_SYNC: Duration = Duration::from_secs(60);
/// How often the ends of tokens are looked at.
const TOKEN_LOOK: Duration = Duration::from_secs(10 * 60);

/// Persons whose refresh token nears its end, as they were last seen.
type Near = BTreeSet<(ContractName, PersonId)>;

/// Runs for as long as the daemon.
pub async fn tend<H: Hands>(desk: Arc<Desk<H>>, bell: Bell) {
    let start = clock::now();
    let mut syncs: BTreeMap<ContractName, Instant> = BTreeMap::new();
    for (contract, schedule) in desk.schedules.iter().filter(|(_, schedule)| !schedule.accounts_sync.is_zero()) {
        syncs.insert(contract.clone(), start + schedule.accounts_sync.min(FIRST_SYNC));
    }
    let (mut look, mut near, mut failing) = (start, None, BTreeSet::new());
    loop {
        let due = syncs.values().copied().chain([look]).min().unwrap_or(look);
        tokio::time::sleep(clock::until(due)).await;
        if clock::now() >= look {
            near = look_at_ends(&desk, &bell, near.as_ref()).or(near);
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

/// Tells whose refresh token nears its end, and whose no longer does: for a run that ends before a second look.
pub fn tell_ends<H: Hands>(desk: &Desk<H>, bell: &Bell) {
    look_at_ends(desk, bell, None);
}

/// Tells when a refresh token begins to near its end, and when it no longer does. `near` is whose did at the last look,
/// where there was one: an earlier run may have told of anybody. `None` where the store cannot be read.
fn look_at_ends<H: Hands>(desk: &Desk<H>, bell: &Bell, near: Option<&Near>) -> Option<Near> {
    let persons = desk.store.persons(None).ok()?;
    let now = Timestamp::now();
    let mut still = Near::new();
    let news = |kind, (contract, person): &(ContractName, PersonId)| News {
        person: Some(person.clone()),
        ..News::under(kind, contract)
    };
    for person in persons {
        let key = (person.contract.clone(), person.id.clone());
        if person.paused_because().is_some() {
            // Told by itself; it ends when new tokens come.
            still.extend(near.is_some_and(|near| near.contains(&key)).then_some(key));
        } else if desk.ends_soon(&person, now) {
            if near.is_none_or(|near| !near.contains(&key)) {
                let (contract, end, remedy) = (&person.contract, person.tokens.refresh.expiry, person.remedy());
                tracing::warn!(%contract, person = %person.id, %end, remedy, "alert: a refresh token ends soon");
                bell.ring(news(Kind::TokenEnding, &key).because(format!("at {end}; {remedy}")));
            }
            still.insert(key);
        } else if near.is_none() {
            bell.ring(news(Kind::TokenRenewed, &key));
        }
    }
    for key in near.into_iter().flatten().filter(|key| !still.contains(*key)) {
        tracing::info!(contract = %key.0, person = %key.1, "the refresh token no longer ends soon");
        bell.ring(news(Kind::TokenRenewed, key));
    }
    Some(still)
}
