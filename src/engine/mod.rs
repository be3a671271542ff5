//! HALL: everything meets here, and one loop decides.
//!
//! [`Engine::step`] holds the decisions, pure; [`run()`] is the loop around them; what takes time (judging,
//! settling, requests, writes) happens elsewhere and comes back as an event. What was flushed is what
//! is true: a start after any end goes on from the store and the folders.

mod answers;
mod arrivals;
mod clerk;
mod custody;
mod decide;
mod desk;
mod edition;
mod ends;
mod event;
mod gate;
mod item;
pub mod judge;
mod judging;
mod lanes;
mod ledger;
mod library;
mod lookup;
mod persons;
mod queues;
mod report;
mod run;
mod sending;
mod signal;
#[cfg(test)]
mod simulation;
mod step;
mod tell;
mod vault;
mod written;

pub use decide::{NotPossible, decide, has_its_file};
pub use desk::{Handle, Hold, PausedUntil, StatusFacts, Stopping};
pub use edition::{Edition, EditionFacts, Load, Profiles, Rejected};
pub use event::{
    AccountKey, Alert, Change, Earlier, Effect, Event, Inspected, Judgement, Moment, Opened, PersonKey, PersonStanding,
    RefreshOutcome, TokenTimes, Verb, Verdict,
};
pub use ledger::apply as apply_change;
pub use lookup::ChannelDirectory;
pub use report::{Report, attempt_word, describe_push, outcome, reason, remedy, report};
pub use run::{ChannelSetup, Mode, RunError, Setup, Summary, run};
pub use step::{Ambiguous, ChannelRules, Engine, Order, Rules};
