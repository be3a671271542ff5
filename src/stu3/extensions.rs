//! The extensions that STU3 defines: where each may stand, how often, and what it holds.
//!
//! `extensions.tsv` is written by the generator beside `release.tsv`. One line an extension or part of one, tab-separated;
//! missing columns at the end are empty: `depth url min max flags types strength value-set maximum contexts invariant..`.
//! Depth 0 is an extension, depth 1 a part of the one above it, and so on. Flags: `m` modifier, `v` the value must be
//! there. Types as in `release.tsv`; none where the extension has parts instead. Contexts: type names and element paths,
//! separated by spaces. Invariants: FHIRPath, to the end of the line.
//! Spec: <https://hl7.org/fhir/STU3/defining-extensions.html>.

use super::{Binding, Content, Most, Release, Strength, StructureId};
use crate::fhir::path::Expression;
use std::sync::OnceLock;

/// An extension of the release, or a part of one.
#[derive(Debug)]
pub struct Extension {
    /// Canonical URL; of a part the short name that stands in its place.
    pub url: &'static str,
    /// How often it must stand at least; counts for parts alone.
    pub min: u16,
    /// How often it may stand at one element, or in the extension that it is a part of.
    pub most: Most,
    /// It changes the meaning of what it stands in.
    pub modifier: bool,
    /// Its value must be there.
    pub valued: bool,
    /// The types that its value may have; none where it has parts instead.
    pub values: Vec<ValueType>,
    /// The codes of its value.
    pub binding: Option<Binding>,
    /// Its parts, each by its short name.
    pub parts: Vec<Self>,
    /// What has to hold of the element that it stands on; parts have none.
    /// <https://hl7.org/fhir/STU3/structuredefinition-definitions.html#StructureDefinition.contextInvariant>
    pub invariants: Vec<Invariant>,
    places: Vec<Place>,
}

/// A condition on the element that holds an extension.
#[derive(Debug)]
pub struct Invariant {
    /// As the release writes it.
    pub text: &'static str,
    /// On that element; [`Invariant::VARIABLE`] is the extension itself.
    pub expression: Expression,
}

impl Invariant {
    /// The variable that the expression may use.
    pub const VARIABLE: &'static str = "extension";
}

/// A type that an extension's value may have.
#[derive(Debug)]
pub struct ValueType {
    /// The type's name: `CodeableConcept`.
    pub name: &'static str,
    /// The resource types that a `Reference` may lead to; `Resource` is any. Empty for other types.
    pub targets: Vec<&'static str>,
}

