//! The daemon holds Bundles to the profiles of `profiles/`: what it asks for, what it waits for, and what a reload changes.

use super::stand::{Stand, names, sample};
use serde_json::{Value, json};
use std::{fs, path::Path};

const OWN: &str = "http://pushbridge.example/fhir/StructureDefinition/provider-push-bundle";
const OWN_FILES: [&str; 2] = ["provider-push-bundle.json", "provider-push-bundle-type.json"];

fn put_own(stand: &Stand) {
    fs::create_dir_all(stand.path("profiles")).unwrap();
    for name in OWN_FILES {
        let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("profiles").join(name);
        fs::copy(own, stand.path("profiles").join(name)).unwrap();
    }
}

fn put_broken(stand: &Stand) {
    let broken = json!({"resourceType": "StructureDefinition", "url": "http://clinic.example/broken", "name": "broken",
        "status": "draft", "fhirVersion": "3.0.2", "kind": "resource", "abstract": false, "type": "Patient",
        "derivation": "constraint", "baseDefinition": "http://hl7.org/fhir/StructureDefinition/Patient",
        "differential": {"element": [{"path": "Patient.pet", "min": 1}]}});
    fs::create_dir_all(stand.path("profiles")).unwrap();
    fs::write(stand.path("profiles/broken.json"), broken.to_string()).unwrap();
}

/// A channel by folder with these settings of its `validate`.
fn stand_with(validate: &str) -> (Stand, String) {
    let stand = Stand::by_folder();
    stand.edit_config(|config| format!("{config}[channel.clinic.validate]\n{validate}\n"));
    let person = stand.person(&["clinic"]);
    let reference = person.accounts[0].reference.clone();
    stand.link_folder("alex", &reference);
    (stand, reference)
}

/// A sample that claims to be a provider's push.
fn claiming(path: &str) -> Vec<u8> {
    let mut bundle: Value = serde_json::from_slice(&sample(path)).unwrap();
    bundle["meta"] = json!({"profile": [OWN]});
    bundle.to_string().into_bytes()
}

