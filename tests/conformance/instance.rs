//! Minimal instances made from the table of facts: what is required and nothing else, and a way for every structure
//! from a resource down to it.

use super::elements::json_name;
use pushbridge::stu3::{
    Content, Element, Most, Part, Primitive, Release, Strength, StructureId, StructureKind, Way, terminology,
};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, HashMap, VecDeque};

/// One step down: a member of an owner.
#[derive(Clone, Copy, Debug)]
struct Step {
    owner: StructureId,
    element: &'static Element,
    way: &'static Way,
}

/// Where a structure stands in a resource.
#[derive(Clone, Debug)]
pub(super) struct Host {
    /// The structure.
    pub(super) id: StructureId,
    /// FHIRPath of its instance.
    pub(super) path: String,
    steps: Vec<Step>,
}

/// A host for every structure that an instance can hold, and for every primitive type.
pub(super) struct Hosts {
    pub(super) structures: HashMap<StructureId, Host>,
    pub(super) primitives: Vec<(Primitive, Host, &'static Element, &'static Way)>,
}

/// The nearest hosts, breadth first from all resources.
pub(super) fn hosts(release: &'static Release) -> Hosts {
    let mut queue: VecDeque<Host> = release
        .structures()
        .filter(|(_, structure)| structure.kind == StructureKind::Resource)
        .map(|(id, structure)| Host { id, path: structure.name.to_owned(), steps: Vec::new() })
        .collect();
    let mut structures: HashMap<StructureId, Host> = queue.iter().map(|host| (host.id, host.clone())).collect();
    let mut primitives: BTreeMap<Primitive, (Host, &'static Element, &'static Way)> = BTreeMap::new();
    while let Some(host) = queue.pop_front() {
        for element in release.elements(host.id).iter().filter(|element| element.most != Most::None) {
            // a type with less in it than the type has elsewhere (SimpleQuantity) is no host for all of it
            for way in release.ways(element).iter().filter(|way| way.profile.is_none()) {
                match way.content {
                    Content::Primitive(primitive) => {
                        // an attribute has no twin, and a resource's id no extensions that matter
                        if !element.attribute && element.name != "id" {
                            primitives.entry(primitive).or_insert_with(|| (host.clone(), element, way));
                        }
                    }
                    Content::Structure(id) if !structures.contains_key(&id) => {
                        let index = if element.most == Most::Many { "[0]" } else { "" };
                        let mut inner = Host {
                            id,
                            path: format!("{}.{}{index}", host.path, element.name),
                            steps: host.steps.clone(),
                        };
                        inner.steps.push(Step { owner: host.id, element, way });
                        structures.insert(id, inner.clone());
                        queue.push_back(inner);
                    }
                    Content::Structure(_) | Content::Resource => {}
                }
            }
        }
    }
    let primitives = primitives.into_iter().map(|(primitive, (host, element, way))| (primitive, host, element, way));
    Hosts { structures, primitives: primitives.collect() }
}

impl Host {
    /// The whole resource as JSON with this object at the host's place.
    pub(super) fn build(&self, maker: &Maker, object: Value) -> String {
        let mut value = object;
        for step in self.steps.iter().rev() {
            let mut owner = maker.object(step.owner);
            let listed = if step.element.most == Most::Many { json!([value]) } else { value };
            let members = owner.as_object_mut().unwrap();
            for way in maker.release.ways(step.element) {
                members.remove(&json_name(step.element, way));
            }
            members.insert(json_name(step.element, step.way), listed);
            value = owner;
        }
        value.to_string()
    }
}

/// Makes minimal values.
pub(super) struct Maker {
    release: &'static Release,
}

impl Maker {
    pub(super) fn new(release: &'static Release) -> Self {
        Self { release }
    }

    /// An object of the structure with what it needs; a type that needs nothing has one harmless member.
    pub(super) fn object(&self, id: StructureId) -> Value {
        let structure = self.release.structure(id);
        let mut members = Map::new();
        if structure.kind == StructureKind::Resource {
            members.insert("resourceType".to_owned(), json!(structure.name));
        }
        for element in self.release.elements(id).iter().filter(|element| element.min > 0) {
            let way = self.release.ways(element).first().unwrap();
            let value = self.value(element, way);
            let listed = if element.most == Most::Many { json!([value]) } else { value };
            members.insert(json_name(element, way), listed);
        }
        match structure.name {
            "Extension" => drop(members.insert("valueCode".to_owned(), json!("a"))),
            // an entry whose resource has an address
            "Bundle.entry" => {
                drop(members.insert("fullUrl".to_owned(), json!("urn:uuid:c757873d-ec9a-4326-a141-556f43239520")))
            }
            // a Bundle of a type without rules for its entries
            "Bundle" => drop(members.insert("type".to_owned(), json!("collection"))),
            _ if members.is_empty() => fill(&mut members),
            _ => {}
        }
        Value::Object(members)
    }

