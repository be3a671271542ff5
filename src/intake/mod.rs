//! LETTERBOX: files appear in an inbox; what leaves here is ours, whole, and on disk.
//!
//! The inbox may be a share and another's property: nothing is believed of a file but what our own
//! clock and our own copy say. `notify` events are a hint; the rescan is the truth. A file is claimed
//! by a copy into the channel's `work/` whose digest is taken on the way; the source is removed only
//! after the record of the claim is on disk, by way of a name of ours, so that nothing newer goes with it.

mod aside;
mod claim;
mod filesystem;
mod inbox;
mod kept;
mod lasting;
mod orphans;
mod settle;
mod spool;
mod watch;

pub use aside::Taken;
pub use claim::{Claim, Custody, CustodyError, Recorded, remove_claimed};
pub use filesystem::{FileSystem, Space};
pub use inbox::{Inbox, Notice, Overlooked, Polling};
pub use orphans::Orphans;
pub use settle::{Completeness, Contents};
pub use spool::{Found, Moves, ReportBytes, Spool, SpoolError, rename_without_replacing};
pub use watch::{Stop, Watch};

#[cfg(test)]
pub(crate) mod tests {
    use crate::model::{
        ClaimedFile, Digest, ForeignName, KeyedHash, Origin, PushType, SourceIdentity, Submission, SubmissionId,
        Timestamp,
    };

    /// A claimed submission with this origin.
    pub(crate) fn submission(path: &str) -> Submission {
        let id = SubmissionId::from_u64(1 << 40);
        let claimed = ClaimedFile {
            channel: "clinic".parse().unwrap(),
            push: PushType::Provider,
            origin: Origin {
                path: ForeignName::new(path),
                folder: path.rsplit_once('/').map(|(folder, _)| ForeignName::new(folder)),
                identity: SourceIdentity { inode: 1, size: 2, modified: 3 },
            },
            name_hash: KeyedHash::from_bytes([0; 16]),
            sidecar: None,
            digest: Digest::of(b"{}"),
            size: 2,
        };
        Submission { source_pending: false, ..Submission::claimed(id, Timestamp::from_millis(0), claimed) }
    }
}
