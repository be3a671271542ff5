//! Errata that lie beside packages, put to the constraints that they name.

use crate::stu3::{
    errata::ProfileErratum,
    profile::{Defect, Problem, StructureDefinition},
};
use std::sync::Arc;

/// Corrects constraints of profiles, and gives the errata that did, by profile and key. One that names nothing, and two
/// for one constraint, are problems, and change nothing: which of them counts must not depend on the order of files.
pub(super) fn applied(
    mut errata: Vec<ProfileErratum>,
    definitions: &mut [Arc<StructureDefinition>],
    problems: &mut Vec<Problem>,
) -> Vec<Arc<ProfileErratum>> {
    errata.sort_by(|one, other| (&one.profile, &one.key, &one.file).cmp(&(&other.profile, &other.key, &other.file)));
    let mut kept = Vec::new();
    for same in errata.chunk_by(|one, other| one.profile == other.profile && one.key == other.key) {
        let mut tell = |erratum: &ProfileErratum, defect| {
            let (file, url) = (erratum.file.clone(), Some(erratum.profile.clone()));
            problems.push(Problem { file, url, element: None, defect });
        };
        let [erratum] = same else {
            for (place, erratum) in same.iter().enumerate() {
                let other = &same[usize::from(place == 0)];
                tell(erratum, Defect::ErratumTwice(other.file.clone(), erratum.key.clone()));
            }
            continue;
        };
        let erratum = Arc::new(erratum.clone());
        if corrected(&erratum, definitions) {
            kept.push(erratum);
        } else {
            tell(&erratum, Defect::NoConstraintNamed(erratum.key.clone()));
        }
    }
    kept
}

/// In all versions of the profile; `false` where none states the constraint.
fn corrected(erratum: &Arc<ProfileErratum>, definitions: &mut [Arc<StructureDefinition>]) -> bool {
    let mut is_there = false;
    for definition in definitions.iter_mut().filter(|definition| definition.url == erratum.profile) {
        let changes = definition.changes.iter();
        if !changes.flat_map(|change| &change.constraints).any(|constraint| constraint.key == erratum.key) {
            continue;
        }
        is_there = true;
        let changes = Arc::make_mut(definition).changes.iter_mut();
        let constraints = changes.flat_map(|change| &mut change.constraints);
        constraints
            .filter(|constraint| constraint.key == erratum.key)
            .for_each(|constraint| constraint.correct(erratum));
    }
    is_there
}

#[cfg(test)]
mod tests {
    use super::super::{Library, Shelf};

    const PROFILE: &str = r#"{"resourceType":"StructureDefinition","url":"http://example.org/a","name":"a","status":"draft",
        "kind":"resource","abstract":false,"type":"Patient","derivation":"constraint",
        "baseDefinition":"http://hl7.org/fhir/StructureDefinition/Patient","differential":{"element":[
            {"path":"Patient","constraint":[{"key":"a-1","severity":"error","human":"h","expression":"name.given.foo("}]}]}}"#;

    fn library(errata: &[(&str, &str)]) -> Library {
        let mut shelf = Shelf::new();
        for (name, key) in errata {
            let text = format!(
                r#"{{"errata":[{{"profile":"http://example.org/a","key":"{key}","expression":"name.exists()","severity":"warning","reason":"r"}}]}}"#
            );
            shelf.add_file(name, text.as_bytes());
        }
        shelf.add_file("a.json", PROFILE.as_bytes());
        shelf.library()
    }

    fn told(library: &Library) -> Vec<String> {
        library.problems().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn an_erratum_takes_the_place_of_what_is_published_and_is_told() {
        let library = library(&[("a-1.0.0.errata.json", "a-1")]);
        assert_eq!(
            told(&library),
            ["a.json, Patient: constraint a-1 is not taken as it is published (a-1.0.0.errata.json): r"]
        );
        assert_eq!(&*library.errata()[0].file, "a-1.0.0.errata.json");
        let snapshot = library.snapshot("http://example.org/a").unwrap();
        let constraint = snapshot.root.element.constraints.iter().find(|known| &*known.key == "a-1").unwrap();
        assert!(constraint.is_warning && constraint.correction.as_ref().unwrap().is_softened);
        assert!(constraint.expression.as_ref().unwrap().expression().is_ok());
    }

    #[test]
    fn errata_that_name_nothing_or_contradict_each_other_change_nothing() {
        let unknown = library(&[("u.errata.json", "a-2")]);
        assert!(unknown.errata().is_empty());
        let text = "u.errata.json: no profile of this URL that is loaded states a constraint a-2: correct the erratum, or take it out";
        assert!(told(&unknown).contains(&text.to_owned()), "{:?}", told(&unknown));
        let twice = library(&[("v.errata.json", "a-1"), ("u.errata.json", "a-1")]);
        assert!(twice.errata().is_empty());
        let problems = told(&twice);
        assert!(
            problems[1].starts_with("u.errata.json: v.errata.json has another erratum of constraint a-1"),
            "{problems:?}"
        );
        assert!(
            problems[2].starts_with("v.errata.json: u.errata.json has another erratum of constraint a-1"),
            "{problems:?}"
        );
    }

    #[test]
    fn a_file_that_is_no_file_of_errata_is_told() {
        let mut shelf = Shelf::new();
        shelf.add_file("a.errata.json", br#"{"errata":[{"key":"a"}]}"#);
        let library = shelf.library();
        assert!(
            told(&library)[0].starts_with("a.errata.json: this is no file of errata: missing field"),
            "{:?}",
            told(&library)
        );
        assert!(!library.problems()[0].defect.is_warning());
    }
}
