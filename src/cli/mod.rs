//! FRONT DOOR: one file per command; what was typed becomes one call into the house.

mod accounts;
mod alerts;
mod audit;
mod authorize;
mod completions;
mod context;
mod demo;
mod doctor;
pub mod exit;
mod init;
mod keys;
mod links;
mod print;
mod profiles;
mod prune;
mod queue;
mod resume;
mod route;
mod run;
mod sandbox;
mod secrets;
mod setup;
mod status;
mod store;
mod terminology;
mod tokens;
mod validate;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use context::{Context, DEFAULT_FILE};
use exit::{Exit, Failed};
use std::{path::PathBuf, process::ExitCode};

/// Watches folders for FHIR STU3 Bundles, validates each, finds the one account it belongs to, and pushes it, signed;
/// and for any other files, which go to the account's library.
#[derive(Debug, Parser)]
#[command(
    name = "pushbridge",
    version,
    about,
    after_help = "A first look, without any set-up:\n  pushbridge demo\n\nA real set-up:\n  pushbridge init clinic && cd clinic\n  pushbridge authorize\n  pushbridge doctor\n  pushbridge run"
)]
struct Cli {
    /// The configuration file
    #[arg(long, short, global = true, default_value = DEFAULT_FILE, env = "PUSHBRIDGE_CONFIG", value_name = "FILE")]
    config: PathBuf,
    /// Print JSON, an object a line
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Init(init::Args),
    Doctor(doctor::Args),
    Run(run::Args),
    Validate(validate::Args),
    #[command(subcommand)]
    Profiles(profiles::Command),
    Route(route::Args),
    Authorize(authorize::Args),
    Reauthorize(authorize::AgainArgs),
    #[command(subcommand)]
    Accounts(accounts::Command),
    #[command(subcommand)]
    Links(links::Command),
    #[command(subcommand)]
    Tokens(tokens::Command),
    #[command(subcommand)]
    Queue(queue::Command),
    Status(status::Args),
    Resume(resume::Args),
    Prune(prune::Args),
    Audit(audit::Args),
    #[command(subcommand)]
    Alerts(alerts::Command),
    #[command(subcommand)]
    Store(store::Command),
    #[command(subcommand)]
    Secrets(secrets::Command),
    Sandbox(sandbox::Args),
    Demo(demo::Args),
    Completions(completions::Args),
}

/// How a command prints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Text,
    Json,
}

/// The program: reads the command line, runs the command, and says how it ended.
pub fn main() -> ExitCode {
    let matches = match command().try_get_matches() {
        Ok(matches) => matches,
        Err(error) => {
            error.print().unwrap_or_default();
            return if error.use_stderr() { Exit::Usage.into() } else { Exit::Done.into() };
        }
    };
    let cli = match Cli::from_arg_matches(&matches) {
        Ok(cli) => cli,
        Err(error) => {
            error.print().unwrap_or_default();
            return Exit::Usage.into();
        }
    };
    match dispatch(cli) {
        Ok(exit) => exit.into(),
        Err(failed) => {
            print::complain(&format!("pushbridge: {}", failed.text()));
            failed.exit.into()
        }
    }
}

/// The whole command line, with the table of exit codes.
fn command() -> clap::Command {
    Cli::command().after_long_help(exit::help())
}

fn dispatch(cli: Cli) -> Result<Exit, Failed> {
    let form = if cli.json { Form::Json } else { Form::Text };
    let context = || Context::load(&cli.config);
    match cli.command {
        Command::Init(args) => init::run(&args, form),
        Command::Doctor(_) => doctor::run(&cli.config, form),
        Command::Run(args) => run::run(&context()?, &args, form),
        Command::Validate(args) => validate::run(&cli.config, &args, form),
        Command::Profiles(command) => profiles::run(&cli.config, &command, form),
        Command::Route(args) => route::run(&context()?, &args, form),
        Command::Authorize(args) => authorize::run(&context()?, args, form),
        Command::Reauthorize(args) => authorize::again(&context()?, args, form),
        Command::Accounts(command) => accounts::run(&context()?, command, form),
        Command::Links(command) => links::run(&context()?, command, form),
        Command::Tokens(command) => tokens::run(&context()?, command, form),
        Command::Queue(command) => queue::run(&context()?, command, form),
        Command::Status(_) => status::run(&context()?, form),
        Command::Resume(args) => resume::run(&context()?, args, form),
        Command::Prune(args) => prune::run(&context()?, &args, form),
        Command::Alerts(command) => alerts::run(&context()?, &command, form),
        Command::Audit(args) => audit::run(&context()?, &args, form),
        Command::Store(command) => store::run(&context()?, command, form),
        Command::Secrets(command) => secrets::run(context, &command, form),
        Command::Sandbox(args) => sandbox::run(&args, form),
        Command::Demo(args) => demo::run(&args, form),
        Command::Completions(args) => completions::run(&args),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_command_line_is_sound() {
        super::command().debug_assert();
    }
}
