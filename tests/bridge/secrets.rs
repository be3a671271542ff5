//! Tokens at rest: sealed under a key that can be rotated, kept elsewhere, and is missed by its id.

use super::stand::{Stand, program, sample};
use pushbridge::sandbox::{Fault, Target};
use std::{collections::BTreeMap, fs, os::unix::fs::PermissionsExt, path::Path};

fn is_written(folder: &Path, text: &str) -> bool {
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap()).any(|entry| {
        let kind = entry.file_type().unwrap();
        kind.is_dir() && is_written(&entry.path(), text)
            || kind.is_file()
                && fs::read(entry.path()).unwrap().windows(text.len()).any(|window| window == text.as_bytes())
    })
}

#[test]
fn tokens_are_nowhere_in_clear_and_the_key_can_be_rotated() {
    let mut stand = Stand::by_folder();
    let person = stand.person(&["clinic"]);
    stand.link_folder("alex", &person.accounts[0].reference);
    let tokens = fs::read_to_string(stand.path("tokens.json")).unwrap();
    let tokens: serde_json::Value = serde_json::from_str(&tokens).unwrap();
    let [access, refresh] = ["accessToken", "refreshToken"].map(|name| tokens[name]["value"].as_str().unwrap());
    assert!(is_written(&stand.path("state"), person.accounts[0].reference.as_str()), "the search finds what is there");
    assert!(!is_written(&stand.path("state"), access) && !is_written(&stand.path("state"), refresh));

    let status = || -> serde_json::Value { serde_json::from_str(&stand.ok(&["--json", "secrets", "status"])).unwrap() };
    let before = status();
    stand.ok(&["secrets", "rotate"]);
    let after = status();
    assert_ne!(before["present"], after["present"]);
    assert_eq!(after["earlier"], serde_json::json!([]));
    let kept = stand.path(&format!("state/secrets.key.{}", before["present"].as_str().unwrap()));
    assert_eq!(fs::metadata(kept).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(!stand.path("state/.secrets.key.new").exists());

    stand.start_daemon();
    let output = stand.run(&["secrets", "rotate"]);
    assert_eq!(output.status.code(), Some(5), "a daemon has the store");
    stand.drop_file("alex/weight.json", &sample("valid/weight-batch.json"));
    stand.wait_for_stage("alex/weight.json", "delivered");
    assert_eq!(stand.stop_daemon(), Some(0));
    assert!(!is_written(&stand.path("state"), "token-"));
}

#[test]
fn a_key_from_elsewhere_is_taken_and_missed_by_its_id() {
    let stand = Stand::by_folder();
    let config = stand.path("pushbridge.toml");
    let text = fs::read_to_string(&config).unwrap();
    fs::write(&config, format!("[secrets]\nkey = \"env:SEALING\"\n{text}")).unwrap();
    let tokens = stand.path("tokens.json");
    fs::write(&tokens, stand.sandbox.add_person(&["clinic"]).tokens.to_string()).unwrap();
    let key = |byte: &str| byte.repeat(32);
    let run = |key: Option<String>, arguments: &[&str]| {
        let mut command = program();
        command.arg("--config").arg(&config).args(arguments).env_remove("SEALING");
        command.envs(key.map(|key| ("SEALING", key))).output().unwrap()
    };
    let import = ["tokens", "import", "--contract", "main", tokens.to_str().unwrap()];
    assert_eq!(run(None, &import).status.code(), Some(3));
    assert_eq!(run(Some(key("ab")), &import).status.code(), Some(0));
    let missed = run(Some(key("cd")), &["tokens", "status"]);
    assert_eq!(missed.status.code(), Some(3));
    let text = String::from_utf8(missed.stderr).unwrap();
    let status = run(Some(key("ab")), &["--json", "secrets", "status"]);
    let status: serde_json::Value = serde_json::from_slice(&status.stdout).unwrap();
    assert!(text.contains(&format!("sealed under key {}", status["present"].as_str().unwrap())), "{text}");
    // The new one in front, one start, and the old one is needed no more.
    assert_eq!(run(Some(format!("{} {}", key("cd"), key("ab"))), &["tokens", "status"]).status.code(), Some(0));
    assert_eq!(run(Some(key("cd")), &["tokens", "status"]).status.code(), Some(0));
    let rotated = run(Some(key("cd")), &["secrets", "rotate"]);
    assert_eq!(rotated.status.code(), Some(2), "a variable is not ours to write");
}

#[test]
fn a_key_that_others_may_read_or_that_is_gone_stops_everything() {
    let stand = Stand::by_folder();
    stand.person(&["clinic"]);
    let key = stand.path("state/secrets.key");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o640)).unwrap();
    let refused = stand.run(&["tokens", "status"]);
    assert_eq!(refused.status.code(), Some(3));
    assert!(String::from_utf8(refused.stderr).unwrap().contains("chmod 600"));
    fs::remove_file(&key).unwrap();
    let refused = stand.run(&["run", "--once"]);
    assert_eq!(refused.status.code(), Some(3));
    assert!(String::from_utf8(refused.stderr).unwrap().contains("restore it"));
    assert!(!key.exists(), "no new key hides that the old one is missing");
}

#[test]
fn a_redirect_is_not_followed_with_a_token() {
    let mut stand = Stand::by_folder();
    let person = stand.person(&["clinic"]);
    stand.link_folder("alex", &person.accounts[0].reference);
    let elsewhere = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    elsewhere.set_nonblocking(true).unwrap();
    let address = format!("http://{}/", elsewhere.local_addr().unwrap());
    for target in [Target::Push, Target::Accounts, Target::Refresh] {
        let headers = BTreeMap::from([("location".to_owned(), address.clone())]);
        stand.sandbox.order(target, Fault::Status { status: 307, headers, body: String::new() }, 1);
    }
    stand.start_daemon();
    stand.drop_file("alex/weight.json", &sample("valid/weight-batch.json"));
    stand.wait("the redirect is told", || stand.log().contains("redirects are never followed"));
    stand.ok(&["tokens", "refresh", "--contract", "main"]);
    stand.wait_for_stage("alex/weight.json", "delivered");
    assert_eq!(elsewhere.accept().unwrap_err().kind(), std::io::ErrorKind::WouldBlock, "nobody came");
}
