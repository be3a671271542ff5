//! `completions`: a script for the shell.

use super::exit::{Exit, Failed};
use clap_complete::Shell;

/// Print a completion script for your shell
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  pushbridge completions bash > /etc/bash_completion.d/pushbridge")]
pub(super) struct Args {
    /// Which shell
    shell: Shell,
}

pub(super) fn run(args: &Args) -> Result<Exit, Failed> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut super::command(), "pushbridge", &mut script);
    super::print::out(&String::from_utf8_lossy(&script))?;
    Ok(Exit::Done)
}
