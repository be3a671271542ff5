//! Whatever the expression is: an error with its column, or values, within the budget of steps.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pushbridge::{
    fhir::{
        json::{Limits, read},
        path::Expression,
    },
    stu3,
};

const BUNDLE: &[u8] = include_bytes!("../../../samples/valid/weight-batch.json");

fuzz_target!(|text: &str| {
    if let Ok(expression) = Expression::parse(text) {
        let document = read(BUNDLE, &Limits::default()).expect("the sample is JSON");
        let _ = expression.texts(&document, stu3::release());
    }
});
