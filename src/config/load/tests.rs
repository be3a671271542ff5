//! What is read of a file, and what is refused.

use super::*;
use crate::{
    config::{KeySource, Profiles, RuleRefusal},
    model::{PushType, Retention},
};
use std::time::Duration;

const GOOD: &str = r#"
[contract.main]
application_id = "app"
contract_id = "con"
key_file = "key.pem"
base_url = "http://127.0.0.1:1/v1.7"
[channel.clinic]
contract = "main"
inbox = "inbox"
[channel.clinic.route]
folder = true
"#;

fn read_text(text: &str) -> Result<Config, Vec<ConfigError>> {
    let environment = config::Environment::with_prefix("PUSHBRIDGE_TEST_NOTHING");
    let admits_rule = |key: &str| match key {
        "bdl-7" | "format-dateTime" => Ok(()),
        _ => Err(RuleRefusal { what: "there is no such rule".to_owned(), remedy: "did you mean bdl-7?".to_owned() }),
    };
    match read(Path::new("/etc/pushbridge.toml"), text, environment, admits_rule) {
        Ok(config) => Ok(config),
        Err(ConfigErrors::Wrong(errors)) => Err(errors),
        Err(ConfigErrors::File { .. }) => unreachable!("no file is read here"),
    }
}

fn errors(text: &str) -> Vec<String> {
    let errors = read_text(text).unwrap_err();
    errors.into_iter().map(|error| format!("{} {} {}; {}", error.place, error.key, error.what, error.remedy)).collect()
}

#[test]
fn a_sealing_key_is_named_and_never_written_into_the_file() {
    let with = |key: &str| format!("[secrets]\nkey = \"{key}\"\n{GOOD}");
    let source = |key: &str| read_text(&with(key)).unwrap().secrets.unwrap();
    assert_eq!(source("file:keys/one"), KeySource::File("/etc/keys/one".into()));
    assert_eq!(source("env:SEALING"), KeySource::Environment("SEALING".to_owned()));
    assert_eq!(source("credential:seal"), KeySource::Credential("seal".to_owned()));
    for wrong in ["ab".repeat(32), "credential:../x".to_owned(), "env:".to_owned(), "vault:x".to_owned()] {
        let told = errors(&with(&wrong));
        assert!(told[0].contains("secrets.key this names no source"), "{told:?}");
        assert!(!told[0].contains(&"ab".repeat(8)), "{told:?}");
    }
}

#[test]
fn a_short_file_is_enough() {
    let config = read_text(GOOD).unwrap();
    let channel = &config.channels[&"clinic".parse().unwrap()];
    assert_eq!(channel.quiet, std::time::Duration::from_secs(2));
    assert_eq!(channel.max_size, 64 << 20);
    assert_eq!(channel.inbox, Path::new("/etc/inbox"));
    assert_eq!(channel.folder, Path::new("/etc/channels/clinic"));
    assert_eq!(config.contracts[&"main".parse().unwrap()].base_url, "http://127.0.0.1:1/v1.7/");
    assert!(config.warnings.is_empty(), "{:?}", config.warnings);
}

#[test]
fn a_registry_is_asked_only_where_it_is_named_and_never_in_clear() {
    assert_eq!(read_text(GOOD).unwrap().profiles, Profiles::default());
    let with = |profiles: &str| format!("{GOOD}\n[profiles]\n{profiles}\n");
    let config = read_text(&with("registry = \"https://packages.example/npm\"\ncache = \"packages\"")).unwrap();
    assert_eq!(config.profiles.registry.as_deref(), Some("https://packages.example/npm/"));
    assert_eq!(config.profiles.cache(), Some("/etc/packages".into()));
    let found = errors(&with("registry = \"http://packages.example\""));
    assert!(found[0].contains("profiles.registry packages could be changed on their way"), "{found:?}");
}

#[test]
fn the_file_that_init_writes_can_be_read_as_it_is_and_with_every_default_written_out() {
    let file = crate::config::commented_file();
    let plain = read_text(&file).unwrap();
    let without_default = [
        "key = ",
        "ca_file",
        "client_",
        "proxy",
        "folder",
        "done_suffix",
        "expression",
        "default_account",
        "webhook",
        "quiet_alert",
        "registry",
        "cache",
        "url",
    ];
    let all: String = file
        .lines()
        .map(|line| match line.strip_prefix("# ").filter(|line| line.contains(" = ")) {
            Some(entry) if !without_default.iter().any(|key| entry.starts_with(key)) && !entry.contains("KEY") => entry,
            _ => line,
        })
        .fold(String::new(), |text, line| text + line + "\n");
    assert_eq!(read_text(&all).unwrap(), plain, "what is documented as a default is the default");
}

