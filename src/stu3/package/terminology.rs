//! Value sets and code systems of packages, as their authors state them.
//!
//! Spec: <https://hl7.org/fhir/STU3/valueset.html>, <https://hl7.org/fhir/STU3/codesystem.html>.

use super::Object;
use crate::stu3::profile::{Defect, Problem};
use std::sync::Arc;

/// More codes than any list in a package needs.
const MOST_CODES: usize = 1_000_000;

/// A value set, as stated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DefinedValueSet {
    /// Canonical URL.
    pub url: Arc<str>,
    /// Its version, where it has one.
    pub version: Option<Arc<str>>,
    /// The name for programs.
    pub name: Arc<str>,
    /// What it takes in.
    pub include: Vec<Include>,
    /// What it leaves out.
    pub exclude: Vec<Include>,
    /// The codes that the package lists for it; `None` where it lists none.
    pub expansion: Option<Vec<Expanded>>,
    /// Where it was read from.
    pub file: Arc<str>,
}

/// A part of a value set's definition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Include {
    /// The code system; `None` where it is made of other sets alone.
    pub system: Option<Arc<str>>,
    /// The system's version.
    pub version: Option<Arc<str>>,
    /// The codes; empty where all of the system are meant, or those that the filters let through.
    pub concepts: Vec<Concept>,
    /// All of these must let a code through.
    pub filters: Vec<Filter>,
    /// A code must be in all of these sets too.
    pub value_sets: Vec<Arc<str>>,
}

/// A code with the texts that it may be displayed by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Concept {
    /// The code.
    pub code: Arc<str>,
    /// Its display.
    pub display: Option<Arc<str>>,
    /// Other displays: designations.
    pub designations: Vec<Arc<str>>,
}

/// A condition on the codes of a system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    /// The property.
    pub property: Arc<str>,
    /// `is-a`, `regex`, ...
    pub operator: Arc<str>,
    /// What it is compared with.
    pub value: Arc<str>,
}

/// A code of an expansion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expanded {
    /// The code system.
    pub system: Option<Arc<str>>,
    /// The code and its displays.
    pub concept: Concept,
    /// It groups others and is no choice itself.
    pub is_abstract: bool,
}

/// A code system, as stated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DefinedCodeSystem {
    /// Canonical URL.
    pub url: Arc<str>,
    /// Its version, where it has one.
    pub version: Option<Arc<str>>,
    /// The name for programs.
    pub name: Arc<str>,
    /// `complete`, `fragment`, `example`, `not-present`.
    pub content: Arc<str>,
    /// Capitals and small letters are told apart.
    pub is_case_sensitive: bool,
    /// The value set of all its codes.
    pub value_set: Option<Arc<str>>,
    /// Its codes, each after the one that it stands under.
    pub concepts: Vec<SystemConcept>,
    /// Where it was read from.
    pub file: Arc<str>,
}

/// A code of a code system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SystemConcept {
    /// The code and its displays.
    pub concept: Concept,
    /// The place of the concept that it stands under.
    pub parent: Option<u32>,
    /// Its properties, values as text.
    pub properties: Vec<(Arc<str>, Arc<str>)>,
}

impl DefinedValueSet {
    /// Reads one.
    ///
    /// # Errors
    /// It has no URL, or more codes than any real one.
    pub(super) fn read(object: Object<'_>, file: &Arc<str>) -> Result<Self, Problem> {
        match object.kept("url") {
            Some(url) => Self::contained(object, url, file),
            None => Err(Problem { file: file.clone(), url: None, element: None, defect: Defect::NoMember("url") }),
        }
    }

    /// Reads one that goes by this URL, whatever it says itself.
    ///
    /// # Errors
    /// It has more codes than any real one.
    pub(super) fn contained(object: Object<'_>, url: Arc<str>, file: &Arc<str>) -> Result<Self, Problem> {
        let fail = |defect| Problem { file: file.clone(), url: Some(url.clone()), element: None, defect };
        let includes = |name: &str| {
            object
                .object("compose")
                .map(|compose| compose.objects(name).map(Include::read).collect())
                .unwrap_or_default()
        };
        let expansion = object.object("expansion").map(|expansion| {
            let mut codes = Vec::new();
            expand(expansion, &mut codes);
            codes
        });
        let set = Self {
            version: object.kept("version"),
            name: object.kept("name").unwrap_or_default(),
            include: includes("include"),
            exclude: includes("exclude"),
            // an expansion of nothing but parameters says nothing
            expansion: expansion.filter(|codes| !codes.is_empty()),
            file: file.clone(),
            url: url.clone(),
        };
        let count: usize = set.include.iter().map(|include| include.concepts.len()).sum();
        if count.max(set.expansion.as_ref().map_or(0, Vec::len)) > MOST_CODES {
            return Err(fail(Defect::TooManyElements(MOST_CODES)));
        }
        Ok(set)
    }
}

/// Nesting is as deep as the reader lets a document be.
fn expand(object: Object<'_>, codes: &mut Vec<Expanded>) {
    for contained in object.objects("contains") {
        if let Some(concept) = Concept::read(contained) {
            let is_abstract = contained.flag("abstract").unwrap_or(false);
            codes.push(Expanded { system: contained.kept("system"), concept, is_abstract });
        }
        expand(contained, codes);
    }
}

impl Include {
    fn read(object: Object<'_>) -> Self {
        let filter = |filter: Object<'_>| {
            Some(Filter {
                property: filter.kept("property")?,
                operator: filter.kept("op")?,
                value: filter.kept("value")?,
            })
        };
        Self {
            system: object.kept("system"),
            version: object.kept("version"),
            concepts: object.objects("concept").filter_map(Concept::read).collect(),
            filters: object.objects("filter").filter_map(filter).collect(),
            value_sets: object.texts("valueSet").collect(),
        }
    }
}

