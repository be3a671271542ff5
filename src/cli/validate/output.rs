//! The whole output: its beginning, the files' parts in their order, and its end with the summary.

use super::{
    Format,
    judge::{Piece, Verdict, Weight},
    progress::Progress,
    spill::Spill,
};
use crate::{
    cli::{exit::Exit, print},
    validate::{
        Policy,
        render::{JUNIT_END, SarifNotes, junit_begin, number, sarif_begin, sarif_end},
    },
};
use std::{
    collections::BTreeMap,
    io::{self, BufWriter, Stdout, Write},
    path::PathBuf,
};

/// How many files came out how.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    files: u64,
    valid: u64,
    warned: u64,
    failed: u64,
    unreadable: u64,
    bugs: u64,
}

pub(super) struct Output {
    to: BufWriter<Stdout>,
    format: Format,
    quiet: bool,
    counts: Counts,
    /// Findings and files of each rule.
    rules: BTreeMap<(Weight, String), (u64, u64)>,
    cut: u64,
    cases: Spill,
    notes: SarifNotes,
    has_results: bool,
    progress: Progress,
}

impl Output {
    /// `paths` are those that are judged.
    pub(super) fn new(format: Format, quiet: bool, paths: &[PathBuf]) -> Self {
        Self {
            to: BufWriter::new(io::stdout()),
            format,
            quiet,
            counts: Counts::default(),
            rules: BTreeMap::new(),
            cut: 0,
            cases: Spill::default(),
            notes: SarifNotes::default(),
            has_results: false,
            progress: Progress::new(paths),
        }
    }

    pub(super) fn begin(&mut self) -> io::Result<()> {
        if self.format == Format::Sarif {
            self.to.write_all(sarif_begin().as_bytes())?;
        }
        Ok(())
    }

    /// The next file's part.
    pub(super) fn add(&mut self, piece: Piece) -> io::Result<()> {
        self.count(&piece);
        let shown = !self.quiet || !matches!(piece.verdict, Verdict::Judged { fails: false, .. });
        if shown {
            self.write(&piece)?;
        }
        self.progress.tell(self.counts.files, self.counts.failed + self.counts.unreadable);
        Ok(())
    }

    fn count(&mut self, piece: &Piece) {
        self.counts.files += 1;
        self.cut += piece.cut;
        match piece.verdict {
            Verdict::Judged { valid, fails, warned } => {
                self.counts.valid += u64::from(valid);
                self.counts.warned += u64::from(valid && warned);
                self.counts.failed += u64::from(fails);
            }
            Verdict::Unreadable(_) => self.counts.unreadable += 1,
            Verdict::Bug => {
                self.counts.unreadable += 1;
                self.counts.bugs += 1;
            }
        }
        for (rule, count) in &piece.tally {
            let entry = self.rules.entry(rule.clone()).or_default();
            entry.0 += count;
            entry.1 += 1;
        }
    }

    fn write(&mut self, piece: &Piece) -> io::Result<()> {
        let error = match &piece.verdict {
            Verdict::Judged { .. } => None,
            Verdict::Unreadable(error) => Some(error.as_str()),
            Verdict::Bug => Some("a bug in pushbridge stopped the judging; please report it"),
        };
        match self.format {
            Format::Text => {
                let to = &mut self.to;
                self.progress.aside(|| {
                    to.write_all(piece.text.as_bytes())?;
                    // A person sees each file as it is done, and complaints in their place.
                    to.flush()?;
                    if let Some(error) = error {
                        print::complain(&format!("{}: cannot be read: {error}", piece.name));
                    }
                    Ok(())
                })
            }
            Format::Json | Format::Outcome => {
                let to = &mut self.to;
                self.progress.aside(|| {
                    to.write_all(piece.text.as_bytes())?;
                    to.flush()
                })
            }
            Format::Junit => self.cases.push(&piece.text),
            Format::Sarif => {
                match error {
                    Some(error) => self.notes.unreadable(&piece.uri, error),
                    None => self.notes.left_out(&piece.uri, piece.cut),
                }
                if !piece.text.is_empty() {
                    let before = if self.has_results { ",\n" } else { "\n" };
                    self.has_results = true;
                    self.to.write_all(before.as_bytes())?;
                    self.to.write_all(piece.text.as_bytes())?;
                }
                Ok(())
            }
        }
    }

    /// The end, and how it all came out.
    pub(super) fn finish(mut self, policy: &Policy) -> io::Result<Exit> {
        self.progress.end();
        let counts = self.counts;
        match self.format {
            Format::Text if counts.files > 1 && !self.quiet => self.summary()?,
            Format::Text | Format::Json | Format::Outcome => {}
            Format::Junit => {
                let cases = if self.quiet { counts.failed + counts.unreadable } else { counts.files };
                self.to.write_all(junit_begin(cases, counts.failed, counts.unreadable).as_bytes())?;
                self.cases.pour(&mut self.to)?;
                self.to.write_all(JUNIT_END.as_bytes())?;
            }
            Format::Sarif => self.to.write_all(sarif_end(self.notes, policy).as_bytes())?,
        }
        self.to.flush()?;
        Ok(match counts {
            Counts { bugs: 1.., .. } => Exit::Internal,
            Counts { unreadable: 1.., .. } => Exit::Unreadable,
            Counts { failed: 1.., .. } => Exit::No,
            _ => Exit::Done,
        })
    }

    /// How often each rule was broken, and how many files are valid.
    fn summary(&mut self) -> io::Result<()> {
        let mut rules: Vec<_> = self.rules.iter().collect();
        rules.sort_by_key(|((weight, key), (findings, _))| (*weight, std::cmp::Reverse(*findings), key.clone()));
        let rows: Vec<Vec<String>> = rules
            .into_iter()
            .map(|((weight, key), (findings, files))| {
                let level = match weight {
                    Weight::Found(severity) => severity.as_str(),
                    Weight::NotChecked => "not checked",
                };
                vec![key.clone(), level.to_owned(), findings.to_string(), files.to_string()]
            })
            .collect();
        if !rows.is_empty() {
            let table = print::table(&["RULE", "LEVEL", "FINDINGS", "FILES"], &rows);
            write!(self.to, "\n{table}")?;
            if self.cut > 0 {
                writeln!(self.to, "and {} more findings that are not shown", self.cut)?;
            }
            writeln!(self.to)?;
        }
        let Counts { files, valid, warned, unreadable, .. } = self.counts;
        let warned = if warned > 0 { format!(" ({warned} with warnings)") } else { String::new() };
        let invalid = files - valid - unreadable;
        writeln!(
            self.to,
            "{}: {valid} valid{warned}, {invalid} not valid, {unreadable} not readable",
            number(files, "file")
        )
    }
}
