//! What must not be seen: patient data and tokens in logs, and in what commands print without naming a file.

use super::stand::{Stand, sample};
use std::{
    fs::Permissions,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::Path,
};

#[test]
fn logs_hold_no_names_identifiers_contents_or_tokens() {
    let mut stand = Stand::new(
        "[log]\nlevel = \"debug\"\n[channel.clinic]\ncontract = \"main\"\ninbox = \"inbox\"\nquiet = \"100ms\"\n\
         [channel.clinic.route]\nfolder = true\npatient_systems = [\"http://clinic.example/patient-number\"]\n",
    );
    let person = stand.person(&["clinic"]);
    stand.link_folder("canaryfolder", &person.accounts[0].reference);
    stand.ok(&[
        "links",
        "add",
        "clinic",
        "patient",
        "--system",
        "http://clinic.example/patient-number",
        "CANARYNUMBER",
        &person.accounts[0].reference,
    ]);
    let text = String::from_utf8(sample("valid/patient-number-transaction.json")).unwrap();
    let canary = text.replace("TEST-0002", "CANARYNUMBER").replace("Robin", "Canaryname");
    stand.sandbox.expire_access_token(&person.id);
    stand.start_daemon();
    stand.drop_file("canaryfolder/canaryfile.json", canary.as_bytes());
    stand.drop_file("canaryfolder/canarybroken.json", canary.replace("\"POST\"", "\"CANARYCODE\"").as_bytes());
    stand.drop_file("canaryfolder/canarycut.json", b"{\"CANARYKEY\": \"CANARYVALUE\"");
    stand.drop_file("canaryother/canaryheld.json", canary.replace("CANARYNUMBER", "CANARYUNKNOWN").as_bytes());
    std::os::unix::fs::symlink("/etc/passwd", stand.path("inbox/canarylink.json")).unwrap();
    stand.wait_for_stage("canaryfolder/canaryfile.json", "delivered");
    stand.wait_for_stage("canaryfolder/canarybroken.json", "refused");
    stand.wait_for_stage("canaryother/canaryheld.json", "held");
    stand.wait("the link is seen", || stand.log().contains("a file is left in the inbox"));
    assert_eq!(stand.stop_daemon(), Some(0));
    let log = stand.log();
    assert!(log.contains("delivered") && log.contains("refused"), "{log}");
    for canary in ["canary", "Canary", "CANARY", "token-", "Bearer", "PRIVATE KEY"] {
        assert!(!log.contains(canary), "{canary} in the log:\n{log}");
    }
    let tokens = stand.ok(&["--json", "tokens", "status"]);
    assert!(!tokens.contains("token-"), "{tokens}");
    let report = stand.record("canaryfolder/canarybroken.json")["report"].as_str().unwrap().to_owned();
    let report = std::fs::read_to_string(report).unwrap();
    assert!(report.contains("binding-required") && !report.contains("CANARY"), "findings quote no values: {report}");
}

/// Everything of ours that others may do something with.
fn open_to_others(folder: &Path, found: &mut Vec<String>) {
    let mode = std::fs::metadata(folder).unwrap().permissions().mode();
    found.extend((mode & 0o077 != 0).then(|| format!("{} has mode {mode:o}", folder.display())));
    for entry in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap()) {
        let mode = entry.metadata().unwrap().permissions().mode();
        if entry.file_type().unwrap().is_dir() {
            open_to_others(&entry.path(), found);
        } else if mode & 0o077 != 0 {
            found.push(format!("{} has mode {mode:o}", entry.path().display()));
        }
    }
}

#[test]
fn our_files_are_ours_alone() {
    let stand = Stand::by_folder();
    let person = stand.person(&["clinic"]);
    stand.link_folder("alex", &person.accounts[0].reference);
    stand.drop_file("alex/weight.json", &sample("valid/weight-batch.json"));
    assert_eq!(stand.once(), 0);
    let open = || {
        let mut found = Vec::new();
        ["state", "channels/clinic"].iter().for_each(|folder| open_to_others(&stand.path(folder), &mut found));
        found
    };
    assert_eq!(open(), Vec::<String>::new());
    // Somebody opens them up; the next start closes them.
    for path in ["state", "state/store", "state/store/sled", "channels/clinic", "channels/clinic/done"] {
        std::fs::set_permissions(stand.path(path), Permissions::from_mode(0o755)).unwrap();
    }
    for path in ["state/links.key", "state/audit.jsonl"] {
        std::fs::set_permissions(stand.path(path), Permissions::from_mode(0o644)).unwrap();
    }
    stand.ok(&["accounts", "sync", "--contract", "main"]);
    assert_eq!(open(), Vec::<String>::new());
}

#[test]
fn another_users_folders_are_refused() {
    let stand = Stand::by_folder();
    stand.person(&["clinic"]);
    let is_root = std::fs::metadata("/proc/self").unwrap().uid() == 0;
    if !is_root {
        println!("skipped: only root can give a folder to another user");
        return;
    }
    for folder in ["state", "channels/clinic/held"] {
        std::os::unix::fs::chown(stand.path(folder), Some(12_345), None).unwrap();
        let output = stand.run(&["run", "--once"]);
        assert_eq!(output.status.code(), Some(3), "{folder}");
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(text.contains("it belongs to another user (uid 12345); run this as that user"), "{text}");
        std::os::unix::fs::chown(stand.path(folder), Some(0), None).unwrap();
    }
    stand.ok(&["queue", "ls"]);
}
