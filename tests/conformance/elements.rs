//! Every element of the release that an instance can reach, broken in every way that its facts allow: each break is
//! found at its place with its key, and the unbroken instance passes. Made from the table of facts, nothing by hand.
//!
//! Constraints are off here: they have their own cases, one by one.

use super::{
    as_xml,
    instance::{Host, Maker, fill, hosts},
};
use pushbridge::{
    fhir::{
        Document,
        json::{self, Limits},
        xml,
    },
    model::Severity,
    stu3::{Content, Element, Most, Primitive, Release, Strength, StructureKind, Way, release},
    validate::{Outcome, Policy, RuleLevel, Validator, rules},
};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Structures that stand in no instance by themselves: each with the reason.
const UNREACHED: [(&str, &str); 5] = [
    ("Resource", "abstract: its elements stand in every resource"),
    ("DomainResource", "abstract: its elements stand in every resource but Binary, Bundle and Parameters"),
    ("Element", "abstract: its elements stand in every type"),
    ("BackboneElement", "abstract: its elements stand in every nested element"),
    ("xhtml", "no id, no extensions; its value is Narrative.div, judged by the rules of narratives"),
];

/// Elements that derived types take away, and one that the resource's own rules forbid in any instance.
fn is_out_of_reach(element: &Element) -> bool {
    element.most == Most::None
}

/// Elements that are a code or an address in R4: a text there tells the release.
const TELLING: [&str; 2] = ["Encounter.class", "QuestionnaireResponse.questionnaire"];

/// Rules that hold an element against another one: as the constraints, they have their tests beside them.
const OF_SEVERAL: [&str; 3] = ["code-system-count", "code-system-property", "questionnaire-type"];

struct Bench {
    validator: Validator,
    policy: Policy,
    maker: Maker,
    broken: usize,
    broken_in_xml: usize,
    reached: BTreeSet<(String, &'static str)>,
    wrong: Vec<String>,
}

/// A break, and what has to be said of it.
struct Break {
    what: &'static str,
    /// The members that take the place of the element's own.
    members: Vec<(String, Value)>,
    key: String,
    /// What is added to the owner's path.
    tail: String,
}

impl Break {
    /// XML has elements and texts, but no arrays and no kinds of values; an attribute stands once by itself.
    fn is_in_xml(&self, element: &Element) -> bool {
        match self.what {
            "missing"
            | "unknown neighbour"
            | "wrong choice"
            | "two types at once"
            | "bad required code"
            | "a limit for an amount" => true,
            "one too many" => !element.attribute,
            // XML has no control characters, and serde_json no way to keep an exponent
            "bad format" => !matches!(self.key.as_str(), "format-string" | "format-decimal"),
            _ => false,
        }
    }
}

#[test]
fn every_element_is_found_broken_and_passes_whole() {
    let release = release();
    let mut policy = Policy::default();
    policy.modifier_extensions.insert("http://example.org/permitted".to_owned());
    policy.modifier_extensions.insert("http://example.org/a b".to_owned()); // implicitRules broken in format alone
    for rule in rules::all() {
        // a key that several resources have is told by the resource too: `Task.inv-1`
        if release.has_constraint(rule.key.rsplit('.').next().unwrap()) || OF_SEVERAL.contains(&rule.key) {
            policy.rules.insert(rule.key.to_owned(), RuleLevel::Off);
        }
    }
    let mut bench = Bench {
        validator: Validator::new(),
        policy,
        maker: Maker::new(release),
        broken: 0,
        broken_in_xml: 0,
        reached: BTreeSet::new(),
        wrong: Vec::new(),
    };
    let hosts = hosts(release);
    let mut elements = 0;
    for (id, structure) in release.structures() {
        elements += release.elements(id).len();
        if structure.kind == StructureKind::Primitive {
            elements += 3;
            bench.primitive(release, structure.name, &hosts.primitives);
            continue;
        }
        let Some(host) = hosts.structures.get(&id) else { continue };
        for element in release.elements(id) {
            bench.element(release, structure.name, host, element);
        }
    }
    let missed: Vec<String> = release
        .structures()
        .filter(|(_, structure)| !UNREACHED.iter().any(|(name, _)| *name == structure.name))
        .flat_map(|(id, structure)| {
            let names = release.elements(id).iter().filter(|element| !is_out_of_reach(element));
            names.map(|element| (structure.name, element.name)).collect::<Vec<_>>()
        })
        .filter(|(structure, element)| !bench.reached.contains(&((*structure).to_owned(), *element)))
        .map(|(structure, element)| format!("{structure}.{element}"))
        .collect();
    eprintln!(
        "{elements} elements of the release, {} reached by an instance; {} broken instances in JSON, {} in XML",
        bench.reached.len(),
        bench.broken,
        bench.broken_in_xml
    );
    assert!(
        bench.wrong.is_empty(),
        "{} wrong:\n{}",
        bench.wrong.len(),
        bench.wrong[..bench.wrong.len().min(40)].join("\n")
    );
    assert_eq!(missed, Vec::<String>::new(), "no instance reaches these");
    assert!(bench.broken > 20_000 && bench.broken_in_xml > 10_000, "{} {}", bench.broken, bench.broken_in_xml);
}

impl Bench {
    fn element(&mut self, release: &'static Release, structure: &str, host: &Host, element: &'static Element) {
        if is_out_of_reach(element) {
            return;
        }
        let owner = self.maker.object(host.id);
        for way in release.ways(element) {
            let name = json_name(element, way);
            let value = self.maker.value(element, way);
            let listed = |value: Value| if element.most == Most::Many { json!([value]) } else { value };
            let whole = [(name.clone(), listed(value.clone()))];
            let source = host.build(&self.maker, with(&owner, element, release, &whole));
            let errors = self.errors(&source);
            if !errors.is_empty() {
                self.wrong.push(format!("{structure}.{name} whole: {errors:?} in {source}"));
                continue;
            }
            let errors = self.errors_in_xml(&source);
            if !errors.is_empty() {
                self.wrong.push(format!("{structure}.{name} whole in XML: {errors:?} in {source}"));
            }
            self.reached.insert((structure.to_owned(), element.name));
            for case in breaks(release, element, way, &name, &value) {
                let source = host.build(&self.maker, with(&owner, element, release, &case.members));
                self.expect(structure, &name, host, &case, &source);
                if case.is_in_xml(element) {
                    self.expect_in_xml(structure, &name, host, &case, &source);
                }
            }
        }
    }

