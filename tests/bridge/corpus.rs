//! Real pushes through the daemon, where the shared corpus is there.

use super::stand::Stand;
use std::{fs, path::PathBuf};

fn pushes() -> Option<Vec<(String, Vec<u8>)>> {
    let shared = std::env::var_os("PUSHBRIDGE_SHARED").map(PathBuf::from);
    let shared = shared.unwrap_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../shared")));
    let entries = fs::read_dir(shared.join("corpus/medmij-push")).ok()?;
    let mut files: Vec<_> = entries
        .filter_map(|entry| {
            let path = entry.ok()?.path();
            let name = path.file_name()?.to_str()?.to_owned();
            name.ends_with(".json").then(|| (name, fs::read(path).expect("the corpus can be read")))
        })
        .collect();
    files.sort();
    Some(files)
}

#[test]
fn eighteen_real_pushes_arrive_byte_for_byte_by_folder_sidecar_and_expression() {
    let Some(pushes) = pushes() else {
        println!("SKIPPED: the shared corpus (corpus/medmij-push) is not there");
        return;
    };
    assert_eq!(pushes.len(), 18);
    let table = |name: &str, settings: &str, route: &str| {
        format!(
            "[channel.{name}]\ncontract = \"main\"\ninbox = \"{name}\"\nquiet = \"100ms\"\n{settings}[channel.{name}.route]\n{route}"
        )
    };
    let channels = table("folder", "", "folder = true\n")
        + &table("sidecar", "sidecar = true\n", "")
        + &table("expression", "", "expression = \"Bundle.identifier.value\"\n");
    let stand = Stand::new(&channels);
    for name in ["folder/patient", "sidecar", "expression"] {
        fs::create_dir_all(stand.path(name)).unwrap();
    }
    let person = stand.person(&["one", "two", "three"]);
    let account = |number: usize| person.accounts[number].clone();
    stand.ok(&["links", "add", "folder", "folder", "patient", &account(0).reference]);
    for (number, (name, bytes)) in pushes.iter().enumerate() {
        let channel = ["folder/patient", "sidecar", "expression"][number % 3];
        if channel == "sidecar" {
            let sidecar = format!("{{\"accountReference\": \"{}\"}}", account(1).reference);
            fs::write(stand.path(channel).join(format!("{name}.route.json")), sidecar).unwrap();
        }
        if channel == "expression" {
            let bundle: serde_json::Value = serde_json::from_slice(bytes).unwrap();
            let value = bundle["identifier"]["value"].as_str().unwrap();
            stand.ok(&["links", "add", "expression", "expression", value, &account(2).reference]);
        }
        fs::write(stand.path(channel).join(name), bytes).unwrap();
    }
    assert_eq!(stand.once(), 0);
    for (number, (name, bytes)) in pushes.iter().enumerate() {
        let received = stand.received(bytes);
        assert_eq!(received.len(), 1, "{name}");
        assert_eq!(received[0].body.as_deref(), Some(&bytes[..]), "{name}");
        assert_eq!(received[0].account_id, account(number % 3).id, "{name}");
    }
}
