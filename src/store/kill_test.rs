//! What was confirmed survives SIGKILL: this test binary runs itself as a child that commits and tells, and is killed.

use super::{
    Order, SledStore, Store, Write, Writer, is_open,
    model_test::{sealer, submission},
};
use crate::model::{Stage, Submission, SubmissionId};
use std::{
    collections::BTreeMap,
    env,
    io::{BufRead, BufReader, Write as _},
    path::PathBuf,
    process::{Command, Stdio},
    sync::Arc,
    thread,
    time::Duration,
};

const FOLDER: &str = "PUSHBRIDGE_STORE_KILL_TEST";
const KILLS: u64 = 12;

/// In a child, commits without end and tells of each one that is done; otherwise nothing.
#[test]
fn child_that_is_killed() {
    let Some(folder) = env::var_os(FOLDER).map(PathBuf::from) else { return };
    let store = Arc::new(SledStore::open(&folder, sealer(1)).unwrap());
    let first = store.last_submission_id().unwrap().map_or(1, |id| id.as_u64() + 1);
    let for_writer: Arc<dyn Store> = Arc::<SledStore>::clone(&store);
    let writer = Writer::start(for_writer, |trouble| panic!("{trouble:?}")).unwrap();
    for number in first.. {
        for step in [1, 2] {
            let claim = submission(number);
            let settled = Submission { stage: Stage::Dropped, settled: true, source_pending: false, ..claim.clone() };
            let state = if step == 1 { claim } else { settled };
            let tell = move || writeln!(std::io::stdout(), "done {number} {step}").unwrap();
            writer.commit(vec![Write::Submission(Box::new(state))], Box::new(tell));
        }
        if number % 16 == 0 {
            // so that the queue does not grow without end
            thread::sleep(Duration::from_millis(2));
        }
    }
}

#[test]
fn what_was_confirmed_survives_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let mut confirmed: BTreeMap<u64, u8> = BTreeMap::new();
    for round in 0..KILLS {
        let mut child = Command::new(env::current_exe().unwrap())
            .args(["--exact", "store::kill_test::child_that_is_killed", "--nocapture"])
            .env(FOLDER, folder.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let before = confirmed.len();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        for line in lines.by_ref().take(50 + 37 * usize::try_from(round).unwrap()) {
            note(&line.unwrap(), &mut confirmed);
        }
        child.kill().unwrap();
        // what it told before it died counts as well; its last line may be cut
        let rest: Vec<String> = lines.map_while(Result::ok).collect();
        rest.iter().for_each(|line| note(line, &mut confirmed));
        child.wait().unwrap();
        assert!(confirmed.len() > before, "the child confirmed nothing");

        let store = SledStore::open(folder.path(), sealer(1)).unwrap();
        for (number, step) in &confirmed {
            let found = store.submission(SubmissionId::from_u64(*number)).unwrap();
            let found = found.unwrap_or_else(|| panic!("submission {number} is lost"));
            assert!(*step == 1 || found.settled, "the second state of {number} is lost");
        }
        let all = store.submissions(Order::OldestFirst, None, usize::MAX).unwrap();
        let open = store.open_submissions(None, usize::MAX).unwrap();
        assert!(open.iter().eq(all.iter().filter(|found| is_open(found))), "the index of open ones is torn");
        for residue in 1..=5 {
            let digest = submission(residue).digest;
            let with_digest: Vec<_> = all.iter().filter(|found| found.digest == digest).map(|found| found.id).collect();
            assert_eq!(store.by_digest(&digest).unwrap(), with_digest, "the index of digests is torn");
        }
    }
}

fn note(line: &str, confirmed: &mut BTreeMap<u64, u8>) {
    let Some((number, step)) = line.split_once("done ").and_then(|(_, rest)| rest.split_once(' ')) else { return };
    if let (Ok(number), Ok(step)) = (number.parse(), step.parse()) {
        confirmed.insert(number, step);
    }
}
