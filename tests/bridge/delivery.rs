//! From a file in the drop folder to a receipt, with the built program and the sandbox.

use super::stand::{Stand, names, sample};
use pushbridge::sandbox::{Fault, Target};
use std::{collections::BTreeMap, fs};

fn status(status: u16, body: &str) -> Fault {
    Fault::Status { status, headers: BTreeMap::new(), body: body.to_owned() }
}

#[test]
fn a_file_is_delivered_byte_for_byte_and_lies_in_done_beside_its_report() {
    let stand = Stand::by_folder();
    let person = stand.person(&["clinic"]);
    stand.link_folder("alex", &person.accounts[0].reference);
    for name in ["exact-bytes-batch", "byte-order-mark-batch", "letter-pdf-transaction", "masked-identifier-batch"] {
        stand.drop_file(&format!("alex/{name}.json"), &sample(&format!("valid/{name}.json")));
    }
    assert_eq!(stand.once(), 0);
    for name in ["exact-bytes-batch", "byte-order-mark-batch", "letter-pdf-transaction", "masked-identifier-batch"] {
        let bytes = sample(&format!("valid/{name}.json"));
        let received = stand.received(&bytes);
        assert_eq!(received.len(), 1, "{name}");
        assert_eq!(received[0].body.as_deref(), Some(&bytes[..]), "{name}");
        assert_eq!(received[0].account_id, person.accounts[0].id);
    }
    assert!(names(&stand.path("inbox/alex")).is_empty());
    assert!(names(&stand.path("channels/clinic/work")).is_empty());
    let done = names(&stand.path("channels/clinic/done"));
    assert_eq!(done.len(), 4 * 3, "{done:?}");
    let report = done.iter().find(|name| name.ends_with("exact-bytes-batch.json.report.json")).unwrap();
    let report: serde_json::Value =
        serde_json::from_slice(&fs::read(stand.path("channels/clinic/done").join(report)).unwrap()).unwrap();
    assert_eq!(report["outcome"], "delivered");
    assert_eq!(report["account"]["evidence"], serde_json::json!(["folder"]));
    assert!(report["receipt"]["reference"].as_str().unwrap().starts_with("receipt-"));
}

#[test]
fn without_evidence_a_file_is_held_and_released_by_its_link() {
    let mut stand = Stand::by_folder();
    let person = stand.person(&["clinic"]);
    let bytes = sample("valid/weight-batch.json");
    stand.start_daemon();
    stand.drop_file("robin/weight.json", &bytes);
    stand.drop_file("weight.json", &sample("valid/glucose-batch.json"));
    stand.wait_for_stage("robin/weight.json", "held");
    stand.wait_for_stage("weight.json", "held");
    assert_eq!(stand.record("weight.json")["submission"]["stage"]["why"], "no-evidence");
    assert!(stand.sandbox.received().is_empty());
    stand.link_folder("robin", &person.accounts[0].reference);
    stand.wait_for_stage("robin/weight.json", "delivered");
    assert_eq!(stand.received(&bytes).len(), 1);
    assert_eq!(stand.stage("weight.json"), "held", "no guess, ever");
    assert_eq!(stand.stop_daemon(), Some(0));
}

