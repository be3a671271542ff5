//! The README's tables are those of the program, and SECURITY.md names tests that exist.

use pushbridge::{cli::exit, config};
use std::{fs, path::Path};

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

/// Every function of the sources and tests.
fn functions(folder: &Path, found: &mut String) {
    for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap()) {
        if entry.file_type().unwrap().is_dir() {
            functions(&entry.path(), found);
        } else if entry.path().extension().is_some_and(|ending| ending == "rs") {
            found.push_str(&fs::read_to_string(entry.path()).unwrap());
        }
    }
}

#[test]
fn the_tests_that_security_names_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut sources = String::new();
    ["src", "tests"].iter().for_each(|folder| functions(&root.join(folder), &mut sources));
    let text = fs::read_to_string(root.join("SECURITY.md")).unwrap();
    let is_name =
        |word: &&str| word.matches('_').count() > 1 && !word.contains(|c: char| c != '_' && !c.is_alphanumeric());
    let named: Vec<_> = text.split('`').skip(1).step_by(2).filter(is_name).collect();
    assert!(named.len() > 30, "{named:?}");
    for name in named {
        assert!(sources.contains(&format!("fn {name}()")), "SECURITY.md names {name}, and there is no such test");
    }
}
