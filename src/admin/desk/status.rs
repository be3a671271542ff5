//! What stands where: open submissions, tokens, and what was noticed of the inboxes.

use super::{Desk, text};
use crate::{
    admin::{
        hands::Hands,
        protocol::{ChannelStatus, StageStatus, Status, TokenStatus},
    },
    intake::Notice,
    model::{Person, Submission, Timestamp, TokenState},
};
use std::{collections::btree_map::Entry, time::Duration};

impl<H: Hands> Desk<H> {
    pub(super) async fn status(&self) -> Result<Status, String> {
        let mut status = Status { tokens: self.tokens()?, ..Status::default() };
        for account in self.store.accounts(None).map_err(text)? {
            let why = account.blocked_because().map(|why| format!("{why}; {}", account.remedy()));
            status.blocked.extend(why.map(|why| (account.id, why)));
        }
        let facts = self.hands.status().await;
        status.running = facts.is_some();
        self.count_open(&mut status)?;
        if let Some(facts) = facts {
            status.paused = facts.paused;
            status.profiles = Some(facts.profiles);
            for (channel, notices) in facts.notices {
                status.channels.insert(channel, channel_status(notices));
            }
        }
        Ok(status)
    }

    fn count_open(&self, status: &mut Status) -> Result<(), String> {
        const PAGE: usize = 1_000;
        let mut after = None;
        loop {
            let page = self.store.open_submissions(after, PAGE).map_err(text)?;
            let Some(last) = page.last() else { return Ok(()) };
            after = Some(last.id);
            for record in page.iter().filter(|record| !record.stage.is_final()) {
                count(status.stages.entry(record.stage.as_str().to_owned()), record);
                count(status.pushes.entry(record.push.as_str().to_owned()), record);
                if let Some(recipient) = &record.recipient {
                    count(status.accounts.entry(recipient.reference.to_string()), record);
                }
            }
        }
    }

    pub(super) fn tokens(&self) -> Result<Vec<TokenStatus>, String> {
        let persons = self.store.persons(None).map_err(text)?;
        let now = Timestamp::now();
        Ok(persons.into_iter().map(|person| self.token_status(person, now)).collect())
    }

    fn token_status(&self, person: Person, now: Timestamp) -> TokenStatus {
        let state = match person.state {
            TokenState::Fresh => "fresh",
            TokenState::Rotating => "rotating",
            TokenState::Paused { .. } => "paused",
        };
        let why = person.paused_because().map(str::to_owned);
        let ends_soon = why.is_none() && self.ends_soon(&person, now);
        TokenStatus {
            state: state.to_owned(),
            ends_soon,
            remedy: (why.is_some() || ends_soon).then(|| person.remedy()),
            why,
            access_expiry: person.tokens.access.expiry,
            refresh_expiry: person.tokens.refresh.expiry,
            contract: person.contract,
            person: person.id,
        }
    }

    /// Whether a person's refresh token nears its end.
    pub(in crate::admin) fn ends_soon(&self, person: &Person, now: Timestamp) -> bool {
        let warning = self.schedules.get(&person.contract).map_or(Duration::ZERO, |schedule| schedule.token_warning);
        person.tokens.refresh.expiry.since(now) < warning
    }
}

fn count(entry: Entry<'_, String, StageStatus>, record: &Submission) {
    let counted = entry.or_insert(StageStatus { count: 0, oldest: None });
    counted.count += 1;
    counted.oldest = Some(counted.oldest.map_or(record.claimed_at, |oldest| oldest.min(record.claimed_at)));
}

/// What lasts of the edges that were told.
pub fn channel_status(notices: Vec<Notice>) -> ChannelStatus {
    let mut status = ChannelStatus::default();
    let (mut gone, mut full, mut deaf) = (None, false, None);
    for notice in notices {
        match notice {
            Notice::Overlooked { path, reason } => {
                status.overlooked.retain(|(other, _)| *other != path);
                status.overlooked.push((path, reason));
            }
            Notice::InboxGone { why } => gone = Some(why),
            Notice::InboxBack => gone = None,
            Notice::DiskFull => full = true,
            Notice::DiskFree => full = false,
            Notice::EventsMissing { why } => deaf = Some(why),
        }
    }
    status.troubles.extend(gone.map(|why| format!("the inbox cannot be read: {why}")));
    status.troubles.extend(full.then(|| "the disk is full: nothing is claimed".to_owned()));
    status.troubles.extend(deaf.map(|why| format!("no file events, the inbox is polled: {why}")));
    status
}
