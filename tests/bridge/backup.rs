//! Backups: sealed and whole; a restored copy sends nothing twice and spends no token twice.

use super::stand::{Stand, names, sample};
use std::{fs, os::unix::fs::PermissionsExt};

fn linked() -> Stand {
    let stand = Stand::by_folder();
    let person = stand.person(&["clinic"]);
    stand.link_folder("alex", &person.accounts[0].reference);
    stand
}

/// The accountReference of the only account.
fn reference(stand: &Stand) -> String {
    let accounts = stand.ok(&["--json", "accounts", "ls"]);
    let account: serde_json::Value = serde_json::from_str(accounts.lines().next().unwrap()).unwrap();
    account["reference"].as_str().unwrap().to_owned()
}

#[test]
fn a_restored_copy_pushes_nothing_until_somebody_confirms_and_nothing_twice() {
    let mut stand = linked();
    let (first, second) = (sample("valid/weight-batch.json"), sample("valid/glucose-batch.json"));
    stand.drop_file("alex/first.json", &first);
    assert_eq!(stand.once(), 0);
    stand.drop_file("nobody/second.json", &second);
    assert_eq!(stand.once(), 1, "it is held");
    let backup = stand.path("backup.sealed");
    stand.ok(&["store", "backup", backup.to_str().unwrap()]);
    let text = fs::read_to_string(&backup).unwrap();
    assert!(!text.contains("token-") && !text.contains("nobody"), "nothing is in clear");
    // After the backup the held one goes.
    stand.link_folder("nobody", &reference(&stand));
    assert_eq!(stand.once(), 0);
    assert_eq!(stand.received(&second).len(), 1);

    // The disk is lost; the sealing key was kept elsewhere.
    let key = fs::read(stand.path("state/secrets.key")).unwrap();
    fs::remove_dir_all(stand.path("state")).unwrap();
    fs::create_dir(stand.path("state")).unwrap();
    let without_key = stand.run(&["store", "restore", backup.to_str().unwrap()]);
    assert_eq!(without_key.status.code(), Some(3));
    assert!(String::from_utf8(without_key.stderr).unwrap().contains("sealed under key"));
    fs::remove_dir_all(stand.path("state")).unwrap();
    fs::create_dir(stand.path("state")).unwrap();
    fs::write(stand.path("state/secrets.key"), key).unwrap();
    fs::set_permissions(stand.path("state/secrets.key"), fs::Permissions::from_mode(0o600)).unwrap();
    stand.ok(&["store", "restore", backup.to_str().unwrap()]);

    let refused = stand.run(&["run", "--once"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8(refused.stderr).unwrap().contains("pushbridge store confirm"));
    stand.ok(&["store", "confirm"]);
    stand.drop_file("alex/again.json", &first);
    stand.start_daemon();
    stand.wait_for_stage("alex/again.json", "duplicate");
    assert_eq!(stand.stage("nobody/second.json"), "unknown", "it was held then, and may have gone since");
    assert_eq!((stand.received(&first).len(), stand.received(&second).len()), (1, 1));
    assert_eq!(stand.stop_daemon(), Some(0));
}

#[test]
fn a_store_that_moves_goes_on_elsewhere_and_is_retired_here() {
    let stand = linked();
    stand.drop_file("nobody/held.json", &sample("valid/weight-batch.json"));
    assert_eq!(stand.once(), 1);
    let moving = stand.path("moving.sealed");
    stand.ok(&["store", "backup", "--move", moving.to_str().unwrap()]);
    let retired = stand.run(&["run", "--once"]);
    assert_eq!(retired.status.code(), Some(3));
    assert!(String::from_utf8(retired.stderr).unwrap().contains("moved to another machine"));

    // The other machine: the same folders and keys, a state of its own.
    fs::rename(stand.path("state"), stand.path("old")).unwrap();
    fs::create_dir(stand.path("state")).unwrap();
    fs::rename(stand.path("old/secrets.key"), stand.path("state/secrets.key")).unwrap();
    stand.ok(&["store", "restore", moving.to_str().unwrap()]);
    assert_eq!(stand.stage("nobody/held.json"), "held", "nothing is in doubt");
    stand.link_folder("nobody", &reference(&stand));
    assert_eq!(stand.once(), 0);
    assert_eq!(names(&stand.path("channels/clinic/done")).len(), 3);
}

#[test]
fn a_backup_is_made_while_the_daemon_works_and_is_whole() {
    let mut stand = linked();
    stand.start_daemon();
    let text = String::from_utf8(sample("valid/weight-batch.json")).unwrap();
    let files: Vec<_> = (0..60).map(|number| text.replace("72.50", &format!("72.{number}")).into_bytes()).collect();
    assert!(files[0] != files[1], "each is another Bundle");
    for (number, file) in files.iter().enumerate() {
        stand.drop_file(&format!("alex/{number}.json"), file);
    }
    stand.wait("the first delivery", || !stand.received(&files[0]).is_empty());
    let backup = stand.path("backup.sealed");
    stand.ok(&["store", "backup", backup.to_str().unwrap()]);
    let bytes = fs::read(&backup).unwrap();
    assert_eq!(fs::metadata(&backup).unwrap().permissions().mode() & 0o777, 0o600);
    let again = stand.run(&["store", "backup", backup.to_str().unwrap()]);
    assert_eq!(again.status.code(), Some(1), "no file is ever replaced");
    assert_eq!(fs::read(&backup).unwrap(), bytes);
    assert!(stand.ok(&["audit"]).contains("store backup"));
    let moved = stand.run(&["store", "backup", "--move", stand.path("moving").to_str().unwrap()]);
    assert_eq!(moved.status.code(), Some(5), "a daemon that pushes cannot be retired");
    stand.wait("all of them", || files.iter().all(|file| stand.received(file).len() == 1));
    assert_eq!(stand.stop_daemon(), Some(0));

    // The machine is lost, and what was done since the backup with it.
    let key = stand.path("state/secrets.key");
    fs::rename(stand.path("state"), stand.path("lost")).unwrap();
    fs::create_dir(stand.path("state")).unwrap();
    fs::copy(stand.path("lost/secrets.key"), &key).unwrap();
    stand.ok(&["store", "restore", backup.to_str().unwrap()]);
    stand.ok(&["store", "confirm"]);
    let known: Vec<_> = stand.records();
    assert!(!known.is_empty() && known.len() <= files.len());
    let sent = known.iter().filter(|record| record["submission"]["stage"]["stage"] == "delivered").count();
    let doubted = known.iter().filter(|record| record["submission"]["stage"]["stage"] == "unknown").count();
    assert!(sent > 0 && sent + doubted == known.len(), "{sent} sent and {doubted} in doubt of {}", known.len());
}
