//! BELL: tells somebody when trouble begins and when it ends, and not while it lasts.
//!
//! [`Bell::ring`] takes [`News`], never waits, and keeps what it must in a bounded space: many of one kind within a
//! moment become one alert with a count. Each way out ([`Outlet`]: a command, a webhook) has a task of its own that
//! delivers, tries again a few times, and then says so in the log. Which troubles were told lies in
//! `state/alerts.json`, so that neither a restart nor a loop of them tells one twice.
//!
//! News hold ids, channels, contracts and account ids as the log has them; no patient data, no file names, no tokens.

mod bell;
mod news;
mod outlet;

pub use bell::{Bell, Quiet, Settings};
pub use news::{Kind, News};
pub use outlet::Outlet;
