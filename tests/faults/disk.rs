//! Disks: each step that can fail fails for a while, by order; then everything goes on by itself, and what arrived
//! is taken once. And what needs no order: folders that are removed, closed and given back while the daemon runs.

use super::stand::{Stand, names, program, sample};
use serde_json::Value;
use std::{fs, os::unix::fs::PermissionsExt, path::Path, process::Stdio};

fn bytes(number: usize) -> Vec<u8> {
    [sample("valid/weight-batch.json"), vec![b' '; number]].concat()
}

fn linked() -> Stand {
    let stand = Stand::by_folder();
    let person = stand.person(&["clinic"]);
    stand.link_folder("alex", &person.accounts[0].reference);
    stand
}

/// Whether that many are known and all are over; a store that does not answer at the moment says no.
fn all_delivered(stand: &Stand, count: usize) -> bool {
    let output = stand.run(&["--json", "queue", "ls", "ALL"]);
    let text = String::from_utf8(output.stdout).unwrap();
    let is_over = |line: &str| {
        let record: Value = serde_json::from_str(line).unwrap();
        record["submission"]["stage"]["stage"] == "delivered" && record["submission"]["settled"] == true
    };
    output.status.success() && text.lines().count() == count && text.lines().all(is_over)
}

/// Each file was taken once, and stands in `done/` with its reports; nothing else is anywhere.
fn judge(stand: &Stand, count: usize) {
    for number in 0..count {
        assert_eq!(stand.received(&bytes(number)).len(), 1, "file {number}");
    }
    let channel = stand.path("channels/clinic");
    assert_eq!(names(&channel.join("done")).len(), 3 * count, "{:?}", names(&channel.join("done")));
    for folder in ["work", "failed", "held", "duplicates"] {
        assert!(names(&channel.join(folder)).is_empty(), "{folder}: {:?}", names(&channel.join(folder)));
    }
    stand.wait("the inbox is empty", || names(&stand.path("inbox/alex")).is_empty());
}

/// The steps that may fail, and how often they do before they work again.
const STEPS: [(&str, u32); 9] = [
    ("claim.write", 1),
    ("claim.sync", 1),
    ("journal.append", 3),
    ("store.apply", 3),
    ("journal.sync", 3),
    ("store.flush", 3),
    ("settle.move", 2),
    ("settle.report", 2),
    ("settle.sync", 2),
];

#[test]
fn each_step_that_fails_for_a_while_goes_on_by_itself() {
    if !cfg!(feature = "faults") {
        println!("disk: SKIPPED the steps that fail by order: this build has no faults (cargo test --features faults)");
        return;
    }
    let mut stand = linked();
    let (mut files, mut failures) = (0, 0);
    for (step, times) in STEPS {
        for error in ["enospc", "eio"] {
            fs::write(stand.path("orders"), format!("{step} {error} 2 {}\n", 1 + times)).unwrap();
            stand.spawn_daemon(&[("PUSHBRIDGE_FAULT_ORDERS", stand.path("orders"))]);
            for _ in 0..3 {
                stand.drop_file(&format!("alex/{files}.json"), &bytes(files));
                files += 1;
            }
            stand.wait(&format!("all are delivered though {step} had {error}"), || all_delivered(&stand, files));
            assert_eq!(stand.stop_daemon(), Some(0), "{step} {error}");
            failures += times;
        }
    }
    judge(&stand, files);
    println!("disk: {failures} failures at {} steps; {files} files, all taken once", STEPS.len());
}

#[test]
fn a_decision_is_said_to_be_done_when_it_is_on_the_disk() {
    if !cfg!(feature = "faults") {
        println!(
            "disk: SKIPPED a decision before a power cut: this build has no faults (cargo test --features faults)"
        );
        return;
    }
    let mut stand = Stand::by_folder();
    stand.spawn_daemon(&[("PUSHBRIDGE_FAULT_ORDERS", stand.path("orders"))]);
    stand.drop_file("alex/0.json", &bytes(0));
    stand.wait_for_stage("alex/0.json", "held");
    // From now on nothing reaches the disk, and then there is no power.
    fs::write(stand.path("orders"), "journal.append eio 1 1000000\n").unwrap();
    let config = stand.path("pushbridge.toml");
    let drop = ["queue", "drop", "0.json"];
    let mut command = program().arg("--config").arg(config).args(drop).stdout(Stdio::null()).spawn().unwrap();
    let audit = || fs::read_to_string(stand.path("state/audit.jsonl")).unwrap_or_default();
    stand.wait("it is asked for", || audit().contains("queue drop"));
    stand.wait("the store fails", || stand.log().contains("the store fails"));
    stand.kill_daemon();
    assert!(!command.wait().unwrap().success(), "nobody said that it was done");
    fs::remove_file(stand.path("orders")).unwrap();
    assert_eq!(stand.stage("alex/0.json"), "held");
    let entries = stand.ok(&["--json", "audit"]);
    let entry: Value = serde_json::from_str(entries.lines().last().unwrap()).unwrap();
    assert_eq!((&entry["command"], &entry["done"]), (&"queue drop".into(), &Value::Null));
    stand.ok(&drop);
    assert_eq!(stand.stage("alex/0.json"), "dropped");
}

fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn an_inbox_that_is_closed_or_gone_for_a_while_loses_nothing() {
    let mut stand = linked();
    stand.start_daemon();
    let inbox = stand.path("inbox");
    stand.drop_file("alex/0.json", &bytes(0));
    stand.wait("the first is delivered", || all_delivered(&stand, 1));
    // The share goes away, gets files meanwhile, and comes back.
    let away = stand.path("away");
    fs::rename(&inbox, &away).unwrap();
    stand.wait("it is missed", || stand.ok(&["status"]).contains("the inbox cannot be read"));
    fs::write(away.join("alex/1.json"), bytes(1)).unwrap();
    fs::rename(&away, &inbox).unwrap();
    stand.wait("what lay on it is delivered", || all_delivered(&stand, 2));
    if rustix::process::geteuid().is_root() {
        println!("disk: SKIPPED a folder without permissions: root may do everything");
    } else {
        mode(&inbox, 0o000);
        stand.wait("it is missed", || stand.ok(&["status"]).contains("the inbox cannot be read"));
        mode(&inbox, 0o700);
    }
    stand.drop_file("alex/2.json", &bytes(2));
    stand.wait("all are delivered", || all_delivered(&stand, 3));
    judge(&stand, 3);
    assert_eq!(stand.stop_daemon(), Some(0));
}

#[test]
fn our_own_folders_may_be_removed_and_made_again() {
    let mut stand = linked();
    stand.start_daemon();
    stand.drop_file("alex/0.json", &bytes(0));
    stand.wait("the first is delivered", || all_delivered(&stand, 1));
    let done = stand.path("channels/clinic/done");
    fs::rename(&done, stand.path("taken")).unwrap();
    stand.drop_file("alex/1.json", &bytes(1));
    stand.wait("the API has the second", || stand.received(&bytes(1)).len() == 1);
    fs::rename(stand.path("taken"), &done).unwrap();
    stand.wait("both are in their place", || all_delivered(&stand, 2));
    judge(&stand, 2);
    assert_eq!(stand.stop_daemon(), Some(0));
}
