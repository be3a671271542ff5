//! A local stand-in for the API: it checks what the real one would, by code of its own, and does on order
//! what the real one does on bad days.
//!
//! It listens on 127.0.0.1 alone. Signatures, nonces, timestamps, tokens, accounts and paths are checked;
//! both tokens rotate and old ones are spent at once; answers are signed with a key set. Everything that
//! it receives can be looked at. The demo, the tests and people who integrate use it.

mod connection;
mod control;
mod faults;
mod jwt;
mod library;
mod pages;
mod push;
mod server;
mod state;
mod tokens;

pub use faults::{Fault, Target};
pub use jwt::{PublicKey, generate_key_pem};
pub use pages::Consent;
pub use server::{Options, Sandbox, start};
pub use state::{Described, NewAccount, NewPerson, Received, State, Stats};
