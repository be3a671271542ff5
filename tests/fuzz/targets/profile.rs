//! Whatever the bytes are, as a definition and as a package: a library, and a word on all that is wrong, in order.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pushbridge::stu3::package::{ArchiveLimits, Shelf};

fuzz_target!(|bytes: &[u8]| {
    let limits = ArchiveLimits { max_unpacked: 1 << 20, max_file: 1 << 18, max_entries: 100 };
    let mut shelf = Shelf::new();
    shelf.add_file("-", bytes);
    let _ = shelf.add_package(bytes, &limits);
    let library = shelf.library();
    assert!(library.problems().is_sorted());
    for profile in library.profiles() {
        let told = || library.problems().iter().any(|problem| !problem.defect.is_warning());
        assert!(profile.snapshot.is_some() || told());
    }
});
