//! Bad days to order.

use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};

/// Which requests a fault is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Target {
    /// Provider pushes.
    Push,
    /// Library pushes.
    Library,
    /// Refreshes of tokens.
    Refresh,
    /// Exchanges of a code for the first tokens.
    Exchange,
    /// The list of accounts and the contract.
    Accounts,
    /// The key set that answers are verified by.
    KeySet,
}

/// What goes wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fault {
    /// This answer, and nothing is taken.
    Status {
        /// HTTP status.
        status: u16,
        /// Headers.
        #[serde(default)]
        headers: BTreeMap<String, String>,
        /// The body.
        #[serde(default)]
        body: String,
    },
    /// The connection ends before the body is read.
    ResetBefore,
    /// The connection ends after the body was read and taken, without an answer.
    ResetAfter,
    /// The body is read and taken, and no answer ever comes.
    Hang,
    /// The answer comes so many milliseconds late.
    Slow {
        /// Milliseconds.
        millis: u64,
    },
    /// Taken, and answered by a batch-response whose last entry is rejected.
    RejectedEntry,
    /// The answer to a refresh names a key that no key set has.
    WrongKid,
    /// The answer to a refresh is another person's.
    OtherPerson,
}

/// Faults that are due, in order.
#[derive(Debug, Default)]
pub(super) struct Orders {
    waiting: BTreeMap<Target, VecDeque<Fault>>,
}

impl Orders {
    pub(super) fn order(&mut self, target: Target, fault: Fault, times: usize) {
        self.waiting.entry(target).or_default().extend(std::iter::repeat_n(fault, times));
    }

    pub(super) fn next(&mut self, target: Target) -> Option<Fault> {
        self.waiting.get_mut(&target)?.pop_front()
    }
}
