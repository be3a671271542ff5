//! Whether a destination is served: an outage or a refused set-up is a state of the destination,
//! never of the files that wait for it.

use super::{
    event::{Alert, Effect},
    lanes::LaneId,
};
use crate::model::ContractName;
use std::{collections::VecDeque, time::Duration};

/// How many pushes a destination takes at present.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Gate {
    /// As many as there are connections.
    Open,
    /// One at a time, until one is delivered.
    Narrow,
    /// None until then.
    Backoff { until: Duration },
    /// None until a probe succeeds.
    Closed { probe_at: Duration, probing: bool },
}

/// The same 4xx for this many accounts in a row is our set-up, not the files.
const SAME_REFUSALS: usize = 3;
/// A wait that the API asks for is told of when it is so long: our own are a minute at most.
const LONG_WAIT: Duration = Duration::from_secs(10 * 60);

/// How a destination that is not served stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Paused {
    pub(super) contract: ContractName,
    /// As far as the last answer says.
    pub(super) why: String,
    /// When the API is asked again; `None` while it is being asked, or the next push is to.
    pub(super) again: Option<Duration>,
}

/// One contract's way to the API.
#[derive(Debug)]
pub(super) struct Destination {
    contract: ContractName,
    gate: Gate,
    failures: u32,
    in_flight: usize,
    /// Lanes whose head may be sent, in the order of their turns.
    pub(super) turns: VecDeque<LaneId>,
    /// Refusals in a row: status, code, and who was refused.
    row: Vec<(u16, Option<String>, String)>,
    paused_since: Option<Duration>,
    paused_total: Duration,
    /// Why it is paused.
    why: String,
    /// Somebody was told that this pause is a long one.
    is_parked: bool,
}

impl Destination {
    pub(super) const fn new(contract: ContractName) -> Self {
        Self {
            contract,
            gate: Gate::Open,
            failures: 0,
            in_flight: 0,
            turns: VecDeque::new(),
            row: Vec::new(),
            paused_since: None,
            paused_total: Duration::ZERO,
            why: String::new(),
            is_parked: false,
        }
    }

    /// Whether one more push may begin.
    pub(super) const fn admits(&self, connections: usize) -> bool {
        match self.gate {
            Gate::Open => self.in_flight < connections,
            Gate::Narrow => self.in_flight == 0,
            Gate::Backoff { .. } | Gate::Closed { .. } => false,
        }
    }

    /// From when on requests for tokens make sense; `None` while only a probe can tell.
    pub(super) const fn answers_from(&self) -> Option<Duration> {
        match self.gate {
            Gate::Open | Gate::Narrow => Some(Duration::ZERO),
            Gate::Backoff { until } => Some(until),
            Gate::Closed { .. } => None,
        }
    }

    /// A wait that is over leaves a narrow gate: nothing is due any more, and the next push is the test.
    pub(super) fn end_wait(&mut self, now: Duration) {
        if matches!(self.gate, Gate::Backoff { until } if now >= until) {
            self.gate = Gate::Narrow;
        }
    }

    pub(super) const fn begin(&mut self) {
        self.in_flight += 1;
    }

    pub(super) const fn end(&mut self) {
        self.in_flight = self.in_flight.saturating_sub(1);
    }

    pub(super) const fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// A push was delivered.
    pub(super) fn delivered(&mut self, now: Duration, out: &mut Vec<Effect>) {
        self.row.clear();
        if self.gate == Gate::Open {
            return;
        }
        // An answer to a push that began before does not open what was closed, nor cut short what the API asked for.
        if matches!(self.gate, Gate::Closed { .. }) || matches!(self.gate, Gate::Backoff { until } if now < until) {
            return;
        }
        self.gate = Gate::Open;
        (self.failures, self.is_parked) = (0, false);
        if let Some(since) = self.paused_since.take() {
            self.paused_total += now.saturating_sub(since);
        }
        out.push(Effect::Alert(Alert::DestinationOpen { contract: self.contract.clone() }));
    }

