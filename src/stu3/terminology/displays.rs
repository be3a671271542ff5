//! What the codes of the release's systems are displayed as.
//!
//! `displays.tsv` is written by the generator in `tests/generate`: a line is a system's URL and, tab-separated, a column for
//! each of its codes in the order of `terminology.tsv`, with its names in all languages between `¦`. Most files never ask for
//! one: the lines are found when the first display is compared, the columns of a system when the first of its own is.

use std::sync::OnceLock;

const TABLE: &str = include_str!("../displays.tsv");

/// Between names of a code.
const BETWEEN: char = '\u{a6}';

struct System {
    url: &'static str,
    text: &'static str,
    columns: OnceLock<Vec<&'static str>>,
}

fn systems() -> &'static [System] {
    static SYSTEMS: OnceLock<Vec<System>> = OnceLock::new();
    SYSTEMS.get_or_init(|| {
        let lines = TABLE.lines().filter_map(|line| line.split_once('\t'));
        lines.map(|(url, text)| System { url, text, columns: OnceLock::new() }).collect()
    })
}

/// The names of a code, by its place in the list of its system's codes.
pub(super) fn of(system: &str, place: usize) -> impl Iterator<Item = &'static str> + use<> {
    let systems = systems();
    let found = systems.binary_search_by(|known| known.url.cmp(system)).ok().map(|at| &systems[at]);
    let column = found.and_then(|system| {
        let columns = system.columns.get_or_init(|| system.text.split('\t').collect());
        columns.get(place).copied()
    });
    column.into_iter().flat_map(|names| names.split(BETWEEN)).filter(|name| !name.is_empty())
}

/// Two displays are one: capital and small letters are the same, and so is blank space of any width.
pub fn same_display(one: &str, other: &str) -> bool {
    let letters = |text: &'_ str| -> String {
        let words: Vec<&str> = text.split_whitespace().collect();
        words.join(" ").to_lowercase()
    };
    one == other || letters(one) == letters(other)
}