#[test]
fn files_of_several_patients_are_held_though_their_folder_is_linked() {
    let stand = Stand::by_folder();
    let person = stand.person(&["clinic"]);
    stand.link_folder("alex", &person.accounts[0].reference);
    let several = names(std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/samples/several-patients")));
    assert_eq!(several.len(), 9);
    for name in &several {
        stand.drop_file(&format!("alex/{name}"), &sample(&format!("several-patients/{name}")));
    }
    assert_eq!(stand.once(), 1);
    for name in &several {
        assert_eq!(stand.record(&format!("alex/{name}"))["submission"]["stage"]["why"], "several-patients", "{name}");
    }
    assert!(stand.sandbox.received().is_empty());
}

#[test]
fn one_person_named_in_several_ways_is_one_person() {
    let stand = Stand::by_folder();
    let person = stand.person(&["clinic"]);
    stand.link_folder("alex", &person.accounts[0].reference);
    let valid = names(std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/samples/valid")));
    for name in &valid {
        stand.drop_file(&format!("alex/{name}"), &sample(&format!("valid/{name}")));
    }
    assert_eq!(stand.once(), 0);
    for name in &valid {
        assert_eq!(stand.stage(&format!("alex/{name}")), "delivered", "{name}");
    }
}

#[test]
fn the_same_bytes_again_are_a_duplicate_with_the_earlier_receipt_until_somebody_forces_them() {
    let mut stand = Stand::by_folder();
    let person = stand.person(&["clinic"]);
    stand.link_folder("alex", &person.accounts[0].reference);
    let bytes = sample("valid/weight-batch.json");
    stand.start_daemon();
    stand.drop_file("alex/first.json", &bytes);
    stand.wait_for_stage("alex/first.json", "delivered");
    stand.drop_file("alex/again.json", &bytes);
    stand.wait_for_stage("alex/again.json", "duplicate");
    let (first, again) = (stand.record("alex/first.json"), stand.record("alex/again.json"));
    assert_eq!(again["submission"]["stage"]["of"], first["submission"]["id"]);
    assert_eq!(again["submission"]["stage"]["receipt"], first["submission"]["stage"]["receipt"]);
    assert_eq!(stand.received(&bytes).len(), 1);
    let id = again["submission"]["id"].as_str().unwrap();
    assert_eq!(stand.run(&["queue", "release", id]).status.code(), Some(1));
    stand.ok(&["queue", "release", "--force", id]);
    stand.wait_for_stage("alex/again.json", "delivered");
    assert_eq!(stand.received(&bytes).len(), 2);
}

#[test]
fn an_invalid_file_is_refused_with_the_place_and_nothing_is_sent() {
    let stand = Stand::by_folder();
    let person = stand.person(&["clinic"]);
    stand.link_folder("alex", &person.accounts[0].reference);
    stand.drop_file("alex/date.json", &sample("invalid/primitive/date-30-february.json"));
    stand.drop_file("alex/broken.json", b"{\"resourceType\": \"Bundle\", }");
    assert_eq!(stand.once(), 1);
    let record = stand.record("alex/date.json");
    assert_eq!(record["submission"]["stage"]["stage"], "refused");
    assert_eq!(record["submission"]["findings"][0]["key"], "format-date");
    assert!(record["report"].as_str().is_some_and(|path| fs::exists(path).unwrap()));
    assert_eq!(stand.stage("alex/broken.json"), "refused");
    assert!(stand.sandbox.received().is_empty());
}

#[test]
fn an_expired_token_is_renewed_once_for_a_whole_burst() {
    let mut stand = Stand::by_folder();
    let person = stand.person(&["home", "clinic"]);
    stand.link_folder("home", &person.accounts[0].reference);
    stand.link_folder("clinic", &person.accounts[1].reference);
    stand.sandbox.expire_access_token(&person.id);
    stand.start_daemon();
    for (number, name) in
        ["weight-batch", "glucose-batch", "allergy-list-batch", "medication-list-batch"].iter().enumerate()
    {
        let folder = if number % 2 == 0 { "home" } else { "clinic" };
        stand.drop_file(&format!("{folder}/{name}.json"), &sample(&format!("valid/{name}.json")));
    }
    let delivered = || stand.ok(&["--json", "queue", "ls", "ALL", "--stage", "delivered"]).lines().count();
    stand.wait("four deliveries", || delivered() == 4);
    assert_eq!(stand.sandbox.stats().refreshes, 1);
    stand.kill_daemon();
    // The new pair was on disk before its first use.
    stand.drop_file("home/letter.json", &sample("valid/letter-pdf-transaction.json"));
    assert_eq!(stand.once(), 0);
    assert_eq!(stand.sandbox.stats().refreshes, 1);
    assert_eq!(stand.sandbox.received().len(), 5);
}

#[test]
fn a_lost_answer_is_unknown_and_is_sent_again_only_by_a_person() {
    let mut stand = Stand::by_folder();
    let person = stand.person(&["clinic"]);
    stand.link_folder("alex", &person.accounts[0].reference);
    stand.sandbox.order(Target::Push, Fault::ResetAfter, 1);
    let bytes = sample("valid/weight-batch.json");
    stand.start_daemon();
    stand.drop_file("alex/weight.json", &bytes);
    stand.wait_for_stage("alex/weight.json", "unknown");
    // The destination opens by a probe, and the next Bundle goes.
    stand.drop_file("alex/glucose.json", &sample("valid/glucose-batch.json"));
    stand.wait_for_stage("alex/glucose.json", "delivered");
    assert_eq!(stand.received(&bytes).len(), 1);
    assert_eq!(stand.stage("alex/weight.json"), "unknown");
    assert_eq!(stand.run(&["queue", "retry", "weight.json"]).status.code(), Some(1));
    stand.ok(&["queue", "release", "weight.json"]);
    stand.wait_for_stage("alex/weight.json", "delivered");
    assert_eq!(stand.received(&bytes).len(), 2);
}

#[test]
fn an_idempotent_bundle_whose_answer_is_lost_is_sent_again_by_itself() {
    let stand = Stand::by_folder();
    let person = stand.person(&["clinic"]);
    stand.link_folder("alex", &person.accounts[0].reference);
    stand.sandbox.order(Target::Push, Fault::ResetAfter, 1);
    let bytes = sample("valid/idempotent-transaction.json");
    stand.drop_file("alex/put.json", &bytes);
    let mut stand = stand;
    stand.start_daemon();
    stand.wait_for_stage("alex/put.json", "delivered");
    assert_eq!(stand.received(&bytes).len(), 2);
}

#[test]
fn trouble_before_the_body_is_handed_over_costs_nothing() {
    let mut stand = Stand::by_folder();
    let person = stand.person(&["clinic"]);
    stand.link_folder("alex", &person.accounts[0].reference);
    let headers = BTreeMap::from([("retry-after".to_owned(), "0".to_owned())]);
    stand.sandbox.order(Target::Push, Fault::Status { status: 503, headers: headers.clone(), body: String::new() }, 2);
    stand.sandbox.order(Target::Push, Fault::Status { status: 429, headers, body: String::new() }, 1);
    stand.start_daemon();
    let bytes = sample("valid/weight-batch.json");
    stand.drop_file("alex/weight.json", &bytes);
    stand.wait_for_stage("alex/weight.json", "delivered");
    assert_eq!(stand.received(&bytes).len(), 1);
    let log = stand.log();
    assert_eq!(log.matches("destination paused").count(), 1, "one alert when it begins: {log}");
    assert_eq!(log.matches("destination open again").count(), 1, "one when it ends: {log}");
}

#[test]
fn a_refused_file_goes_to_failed_and_a_blocked_account_keeps_its_files() {
    let mut stand = Stand::by_folder();
    let person = stand.person(&["home", "clinic"]);
    stand.link_folder("home", &person.accounts[0].reference);
    stand.link_folder("clinic", &person.accounts[1].reference);
    stand.start_daemon();
    stand.sandbox.order(Target::Push, status(422, r#"{"error":{"code":"Unprocessable","reference":"ref-9"}}"#), 1);
    stand.drop_file("home/weight.json", &sample("valid/weight-batch.json"));
    stand.wait_for_stage("home/weight.json", "refused");
    let why = stand.record("home/weight.json")["submission"]["stage"]["why"].as_str().unwrap().to_owned();
    assert!(why.contains("ref-9"), "the reference is what the API's support asks for: {why}");
    stand.sandbox.set_authorised(&person.accounts[1].id, pushbridge::sandbox::Consent::Withdrawn);
    stand.drop_file("clinic/glucose.json", &sample("valid/glucose-batch.json"));
    stand.wait("the account is blocked", || stand.ok(&["accounts", "ls"]).contains("ServiceAuthorizationError"));
    assert_eq!(stand.stage("clinic/glucose.json"), "ready");
    stand.sandbox.set_authorised(&person.accounts[1].id, pushbridge::sandbox::Consent::Given);
    stand.ok(&["accounts", "sync", "--contract", "main"]);
    stand.wait_for_stage("clinic/glucose.json", "delivered");
}

#[test]
fn a_refused_application_pauses_the_destination_and_fails_no_file() {
    let mut stand = Stand::by_folder();
    let person = stand.person(&["clinic"]);
    stand.link_folder("alex", &person.accounts[0].reference);
    let refusal = r#"{"error":{"code":"SDKVersionInvalid"}}"#;
    stand.sandbox.order(Target::Push, status(400, refusal), 1);
    stand.sandbox.order(Target::Accounts, status(400, refusal), 2);
    stand.start_daemon();
    for name in ["weight-batch", "glucose-batch", "allergy-list-batch"] {
        stand.drop_file(&format!("alex/{name}.json"), &sample(&format!("valid/{name}.json")));
    }
    stand.wait("the pause is told", || stand.log().contains("destination paused"));
    stand.wait("all go after it", || stand.sandbox.received().len() == 3);
    assert!(names(&stand.path("channels/clinic/failed")).is_empty());
}

#[test]
fn a_daemon_that_is_killed_while_it_sends_asks_a_person() {
    let mut stand = Stand::by_folder();
    let person = stand.person(&["clinic"]);
    stand.link_folder("alex", &person.accounts[0].reference);
    stand.sandbox.order(Target::Push, Fault::Hang, 1);
    let bytes = sample("valid/weight-batch.json");
    stand.start_daemon();
    stand.drop_file("alex/weight.json", &bytes);
    stand.wait("the sandbox took it", || stand.received(&bytes).len() == 1);
    stand.kill_daemon();
    assert_eq!(stand.once(), 1);
    assert_eq!(stand.stage("alex/weight.json"), "unknown");
    assert_eq!(stand.received(&bytes).len(), 1, "nothing is sent twice unless somebody decided so");
    stand.ok(&["queue", "drop", "ALL", "--unknown"]);
    assert_eq!(stand.stage("alex/weight.json"), "dropped");
}

#[test]
fn a_second_instance_says_so_and_leaves() {
    let mut stand = Stand::by_folder();
    stand.person(&["clinic"]);
    stand.start_daemon();
    let output = stand.run(&["run", "--once"]);
    assert_eq!(output.status.code(), Some(5));
    assert!(String::from_utf8_lossy(&output.stderr).contains("another pushbridge has the store open"));
    assert_eq!(stand.stop_daemon(), Some(0));
}

#[test]
fn a_rule_that_the_channel_changes_lets_a_file_pass_and_is_named_in_its_report() {
    let stand = Stand::new(
        "[channel.clinic]\ncontract = \"main\"\ninbox = \"inbox\"\nquiet = \"100ms\"\n[channel.clinic.route]\nfolder = true\n\
         [channel.clinic.validate.rules]\nbinding-required = \"warning\"\n",
    );
    let person = stand.person(&["clinic"]);
    stand.link_folder("alex", &person.accounts[0].reference);
    let bytes = sample("invalid/binding/gender.json");
    stand.drop_file("alex/gender.json", &bytes);
    assert_eq!(stand.once(), 0);
    assert_eq!(stand.received(&bytes).len(), 1);
    let report = stand.record("alex/gender.json")["report"].as_str().unwrap().to_owned();
    let json: serde_json::Value = serde_json::from_slice(&std::fs::read(&report).unwrap()).unwrap();
    let change = serde_json::json!([{"key": "binding-required", "from": "error", "to": "warning", "count": 1}]);
    assert_eq!(json["overridden"], change);
    let text = std::fs::read_to_string(report.replace(".report.json", ".report.txt")).unwrap();
    assert!(text.contains("binding-required: error counts as warning, 1 found"), "{text}");
}

#[test]
fn an_unknown_rule_is_refused_where_it_stands() {
    let stand = Stand::by_folder();
    let config = stand.path("pushbridge.toml");
    let text = std::fs::read_to_string(&config).unwrap() + "[channel.clinic.validate.rules]\nbdl-77 = \"off\"\n";
    let line = text.lines().count();
    std::fs::write(&config, text).unwrap();
    let output = stand.run(&["run", "--once"]);
    assert_eq!(output.status.code(), Some(4));
    let said = String::from_utf8(output.stderr).unwrap();
    let wanted = format!(
        "pushbridge.toml:{line}:10: channel.clinic.validate.rules.bdl-77: there is no such rule; did you mean bdl-7?"
    );
    assert!(said.contains(&wanted), "{said}");
}
