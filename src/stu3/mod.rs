//! The library: what FHIR STU3 (3.0.2) itself says, as tables of facts.
//!
//! `release.tsv`, `terminology.tsv`, `displays.tsv`, `extensions.tsv` and `profiles.tsv` are written by a generator that stands in
//! `tests/generate` from the release's own package; a test compares them. [`release`] decodes its table once, in about a millisecond; after that
//! a member is looked up by its structure and name with one probe and no allocation. Codes are asked of [`terminology()`],
//! extensions of [`Release::extension`]. What packages add is a [`package::Library`]; what a profile asks for in all is a
//! [`profile::Snapshot`].
//! Spec: <https://hl7.org/fhir/STU3/formats.html>, <https://hl7.org/fhir/STU3/json.html>.

pub mod errata;
mod extensions;
mod index;
pub mod package;
pub mod profile;
mod table;
mod terminology;

pub use crate::fhir::{Content, Primitive, StructureId};
use crate::fhir::{Member, Schema};
pub use extensions::{Extension, Holder, Invariant, ValueType};
use index::{Index, Names};
use std::{
    ops::Range,
    sync::{Arc, OnceLock},
};
pub use terminology::{
    CodeSystem, Codes, Hierarchy, Membership, Part, Terminology, ValueSet, same_display, terminology,
};

/// The facts of STU3. The same table for the whole life of the program.
pub fn release() -> &'static Release {
    static RELEASE: OnceLock<Release> = OnceLock::new();
    RELEASE.get_or_init(|| table::decode(include_str!("release.tsv")))
}

/// The elements of a type of the release (`Patient`, `Quantity`) as profiles begin with them.
pub fn type_snapshot(name: &str) -> Option<Arc<profile::Snapshot>> {
    release().structure_named(name).filter(|_| !name.contains('.')).map(profile::of_type)
}

/// A release of FHIR: its structures and their elements.
#[derive(Debug)]
pub struct Release {
    structures: Vec<Structure>,
    elements: Vec<Element>,
    ways: Vec<Way>,
    targets: Vec<&'static str>,
    rules: Vec<Rule>,
    names: Names,
    index: Index,
}

/// A run of consecutive places in one of the release's lists.
#[derive(Clone, Copy, Debug, Default)]
struct Run {
    start: u16,
    length: u16,
}

impl Run {
    fn of<T>(self, list: &[T]) -> &[T] {
        &list[self.places()]
    }

    fn places(self) -> Range<usize> {
        usize::from(self.start)..usize::from(self.start + self.length)
    }
}

/// What a structure is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StructureKind {
    /// A resource that can stand in a file: `Patient`.
    Resource,
    /// `Resource` and `DomainResource`.
    AbstractResource,
    /// A complex data type: `Quantity`.
    Type,
    /// A primitive data type; in JSON its `_name` twin has the elements of `Element`.
    Primitive,
    /// Elements nested in another structure: `Patient.contact`.
    Nested,
}

/// A resource, a data type or a nested element: something with named members.
#[derive(Debug)]
pub struct Structure {
    /// The type's name, or the path of the nested element.
    pub name: &'static str,
    /// What it is.
    pub kind: StructureKind,
    /// The name of the structure whose elements come first; `None` for `Element` and `Resource`.
    pub base: Option<&'static str>,
    elements: Run,
    required: u128,
    rules: Run,
}

impl Structure {
    /// One bit for each element that must be there, by [`Element::place`].
    pub const fn required(&self) -> u128 {
        self.required
    }
}

/// How often an element may stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Most {
    /// Never: a profile or derived type took it away.
    None,
    /// Once; in JSON no array.
    One,
    /// Any number; in JSON always an array.
    Many,
}

/// How strictly the codes of an element are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strength {
    /// A code of the value set, nothing else.
    Required,
    /// A code of the value set where one fits.
    Extensible,
    /// Recommended codes.
    Preferred,
    /// Codes that show what is meant.
    Example,
}

/// The value set that an element's codes come from.
#[derive(Clone, Copy, Debug)]
pub struct Binding {
    /// How strictly.
    pub strength: Strength,
    /// Canonical URL; `None` where the release names none.
    pub value_set: Option<&'static str>,
    /// The value set that codes must come from even where the binding is weaker (`elementdefinition-maxValueSet`).
    pub maximum: Option<&'static str>,
}

