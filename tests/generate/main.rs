//! Writes the tables of facts of the STU3 release: `cargo run --example generate-stu3 -- PACKAGE.tgz [FOLDER]`.
//!
//! PACKAGE.tgz is `hl7.fhir.r3.core`; FOLDER is `src/stu3` unless told otherwise.

mod extensions;
mod package;
mod profiles;
mod table;
mod terminology;

use package::Package;
use std::{env, fs, path::PathBuf, process::ExitCode};

/// Writes the text of a table.
type Table = fn(&Package) -> String;

/// The files, and what writes each.
const TABLES: [(&str, Table); 5] = [
    ("release.tsv", table::table),
    ("terminology.tsv", terminology::table),
    ("displays.tsv", terminology::displays),
    ("extensions.tsv", extensions::table),
    ("profiles.tsv", profiles::table),
];

fn main() -> ExitCode {
    let mut arguments = env::args_os().skip(1);
    let Some(package) = arguments.next().map(PathBuf::from) else {
        return fail("generate-stu3: name the package: cargo run --example generate-stu3 -- PACKAGE.tgz [FOLDER]");
    };
    let folder = arguments.next().map_or_else(tables_folder, PathBuf::from);
    let written = fs::read(&package)
        .and_then(|bytes| package::read(&bytes))
        .and_then(|package| TABLES.iter().try_for_each(|(name, table)| fs::write(folder.join(name), table(&package))));
    match written {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&format!("generate-stu3: {}: {error}", package.display())),
    }
}

/// Where the tables are that the library is built with.
fn tables_folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/stu3")
}

fn fail(text: &str) -> ExitCode {
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "{text}");
    ExitCode::FAILURE
}
