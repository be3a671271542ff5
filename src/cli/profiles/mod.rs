//! `profiles`: what is loaded, what a profile asks for, and what is wrong with any of it.

mod add;
pub(super) mod edition;
mod folder;
mod list;
pub(super) mod load;
mod lock;
mod origin;
mod plan;
mod reload;
mod remove;
mod show;

use super::{
    Form,
    exit::{Exit, Failed},
    print,
};
use crate::stu3::package::Library;
use std::path::{Path, PathBuf};

/// FHIR packages and profiles: what there is, what it asks for, what is wrong with it
#[derive(Debug, clap::Subcommand)]
#[command(
    after_help = "Profiles are read from the folder profiles/ beside the configuration file: FHIR packages (.tgz) and single \
StructureDefinitions, ValueSets, CodeSystems and Questionnaires (.json, .xml). Files whose names end with .errata.json correct \
constraints of profiles. --package adds a file that lies elsewhere. What `add` puts \
there is pinned by its digest in profiles/profiles.lock.

Examples:
  pushbridge profiles add nictiz.fhir.nl.stu3.zib2017-2.2.18.tgz
  pushbridge profiles add nictiz.fhir.nl.stu3.zib2017@2.2.18 --registry https://packages.simplifier.net
  pushbridge profiles check
  pushbridge profiles reload
  pushbridge profiles ls
  pushbridge profiles show zib-BloodPressure
  pushbridge profiles show --json http://nictiz.nl/fhir/StructureDefinition/zib-BloodPressure | jq -r .id"
)]
pub(super) enum Command {
    /// Put packages and definitions into profiles/, with the packages that they need
    #[command(
        after_help = "A package that is asked for by name comes from the FHIR package cache (~/.fhir/packages, or [profiles] cache), and else \
from the registry that [profiles] registry or --registry names; without one nothing is asked over the network. What a \
package needs comes the same way. Everything is checked first: it is added as a whole or not at all, and no file is ever \
replaced. Each file's source and SHA-256 are kept in profiles/profiles.lock and checked whenever profiles are loaded.

Examples:
  pushbridge profiles add nictiz.fhir.nl.stu3.zib2017-2.2.18.tgz
  pushbridge profiles add own-profile.json own-codes.xml
  pushbridge profiles add nictiz.fhir.nl.stu3.zib2017@2.2.18
  pushbridge profiles add nictiz.fhir.nl.stu3.zib2017@2.2.x --registry https://packages.simplifier.net

Ends with 1 where something is not found, is unusable, or is there with another content; 6 where the registry cannot be \
reached or refuses."
    )]
    Add(add::Args),
    /// Take packages and definitions out of profiles/
    #[command(after_help = "Examples:
  pushbridge profiles rm nictiz.fhir.nl.stu3.zib2017@2.2.18
  pushbridge profiles rm own-profile.json")]
    Rm(remove::Args),
    /// Have the running daemon judge by what lies in profiles/ now
    #[command(
        after_help = "All of it is read and compiled beside what is in force, and takes its place as a whole. Where anything is unusable, or not \
as profiles.lock says, the daemon keeps the profiles that it has and says what is wrong: here, in its log, in `pushbridge status` \
and by an alert. SIGHUP does the same. Bundles that are held because they claim a profile that was not loaded are judged again; \
what is being judged ends by the profiles it began with, and what is ready to be sent keeps its verdict.

Examples:
  pushbridge profiles add zib.tgz && pushbridge profiles reload
  pushbridge profiles reload --json | jq .files

Ends with 0 when they are in force, 1 when they cannot be used or no daemon runs."
    )]
    Reload,
    /// List what is loaded: the files, and what is in them
    #[command(after_help = "Examples:
  pushbridge profiles ls
  pushbridge profiles ls --package zib.tgz --json | jq -r 'select(.kind == \"profile\").url'")]
    Ls {
        /// List the release's own profiles too, which are always there
        #[arg(long)]
        release: bool,
        #[command(flatten)]
        source: Source,
    },
    /// Draw a profile's elements: how often, which types, which slices, which codes
    #[command(after_help = "Examples:
  pushbridge profiles show zib-BloodPressure --package zib.tgz
  pushbridge profiles show http://hl7.org/fhir/StructureDefinition/Observation

In the drawing: * marks what systems have to support, ! what changes the meaning of what it stands in.
Ends with 1 where there is no such profile, or it is unusable.")]
    Show {
        /// Its canonical URL (url|version for one version), or the last part of it
        url: String,
        #[command(flatten)]
        source: Source,
    },
    /// Make everything that is loaded ready for use, and say what is unusable, with file and element
    #[command(after_help = "Examples:
  pushbridge profiles check
  pushbridge profiles check --package zib.tgz --package own-profile.json

Ends with 0 when everything is usable, 1 when something is not, 3 when a file could not be read.")]
    Check {
        #[command(flatten)]
        source: Source,
    },
}

/// Where profiles come from.
#[derive(Debug, clap::Args)]
pub(super) struct Source {
    /// A FHIR package (.tgz) or a definition (.json, .xml) beside those of the folder; may be named again
    #[arg(long = "package", value_name = "FILE")]
    packages: Vec<PathBuf>,
}

pub(super) fn run(config: &Path, command: &Command, form: Form) -> Result<Exit, Failed> {
    match command {
        Command::Add(args) => add::run(config, args, form),
        Command::Rm(args) => remove::run(config, args, form),
        Command::Reload => reload::run(config, form),
        Command::Ls { release, source } => list::all(&load::everything(config, &source.packages)?, *release, form),
        Command::Show { url, source } => show::profile(&load::library(config, &source.packages)?, url, form),
        Command::Check { source } => check(&load::library(config, &source.packages)?, form),
    }
}

#[derive(serde::Serialize)]
struct Told<'p> {
    level: &'static str,
    file: &'p str,
    url: Option<&'p str>,
    element: Option<&'p str>,
    text: String,
}

fn check(library: &Library, form: Form) -> Result<Exit, Failed> {
    let mut unusable = 0;
    for problem in library.problems() {
        let is_warning = problem.defect.is_warning();
        unusable += usize::from(!is_warning);
        let level = if is_warning { "warning" } else { "error" };
        match form {
            Form::Text => print::line(&format!("{level}: {problem}"))?,
            Form::Json => print::json(&Told {
                level,
                file: &problem.file,
                url: problem.url.as_deref(),
                element: problem.element.as_deref(),
                text: problem.defect.to_string(),
            })?,
        }
    }
    if form == Form::Text {
        let broken = library.profiles().iter().filter(|profile| profile.snapshot.is_none()).count();
        let [profiles, sets, systems, forms, errata] = [
            library.profiles().len(),
            library.value_sets().len(),
            library.code_systems().len(),
            library.questionnaires().len(),
            library.errata().len(),
        ];
        print::line(&format!(
            "{profiles} profiles ({broken} unusable), {sets} value sets, {systems} code systems, {forms} questionnaires, \
             {errata} errata; {unusable} errors, {} warnings",
            library.problems().len() - unusable
        ))?;
    }
    Ok(if unusable == 0 { Exit::Done } else { Exit::No })
}
