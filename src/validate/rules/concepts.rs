//! What a CodeSystem resource says of its own concepts: how many, whether they are there, and their properties.
//! Spec: <https://hl7.org/fhir/STU3/codesystem-definitions.html>.

use crate::{
    fhir::{Kind, NodeId},
    validate::{
        context::{Context, choice_but, items},
        issue::{At, Findings, Rule},
    },
};
use std::{borrow::Cow, collections::HashMap};

const PAGE: &str = "https://hl7.org/fhir/STU3/codesystem-definitions.html";

/// `count` is the number of all concepts, and `complete` says that all are here.
static COUNT: Rule = Rule::error("code-system-count", "value", PAGE);

/// `not-present`: none of the concepts are in the resource.
static CONTENT: Rule = Rule::error("code-system-content", "business-rule", PAGE);

/// `concept.property.code` refers to `property.code`, which says of what type its values are.
static PROPERTY: Rule = Rule::error("code-system-property", "value", PAGE);

/// The keys of this family.
pub(crate) static RULES: &[&Rule] = &[&COUNT, &CONTENT, &PROPERTY];

/// Deeper concepts are not looked at; the walk has told that they are too deep.
const DEEPEST: usize = 200;

/// A CodeSystem; the path has reached it.
pub(crate) fn check(cx: &Context<'_, '_>, system: NodeId, out: &mut Findings<'_>) {
    let types: HashMap<Cow<'_, str>, Cow<'_, str>> = items(cx.document, system, "property")
        .filter_map(|property| Some((cx.string(property, "code")?, cx.string(property, "type").unwrap_or_default())))
        .collect();
    let mut concepts = Concepts { cx, types, count: 0 };
    concepts.level(system, "", 0, out);
    let document = cx.document;
    let content = cx.string(system, "content").unwrap_or_default();
    if let Some(first) = items(document, system, "concept").next().filter(|_| content == "not-present") {
        let text = "content says that no concepts are here: remove them, or correct content";
        out.add(cx, &CONTENT, At::below(first, ".concept[0]"), text);
    }
    let stated = document.get(system, "count").filter(|count| document.kind(*count) == Kind::Number);
    let Some(place) = stated.filter(|_| content == "complete") else { return };
    let differs =
        document.text(place).and_then(|text| text.parse().ok()).is_some_and(|stated: u64| stated != concepts.count);
    if differs {
        let text = "content says that all concepts are here, and count is another number than that: correct it";
        out.add(cx, &COUNT, At::below(place, ".count"), text);
    }
}

struct Concepts<'c, 'v, 'd> {
    cx: &'c Context<'v, 'd>,
    /// The type of each property.
    types: HashMap<Cow<'d, str>, Cow<'d, str>>,
    count: u64,
}

impl Concepts<'_, '_, '_> {
    /// Concepts that stand beside each other, and all in them.
    fn level(&mut self, owner: NodeId, tail: &str, depth: usize, out: &mut Findings<'_>) {
        if depth > DEEPEST {
            return;
        }
        for (number, concept) in items(self.cx.document, owner, "concept").enumerate() {
            self.count += 1;
            let tail = format!("{tail}.concept[{number}]");
            for (number, property) in items(self.cx.document, concept, "property").enumerate() {
                self.property(property, &format!("{tail}.property[{number}]"), out);
            }
            self.level(concept, &tail, depth + 1, out);
        }
    }

    fn property(&self, property: NodeId, tail: &str, out: &mut Findings<'_>) {
        let (cx, document) = (self.cx, self.cx.document);
        let (Some(place), Some(code)) = (document.get(property, "code"), cx.string(property, "code")) else { return };
        let Some(stated) = self.types.get(&code) else {
            let text = "the code system defines no property of this code: add it to property, or correct the code";
            return out.add(cx, &PROPERTY, At::below(place, format!("{tail}.code")), text);
        };
        let is_stated = |ending: &str| ending.eq_ignore_ascii_case(stated);
        if let Some(value) = choice_but(cx, property, "CodeSystem.concept.property", "value", is_stated) {
            let text = "the code system says that this property has values of another type: correct it";
            out.add(cx, &PROPERTY, At::below(value, format!("{tail}.value")), text);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::validate::testing::{findings, none};
    use serde_json::{Value, json};

    fn found(members: Value) -> Vec<String> {
        let mut system = json!({"resourceType": "CodeSystem", "status": "draft", "content": "complete",
            "property": [{"code": "weight", "type": "integer"}],
            "concept": [{"code": "a", "concept": [{"code": "b"}]}]});
        for (name, value) in members.as_object().unwrap() {
            system[name] = value.clone();
        }
        findings(&system.to_string())
    }

    #[test]
    fn the_count_of_a_complete_system_is_that_of_its_concepts() {
        assert_eq!(found(json!({"count": 2})), none());
        assert_eq!(found(json!({"count": 1})), ["code-system-count CodeSystem.count"]);
        assert_eq!(found(json!({"count": 9, "content": "fragment"})), none(), "the others are elsewhere");
    }

    #[test]
    fn concepts_that_are_not_present_are_not_there() {
        assert_eq!(found(json!({"content": "not-present"})), ["code-system-content CodeSystem.concept[0]"]);
    }

    #[test]
    fn properties_of_concepts_are_those_of_the_system() {
        let with = |property: Value| {
            found(json!({"concept": [{"code": "a", "concept": [{"code": "b", "property": [property]}]}]}))
        };
        assert_eq!(with(json!({"code": "weight", "valueInteger": 1})), none());
        let expected = ["code-system-property CodeSystem.concept[0].concept[0].property[0].value"];
        assert_eq!(with(json!({"code": "weight", "valueString": "1"})), expected);
        let expected = ["code-system-property CodeSystem.concept[0].concept[0].property[0].code"];
        assert_eq!(with(json!({"code": "height", "valueInteger": 1})), expected);
    }
}