/// The element that holds an extension.
#[derive(Clone, Copy, Debug)]
pub struct Holder {
    /// The structure that the element stands in and the element's name; `None` for a resource.
    pub element: Option<(StructureId, &'static str)>,
    /// The element's type; for nested elements their own structure.
    pub holds: StructureId,
}

/// Where an extension may stand.
#[derive(Debug)]
enum Place {
    Anywhere,
    /// On every element of a type or of one derived from it.
    Type(StructureId),
    /// On an element of this structure; of a choice only with this type. Where the path begins in another
    /// structure the resource around it is of that type.
    Element {
        owner: StructureId,
        name: &'static str,
        holds: Option<StructureId>,
        root: Option<&'static str>,
    },
}

impl Extension {
    /// It may stand on this element; `in_resource` says whether the resource around it is of a type.
    pub fn may_stand(&self, release: &Release, holder: Holder, in_resource: impl Fn(&str) -> bool) -> bool {
        self.places.iter().any(|place| place.admits(release, holder, &in_resource))
    }
}

impl Place {
    fn admits(&self, release: &Release, holder: Holder, in_resource: impl Fn(&str) -> bool) -> bool {
        match self {
            Self::Anywhere => true,
            Self::Type(wanted) => release.is_a(holder.holds, *wanted),
            Self::Element { owner, name, holds, root } => {
                holder
                    .element
                    .is_some_and(|(in_structure, element)| element == *name && release.is_a(in_structure, *owner))
                    && holds.is_none_or(|wanted| release.is_a(holder.holds, wanted))
                    && root.is_none_or(in_resource)
            }
        }
    }
}

/// An element is one that the path of a context names; `None` where the path leads nowhere in the release.
pub(super) fn is_at(
    release: &'static Release,
    path: &str,
    holder: Holder,
    in_resource: impl Fn(&str) -> bool,
) -> Option<bool> {
    Some(place(release, path)?.admits(release, holder, in_resource))
}

/// The extension with this URL.
pub(super) fn definition(release: &'static Release, url: &str) -> Option<&'static Extension> {
    static EXTENSIONS: OnceLock<Vec<Extension>> = OnceLock::new();
    let extensions = EXTENSIONS.get_or_init(|| decode(release, include_str!("extensions.tsv")));
    extensions.binary_search_by(|extension| extension.url.cmp(url)).ok().map(|place| &extensions[place])
}

fn decode(release: &'static Release, table: &'static str) -> Vec<Extension> {
    let mut extensions = Vec::new();
    for line in table.lines() {
        let (depth, rest) = line.split_once('\t').expect("a line begins with its depth");
        let depth: usize = depth.parse().expect("a depth is a number");
        let list = (0..depth).fold(&mut extensions, |list: &mut Vec<Extension>, _| {
            &mut list.last_mut().expect("parts follow their extension").parts
        });
        list.push(extension(release, rest));
    }
    extensions
}

fn extension(release: &'static Release, line: &'static str) -> Extension {
    let mut columns = line.split('\t');
    let mut next = || columns.next().unwrap_or_default();
    let (url, min, most) = (next(), next(), Most::of(next()));
    let (flags, types, strength, value_set, maximum, places) = (next(), next(), next(), next(), next(), next());
    let named = |url: &'static str| Some(url).filter(|url| !url.is_empty());
    Extension {
        url,
        min: min.parse().expect("min is a number"),
        most,
        modifier: flags.contains('m'),
        valued: flags.contains('v'),
        values: words(types).map(value_type).collect(),
        binding: Strength::named(strength).map(|strength| Binding {
            strength,
            value_set: named(value_set),
            maximum: named(maximum),
        }),
        parts: Vec::new(),
        invariants: columns.map(invariant).collect(),
        places: words(places).map(|path| place(release, path).expect("a context is an element")).collect(),
    }
}

fn invariant(text: &'static str) -> Invariant {
    let expression = Expression::parse_with(text, &[Invariant::VARIABLE]);
    Invariant { text, expression: expression.expect("a test reads every invariant") }
}

fn words(text: &'static str) -> impl Iterator<Item = &'static str> {
    text.split(' ').filter(|word| !word.is_empty())
}

fn value_type(text: &'static str) -> ValueType {
    let (name, rest) = text.split_at(text.find(['(', '{']).unwrap_or(text.len()));
    let targets = rest.strip_prefix('(').map_or("", |targets| targets.trim_end_matches(')'));
    ValueType { name, targets: targets.split('|').filter(|target| !target.is_empty()).collect() }
}

/// A type's name or the path of an element; the path may go through types and other elements' definitions.
fn place(release: &'static Release, path: &str) -> Option<Place> {
    if matches!(path, "*" | "Any") {
        return Some(Place::Anywhere);
    }
    if let Some(named) = release.structure_named(path) {
        return Some(Place::Type(named));
    }
    let (root, rest) = path.split_once('.')?;
    let mut owner = release.structure_named(root)?;
    let root = release.structure(owner).name;
    let mut steps = rest.split('.').peekable();
    loop {
        let step = steps.next()?;
        let whole = |step: &str| release.elements(owner).iter().find(|known| known.choice && known.name == step);
        // a choice by its own name is any of its types
        if let (Some(stem), None) = (step.strip_suffix("[x]"), release.member(owner, step)) {
            let element = whole(stem).filter(|_| steps.peek().is_none())?;
            return Some(Place::Element {
                owner,
                name: element.name,
                holds: None,
                root: foreign(release, owner, root),
            });
        }
        let (element, way) = release.member(owner, step)?;
        let content = match way.content {
            Content::Structure(id) => Some(id),
            Content::Primitive(_) | Content::Resource => release.structure_named(way.type_name),
        };
        if steps.peek().is_none() {
            let holds = content.filter(|_| element.choice);
            return Some(Place::Element { owner, name: element.name, holds, root: foreign(release, owner, root) });
        }
        owner = content?;
    }
}

/// The resource that a path begins in, where it leads into another type.
fn foreign(release: &Release, owner: StructureId, root: &'static str) -> Option<&'static str> {
    let within = release.structure(owner).name;
    let is_foreign = within.split('.').next() != Some(root);
    Some(root).filter(|_| is_foreign && release.resource(root).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stu3::{StructureKind, release};

    const BASE: &str = "http://hl7.org/fhir/StructureDefinition/";

    fn named(name: &str) -> &'static Extension {
        release().extension(&format!("{BASE}{name}")).unwrap()
    }

    /// Whether an extension may stand on the member of a structure, in a resource of this type.
    fn stands(name: &str, structure: &str, member: &str, resource_type: &str) -> bool {
        let release = release();
        let owner = release.structure_named(structure).unwrap();
        let (element, way) = release.member(owner, member).unwrap();
        let holds = release.structure_named(way.type_name).unwrap();
        named(name).may_stand(release, Holder { element: Some((owner, element.name)), holds }, |wanted| {
            wanted == resource_type
        })
    }

    fn stands_on(name: &str, resource: &str) -> bool {
        let holds = release().resource(resource).unwrap();
        named(name).may_stand(release(), Holder { element: None, holds }, |wanted| wanted == resource)
    }

    #[test]
    fn values_and_parts_are_told_apart() {
        let reason = named("data-absent-reason");
        assert_eq!((reason.values[0].name, reason.parts.len(), reason.valued), ("code", 0, false));
        assert_eq!(reason.binding.unwrap().strength, Strength::Required);
        let history = named("valueset-history");
        assert!(history.values.is_empty());
        let revision = &history.parts[1];
        assert_eq!((revision.url, revision.most, revision.parts[0].url), ("revision", Most::Many, "date"));
        assert_eq!(revision.parts[0].min, 1);
        assert!(named("maxValue").valued);
        assert!(release().extension("http://example.org/x").is_none());
        assert!(named("event-notDone").modifier);
        assert_eq!(named("valueset-map").values[0].targets, ["ConceptMap"]);
    }

    #[test]
    fn places_are_types_elements_and_what_derives_from_them() {
        assert!(stands("patient-birthTime", "Patient", "birthDate", "Patient"));
        assert!(!stands("patient-birthTime", "Patient", "gender", "Patient"));
        assert!(stands_on("goal-pertainsToGoal", "Patient") && stands_on("patient-nationality", "Patient"));
        assert!(!stands_on("patient-nationality", "Person"));
        assert!(stands("cqif-cqlExpression", "ActivityDefinition", "timingTiming", "ActivityDefinition"));
        assert!(stands("data-absent-reason", "Patient", "gender", "Patient"));
        assert!(stands("humanname-own-prefix", "HumanName", "family", "Patient"));
    }

    #[test]
    fn invariants_are_expressions_on_elements_with_parts() {
        let release = release();
        let table = decode(release, include_str!("extensions.tsv"));
        let conditional: Vec<_> = table.iter().filter(|extension| !extension.invariants.is_empty()).collect();
        assert_eq!(conditional.len(), 10);
        for extension in conditional {
            for place in &extension.places {
                let nested = match place {
                    Place::Type(id) => release.structure(*id).kind == StructureKind::Nested,
                    Place::Element { owner, name, .. } => release
                        .member(*owner, name)
                        .is_some_and(|(_, way)| matches!(way.content, Content::Structure(_))),
                    Place::Anywhere => false,
                };
                assert!(nested, "{}", extension.url);
            }
        }
        assert_eq!(named("questionnaire-unit").invariants[0].text, "type='integer' or type='decimal'");
    }

    #[test]
    fn parts_and_maximum_sets_are_bound() {
        let lang = named("translation").parts[0].binding.unwrap();
        assert_eq!(
            (lang.strength, lang.maximum),
            (Strength::Extensible, Some("http://hl7.org/fhir/ValueSet/all-languages"))
        );
        assert_eq!(named("goal-acceptance").parts[1].binding.unwrap().strength, Strength::Required);
    }

    #[test]
    fn paths_go_through_other_definitions() {
        assert!(stands("questionnaire-minOccurs", "Questionnaire.item", "item", "Questionnaire"));
        assert!(stands("questionnaire-minOccurs", "Questionnaire", "item", "Questionnaire"));
        assert!(stands("iso21090-ADXP-streetName", "Address", "line", "Patient"));
    }
}
