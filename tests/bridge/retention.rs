//! Retention by the built program: what has had its time goes with its reports, and a repeat is known all the same.

use super::stand::{Stand, names, sample};
use pushbridge::model::SubmissionId;
use serde_json::Value;
use std::fs;

/// Makes the stand's records and files as old as that: ids, times and names; the daemon must not run.
fn age(stand: &Stand, days: u64) {
    let export = stand.path("export.jsonl");
    stand.ok(&["store", "export", "--with-secrets", export.to_str().unwrap()]);
    let mut text = fs::read_to_string(&export).unwrap();
    let millis = days * 86_400_000;
    let mut older = |value: &Value| {
        let then = value.as_u64().unwrap();
        text = text.replace(&then.to_string(), &(then - millis).to_string());
    };
    for record in stand.records() {
        let submission = &record["submission"];
        older(&submission["since"]);
        older(&submission["claimed_at"]);
    }
    for record in stand.records() {
        let id = record["submission"]["id"].as_str().unwrap();
        let old = SubmissionId::from_u64(id.parse::<SubmissionId>().unwrap().as_u64() - (millis << 16)).to_string();
        text = text.replace(id, &old);
        for folder in ["done", "failed", "held", "duplicates"] {
            let folder = stand.path("channels/clinic").join(folder);
            for name in names(&folder).into_iter().filter(|name| name.starts_with(id)) {
                fs::rename(folder.join(&name), folder.join(name.replace(id, &old))).unwrap();
            }
        }
    }
    fs::write(&export, text).unwrap();
    fs::rename(stand.path("state/store"), stand.path("state/store-before")).unwrap();
    stand.ok(&["store", "import", export.to_str().unwrap()]);
}

fn kept(stand: &Stand, folder: &str) -> usize {
    names(&stand.path("channels/clinic").join(folder)).len()
}

#[test]
fn old_files_go_by_command_and_by_the_daemon_and_their_repeats_are_known() {
    let mut stand = Stand::new(
        "[retention]\ndone = \"30d\"\nfailed = \"60d\"\n[channel.clinic]\ncontract = \"main\"\ninbox = \"inbox\"\n\
         quiet = \"100ms\"\n[channel.clinic.route]\nfolder = true\n",
    );
    let person = stand.person(&["clinic"]);
    stand.link_folder("alex", &person.accounts[0].reference);
    let bytes = sample("valid/weight-batch.json");
    stand.drop_file("alex/weight.json", &bytes);
    stand.drop_file("alex/broken.json", b"{\"resourceType\":\"Bundle\"}");
    stand.drop_file("nobody/held.json", &sample("valid/glucose-batch.json"));
    assert_eq!(stand.once(), 1);
    assert_eq!((kept(&stand, "done"), kept(&stand, "failed"), kept(&stand, "held")), (3, 3, 3));
    let prune = |arguments: &[&str]| -> Value {
        serde_json::from_str(&stand.ok(&[&["--json", "prune"], arguments].concat())).unwrap()
    };
    let removed = |pruned: &Value| {
        let places = pruned["places"].as_array().unwrap().iter();
        places.map(|place| place["removed"].as_u64().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(removed(&prune(&[])), [0, 0, 0]);
    age(&stand, 40);
    let dry = prune(&["--dry-run"]);
    assert_eq!((removed(&dry), dry["dry_run"].as_bool()), (vec![1, 0, 0], Some(true)));
    assert_eq!(kept(&stand, "done"), 3, "only a look");
    let pruned = prune(&[]);
    assert_eq!(removed(&pruned), [1, 0, 0]);
    assert!(pruned["places"][0]["freed"].as_u64().unwrap() >= bytes.len() as u64);
    assert_eq!((kept(&stand, "done"), kept(&stand, "failed"), kept(&stand, "held")), (0, 3, 3));
    assert!(stand.ok(&["prune"]).contains("files of 0 submissions removed, 0 bytes"));
    let audit = stand.ok(&["--json", "audit"]);
    assert!(audit.contains("files of 1 submissions removed"), "{audit}");

    // The daemon's own look at its start; later than the time of what was refused.
    age_again(&stand);
    stand.start_daemon();
    stand.wait("the daemon has looked", || kept(&stand, "failed") == 0);
    stand.wait("it says so", || stand.log().contains("retention removed files that have had their time removed=1"));
    assert_eq!(kept(&stand, "held"), 3, "what is open stays");
    let why = stand.ok(&["queue", "why", "alex/weight.json"]);
    assert!(why.contains("file and reports were removed by retention"), "{why}");
    let record = stand.record("alex/weight.json");
    assert_eq!((&record["path"], &record["report"]), (&Value::Null, &Value::Null));
    for verb in [&["queue", "release", "--force", "alex/weight.json"][..], &["queue", "retry", "alex/broken.json"]] {
        let output = stand.run(verb);
        assert_eq!(output.status.code(), Some(1));
        assert!(String::from_utf8(output.stdout).unwrap().contains("retention removed its file"));
    }
    stand.drop_file("alex/again.json", &bytes);
    stand.wait_for_stage("alex/again.json", "duplicate");
    assert_eq!(stand.received(&bytes).len(), 1, "records outlive files");
    assert_eq!(removed_by_daemon(&stand), 0);
    assert_eq!(stand.stop_daemon(), Some(0));
}

fn age_again(stand: &Stand) {
    fs::remove_file(stand.path("export.jsonl")).unwrap();
    fs::remove_dir_all(stand.path("state/store-before")).unwrap();
    age(stand, 40);
}

/// What `prune` over the socket removes.
fn removed_by_daemon(stand: &Stand) -> u64 {
    let pruned: Value = serde_json::from_str(&stand.ok(&["--json", "prune"])).unwrap();
    pruned["places"].as_array().unwrap().iter().map(|place| place["removed"].as_u64().unwrap()).sum()
}