/// One element of a structure.
#[derive(Clone, Copy, Debug)]
pub struct Element {
    /// Its name; for a choice without `[x]`.
    pub name: &'static str,
    /// `value[x]`: in JSON the name carries the type.
    pub choice: bool,
    /// How often it must stand at least.
    pub min: u16,
    /// How often it may stand.
    pub most: Most,
    /// It changes the meaning of what it stands in.
    pub modifier: bool,
    /// An attribute in XML.
    pub attribute: bool,
    /// Where its codes come from.
    pub binding: Option<Binding>,
    /// Its number within the structure, in the order of XML; below 128.
    pub place: u8,
    ways: Run,
    rules: Run,
}

/// One type that an element may have; most have one, a choice has several.
#[derive(Clone, Copy, Debug)]
pub struct Way {
    /// The type's name; for nested elements the path that defines them.
    pub type_name: &'static str,
    /// What the value is made of.
    pub content: Content,
    /// The profile of the type that applies (`SimpleQuantity`).
    pub profile: Option<&'static str>,
    targets: Run,
}

/// A constraint of the release, as published.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// `dom-3`; not unique (`inv-1` is three constraints).
    pub key: &'static str,
    /// `error` or `warning`.
    pub severity: &'static str,
    /// FHIRPath.
    pub expression: &'static str,
}

impl Most {
    /// As the release writes it: `0`, `1`, `*` or a larger number.
    fn of(text: &str) -> Self {
        match text {
            "0" => Self::None,
            "1" => Self::One,
            _ => Self::Many,
        }
    }
}

impl Strength {
    fn named(text: &str) -> Option<Self> {
        match text {
            "required" => Some(Self::Required),
            "extensible" => Some(Self::Extensible),
            "preferred" => Some(Self::Preferred),
            "example" => Some(Self::Example),
            _ => None,
        }
    }
}

impl Release {
    /// The resource type of this name; abstract ones do not count.
    pub fn resource(&self, name: &str) -> Option<StructureId> {
        self.structure_named(name).filter(|id| self.structure(*id).kind == StructureKind::Resource)
    }

    /// The type of this name, or the nested structure of this path.
    pub fn structure_named(&self, name: &str) -> Option<StructureId> {
        self.names.find(&self.structures, name)
    }

    /// The structure at a place.
    pub fn structure(&self, id: StructureId) -> &Structure {
        &self.structures[usize::from(id.0)]
    }

    /// All structures, each after its base.
    pub fn structures(&self) -> impl Iterator<Item = (StructureId, &Structure)> {
        (0..).map(StructureId).zip(&self.structures)
    }

    /// The elements of a structure in the order of XML, inherited ones first.
    pub fn elements(&self, id: StructureId) -> &[Element] {
        self.structure(id).elements.of(&self.elements)
    }

    /// The types that an element may have.
    pub fn ways(&self, element: &Element) -> &[Way] {
        element.ways.of(&self.ways)
    }

    /// The resource types that a `Reference` may lead to; `Resource` is any. Empty for other types.
    pub fn targets(&self, way: &Way) -> &[&'static str] {
        way.targets.of(&self.targets)
    }

    /// The constraints that a structure states itself, without its base's.
    pub fn structure_rules(&self, id: StructureId) -> &[Rule] {
        self.structure(id).rules.of(&self.rules)
    }

    /// All constraints; places in this list are what [`Release::structure_rule_places`] gives.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// The places of the constraints that a structure states itself.
    pub fn structure_rule_places(&self, id: StructureId) -> Range<usize> {
        self.structure(id).rules.places()
    }

    /// The places of the constraints stated at an element without members of its own.
    pub fn element_rule_places(&self, element: &Element) -> Range<usize> {
        element.rules.places()
    }

    /// A constraint of the release has this key.
    pub fn has_constraint(&self, key: &str) -> bool {
        self.rules.iter().any(|rule| rule.key == key)
    }

    /// The constraints stated at an element without members of its own.
    pub fn element_rules(&self, element: &Element) -> &[Rule] {
        element.rules.of(&self.rules)
    }

    /// The extension that the release defines with this URL; the extensions are decoded when the first is asked for.
    pub fn extension(&'static self, url: &str) -> Option<&'static Extension> {
        extensions::definition(self, url)
    }

    /// An element is one that an extension's context names (`Patient.contact`); `in_resource` says whether the resource
    /// around it is of a type. `None` where the context leads nowhere in the release.
    pub fn is_context(
        &'static self,
        context: &str,
        holder: Holder,
        in_resource: impl Fn(&str) -> bool,
    ) -> Option<bool> {
        extensions::is_at(self, context, holder, in_resource)
    }

    /// A structure, what it derives from, and so on.
    pub fn lineage(&self, id: StructureId) -> impl Iterator<Item = StructureId> {
        std::iter::successors(Some(id), |id| self.structure_base(*id))
    }

    /// A structure is this one or derives from it.
    pub fn is_a(&self, id: StructureId, wanted: StructureId) -> bool {
        self.lineage(id).any(|id| id == wanted)
    }

    /// The element and type that a JSON member of this name (without `_`) is, in this structure.
    pub fn member(&self, id: StructureId, name: &str) -> Option<(&Element, &Way)> {
        self.index.find(self, id, name).map(|slot| (&self.elements[slot.element()], &self.ways[slot.way()]))
    }
}

impl Schema for Release {
    fn resource(&self, name: &str) -> Option<StructureId> {
        Self::resource(self, name)
    }

