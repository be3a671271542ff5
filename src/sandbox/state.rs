//! What the sandbox knows: applications, persons, accounts, tokens, and everything that it received.

use super::{
    faults::{Fault, Orders, Target},
    jwt::{Issuer, PublicKey},
};
use crate::model::{Digest, random_bytes};
use serde::Serialize;
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// Bodies up to this size are kept whole; of larger ones the digest alone.
pub(super) const BODY_KEPT: usize = 4 * 1024 * 1024;

/// What a library push says of its file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Described {
    /// `mimeType`
    pub mime_type: String,
    /// The accounts' ids.
    pub accounts: Vec<String>,
    /// `reference`
    pub reference: Vec<String>,
    /// `tags`
    pub tags: Vec<String>,
}

/// A push that was taken.
#[derive(Clone, Debug, Serialize)]
pub struct Received {
    /// 0 for the first.
    pub number: usize,
    /// Milliseconds since the Unix epoch.
    pub at: i64,
    /// `provider` or `library`.
    pub kind: &'static str,
    /// To which account.
    pub account_id: String,
    /// With whose token.
    pub person_id: String,
    /// SHA-256 of the body.
    pub sha256: Digest,
    /// Bytes.
    pub size: usize,
    /// Of a library push: what it says of its file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub described: Option<Described>,
    /// The body, where it is small enough to be kept.
    #[serde(skip)]
    pub body: Option<Vec<u8>>,
}

/// How often what happened.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Stats {
    /// Requests by route.
    pub requests: BTreeMap<&'static str, u64>,
    /// Refusals by error code.
    pub refused: BTreeMap<String, u64>,
    /// Refreshes that were answered.
    pub refreshes: u64,
}

/// An account of a person.
#[derive(Clone, Debug, Serialize)]
pub struct NewAccount {
    /// `id`
    pub id: String,
    /// `reference`
    pub reference: String,
    /// The service's name.
    pub service: String,
}

/// A person who has authorised the application.
#[derive(Clone, Debug, Serialize)]
pub struct NewPerson {
    /// The user id.
    pub id: String,
    /// Its accounts.
    pub accounts: Vec<NewAccount>,
    /// Its tokens, as the official client hands them out.
    pub tokens: Value,
}

#[derive(Debug, Default)]
pub(super) struct Person {
    pub(super) accounts: Vec<NewAccount>,
    pub(super) access: Option<Token>,
    pub(super) refresh: Option<Token>,
    pub(super) unauthorised: BTreeSet<String>,
    pub(super) unlisted: BTreeSet<String>,
}

#[derive(Clone, Debug)]
pub(super) struct Token {
    pub(super) value: String,
    /// By the sandbox' clock, in milliseconds.
    pub(super) ends: i64,
    /// What is said of it: seconds since the Unix epoch.
    pub(super) expiry: i64,
}

/// An authorisation that a person has not finished.
#[derive(Clone, Debug)]
pub(super) struct Pending {
    pub(super) challenge: String,
    pub(super) callback: String,
    pub(super) state: String,
    /// Set when the person said yes.
    pub(super) person: Option<String>,
}

#[derive(Default)]
pub(super) struct Inner {
    pub(super) persons: BTreeMap<String, Person>,
    pub(super) nonces: BTreeSet<String>,
    pub(super) received: Vec<Received>,
    pub(super) stats: Stats,
    pub(super) orders: Orders,
    /// By preauthorisation code, then by authorisation code.
    pub(super) pending: BTreeMap<String, Pending>,
    pub(super) codes: BTreeMap<String, Pending>,
}

/// The sandbox' clock, made of this machine's milliseconds.
type Clock = Box<dyn Fn(i64) -> i64 + Send>;

/// The sandbox' state, shared by all its connections.
pub struct State {
    pub(super) client_id: String,
    pub(super) contract_id: String,
    pub(super) key: PublicKey,
    pub(super) issuer: Issuer,
    pub(super) base: String,
    pub(super) access_lifetime: Duration,
    pub(super) refresh_lifetime: Duration,
    clock: Mutex<Clock>,
    inner: Mutex<Inner>,
}

