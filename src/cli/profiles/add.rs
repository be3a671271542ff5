//! `profiles add`: packages and definitions come into the folder, with what they need, or not at all.

use super::{
    Exit, Failed, Form,
    folder::Folder,
    load::{self, is_definition},
    lock::Locked,
    origin::Origins,
    plan::{Plan, Staged},
    print, reload,
};
use crate::stu3::package::{Library, PackageName, VersionRange};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

/// What to add
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// A FHIR package (.tgz), a definition (.json, .xml), or a package's NAME@VERSION (3.0.x: its newest patch)
    #[arg(required = true, value_name = "FILE|NAME@VERSION")]
    what: Vec<String>,
    /// The FHIR package registry to ask for what is not in the cache; instead of [profiles] registry
    #[arg(long, value_name = "URL")]
    registry: Option<String>,
    /// Leave out the packages that these need
    #[arg(long)]
    no_dependencies: bool,
    #[command(flatten)]
    reload: reload::After,
}

/// What an argument means.
enum Wanted {
    File(PathBuf),
    Package(PackageName, VersionRange),
}

pub(super) fn run(config: &Path, args: &Args, form: Form) -> Result<Exit, Failed> {
    let wanted: Vec<Wanted> = args.what.iter().map(|text| wanted(text)).collect::<Result<_, _>>()?;
    let origins = Origins::new(config, args.registry.as_deref())?;
    let mut folder = Folder::open(load::folder(config))?;
    let present = load::everything(config, &[])?;
    let mut plan =
        Plan { folder: &folder, origins, present: &present.files, staged: BTreeMap::new(), warnings: Vec::new() };
    // files first: they may be what a package needs
    for file in &wanted {
        if let Wanted::File(path) = file {
            plan.file(path)?;
        }
    }
    for package in &wanted {
        if let Wanted::Package(name, range) = package {
            plan.package(name, range)?;
        }
    }
    if !args.no_dependencies {
        plan.dependencies()?;
    }
    plan.circles();
    let Plan { staged, mut warnings, .. } = plan;
    let library = compiled(&folder, &staged, &mut warnings)?;
    let mut put = Vec::new();
    for staged in staged.values().filter(|staged| staged.is_new) {
        if let Err(failed) = folder.put(&staged.locked.file, &staged.bytes) {
            for file in put {
                folder.take(file)?;
            }
            return Err(failed);
        }
        put.push(&staged.locked.file);
    }
    for staged in staged.values() {
        folder.lock.insert(staged.locked.clone());
    }
    folder.write_lock()?;
    warnings.iter().for_each(|text| print::complain(&format!("pushbridge: {text}")));
    tell(&staged, &library, form)?;
    reload::after(config, args.reload, form)
}

/// A file where there is one or the name is one's; else a package.
fn wanted(text: &str) -> Result<Wanted, Failed> {
    let path = Path::new(text);
    if load::kind(path).is_some() || path.exists() {
        return Ok(Wanted::File(path.to_owned()));
    }
    let usage = |why: String| Failed::sentence(Exit::Usage, why);
    let Some((name, version)) = text.split_once(['@', '#']) else {
        return Err(usage(format!("there is no file {text}; a package is named with its version, as NAME@VERSION")));
    };
    let name = name.parse::<PackageName>().map_err(|error| usage(format!("{text}: {error}")))?;
    let range = version.parse::<VersionRange>().map_err(|error| usage(format!("{text}: {error}")))?;
    Ok(Wanted::Package(name, range))
}

/// The folder as it is going to be. A single definition that would be unusable is refused; of packages it is told.
fn compiled(folder: &Folder, staged: &BTreeMap<String, Staged>, warnings: &mut Vec<String>) -> Result<Library, Failed> {
    let new: Vec<(PathBuf, &[u8])> = staged
        .values()
        .filter(|staged| staged.is_new)
        .map(|staged| (folder.path().join(&staged.locked.file), &staged.bytes[..]))
        .collect();
    let library = load::with(folder.path(), &new)?;
    for (path, _) in &new {
        let label = path.display().to_string();
        let mut errors = library.problems().iter().filter(|problem| !problem.defect.is_warning());
        if let Some(problem) = errors.find(|problem| is_definition(path) && *problem.file == *label) {
            return Err(Failed::sentence(Exit::No, format!("{problem}; nothing was added")));
        }
    }
    for package in staged.values().filter_map(|staged| staged.locked.package.as_ref()) {
        let begin = format!("{}#{}/", package.name, package.version);
        let errors = library.problems().iter().filter(|problem| !problem.defect.is_warning());
        let count = errors.filter(|problem| problem.file.starts_with(&begin)).count();
        if count > 0 {
            warnings.push(format!("{package} has {count} errors; `pushbridge profiles check` says which"));
        }
    }
    Ok(library)
}

#[derive(serde::Serialize)]
struct Row<'r> {
    state: &'static str,
    #[serde(flatten)]
    locked: &'r Locked,
}

fn tell(staged: &BTreeMap<String, Staged>, library: &Library, form: Form) -> Result<(), Failed> {
    for staged in staged.values() {
        let locked = &staged.locked;
        match form {
            Form::Json => print::json(&Row { state: if staged.is_new { "added" } else { "present" }, locked })?,
            Form::Text => {
                let state = if staged.is_new { "added" } else { "already there" };
                let why = if locked.as_dependency { ", which another needs" } else { "" };
                print::line(&format!("{state}: {} (from: {}){why}", locked.file, locked.source))?;
            }
        }
    }
    if form == Form::Text {
        let [profiles, sets, systems] =
            [library.profiles().len(), library.value_sets().len(), library.code_systems().len()];
        print::line(&format!("loaded now: {profiles} profiles, {sets} value sets, {systems} code systems"))?;
    }
    Ok(())
}
