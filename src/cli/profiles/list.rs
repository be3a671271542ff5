//! `profiles ls`: one line for each file, and one for each definition.

use super::{
    Exit, Failed, Form,
    load::{Loaded, LoadedFile, Place},
    print,
};
use crate::{
    model::Digest,
    stu3::{
        errata::ProfileErratum,
        package::{Library, Profile},
    },
};

#[derive(serde::Serialize)]
struct FileRow<'l> {
    kind: &'static str,
    file: &'l str,
    /// Name and version of a package.
    package: Option<String>,
    /// Where `profiles add` had it from; `dropped` by hand, or `named` by --package.
    source: &'l str,
    sha256: Digest,
    /// Its digest is kept, and was met.
    locked: bool,
    /// It came because another needs it.
    as_dependency: bool,
}

impl<'l> FileRow<'l> {
    fn of(loaded: &'l LoadedFile) -> Self {
        let (source, locked) = match &loaded.place {
            Place::Locked(locked) => (locked.source.as_str(), Some(locked)),
            Place::Dropped => ("dropped", None),
            Place::Named => ("named", None),
        };
        Self {
            kind: "file",
            file: &loaded.file,
            package: loaded.package.as_ref().map(ToString::to_string),
            source,
            sha256: loaded.sha256,
            locked: locked.is_some(),
            as_dependency: locked.is_some_and(|locked| locked.as_dependency),
        }
    }
}

#[derive(serde::Serialize)]
struct Row<'l> {
    kind: &'static str,
    url: &'l str,
    version: Option<&'l str>,
    name: &'l str,
    /// The type that a profile constrains.
    #[serde(skip_serializing_if = "Option::is_none", rename = "type")]
    constrains: Option<&'l str>,
    usable: bool,
    file: &'l str,
}

/// A constraint that is not taken as it is published.
#[derive(serde::Serialize)]
struct ErratumRow<'l> {
    kind: &'static str,
    profile: &'l str,
    key: &'l str,
    /// What becomes of it.
    change: &'static str,
    reason: &'l str,
    file: &'l str,
}

impl<'l> ErratumRow<'l> {
    fn of(erratum: &'l ProfileErratum) -> Self {
        let change = match (&erratum.expression, erratum.is_warning) {
            (Some(_), true) => "another expression, a warning",
            (Some(_), false) => "another expression",
            (None, _) => "a warning",
        };
        Self {
            kind: "erratum",
            profile: &erratum.profile,
            key: &erratum.key,
            change,
            reason: &erratum.reason,
            file: &erratum.file,
        }
    }
}

pub(super) fn all(loaded: &Loaded, release: bool, form: Form) -> Result<Exit, Failed> {
    let library = &loaded.library;
    let files: Vec<FileRow<'_>> = loaded.files.iter().map(FileRow::of).collect();
    let own = Library::own_profiles().filter(|_| release).map(|profile| -> &Profile { profile });
    let profiles = library.profiles().iter().chain(own).map(|profile| Row {
        kind: "profile",
        url: &profile.definition.url,
        version: profile.definition.version.as_deref(),
        name: &profile.definition.name,
        constrains: Some(&profile.definition.type_name),
        usable: profile.snapshot.is_some(),
        file: &profile.definition.file,
    });
    let sets = library.value_sets().iter().map(|set| Row {
        kind: "value-set",
        url: &set.url,
        version: set.version.as_deref(),
        name: &set.name,
        constrains: None,
        usable: true,
        file: &set.file,
    });
    let systems = library.code_systems().iter().map(|system| Row {
        kind: "code-system",
        url: &system.url,
        version: system.version.as_deref(),
        name: &system.name,
        constrains: None,
        usable: true,
        file: &system.file,
    });
    let questionnaires = library.questionnaires().iter().map(|questionnaire| Row {
        kind: "questionnaire",
        url: &questionnaire.url,
        version: questionnaire.version.as_deref(),
        name: &questionnaire.name,
        constrains: None,
        usable: true,
        file: &questionnaire.file,
    });
    let rows: Vec<Row<'_>> = profiles.chain(sets).chain(systems).chain(questionnaires).collect();
    let errata: Vec<ErratumRow<'_>> = library.errata().iter().map(|erratum| ErratumRow::of(erratum)).collect();
    if form == Form::Json {
        files.iter().try_for_each(print::json)?;
        rows.iter().try_for_each(print::json)?;
        errata.iter().try_for_each(print::json)?;
        return Ok(Exit::Done);
    }
    let cell = |text: Option<&str>| text.unwrap_or("-").to_owned();
    if !files.is_empty() {
        let files: Vec<Vec<String>> = files
            .iter()
            .map(|row| {
                let state = match row.source {
                    "dropped" => "dropped there by hand: no digest is kept",
                    "named" => "named by --package",
                    _ if row.as_dependency => "as added, for another package",
                    _ => "as added",
                };
                let source = if row.locked { row.source } else { "-" };
                vec![row.file.to_owned(), cell(row.package.as_deref()), source.to_owned(), state.to_owned()]
            })
            .collect();
        print::line(&print::table(&["FILE", "PACKAGE", "SOURCE", "STATE"], &files))?;
    }
    let rows: Vec<Vec<String>> = rows
        .into_iter()
        .map(|row| {
            let state = if row.usable { "usable" } else { "unusable" };
            let (kind, file) = (row.kind.to_owned(), row.file.to_owned());
            vec![kind, row.url.to_owned(), cell(row.version), cell(row.constrains), state.to_owned(), file]
        })
        .collect();
    print::out(&print::table(&["KIND", "URL", "VERSION", "TYPE", "STATE", "FILE"], &rows))?;
    if !errata.is_empty() {
        let rows: Vec<Vec<String>> = errata
            .iter()
            .map(|row| [row.key, row.profile, row.change, row.reason, row.file].map(str::to_owned).to_vec())
            .collect();
        print::line("")?;
        print::out(&print::table(&["ERRATUM OF", "PROFILE", "CHANGE", "REASON", "FILE"], &rows))?;
    }
    Ok(Exit::Done)
}
