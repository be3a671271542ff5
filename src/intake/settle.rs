//! Whether a file is complete. Pure: told what was seen and when, on our own clock.
//!
//! A file's own modification time says nothing: Windows copies keep the old one, and another machine's
//! clock is another clock. What counts is for how long *we* have seen it unchanged.

use super::inbox::Overlooked;
use crate::{fhir::Wholeness, model::SourceIdentity};
use std::time::Duration;

/// What a channel's files hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Contents {
    /// JSON or XML: whether it is there whole can be seen.
    Text,
    /// Anything: only its rest tells that it is complete, and an empty file that it is not.
    Octets,
}

/// When a file of the inbox is complete.
#[derive(Clone, Debug)]
pub struct Completeness {
    /// What its text tells.
    pub contents: Contents,
    /// Size, modification time and inode must have rested for so long.
    pub quiet: Duration,
    /// A file that is empty, or whose text is cut off, is waited for so long, then claimed and refused with the reason.
    pub truncated_limit: Duration,
    /// A file that appears by a rename is complete at once.
    pub rename_in: bool,
    /// `x.json` is complete at once when `x.json<suffix>` is there.
    pub done_suffix: Option<String>,
    /// Every file has a sidecar `<file>.route.json`, and both are claimed as one.
    pub sidecar: bool,
    /// Endings that are left alone, beside dot files, `.tmp`, `.part`, `.filepart` and `.crdownload`.
    pub ignored: Vec<String>,
}

/// The ending of a sidecar's name.
pub(super) const SIDECAR: &str = ".route.json";
const UNFINISHED: [&str; 4] = [".tmp", ".part", ".filepart", ".crdownload"];

/// What a name says about a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// To be claimed.
    Bundle,
    /// Looked at together with its Bundle.
    Companion,
    /// Another's business.
    Ignored,
}

impl Completeness {
    /// What a copied file's text, or its size alone, says of its wholeness.
    pub(super) const fn wholeness(&self, text: Wholeness, size: u64) -> Wholeness {
        match (self.contents, size) {
            (Contents::Text, _) => text,
            (Contents::Octets, 0) => Wholeness::Empty,
            (Contents::Octets, _) => Wholeness::Other,
        }
    }

    pub(super) fn role(&self, name: &[u8]) -> Role {
        let ends = |ending: &str| {
            name.len() > ending.len() && name[name.len() - ending.len()..].eq_ignore_ascii_case(ending.as_bytes())
        };
        if name.starts_with(b".") || UNFINISHED.into_iter().any(ends) || self.ignored.iter().any(|ending| ends(ending))
        {
            Role::Ignored
        } else if (self.sidecar && ends(SIDECAR)) || self.done_suffix.as_deref().is_some_and(ends) {
            Role::Companion
        } else {
            Role::Bundle
        }
    }
}

/// What is known of one file in the inbox.
#[derive(Clone, Debug)]
pub(super) struct Observation {
    identity: SourceIdentity,
    unchanged_since: Duration,
    /// It appeared by a rename.
    pub(super) renamed_in: bool,
    /// Not before: it was looked into and was not whole.
    not_before: Duration,
    looks: u32,
    /// It is left for a reason of its own, and does not come to rest by itself.
    pub(super) left: Option<Overlooked>,
    /// A notice about it was given in this state.
    pub(super) noticed: bool,
    /// The scan that saw it last.
    pub(super) scan: u64,
}

impl Observation {
    pub(super) const fn new(identity: SourceIdentity, now: Duration) -> Self {
        Self {
            identity,
            unchanged_since: now,
            renamed_in: false,
            not_before: now,
            looks: 0,
            left: None,
            noticed: false,
            scan: 0,
        }
    }

    /// Looks again; any change starts its rest anew.
    pub(super) fn look(&mut self, identity: SourceIdentity, now: Duration) {
        if identity != self.identity {
            *self = Self { scan: self.scan, ..Self::new(identity, now) };
        }
    }

    /// When it may be claimed if nothing changes; `marked` means that its done file is there.
    pub(super) fn due(&self, rules: &Completeness, marked: bool) -> Duration {
        let at_once = marked || (rules.rename_in && self.renamed_in);
        let rested = if at_once { Duration::ZERO } else { self.unchanged_since + rules.quiet };
        rested.max(self.not_before)
    }

