//! `profiles rm`: files leave the folder, unless what stays needs them.

use super::{
    Exit, Failed, Form,
    folder::Folder,
    load::{self, is_definition},
    lock::{Locked, PackageId},
    print, reload,
};
use crate::stu3::package::{Archive, ArchiveLimits, VersionRange};
use serde_json::json;
use std::{collections::BTreeSet, path::Path};

/// What to take away
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// A file's name in the folder, or a package's name, with its version where there are several
    #[arg(required = true, value_name = "NAME[@VERSION]|FILE")]
    what: Vec<String>,
    /// Also what other packages need
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    reload: reload::After,
}

pub(super) fn run(config: &Path, args: &Args, form: Form) -> Result<Exit, Failed> {
    let path = load::folder(config);
    if !path.is_dir() {
        return Err(Failed::sentence(Exit::No, format!("there is no folder {}", path.display())));
    }
    let mut folder = Folder::open(path)?;
    let names = folder.names()?;
    let packages = packages(&folder, &names);
    let mut going = BTreeSet::new();
    for text in &args.what {
        going.insert(file_of(text, &folder, &names, &packages)?);
    }
    let staying: Vec<&Locked> = folder.lock.files().iter().filter(|locked| !going.contains(&locked.file)).collect();
    let stays: Vec<&PackageId> =
        packages.iter().filter(|(file, _)| !going.contains(file)).map(|(_, package)| package).collect();
    let mut needed = Vec::new();
    for (_, package) in packages.iter().filter(|(file, _)| going.contains(file)) {
        let needs = |locked: &&&Locked| {
            let version = locked.needs.get(&package.name);
            version.is_some_and(|version| {
                admits(version, &package.version)
                    && !stays.iter().any(|other| other.name == package.name && admits(version, &other.version))
            })
        };
        needed.extend(staying.iter().filter(needs).map(|locked| format!("{} needs {package}", locked.file)));
    }
    if !needed.is_empty() && !args.force {
        let text = format!("{}; nothing was removed. Remove both, or say --force", needed.join("; "));
        return Err(Failed::sentence(Exit::No, text));
    }
    let unneeded: Vec<String> = staying
        .iter()
        .filter(|locked| locked.as_dependency && !is_needed(locked, &staying))
        .map(|locked| locked.file.clone())
        .collect();
    // the lock first: who loads meanwhile finds a file without an entry, never an entry without its file
    going.iter().for_each(|file| folder.lock.remove(file));
    folder.write_lock()?;
    for file in &going {
        folder.take(file)?;
    }
    for file in unneeded {
        print::complain(&format!("pushbridge: nothing needs {file} any more: pushbridge profiles rm {file}"));
    }
    for file in &going {
        match form {
            Form::Json => print::json(&json!({"state": "removed", "file": file}))?,
            Form::Text => print::line(&format!("removed: {file}"))?,
        }
    }
    drop(folder);
    reload::after(config, args.reload, form)
}

/// The packages of the folder: as the lock says, or as a file that was dropped there says itself.
fn packages(folder: &Folder, names: &[String]) -> Vec<(String, PackageId)> {
    let locked = folder.lock.files().iter().filter_map(|locked| Some((locked.file.clone(), locked.package.clone()?)));
    let dropped = names.iter().filter(|name| folder.lock.get(name).is_none() && !is_definition(Path::new(name)));
    let dropped = dropped.filter_map(|name| {
        // one that cannot be read can still be named by its file
        let bytes = load::read(&folder.path().join(name)).ok()?;
        let manifest = Archive::read(&bytes, &ArchiveLimits::default()).ok()?.manifest;
        Some((name.clone(), PackageId { name: manifest.name, version: manifest.version }))
    });
    locked.chain(dropped).collect()
}

fn file_of(text: &str, folder: &Folder, names: &[String], packages: &[(String, PackageId)]) -> Result<String, Failed> {
    if names.iter().any(|name| name == text) || folder.lock.get(text).is_some() {
        return Ok(text.to_owned());
    }
    let (name, version) = text.split_once(['@', '#']).map_or((text, None), |(name, version)| (name, Some(version)));
    let is_meant =
        |package: &PackageId| package.name == name && version.is_none_or(|version| package.version == version);
    let found: Vec<&(String, PackageId)> = packages.iter().filter(|(_, package)| is_meant(package)).collect();
    match found[..] {
        [(file, _)] => Ok(file.clone()),
        [] => {
            let text = format!(
                "there is no {text} in {}; `pushbridge profiles ls` lists what there is",
                folder.path().display()
            );
            Err(Failed::sentence(Exit::No, text))
        }
        _ => {
            let which: Vec<String> = found.iter().map(|(_, package)| package.to_string()).collect();
            Err(Failed::sentence(Exit::No, format!("there are several; say which: {}", which.join(", "))))
        }
    }
}

fn is_needed(package: &Locked, by: &[&Locked]) -> bool {
    let needs = |locked: &&&Locked| {
        let id = package.package.as_ref();
        id.is_some_and(|id| locked.needs.get(&id.name).is_some_and(|version| admits(version, &id.version)))
    };
    by.iter().any(|locked| needs(&locked))
}

fn admits(range: &str, version: &str) -> bool {
    range.parse::<VersionRange>().is_ok_and(|range| range.admits(version))
}
