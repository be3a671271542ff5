//! How long to wait before the next try: exponential with full jitter. Pure: the caller brings the randomness.
//!
//! Full jitter (a uniform draw between nothing and the exponential bound) spreads many waiters best when a
//! destination comes back; see "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.

use std::time::Duration;

/// The bounds of the waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// The bound of the first wait; doubles with each failed attempt.
    pub first: Duration,
    /// No wait is longer.
    pub longest: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { first: Duration::from_secs(2), longest: Duration::from_secs(600) }
    }
}

impl Backoff {
    /// The wait after the `attempt`-th failed attempt (1 for the first), drawn by `randomness`.
    pub fn wait(&self, attempt: u32, randomness: u64) -> Duration {
        let bound = self.bound(attempt);
        let millis = u64::try_from(bound.as_millis()).unwrap_or(u64::MAX);
        // The product's upper half is a draw from 0..=millis whose bias is below millis / 2^64.
        let drawn = (u128::from(randomness) * (u128::from(millis) + 1)) >> 64;
        Duration::from_millis(u64::try_from(drawn).unwrap_or(millis))
    }

    /// The longest wait possible after the `attempt`-th failed attempt.
    pub fn bound(&self, attempt: u32) -> Duration {
        let doublings = attempt.saturating_sub(1).min(31);
        self.first.saturating_mul(1 << doublings).min(self.longest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BACKOFF: Backoff = Backoff { first: Duration::from_secs(1), longest: Duration::from_secs(60) };

    #[test]
    fn bounds_double_up_to_the_longest() {
        let seconds: Vec<u64> = (1..=8).map(|attempt| BACKOFF.bound(attempt).as_secs()).collect();
        assert_eq!(seconds, [1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(BACKOFF.bound(u32::MAX), BACKOFF.longest);
    }

    #[test]
    fn waits_fill_the_whole_range() {
        assert_eq!(BACKOFF.wait(3, 0), Duration::ZERO);
        assert_eq!(BACKOFF.wait(3, u64::MAX), Duration::from_secs(4));
        assert_eq!(BACKOFF.wait(3, u64::MAX / 2), Duration::from_secs(2));
    }
}
