//! The profiles that files are judged by: one edition at a time, changed as a whole or not at all.
//!
//! A new edition is made beside the one in force, on a thread of its own. Only when it is whole does it take the place of
//! the old one; a file that is being judged ends with the edition that it began with.

use crate::{
    model::{Digest, Timestamp},
    validate::Validator,
};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};
use tokio::sync::oneshot;

/// Everything that files are judged by.
#[derive(Debug)]
pub struct Edition {
    /// With its profiles.
    pub validator: Validator,
    /// What is in it.
    pub facts: EditionFacts,
}

/// What an edition holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EditionFacts {
    /// When it was made.
    pub loaded: Option<Timestamp>,
    /// The files that it was made from, by name, with their SHA-256.
    pub files: BTreeMap<String, Digest>,
    /// Profiles beside the release's own.
    pub profiles: usize,
    /// Value sets beside the release's own.
    pub value_sets: usize,
    /// Code systems beside the release's own.
    pub code_systems: usize,
}

impl std::fmt::Display for EditionFacts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { files, profiles, value_sets, code_systems, .. } = self;
        write!(
            f,
            "{profiles} profiles, {value_sets} value sets, {code_systems} code systems of {} files, and the release's own",
            files.len()
        )
    }
}

/// Makes an edition from what lies on the disk now, or says what is wrong with it.
pub type Load = Arc<dyn Fn() -> Result<Edition, String> + Send + Sync>;

/// An edition that was not taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rejected {
    /// When.
    pub at: Timestamp,
    /// What is wrong with it, and where.
    pub why: String,
}

/// How the profiles stand.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Profiles {
    /// What files are judged by.
    #[serde(flatten)]
    pub facts: EditionFacts,
    /// What was on the disk at the last reload, where that could not be used.
    pub rejected: Option<Rejected>,
}

/// The edition in force, with its number.
#[derive(Clone, Debug)]
pub(super) struct InForce(Arc<Mutex<(u32, Arc<Edition>)>>);

impl InForce {
    pub(super) fn new(edition: Edition) -> Self {
        Self(Arc::new(Mutex::new((0, Arc::new(edition)))))
    }

    pub(super) fn get(&self) -> (u32, Arc<Edition>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn replace(&self, edition: Edition) {
        let mut current = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *current = (current.0.wrapping_add(1), Arc::new(edition));
    }
}

/// Who waits for the end of a reload.
type Answer = oneshot::Sender<Result<EditionFacts, String>>;

/// One reload at a time: whoever asks while one is under way gets the next one, which sees what changed meanwhile.
pub(super) struct Reloads {
    load: Load,
    pub(super) in_force: InForce,
    rejected: Option<Rejected>,
    waiting: Vec<Answer>,
    /// They asked while one was under way.
    later: Vec<Answer>,
    is_loading: bool,
}

impl Reloads {
    pub(super) fn new(edition: Edition, load: Load) -> Self {
        Self {
            load,
            in_force: InForce::new(edition),
            rejected: None,
            waiting: Vec::new(),
            later: Vec::new(),
            is_loading: false,
        }
    }

    /// What makes the next edition, where it is to be made now.
    pub(super) fn ask(&mut self, answer: Answer) -> Option<Load> {
        if self.is_loading {
            self.later.push(answer);
            return None;
        }
        self.waiting.push(answer);
        self.is_loading = true;
        Some(self.load.clone())
    }

    /// An edition was made, or not: it is in force, or the one before stays so. Those who waited hear it. What makes the
    /// next one, where somebody asked meanwhile.
    pub(super) fn made(
        &mut self,
        made: Result<Edition, String>,
        now: Timestamp,
    ) -> (Result<EditionFacts, String>, Option<Load>) {
        let told = made.map(|edition| {
            let facts = edition.facts.clone();
            self.in_force.replace(edition);
            facts
        });
        self.rejected = told.as_ref().err().map(|why| Rejected { at: now, why: why.clone() });
        for answer in self.waiting.drain(..) {
            answer.send(told.clone()).unwrap_or_default();
        }
        self.waiting = std::mem::take(&mut self.later);
        self.is_loading = !self.waiting.is_empty();
        (told, self.is_loading.then(|| self.load.clone()))
    }

    pub(super) fn profiles(&self) -> Profiles {
        Profiles { facts: self.in_force.get().1.facts.clone(), rejected: self.rejected.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edition(profiles: usize) -> Edition {
        Edition { validator: Validator::new(), facts: EditionFacts { profiles, ..EditionFacts::default() } }
    }

    #[test]
    fn who_asks_during_a_reload_gets_the_next_one() {
        let mut reloads = Reloads::new(edition(0), Arc::new(|| Ok(edition(9))));
        let (first, mut told_first) = oneshot::channel();
        let (second, mut told_second) = oneshot::channel();
        assert!(reloads.ask(first).is_some());
        assert!(reloads.ask(second).is_none());
        let (told, again) = reloads.made(Ok(edition(1)), Timestamp::from_millis(0));
        assert_eq!((told.unwrap().profiles, again.is_some()), (1, true));
        assert_eq!(told_first.try_recv().unwrap().unwrap().profiles, 1);
        assert!(told_second.try_recv().is_err(), "it may have changed something since");
        let (_, again) = reloads.made(Ok(edition(2)), Timestamp::from_millis(0));
        assert!(again.is_none());
        assert_eq!(told_second.try_recv().unwrap().unwrap().profiles, 2);
        assert_eq!(reloads.in_force.get().0, 2);
    }

    #[test]
    fn what_cannot_be_used_leaves_the_edition_before_in_force_and_is_told() {
        let mut reloads = Reloads::new(edition(3), Arc::new(|| Err("broken".to_owned())));
        let (asked, mut told) = oneshot::channel();
        let load = reloads.ask(asked).unwrap();
        assert!(reloads.made(load(), Timestamp::from_millis(5)).0.is_err());
        assert_eq!(told.try_recv().unwrap().unwrap_err(), "broken");
        let profiles = reloads.profiles();
        assert_eq!((profiles.facts.profiles, profiles.rejected.unwrap().why), (3, "broken".to_owned()));
        assert_eq!(reloads.in_force.get().0, 0);
        assert!(reloads.made(Ok(edition(4)), Timestamp::from_millis(6)).0.is_ok());
        assert_eq!(reloads.profiles().rejected, None);
    }
}
