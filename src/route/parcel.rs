//! What may be sent: one file, for one account.

use super::library::Descriptor;
use crate::model::{Digest, PushType, Recipient, SubmissionId};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

/// The account that all evidence agreed on, and what it was found for: a [`ForProvider`] or a [`ForLibrary`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Addressed<P> {
    recipient: Recipient,
    push: P,
}

/// Found for a Bundle that the inspection found valid. Only [`super::address`] makes one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForProvider {
    pub(super) idempotent: bool,
}

/// Found for a file of a library channel. Only [`super::address_file`] makes one, by [`super::LibraryRules`], which
/// no other channel has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForLibrary {
    pub(super) descriptor: Descriptor,
}

/// The file that a parcel is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Consignment {
    /// The submission that it belongs to.
    pub submission: SubmissionId,
    /// The channel's `work/`.
    pub folder: Arc<Path>,
    /// The file's name in it.
    pub file: String,
    /// SHA-256 of the file that was claimed: what tells a repeat.
    pub claimed: Digest,
    /// SHA-256 of the bytes that are sent: the claimed file's, or those of its JSON form.
    pub digest: Digest,
    /// Bytes.
    pub size: u64,
}

/// What a parcel holds, and so which way it goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Contents {
    /// A valid Bundle, for the account's provider.
    Bundle {
        /// The API's word for the release: `stu3` or `3.0.2`.
        version: Arc<str>,
        /// Whether every entry may be sent twice without harm.
        idempotent: bool,
    },
    /// Any file, for the account's library.
    File(Descriptor),
}

/// One file for exactly one account: all that [`crate::push::send`] takes.
///
/// There is no other way to one than [`Addressed::parcel`]. An [`Addressed`] that is [`ForProvider`] comes from
/// [`super::address`] on a [`crate::validate::Valid`] Bundle alone; one that is [`ForLibrary`] comes from
/// [`super::address_file`], which needs the rules that only a library channel has. So nothing is sent unaddressed,
/// and a channel for Bundles sends nothing unjudged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parcel {
    recipient: Recipient,
    contents: Contents,
    consignment: Consignment,
}

impl<P> Addressed<P> {
    pub(super) const fn new(recipient: Recipient, push: P) -> Self {
        Self { recipient, push }
    }

    /// The account.
    pub const fn recipient(&self) -> &Recipient {
        &self.recipient
    }
}

impl Addressed<ForProvider> {
    /// The parcel of the Bundle that was judged; `version` is the API's word for the release.
    pub fn parcel(self, consignment: Consignment, version: Arc<str>) -> Parcel {
        let contents = Contents::Bundle { version, idempotent: self.push.idempotent };
        Parcel { recipient: self.recipient, contents, consignment }
    }
}

impl Addressed<ForLibrary> {
    /// The parcel of the file that was looked at.
    pub fn parcel(self, consignment: Consignment) -> Parcel {
        Parcel { recipient: self.recipient, contents: Contents::File(self.push.descriptor), consignment }
    }
}

impl Parcel {
    /// The submission that it belongs to.
    pub const fn submission(&self) -> SubmissionId {
        self.consignment.submission
    }

    /// The file to stream.
    pub fn path(&self) -> PathBuf {
        self.consignment.folder.join(&self.consignment.file)
    }

    /// SHA-256 of the file that was claimed.
    pub const fn claimed(&self) -> Digest {
        self.consignment.claimed
    }

    /// SHA-256 that the streamed bytes must have.
    pub const fn digest(&self) -> Digest {
        self.consignment.digest
    }

    /// Bytes.
    pub const fn size(&self) -> u64 {
        self.consignment.size
    }

    /// The account that it goes to.
    pub const fn recipient(&self) -> &Recipient {
        &self.recipient
    }

    /// What it holds.
    pub const fn contents(&self) -> &Contents {
        &self.contents
    }

    /// Which way it goes.
    pub const fn push(&self) -> PushType {
        match self.contents {
            Contents::Bundle { .. } => PushType::Provider,
            Contents::File(_) => PushType::Library,
        }
    }

    /// Whether it may be sent twice without harm. A file in the library would be there twice.
    pub const fn idempotent(&self) -> bool {
        matches!(self.contents, Contents::Bundle { idempotent: true, .. })
    }
}
