//! What may be sent: one file, for one account.

use crate::model::{Digest, Recipient, SubmissionId};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

/// The account that all evidence agreed on, found for a valid Bundle. Only [`super::address`] makes one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Addressed {
    recipient: Recipient,
    idempotent: bool,
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
    /// The API's word for the release: `stu3` or `3.0.2`.
    pub version: Arc<str>,
}

/// One file for exactly one account: all that [`crate::push::send`] takes.
///
/// There is no other way to one than [`Addressed::parcel`], and no way to an [`Addressed`] than
/// [`super::address`] on a [`crate::validate::Valid`] Bundle. So nothing is sent unjudged or unaddressed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parcel {
    addressed: Addressed,
    consignment: Consignment,
}

impl Addressed {
    pub(super) const fn new(recipient: Recipient, idempotent: bool) -> Self {
        Self { recipient, idempotent }
    }

    /// The account.
    pub const fn recipient(&self) -> &Recipient {
        &self.recipient
    }

    /// The parcel of the file that was judged.
    pub const fn parcel(self, consignment: Consignment) -> Parcel {
        Parcel { addressed: self, consignment }
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
        &self.addressed.recipient
    }

    /// The API's word for the standard.
    pub const fn standard(&self) -> &'static str {
        "fhir"
    }

    /// The API's word for the release.
    pub fn version(&self) -> &str {
        &self.consignment.version
    }

    /// Whether every entry may be sent twice without harm.
    pub const fn idempotent(&self) -> bool {
        self.addressed.idempotent
    }
}
