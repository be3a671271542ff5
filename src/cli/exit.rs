//! Exit codes: one table, shown by `--help`, used by every command.

use std::process::ExitCode;

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// All well.
    Done,
    /// It worked, and the answer is no: not valid, held, refused, a failed check.
    No,
    /// The command line is wrong.
    Usage,
    /// Something could not be read or written.
    Unreadable,
    /// The configuration is wrong.
    Config,
    /// Another pushbridge has the store; nothing was changed.
    Busy,
    /// The API could not be reached or refused.
    Api,
    /// The time was up.
    TimedOut,
    /// A bug in pushbridge.
    Internal,
}

/// The table: code, name, meaning.
pub const TABLE: [(Exit, u8, &str); 9] = [
    (Exit::Done, 0, "done; validate: all valid; run --once: nothing new needs anybody"),
    (Exit::No, 1, "the answer is no: not valid, held, refused, Unknown, left in the inbox, or a check that failed"),
    (Exit::Usage, 2, "the command line is wrong"),
    (Exit::Unreadable, 3, "something could not be read or written, an inbox or a full disk too"),
    (Exit::Config, 4, "the configuration is wrong; nothing was touched"),
    (Exit::Busy, 5, "another pushbridge has the store, or is changing profiles/; nothing was changed"),
    (Exit::Api, 6, "the API, or a package registry that was named, could not be reached, or refused"),
    (Exit::TimedOut, 7, "the time was up (run --once --max-time, authorize --wait)"),
    (Exit::Internal, 70, "a bug in pushbridge; please report it"),
];

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        let code = TABLE.iter().find(|(known, ..)| *known == exit).map_or(70, |(_, code, _)| *code);
        Self::from(code)
    }
}

/// The table as text for `--help`.
pub fn help() -> String {
    let lines: Vec<_> = TABLE.iter().map(|(_, code, text)| format!("  {code:>2}  {text}")).collect();
    format!("Exit codes:\n{}", lines.join("\n"))
}

/// Why a command could not do its job, and the code that says so.
#[derive(Debug)]
pub struct Failed {
    /// The code.
    pub exit: Exit,
    /// Why.
    pub error: anyhow::Error,
    /// It says all by itself; others are said after "failed to".
    pub is_sentence: bool,
}

impl Failed {
    /// With an error of any room.
    pub fn new(exit: Exit, error: impl Into<anyhow::Error>) -> Self {
        Self { exit, error: error.into(), is_sentence: false }
    }

    /// With a text of our own.
    pub fn say(exit: Exit, text: impl Into<String>) -> Self {
        Self { exit, error: anyhow::Error::msg(text.into()), is_sentence: false }
    }

    /// With a text that says all by itself.
    pub fn sentence(exit: Exit, text: impl Into<String>) -> Self {
        Self { exit, error: anyhow::Error::msg(text.into()), is_sentence: true }
    }

    /// Why, as a sentence.
    pub fn text(&self) -> String {
        let before = if self.is_sentence { "" } else { "failed to " };
        format!("{before}{:#}", self.error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_and_sorted() {
        assert!(TABLE.windows(2).all(|pair| pair[0].1 < pair[1].1));
    }
}
