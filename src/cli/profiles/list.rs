//! `profiles ls`: one line for each definition.

use super::{Exit, Failed, Form, print};
use crate::stu3::package::{Library, Profile};

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

pub(super) fn all(library: &Library, release: bool, form: Form) -> Result<Exit, Failed> {
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
    let rows: Vec<Row<'_>> = profiles.chain(sets).chain(systems).collect();
    if form == Form::Json {
        rows.iter().try_for_each(print::json)?;
        return Ok(Exit::Done);
    }
    let cell = |text: Option<&str>| text.unwrap_or("-").to_owned();
    let rows: Vec<Vec<String>> = rows
        .into_iter()
        .map(|row| {
            let state = if row.usable { "usable" } else { "unusable" };
            let (kind, file) = (row.kind.to_owned(), row.file.to_owned());
            vec![kind, row.url.to_owned(), cell(row.version), cell(row.constrains), state.to_owned(), file]
        })
        .collect();
    print::out(&print::table(&["KIND", "URL", "VERSION", "TYPE", "STATE", "FILE"], &rows))?;
    Ok(Exit::Done)
}
