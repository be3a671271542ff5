//! What is done with each signal.

use super::{Shell, log::log_stage};
use crate::{
    alert::{Kind, News},
    engine::{
        clerk::Placed,
        event::{Effect, Event, Opened, Verdict},
        judge::Judged,
        lookup::earlier,
        signal::Signal,
        tell,
        written::events_of,
    },
    intake::Notice,
    model::{ChannelName, Submission, SubmissionId, Timestamp},
    store::{StoreTrouble, Write},
};
use std::sync::mpsc::SyncSender;

/// Notices kept for `status`.
const NOTICES_KEPT: usize = 1_000;

impl Shell {
    pub(super) fn take(&mut self, signal: Signal) {
        match signal {
            Signal::Event(event) => {
                self.step(event);
                self.compare_clocks();
            }
            Signal::Claims { submissions, done } => self.record(submissions, done),
            Signal::Recorded { opened, done } => {
                for opened in opened {
                    self.ledger.flushed(opened.id);
                    self.step(Event::Claimed(opened));
                }
                done.send(()).unwrap_or_default();
            }
            Signal::SourcesGone(ids) => {
                for id in ids {
                    self.write_lazily(id, |record| record.source_pending = false);
                }
            }
            Signal::Notice { channel, notice } => self.note(channel, notice),
            // It may be answered by now.
            Signal::Judged(Judged { id, edition, result: Ok(judgement) })
                if judgement.verdict.waits_for_profiles() && edition != self.reloads.in_force.get().0 =>
            {
                self.judge(id);
            }
            Signal::Judged(Judged { id, result: Ok(judgement), .. }) => {
                let earlier = match &judgement.verdict {
                    Verdict::Addressed(parcel) => earlier(&*self.store, &self.engine, parcel),
                    _ => Ok(None),
                };
                match earlier {
                    Ok(earlier) => self.step(Event::Judged { id, judgement, earlier }),
                    Err(error) => self.judge_later(id, &error.to_string()),
                }
            }
            Signal::Judged(Judged { id, result: Err(why), .. }) => self.judge_later(id, &why),
            Signal::TryAgain(effect) => self.carry_out(vec![effect]),
            Signal::Placed(placed) => placed.into_iter().for_each(|placed| self.placed(placed)),
            Signal::Flushed { id, then } => {
                self.ledger.flushed(id);
                self.carry_out(then);
            }
            Signal::Written(writes) => {
                for event in events_of(&self.vault, writes, Timestamp::now()) {
                    self.step(event);
                }
            }
            Signal::LetGo => self.holds = self.holds.saturating_sub(1),
            Signal::Renewed { person, renewal } => self.renewed(person, renewal),
            Signal::Trouble(trouble) => self.store_trouble(&trouble),
            Signal::Made(made) => self.edition_made(made),
            Signal::Asked(asked) => self.asked(asked),
        }
    }

    /// Tells when our clock turns out to be wrong by the API's, and when it no longer is.
    fn compare_clocks(&mut self) {
        const WRONG: i64 = 30_000;
        for (contract, client) in &self.clients {
            let skew = client.clock_skew_millis();
            if skew.abs() > WRONG && self.wrong_clocks.insert(contract.clone()) {
                tracing::warn!(
                    %contract,
                    seconds = skew / 1000,
                    "alert: the API's clock is ahead of ours by so many seconds; requests are corrected by it: \
                     let this machine's clock follow a time server"
                );
            } else if skew.abs() <= WRONG && self.wrong_clocks.remove(contract) {
                tracing::warn!(%contract, "alert: our clock and the API's agree again");
            }
        }
    }

    fn store_trouble(&self, trouble: &StoreTrouble) {
        match trouble {
            StoreTrouble::Failing { why } => {
                tracing::error!(why, "the store fails: nothing new is claimed or sent until it works again");
            }
            StoreTrouble::Recovered => tracing::info!("the store works again"),
        }
        self.bell.ring(tell::of_trouble(trouble));
        if let Some(why) = self.store.was_rebuilt() {
            self.bell.ring(News::of(Kind::StoreRebuilt).because(why));
        }
    }

    fn record(&mut self, submissions: Vec<Submission>, done: SyncSender<()>) {
        let opened = submissions.iter().map(Opened::from).collect();
        let mut writes = Vec::with_capacity(submissions.len());
        for submission in submissions {
            log_stage(&submission);
            self.bell.file_came(&submission.channel);
            // Whatever kept it in the inbox is over.
            if let Some(notices) = self.notices.get_mut(&submission.channel) {
                notices.retain(
                    |notice| !matches!(notice, Notice::Overlooked { path, .. } if *path == submission.origin.path),
                );
            }
            writes.push(Write::Submission(Box::new(submission.clone())));
            self.ledger.begin(submission);
        }
        let signals = self.signals.clone();
        self.writer
            .commit(writes, Box::new(move || signals.send(Signal::Recorded { opened, done }).unwrap_or_default()));
    }

    pub(super) fn judge_later(&self, id: SubmissionId, why: &str) {
        tracing::warn!(%id, why, "judging is put off");
        self.later(Effect::Judge { id });
    }

    fn placed(&mut self, placed: Placed) {
        let id = placed.id;
        // It may have moved on while its file was on the way; then another move is under way.
        let record = match self.ledger.read(id) {
            Ok(record) => record,
            Err(error) => return self.try_again(&error, Effect::Place { id }),
        };
        if record.is_some_and(|record| record.stage.place() == placed.place) {
            self.write_lazily(id, |record| record.settled = true);
            self.step(Event::Placed { id });
        }
    }

    pub(super) fn write_lazily(&mut self, id: SubmissionId, edit: impl FnOnce(&mut Submission)) {
        match self.ledger.edit(id, edit) {
            Ok(Some(record)) => {
                let write = vec![Write::Submission(Box::new(record.clone()))];
                let signals = self.signals.clone();
                // Until then the ledger keeps the record: the store's is older.
                let done = move || signals.send(Signal::Flushed { id, then: Vec::new() }).unwrap_or_default();
                self.writer.commit_lazily_then(write, Box::new(done));
            }
            Ok(None) => {}
            Err(error) => tracing::warn!(%id, %error, "a record could not be read"),
        }
    }

    fn note(&mut self, channel: ChannelName, notice: Notice) {
        match &notice {
            Notice::Overlooked { path, reason } => {
                let name = self.hash_key.name(path);
                tracing::warn!(%channel, %name, reason = ?reason, "a file is left in the inbox");
            }
            Notice::InboxGone { why } => tracing::error!(%channel, why, "the inbox cannot be read"),
            Notice::InboxBack => tracing::info!(%channel, "the inbox can be read again"),
            Notice::DiskFull => tracing::error!(%channel, "the disk is full: nothing is claimed, sending goes on"),
            Notice::DiskFree => tracing::info!(%channel, "there is room on the disk again"),
            Notice::EventsMissing { why } => tracing::warn!(%channel, why, "no file events: the inbox is polled"),
        }
        tell::of_notice(&channel, &notice).into_iter().for_each(|news| self.bell.ring(news));
        let notices = self.notices.entry(channel).or_default();
        if notices.len() >= NOTICES_KEPT {
            notices.remove(0);
        }
        notices.push(notice);
    }
}
