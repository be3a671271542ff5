//! The audit log: every decision stands in it before it is carried out, with who took it, and nothing else does.

use super::stand::{Stand, sample};
use serde_json::Value;
use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt},
};

fn entries(stand: &Stand) -> Vec<Value> {
    stand.ok(&["--json", "audit"]).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn commands(entries: &[Value]) -> Vec<String> {
    entries.iter().map(|entry| entry["command"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn decisions_are_written_with_who_took_them_and_without_patient_data() {
    let mut stand = Stand::by_folder();
    let person = stand.person(&["clinic"]);
    stand.start_daemon();
    stand.drop_file("canaryfolder/canaryname.json", &sample("valid/weight-batch.json"));
    stand.drop_file("canaryfolder/other.json", &sample("valid/glucose-batch.json"));
    stand.wait_for_stage("canaryfolder/canaryname.json", "held");
    stand.wait_for_stage("canaryfolder/other.json", "held");
    stand.ok(&["queue", "drop", "canaryfolder/other.json"]);
    stand.wait_for_stage("canaryfolder/other.json", "dropped");
    assert_eq!(stand.run(&["queue", "drop", "ALL", "--stage", "dropped"]).status.code(), Some(1));
    stand.link_folder("canaryfolder", &person.accounts[0].reference);
    stand.wait_for_stage("canaryfolder/canaryname.json", "delivered");
    stand.ok(&["queue", "release", "--force", "canaryfolder/canaryname.json"]);
    stand.wait("it was sent again", || stand.sandbox.received_count() == 2);
    stand.ok(&["queue", "ls", "ALL"]);
    assert_eq!(stand.stop_daemon(), Some(0));
    stand.ok(&["links", "rm", "clinic", "folder", "canaryfolder"]);
    stand.ok(&["secrets", "rotate"]);
    stand.ok(&["store", "export", stand.path("plain.jsonl").to_str().unwrap()]);
    stand.ok(&["store", "export", "--with-secrets", stand.path("secrets.jsonl").to_str().unwrap()]);
    stand.ok(&["store", "import", stand.path("plain.jsonl").to_str().unwrap()]);

    let entries = entries(&stand);
    let wanted = [
        "tokens import",
        "accounts sync",
        "queue drop",
        "queue drop",
        "links add",
        "queue release --force",
        "links rm",
        "secrets rotate",
        "store export --with-secrets",
        "store import",
    ];
    assert_eq!(commands(&entries), wanted, "what only looks is not in it");
    let uid = fs::metadata(stand.path("state")).unwrap().uid();
    assert!(entries.iter().all(|entry| entry["uid"] == uid && entry["at"].is_string()));
    assert_eq!((&entries[0]["through"], &entries[5]["through"]), (&"command".into(), &"socket".into()));
    let pid = entries[5]["pid"].as_i64().unwrap();
    assert!(pid > 0 && pid != i64::from(std::process::id()), "the command's, not the daemon's and not the test's");
    assert_eq!((&entries[2]["stage"], &entries[2]["text"]), (&"held".into(), &"dropped".into()));
    assert_eq!(entries[2]["submission"], stand.record("canaryfolder/other.json")["submission"]["id"]);
    assert_eq!((&entries[3]["done"], &entries[3]["text"]), (&false.into(), &"it was dropped already".into()));
    let reference = Value::from(vec![person.accounts[0].reference.clone()]);
    assert_eq!((&entries[4]["accounts"], &entries[5]["accounts"]), (&reference, &reference));
    assert_eq!(entries[4]["value"], entries[6]["value"], "the same link, by the hash of its value");
    assert!(entries.iter().enumerate().all(|(number, entry)| entry["done"] == (number != 3)));

    let text = fs::read_to_string(stand.path("state/audit.jsonl")).unwrap();
    let tokens: Value = serde_json::from_str(&fs::read_to_string(stand.path("tokens.json")).unwrap()).unwrap();
    for secret in ["canary", tokens["accessToken"]["value"].as_str().unwrap()] {
        assert!(!text.contains(secret), "{text}");
    }
    assert_eq!(fs::metadata(stand.path("state/audit.jsonl")).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(stand.ok(&["audit", "--since", "2026-01-01T00:00:00Z"]).contains("refused: it was dropped already"));
    assert!(!stand.ok(&["audit", "--since", "0s"]).contains("queue"));
}

#[test]
fn what_cannot_be_written_into_the_audit_log_is_not_done() {
    let mut stand = Stand::by_folder();
    stand.person(&["clinic"]);
    stand.drop_file("alex/weight.json", &sample("valid/weight-batch.json"));
    assert_eq!(stand.once(), 1);
    fs::rename(stand.path("state/audit.jsonl"), stand.path("aside")).unwrap();
    fs::create_dir(stand.path("state/audit.jsonl")).unwrap();
    let refused = |stand: &Stand, arguments: &[&str]| {
        let output = stand.run(arguments);
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(text.contains("nothing was done, because it cannot be written into the audit log"), "{text}");
        assert!([1, 3].contains(&output.status.code().unwrap()));
    };
    refused(&stand, &["queue", "drop", "ALL"]);
    refused(&stand, &["links", "add", "clinic", "folder", "alex", "any"]);
    let key = fs::read(stand.path("state/secrets.key")).unwrap();
    refused(&stand, &["secrets", "rotate"]);
    assert_eq!(fs::read(stand.path("state/secrets.key")).unwrap(), key);
    stand.start_daemon();
    refused(&stand, &["queue", "drop", "ALL"]);
    assert_eq!(stand.stage("alex/weight.json"), "held");
    assert_eq!(stand.ok(&["links", "ls"]).lines().count(), 1, "the head alone");
    fs::remove_dir(stand.path("state/audit.jsonl")).unwrap();
    stand.ok(&["queue", "drop", "ALL"]);
    stand.wait_for_stage("alex/weight.json", "dropped");
}
