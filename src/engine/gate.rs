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
    /// None until then; the next push is the test.
    Backoff { until: Duration },
    /// None until a probe succeeds.
    Closed { probe_at: Duration, probing: bool },
}

/// The same 4xx for this many accounts in a row is our set-up, not the files.
const SAME_REFUSALS: usize = 3;

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
        }
    }

    /// Whether one more push may begin.
    pub(super) fn admits(&self, now: Duration, connections: usize) -> bool {
        match self.gate {
            Gate::Open => self.in_flight < connections,
            Gate::Narrow => self.in_flight == 0,
            Gate::Backoff { until } => now >= until && self.in_flight == 0,
            Gate::Closed { .. } => false,
        }
    }

    /// Whether requests for tokens make sense now.
    pub(super) fn answers(&self, now: Duration) -> bool {
        match self.gate {
            Gate::Open | Gate::Narrow => true,
            Gate::Backoff { until } => now >= until,
            Gate::Closed { .. } => false,
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
        // An answer to a push that began before the gate was closed does not open it.
        if matches!(self.gate, Gate::Closed { .. }) {
            return;
        }
        self.gate = Gate::Open;
        self.failures = 0;
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
        if self.paused_since.is_none() {
            self.paused_since = Some(now);
            let (contract, why) = (self.contract.clone(), why.to_owned());
            out.push(Effect::Alert(Alert::DestinationPaused { contract, why }));
        }
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
        assert!(!destination.admits(at(9), 8), "only a probe opens a closed destination");
        destination.probe_if_due(at(1), &mut out);
        destination.probe_if_due(at(1), &mut out);
        assert_eq!(out.len(), 2, "one probe at a time");
        destination.probed(at(2), at(4), true);
        assert!(!destination.admits(at(2), 8));
        destination.probed(at(6), at(4), false);
        assert!(destination.admits(at(6), 8));
        destination.begin();
        assert!(!destination.admits(at(6), 8), "one at a time until one is delivered");
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
        assert!(!destination.admits(at(1), 8));
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