#[test]
fn all_errors_come_at_once_with_their_places() {
    let text = GOOD
        .replace("inbox = \"inbox\"", "inbox = \"inbox\"\nquite = \"2s\"\nmax_size = 64\nrescan = \"often\"")
        .replace("contract = \"main\"", "contract = \"mian\"");
    assert_eq!(
        errors(&text),
        [
            "/etc/pushbridge.toml:10:9 channel.clinic.quite there is no such key; did you mean quiet?",
            "/etc/pushbridge.toml:11:12 channel.clinic.max_size this is no size; write a number with B, KB, MB or GB: 64MB",
            "/etc/pushbridge.toml:12:10 channel.clinic.rescan this is no duration; write a number with ms, s, m, h or d: 500ms, 2s, 10m, 14d",
            "/etc/pushbridge.toml:8:12 channel.clinic.contract there is no such contract; did you mean main?",
        ]
    );
}

#[test]
fn folders_of_two_channels_never_meet() {
    let text = format!(
        "{GOOD}[channel.other]\ncontract = \"main\"\ninbox = \"inbox/sub\"\n[channel.other.route]\nfolder = true\n"
    );
    let found = errors(&text);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].contains("channel.other.inbox this folder is, holds or lies in that of channel.clinic.inbox"));
}

#[test]
fn a_default_account_needs_a_person_of_its_own() {
    let text = GOOD.replace("folder = true", "default_account = \"ref-1\"");
    assert!(errors(&text)[0].contains("single_person = true"));
    assert!(read_text(&text.replace("[channel.clinic.route]", "[channel.clinic.route]\nsingle_person = true")).is_ok());
}

#[test]
fn a_library_channel_has_labels_and_a_larger_limit() {
    let library = format!("{GOOD}[channel.clinic.library]\nreference = [\"case\"]\ntags = [\"letter\", \"2026\"]\n")
        .replace("inbox = \"inbox\"", "inbox = \"inbox\"\ntype = \"library\"");
    let channel = |text: &str| read_text(text).unwrap().channels.remove(&"clinic".parse().unwrap()).unwrap();
    let read = channel(&library);
    assert_eq!((read.push, read.max_size), (PushType::Library, 512 << 20));
    assert_eq!((read.reference.count(), read.tags.texts().join(" ").as_str()), (1, "letter 2026"));
    assert_eq!(channel(&library.replace("type =", "max_size = \"1GB\"\ntype =")).max_size, 1 << 30);
    assert_eq!((channel(GOOD).push, channel(GOOD).max_size), (PushType::Provider, 64 << 20));
    let found = errors(&library.replace("\"2026\"", "\"a\\nb\""));
    assert!(found[0].contains("channel.clinic.library.tags one of them has a control character"), "{found:?}");
}

#[test]
fn what_only_the_other_type_of_channel_has_is_refused_where_it_stands() {
    let library = GOOD.replace("inbox = \"inbox\"", "inbox = \"inbox\"\ntype = \"library\"\nmax_depth = 9");
    let library = format!(
        "{library}patient_systems = [\"http://x.example\"]\nexpression = \"Bundle.id\"\n[channel.clinic.validate.rules]\nbdl-7 = \"off\"\n"
    );
    let found = errors(&library);
    let keys: Vec<_> = found.iter().map(|error| error.split(' ').nth(1).unwrap()).collect();
    let wanted = ["route.patient_systems", "route.expression", "max_depth", "validate.rules.bdl-7"];
    assert_eq!(keys, wanted.map(|key| format!("channel.clinic.{key}")), "{found:?}");
    assert!(found[0].contains("go by folder, sidecar or default_account"), "{found:?}");
    let provider = format!("{GOOD}[channel.clinic.library]\ntags = [\"letter\"]\n");
    assert!(errors(&provider)[0].contains("channel.clinic.library.tags Bundles carry no labels"));
    assert!(errors(&GOOD.replace("inbox =", "type = \"both\"\ninbox ="))[0].contains("provider|library"));
}

