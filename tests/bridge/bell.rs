//! The bell alone: edges, gathering, what it remembers, and how it runs a command. These start processes, and a process
//! that is being started holds the locks of the one that starts it for a moment: so they are not among the unit tests.

use pushbridge::{
    alert::{Bell, Kind, News, Outlet, Quiet, Settings},
    model::{ChannelName, SubmissionId},
};
use serde_json::Value;
use std::{fs, path::Path, time::Duration};

fn channel() -> ChannelName {
    "clinic".parse().unwrap()
}

/// A bell with one outlet, a command that appends to `told`.
fn bell(folder: &Path, quiet: Option<Quiet>) -> Bell {
    let script = "cat >> told".to_owned();
    let argv = vec!["sh".to_owned(), "-c".to_owned(), script];
    Bell::start(Settings {
        outlets: vec![Outlet::Command { argv, folder: folder.to_owned(), limit: Duration::from_secs(20) }],
        gather: Duration::from_secs(3_600),
        state: folder.to_owned(),
        quiet: quiet.into_iter().map(|quiet| (channel(), quiet)).collect(),
    })
}

/// Kinds and counts.
fn told(folder: &Path) -> Vec<(String, u64)> {
    let text = fs::read_to_string(folder.join("told")).unwrap_or_default();
    let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.map(|alert| (alert["alert"].as_str().unwrap().to_owned(), alert["count"].as_u64().unwrap())).collect()
}

const LIMIT: Duration = Duration::from_secs(60);

#[tokio::test]
async fn edges_are_told_once_also_across_restarts_and_many_are_counted() {
    let folder = tempfile::tempdir().unwrap();
    let first = bell(folder.path(), None);
    first.ring(News::in_channel(Kind::DiskFree, &channel()));
    for _ in 0..3 {
        first.ring(News::in_channel(Kind::DiskFull, &channel()));
    }
    for number in 0..70 {
        let submission = Some(SubmissionId::from_u64(number));
        first.ring(News { submission, ..News::in_channel(Kind::Held, &channel()) });
    }
    first.close(LIMIT).await;
    let wanted = [("disk-full".to_owned(), 1), ("held".to_owned(), 70)];
    assert_eq!(told(folder.path()), wanted, "an end without a beginning is none");
    let alerts: Vec<Value> = fs::read_to_string(folder.path().join("told"))
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(alerts[1]["items"].as_array().unwrap().len(), 20);

    let second = bell(folder.path(), None);
    second.ring(News::in_channel(Kind::DiskFull, &channel()));
    second.ring(News::in_channel(Kind::DiskFree, &channel()));
    second.close(LIMIT).await;
    assert_eq!(told(folder.path())[2..], [("disk-free".to_owned(), 1)]);
    let third = bell(folder.path(), None);
    third.ring(News::in_channel(Kind::DiskFull, &channel()));
    third.close(LIMIT).await;
    assert_eq!(told(folder.path())[3..], [("disk-full".to_owned(), 1)]);
}

#[tokio::test]
async fn a_channel_without_files_is_told_once_and_again_when_files_come() {
    let folder = tempfile::tempdir().unwrap();
    let limit = Duration::from_secs(3_600);
    let bell = bell(folder.path(), Some(Quiet { limit, since: limit }));
    // The task that looks runs while this waits for the file that it keeps.
    while !folder.path().join("alerts.json").exists() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    bell.file_came(&channel());
    bell.file_came(&channel());
    bell.close(LIMIT).await;
    assert_eq!(told(folder.path()), [("no-files".to_owned(), 1), ("files-again".to_owned(), 1)]);
}

#[tokio::test]
async fn a_command_is_killed_in_time_and_sees_no_keys() {
    let folder = tempfile::tempdir().unwrap();
    let outlet = |script: &str, limit| Outlet::Command {
        argv: ["sh", "-c", script].map(str::to_owned).to_vec(),
        folder: folder.path().to_owned(),
        limit,
    };
    let hangs = outlet("exec sleep 600", Duration::from_millis(50)).test().await;
    assert_eq!(hangs.unwrap_err(), "it did not end in time and was killed");
    let fails = outlet("exit 3", LIMIT).test().await;
    assert!(fails.unwrap_err().contains('3'));
    assert_eq!(outlet("env > environment", LIMIT).test().await, Ok(()));
    // Cargo sets it for every test.
    assert!(std::env::var_os("CARGO_MANIFEST_DIR").is_some());
    let environment = fs::read_to_string(folder.path().join("environment")).unwrap();
    assert!(environment.contains("PATH=") && !environment.contains("CARGO_MANIFEST_DIR"), "{environment}");
}
