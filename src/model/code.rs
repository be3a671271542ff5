//! Codes that nobody here knows, for a terminology server.

use serde::{Deserialize, Serialize};

/// The longest code, system or value set of a question.
const LONGEST: usize = 256;

/// Whether a code belongs to a value set: all that ever leaves for a terminology server.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct CodeQuestion {
    /// Canonical URL of the value set.
    pub value_set: String,
    /// The code's system.
    pub system: String,
    /// The code.
    pub code: String,
}

impl CodeQuestion {
    /// `None` where what stands for a code or a system does not look like one: somebody may have written words there,
    /// and words may be about a person.
    pub fn new(value_set: &str, system: &str, code: &str) -> Option<Self> {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:/+".contains(&byte);
        let is_code = !code.is_empty() && code.len() <= LONGEST && code.bytes().all(is_plain);
        let is_uri = |text: &str| {
            let begins = ["http://", "https://", "urn:oid:", "urn:uuid:"].iter().any(|scheme| text.starts_with(scheme));
            begins && text.len() <= LONGEST && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'@')
        };
        (is_code && is_uri(system) && is_uri(value_set)).then(|| Self {
            value_set: value_set.to_owned(),
            system: system.to_owned(),
            code: code.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_words_never_leaves() {
        let (set, system) = ("http://clinic.example/set", "http://snomed.info/sct");
        assert!(CodeQuestion::new(set, system, "271649006").is_some());
        for (system, code) in
            [(system, "Alex Example"), (system, ""), ("Alex", "1"), ("http://a@b.example/", "1"), ("http://x y", "1")]
        {
            assert_eq!(CodeQuestion::new(set, system, code), None, "{system} {code}");
        }
    }
}
