//! Retention carried out: which files have had their time, and their end.
//!
//! The files are what is gone through, not the records; a file whose record is not known, or names it otherwise, is
//! not touched. A record is marked, and the mark is on the disk, before its file goes: nobody can release what is
//! being removed, and a crash in between only leaves the file to the next time.

use super::{desk::Desk, hands::Hands};
use crate::{
    intake::Spool,
    model::{ChannelName, Place, Retention, Submission, SubmissionId, Timestamp},
    store::Store,
};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// What one look did, or would do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pruned {
    /// Whether nothing was removed because only a look was asked for.
    pub dry_run: bool,
    /// For each channel and folder.
    pub places: Vec<PrunedPlace>,
    /// What could not be done, for people.
    pub troubles: Vec<String>,
}

/// One folder of one channel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PrunedPlace {
    /// The channel.
    pub channel: ChannelName,
    /// The folder.
    pub place: Place,
    /// Submissions whose files and reports went.
    pub removed: u64,
    /// Bytes on the disk that became free.
    pub freed: u64,
    /// Submissions whose files stay.
    pub kept: u64,
    /// Bytes on the disk that they take.
    pub kept_bytes: u64,
}

impl Pruned {
    /// Submissions whose files went, and the bytes that became free.
    pub fn totals(&self) -> (u64, u64) {
        (self.places.iter().map(|place| place.removed).sum(), self.places.iter().map(|place| place.freed).sum())
    }
}

/// Marked together, with one flush.
const BATCH: usize = 256;

impl<H: Hands> Desk<H> {
    /// Removes the files that have had their time at that moment, or only says which these are.
    pub async fn prune(&self, now: Timestamp, dry_run: bool) -> Pruned {
        let mut pruned = Pruned { dry_run, ..Pruned::default() };
        for (channel, spool) in &self.spools {
            for place in Retention::PLACES {
                let (store, spool, retention) = (self.store.clone(), spool.clone(), self.retention);
                let name = channel.clone();
                let planning = spool.clone();
                let planned =
                    tokio::task::spawn_blocking(move || plan(&*store, &planning, &name, place, retention, now));
                let plan = match planned.await.map_err(|error| error.to_string()).and_then(|planned| planned) {
                    Ok(plan) => plan,
                    Err(why) => {
                        pruned.troubles.push(format!("channel {channel}, {}/: {why}", place.folder()));
                        continue;
                    }
                };
                let mut done = PrunedPlace {
                    channel: channel.clone(),
                    place,
                    removed: 0,
                    freed: 0,
                    kept: plan.submissions,
                    kept_bytes: plan.bytes,
                };
                let doomed: Vec<_> = plan.doomed.into_iter().collect();
                for batch in doomed.chunks(BATCH) {
                    let (removed, freed) = if dry_run {
                        (batch.len() as u64, batch.iter().map(|(_, bytes)| bytes).sum())
                    } else {
                        match self.remove(&spool, place, batch).await {
                            Ok(outcome) => outcome,
                            Err(why) => {
                                pruned.troubles.push(format!("channel {channel}, {}/: {why}", place.folder()));
                                break;
                            }
                        }
                    };
                    done.removed += removed;
                    done.freed += freed;
                }
                done.kept = done.kept.saturating_sub(done.removed);
                done.kept_bytes = done.kept_bytes.saturating_sub(done.freed);
                pruned.places.push(done);
            }
        }
        pruned
    }

    /// Marks them, and removes those that could be marked.
    async fn remove(&self, spool: &Spool, place: Place, batch: &[(SubmissionId, u64)]) -> Result<(u64, u64), String> {
        let marked = self.hands.retire(batch.iter().map(|(id, _)| *id).collect()).await?;
        let (store, spool) = (self.store.clone(), spool.clone());
        let removed = tokio::task::spawn_blocking(move || {
            let (mut removed, mut freed) = (0, 0);
            for id in marked {
                let record = store.submission(id).map_err(|error| error.to_string())?;
                let Some(record) = record.filter(|record| record.pruned.is_some()) else { continue };
                let gone = spool.remove_kept(place, &record).map_err(|error| error.kind().to_string())?;
                if let Some(bytes) = gone {
                    removed += 1;
                    freed += bytes;
                }
            }
            Ok((removed, freed))
        });
        removed.await.map_err(|error| error.to_string()).and_then(|removed| removed)
    }
}

