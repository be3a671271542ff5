//! Writes the facts table of the STU3 release: `cargo run --example generate-stu3 -- PACKAGE.tgz [TABLE]`.
//!
//! PACKAGE.tgz is `hl7.fhir.r3.core`; TABLE is `src/stu3/release.tsv` unless told otherwise.

mod package;
mod table;

use std::{env, fs, path::PathBuf, process::ExitCode};

fn main() -> ExitCode {
    let mut arguments = env::args_os().skip(1);
    let Some(package) = arguments.next().map(PathBuf::from) else {
        return fail("generate-stu3: name the package: cargo run --example generate-stu3 -- PACKAGE.tgz [TABLE]");
    };
    let target = arguments.next().map_or_else(table_path, PathBuf::from);
    let written = fs::read(&package)
        .and_then(|bytes| package::read(&bytes))
        .and_then(|package| fs::write(&target, table::table(&package)));
    match written {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&format!("generate-stu3: {}: {error}", package.display())),
    }
}

/// The table that the library is built with.
fn table_path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/stu3/release.tsv")
}

fn fail(text: &str) -> ExitCode {
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "{text}");
    ExitCode::FAILURE
}