    fn expect(&mut self, structure: &str, name: &str, host: &Host, case: &Break, source: &str) {
        self.broken += 1;
        let telling = case.what == "a text for an object" && TELLING.contains(&format!("{structure}.{name}").as_str());
        let key = if telling { "other-release" } else { &case.key };
        let expected = format!("{key} {}{}", host.path, case.tail);
        let errors = self.errors(source);
        if errors != [expected.as_str()] {
            self.wrong.push(format!("{structure}.{name} {}: {expected} but {errors:?} in {source}", case.what));
        }
    }

    /// `id`, `extension` and the value of a primitive type, on the first element of that type.
    fn primitive(
        &mut self,
        release: &'static Release,
        name: &'static str,
        hosts: &[(Primitive, Host, &'static Element, &'static Way)],
    ) {
        let Some((_, host, element, way)) = hosts.iter().find(|(primitive, ..)| primitive.name() == name) else {
            return;
        };
        let member = json_name(element, way);
        let twin = format!("_{member}");
        let owner = self.maker.object(host.id);
        let value = self.maker.value(element, way);
        let many = element.most == Most::Many;
        let listed = |value: Value| if many { json!([value]) } else { value };
        let index = if many { "[0]" } else { "" };
        let whole = json!({"id": "a", "extension": [{"url": "http://example.org/e", "valueCode": "a"}]});
        let source = host.build(
            &self.maker,
            with(&owner, element, release, &[(member.clone(), listed(value.clone())), (twin.clone(), listed(whole))]),
        );
        let errors = self.errors(&source);
        if !errors.is_empty() {
            self.wrong.push(format!("{name} with a twin: {errors:?} in {source}"));
        }
        let tail = format!(".{}{index}", element.name);
        for (what, broken, key, below) in [
            ("id of the wrong kind", json!({"id": 1}), "type-json", ".id"),
            (
                "extension as no array",
                json!({"extension": {"url": "http://example.org/e", "valueCode": "a"}}),
                "type-json",
                ".extension[0]",
            ),
            ("unknown neighbour", json!({"id": "a", "idx": "a"}), "unknown-element", ""),
        ] {
            let case = Break {
                what,
                members: vec![(member.clone(), listed(value.clone())), (twin.clone(), listed(broken))],
                key: key.to_owned(),
                tail: format!("{tail}{below}"),
            };
            let source = host.build(&self.maker, with(&owner, element, release, &case.members));
            self.expect(name, &twin, host, &case, &source);
        }
        for part in ["id", "extension"] {
            self.reached.insert((name.to_owned(), part));
        }
    }