#[derive(Default)]
struct Plan {
    doomed: BTreeMap<SubmissionId, u64>,
    submissions: u64,
    bytes: u64,
}

fn plan(
    store: &dyn Store,
    spool: &Spool,
    channel: &ChannelName,
    place: Place,
    retention: Retention,
    now: Timestamp,
) -> Result<Plan, String> {
    let kept = spool.kept(place).map_err(|error| error.kind().to_string())?;
    let mut plan = Plan { submissions: kept.len() as u64, bytes: kept.values().sum(), ..Plan::default() };
    // An id tells when its file was claimed, and nothing has ended before: the young ones need no look at their records.
    let old = |least| kept.iter().take_while(move |(id, _)| now.since(id.claimed_at()) >= least);
    let record = |id: SubmissionId| -> Result<Option<Submission>, String> {
        let record = store.submission(id).map_err(|error| error.to_string())?;
        Ok(record.filter(|record| record.channel == *channel && record.stage.place() == place))
    };
    if let Some(least) = retention.least(place) {
        for (id, bytes) in old(least) {
            if record(*id)?.is_some_and(|record| retention.is_over(&record, now)) {
                plan.doomed.insert(*id, *bytes);
            }
        }
    }
    if let Some(most) = retention.done_size.filter(|_| place == Place::Done) {
        let mut rest = plan.bytes - plan.doomed.values().sum::<u64>();
        for (id, bytes) in old(Retention::LEAST) {
            if rest <= most {
                break;
            }
            if !plan.doomed.contains_key(id)
                && record(*id)?.is_some_and(|record| Retention::may_make_room(&record, now))
            {
                plan.doomed.insert(*id, *bytes);
                rest = rest.saturating_sub(*bytes);
            }
        }
    }
    Ok(plan)
}

