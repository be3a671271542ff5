//! `validate`: judges files without network and without store.
//!
//! Files are found as far as they are asked for (`files.rs`), judged side by side (`judge.rs` on the threads of
//! `pool.rs`), and printed in the order in which they were given (`output.rs`): neither order nor content depends on
//! the number of threads, and only a few files are in memory at once.

mod explain;
mod files;
mod judge;
mod output;
mod pool;
mod progress;
mod spill;

use super::{
    Form,
    context::Context,
    exit::{Exit, Failed},
    print,
    profiles::{edition::unknown, load},
    terminology::{Asked, FILE},
};
use crate::{
    config::Terminology,
    fhir::json::Limits,
    model::Severity,
    validate::{
        Policy, RuleLevel, Unloaded, Validator,
        render::{Colour, Look},
    },
};
use files::{Files, STANDARD_INPUT};
use judge::Judge;
use output::Output;
use std::{
    io::{self, IsTerminal},
    ops::ControlFlow,
    path::{Path, PathBuf},
    sync::Arc,
    thread,
};

/// Judge files or folders of STU3 resources; no network, no store
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  pushbridge validate bundle.json
  pushbridge validate --json exports/ | jq 'select(.valid | not)'
  pushbridge validate --quiet --fail-on warning exports/
  pushbridge validate --format sarif samples/ > findings.sarif
  curl -s https://server/Patient/1 | pushbridge validate -
  pushbridge validate --explain unknown-element
  pushbridge validate --rule binding-required=warning exports/
  pushbridge validate --package zib.tgz bundle.json
  pushbridge validate --profile http://hl7.org/fhir/StructureDefinition/bp observation.json

Ends with 0 when nothing counts against any file, 1 when something does, 3 when something could not be read \
(the other files are judged all the same).")]
pub(super) struct Args {
    /// Files, folders (their .json and .xml files, in sorted order), or - for standard input
    #[arg(required_unless_present_any = ["rules", "explain"])]
    paths: Vec<PathBuf>,
    /// How findings are printed; --json is short for --format json
    #[arg(long, value_name = "FORMAT")]
    format: Option<Format>,
    /// From which level on a finding makes a file fail (exit 1)
    #[arg(long, value_name = "LEVEL", default_value = "error")]
    fail_on: FailOn,
    /// Leave out files that do not fail; in text, also lesser findings and the summary
    #[arg(long, short)]
    quiet: bool,
    /// Files judged at once; the output does not depend on it [default: the cores]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    jobs: Option<u16>,
    /// Change a rule: KEY=error, warning, information or off
    #[arg(long = "rule", value_name = "KEY=LEVEL", value_parser = parse_rule)]
    levels: Vec<(String, RuleLevel)>,
    /// List the rules
    #[arg(long)]
    rules: bool,
    /// Say what a rule means and what to change
    #[arg(long, value_name = "KEY", conflicts_with = "rules")]
    explain: Option<String>,
    /// A FHIR package (.tgz) or a definition (.json, .xml) beside those of the folder profiles/; may be named again
    #[arg(long = "package", value_name = "FILE")]
    packages: Vec<PathBuf>,
    /// The canonical URL of a profile that must be met, whatever is claimed: by the file, or by each entry of a Bundle that
    /// is of the profile's type; may be named again
    #[arg(long = "profile", value_name = "URL")]
    profiles: Vec<String>,
    /// A profile of which one must be met by each resource of its type; other types are free; may be named again
    #[arg(long = "allow-profile", value_name = "URL")]
    allowed: Vec<String>,
    /// What a claimed profile that is not loaded means
    #[arg(long, value_name = "WHAT", default_value = "pass")]
    unloaded_profiles: UnloadedProfiles,
    /// A terminology server (FHIR STU3) that is asked about codes that are not known here; only codes go there. Its proxy,
    /// CA and timeout are those of [terminology], and answers are kept, where there is a configuration file
    #[arg(long, value_name = "URL")]
    terminology: Option<String>,
    /// Larger files are refused
    #[arg(long, default_value_t = 64, value_name = "MB")]
    max_size: u64,
}

