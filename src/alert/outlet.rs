//! The ways out: a command of the administrator, or a webhook.

use crate::push::Webhook;
use serde_json::Value;
use std::{path::PathBuf, process::Stdio, time::Duration};
use tokio::{io::AsyncWriteExt, process::Command, time::timeout};

/// What a command gets of our environment: a sealing key may be among the rest.
const PASSED_ON: [&str; 6] = ["PATH", "HOME", "LANG", "LC_ALL", "TZ", "USER"];

/// A way out.
#[derive(Debug)]
pub enum Outlet {
    /// A program that reads one JSON object from its standard input.
    Command {
        /// The program and its arguments; no shell.
        argv: Vec<String>,
        /// Where it starts.
        folder: PathBuf,
        /// Then it is killed.
        limit: Duration,
    },
    /// An address that takes one JSON object by POST.
    Webhook(Webhook),
}

impl Outlet {
    /// The word for it; neither arguments nor addresses, which may hold secrets.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Command { .. } => "command",
            Self::Webhook(_) => "webhook",
        }
    }

    /// Delivers one alert, once.
    pub(super) async fn deliver(&self, message: &Value) -> Result<(), String> {
        match self {
            Self::Command { argv, folder, limit } => {
                let ran = timeout(*limit, run(argv, folder, message)).await;
                ran.unwrap_or_else(|_| Err("it did not end in time and was killed".to_owned()))
            }
            Self::Webhook(webhook) => webhook.post(message.to_string().into_bytes()).await,
        }
    }

    /// Delivers a test, once, for somebody who waits for the result.
    ///
    /// # Errors
    /// It was not taken, with the reason.
    pub async fn test(&self) -> Result<(), String> {
        use super::news::{Kind, News, message};
        self.deliver(&message(Kind::Test, crate::model::Timestamp::now(), 1, &[News::of(Kind::Test)])).await
    }
}

async fn run(argv: &[String], folder: &PathBuf, message: &Value) -> Result<(), String> {
    let Some((program, arguments)) = argv.split_first() else { return Err("it is empty".to_owned()) };
    let mut command = Command::new(program);
    command.args(arguments).current_dir(folder).env_clear().kill_on_drop(true);
    command.envs(PASSED_ON.iter().filter_map(|name| Some((name, std::env::var_os(name)?))));
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().map_err(|error| format!("it cannot be started: {}", error.kind()))?;
    if let Some(mut input) = child.stdin.take() {
        // One that does not read its input may still have done its work: its exit code decides.
        input.write_all(format!("{message}\n").as_bytes()).await.unwrap_or_default();
        input.shutdown().await.unwrap_or_default();
    }
    match child.wait().await {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("it ended with {status}")),
        Err(error) => Err(format!("it cannot be waited for: {}", error.kind())),
    }
}