impl Concept {
    fn read(object: Object<'_>) -> Option<Self> {
        let designations = object.objects("designation").filter_map(|designation| designation.kept("value"));
        Some(Self { code: object.kept("code")?, display: object.kept("display"), designations: designations.collect() })
    }
}

impl DefinedCodeSystem {
    /// Reads one.
    ///
    /// # Errors
    /// It has no URL, does not say how complete it is, or has more codes than any real one.
    pub(super) fn read(object: Object<'_>, file: &Arc<str>) -> Result<Self, Problem> {
        let url = object.kept("url");
        let fail = |defect| Problem { file: file.clone(), url: url.clone(), element: None, defect };
        let mut concepts = Vec::new();
        nested(object, None, &mut concepts);
        if concepts.len() > MOST_CODES {
            return Err(fail(Defect::TooManyElements(MOST_CODES)));
        }
        Ok(Self {
            version: object.kept("version"),
            name: object.kept("name").unwrap_or_default(),
            content: object.kept("content").ok_or_else(|| fail(Defect::NoMember("content")))?,
            is_case_sensitive: object.flag("caseSensitive").unwrap_or(true),
            value_set: object.kept("valueSet"),
            concepts,
            file: file.clone(),
            url: url.clone().ok_or_else(|| fail(Defect::NoMember("url")))?,
        })
    }
}

/// Nesting is as deep as the reader lets a document be.
fn nested(object: Object<'_>, parent: Option<u32>, concepts: &mut Vec<SystemConcept>) {
    for child in object.objects("concept") {
        let Some(concept) = Concept::read(child) else { continue };
        let place = u32::try_from(concepts.len()).ok();
        let property = |property: Object<'_>| {
            let (_, value) = property.choice("value")?;
            let value = property.document.text(value).or_else(|| {
                let coding = Object { document: property.document, node: value };
                coding.text("code")
            })?;
            Some((property.kept("code")?, value.as_ref().into()))
        };
        let properties = child.objects("property").filter_map(property).collect();
        concepts.push(SystemConcept { concept, parent, properties });
        nested(child, place, concepts);
    }
}

#[cfg(test)]
mod tests {
    use super::super::Shelf;

    const SET: &str = r#"{"resourceType":"ValueSet","url":"http://example.org/v","version":"1","name":"v","status":"draft",
        "compose":{"include":[
            {"system":"http://example.org/s","version":"2","concept":[{"code":"a","display":"A","designation":[{"value":"aa"}]}]},
            {"system":"http://example.org/t","filter":[{"property":"concept","op":"is-a","value":"b"}],
             "valueSet":["http://example.org/w"]}],
            "exclude":[{"system":"http://example.org/s","concept":[{"code":"c"}]}]},
        "expansion":{"identifier":"i","timestamp":"2020","contains":[{"abstract":true,"system":"http://example.org/s","code":"g",
            "contains":[{"system":"http://example.org/s","code":"a"}]}]}}"#;

    const SYSTEM: &str = r#"{"resourceType":"CodeSystem","url":"http://example.org/s","name":"s","status":"draft",
        "content":"complete","caseSensitive":false,"valueSet":"http://example.org/v","concept":[{"code":"g","concept":[
            {"code":"a","display":"A","property":[{"code":"kind","valueCode":"x"},{"code":"same","valueCoding":{"code":"y"}}]},
            {"code":"b"}]},{"code":"c"}]}"#;

    #[test]
    fn a_value_set_is_read_as_stated() {
        let mut shelf = Shelf::new();
        shelf.add_file("v.json", SET.as_bytes());
        let library = shelf.library();
        let set = library.value_set("http://example.org/v|1").unwrap();
        let [listed, filtered] = &set.include[..] else { panic!("two parts") };
        assert_eq!((&*listed.concepts[0].code, listed.version.as_deref()), ("a", Some("2")));
        assert_eq!(listed.concepts[0].designations, ["aa".into()]);
        assert_eq!((&*filtered.filters[0].operator, &*filtered.filters[0].value), ("is-a", "b"));
        assert_eq!(filtered.value_sets, ["http://example.org/w".into()]);
        assert_eq!(&*set.exclude[0].concepts[0].code, "c");
        let expansion = set.expansion.as_ref().unwrap();
        let codes: Vec<(&str, bool)> =
            expansion.iter().map(|known| (&*known.concept.code, known.is_abstract)).collect();
        assert_eq!(codes, [("g", true), ("a", false)]);
    }

    #[test]
    fn a_code_system_knows_what_stands_under_what() {
        let mut shelf = Shelf::new();
        shelf.add_file("s.json", SYSTEM.as_bytes());
        shelf.add_file("t.json", SYSTEM.replace(r#""content":"complete","#, "").replace("/s\"", "/t\"").as_bytes());
        let library = shelf.library();
        let system = library.code_system("http://example.org/s").unwrap();
        assert!(!system.is_case_sensitive);
        let concepts: Vec<(&str, Option<u32>)> =
            system.concepts.iter().map(|known| (&*known.concept.code, known.parent)).collect();
        assert_eq!(concepts, [("g", None), ("a", Some(0)), ("b", Some(0)), ("c", None)]);
        assert_eq!(system.concepts[1].properties, [("kind".into(), "x".into()), ("same".into(), "y".into())]);
        let told: Vec<String> = library.problems().iter().map(ToString::to_string).collect();
        assert_eq!(told, ["t.json: content is missing; nothing can be made of it"]);
    }
}