impl State {
    pub(super) fn new(options: &super::Options, base: String) -> Self {
        Self {
            client_id: format!("{}_{}", options.application_id, options.contract_id),
            contract_id: options.contract_id.clone(),
            key: options.public_key.clone(),
            issuer: Issuer::new(),
            base,
            access_lifetime: options.access_lifetime,
            refresh_lifetime: options.refresh_lifetime,
            clock: Mutex::new(Box::new(|machine| machine)),
            inner: Mutex::default(),
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A person with an account at each service, who has said yes.
    pub fn add_person(&self, services: &[&str]) -> NewPerson {
        let id = word("person");
        let accounts: Vec<_> = services
            .iter()
            .map(|service| NewAccount { id: word("account"), reference: word("ref"), service: (*service).to_owned() })
            .collect();
        self.lock().persons.insert(id.clone(), Person { accounts: accounts.clone(), ..Person::default() });
        let tokens = self.authorise_again(&id);
        NewPerson { id, accounts, tokens }
    }

    /// The person says yes once more; its new tokens, as the official client hands them out.
    pub fn authorise_again(&self, person: &str) -> Value {
        let (access, refresh) = self.renew(person);
        json!({
            "accessToken": {"value": access.value, "expiry": access.expiry},
            "refreshToken": {"value": refresh.value, "expiry": refresh.expiry},
            "user": {"id": person}, "consentid": format!("consent-{person}"),
        })
    }

    /// A new pair; the old one is spent from this moment on.
    pub(super) fn renew(&self, person: &str) -> (Token, Token) {
        let (access, refresh) = (self.token(self.access_lifetime), self.token(self.refresh_lifetime));
        if let Some(person) = self.lock().persons.get_mut(person) {
            (person.access, person.refresh) = (Some(access.clone()), Some(refresh.clone()));
        }
        (access, refresh)
    }

    /// The person's access token ends now, before the time that it was given with.
    pub fn expire_access_token(&self, person: &str) {
        if let Some(access) = self.lock().persons.get_mut(person).and_then(|person| person.access.as_mut()) {
            access.ends = i64::MIN;
        }
    }

    /// The account's provider no longer accepts pushes, or does again.
    pub fn set_authorised(&self, account: &str, authorised: super::pages::Consent) {
        for person in self.lock().persons.values_mut() {
            match authorised {
                super::pages::Consent::Given => person.unauthorised.remove(account),
                super::pages::Consent::Withdrawn => person.unauthorised.insert(account.to_owned()),
            };
        }
    }

    /// The account is no longer among its person's, or is again.
    pub fn set_listed(&self, account: &str, listed: bool) {
        for person in self.lock().persons.values_mut() {
            if listed {
                person.unlisted.remove(account);
            } else {
                person.unlisted.insert(account.to_owned());
            }
        }
    }

    /// The sandbox' clock is so many milliseconds ahead of this machine's (behind, where negative): it says so by its
    /// `Date`, and judges timestamps by it.
    pub fn set_clock_ahead(&self, millis: i64) {
        self.set_clock(move |machine| machine.saturating_add(millis));
    }

    /// The sandbox goes by this clock, made of this machine's milliseconds since the Unix epoch: for its `Date`, for
    /// timestamps, and for the ends of tokens.
    pub fn set_clock(&self, clock: impl Fn(i64) -> i64 + Send + 'static) {
        *self.clock.lock().unwrap_or_else(PoisonError::into_inner) = Box::new(clock);
    }

    /// The present time by the sandbox' clock, in milliseconds.
    pub(super) fn now(&self) -> i64 {
        self.clock.lock().unwrap_or_else(PoisonError::into_inner)(now_millis())
    }

    /// How long by the sandbox' clock so many milliseconds of the machine's are.
    pub(super) fn span(&self, machine: i64) -> i64 {
        let (clock, now) = (self.clock.lock().unwrap_or_else(PoisonError::into_inner), now_millis());
        clock(now + machine) - clock(now)
    }

    /// Orders a fault for the next requests of that kind.
    pub fn order(&self, target: Target, fault: Fault, times: usize) {
        self.lock().orders.order(target, fault, times);
    }

    /// Every push that was taken, in the order of their ends.
    pub fn received(&self) -> Vec<Received> {
        self.lock().received.clone()
    }

    /// How many pushes were taken.
    pub fn received_count(&self) -> usize {
        self.lock().received.len()
    }

    /// How often what happened.
    pub fn stats(&self) -> Stats {
        self.lock().stats.clone()
    }

    /// Keeps a push; its number is its place.
    pub(super) fn take(&self, push: Received) -> usize {
        let mut inner = self.lock();
        let number = inner.received.len();
        inner.received.push(Received { number, at: now_millis(), ..push });
        number
    }

    fn token(&self, lifetime: Duration) -> Token {
        let bytes: [u8; 16] = random_bytes();
        let ends = self.now().saturating_add(i64::try_from(lifetime.as_millis()).unwrap_or(i64::MAX));
        Token { value: format!("token-{:032x}", u128::from_be_bytes(bytes)), ends, expiry: ends / 1000 }
    }

    pub(super) fn count(&self, route: &'static str) {
        *self.lock().stats.requests.entry(route).or_default() += 1;
    }
}

/// A word that nothing else is called.
pub(super) fn word(kind: &str) -> String {
    let bytes: [u8; 8] = random_bytes();
    format!("{kind}-{:016x}", u64::from_be_bytes(bytes))
}

pub(super) fn now_millis() -> i64 {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(elapsed.as_millis()).unwrap_or(i64::MAX)
}