#[test]
fn tokens_never_travel_in_clear() {
    let found = errors(&GOOD.replace("http://127.0.0.1:1/", "http://api.example/"));
    assert!(found[0].contains("contract.main.base_url tokens would travel in clear"), "{found:?}");
    assert!(errors(&GOOD.replace("http://127.0.0.1:1/", "http://localhost.example/"))[0].contains("in clear"));
}

#[test]
fn alerts_never_travel_in_clear_and_their_address_is_never_shown() {
    let with = |alerts: &str| format!("[alerts]\n{alerts}\n{GOOD}");
    let config =
        read_text(&with("command = [\"bin/page\", \"bin/x\"]\nwebhook = \"https://a.example/secret\"")).unwrap();
    assert_eq!(config.alerts.command, ["/etc/bin/page", "bin/x"]);
    assert!(!format!("{config:?}").contains("secret\""));
    let found = errors(&with("webhook = \"http://a.example/secret\""));
    assert!(found[0].contains("alerts.webhook alerts would travel in clear") && !found[0].contains("a.example"));
    assert_eq!(read_text(GOOD).unwrap().alerts.webhook, None);
}

#[test]
fn retention_has_floors() {
    let with = |retention: &str| format!("[retention]\n{retention}\n{GOOD}");
    let config = read_text(&with("done = \"24h\"\nfailed = \"never\"\ndone_size = \"never\"")).unwrap();
    let retention = config.retention;
    assert_eq!((retention.done, retention.failed), (Some(Retention::LEAST), None));
    assert_eq!((retention.done_size, retention.duplicates), (None, Some(Duration::from_secs(90 * 86_400))));
    let found = errors(&with("done = \"23h\"\nfailed = \"13d\"\nduplicates = \"1d\"\nevery = \"1ms\""));
    assert_eq!(found.len(), 4, "{found:?}");
    assert!(found[1].contains("retention.failed files would go too soon; write at least 336h, or never"));
}

#[test]
fn a_client_certificate_has_its_key() {
    let with = |keys: &str| GOOD.replace("key_file", &format!("{keys}\nkey_file"));
    let config = read_text(&with("client_cert = \"c.pem\"\nclient_key = \"c.key\"")).unwrap();
    let contract = &config.contracts[&"main".parse().unwrap()];
    assert_eq!(contract.client_key.as_deref(), Some(Path::new("/etc/c.key")));
    for (alone, other) in [("client_cert", "client_key"), ("client_key", "client_cert")] {
        let found = errors(&with(&format!("{alone} = \"c.pem\"")));
        assert!(found.len() == 1 && found[0].contains(&format!("add {other}")), "{found:?}");
    }
}

#[test]
fn levels_of_rules_are_read_in_both_forms_and_unknown_ones_are_placed() {
    let table = format!("{GOOD}[channel.clinic.validate.rules]\nformat-dateTime = \"warning\"\nbdl-7 = \"off\"\n");
    let inline =
        format!("{GOOD}[channel.clinic.validate]\nrules = {{ bdl-7 = \"off\", format-dateTime = \"warning\" }}\n");
    for text in [&table, &inline] {
        let config = read_text(text).unwrap();
        let rules = &config.channels[&"clinic".parse().unwrap()].rules;
        let rules: Vec<_> = rules.iter().map(|(key, level)| (key.as_str(), level.as_str())).collect();
        assert_eq!(rules, [("bdl-7", "off"), ("format-dateTime", "warning")]);
    }
    let wrong = table.replace("bdl-7 = \"off\"", "bdl-77 = \"off\"").replace("warning", "warn");
    assert_eq!(
        errors(&wrong),
        [
            "/etc/pushbridge.toml:14:10 channel.clinic.validate.rules.bdl-77 there is no such rule; did you mean bdl-7?",
            "/etc/pushbridge.toml:13:19 channel.clinic.validate.rules.format-dateTime this is no level; write error, warning, information or off",
        ]
    );
}

#[test]
fn broken_toml_is_placed() {
    assert!(errors("[log\nlevel = 1").first().unwrap().starts_with("/etc/pushbridge.toml:1:5 (syntax)"));
}
