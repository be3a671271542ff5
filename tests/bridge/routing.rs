//! Whose a Bundle is: evidence of every kind, alone and against each other.

use super::stand::{Stand, sample};

fn channel(settings: &str, route: &str) -> String {
    format!(
        "[channel.clinic]\ncontract = \"main\"\ninbox = \"inbox\"\nquiet = \"100ms\"\n{settings}[channel.clinic.route]\n{route}"
    )
}

#[test]
fn a_patient_identifier_leads_to_its_account_and_is_kept_as_a_hash_alone() {
    let stand = Stand::new(&channel("", "patient_systems = [\"http://clinic.example/patient-number\"]\n"));
    let person = stand.person(&["clinic"]);
    let link = ["links", "add", "clinic", "patient", "--system", "http://clinic.example/patient-number", "TEST-0002"];
    stand.ok(&[&link[..], &[&person.accounts[0].reference]].concat());
    assert!(!stand.ok(&["--json", "links", "ls"]).contains("TEST-0002"));
    let bytes = sample("valid/patient-number-transaction.json");
    stand.drop_file("bundle.json", &bytes);
    assert_eq!(stand.once(), 0);
    assert_eq!(stand.received(&bytes)[0].account_id, person.accounts[0].id);
}

#[test]
fn a_sidecar_is_waited_for_and_claimed_with_its_bundle() {
    let mut stand = Stand::new(&channel("sidecar = true\n", ""));
    let person = stand.person(&["clinic"]);
    stand.start_daemon();
    let bytes = sample("valid/weight-batch.json");
    stand.drop_file("weight.json", &bytes);
    stand.wait("the wait is told", || stand.ok(&["status"]).contains("weight.json: it waits for its sidecar"));
    assert!(stand.records().is_empty());
    let sidecar = format!("{{\"accountReference\": \"{}\"}}", person.accounts[0].reference);
    stand.drop_file("weight.json.route.json", sidecar.as_bytes());
    stand.wait_for_stage("weight.json", "delivered");
    assert_eq!(stand.received(&bytes)[0].account_id, person.accounts[0].id);
    stand.wait("the inbox is empty", || super::stand::names(&stand.path("inbox")).is_empty());
}

#[test]
fn evidence_that_disagrees_is_held() {
    let stand = Stand::new(&channel("sidecar = true\n", "folder = true\n"));
    let person = stand.person(&["home", "clinic"]);
    stand.link_folder("alex", &person.accounts[0].reference);
    let sidecar = format!("{{\"accountReference\": \"{}\"}}", person.accounts[1].reference);
    stand.drop_file("alex/weight.json", &sample("valid/weight-batch.json"));
    stand.drop_file("alex/weight.json.route.json", sidecar.as_bytes());
    stand.drop_file("alex/glucose.json", &sample("valid/glucose-batch.json"));
    stand.drop_file("alex/glucose.json.route.json", b"{\"accountReference\": 7}");
    stand.drop_file("kim/allergy.json", &sample("valid/allergy-list-batch.json"));
    let first = format!("{{\"accountReference\": \"{}\"}}", person.accounts[0].reference);
    stand.drop_file("kim/allergy.json.route.json", first.as_bytes());
    assert_eq!(stand.once(), 1);
    let why = |path: &str| stand.record(path)["submission"]["stage"]["why"].as_str().unwrap().to_owned();
    assert_eq!(why("alex/weight.json"), "contradiction");
    assert_eq!(why("alex/glucose.json"), "sidecar-unreadable");
    assert_eq!(why("kim/allergy.json"), "unlinked", "evidence that is there and unlinked contradicts");
    assert!(stand.sandbox.received().is_empty());
}

#[test]
fn links_of_one_channel_never_serve_another() {
    let other = "[channel.other]\ncontract = \"main\"\ninbox = \"other\"\nquiet = \"100ms\"\n[channel.other.route]\nfolder = true\n";
    let stand = Stand::new(&(channel("", "folder = true\n") + other));
    std::fs::create_dir_all(stand.path("other/7")).unwrap();
    let person = stand.person(&["clinic"]);
    stand.link_folder("7", &person.accounts[0].reference);
    std::fs::write(stand.path("other/7/weight.json"), sample("valid/weight-batch.json")).unwrap();
    assert_eq!(stand.once(), 1);
    assert_eq!(stand.record("7/weight.json")["submission"]["stage"]["why"], "unlinked");
    assert!(stand.sandbox.received().is_empty());
}

#[test]
fn a_link_that_changes_while_a_bundle_waits_is_judged_again_before_the_send() {
    let mut stand = Stand::new(&channel("", "folder = true\n"));
    let person = stand.person(&["home", "clinic"]);
    stand.link_folder("alex", &person.accounts[0].reference);
    let bytes = sample("valid/weight-batch.json");
    stand.drop_file("alex/weight.json", &bytes);
    let body = String::new();
    let headers = std::collections::BTreeMap::from([("retry-after".to_owned(), "2".to_owned())]);
    stand.sandbox.order(
        pushbridge::sandbox::Target::Push,
        pushbridge::sandbox::Fault::Status { status: 503, headers, body },
        1,
    );
    stand.start_daemon();
    stand.wait("the API asked to wait", || stand.log().contains("destination paused"));
    stand.link_folder("alex", &person.accounts[1].reference);
    stand.wait_for_stage("alex/weight.json", "delivered");
    assert_eq!(stand.received(&bytes)[0].account_id, person.accounts[1].id);
}

#[test]
fn route_tells_beforehand_and_sends_nothing() {
    let stand = Stand::new(&channel("", "folder = true\n"));
    let person = stand.person(&["clinic"]);
    stand.link_folder("alex", &person.accounts[0].reference);
    stand.drop_file("alex/weight.json", &sample("valid/weight-batch.json"));
    stand.drop_file("robin/weight.json", &sample("valid/weight-batch.json"));
    let file = |folder: &str| stand.path("inbox").join(folder).join("weight.json").display().to_string();
    assert!(stand.ok(&["route", &file("alex")]).contains(&person.accounts[0].reference));
    let held = stand.run(&["route", &file("robin")]);
    assert_eq!(held.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&held.stdout).contains("would be held: its folder is linked to no account"));
    assert!(stand.sandbox.received().is_empty());
    assert!(stand.records().is_empty());
}

#[test]
fn a_link_that_is_added_while_nothing_runs_releases_at_the_next_start() {
    let stand = Stand::by_folder();
    let person = stand.person(&["clinic"]);
    let bytes = sample("valid/weight-batch.json");
    stand.drop_file("robin/weight.json", &bytes);
    assert_eq!(stand.once(), 1, "it is held");
    stand.link_folder("robin", &person.accounts[0].reference);
    assert_eq!(stand.once(), 0);
    assert_eq!(stand.received(&bytes).len(), 1);
}
