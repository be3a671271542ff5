//! `profiles reload`: the daemon judges by what lies in the folder now, if all of it is usable.

use super::{Exit, Failed, Form, print};
use crate::{
    admin::{self, Answer, Question},
    cli::context::Context,
};
use std::path::Path;

/// What `add` and `rm` do about a daemon that runs.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(in crate::cli) struct After {
    /// Have the daemon judge by it at once (profiles reload)
    #[arg(long)]
    reload: bool,
}

pub(super) fn run(config: &Path, form: Form) -> Result<Exit, Failed> {
    let context = Context::load(config)?;
    if !admin::is_running(&context.socket()) {
        let text =
            "no daemon runs here: it reads the profiles when it starts; pushbridge profiles check looks at them now";
        return Err(Failed::sentence(Exit::No, text));
    }
    let Answer::Reloaded(facts) = context.ask(Question::ReloadProfiles)? else {
        return Err(Failed::say(Exit::Internal, "read the daemon's answer"));
    };
    match form {
        Form::Json => print::json(&facts)?,
        Form::Text => print::line(&format!("in force: {facts}"))?,
    }
    Ok(Exit::Done)
}

/// The folder was changed: the daemon, where one runs, is told or it is said that it must be.
pub(super) fn after(config: &Path, after: After, form: Form) -> Result<Exit, Failed> {
    if after.reload {
        return run(config, form);
    }
    if let Ok(context) = Context::load(config)
        && admin::is_running(&context.socket())
    {
        print::complain("pushbridge: the daemon judges by what it had; pushbridge profiles reload puts this in force");
    }
    Ok(Exit::Done)
}
