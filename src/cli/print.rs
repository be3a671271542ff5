//! What commands print: text for people, JSON for programs. A reader that goes away ends the output quietly.

use super::exit::{Exit, Failed};
use serde::Serialize;
use std::io::{self, Write};

/// Writes to standard output.
///
/// # Errors
/// It cannot be written; a closed pipe is no error.
pub(super) fn out(text: &str) -> Result<(), Failed> {
    quiet(io::stdout().lock().write_all(text.as_bytes()).and_then(|()| io::stdout().flush()))
}

/// Writes a line to standard output.
///
/// # Errors
/// See [`out`].
pub(super) fn line(text: &str) -> Result<(), Failed> {
    out(&format!("{text}\n"))
}

/// Writes a JSON value on one line.
///
/// # Errors
/// See [`out`].
pub(super) fn json(value: &impl Serialize) -> Result<(), Failed> {
    let text = serde_json::to_string(value).map_err(|error| Failed::new(Exit::Internal, error))?;
    line(&text)
}

/// Writes a line to standard error; nothing can be done where that fails.
pub(super) fn complain(text: &str) {
    writeln!(io::stderr().lock(), "{text}").unwrap_or_default();
}

fn quiet(written: io::Result<()>) -> Result<(), Failed> {
    match written {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Failed::new(Exit::Unreadable, error)),
        _ => Ok(()),
    }
}

/// A table: columns as wide as their widest cell, the last one as long as it is.
pub(super) fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let mut widths: Vec<usize> = head.iter().map(|cell| cell.chars().count()).collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = String::new();
    let head: Vec<String> = head.iter().map(ToString::to_string).collect();
    for row in std::iter::once(&head).chain(rows) {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            line.push_str(cell);
            line.extend(std::iter::repeat_n(' ', width + 2 - cell.chars().count()));
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let rows = vec![vec!["a".to_owned(), "x".to_owned()], vec!["\u{e9}\u{e9}\u{e9}".to_owned(), String::new()]];
        assert_eq!(table(&["h", "i"], &rows), "h    i\na    x\n\u{e9}\u{e9}\u{e9}\n");
    }
}
