//! The tables of facts of the release are what the generator makes of the package.

use crate::generate::{
    extensions,
    package::{self, Package},
    profiles, table, terminology,
};
use std::path::PathBuf;

/// The package; `None` (and a word about it) where it is not there.
fn package() -> Option<Package> {
    let shared = std::env::var_os("PUSHBRIDGE_SHARED")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared"), PathBuf::from);
    let Ok(bytes) = std::fs::read(shared.join("stu3/hl7.fhir.r3.core-3.0.2.tgz")) else {
        eprintln!("skipped: the STU3 package is not there (set PUSHBRIDGE_SHARED to the folder with stu3/)");
        return None;
    };
    Some(package::read(&bytes).unwrap())
}

#[test]
fn tables_are_up_to_date() {
    let Some(package) = package() else { return };
    for (name, generated) in [
        ("release.tsv", table::table(&package)),
        ("terminology.tsv", terminology::table(&package)),
        ("displays.tsv", terminology::displays(&package)),
        ("extensions.tsv", extensions::table(&package)),
        ("profiles.tsv", profiles::table(&package)),
    ] {
        let kept = std::fs::read_to_string(format!("{}/src/stu3/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap();
        let difference = generated.lines().zip(kept.lines()).position(|(new, old)| new != old);
        assert!(
            generated == kept,
            "src/stu3/{name} differs from line {difference:?} on; run: cargo run --example generate-stu3 -- PACKAGE.tgz"
        );
    }
}
