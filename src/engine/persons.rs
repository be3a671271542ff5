//! When a person's tokens are renewed: ahead of their end, one refresh at a time, and never in circles.
//!
//! A refresh whose answer never came (a lost connection, a crash) may have spent the old token: the API alone knows. The
//! old token is then a question, asked again until the API answers it. A try whose answer never comes settles nothing, so
//! it does not count as the one try; a person is paused by the API's word alone, never by an outage. What bounds it: such
//! a loss closes the destination, so that each further try follows a signed probe that was answered (or a new start), and
//! a token of which anything final was said is never used again. A spent token spends nothing a second time: the API says
//! that it is over, and the person is paused then. The simulation's referee holds the engine to both
//! (`Referee::refresh_leaves`, `Referee::pauses`).

use super::{
    event::{PersonStanding, TokenTimes},
    lanes::LaneId,
};
use std::{collections::BTreeSet, time::Duration};

/// The longest time before an access token's end at which a push asks for a new one first.
const ACCESS_LEAD: Duration = Duration::from_secs(60);
/// The longest time before a refresh token's end at which it is renewed although nothing waits: earlier than anybody is
/// told that it nears its end, so that only those are told of that cannot be renewed.
const REFRESH_LEAD: Duration = Duration::from_secs(15 * 24 * 3600);

/// Where a person's tokens stand, as far as decisions go; the tokens themselves are the shell's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tokens {
    /// Nobody imported any.
    Missing,
    /// Usable. `stale` once the API, or the monotonic clock, says that the access token is over.
    Usable { stale_at: Option<Duration>, renew_at: Option<Duration> },
    /// A refresh was begun and its end is not known: the old token is tried until the API says what became of it.
    Rotating,
    /// The person must authorise again.
    Paused,
}

/// One person.
#[derive(Debug)]
pub(super) struct PersonState {
    tokens: Tokens,
    /// Counts pairs, so that an answer to a push with an older token asks for no second refresh.
    pub(super) generation: u32,
    /// A refresh is on its way, whatever else becomes of the person meanwhile: only its end ends this.
    pub(super) refreshing: bool,
    not_before: Duration,
    pub(super) failures: u32,
    /// Its present access token comes from a refresh, and the API has not taken it yet.
    unproven: bool,
    /// The API refuses it without a word on why: it is asked again at `not_before`.
    resting: bool,
    /// Lanes that wait for a token.
    pub(super) waiting: BTreeSet<LaneId>,
}

/// What a push finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TokenNeed {
    /// Go on.
    Usable,
    /// Renew first.
    Refresh,
    /// Wait: a refresh is on its way, or not yet allowed again.
    Wait,
    /// Nothing to be done without the person.
    Blocked,
}

impl PersonState {
    pub(super) const fn new() -> Self {
        Self {
            tokens: Tokens::Missing,
            generation: 0,
            refreshing: false,
            not_before: Duration::ZERO,
            failures: 0,
            unproven: false,
            resting: false,
            waiting: BTreeSet::new(),
        }
    }

    /// New tokens, from an import or the store.
    pub(super) fn stand(&mut self, now: Duration, standing: &PersonStanding) {
        (self.failures, self.resting) = (0, false);
        self.renew(now, standing);
        self.unproven = false;
    }

    /// A refresh brought new tokens. Whether the API takes them is to be seen.
    pub(super) fn renewed(&mut self, now: Duration, times: TokenTimes) {
        self.renew(now, &PersonStanding::Fresh(times));
        self.unproven = true;
    }

    fn renew(&mut self, now: Duration, standing: &PersonStanding) {
        self.generation = self.generation.wrapping_add(1);
        self.not_before = now;
        self.tokens = match standing {
            PersonStanding::Fresh(times) => usable(now, *times, self.generation == 1),
            PersonStanding::Rotating => Tokens::Rotating,
            PersonStanding::Paused => Tokens::Paused,
        };
    }

    pub(super) fn need(&self, now: Duration) -> TokenNeed {
        let stale = match self.tokens {
            Tokens::Missing | Tokens::Paused => return TokenNeed::Blocked,
            Tokens::Rotating => true,
            Tokens::Usable { stale_at, .. } => stale_at.is_some_and(|stale_at| now >= stale_at),
        };
        match (self.refreshing, stale) {
            (true, _) => TokenNeed::Wait,
            (false, stale) if now < self.not_before && (stale || self.resting) => TokenNeed::Wait,
            (false, false) => TokenNeed::Usable,
            (false, true) => TokenNeed::Refresh,
        }
    }

