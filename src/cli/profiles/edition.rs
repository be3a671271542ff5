//! What the daemon judges by: everything in the folder, which has to be usable as a whole, and the settings that name
//! profiles of it.

use super::{Exit, Failed, load};
use crate::{
    cli::terminology::Asked,
    config::{Config, nearest},
    engine::{Edition, EditionFacts, Load},
    model::Timestamp,
    stu3::package::Library,
    validate::Validator,
};
use std::sync::Arc;

/// Problems that are told in one go; `profiles check` lists all.
const TOLD: usize = 10;

/// What lies in the folder now.
pub(in crate::cli) fn edition(config: &Config, server: Option<Arc<Asked>>) -> Result<Edition, Failed> {
    let loaded = load::everything_if_any(&config.file, &[]).map_err(as_configuration)?;
    usable(&loaded.library)?;
    known(config, &loaded.library)?;
    let library = loaded.library;
    let facts = EditionFacts {
        loaded: Some(Timestamp::now()),
        files: loaded.files.into_iter().map(|file| (file.file, file.sha256)).collect(),
        profiles: library.profiles().len(),
        value_sets: library.value_sets().len(),
        code_systems: library.code_systems().len(),
    };
    let validator = Validator::with(Arc::new(library));
    let validator = match server {
        Some(server) => validator.asking(server),
        None => validator,
    };
    Ok(Edition { validator, facts })
}

/// The same for every later time.
pub(in crate::cli) fn loader(config: &Config, server: Option<Arc<Asked>>) -> Load {
    let config = config.clone();
    Arc::new(move || edition(&config, server.clone()).map_err(|failed| failed.text()))
}

/// A folder that is not as its lock says is a wrong configuration for whoever goes on for days with it.
fn as_configuration(failed: Failed) -> Failed {
    match failed.exit {
        Exit::No => Failed { exit: Exit::Config, ..failed },
        _ => failed,
    }
}

/// Nothing in it is unusable.
fn usable(library: &Library) -> Result<(), Failed> {
    let errors: Vec<String> =
        library.problems().iter().filter(|problem| !problem.defect.is_warning()).map(ToString::to_string).collect();
    if errors.is_empty() {
        return Ok(());
    }
    let more = errors.len().saturating_sub(TOLD);
    let mut text = format!("profiles are unusable: mend them, or take them out of profiles/\n  {}", {
        let told: Vec<&str> = errors.iter().take(TOLD).map(String::as_str).collect();
        told.join("\n  ")
    });
    if more > 0 {
        text.push_str(&format!("\n  and {more} more: pushbridge profiles check"));
    }
    Err(Failed::sentence(Exit::Config, text))
}

/// Every profile that a channel names is there.
fn known(config: &Config, library: &Library) -> Result<(), Failed> {
    let mut wrong = Vec::new();
    for (name, channel) in &config.channels {
        for (key, urls) in [("require", &channel.require), ("allow", &channel.allow)] {
            for url in urls.iter().filter(|url| library.snapshot(url).is_none()) {
                let text = format!("channel.{name}.validate.{key}: {}", unknown(library, url));
                wrong.push(text);
            }
        }
    }
    if wrong.is_empty() {
        return Ok(());
    }
    Err(Failed::say(Exit::Config, format!("use the configuration: {} to mend\n  {}", wrong.len(), wrong.join("\n  "))))
}

/// That no such profile is loaded, and which one was meant most likely.
pub(in crate::cli) fn unknown(library: &Library, url: &str) -> String {
    let loaded = library.profiles().iter().map(|profile| &*profile.definition.url);
    let known = loaded.chain(Library::own_profiles().map(|profile| &*profile.definition.url));
    match nearest(url, known) {
        Some(known) => format!("{url}: no such profile is loaded; did you mean {known}?"),
        None => format!("{url}: no such profile is loaded; pushbridge profiles ls --release lists all"),
    }
}
