//! The API as it really is: whose tokens are good, what it took, and how it answers; its bad days are drawn.

use super::{cast::cast, random::Random};
use crate::{
    engine::event::{AccountKey, PersonKey},
    model::{ContractName, Digest, Receipt, Secret, SubmissionId, Timestamp, TokenPair, TokenValue},
    push::{Answer, Scope},
};
use std::{collections::BTreeMap, time::Duration};

/// How a contract's destination is today.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    Healthy,
    /// One answer in so many percent is a bad one, of any kind.
    Moody(u64),
    /// 503, with or without Retry-After in seconds.
    Busy(Option<u64>),
    /// Nothing is answered. Some bodies arrive all the same.
    Silent,
    /// Connections are never made.
    Unreachable,
    /// InvalidClient.
    Refusing,
    /// 401, whatever the token; refreshes work.
    Unauthorised,
}

/// What the API did with a refresh.
#[derive(Clone, Debug)]
pub(super) enum Refreshed {
    Renewed(u32),
    Foreign,
    Spent,
    Later(Option<Duration>),
    Refusing,
    /// No answer; the token may be spent.
    Silence,
}

/// One person's tokens: pairs are numbered.
#[derive(Clone, Debug)]
pub(super) struct Granted {
    /// The pair that is good.
    pub(super) current: u32,
    last: u32,
    access_until: u64,
}

#[derive(Debug)]
pub(super) struct Api {
    pub(super) modes: BTreeMap<ContractName, Mode>,
    pub(super) granted: BTreeMap<PersonKey, Granted>,
    /// Every body that was taken.
    pub(super) taken: Vec<(AccountKey, Digest, SubmissionId)>,
    /// Life of an access token, in milliseconds.
    pub(super) access_life: u64,
}

impl Api {
    pub(super) fn new(access_life: u64) -> Self {
        Self {
            modes: cast().contracts.iter().map(|contract| (contract.clone(), Mode::Healthy)).collect(),
            granted: BTreeMap::new(),
            taken: Vec::new(),
            access_life,
        }
    }

    /// A person authorises: a new pair, and older ones are over.
    pub(super) fn grant(&mut self, now: u64, person: &PersonKey) -> u32 {
        let granted = self.granted.entry(person.clone()).or_insert(Granted { current: 0, last: 0, access_until: 0 });
        granted.last += 1;
        granted.current = granted.last;
        granted.access_until = now + self.access_life;
        granted.current
    }

    /// Pair `number` as the API writes it, with its expiries on the wall clock.
    pub(super) fn pair(&self, number: u32, wall: Timestamp) -> TokenPair {
        let token = |life: u64| TokenValue {
            value: Secret::new(number.to_string()),
            expiry: wall.plus(Duration::from_millis(life)),
        };
        TokenPair { access: token(self.access_life), refresh: token(self.access_life * 50) }
    }

    /// A push of a whole body reaches the API.
    pub(super) fn push(
        &mut self,
        random: &mut Random,
        now: Timestamp,
        clock: u64,
        sent: (&AccountKey, &PersonKey, Digest, SubmissionId),
        token: u32,
    ) -> Answer {
        let (account, person, digest, id) = sent;
        let mode = self.modes[&account.contract];
        let paused = || Answer::DestinationPaused { why: "our set-up is refused".to_owned() };
        let good =
            self.granted.get(person).is_some_and(|granted| granted.current == token && clock < granted.access_until);
        match mode {
            Mode::Busy(after) => {
                return Answer::Later { after: after.map(Duration::from_secs), scope: Scope::Destination };
            }
            Mode::Unreachable => return Answer::Later { after: None, scope: Scope::Destination },
            Mode::Refusing => return paused(),
            Mode::Unauthorised => return Answer::TokenStale,
            _ if !good => return if mode == Mode::Silent { Answer::Unknown } else { Answer::TokenStale },
            Mode::Silent => {
                if random.percent(50) {
                    self.taken.push((account.clone(), digest, id));
                }
                return Answer::Unknown;
            }
            Mode::Moody(chance) if random.percent(chance) => {
                let after = random.percent(50).then(|| Duration::from_secs(random.between(0, 90)));
                match random.below(13) {
                    0 => return Answer::Refused { why: "the API refuses this Bundle".to_owned() },
                    1 => return Answer::TokenStale,
                    2 => return Answer::AccountBlocked { why: "not authorised".to_owned() },
                    3 => return paused(),
                    4 | 5 => return Answer::Later { after, scope: Scope::Destination },
                    6 | 7 => return Answer::Later { after, scope: Scope::Submission },
                    8 => return Answer::Unexpected { status: 409, reference: None },
                    9 => return Answer::Unknown,
                    10 => {
                        self.taken.push((account.clone(), digest, id));
                        return Answer::Unknown;
                    }
                    11 if random.percent(20) => return Answer::Damaged,
                    _ => {}
                }
            }
            Mode::Healthy | Mode::Moody(_) => {}
        }
        self.taken.push((account.clone(), digest, id));
        let rejected_entries = u32::from(random.percent(5));
        Answer::Delivered(Receipt { at: now, status: 200, reference: None, body: digest, rejected_entries })
    }

    /// A refresh reaches the API.
    pub(super) fn refresh(&mut self, random: &mut Random, clock: u64, person: &PersonKey, number: u32) -> Refreshed {
        let mode = self.modes[&person.contract];
        let bad = matches!(mode, Mode::Moody(chance) if random.percent(chance));
        let draw = if bad { random.below(6) } else { 9 };
        match mode {
            Mode::Busy(after) => return Refreshed::Later(after.map(Duration::from_secs)),
            Mode::Unreachable => return Refreshed::Later(None),
            Mode::Refusing => return Refreshed::Refusing,
            Mode::Silent if random.percent(50) => return Refreshed::Silence,
            _ => {}
        }
        match draw {
            0 => return Refreshed::Later(Some(Duration::from_secs(random.between(0, 60)))),
            1 => return Refreshed::Refusing,
            2 => return Refreshed::Silence,
            _ => {}
        }
        let Some(granted) = self.granted.get_mut(person).filter(|granted| granted.current == number) else {
            return Refreshed::Spent;
        };
        granted.last += 1;
        granted.current = granted.last;
        granted.access_until = clock + self.access_life;
        match draw {
            3 => Refreshed::Foreign,
            4 => Refreshed::Silence,
            _ if mode == Mode::Silent => Refreshed::Silence,
            _ => Refreshed::Renewed(granted.current),
        }
    }

    /// Whether a probe is answered well.
    pub(super) fn probe(&self, random: &mut Random, contract: &ContractName) -> bool {
        match self.modes[contract] {
            Mode::Healthy | Mode::Unauthorised => true,
            Mode::Moody(chance) => !random.percent(chance),
            Mode::Busy(_) | Mode::Silent | Mode::Unreachable | Mode::Refusing => false,
        }
    }
}
