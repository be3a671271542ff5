//! COURIER: the only room that speaks to the API, and to a package registry or a
//! terminology server where somebody named one.
//!
//! Every request is signed anew ([`sign`](self) with a key that is parsed once), no redirect is followed,
//! every wait and every answer is bounded. [`send`] takes only a [`crate::route::Parcel`] and says what
//! became of it by the table of answers; tokens are renewed here and kept elsewhere.

mod accounts;
mod answer;
mod authorize;
mod backoff;
mod body;
mod callback;
mod client;
mod destination;
#[cfg(test)]
mod keys_for_tests;
mod library;
mod outbound;
mod pem;
mod registry;
mod sign;
mod terminology;
mod token;
mod verify;
mod webhook;

pub use accounts::{ApiAccount, ContractFacts};
pub use answer::{Answer, Scope};
pub use authorize::{Authorisation, Invitation};
pub use backoff::Backoff;
pub use callback::{Callback, CallbackError, Granted};
pub use client::{Client, Failure, Sent, send};
pub use destination::{Agent, Destination, PushError, Timeouts, Trust};
pub use pem::PemError;
pub use registry::{Fetched, Listing, Registry, RegistryAddress, RegistryError, RegistryLimits};
pub use sign::KeyError;
pub use terminology::{TerminologyAddress, TerminologyError, TerminologyServer};
pub use token::{OfficialTokens, Refreshed, Tokens};
pub use verify::Untrusted;
pub use webhook::Webhook;