    /// Whether what was found in it lets it be claimed; else it is looked into again, more and more seldom.
    pub(super) fn may_claim(&mut self, wholeness: Wholeness, rules: &Completeness, now: Duration) -> bool {
        match wholeness {
            Wholeness::Whole | Wholeness::Other => return true,
            Wholeness::Truncated | Wholeness::Empty => {}
        }
        let limit = self.unchanged_since + rules.truncated_limit;
        if now >= limit {
            return true;
        }
        let wait = rules.quiet.max(Duration::from_millis(100)).saturating_mul(1 << self.looks.min(6));
        self.looks += 1;
        self.not_before = (now + wait).min(limit);
        false
    }

    /// It could not be claimed now for a reason of its own: looked at again later.
    pub(super) fn put_off(&mut self, now: Duration) {
        let wait = Duration::from_secs(1).saturating_mul(1 << self.looks.min(6));
        self.looks += 1;
        self.not_before = now + wait;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn rules() -> Completeness {
        Completeness {
            contents: Contents::Text,
            quiet: at(2),
            truncated_limit: at(600),
            rename_in: true,
            done_suffix: Some(".done".to_owned()),
            sidecar: true,
            ignored: vec![".bak".to_owned()],
        }
    }

    const fn identity(size: u64) -> SourceIdentity {
        SourceIdentity { inode: 1, size, modified: 1_000 }
    }

    #[test]
    fn names_that_others_still_use_are_left_alone() {
        let rules = rules();
        for name in [".x.json", "a.json.TMP", "a.part", "b.filepart", "c.CRDOWNLOAD", "d.bak"] {
            assert_eq!(rules.role(name.as_bytes()), Role::Ignored, "{name}");
        }
        assert_eq!(rules.role(b"a.json"), Role::Bundle);
        assert_eq!(rules.role(b"a.json.route.json"), Role::Companion);
        assert_eq!(rules.role(b"a.json.done"), Role::Companion);
        assert_eq!(rules.role(b".part"), Role::Ignored);
        let plain = Completeness { sidecar: false, done_suffix: None, ..rules };
        assert_eq!(plain.role(b"a.json.route.json"), Role::Bundle);
    }

    #[test]
    fn rest_is_counted_on_our_clock_and_begins_anew_with_each_change() {
        let rules = rules();
        let mut seen = Observation::new(identity(5), at(10));
        assert_eq!(seen.due(&rules, false), at(12), "an old modification time does not make it rested");
        seen.look(identity(6), at(11));
        assert_eq!(seen.due(&rules, false), at(13));
        seen.look(identity(6), at(12));
        assert_eq!(seen.due(&rules, false), at(13));
        assert_eq!(seen.due(&rules, true), at(11), "a done file makes it complete at once");
    }

    #[test]
    fn of_octets_only_their_absence_is_waited_for() {
        let octets = Completeness { contents: Contents::Octets, ..rules() };
        // A cut JSON text, or one of blanks, is a file like any other where nobody reads it.
        assert_eq!(octets.wholeness(Wholeness::Truncated, 5), Wholeness::Other);
        assert_eq!(octets.wholeness(Wholeness::Empty, 5), Wholeness::Other);
        assert_eq!(octets.wholeness(Wholeness::Empty, 0), Wholeness::Empty);
        assert_eq!(rules().wholeness(Wholeness::Truncated, 5), Wholeness::Truncated);
        assert!(!Observation::new(identity(0), at(0)).may_claim(Wholeness::Empty, &octets, at(2)));
        assert!(Observation::new(identity(0), at(0)).may_claim(Wholeness::Empty, &octets, at(600)));
    }

    #[test]
    fn a_truncated_file_waits_up_to_the_limit() {
        let rules = rules();
        let mut seen = Observation::new(identity(5), at(0));
        let mut now = at(2);
        let mut looks = 0;
        while !seen.may_claim(Wholeness::Truncated, &rules, now) {
            let next = seen.due(&rules, false);
            assert!(next > now);
            now = next;
            looks += 1;
        }
        assert_eq!(now, at(600));
        assert!(looks < 20, "{looks}");
        assert!(Observation::new(identity(5), at(0)).may_claim(Wholeness::Whole, &rules, at(2)));
    }
}