/// Marks records whose files are about to go; the ids of those that may.
pub(super) fn retire(store: &Arc<dyn Store>, ids: &BTreeSet<SubmissionId>) -> Result<Vec<SubmissionId>, String> {
    let now = Timestamp::now();
    let (mut writes, mut marked) = (Vec::new(), Vec::new());
    for id in ids {
        let record = store.submission(*id).map_err(|error| error.to_string())?;
        if let Some(record) = record.filter(Retention::may_go) {
            marked.push(*id);
            let pruned = record.pruned.or(Some(now));
            writes.push(crate::store::Write::Submission(Box::new(Submission { pruned, ..record })));
        }
    }
    store.commit(&writes).map_err(|error| error.to_string())?;
    Ok(marked)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        admin::{Audit, Offline},
        intake::tests::submission,
        model::{Digest, HashKey, HoldReason, Receipt, Sealer, Stage},
        store::{Write, memory::MemoryStore},
    };
    use std::{fs, path::Path, time::Duration};

    const DAY: u64 = 86_400;

    fn days(days: u64) -> Duration {
        Duration::from_secs(days * DAY)
    }

    fn now() -> Timestamp {
        Timestamp::from_seconds(2_000_000_000)
    }

    fn ago(days: u64) -> Timestamp {
        Timestamp::from_seconds(2_000_000_000 - i64::try_from(days * DAY).unwrap())
    }

    fn receipt(rejected_entries: u32) -> Receipt {
        Receipt { at: ago(0), status: 200, reference: None, body: Digest::of(b""), rejected_entries }
    }

    struct Scene {
        _folder: tempfile::TempDir,
        spool: Spool,
        store: Arc<MemoryStore>,
        desk: Desk<Offline>,
    }

    fn scene(retention: Retention) -> Scene {
        let folder = tempfile::tempdir().unwrap();
        let spool = Spool::open(&folder.path().join("own")).unwrap();
        let store = Arc::new(MemoryStore::default());
        let desk = Desk {
            store: store.clone(),
            hash_key: Arc::new(HashKey::new([7; 32])),
            sealer: Arc::new(Sealer::from_text(Sealer::new_key().expose()).unwrap()),
            spools: BTreeMap::from([("clinic".parse().unwrap(), spool.clone())]),
            clients: BTreeMap::new(),
            unusable: BTreeMap::new(),
            schedules: BTreeMap::new(),
            audit: Audit::new(folder.path()),
            retention,
            hands: Offline { store: store.clone() },
        };
        Scene { _folder: folder, spool, store, desk }
    }

    impl Scene {
        /// A file of this stage that ended so many days ago, with what it takes on the disk.
        fn put(&self, name: &str, age: u64, stage: Stage) -> Submission {
            let number = (u64::try_from(ago(age).as_millis()).unwrap() << 16) + u64::from(name.as_bytes()[0]);
            let record = Submission {
                id: SubmissionId::from_u64(number),
                stage,
                since: ago(age),
                claimed_at: ago(age),
                ..submission(name)
            };
            let path = self.spool.path(record.stage.place(), &record);
            fs::write(&path, vec![b'x'; 8_000]).unwrap();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            if record.stage.place() != Place::Work {
                fs::write(path.with_file_name(format!("{name}.report.json")), "{}").unwrap();
                fs::write(path.with_file_name(format!("{name}.report.txt")), "text").unwrap();
            }
            self.store.commit(&[Write::Submission(Box::new(record.clone()))]).unwrap();
            record
        }

        fn is_there(&self, record: &Submission) -> bool {
            let path = self.spool.path(record.stage.place(), record);
            let report = self.spool.report_path(record).is_some_and(|path| path.exists());
            assert!(record.stage.place() == Place::Work || report == path.exists(), "file and report go together");
            path.exists()
        }

        async fn prune(&self) -> (u64, u64) {
            let dry = self.desk.prune(now(), true).await;
            let pruned = self.desk.prune(now(), false).await;
            assert!(pruned.troubles.is_empty(), "{:?}", pruned.troubles);
            assert_eq!(dry.places, pruned.places, "a dry run says what happens");
            assert_eq!(self.desk.prune(now(), false).await.totals(), (0, 0), "once is enough");
            pruned.totals()
        }
    }

    fn count(folder: &Path) -> usize {
        fs::read_dir(folder).unwrap().count()
    }

    #[tokio::test]
    async fn each_outcome_has_its_time_and_what_is_open_has_none() {
        let least = Some(Duration::ZERO);
        let scene = scene(Retention { done: least, done_size: None, failed: Some(days(30)), duplicates: least });
        let of = SubmissionId::from_u64(1);
        let refused = || Stage::Refused { why: "wrong".to_owned() };
        let go = [
            scene.put("a", 1, Stage::Delivered { receipt: receipt(0) }),
            scene.put("b", 14, Stage::Duplicate { of, receipt: receipt(0) }),
            scene.put("c", 30, refused()),
            scene.put("d", 31, Stage::Dropped),
            scene.put("e", 30, Stage::Delivered { receipt: receipt(2) }),
        ];
        let stay = [
            scene.put("f", 0, Stage::Delivered { receipt: receipt(0) }),
            scene.put("g", 13, Stage::Duplicate { of, receipt: receipt(0) }),
            scene.put("h", 29, refused()),
            scene.put("i", 29, Stage::Delivered { receipt: receipt(2) }),
            scene.put("j", 4_000, Stage::Held(HoldReason::NoEvidence)),
            scene.put("k", 4_000, Stage::Unknown { attempt: 1 }),
            scene.put("l", 4_000, Stage::Ready),
            scene.put("m", 4_000, Stage::Waiting { attempt: 1, until: ago(0) }),
        ];
        let unsettled = scene.put("n", 4_000, Stage::Delivered { receipt: receipt(0) });
        let pending = scene.put("o", 4_000, Stage::Delivered { receipt: receipt(0) });
        for record in
            [Submission { settled: false, ..unsettled.clone() }, Submission { source_pending: true, ..pending.clone() }]
        {
            scene.store.commit(&[Write::Submission(Box::new(record))]).unwrap();
        }
        let done = scene.spool.root().join("done");
        fs::write(done.join("notes.txt"), "somebody's").unwrap();
        fs::write(done.join("0000000000001-unknown.json"), "no record").unwrap();
        let (removed, freed) = scene.prune().await;
        assert_eq!(removed, 5);
        assert!(freed >= 5 * 8_000, "{freed}");
        assert!(go.iter().all(|record| !scene.is_there(record)));
        assert!(stay.iter().chain([&unsettled, &pending]).all(|record| scene.is_there(record)));
        assert!(done.join("notes.txt").exists() && done.join("0000000000001-unknown.json").exists());
        for record in &go {
            let kept = scene.store.submission(record.id).unwrap().unwrap();
            assert!(kept.pruned.is_some(), "the record stays");
            let refused = scene.desk.hands.decide(&[record.id], crate::engine::Verb::ForceRelease).await;
            assert_eq!(refused, [Err("retention removed its file; drop the file in again".to_owned())]);
        }
    }

    #[tokio::test]
    async fn size_takes_the_oldest_deliveries_alone_and_none_of_today() {
        let year = Some(days(365));
        let scene = scene(Retention { done: year, done_size: Some(0), failed: year, duplicates: year });
        let delivered = || Stage::Delivered { receipt: receipt(0) };
        let old = [scene.put("a", 9, delivered()), scene.put("b", 1, delivered())];
        let stay = [
            scene.put("c", 0, delivered()),
            scene.put("d", 20, Stage::Delivered { receipt: receipt(1) }),
            scene.put("e", 20, Stage::Dropped),
            scene.put("f", 20, Stage::Duplicate { of: old[0].id, receipt: receipt(0) }),
        ];
        assert_eq!(scene.prune().await.0, 2);
        assert!(old.iter().all(|record| !scene.is_there(record)) && stay.iter().all(|record| scene.is_there(record)));
    }

    #[tokio::test]
    async fn only_as_many_go_as_make_room_and_never_is_never() {
        let kept = scene(Retention { done: None, done_size: None, failed: None, duplicates: None });
        kept.put("a", 4_000, Stage::Dropped);
        assert_eq!(kept.prune().await, (0, 0));
        let scene = scene(Retention { done_size: Some(u64::MAX), ..Retention::default() });
        let records: Vec<_> = (0..4)
            .map(|number| scene.put(&number.to_string(), 9 - number, Stage::Delivered { receipt: receipt(0) }))
            .collect();
        let bytes = scene.spool.kept(Place::Done).unwrap().values().sum::<u64>();
        let desk = Desk { retention: Retention { done_size: Some(bytes / 2), ..Retention::default() }, ..scene.desk };
        let scene = Scene { desk, ..scene };
        assert_eq!(scene.prune().await.0, 2);
        assert_eq!(records.iter().map(|record| scene.is_there(record)).collect::<Vec<_>>(), [false, false, true, true]);
    }

    #[tokio::test]
    async fn a_link_in_place_of_a_file_stays_and_so_does_what_it_names() {
        let scene = scene(Retention { done: Some(days(1)), ..Retention::default() });
        let record = scene.put("a", 9, Stage::Delivered { receipt: receipt(0) });
        let path = scene.spool.path(Place::Done, &record);
        let outside = scene.spool.root().join("outside");
        fs::rename(&path, &outside).unwrap();
        std::os::unix::fs::symlink(&outside, &path).unwrap();
        scene.desk.prune(now(), false).await;
        assert!(outside.exists() && path.symlink_metadata().unwrap().is_symlink());
        assert_eq!(count(path.parent().unwrap()), 1, "its reports are gone");
    }
}
