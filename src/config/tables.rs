//! The tables that stand once in a file, and those of contracts.

use super::{
    KeySource,
    section::Section,
    settings::{Alerts, Contract, Level, Limits, Log, LogFormat, Profiles, Terminology},
};
use crate::model::{Retention, Secret};
use std::time::Duration;

pub(super) fn key_source(section: &mut Section<'_, '_>) -> Option<KeySource> {
    let text = section.text("key")?;
    let name_is_plain = |name: &str| !name.is_empty() && !name.contains(['/', '=', '\0']);
    match text.split_once(':') {
        Some(("file", path)) if !path.is_empty() => Some(KeySource::File(section.resolve(path))),
        Some(("env", name)) if name_is_plain(name) => Some(KeySource::Environment(name.to_owned())),
        Some(("credential", name)) if name_is_plain(name) => Some(KeySource::Credential(name.to_owned())),
        _ => {
            // Somebody may have written the key itself here.
            section.refuse(
                "key",
                "this names no source",
                "write file:PATH, env:NAME or credential:NAME, never the key itself",
            );
            None
        }
    }
}

pub(super) fn log(section: &mut Section<'_, '_>) -> Option<Log> {
    let levels = [("error", Level::Error), ("warn", Level::Warn), ("info", Level::Info), ("debug", Level::Debug)];
    let level = section.word("level", &levels);
    let format = section.word("format", &[("human", LogFormat::Human), ("json", LogFormat::Json)]);
    Some(Log { level: level?, format: format? })
}

pub(super) fn limits(section: &mut Section<'_, '_>) -> Limits {
    Limits {
        connections: section.number("connections", 1, 256) as usize,
        judge_threads: section.number("judge_threads", 1, 64) as usize,
        memory: section.size("memory"),
        min_free: section.size("min_free"),
        shutdown_grace: section.duration("shutdown_grace"),
    }
}

/// How long files are kept, and how often that is looked at. The floors are refused here and kept where files go.
pub(super) fn retention(section: &mut Section<'_, '_>) -> (Retention, Duration) {
    let mut age = |key: &str, least: Duration| {
        if section.text(key).as_deref() == Some("never") {
            return None;
        }
        let age = section.duration(key);
        if age < least {
            let hours = least.as_secs() / 3_600;
            section.refuse(key, "files would go too soon", &format!("write at least {hours}h, or never"));
        }
        Some(age)
    };
    let done = age("done", Retention::LEAST);
    let failed = age("failed", Retention::LEAST_FAILED);
    let duplicates = age("duplicates", Retention::LEAST_FAILED);
    let is_never = section.text("done_size").as_deref() == Some("never");
    let done_size = (!is_never).then(|| section.size("done_size"));
    let every = section.duration("every");
    if every < Duration::from_secs(1) {
        section.refuse("every", "this is too often", "write at least 1s");
    }
    (Retention { done, done_size, failed, duplicates }, every)
}

pub(super) fn alerts(section: &mut Section<'_, '_>) -> Alerts {
    let mut command = section.list("command");
    // A path is meant from the file's folder; a bare name is looked up in PATH.
    if let Some(program) = command.first_mut().filter(|program| program.contains('/')) {
        *program = section.resolve(program).to_string_lossy().into_owned();
    }
    let webhook = section.text("webhook").filter(|address| {
        let is_safe = is_safe(address);
        if !is_safe {
            section.refuse(
                "webhook",
                "alerts would travel in clear",
                "write an https URL (http only to 127.0.0.1 or localhost)",
            );
        }
        is_safe
    });
    Alerts {
        command,
        webhook: webhook.map(Secret::new),
        timeout: section.duration("timeout"),
        gather: section.duration("gather"),
    }
}

pub(super) fn profiles(section: &mut Section<'_, '_>) -> Profiles {
    Profiles {
        registry: url(section, "registry", "packages could be changed on their way"),
        cache: section.path("cache"),
        ca_file: section.path("ca_file"),
        proxy: section.text("proxy"),
    }
}

pub(super) fn terminology(section: &mut Section<'_, '_>) -> Terminology {
    Terminology {
        url: url(section, "url", "codes, and what is said of them, could be read and changed on their way"),
        ca_file: section.path("ca_file"),
        proxy: section.text("proxy"),
        timeout: section.duration("timeout"),
        keep: section.duration("keep"),
    }
}

pub(super) fn contract(section: &mut Section<'_, '_>) -> Option<Contract> {
    let application_id = section.needed("application_id");
    let contract_id = section.needed("contract_id");
    section.needed("key_file");
    let key_file = section.path("key_file");
    let base_url = url(section, "base_url", IN_CLEAR);
    let onboard_url = url(section, "onboard_url", IN_CLEAR);
    let (client_cert, client_key) = (section.path("client_cert"), section.path("client_key"));
    for (key, other, is_alone) in [
        ("client_cert", "client_key", client_key.is_none() && client_cert.is_some()),
        ("client_key", "client_cert", client_cert.is_none() && client_key.is_some()),
    ] {
        if is_alone {
            section.refuse(key, "a certificate and its key belong together", &format!("add {other}, or remove this"));
        }
    }
    Some(Contract {
        jku_origins: section.list("jku_origins"),
        ca_file: section.path("ca_file"),
        client_cert,
        client_key,
        proxy: section.text("proxy"),
        connect_timeout: section.duration("connect_timeout"),
        idle_timeout: section.duration("idle_timeout"),
        total_timeout: section.duration("total_timeout"),
        accounts_sync: section.duration("accounts_sync"),
        token_warning: section.duration("token_warning"),
        application_id: application_id?,
        contract_id: contract_id?,
        key_file: key_file?,
        base_url: base_url?,
        onboard_url: onboard_url?,
    })
}

const IN_CLEAR: &str = "tokens would travel in clear";

/// An address, with one trailing slash; nothing travels in clear to another machine.
fn url(section: &mut Section<'_, '_>, key: &str, why: &str) -> Option<String> {
    let text = section.text(key)?;
    if !is_safe(&text) {
        section.refuse(key, why, "write an https URL (http only to 127.0.0.1 or localhost)");
        return None;
    }
    Some(format!("{}/", text.trim_end_matches('/')))
}

/// What is sent there does not travel in clear to another machine.
fn is_safe(address: &str) -> bool {
    let is_local = ["http://127.", "http://localhost:", "http://localhost/", "http://[::1]"];
    address.starts_with("https://") || is_local.iter().any(|start| address.starts_with(start))
}