    /// The same break in XML has the same key and place.
    fn expect_in_xml(&mut self, structure: &str, name: &str, host: &Host, case: &Break, source: &str) {
        self.broken_in_xml += 1;
        let expected = format!("{} {}{}", case.key, host.path, case.tail);
        let errors = self.errors_in_xml(source);
        if errors != [expected.as_str()] {
            self.wrong.push(format!("{structure}.{name} {} in XML: {expected} but {errors:?} in {source}", case.what));
        }
    }

    fn errors_in_xml(&self, source: &str) -> Vec<String> {
        let text = as_xml::resource(&serde_json::from_str(source).unwrap());
        self.errors_of(&xml::read(text.as_bytes(), &Limits::default(), release()).unwrap())
    }

    fn errors(&self, source: &str) -> Vec<String> {
        self.errors_of(&json::read(source.as_bytes(), &Limits::default()).unwrap())
    }

    fn errors_of(&self, document: &Document<'_>) -> Vec<String> {
        let outcome: Outcome = self.validator.resource(document, &self.policy);
        outcome
            .findings
            .iter()
            .filter(|finding| finding.severity == Severity::Error)
            .map(|finding| {
                assert!(finding.line == 1 && finding.column > 0);
                format!("{} {}", finding.key, finding.expression)
            })
            .collect()
    }
}

/// The owner with these members in place of the element's own, whatever type they have.
fn with(owner: &Value, element: &Element, release: &Release, members: &[(String, Value)]) -> Value {
    let mut owner = owner.clone();
    let object = owner.as_object_mut().unwrap();
    for way in release.ways(element) {
        object.remove(&json_name(element, way));
    }
    object.extend(members.iter().cloned());
    if object.is_empty() {
        fill(object);
    }
    owner
}

pub(super) fn json_name(element: &Element, way: &Way) -> String {
    if !element.choice {
        return element.name.to_owned();
    }
    format!("{}{}{}", element.name, way.type_name[..1].to_uppercase(), &way.type_name[1..])
}

/// All ways in which the facts of the element allow to break it.
fn breaks(release: &Release, element: &Element, way: &Way, name: &str, value: &Value) -> Vec<Break> {
    let many = element.most == Most::Many;
    let listed = |value: Value| if many { json!([value]) } else { value };
    let here = format!(".{}{}", element.name, if many { "[0]" } else { "" });
    let one = |what, value: Value, key: &str, tail: &str| Break {
        what,
        members: vec![(name.to_owned(), value)],
        key: key.to_owned(),
        tail: tail.to_owned(),
    };
    let mut cases = vec![Break {
        what: "unknown neighbour",
        members: vec![(name.to_owned(), listed(value.clone())), (format!("{name}Xyz"), json!("a"))],
        key: "unknown-element".to_owned(),
        tail: String::new(),
    }];
    if element.min > 0 {
        cases.push(Break {
            what: "missing",
            members: Vec::new(),
            key: "cardinality-min".to_owned(),
            tail: String::new(),
        });
    }
    if many {
        cases.push(one("no array", value.clone(), "type-json", &here));
        cases.push(one("an empty array", json!([]), "empty", &format!(".{}", element.name)));
    } else {
        // two ids have to differ, or the second repeats the first
        let second = if element.name == "id" { json!("b") } else { value.clone() };
        cases.push(one("one too many", json!([value, second]), "cardinality-max", &here));
    }
    match way.content {
        Content::Primitive(primitive) => {
            let other = match primitive {
                Primitive::Boolean
                | Primitive::Decimal
                | Primitive::Integer
                | Primitive::PositiveInt
                | Primitive::UnsignedInt => json!("1"),
                _ => json!(1),
            };
            cases.push(one("wrong kind of JSON", listed(other), "type-json", &here));
            cases.push(one("an object for a value", listed(json!({"a": 1})), "type-json", &here));
            if let Some((bad, key)) = bad_format(primitive, element) {
                cases.push(one("bad format", listed(bad), key, &here));
            }
            let coded = element.binding.as_ref().is_some_and(|binding| binding.strength == Strength::Required);
            if coded && primitive == Primitive::Code {
                cases.push(one(
                    "bad required code",
                    listed(json!("no-such-code-in-any-set")),
                    "binding-required",
                    &here,
                ));
            }
        }
        Content::Structure(_) | Content::Resource => {
            if way.profile == Some("SimpleQuantity") {
                let mut limit = value.clone();
                limit["comparator"] = json!("<");
                cases.push(one("a limit for an amount", listed(limit), "sqty-1", &format!("{here}.comparator")));
            }
            cases.push(one("a text for an object", listed(json!("a")), "type-json", &here));
            let key = if way.content == Content::Resource { "resource-type" } else { "empty" };
            let coded = element
                .binding
                .is_some_and(|binding| binding.strength == Strength::Required || binding.maximum.is_some());
            if way.content == Content::Resource || (required(release, way) == 0 && !coded) {
                cases.push(one("an empty object", listed(json!({})), key, &here));
            }
        }
    }
    if element.choice {
        cases.push(Break {
            what: "wrong choice",
            members: vec![(name.to_owned(), listed(value.clone())), (format!("{}Xyz", element.name), json!("a"))],
            key: "unknown-element".to_owned(),
            tail: String::new(),
        });
        if let Some(second) = release.ways(element).iter().find(|other| other.type_name != way.type_name) {
            cases.push(Break {
                what: "two types at once",
                members: vec![
                    (name.to_owned(), value.clone()),
                    (json_name(element, second), Maker::new(pushbridge::stu3::release()).value(element, second)),
                ],
                key: "choice".to_owned(),
                tail: format!(".{}", element.name),
            });
        }
    }
    cases
}

fn required(release: &Release, way: &Way) -> u128 {
    match way.content {
        Content::Structure(id) => release.structure(id).required(),
        Content::Primitive(_) | Content::Resource => 0,
    }
}

fn bad_format(primitive: Primitive, element: &Element) -> Option<(Value, &'static str)> {
    let bound = element
        .binding
        .as_ref()
        .is_some_and(|binding| binding.strength == Strength::Required || binding.maximum.is_some());
    Some(match primitive {
        Primitive::Base64Binary => (json!("A"), "format-base64Binary"),
        Primitive::Code if bound => return None,
        Primitive::Code => (json!("a  b"), "format-code"),
        Primitive::Date => (json!("2021-02-30"), "format-date"),
        Primitive::DateTime => (json!("2021-02-30"), "format-dateTime"),
        Primitive::Decimal => (serde_json::from_str("1e2").unwrap(), "format-decimal"),
        Primitive::Id => (json!("a b"), "format-id"),
        Primitive::Instant => (json!("2021-02-03"), "format-instant"),
        Primitive::Integer => (json!(1.5), "format-integer"),
        Primitive::Markdown | Primitive::String => (json!("a\u{1}b"), "format-string"),
        Primitive::Oid => (json!("1.2.3"), "format-oid"),
        Primitive::PositiveInt => (json!(0), "format-positiveInt"),
        Primitive::Time => (json!("25:00:00"), "format-time"),
        Primitive::UnsignedInt => (json!(-1), "format-unsignedInt"),
        Primitive::Uri => (json!("http://example.org/a b"), "format-uri"),
        Primitive::Uuid => (json!("c757873d"), "format-uuid"),
        Primitive::Boolean | Primitive::Xhtml => return None,
    })
}