    fn structure_named(&self, name: &str) -> Option<StructureId> {
        Self::structure_named(self, name)
    }

    fn structure_name(&self, id: StructureId) -> &'static str {
        self.structure(id).name
    }

    fn structure_base(&self, id: StructureId) -> Option<StructureId> {
        self.structure(id).base.and_then(|base| Self::structure_named(self, base))
    }

    fn member_named(&self, owner: StructureId, name: &str) -> Option<Member> {
        let (element, way) = self.member(owner, name).filter(|(element, _)| element.most != Most::None)?;
        Some(Member {
            element: element.name,
            choice: element.choice,
            repeats: element.most == Most::Many,
            attribute: element.attribute,
            place: element.place,
            content: way.content,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(structure: &str, name: &str) -> Option<(Element, Way)> {
        let release = release();
        let id = release.structure_named(structure).unwrap();
        release.member(id, name).map(|(element, way)| (*element, *way))
    }

    #[test]
    fn inherited_elements_come_first() {
        let release = release();
        let names: Vec<&str> =
            release.elements(release.resource("Patient").unwrap()).iter().map(|element| element.name).collect();
        assert_eq!(
            names[..9],
            [
                "id",
                "meta",
                "implicitRules",
                "language",
                "text",
                "contained",
                "extension",
                "modifierExtension",
                "identifier"
            ]
        );
        assert_eq!(member("Patient.contact", "id").unwrap().1.type_name, "string");
        assert_eq!(member("Age", "value").unwrap().1.type_name, "decimal");
    }

    #[test]
    fn choices_are_known_by_type() {
        let (element, way) = member("Observation", "valueQuantity").unwrap();
        assert_eq!((element.name, element.choice, way.type_name), ("value", true, "Quantity"));
        assert!(member("Observation", "value").is_none());
        assert!(member("Observation", "valueAddress").is_none());
        assert!(member("Observation", "valuequantity").is_none());
        assert_eq!(member("Extension", "valueBase64Binary").unwrap().1.type_name, "base64Binary");
    }

    #[test]
    fn recursive_elements_use_the_definition_they_name() {
        let release = release();
        let item = release.structure_named("Questionnaire.item").unwrap();
        assert_eq!(member("Questionnaire.item", "item").unwrap().1.content, Content::Structure(item));
        assert_eq!(member("Questionnaire", "item").unwrap().1.content, Content::Structure(item));
    }

    #[test]
    fn references_know_their_targets() {
        let (_, way) = member("Observation", "subject").unwrap();
        assert_eq!(release().targets(&way), ["Patient", "Group", "Device", "Location"]);
        let (_, way) = member("ActivityDefinition", "productReference").unwrap();
        assert_eq!(release().targets(&way), ["Medication", "Substance"]);
    }

    #[test]
    fn every_element_is_found_by_every_one_of_its_names() {
        let release = release();
        for (id, structure) in release.structures() {
            assert!(release.elements(id).len() < 128, "{}", structure.name);
            for element in release.elements(id) {
                for way in release.ways(element) {
                    let mut name = element.name.to_owned();
                    if element.choice {
                        name.push_str(&way.type_name[..1].to_uppercase());
                        name.push_str(&way.type_name[1..]);
                    }
                    let (found, found_way) = release.member(id, &name).unwrap();
                    assert_eq!((found.name, found_way.type_name), (element.name, way.type_name));
                }
                assert!(release.member(id, &format!("{}x", element.name)).is_none());
            }
        }
    }

    #[test]
    fn the_whole_release_is_there() {
        let release = release();
        assert!(release.extension("http://hl7.org/fhir/StructureDefinition/event-notDone").unwrap().modifier);
        let count = |kind| release.structures().filter(|(_, structure)| structure.kind == kind).count();
        assert_eq!(count(StructureKind::Resource) + count(StructureKind::AbstractResource), 119);
        assert_eq!(count(StructureKind::Type) + count(StructureKind::Primitive), 53);
    }
}
