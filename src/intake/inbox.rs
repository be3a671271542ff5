//! One channel's inbox, and what is said of it.

use super::{settle::Completeness, spool::Spool};
use crate::model::{ChannelName, ForeignName, PushType};
use std::{path::PathBuf, time::Duration};

/// One channel's inbox.
#[derive(Clone, Debug)]
pub struct Inbox {
    /// The channel.
    pub channel: ChannelName,
    /// Where it sends files.
    pub push: PushType,
    /// The folder.
    pub path: PathBuf,
    /// The channel's own folders.
    pub spool: Spool,
    /// When a file is complete.
    pub completeness: Completeness,
    /// Larger files are left where they are.
    pub max_bytes: u64,
    /// The longest time between two scans.
    pub rescan: Duration,
    /// Whether events are asked for.
    pub polling: Polling,
    /// Below so many free bytes nothing is claimed.
    pub min_free: u64,
}

/// How an inbox is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Polling {
    /// Events where the file system gives them.
    Auto,
    /// Never events.
    Always,
}

/// Why a file is left where it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Overlooked {
    /// It is a link, a pipe, a device or a folder with a file's name.
    NotRegular,
    /// It has more bytes than the channel takes.
    TooLarge,
    /// It has more bytes than there is room for beside the reserve.
    NoRoom,
    /// It may not be read.
    Unreadable,
    /// It was claimed, and its source may not be removed.
    NotRemovable,
    /// It was claimed, and the record of that is lost.
    Unrecorded,
    /// It waits for its sidecar.
    WaitsForSidecar,
}

impl Overlooked {
    /// For people: why, and what to do.
    pub const fn text(self) -> &'static str {
        match self {
            Self::NotRegular => "it is a link, a pipe, a device or a folder; put a plain file there",
            Self::TooLarge => "it is larger than the channel's max_size",
            Self::NoRoom => "there is not enough free disk for it beside limits.min_free; it is tried again by itself",
            Self::Unreadable => "it may not be read; correct its owner or its mode",
            Self::NotRemovable => "it was claimed and cannot be removed; let this user remove files of the inbox",
            Self::Unrecorded => {
                "it was claimed once and may have been sent, but the record of that is lost; rename it to send it, or \
                 remove it"
            }
            Self::WaitsForSidecar => "it waits for its sidecar, the same name with .route.json behind it",
        }
    }
}

/// An edge that somebody should know of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// A file is left where it is.
    Overlooked {
        /// Which.
        path: ForeignName,
        /// Why.
        reason: Overlooked,
    },
    /// The inbox cannot be read.
    InboxGone {
        /// Why.
        why: String,
    },
    /// It can be read again.
    InboxBack,
    /// No room: nothing is claimed.
    DiskFull,
    /// There is room again.
    DiskFree,
    /// Events do not come; the folder is polled.
    EventsMissing {
        /// Why.
        why: String,
    },
}