fn stderr(output: &std::process::Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn status(stand: &Stand) -> Value {
    serde_json::from_str(&stand.ok(&["--json", "status"])).unwrap()
}

#[test]
fn a_bundle_that_breaks_a_required_profile_is_refused_with_the_finding_and_a_good_one_is_delivered() {
    let (stand, _) = stand_with(&format!("require = [\"{OWN}\"]"));
    put_own(&stand);
    let good = sample("valid/weight-batch.json");
    stand.drop_file("alex/good.json", &good);
    stand.drop_file("alex/bad.json", &sample("profiles/push-faults/without-full-url.json"));
    assert_eq!(stand.once(), 1);
    assert_eq!(stand.received(&good).len(), 1);
    assert_eq!(stand.sandbox.received().len(), 1);
    let report = |place: &str, ending: &str| {
        let folder = stand.path("channels/clinic").join(place);
        let name = names(&folder).into_iter().find(|name| name.ends_with(ending)).unwrap();
        fs::read_to_string(folder.join(name)).unwrap()
    };
    let bad: Value = serde_json::from_str(&report("failed", "bad.json.report.json")).unwrap();
    let found = &bad["findings"][0];
    assert_eq!((&found["key"], &found["profile"]), (&json!("profile-min"), &json!(OWN)));
    assert_eq!(found["expression"], "Bundle.entry[0]");
    assert_eq!(bad["profiles"], json!([OWN]));
    let text = report("failed", "bad.json.report.txt");
    assert!(text.contains(&format!("(profile {OWN})")), "{text}");
    assert!(report("done", "good.json.report.txt").contains(&format!("held to the profiles\n{OWN}\n")));
}

#[test]
fn what_a_setting_names_and_what_lies_in_the_folder_is_looked_at_before_anything_is_touched() {
    let stand = Stand::by_folder();
    stand.edit_config(|config| format!("{config}[channel.clinic.validate]\nallow = [\"{OWN}s\"]\n"));
    put_own(&stand);
    let refused = |wanted: &[&str]| {
        let output = stand.run(&["run", "--once"]);
        assert_eq!(output.status.code(), Some(4), "{}", stderr(&output));
        for words in wanted {
            assert!(stderr(&output).contains(words), "{words}: {}", stderr(&output));
        }
        assert!(!stand.path("state").exists() && !stand.path("channels").exists(), "something was touched");
        let doctor = stand.run(&["doctor", "--json"]);
        let lines = String::from_utf8_lossy(&doctor.stdout).into_owned();
        assert!(lines.contains(r#"{"name":"profiles","verdict":"fail""#), "{lines}");
        // doctor opens the store to look at it
        fs::remove_dir_all(stand.path("state")).unwrap_or_default();
        fs::remove_dir_all(stand.path("channels")).unwrap_or_default();
    };
    refused(&["channel.clinic.validate.allow", &format!("did you mean {OWN}?")]);
    stand.edit_config(|config| config.replace(&format!("{OWN}s"), OWN));
    put_broken(&stand);
    refused(&["broken.json, Patient.pet: there is no element pet in Patient"]);
    fs::remove_file(stand.path("profiles/broken.json")).unwrap();
    let added = Path::new(env!("CARGO_MANIFEST_DIR")).join("profiles").join(OWN_FILES[0]);
    fs::remove_file(stand.path("profiles").join(OWN_FILES[0])).unwrap();
    stand.ok(&["profiles", "add", added.to_str().unwrap()]);
    fs::write(stand.path("profiles").join(OWN_FILES[0]), "{}").unwrap();
    refused(&["is not as profiles.lock says", "has another content"]);
}

#[test]
fn a_reload_that_fails_keeps_the_profiles_and_one_that_succeeds_changes_what_later_files_meet() {
    let (mut stand, _) = stand_with("unloaded_profiles = \"hold\"");
    stand.start_daemon();
    stand.drop_file("alex/early.json", &claiming("valid/weight-batch.json"));
    stand.wait_for_stage("alex/early.json", "held");
    assert_eq!(stand.record("alex/early.json")["submission"]["stage"]["why"], "profile-not-loaded");

    put_own(&stand);
    put_broken(&stand);
    let reloaded = stand.run(&["profiles", "reload"]);
    assert_eq!(reloaded.status.code(), Some(1));
    assert!(stderr(&reloaded).contains("broken.json, Patient.pet: there is no element pet"), "{}", stderr(&reloaded));
    let told = status(&stand)["profiles"].clone();
    assert_eq!(told["profiles"], 0);
    assert!(told["rejected"]["why"].as_str().unwrap().contains("Patient.pet"), "{told}");
    assert_eq!(stand.stage("alex/early.json"), "held");
    assert!(stand.log().contains("those before stay in force"), "{}", stand.log());

    fs::remove_file(stand.path("profiles/broken.json")).unwrap();
    let in_force: Value = serde_json::from_str(&stand.ok(&["--json", "profiles", "reload"])).unwrap();
    assert_eq!((&in_force["profiles"], &in_force["value_sets"]), (&json!(1), &json!(1)));
    let told: Vec<_> = in_force["files"].as_object().unwrap().keys().cloned().collect();
    assert_eq!(told, [OWN_FILES[1], OWN_FILES[0]]);
    assert_eq!(status(&stand)["profiles"]["rejected"], Value::Null);
    stand.wait_for_stage("alex/early.json", "delivered");
    stand.drop_file("alex/bad.json", &claiming("profiles/push-faults/without-full-url.json"));
    stand.wait_for_stage("alex/bad.json", "refused");

    // What is deleted stays in force until somebody asks for a reload.
    fs::remove_file(stand.path("profiles").join(OWN_FILES[0])).unwrap();
    stand.drop_file("alex/bad-again.json", &claiming("profiles/push-faults/that-asks.json"));
    stand.wait_for_stage("alex/bad-again.json", "refused");
    let doctor = String::from_utf8(stand.run(&["doctor", "--json"]).stdout).unwrap();
    assert!(doctor.contains("the daemon judges by other files"), "{doctor}");
    stand.ok(&["profiles", "reload"]);
    stand.drop_file("alex/late.json", &claiming("profiles/push-faults/empty.json"));
    stand.wait_for_stage("alex/late.json", "held");

    // Both ways of asking are audited, also where the answer was no.
    let audited = stand.ok(&["--json", "audit"]);
    let reloads: Vec<Value> = audited.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let reloads: Vec<_> = reloads.iter().filter(|entry| entry["command"] == "profiles reload").collect();
    assert_eq!(reloads.len(), 3, "{audited}");
    assert_eq!(stand.stop_daemon(), Some(0));
    let alone = stand.run(&["profiles", "reload"]);
    assert_eq!(alone.status.code(), Some(1));
    assert!(stderr(&alone).contains("no daemon runs here"), "{}", stderr(&alone));
}

#[test]
fn beside_a_daemon_add_and_rm_say_that_a_reload_is_needed_or_ask_for_it() {
    let (mut stand, _) = stand_with("unloaded_profiles = \"refuse\"");
    stand.start_daemon();
    stand.drop_file("alex/early.json", &claiming("valid/weight-batch.json"));
    stand.wait_for_stage("alex/early.json", "refused");
    assert_eq!(stand.record("alex/early.json")["submission"]["findings"][0]["key"], "profile-not-loaded");
    let own = OWN_FILES.map(|name| format!("{}/profiles/{name}", env!("CARGO_MANIFEST_DIR")));
    let added = stand.run(&["profiles", "add", &own[0]]);
    assert!(stderr(&added).contains("pushbridge profiles reload puts this in force"), "{}", stderr(&added));
    assert_eq!(status(&stand)["profiles"]["profiles"], 0);
    stand.ok(&["profiles", "add", &own[1], "--reload"]);
    assert_eq!(status(&stand)["profiles"]["profiles"], 1);
    stand.ok(&["profiles", "rm", OWN_FILES[0], "--reload"]);
    assert_eq!(status(&stand)["profiles"]["profiles"], 0);
    assert_eq!(stand.stop_daemon(), Some(0));
}

#[test]
fn sighup_during_a_burst_reloads_and_no_file_is_lost_or_sent_twice() {
    const FILES: usize = 40;
    let (mut stand, _) = stand_with("unloaded_profiles = \"hold\"");
    stand.start_daemon();
    let bundle = claiming("valid/weight-batch.json");
    // Of the same content all would be repeats of the first.
    let bytes = |number: usize| [&bundle[..], " ".repeat(number).as_bytes()].concat();
    let daemon = rustix::process::Pid::from_raw(i32::try_from(stand.daemon.as_ref().unwrap().id()).unwrap()).unwrap();
    for number in 0..FILES {
        stand.drop_file(&format!("alex/{number}.json"), &bytes(number));
        match number {
            10 => put_broken(&stand),
            15 => put_own(&stand),
            20 => fs::remove_file(stand.path("profiles/broken.json")).unwrap(),
            _ => {}
        }
        if number % 5 == 2 {
            rustix::process::kill_process(daemon, rustix::process::Signal::HUP).unwrap();
        }
    }
    stand.wait("the profile is in force", || status(&stand)["profiles"]["profiles"] == 1);
    stand.wait("all are delivered", || stand.sandbox.received_count() >= FILES);
    for number in 0..FILES {
        stand.wait_for_stage(&format!("alex/{number}.json"), "delivered");
        assert_eq!(stand.received(&bytes(number)).len(), 1, "{number}");
    }
    let audited = stand.ok(&["--json", "audit"]);
    assert!(audited.contains(r#""through":"SIGHUP""#), "{audited}");
    assert_eq!(stand.stop_daemon(), Some(0));
}