    /// The API asked for patience, or could not be reached.
    pub(super) fn back_off(&mut self, now: Duration, wait: Duration, why: &str, out: &mut Vec<Effect>) {
        if matches!(self.gate, Gate::Closed { .. }) {
            return;
        }
        self.trouble(now, why, out);
        let until = match self.gate {
            Gate::Backoff { until } => until.max(now + wait),
            _ => now + wait,
        };
        self.gate = Gate::Backoff { until };
    }

    /// Nothing more is sent until a probe succeeds.
    pub(super) fn close(&mut self, now: Duration, wait: Duration, why: &str, out: &mut Vec<Effect>) {
        if matches!(self.gate, Gate::Closed { .. }) {
            return;
        }
        self.trouble(now, why, out);
        self.gate = Gate::Closed { probe_at: now + wait, probing: false };
    }

    /// Another failure; tells it on the first.
    fn trouble(&mut self, now: Duration, why: &str, out: &mut Vec<Effect>) {
        self.failures = self.failures.saturating_add(1);
        why.clone_into(&mut self.why);
        if self.paused_since.is_none() {
            self.paused_since = Some(now);
            let (contract, why) = (self.contract.clone(), why.to_owned());
            out.push(Effect::Alert(Alert::DestinationPaused { contract, why }));
        }
    }

    /// Whether the API asks for so long a wait that somebody should know; says so once in a pause.
    pub(super) fn is_newly_parked(&mut self, now: Duration) -> bool {
        let is_long = matches!(self.gate, Gate::Backoff { until } if until.saturating_sub(now) >= LONG_WAIT);
        is_long && !std::mem::replace(&mut self.is_parked, true)
    }

    /// Somebody asks for it: the wait is over. What is closed still needs its probe, and what is narrow its delivery.
    pub(super) fn ask_now(&mut self, now: Duration) {
        match &mut self.gate {
            Gate::Backoff { until: due } | Gate::Closed { probe_at: due, probing: false } => *due = now.min(*due),
            Gate::Open | Gate::Narrow | Gate::Closed { probing: true, .. } => {}
        }
    }

    /// How it stands, where it is paused.
    pub(super) fn paused(&self) -> Option<Paused> {
        let (contract, why, again) = (self.contract.clone(), self.why.clone(), self.due());
        self.is_paused().then_some(Paused { contract, why, again })
    }

    /// A probe ended.
    pub(super) fn probed(&mut self, now: Duration, wait: Duration, failed: bool) {
        if let Gate::Closed { .. } = self.gate {
            self.gate = if failed {
                self.failures = self.failures.saturating_add(1);
                Gate::Closed { probe_at: now + wait, probing: false }
            } else {
                Gate::Narrow
            };
        }
    }

    /// Begins the probe that is due.
    pub(super) fn probe_if_due(&mut self, now: Duration, out: &mut Vec<Effect>) {
        if let Gate::Closed { probe_at, probing: false } = self.gate
            && now >= probe_at
        {
            self.gate = Gate::Closed { probe_at, probing: true };
            out.push(Effect::Probe { contract: self.contract.clone() });
        }
    }

    /// When something changes by itself.
    pub(super) const fn due(&self) -> Option<Duration> {
        match self.gate {
            Gate::Backoff { until } => Some(until),
            Gate::Closed { probe_at, probing: false } => Some(probe_at),
            _ => None,
        }
    }

    /// Failures since the last delivery.
    pub(super) const fn failures(&self) -> u32 {
        self.failures
    }

    /// Whether it is paused.
    pub(super) const fn is_paused(&self) -> bool {
        self.paused_since.is_some()
    }

    /// How long it has been paused in all: waiting for it does not age a file.
    pub(super) fn paused_total(&self, now: Duration) -> Duration {
        self.paused_total + self.paused_since.map_or(Duration::ZERO, |since| now.saturating_sub(since))
    }

