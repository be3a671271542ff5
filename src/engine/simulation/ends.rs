//! The promises at the end of a schedule, and what links said at any time.

use super::{
    cast::cast,
    world::{File, World},
};
use crate::{
    model::{EvidenceKind, HoldReason, LinkValue, Stage, Submission},
    store::{Order, Store},
};

impl World {
    /// What the links say of every file from now on.
    pub(super) fn note_routes(&mut self) {
        self.referee.version += 1;
        self.referee.routes.resize(self.files.len(), Vec::new());
        for number in 0..self.files.len() {
            let File { channel, folder, .. } = self.files[number];
            let (channel, contract) = &cast().channels[channel];
            let value = LinkValue::Clear(folder.to_string());
            let link = self.store.link(channel, EvidenceKind::Folder, &value).unwrap();
            let accounts = link.map(|link| self.store.accounts_by_reference(contract, &link.account).unwrap());
            let to = match accounts.as_deref() {
                Some([account]) => Some((account.id.clone(), account.person.clone())),
                _ => None,
            };
            let version = self.referee.version;
            let routes = &mut self.referee.routes[number];
            if routes.last().is_none_or(|(_, last)| *last != to) {
                routes.push((version, to));
            }
        }
    }

    fn records(&self) -> Vec<Submission> {
        self.store.submissions(Order::OldestFirst, None, usize::MAX).unwrap()
    }

    /// Everything is right and nobody has decided yet: only what waits for a person still waits.
    pub(super) fn judge_rest(&self) {
        for record in self.records() {
            let name = super::trace::id(record.id);
            let rests = match &record.stage {
                Stage::Held(HoldReason::DuplicateOpen { of }) => {
                    let first = self.store.submission(*of).unwrap().unwrap();
                    let to = record.recipient.as_ref().unwrap();
                    !first.stage.is_final() || first.may_be_at(&to.contract, &to.account)
                }
                Stage::Held(reason) => matches!(
                    reason,
                    HoldReason::ByPerson
                        | HoldReason::Expired
                        | HoldReason::Damaged
                        | HoldReason::Poison
                        | HoldReason::UnexpectedAnswer { .. }
                ),
                Stage::Unknown { .. } => true,
                Stage::Ready => self.is_barred(&record),
                stage => stage.is_final(),
            };
            assert!(rests, "{name} is {:?} although everything is right", record.stage);
            assert!(record.settled, "{name} is not settled");
        }
        self.judge_places();
    }

    /// Everything is decided: each file has ended, in one place, and the engine has forgotten it.
    pub(super) fn judge_end(&self) {
        let records = self.records();
        for record in &records {
            assert!(record.stage.is_final(), "{} ends as {:?}", super::trace::id(record.id), record.stage);
        }
        self.judge_places();
        for (account, _, id) in &self.api.taken {
            let record = self.store.submission(*id).unwrap().unwrap();
            let name = super::trace::id(*id);
            assert!(record.may_be_at(&account.contract, &account.account), "{name} does not say where it went");
        }
        for file in 0..self.files.len() {
            let claims = records.iter().filter(|record| self.file_of[&record.id] == file).count();
            assert_eq!(claims, 1, "file {file} has one record");
            assert!(!self.files[file].in_inbox, "file {file} still stands in the inbox");
        }
        assert!(self.shell.engine.counts().is_empty(), "the engine keeps {:?}", self.shell.engine.counts());
        assert_eq!(self.shell.engine.in_flight(), 0, "pushes under way");
    }

    /// In a strict channel nothing passes an Unknown.
    fn is_barred(&self, record: &Submission) -> bool {
        let account = |of: &Submission| of.recipient.as_ref().map(|to| (to.contract.clone(), to.account.clone()));
        self.records().iter().any(|other| {
            let strict = self.rules.channels[&other.channel].order == crate::engine::step::Order::Strict;
            strict && matches!(other.stage, Stage::Unknown { .. }) && account(other) == account(record)
        })
    }

    fn judge_places(&self) {
        for record in self.records() {
            let name = super::trace::id(record.id);
            assert_eq!(self.places[&record.id], record.stage.place(), "the place of {name}");
            let taken = self.api.taken.iter().any(|(.., id)| *id == record.id);
            let delivered = matches!(record.stage, Stage::Delivered { .. });
            assert!(taken || !delivered, "{name} is delivered and the API has it not");
        }
    }
}
