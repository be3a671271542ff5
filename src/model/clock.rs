//! The monotonic clock that the program's own waits count on: its patience, its schedules, what it was told to wait.
//!
//! What waits for a disk, for an exporter or for the next byte of a peer counts the machine's time instead
//! (`Instant::now`): where the suites make time go faster ([`crate::faults`]), those do not.

use crate::faults;
use std::time::{Duration, Instant};

/// The present instant.
pub fn now() -> Instant {
    faults::monotonic(Instant::now())
}

/// How long to sleep until that instant; zero where it is over.
pub fn until(instant: Instant) -> Duration {
    span(instant.saturating_duration_since(now()))
}

/// How long to sleep for that wait.
pub fn span(wait: Duration) -> Duration {
    faults::wait(wait)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_orders_it_is_the_machines() {
        let (before, clock, after) = (Instant::now(), now(), Instant::now());
        assert!(before <= clock && clock <= after);
        let minute = Duration::from_secs(60);
        assert_eq!(span(minute), minute);
        assert!(until(after + minute) <= minute && until(before).is_zero());
    }
}
