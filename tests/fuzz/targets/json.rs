//! Whatever the bytes are: a tree whose places lie in the text, or an error with a place.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pushbridge::fhir::json::{Limits, read};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(document) = read(bytes, &Limits::default()) {
        for node in document.subtree(document.root()) {
            assert!(document.source().get(document.span(node)).is_some());
            let _ = (document.name(node), document.text(node), document.place(node));
        }
        assert!(serde_json::from_str::<serde_json::Value>(document.source()).is_ok());
    }
});
