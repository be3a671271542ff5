//! The end of a run: what is under way comes to rest within the grace, and the records reach the disk.

use super::{Shell, Summary, Watching};
use crate::{
    engine::{event::Event, signal::Signal},
    store::Shutdown,
};
use std::{collections::BTreeMap, time::Duration};
use tokio::sync::mpsc::UnboundedReceiver;

/// How long alerts may take to leave at the end.
const LAST_ALERTS: Duration = Duration::from_secs(10);

impl Shell {
    /// No new claims, no new pushes; those under way may end within the grace. What does not stays
    /// `Sending` on disk, and is Unknown at the next start.
    pub(super) async fn end(
        mut self,
        watches: Vec<Watching>,
        mut inbox: UnboundedReceiver<Signal>,
        timed_out: bool,
    ) -> Summary {
        let mut settling = BTreeMap::new();
        for watch in &watches {
            settling.insert(watch.channel.clone(), watch.stop.settling());
            watch.stop.stop();
        }
        settling.retain(|_, names| !names.is_empty());
        self.step(Event::Shutdown);
        let joined = tokio::task::spawn_blocking(move || {
            for watch in watches {
                if watch.thread.join().is_err() {
                    tracing::error!("an inbox' thread had ended by a panic");
                }
            }
        });
        tokio::pin!(joined);
        let mut watching = true;
        let limit = tokio::time::Instant::now() + self.grace;
        while watching || self.engine.in_flight() > 0 || self.engine.is_refreshing() || self.holds > 0 {
            tokio::select! {
                signal = inbox.recv() => if let Some(signal) = signal { self.take(signal) },
                _ = &mut joined, if watching => watching = false,
                () = tokio::time::sleep_until(limit) => {
                    tracing::warn!(pushes = self.engine.in_flight(), "the grace is over: what is under way becomes Unknown");
                    break;
                }
            }
        }
        let (open, outcomes) = (self.engine.counts(), std::mem::take(&mut self.outcomes));
        let notices = std::mem::take(&mut self.notices);
        let Self { judges, clerk, writer, grace, bell, .. } = self;
        let ended = tokio::task::spawn_blocking(move || {
            judges.stop();
            clerk.stop();
            writer.shutdown(grace)
        });
        if !matches!(ended.await, Ok(Shutdown::Drained)) {
            tracing::error!("the store did not take the last records; the next start looks after them");
        }
        bell.close(LAST_ALERTS).await;
        Summary { outcomes, open, timed_out, notices, settling }
    }
}