    /// Notes a 4xx; says whether it was the same for several accounts (or persons) in a row.
    pub(super) fn is_refusing_everybody(&mut self, status: u16, code: Option<&str>, whom: &str) -> bool {
        if self.row.first().is_some_and(|(first, name, _)| *first != status || name.as_deref() != code) {
            self.row.clear();
        }
        if !self.row.iter().any(|(.., seen)| seen == whom) {
            self.row.push((status, code.map(str::to_owned), whom.to_owned()));
        }
        self.row.len() >= SAME_REFUSALS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn destination() -> Destination {
        Destination::new("main".parse().unwrap())
    }

    #[test]
    fn one_alert_when_trouble_begins_and_one_when_it_ends() {
        let (mut destination, mut out) = (destination(), Vec::new());
        destination.close(at(0), at(1), "an answer is missing", &mut out);
        destination.close(at(0), at(1), "again", &mut out);
        destination.back_off(at(0), at(1), "503", &mut out);
        assert_eq!(out.len(), 1);
        assert!(!destination.admits(8), "only a probe opens a closed destination");
        destination.probe_if_due(at(1), &mut out);
        destination.probe_if_due(at(1), &mut out);
        assert_eq!(out.len(), 2, "one probe at a time");
        destination.probed(at(2), at(4), true);
        assert!(!destination.admits(8));
        destination.probed(at(6), at(4), false);
        assert!(destination.admits(8));
        destination.begin();
        assert!(!destination.admits(8), "one at a time until one is delivered");
        destination.end();
        destination.delivered(at(7), &mut out);
        assert!(matches!(out.last(), Some(Effect::Alert(Alert::DestinationOpen { .. }))));
        assert_eq!(destination.paused_total(at(100)), at(7));
    }

    #[test]
    fn a_late_delivery_does_not_open_a_closed_destination() {
        let (mut destination, mut out) = (destination(), Vec::new());
        destination.begin();
        destination.close(at(0), at(5), "paused", &mut out);
        destination.end();
        destination.delivered(at(1), &mut out);
        assert!(!destination.admits(8));
    }

    #[test]
    fn a_long_wait_is_told_once_and_ends_when_somebody_asks_for_it() {
        let (mut destination, mut out) = (destination(), Vec::new());
        destination.back_off(at(0), at(30), "503", &mut out);
        assert!(!destination.is_newly_parked(at(0)));
        destination.back_off(at(1), at(86_400), "503 for a day", &mut out);
        assert!(destination.is_newly_parked(at(1)));
        assert!(!destination.is_newly_parked(at(2)));
        let paused = destination.paused().unwrap();
        assert_eq!((paused.why.as_str(), paused.again), ("503 for a day", Some(at(86_401))));
        destination.end_wait(at(3600));
        assert!(!destination.admits(8));
        destination.ask_now(at(3600));
        destination.end_wait(at(3600));
        assert!(destination.admits(8));
        assert!(destination.paused().is_some(), "until something is delivered");
        destination.delivered(at(3601), &mut out);
        assert_eq!(destination.paused(), None);
        destination.back_off(at(3602), at(86_400), "again", &mut out);
        assert!(destination.is_newly_parked(at(3602)), "another pause");
    }

    #[test]
    fn a_closed_destination_is_probed_at_once_when_somebody_asks_for_it() {
        let (mut destination, mut out) = (destination(), Vec::new());
        destination.close(at(0), at(60), "paused", &mut out);
        destination.ask_now(at(5));
        destination.probe_if_due(at(5), &mut out);
        assert!(matches!(out.last(), Some(Effect::Probe { .. })));
        destination.ask_now(at(6));
        destination.probe_if_due(at(6), &mut out);
        assert_eq!(out.len(), 2, "one probe at a time");
    }

    #[test]
    fn the_same_refusal_for_three_accounts_is_ours() {
        let mut destination = destination();
        assert!(!destination.is_refusing_everybody(400, None, "a"));
        assert!(!destination.is_refusing_everybody(400, None, "a"));
        assert!(!destination.is_refusing_everybody(400, None, "b"));
        assert!(!destination.is_refusing_everybody(422, None, "c"), "another status begins another row");
        assert!(!destination.is_refusing_everybody(422, None, "a"));
        assert!(destination.is_refusing_everybody(422, None, "b"));
    }
}
