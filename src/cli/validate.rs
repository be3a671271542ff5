//! `validate`: judges files without network and without store.

use super::{
    Form,
    exit::{Exit, Failed},
    print,
};
use crate::{
    fhir::json::{self, Limits},
    validate::{Outcome, Policy, RuleLevel, Validator, render, rules},
};
use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// Judge files or folders of STU3 resources; no network, no store
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  pushbridge validate bundle.json\n  pushbridge validate --json exports/ | jq 'select(.valid | not)'\n  \
pushbridge validate --rule binding-required=warning exports/\n\nEnds with 0 when all are valid, 1 when some are not, 3 when something could not be read."
)]
pub(super) struct Args {
    /// Files, or folders that are walked in sorted order
    #[arg(required_unless_present = "rules")]
    paths: Vec<PathBuf>,
    /// Change a rule: KEY=error, warning, information or off
    #[arg(long = "rule", value_name = "KEY=LEVEL", value_parser = parse_rule)]
    levels: Vec<(String, RuleLevel)>,
    /// List the rules
    #[arg(long)]
    rules: bool,
    /// Larger files are refused
    #[arg(long, default_value_t = 64, value_name = "MB")]
    max_size: u64,
}

fn parse_rule(text: &str) -> Result<(String, RuleLevel), String> {
    let form = "write KEY=error, KEY=warning, KEY=information or KEY=off";
    let (key, level) = text.split_once('=').ok_or(form)?;
    Ok((key.to_owned(), level.parse().map_err(|_| form)?))
}

pub(super) fn run(args: &Args, form: Form) -> Result<Exit, Failed> {
    if args.rules {
        return list_rules(form);
    }
    let mut policy = Policy::default();
    policy.rules.extend(args.levels.iter().cloned());
    if let Some((key, _)) = policy.rules.iter().find(|(key, _)| Policy::admits(key).is_err()) {
        return Err(Failed::say(Exit::Usage, format!("find the rule {key}; pushbridge validate --rules lists them")));
    }
    let limits = Limits { max_bytes: args.max_size << 20, ..Limits::default() };
    let validator = Validator::new();
    let (mut invalid, mut unreadable, mut count) = (0_u64, 0_u64, 0_u64);
    for path in &args.paths {
        let result = walk(path, &mut |file| {
            count += 1;
            match judge(&validator, &policy, &limits, file, form) {
                Ok(Judged::Valid) => Ok(()),
                Ok(Judged::Invalid) => {
                    invalid += 1;
                    Ok(())
                }
                Err(error) => {
                    unreadable += 1;
                    tell_unreadable(file, &error, form)
                }
            }
        });
        match result {
            Ok(()) => {}
            Err(Walk::Unreadable(path, error)) => {
                unreadable += 1;
                tell_unreadable(&path, &error, form)?;
            }
            Err(Walk::Failed(failed)) => return Err(failed),
        }
    }
    if form == Form::Text && count > 1 {
        let valid = count - invalid - unreadable;
        print::line(&format!("{count} files: {valid} valid, {invalid} not valid, {unreadable} not readable"))?;
    }
    Ok(match (unreadable, invalid) {
        (0, 0) => Exit::Done,
        (0, _) => Exit::No,
        _ => Exit::Unreadable,
    })
}

enum Judged {
    Valid,
    Invalid,
}

fn judge(
    validator: &Validator,
    policy: &Policy,
    limits: &Limits,
    file: &Path,
    form: Form,
) -> Result<Judged, io::Error> {
    let bytes = fs::read(file)?;
    let name = file.display().to_string();
    let read = json::read(&bytes, limits);
    let (outcome, source) = match &read {
        Ok(document) => (validator.resource(document, policy), document.source()),
        Err(error) => (Outcome::of_unreadable(error), std::str::from_utf8(&bytes).unwrap_or_default()),
    };
    let text = match form {
        Form::Json => render::json_line(&name, &outcome) + "\n",
        Form::Text => render::text(&name, source, &outcome),
    };
    print::out(&text).map_err(|failed| io::Error::other(failed.error.to_string()))?;
    Ok(if outcome.valid() { Judged::Valid } else { Judged::Invalid })
}

fn tell_unreadable(path: &Path, error: &io::Error, form: Form) -> Result<(), Failed> {
    match form {
        Form::Json => print::json(&serde_json::json!({"file": path, "error": error.to_string()})),
        Form::Text => {
            print::complain(&format!("{}: cannot be read: {error}", path.display()));
            Ok(())
        }
    }
}

enum Walk {
    Unreadable(PathBuf, io::Error),
    Failed(Failed),
}

/// A file, or every file below a folder in sorted order; links to folders are not followed.
fn walk(path: &Path, visit: &mut dyn FnMut(&Path) -> Result<(), Failed>) -> Result<(), Walk> {
    let unreadable = |error| Walk::Unreadable(path.to_owned(), error);
    if !fs::metadata(path).map_err(unreadable)?.is_dir() {
        return visit(path).map_err(Walk::Failed);
    }
    let mut entries: Vec<_> =
        fs::read_dir(path).and_then(Iterator::collect).map_err(|error| Walk::Unreadable(path.to_owned(), error))?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        let kind = entry.file_type().map_err(|error| Walk::Unreadable(path.clone(), error))?;
        let is_json = path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("json"));
        if kind.is_dir() || (kind.is_file() && is_json) {
            walk(&path, visit)?;
        }
    }
    Ok(())
}

fn list_rules(form: Form) -> Result<Exit, Failed> {
    let rules = rules::all();
    match form {
        Form::Json => rules.iter().try_for_each(|rule| {
            print::json(
                &serde_json::json!({"key": rule.key, "severity": rule.severity, "code": rule.code, "page": rule.page}),
            )
        })?,
        Form::Text => {
            let rows: Vec<_> = rules
                .iter()
                .map(|rule| vec![rule.key.to_owned(), rule.severity.as_str().to_owned(), rule.page.to_owned()])
                .collect();
            print::out(&print::table(&["KEY", "LEVEL", "PAGE"], &rows))?;
        }
    }
    Ok(Exit::Done)
}
