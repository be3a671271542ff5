//! The README's tables are those of the program.

use pushbridge::{cli::exit, config};
use std::fs;

fn readme() -> String {
    fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap()
}

/// `UPDATE_README=1 cargo test readme` writes them.
#[test]
fn the_tables_are_up_to_date() {
    let codes: String = exit::TABLE.iter().map(|(_, code, text)| format!("| {code} | {text} |\n")).collect();
    let codes = format!("| code | meaning |\n|---|---|\n{codes}");
    let mut text = readme();
    for (name, table) in [("configuration", config::reference_table()), ("exit codes", codes)] {
        let (begin, end) = (format!("<!-- {name}: from the program -->\n"), format!("<!-- end of {name} -->"));
        let start = text.find(&begin).map(|at| at + begin.len()).unwrap_or_else(|| panic!("{name} begins"));
        let stop = text.find(&end).unwrap_or_else(|| panic!("{name} ends"));
        if std::env::var_os("UPDATE_README").is_some() {
            text.replace_range(start..stop, &table);
            fs::write(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md"), &text).unwrap();
        }
        let start = text.find(&begin).unwrap() + begin.len();
        let stop = text.find(&end).unwrap();
        assert_eq!(text[start..stop], table, "UPDATE_README=1 cargo test readme");
    }
}