    /// Whether the refresh token nears its own end although nothing asks for it, or an interrupted refresh is to be ended.
    pub(super) fn renewal_due(&self, now: Duration) -> bool {
        let due = match self.tokens {
            Tokens::Usable { renew_at, .. } => renew_at,
            Tokens::Rotating => Some(Duration::ZERO),
            Tokens::Missing | Tokens::Paused => None,
        };
        !self.refreshing && now >= self.not_before && due.is_some_and(|due| now >= due)
    }

    /// When something changes by itself.
    pub(super) fn due(&self) -> Option<Duration> {
        if self.refreshing {
            return None;
        }
        match self.tokens {
            Tokens::Usable { stale_at, renew_at } => {
                let stale_at = stale_at.filter(|_| !self.waiting.is_empty());
                let rested = (self.resting && !self.waiting.is_empty()).then_some(self.not_before);
                [stale_at, renew_at, rested].into_iter().flatten().min().map(|due| due.max(self.not_before))
            }
            Tokens::Rotating => Some(self.not_before),
            Tokens::Missing | Tokens::Paused => None,
        }
    }

    /// The API says that the token of that generation is over.
    pub(super) fn is_stale(&mut self, now: Duration, generation: u32) {
        if let Tokens::Usable { stale_at, .. } = &mut self.tokens
            && generation == self.generation
        {
            *stale_at = Some(now);
        }
    }

    /// Somebody asks for a renewal; `false` where there is nothing to renew.
    pub(super) const fn renew_now(&mut self, now: Duration) -> bool {
        if let Tokens::Usable { renew_at, .. } = &mut self.tokens {
            *renew_at = Some(now);
            return true;
        }
        false
    }

    /// Somebody asks for it: whatever it waits for is tried now.
    pub(super) const fn ask_now(&mut self) {
        self.not_before = Duration::ZERO;
    }

    /// The refresh failed without spending anything.
    pub(super) const fn retry_at(&mut self, at: Duration) {
        self.failures = self.failures.saturating_add(1);
        self.not_before = at;
    }

    /// The refresh's answer never came: the old token is tried until the API says what became of it.
    pub(super) const fn lose(&mut self, retry_at: Duration) {
        self.retry_at(retry_at);
        self.tokens = Tokens::Rotating;
    }

    /// The API refuses its token without a word on why; says whether that is news.
    pub(super) const fn rest(&mut self, until: Duration) -> bool {
        self.retry_at(until);
        let news = !self.resting;
        // It may have ended before it was ever used: after the rest it is renewed once more.
        (self.resting, self.unproven) = (true, false);
        news
    }

    /// Whether somebody was told that it is not served.
    pub(super) const fn is_told(&self) -> bool {
        self.resting
    }

    /// The API took its token; says whether that is news.
    pub(super) const fn serve(&mut self) -> bool {
        let news = self.resting;
        (self.unproven, self.resting, self.failures) = (false, false, 0);
        news
    }

    /// Whether the API has not taken the present token yet.
    pub(super) const fn is_unproven(&self) -> bool {
        self.unproven
    }

    /// Whether it waits for its next try.
    pub(super) fn is_resting(&self, now: Duration) -> bool {
        self.resting && now < self.not_before
    }

    /// Says whether that is new.
    pub(super) const fn pause(&mut self) -> bool {
        let known = matches!(self.tokens, Tokens::Paused);
        self.tokens = Tokens::Paused;
        !known
    }

    pub(super) const fn is_paused(&self) -> bool {
        matches!(self.tokens, Tokens::Paused | Tokens::Missing)
    }
}

