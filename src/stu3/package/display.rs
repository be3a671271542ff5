//! What codes are displayed as, by the code systems and value sets of packages and by the release.

use super::{Concept, Library};
use crate::stu3::{same_display, terminology};
use std::{
    collections::HashMap,
    sync::{Arc, OnceLock},
};

/// By system and code; made when it is first asked.
#[derive(Debug, Default)]
pub(super) struct Displays(OnceLock<HashMap<Arc<str>, Names>>);

/// The names of each code.
type Names = HashMap<Arc<str>, Vec<Arc<str>>>;

/// Systems whose codes have many names, in as many languages: what packages say of one is some of them, and no judge.
const MANY_NAMES: [&str; 2] = ["http://loinc.org", "http://snomed.info/sct"];

impl Library {
    /// Whether a code may be displayed so; `None` where no display of it is known. A name that any value set gives to the
    /// code will do, as one of its code system does.
    pub fn is_display(&self, system: &str, code: &str, display: &str) -> Option<bool> {
        let mut is_known = false;
        for name in terminology().displays(system, code) {
            if same_display(name, display) {
                return Some(true);
            }
            is_known = true;
        }
        let loaded = self.displays.0.get_or_init(|| names(self)).get(system).and_then(|names| names.get(code));
        for name in loaded.into_iter().flatten() {
            if same_display(name, display) {
                return Some(true);
            }
            is_known = true;
        }
        is_known.then_some(false)
    }
}

fn names(library: &Library) -> HashMap<Arc<str>, Names> {
    let mut all: HashMap<Arc<str>, Names> = HashMap::new();
    let mut add = |system: &Arc<str>, concept: &Concept| {
        let mut named = concept.display.iter().chain(&concept.designations).peekable();
        if named.peek().is_none() || MANY_NAMES.contains(&&**system) {
            return;
        }
        let names = all.entry(system.clone()).or_default().entry(concept.code.clone()).or_default();
        for name in named {
            if !names.contains(name) {
                names.push(name.clone());
            }
        }
    };
    for system in library.code_systems() {
        system.concepts.iter().for_each(|known| add(&system.url, &known.concept));
    }
    for set in library.value_sets() {
        for part in &set.include {
            part.system.iter().for_each(|system| part.concepts.iter().for_each(|concept| add(system, concept)));
        }
        for expanded in set.expansion.iter().flatten() {
            expanded.system.iter().for_each(|system| add(system, &expanded.concept));
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::super::Shelf;

    #[test]
    fn names_of_code_systems_and_of_value_sets_will_do() {
        let mut shelf = Shelf::new();
        shelf.add_file(
            "s.json",
            br#"{"resourceType":"CodeSystem","url":"http://example.org/s","status":"draft","content":"complete","concept":[
                {"code":"a","display":"First one","designation":[{"language":"nl","value":"Eerste"}]},{"code":"b"}]}"#,
        );
        shelf.add_file(
            "v.json",
            br#"{"resourceType":"ValueSet","url":"http://example.org/v","status":"draft","compose":{"include":[
                {"system":"http://example.org/s","concept":[{"code":"a","display":"Number one"}]},
                {"system":"http://hl7.org/fhir/v3/RoleCode","concept":[{"code":"MTH","display":"moeder"}]}]},
                "expansion":{"identifier":"i","timestamp":"2020","contains":[
                    {"system":"http://example.org/t","code":"x","display":"Ex"}]}}"#,
        );
        let text = r#"{"resourceType":"ValueSet","url":"http://example.org/w","status":"draft","compose":{"include":[
            {"system":"http://snomed.info/sct","concept":[{"code":"1","display":"One of its names"}]}]}}"#;
        shelf.add_file("w.json", text.as_bytes());
        let library = shelf.library();
        assert_eq!(library.is_display("http://snomed.info/sct", "1", "Another"), None);
        let of = |code: &str, display: &str| library.is_display("http://example.org/s", code, display);
        for good in ["First one", "first  ONE", "Eerste", "Number one"] {
            assert_eq!(of("a", good), Some(true), "{good}");
        }
        assert_eq!((of("a", "Second"), of("b", "Second"), of("c", "Second")), (Some(false), None, None));
        assert_eq!(library.is_display("http://example.org/t", "x", "ex"), Some(true));
        let role = |display: &str| library.is_display("http://hl7.org/fhir/v3/RoleCode", "MTH", display);
        assert_eq!((role("Mother"), role("moeder"), role("vader")), (Some(true), Some(true), Some(false)));
    }
}
