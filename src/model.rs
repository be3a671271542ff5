//! Shared nouns: the words that every room uses, and nothing else.
//!
//! Ids, digests, instants and secrets (leaf types), then the records that the store keeps and the
//! engine moves from stage to stage. This room knows no other room (but for faults to
//! order), does no I/O and reads no clock, except that [`clock`], [`Timestamp::now`] and [`random_bytes`] exist here so that
//! they are easy to find.

mod account;
pub mod clock;
mod code;
mod digest;
mod id;
mod library;
mod retention;
mod seal;
mod secret;
mod submission;
mod time;

pub use account::{
    Account, EvidenceKind, Link, LinkValue, Person, TokenPair, TokenState, TokenValue, account_remedy, reauthorize,
    shell_word,
};
pub use code::CodeQuestion;
pub use digest::{Digest, Digester, HashKey, KeyedHash, Sha1, random_bytes};
pub use id::{AccountId, AccountReference, ChannelName, ContractName, InvalidId, PersonId, SubmissionId};
pub use library::{FoundBy, LabelFault, Labels, LibraryFacts, PushType};
pub use retention::Retention;
pub use seal::{KeyId, KeysError, Purpose, SealError, Sealed, Sealer};
pub use secret::Secret;
pub use submission::{
    Attempt, AttemptOutcome, BundleFacts, ClaimedFile, Evidence, Finding, ForeignName, HoldReason, Origin, Place,
    Receipt, Recipient, RuleChange, Severity, Sidecar, SourceIdentity, Stage, Submission,
};
pub use time::Timestamp;
