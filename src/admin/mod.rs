//! WINDOW: what commands ask, answered the same way whether the daemon runs or not.
//!
//! While the daemon runs it owns the store, and commands talk to it over a local socket (0600): one JSON
//! object a line each way. Without it a command opens the store itself. Both ways end in the same
//! [`Desk`], so an answer never depends on the way. Whatever changes something stands in the [`Audit`] log before it is
//! done.

mod audit;
mod desk;
mod protocol;
mod retention;
mod select;
mod socket;

pub use audit::{Audit, Begun, Caller, Deed, Entries, Entry};
pub use desk::{Desk, Hands, Offline, channel_status};
pub use protocol::{
    Answer, ChannelStatus, Decided, LinkView, Question, Recorded, Selector, StageStatus, Status, TokenStatus,
};
pub use retention::{Pruned, PrunedPlace};
pub use socket::{CallError, call, is_running, serve};
