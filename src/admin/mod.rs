//! WINDOW: what commands ask, answered the same way whether the daemon runs or not.
//!
//! While the daemon runs it owns the store, and commands talk to it over a local socket (0600): one JSON
//! object a line each way. Without it a command opens the store itself. Both ways end in the same
//! [`Desk`], so an answer never depends on the way. Whatever changes something stands in the [`Audit`] log before it is
//! done.

mod audit;
mod authorise;
mod callback;
mod desk;
mod hands;
mod protocol;
mod retention;
mod select;
mod socket;
mod sync;
mod tend;

pub use audit::{Audit, Caller, Deed, Entries, Entry};
pub use callback::{Called, Listener, Outcome};
pub use desk::{Desk, Schedule, channel_status};
pub use hands::{Hands, Offline};
pub use protocol::{
    Answer, Authorised, Begun, ChannelStatus, Decided, Invite, LinkView, Obstacle, Question, Recorded, Selector,
    StageStatus, Status, TokenStatus, Whom,
};
pub use retention::{Pruned, PrunedPlace};
pub use socket::{CallError, call, is_running, serve};
pub use tend::{tell_ends, tend};
