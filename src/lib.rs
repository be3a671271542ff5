//! pushbridge: a FHIR STU3 Bundle is dropped into a folder; it is validated, the one account that it belongs
//! to is found, and it is pushed there, signed; a channel for the library does so with any file, unread.
//!
//! Three promises, in this order: no record reaches the wrong person's account; nothing is lost; nothing is sent twice
//! unless somebody decided so.
//!
//! # The map
//!
//! Rooms, from the floor up; each knows only those below it (`tests/architecture.rs` reads the sources and checks).
//!
//! | room | what it does |
//! |---|---|
//! | [`model`] | the nouns that all rooms share: ids, digests, secrets, instants, the record of a submission |
//! | [`fhir`] | LANGUAGE: JSON and XML to one flat tree with a place for every node; primitive formats; FHIRPath; units of measure |
//! | [`stu3`] | LIBRARY: the release's facts as generated tables: what resources are made of, which codes, extensions and profiles there are; FHIR packages, and the snapshots of their profiles |
//! | [`validate`] | INSPECTOR: one walk over a document, one file per rule family; one more over a resource for each profile that it claims; findings as data |
//! | [`route`] | SORTER: a valid Bundle, or any file of a library channel, becomes a parcel for exactly one account, or is held |
//! | [`push`] | COURIER: the only HTTP client: signatures, answers, tokens, authorisation; package registries, terminology servers |
//! | [`store`] | CELLAR: a trait of domain verbs and its engine: a journal that is synced with every change, and sled behind it; group commit; export and import |
//! | [`intake`] | LETTERBOX: watch, settle, claim; the channel's own folders |
//! | [`alert`] | BELL: tells a command or a webhook when trouble begins and when it ends |
//! | [`engine`] | HALL: pure decisions ([`engine::Engine::step`]) and the loop around them ([`engine::run()`]) |
//! | [`admin`] | WINDOW: what commands ask, over a local socket or straight from the store; authorisation and the page that a person comes back to |
//! | [`sandbox`] | a local stand-in for the API, with bad days to order |
//! | [`config`] | file and environment become one checked configuration |
//! | [`cli`] | FRONT DOOR: one file per command, one table of exit codes |
//!
//! # The way of one Bundle
//!
//! arrive (`intake::watch`) → settle → claim: a copy of our own with its digest, synced, recorded, and only then the
//! end of the source → read ([`validate::read`], JSON or XML) → inspect ([`validate::Validator::bundle`]) → address
//! ([`route::address`]) → log (`Ready`, then `Sending`, each flushed) → push ([`push::send`]) → settle: outcome
//! flushed, report written, file moved.
//!
//! The types make the order unskippable: [`push::send`] takes only a [`route::Parcel`]; only `route` makes one, from
//! an account that it found for a [`validate::Valid`] Bundle; only `validate` makes that.
//!
//! A file for the library goes the same way but for two stops: instead of being read and inspected it is looked at
//! ([`route::media_type`]), and its address ([`route::address_file`]) comes from outside it alone. That needs a
//! [`route::LibraryRules`], which only a channel of that type has; what was claimed for one type of push never goes as
//! the other, whatever becomes of the channel's settings.
//!
//! # What must stay true
//!
//! - A change of stage is one batch in the store's journal; what follows from it begins after its flush. `Sending` is flushed
//!   before the first byte leaves, so a `Sending` found at start-up is `Unknown`.
//! - The last block of a body is withheld until the digest of all bytes is the one that was judged. A Bundle in XML
//!   goes as JSON that is made from it when it is judged, and is told from others by the file that was claimed.
//! - One push an account at a time, in the order of claims. One refresh a person at a time; the new pair is flushed
//!   before its first use.
//! - A refresh whose answer never came is asked again with the old token, each time after a probe that was answered, until
//!   the API says what became of it; only its word, never an outage, costs a person its authorisation (`engine/persons.rs`).
//! - An account that has a file's bytes, or may have, gets them again by a person's decision about that account alone;
//!   each attempt keeps its account, so this holds wherever the file goes afterwards.
//! - New tokens of an authorisation take the place of old ones whatever a refresh that is under way brings; only the
//!   tokens of the person who was asked are kept.
//! - An outage or a refused set-up is a state of the destination, never of the files that wait for it.
//! - Names, identifiers, contents and tokens are in no log line and no error; reports (0600) may name the file.

pub mod admin;
pub mod alert;
pub mod cli;
pub mod config;
pub mod engine;
pub mod faults;
pub mod fhir;
pub mod intake;
pub mod model;
pub mod push;
pub mod route;
pub mod sandbox;
pub mod store;
pub mod stu3;
pub mod validate;
