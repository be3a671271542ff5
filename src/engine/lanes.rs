//! Order: the Bundles of one account are sent one after another, in the order of their claims.

use super::event::AccountKey;
use crate::model::{Digest, PersonId, Recipient, SubmissionId};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// A lane's number; stands for its account where many are held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct LaneId(u32);

/// One account's queue.
#[derive(Debug)]
pub(super) struct Lane {
    pub(super) account: AccountKey,
    pub(super) person: PersonId,
    /// By rank: what stands first is sent first.
    queue: BTreeSet<(u64, SubmissionId)>,
    /// Unknown ones of channels with `order = "strict"`: nothing passes them.
    pub(super) barred_by: BTreeSet<SubmissionId>,
    /// Why nothing may be sent.
    pub(super) blocked: Option<String>,
    /// One push of it is on its way.
    pub(super) sending: bool,
    /// It stands in its destination's turns, or waits for its person.
    pub(super) queued: bool,
    /// Open submissions by content, so that a repeat is seen.
    contents: BTreeSet<(Digest, SubmissionId)>,
    /// How its Bundles were addressed: few ways, for many Bundles.
    recipients: Vec<Arc<Recipient>>,
}

/// All lanes.
#[derive(Debug, Default)]
pub(super) struct Lanes {
    by_account: BTreeMap<AccountKey, LaneId>,
    lanes: Vec<Lane>,
    /// Why nothing may be sent, also for accounts that have no lane yet.
    blocked: BTreeMap<AccountKey, String>,
}

impl Lanes {
    /// The account's lane, made where it is new.
    pub(super) fn lane(&mut self, account: &AccountKey, person: &PersonId) -> LaneId {
        if let Some(id) = self.by_account.get(account) {
            self.lanes[id.0 as usize].person = person.clone();
            return *id;
        }
        let id = LaneId(u32::try_from(self.lanes.len()).expect("fewer than 2^32 accounts"));
        self.lanes.push(Lane {
            account: account.clone(),
            person: person.clone(),
            queue: BTreeSet::new(),
            barred_by: BTreeSet::new(),
            blocked: self.blocked.get(account).cloned(),
            sending: false,
            queued: false,
            contents: BTreeSet::new(),
            recipients: Vec::new(),
        });
        self.by_account.insert(account.clone(), id);
        id
    }

    pub(super) fn find(&self, account: &AccountKey) -> Option<LaneId> {
        self.by_account.get(account).copied()
    }

    /// Blocks an account or frees it; says why it was blocked before.
    pub(super) fn block(&mut self, account: &AccountKey, why: Option<String>) -> Option<String> {
        if let Some(id) = self.find(account) {
            self.at_mut(id).blocked.clone_from(&why);
        }
        match why {
            Some(why) => self.blocked.insert(account.clone(), why),
            None => self.blocked.remove(account),
        }
    }

    pub(super) fn at(&self, id: LaneId) -> &Lane {
        &self.lanes[id.0 as usize]
    }

    pub(super) fn at_mut(&mut self, id: LaneId) -> &mut Lane {
        &mut self.lanes[id.0 as usize]
    }

    /// Every lane with its number.
    pub(super) fn all(&self) -> impl Iterator<Item = (LaneId, &Lane)> {
        self.lanes.iter().enumerate().map(|(index, lane)| (LaneId(u32::try_from(index).unwrap_or(u32::MAX)), lane))
    }
}

impl Lane {
    pub(super) fn join(&mut self, rank: u64, id: SubmissionId) {
        self.queue.insert((rank, id));
    }

    pub(super) fn leave(&mut self, rank: u64, id: SubmissionId) {
        self.queue.remove(&(rank, id));
    }

    pub(super) fn head(&self) -> Option<SubmissionId> {
        self.queue.first().map(|(_, id)| *id)
    }

    /// The rank behind all that wait.
    pub(super) fn tail(&self, id: SubmissionId) -> u64 {
        self.queue.last().map_or(id.as_u64(), |(rank, _)| (rank + 1).max(id.as_u64()))
    }

    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.queue.len()
    }

    pub(super) fn keep_content(&mut self, digest: Digest, id: SubmissionId) {
        self.contents.insert((digest, id));
    }

    pub(super) fn forget_content(&mut self, digest: Digest, id: SubmissionId) {
        self.contents.remove(&(digest, id));
    }

    /// Other open submissions with the same bytes for this account, earliest first.
    pub(super) fn same_content(&self, digest: Digest, id: SubmissionId) -> impl Iterator<Item = SubmissionId> {
        let all = (digest, SubmissionId::from_u64(0))..=(digest, SubmissionId::from_u64(u64::MAX));
        self.contents.range(all).map(|(_, other)| *other).filter(move |other| *other != id)
    }

    /// The recipient, shared by all that were addressed the same way.
    pub(super) fn shared(&mut self, recipient: &Recipient) -> Arc<Recipient> {
        if let Some(known) = self.recipients.iter().find(|known| ***known == *recipient) {
            return known.clone();
        }
        // The ways are combinations of kinds of evidence; an account that moves to another reference leaves its old ones.
        self.recipients.retain(|known| Arc::strong_count(known) > 1);
        let shared = Arc::new(recipient.clone());
        self.recipients.push(shared.clone());
        shared
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_that_is_blocked_before_its_first_bundle_has_a_blocked_lane() {
        let (mut lanes, person) = (Lanes::default(), "alex".parse().unwrap());
        let account = AccountKey { contract: "main".parse().unwrap(), account: "a-1".parse().unwrap() };
        assert_eq!(lanes.block(&account, Some("511".to_owned())), None);
        let lane = lanes.lane(&account, &person);
        assert_eq!(lanes.at(lane).blocked.as_deref(), Some("511"));
        assert_eq!(lanes.block(&account, None).as_deref(), Some("511"));
        assert_eq!(lanes.at(lane).blocked, None);
    }
}