/// A pair that seems over although it just came means that our clock is wrong, not the pair: the API's word decides then.
fn usable(now: Duration, times: TokenTimes, first: bool) -> Tokens {
    let at = |rest: Duration, lead: Duration| (!rest.is_zero() || first).then(|| now + rest.saturating_sub(lead));
    Tokens::Usable {
        stale_at: at(times.access, ACCESS_LEAD.min(times.access / 5)),
        renew_at: at(times.refresh, REFRESH_LEAD.min((times.refresh + times.age) / 2)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    const fn fresh(access: u64, refresh: u64) -> PersonStanding {
        PersonStanding::Fresh(TokenTimes { access: seconds(access), refresh: seconds(refresh), age: seconds(0) })
    }

    #[test]
    fn refreshes_ahead_of_the_end() {
        let mut person = PersonState::new();
        assert_eq!(person.need(seconds(0)), TokenNeed::Blocked);
        person.stand(seconds(0), &fresh(3600, 86_400 * 30));
        assert_eq!(person.need(seconds(3539)), TokenNeed::Usable);
        assert_eq!(person.need(seconds(3540)), TokenNeed::Refresh);
        person.refreshing = true;
        assert_eq!(person.need(seconds(3541)), TokenNeed::Wait);
        assert!(!person.renewal_due(seconds(86_400 * 29)));
        person.refreshing = false;
        assert!(!person.renewal_due(seconds(86_400 * 15 - 1)));
        assert!(person.renewal_due(seconds(86_400 * 15)));
    }

    #[test]
    fn short_lived_refresh_tokens_are_renewed_at_half_their_life_also_after_a_restart() {
        let times =
            |refresh: u64, age: u64| TokenTimes { access: seconds(3600), refresh: seconds(refresh), age: seconds(age) };
        let mut person = PersonState::new();
        person.stand(seconds(0), &PersonStanding::Fresh(times(86_400, 0)));
        assert!(!person.renewal_due(seconds(43_199)));
        assert!(person.renewal_due(seconds(43_200)));
        let mut person = PersonState::new();
        person.stand(seconds(0), &PersonStanding::Fresh(times(50_000, 36_400)));
        assert!(!person.renewal_due(seconds(6_799)), "a restart neither puts it off nor calls it forward");
        assert!(person.renewal_due(seconds(6_800)));
    }

    #[test]
    fn a_wrong_clock_costs_one_refresh() {
        let mut person = PersonState::new();
        person.stand(seconds(0), &fresh(0, 0));
        assert_eq!(person.need(seconds(0)), TokenNeed::Refresh);
        person.stand(seconds(1), &fresh(0, 0));
        assert_eq!(person.need(seconds(9)), TokenNeed::Usable, "the API's word decides from here");
        assert!(!person.renewal_due(seconds(9)));
        person.is_stale(seconds(10), person.generation);
        assert_eq!(person.need(seconds(10)), TokenNeed::Refresh);
    }

    #[test]
    fn an_older_token_asks_for_no_second_refresh() {
        let mut person = PersonState::new();
        person.stand(seconds(0), &fresh(3600, 86_400));
        let old = person.generation;
        person.stand(seconds(1), &fresh(3600, 86_400));
        person.is_stale(seconds(2), old);
        assert_eq!(person.need(seconds(2)), TokenNeed::Usable);
    }

    #[test]
    fn a_lost_refresh_is_tried_until_the_api_says_what_became_of_it() {
        let mut person = PersonState::new();
        person.stand(seconds(0), &fresh(3600, 86_400));
        for lost in [5, 9, 20] {
            person.lose(seconds(lost));
            assert_eq!(person.need(seconds(lost - 1)), TokenNeed::Wait);
            assert_eq!(person.need(seconds(lost)), TokenNeed::Refresh);
        }
    }

    #[test]
    fn a_token_that_is_refused_without_a_word_is_tried_again_and_told_once() {
        let mut person = PersonState::new();
        person.stand(seconds(0), &fresh(3600, 86_400));
        assert!(!person.is_unproven(), "an imported token may be renewed once");
        let times = TokenTimes { access: seconds(3600), refresh: seconds(86_400), age: seconds(0) };
        person.renewed(seconds(1), times);
        assert!(person.is_unproven());
        assert!(person.rest(seconds(5)));
        assert!(!person.is_unproven(), "after the rest it may be renewed once more");
        assert_eq!(person.need(seconds(4)), TokenNeed::Wait);
        assert_eq!(person.need(seconds(5)), TokenNeed::Usable);
        assert!(!person.rest(seconds(9)));
        assert!(person.serve());
        assert!(!person.serve());
        assert_eq!(person.need(seconds(6)), TokenNeed::Usable);
    }
}
