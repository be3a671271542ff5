//! SORTER: a valid Bundle, or any file of a library channel, becomes a parcel for exactly one account, or is held.
//!
//! All evidence that is present must lead to the same account. Evidence that is present but unlinked
//! contradicts; two patients are never one parcel. There is no guess and no default that overrules
//! evidence. Pure: links and accounts are asked of a [`Directory`] that the caller brings.

mod address;
mod library;
mod media;
mod parcel;
mod patients;

pub use address::{Addressing, Directory, Envelope, EnvelopeRules, Rules, address};
pub use library::{Descriptor, LibraryRules, address_file, describe};
pub use media::{HEAD, MediaType, media_type};
pub use parcel::{Addressed, Consignment, Contents, ForLibrary, ForProvider, Parcel};
