//! Writes the facts tables of the STU3 release: `cargo run --example generate-stu3 -- PACKAGE.tgz [FOLDER]`.
//!
//! PACKAGE.tgz is `hl7.fhir.r3.core`; FOLDER is `src/stu3` unless told otherwise.

mod extensions;
mod package;
mod table;

use std::{env, fs, path::PathBuf, process::ExitCode};

fn main() -> ExitCode {
    let mut arguments = env::args_os().skip(1);
    let Some(package) = arguments.next().map(PathBuf::from) else {
        return fail("generate-stu3: name the package: cargo run --example generate-stu3 -- PACKAGE.tgz [FOLDER]");
    };
    let folder = arguments.next().map_or_else(library, PathBuf::from);
    let written = fs::read(&package).and_then(|bytes| package::read(&bytes)).and_then(|package| {
        fs::write(folder.join("release.tsv"), table::table(&package))?;
        fs::write(folder.join("extensions.tsv"), extensions::table(&package))
    });
    match written {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&format!("generate-stu3: {}: {error}", package.display())),
    }
}

/// The room that is built with the tables.
fn library() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/stu3")
}

fn fail(text: &str) -> ExitCode {
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "{text}");
    ExitCode::FAILURE
}
