//! Bundles in XML: claimed as they are, sent as JSON that says the same to the last digit.

use super::stand::{Stand, names, sample};
use pushbridge::{
    fhir::{json::Limits, write},
    validate,
};
use std::{fs, path::PathBuf};

/// The JSON that a Bundle in XML is sent as.
fn as_json(bytes: &[u8]) -> Vec<u8> {
    let mut json = Vec::new();
    write::json(&validate::read(bytes, &Limits::default()).unwrap(), &mut json).unwrap();
    json
}

#[test]
fn a_bundle_in_xml_is_sent_as_json_and_kept_as_xml() {
    let stand = Stand::by_folder();
    let person = stand.person(&["clinic"]);
    stand.link_folder("robin", &person.accounts[0].reference);
    let bytes = sample("valid/temperature-batch.xml");
    stand.drop_file("robin/temperature.xml", &bytes);
    assert_eq!(stand.once(), 0);
    let json = as_json(&bytes);
    let received = stand.received(&json);
    assert_eq!(received.len(), 1);
    assert_eq!(received[0].body.as_deref(), Some(&json[..]));
    assert!(String::from_utf8(json).unwrap().contains("\"value\":37.20,\"unit\":\"\u{b0}C\""));
    let done = names(&stand.path("channels/clinic/done"));
    let kept = done.iter().find(|name| name.ends_with("temperature.xml")).unwrap();
    assert_eq!(fs::read(stand.path("channels/clinic/done").join(kept)).unwrap(), bytes);
    assert!(names(&stand.path("channels/clinic/work")).is_empty());
    let report = fs::read_to_string(stand.path("channels/clinic/done").join(format!("{kept}.report.txt"))).unwrap();
    assert!(report.contains("XML, sent as JSON"), "{report}");
    // the same bytes again are a duplicate
    stand.drop_file("robin/again.xml", &bytes);
    stand.once();
    assert_eq!(stand.stage("robin/again.xml"), "duplicate");
}

#[test]
fn a_bundle_in_xml_that_is_cut_off_is_waited_for() {
    let stand = Stand::by_folder();
    let person = stand.person(&["clinic"]);
    stand.link_folder("robin", &person.accounts[0].reference);
    let bytes = sample("valid/temperature-batch.xml");
    stand.drop_file("robin/temperature.xml", &bytes[..bytes.len() / 2]);
    let output = stand.run(&["--json", "run", "--once", "--max-time", "1s"]);
    assert_eq!(output.status.code(), Some(7));
    let summary: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(summary["settling"]["clinic"], serde_json::json!(["robin/temperature.xml"]));
    stand.drop_file("robin/temperature.xml", &bytes);
    assert_eq!(stand.once(), 0);
    assert_eq!(stand.received(&as_json(&bytes)).len(), 1);
}

#[test]
fn eighteen_real_pushes_in_xml_arrive_as_json() {
    let shared = std::env::var_os("PUSHBRIDGE_SHARED").map(PathBuf::from);
    let shared = shared.unwrap_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../shared")));
    let Ok(entries) = fs::read_dir(shared.join("corpus/medmij-push")) else {
        println!("SKIPPED: the shared corpus (corpus/medmij-push) is not there");
        return;
    };
    let stand = Stand::by_folder();
    let person = stand.person(&["clinic"]);
    stand.link_folder("patient", &person.accounts[0].reference);
    let paths = entries.map(|entry| entry.unwrap().path());
    let files: Vec<PathBuf> = paths.filter(|path| path.extension().is_some_and(|ending| ending == "xml")).collect();
    assert_eq!(files.len(), 18);
    for path in &files {
        let name = path.file_name().unwrap().to_str().unwrap();
        stand.drop_file(&format!("patient/{name}"), &fs::read(path).unwrap());
    }
    assert_eq!(stand.once(), 0);
    for path in &files {
        let json = as_json(&fs::read(path).unwrap());
        let received = stand.received(&json);
        assert_eq!(received.len(), 1, "{}", path.display());
        assert_eq!(received[0].body.as_deref(), Some(&json[..]));
    }
}