/// The forms of the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// For people: the place in the source is underlined
    Text,
    /// A JSON object on a line for each file
    Json,
    /// A STU3 `OperationOutcome` on a line for each file; where several are judged it names its file
    Outcome,
    /// `JUnit` XML: a test case for each file
    Junit,
    /// SARIF 2.1.0, for code hosts and editors
    Sarif,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum FailOn {
    /// Only errors
    Error,
    /// Errors and warnings
    Warning,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum UnloadedProfiles {
    /// It is said that it was not checked
    Pass,
    /// The claim is an error
    Refuse,
}

fn parse_rule(text: &str) -> Result<(String, RuleLevel), String> {
    let form = "write KEY=error, KEY=warning, KEY=information or KEY=off";
    let (key, level) = text.split_once('=').ok_or(form)?;
    Ok((key.to_owned(), level.parse().map_err(|_| form)?))
}

pub(super) fn run(config: &Path, args: &Args, form: Form) -> Result<Exit, Failed> {
    if let Some(key) = &args.explain {
        return explain::explain(key, form);
    }
    if args.rules {
        return explain::list(form);
    }
    let server = args.terminology.as_deref().map(|url| terminology(config, url)).transpose()?;
    let judge = judge(config, args, form, server.clone())?;
    let mut output = Output::new(judge.format, args.quiet, &args.paths);
    let mut written = output.begin();
    let files = Files::new(args.paths.clone());
    if written.is_ok() {
        pool::in_order(
            threads(args, &judge),
            files,
            |found| judge.piece(found),
            |piece| {
                written = output.add(piece);
                if written.is_err() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            },
        );
    }
    if let Some(why) = server.and_then(|server| server.trouble()) {
        print::complain(&format!("pushbridge: {why}: codes that only it knows were not checked"));
    }
    match written.and_then(|()| output.finish(&judge.policy)) {
        Ok(exit) => Ok(exit),
        // The reader went away: nobody needs the rest, and nobody may take it for the whole.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(Exit::Unreadable),
        Err(error) => Err(Failed::say(Exit::Unreadable, format!("write the output: {error}"))),
    }
}

/// The server that was named; a set-up's own answers and way to it are used where there is one.
fn terminology(config: &Path, url: &str) -> Result<Arc<Asked>, Failed> {
    let (settings, state) = if config.exists() {
        let config = Context::load(config)?.config;
        (config.terminology, Some(config.state).filter(|state| state.is_dir()))
    } else {
        (Terminology::default(), None)
    };
    Asked::new(&settings, url, state.map(|state| state.join(FILE))).map(Arc::new)
}

/// What was typed, checked.
fn judge(config: &Path, args: &Args, form: Form, server: Option<Arc<Asked>>) -> Result<Judge, Failed> {
    let format = match (form, args.format) {
        (Form::Text, format) => format.unwrap_or(Format::Text),
        (Form::Json, None | Some(Format::Json)) => Format::Json,
        (Form::Json, Some(_)) => {
            return Err(Failed::say(Exit::Usage, "print two forms at once: leave out --json or --format"));
        }
    };
    if args.paths.iter().filter(|path| path.as_os_str() == STANDARD_INPUT).count() > 1 {
        return Err(Failed::say(Exit::Usage, "read standard input twice: name - once"));
    }
    let library = load::library_if_any(config, &args.packages)?;
    let mut policy = Policy::default();
    for (key, level) in &args.levels {
        explain::admit(&library, key)?;
        policy.rules.insert(key.clone(), *level);
    }
    for (urls, asked) in [(&args.profiles, &mut policy.require), (&args.allowed, &mut policy.allow)] {
        for url in urls {
            if library.profile(url).is_some_and(|profile| profile.snapshot.is_none()) {
                let text = format!("hold files to {url}: it is unusable; pushbridge profiles check says why");
                return Err(Failed::say(Exit::Usage, text));
            }
            if library.snapshot(url).is_none() {
                return Err(Failed::sentence(Exit::Usage, unknown(&library, url)));
            }
            asked.insert(url.clone());
        }
    }
    policy.unloaded = match args.unloaded_profiles {
        UnloadedProfiles::Pass => Unloaded::NotChecked,
        UnloadedProfiles::Refuse => Unloaded::Refused,
    };
    let fail_on = match args.fail_on {
        FailOn::Error => Severity::Error,
        FailOn::Warning => Severity::Warning,
    };
    let look = Look { colour: colour(), least: if args.quiet { fail_on } else { Severity::Information } };
    let limits = Limits { max_bytes: args.max_size.saturating_mul(1 << 20), ..Limits::default() };
    let several = args.paths.len() > 1 || args.paths.iter().any(|path| path.is_dir());
    let validator = Validator::with(Arc::new(library));
    let validator = match server {
        Some(server) => validator.asking(server),
        None => validator,
    };
    Ok(Judge { validator, policy, limits, format, look, fail_on, several })
}

fn threads(args: &Args, judge: &Judge) -> usize {
    if !judge.several {
        return 1;
    }
    let cores = || thread::available_parallelism().map_or(1, usize::from);
    args.jobs.map_or_else(cores, usize::from)
}

/// Colours on a terminal that has them, unless <https://no-color.org> is asked for.
fn colour() -> Colour {
    let declined = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
    if io::stdout().is_terminal() && !declined && !dumb { Colour::Ansi } else { Colour::Plain }
}
