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
    /// The same 4xx for every push.
    Picky(u16),
    /// Refreshes are refused, and not in the API's own words.
    Gatekept,
}

/// An answer to a push with what the record keeps of it.
#[derive(Debug)]
pub(super) struct Said {
    pub(super) answer: Answer,
    pub(super) status: Option<u16>,
    pub(super) code: Option<&'static str>,
}

impl Said {
    const fn with(status: u16, code: Option<&'static str>, answer: Answer) -> Self {
        Self { answer, status: Some(status), code }
    }
}

impl From<Answer> for Said {
    fn from(answer: Answer) -> Self {
        Self { answer, status: None, code: None }
    }
}

/// A status that blames the file, or that nobody knows, as the table of answers has them.
fn of_this_file(status: u16, code: Option<&'static str>) -> Said {
    let answer = match status {
        400 | 413 | 422 => Answer::Refused { why: "the API refuses this file".to_owned() },
        status => Answer::Unexpected { status, reference: None },
    };
    Said::with(status, code, answer)
}

/// From none at all to the longest that is believed.
pub(super) const RETRY_AFTER: [u64; 8] = [0, 0, 1, 20, 90, 900, 3_600, 86_400];

/// What the API did with a refresh.
#[derive(Clone, Debug)]
pub(super) enum Refreshed {
    Renewed(u32),
    Foreign,
    Spent,
    Later(Option<Duration>),
    Refusing,
    /// A 4xx without the API's own word.
    Refused,
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
    ) -> Said {
        let (account, person, digest, id) = sent;
        let mode = self.modes[&account.contract];
        let paused = || Answer::DestinationPaused { why: "our set-up is refused".to_owned() };
        let good =
            self.granted.get(person).is_some_and(|granted| granted.current == token && clock < granted.access_until);
        match mode {
            Mode::Busy(after) => {
                return Answer::Later { after: after.map(Duration::from_secs), scope: Scope::Destination }.into();
            }
            Mode::Unreachable => return Answer::Later { after: None, scope: Scope::Destination }.into(),
            Mode::Refusing => return Said::with(400, Some("InvalidClient"), paused()),
            Mode::Unauthorised => return Said::with(401, None, Answer::TokenStale),
            Mode::Silent if !good => return Answer::Unknown.into(),
            _ if !good => return Said::with(401, Some("InvalidToken"), Answer::TokenStale),
            Mode::Picky(status) => return of_this_file(status, None),
            Mode::Silent => {
                if random.percent(50) {
                    self.taken.push((account.clone(), digest, id));
                }
                return Answer::Unknown.into();
            }
            Mode::Moody(chance) if random.percent(chance) => {
                let after = random.percent(50).then(|| Duration::from_secs(random.pick(&RETRY_AFTER)));
                let code = random.pick(&[None, None, Some("Other")]);
                match random.below(13) {
                    0 => return of_this_file(random.pick(&[400, 413, 422]), code),
                    1 => return Said::with(401, None, Answer::TokenStale),
                    2 => {
                        let answer = Answer::AccountBlocked { why: "not authorised".to_owned() };
                        return Said::with(random.pick(&[403, 404, 511]), code, answer);
                    }
                    3 => {
                        let (status, code) =
                            random.pick(&[(400, "SDKInvalid"), (401, "Other"), (403, "InsufficientScope")]);
                        return Said::with(status, Some(code), paused());
                    }
                    4 | 5 => return Answer::Later { after, scope: Scope::Destination }.into(),
                    6 | 7 => return Answer::Later { after, scope: Scope::Submission }.into(),
                    8 => return of_this_file(random.pick(&[402, 409, 410, 415, 418, 451]), code),
                    9 => return Answer::Unknown.into(),
                    10 => {
                        self.taken.push((account.clone(), digest, id));
                        return Answer::Unknown.into();
                    }
                    11 if random.percent(20) => return Answer::Damaged.into(),
                    _ => {}
                }
            }
            Mode::Healthy | Mode::Moody(_) | Mode::Gatekept => {}
        }
        self.taken.push((account.clone(), digest, id));
        let rejected_entries = u32::from(random.percent(5));
        let receipt = Receipt { at: now, status: 200, reference: None, body: digest, rejected_entries };
        Said::with(200, None, Answer::Delivered(receipt))
    }

    /// A refresh reaches the API.
    pub(super) fn refresh(&mut self, random: &mut Random, clock: u64, person: &PersonKey, number: u32) -> Refreshed {
        let mode = self.modes[&person.contract];
        let bad = matches!(mode, Mode::Moody(chance) if random.percent(chance));
        let draw = if bad { random.below(7) } else { 9 };
        match mode {
            Mode::Busy(after) => return Refreshed::Later(after.map(Duration::from_secs)),
            Mode::Unreachable => return Refreshed::Later(None),
            Mode::Refusing => return Refreshed::Refusing,
            Mode::Gatekept => return Refreshed::Refused,
            Mode::Silent if random.percent(50) => return Refreshed::Silence,
            _ => {}
        }
        match draw {
            0 => return Refreshed::Later(Some(Duration::from_secs(random.pick(&RETRY_AFTER)))),
            1 => return Refreshed::Refusing,
            2 => return Refreshed::Silence,
            5 => return Refreshed::Refused,
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
            Mode::Healthy | Mode::Unauthorised | Mode::Picky(_) | Mode::Gatekept => true,
            Mode::Moody(chance) => !random.percent(chance),
            Mode::Busy(_) | Mode::Silent | Mode::Unreachable | Mode::Refusing => false,
        }
    }
}
