//! Whatever the bytes are: an outcome, its findings sorted by place, and every rendering of it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pushbridge::{
    fhir::json::Limits,
    validate::{self, Outcome, Policy, Validator, render},
};
use std::sync::LazyLock;

static VALIDATOR: LazyLock<Validator> = LazyLock::new(Validator::new);

fuzz_target!(|bytes: &[u8]| {
    let limits = Limits::default();
    let outcome = match validate::read(bytes, &limits) {
        Ok(document) => VALIDATOR.resource(&document, &Policy::default()),
        Err(error) => Outcome::of_unreadable(&error),
    };
    assert!(outcome.findings.is_sorted_by_key(|finding| (finding.line, finding.column)));
    let _ = render::json_line("-", &outcome);
});