    /// A valid value of one type of an element.
    pub(super) fn value(&self, element: &Element, way: &Way) -> Value {
        match way.content {
            Content::Primitive(primitive) => self.primitive(primitive, element),
            Content::Resource => json!({"resourceType": "Basic", "id": "b", "code": {"text": "a"}}),
            Content::Structure(id) => {
                let mut value = self.object(id);
                let members = value.as_object_mut().unwrap();
                match way.type_name {
                    "Extension" => drop(members.insert("url".to_owned(), json!("http://example.org/permitted"))),
                    "CodeableConcept" | "Coding" => self.code(element, way, members),
                    "Narrative" => drop(members.insert("div".to_owned(), json!(DIV))),
                    _ => {}
                }
                value
            }
        }
    }

    /// A code that the binding asks for.
    fn code(&self, element: &Element, way: &Way, members: &mut Map<String, Value>) {
        if element.binding.is_some_and(|binding| binding.maximum.is_some()) {
            let coding = json!({"system": "urn:ietf:bcp:47", "code": "nl"});
            members.clear();
            members.insert("coding".to_owned(), json!([coding]));
            return;
        }
        let Some((system, code)) = required_code(element) else { return };
        let coding = json!({"system": system, "code": code});
        match way.type_name {
            "Coding" => *members = coding.as_object().unwrap().clone(),
            _ => drop(members.insert("coding".to_owned(), json!([coding]))),
        }
    }

    fn primitive(&self, primitive: Primitive, element: &Element) -> Value {
        if let Some((_, code)) = required_code(element) {
            return json!(code);
        }
        match primitive {
            Primitive::Base64Binary => json!("AAAA"),
            Primitive::Boolean => json!(true),
            // required and without a list: media types; with a maximum: languages
            Primitive::Code if set_of(element, Strength::Required) => json!("text/plain"),
            Primitive::Code if element.binding.is_some_and(|binding| binding.maximum.is_some()) => json!("nl"),
            Primitive::Code => json!("a"),
            Primitive::Date => json!("2020-02-29"),
            Primitive::DateTime => json!("2020-02-29T12:00:00Z"),
            Primitive::Decimal => json!(1.5),
            Primitive::Id => json!("a"),
            Primitive::Instant => json!("2020-02-29T12:00:00Z"),
            Primitive::Integer | Primitive::PositiveInt | Primitive::UnsignedInt => json!(1),
            Primitive::Markdown | Primitive::String => json!("a"),
            Primitive::Oid => json!("urn:oid:1.2.3"),
            Primitive::Time => json!("12:00:00"),
            Primitive::Uri if element.name == "implicitRules" || element.name == "url" => {
                json!("http://example.org/permitted")
            }
            Primitive::Uri => json!("http://example.org/a"),
            Primitive::Uuid => json!("urn:uuid:c757873d-ec9a-4326-a141-556f43239520"),
            Primitive::Xhtml => json!(DIV),
        }
    }
}

/// System and code of one member of the value set of a required binding.
fn required_code(element: &Element) -> Option<(String, String)> {
    let binding = element.binding.filter(|binding| binding.strength == Strength::Required)?;
    let set = terminology().value_set(binding.value_set?)?;
    set.parts.iter().find_map(|part| match part {
        Part::All { system } => {
            let code = terminology().code_system(system)?.codes.iter().next()?;
            Some((system.to_string(), code.to_owned()))
        }
        Part::Listed { system, codes } => Some((system.to_string(), codes.iter().next()?.to_owned())),
        // any code will do for a system that nobody here knows
        Part::Open { system, .. } => (element.name == "use").then(|| (system.to_string(), "a".to_owned())),
    })
}

fn set_of(element: &Element, strength: Strength) -> bool {
    element.binding.is_some_and(|binding| binding.strength == strength)
}

/// One member that every type has and that says nothing.
pub(super) fn fill(members: &mut Map<String, Value>) {
    members.insert("extension".to_owned(), json!([{"url": "http://example.org/e", "valueCode": "a"}]));
}

const DIV: &str = "<div xmlns=\"http://www.w3.org/1999/xhtml\">a</div>";
