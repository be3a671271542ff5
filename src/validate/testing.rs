//! For the tests of the rules: a file in, what is found as short lines.

use super::{Outcome, Policy, Validator};
use crate::fhir::json::{self, Limits};

/// The outcome of a file under no policy.
pub(super) fn outcome(source: &str) -> Outcome {
    under(source, &Policy::default())
}

/// The outcome of a file under a policy.
pub(super) fn under(source: &str, policy: &Policy) -> Outcome {
    let document = json::read(source.as_bytes(), &Limits::default()).unwrap();
    Validator::new().resource(&document, policy)
}

/// `key expression` of each finding in its order.
pub(super) fn findings(source: &str) -> Vec<String> {
    outcome(source).findings.iter().map(|finding| format!("{} {}", finding.key, finding.expression)).collect()
}

/// A Bundle of a type with these entries.
pub(super) fn bundle(kind: &str, entries: &[&str]) -> String {
    format!(r#"{{"resourceType":"Bundle","type":"{kind}","entry":[{}]}}"#, entries.join(","))
}
