//! Whatever the bytes are: a tree whose places lie in the text and whose JSON form reads the same, or an error.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pushbridge::{
    fhir::{json, write, xml},
    stu3,
};

fuzz_target!(|bytes: &[u8]| {
    let limits = json::Limits::default();
    if let Ok(document) = xml::read(bytes, &limits, stu3::release()) {
        for node in document.subtree(document.root()) {
            assert!(document.source().get(document.span(node)).is_some());
        }
        let mut written = Vec::new();
        write::json(&document, &mut written).expect("a vector takes everything");
        let _ = json::read(&written, &limits);
    }
});
