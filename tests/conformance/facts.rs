//! The facts table of the release is what the generator makes of the package.

use crate::generate::{package, table};
use std::path::PathBuf;

#[test]
fn table_is_up_to_date() {
    let shared = std::env::var_os("PUSHBRIDGE_SHARED")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared"), PathBuf::from);
    let Ok(bytes) = std::fs::read(shared.join("stu3/hl7.fhir.r3.core-3.0.2.tgz")) else {
        eprintln!("skipped: the STU3 package is not there (set PUSHBRIDGE_SHARED to the folder with stu3/)");
        return;
    };
    let generated = table::table(&package::read(&bytes).unwrap());
    let kept = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/src/stu3/release.tsv")).unwrap();
    let difference = generated.lines().zip(kept.lines()).position(|(new, old)| new != old);
    assert!(
        generated == kept,
        "src/stu3/release.tsv differs from line {difference:?} on; run: cargo run --example generate-stu3 -- PACKAGE.tgz"
    );
}
