//! The constraints of the release, each a FHIRPath expression on the element that states it.
//! Spec: <https://hl7.org/fhir/STU3/conformance-rules.html#constraints>.
//!
//! What the release publishes is evaluated as [`crate::stu3::errata`] says. A constraint without a value is broken.
//! Keys in [`NATIVE`] are judged elsewhere, by code that tells the place better or takes less time.

use super::{binding, reference};
use crate::{
    fhir::{
        Content, NodeId,
        path::{Element, Environment, Expression, Resolution, Resolve, ValueSets},
    },
    stu3::{self, Release, StructureId, StructureKind, errata},
    validate::{
        context::Context,
        issue::{At, Findings, Rule},
        presence::{self, Presence},
    },
};
use std::{collections::HashMap, sync::LazyLock};

static ELE_1: Rule = Rule::error("ele-1", "invariant", "https://hl7.org/fhir/STU3/element.html");

/// The keys of this family that code of its own judges.
pub(crate) static RULES: &[&Rule] = &[&ELE_1];

/// Judged by rules of their own: `structure` and this file (ele-1), `extension`, `reference`, `narrative`, `bundle`,
/// `contained` and `range`.
const NATIVE: [&str; 16] = [
    "ele-1", "ext-1", "ref-1", "txt-1", "txt-2", "bdl-1", "bdl-2", "bdl-3", "bdl-4", "bdl-5", "bdl-7", "bdl-8",
    "bdl-9", "dom-2", "dom-3", "rng-2",
];

/// Explanations in plain words: key, structure, text.
const EXPLANATIONS: &str = include_str!("explanations.tsv");

/// A constraint, ready to be evaluated.
#[derive(Debug)]
struct Constraint {
    rule: Rule,
    expression: Expression,
    explanation: &'static str,
}

/// A constraint on a structure.
#[derive(Debug)]
struct Use {
    constraint: usize,
    /// Where only the members decide.
    passes: Vec<Presence>,
}

/// All constraints of the release.
#[derive(Debug)]
pub(crate) struct Constraints {
    all: Vec<Constraint>,
    by_structure: Vec<Vec<Use>>,
    /// From the places of the release's own rules; `None` for those judged by code.
    by_rule: Vec<Option<usize>>,
}

static CONSTRAINTS: LazyLock<Constraints> = LazyLock::new(|| Constraints::of(stu3::release()));

/// The constraints of STU3, compiled once.
pub(crate) fn constraints() -> &'static Constraints {
    &CONSTRAINTS
}

/// The rules of all constraints that are evaluated.
pub(crate) fn rules() -> impl Iterator<Item = &'static Rule> {
    constraints().all.iter().map(|constraint| &constraint.rule)
}

/// What a constraint means and what to change, by the rule's key.
pub(crate) fn explanation(key: &str) -> Option<&'static str> {
    let rows = || EXPLANATIONS.lines().filter_map(Row::read);
    rows().find(|row| rule_key(row.stated_at, row.key) == key).map(|row| row.text)
}

struct Row {
    key: &'static str,
    /// A structure, or an element of one.
    stated_at: &'static str,
    text: &'static str,
}

impl Row {
    fn read(line: &'static str) -> Option<Self> {
        let mut columns = line.split('\t');
        Some(Self { key: columns.next()?, stated_at: columns.next()?, text: columns.next()? })
    }
}

/// Three resources have constraints of the same keys; those go by the resource's name too.
fn rule_key(stated_at: &str, key: &'static str) -> &'static str {
    let resource = stated_at.split('.').next().unwrap_or_default();
    match (resource, key) {
        ("Parameters", "inv-1") => "Parameters.inv-1",
        ("Task", "inv-1") => "Task.inv-1",
        ("TestReport", "inv-1") => "TestReport.inv-1",
        ("TestScript", "inv-1") => "TestScript.inv-1",
        ("TestReport", "inv-2") => "TestReport.inv-2",
        ("TestScript", "inv-2") => "TestScript.inv-2",
        _ => key,
    }
}

impl Constraints {
    fn of(release: &'static Release) -> Self {
        let explanations: HashMap<_, _> =
            EXPLANATIONS.lines().filter_map(Row::read).map(|row| ((row.key, row.stated_at), row.text)).collect();
        let mut constraints =
            Self { all: Vec::new(), by_structure: Vec::new(), by_rule: vec![None; release.rules().len()] };
        for (id, structure) in release.structures() {
            for place in release.structure_rule_places(id) {
                constraints.add(release, place, structure.name, &explanations);
            }
            for element in release.elements(id) {
                for place in release.element_rule_places(element) {
                    // inherited elements bring the places of those that they are copies of
                    if constraints.by_rule[place].is_none() {
                        constraints.add(release, place, &stated_at(structure.name, element), &explanations);
                    }
                }
            }
        }
        for (id, _) in release.structures() {
            let uses = release
                .lineage(id)
                .flat_map(|base| release.structure_rule_places(base))
                .filter_map(|place| constraints.by_rule[place])
                .map(|constraint| Use {
                    constraint,
                    passes: presence::passes_when(release, id, constraints.all[constraint].expression.ast()),
                })
                .collect();
            constraints.by_structure.push(uses);
        }
        constraints
    }

    /// A constraint that is stated at a structure or at one of its elements.
    fn add(
        &mut self,
        release: &'static Release,
        place: usize,
        stated_at: &str,
        explanations: &HashMap<(&str, &str), &'static str>,
    ) {
        let published = release.rules()[place];
        if NATIVE.contains(&published.key) {
            return;
        }
        let text = errata::erratum(stated_at, published.key).map_or(published.expression, |erratum| erratum.evaluated);
        let expression = Expression::parse(text).expect("a test reads every constraint of the release");
        let explanation = explanations.get(&(published.key, stated_at)).copied().unwrap_or_default();
        let key = rule_key(stated_at, published.key);
        let page = "https://hl7.org/fhir/STU3/conformance-rules.html#constraints";
        let rule = match published.severity {
            "warning" => Rule::warning(key, "invariant", page),
            _ => Rule::error(key, "invariant", page),
        };
        self.by_rule[place] = Some(self.all.len());
        self.all.push(Constraint { rule, expression, explanation });
    }
}

/// The path of an element as the release writes it.
fn stated_at(structure: &str, element: &stu3::Element) -> String {
    format!("{structure}.{}{}", element.name, if element.choice { "[x]" } else { "" })
}

/// The constraints of a structure on an object whose members are `seen`.
pub(crate) fn of_structure(cx: &Context<'_, '_>, id: StructureId, node: NodeId, seen: u128, out: &mut Findings<'_>) {
    let constraints = constraints();
    for used in &constraints.by_structure[id.index()] {
        if used.passes.iter().any(|presence| presence.fits(seen)) {
            continue;
        }
        let focus = Element { node, content: Some(Content::Structure(id)), is_twin: false };
        judge(cx, &constraints.all[used.constraint], focus, out);
    }
}

/// The constraints that are stated at an element, on one of its values.
pub(crate) fn of_element(
    cx: &Context<'_, '_>,
    places: std::ops::Range<usize>,
    content: Content,
    node: NodeId,
    out: &mut Findings<'_>,
) {
    let constraints = constraints();
    for place in places {
        if let Some(constraint) = constraints.by_rule[place] {
            let focus = Element { node, content: Some(content), is_twin: false };
            judge(cx, &constraints.all[constraint], focus, out);
        }
    }
}

fn judge(cx: &Context<'_, '_>, constraint: &'static Constraint, focus: Element, out: &mut Findings<'_>) {
    if out.is_off(&constraint.rule) {
        return;
    }
    match holds(cx, &constraint.expression, focus, &[]) {
        Ok(true) => {}
        Ok(false) => out.add(cx, &constraint.rule, At::here(focus.node), constraint.explanation),
        Err(why) => out.not_checked(cx, &constraint.rule, At::here(focus.node), why),
    }
}

/// Whether an expression is true of an element; without a value it is not.
///
/// # Errors
/// Why it cannot be told.
pub(in crate::validate) fn holds(
    cx: &Context<'_, '_>,
    expression: &Expression,
    focus: Element,
    variables: &[(&str, Element)],
) -> Result<bool, String> {
    let environment = Environment {
        document: cx.document,
        schema: cx.release,
        resource: cx.resource.node,
        root_resource: cx.resource.outermost,
        resolver: &Known(cx),
        value_sets: &Known(cx),
        now: None,
        variables,
    };
    match expression.holds(&environment, focus) {
        Ok(holds) => Ok(holds == Some(true)),
        Err(error) => Err(error.to_string()),
    }
}

/// What expressions may ask for beyond the element.
struct Known<'c, 'v, 'd>(&'c Context<'v, 'd>);

/// `resolve()` as far as the document goes.
impl Resolve for Known<'_, '_, '_> {
    fn resolve(&self, text: &str) -> Resolution {
        reference::lead(self.0, text)
    }
}

/// `memberOf()` as far as the release's value sets and grammars go.
impl ValueSets for Known<'_, '_, '_> {
    fn has(&self, value_set: &str, system: Option<&str>, code: &str) -> Option<bool> {
        binding::has(self.0, value_set, system, code)
    }
}

/// An element with an id and nothing else.
pub(crate) fn only_id(cx: &Context<'_, '_>, node: NodeId, out: &mut Findings<'_>) {
    let text = explanation("ele-1").unwrap_or_default();
    out.add(cx, &ELE_1, At::here(node), text);
}

/// Of all members of an object of this kind only `id` was seen, which comes first in every type; a resource's id is of
/// another kind.
pub(crate) fn is_only_id(kind: StructureKind, seen: u128) -> bool {
    matches!(kind, StructureKind::Type | StructureKind::Nested) && seen == 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::validate::testing::findings;
    use std::collections::BTreeSet;

    #[test]
    fn every_constraint_is_explained_and_nothing_else() {
        let release = stu3::release();
        let mut stated = BTreeSet::new();
        let mut places = BTreeSet::new();
        for (id, structure) in release.structures() {
            let of_structure = release.structure_rule_places(id).map(|place| (place, structure.name.to_owned()));
            let of_elements = release.elements(id).iter().flat_map(|element| {
                let stated_at = stated_at(structure.name, element);
                release.element_rule_places(element).map(move |place| (place, stated_at.clone()))
            });
            for (place, stated_at) in of_structure.chain(of_elements) {
                if places.insert(place) {
                    stated.insert((release.rules()[place].key, stated_at));
                }
            }
        }
        let explained: BTreeSet<(&str, String)> =
            EXPLANATIONS.lines().filter_map(Row::read).map(|row| (row.key, row.stated_at.to_owned())).collect();
        assert_eq!(explained, stated);
        assert_eq!(EXPLANATIONS.lines().count(), explained.len());
    }

    #[test]
    fn constraints_are_judged_where_they_are_stated() {
        let source = r#"{"resourceType":"Observation","status":"final","code":{"text":"a"},"valueQuantity":{"value":1,
            "code":"kg"},"dataAbsentReason":{"text":"b"},"effectivePeriod":{"start":"2020-02","end":"2020-01-01"}}"#;
        assert_eq!(findings(source), ["obs-6 Observation", "qty-3 Observation.value", "per-1 Observation.effective"]);
    }

    #[test]
    fn what_a_reference_leads_to_decides_or_is_not_checked() {
        let request = |agent: &str| {
            format!(
                r#"{{"resourceType":"MedicationRequest","intent":"order","subject":{{"display":"a"}},"medicationCodeableConcept":
                {{"text":"b"}},"requester":{{"agent":{{"reference":"{agent}"}},"onBehalfOf":{{"display":"c"}}}}}}"#
            )
        };
        assert_eq!(findings(&request("Practitioner/1")), Vec::<String>::new());
        assert_eq!(findings(&request("Patient/1")), ["mps-1 MedicationRequest.requester"]);
        let outcome = crate::validate::testing::outcome(&request("http://example.org/somebody"));
        assert!(outcome.valid());
        assert!(outcome.not_checked.iter().any(|entry| entry.key == "mps-1"));
    }

    #[test]
    fn an_id_alone_says_nothing() {
        let source = r#"{"resourceType":"Patient","id":"p","name":[{"id":"a"}],"_birthDate":{"id":"b"},
            "gender":"male","_gender":{"id":"c"}}"#;
        assert_eq!(findings(source), ["ele-1 Patient.name[0]", "ele-1 Patient.birthDate"]);
    }

    /// The masks say the same as the evaluator, for every constraint and many combinations of members.
    #[test]
    fn masks_agree_with_the_evaluator() {
        let release = stu3::release();
        let constraints = constraints();
        let mut asked = 0;
        for (id, _) in release.structures() {
            for used in &constraints.by_structure[id.index()] {
                let elements = release.elements(id);
                for round in 0..64_u32 {
                    let (mut seen, mut members) = (0, Vec::new());
                    for element in elements {
                        // a fixed scatter: each element stands in about half of the rounds
                        let hash =
                            (u32::from(element.place) + 1).wrapping_mul(0x9E37_79B1) ^ round.wrapping_mul(0x85EB_CA6B);
                        if hash.rotate_left(13).wrapping_mul(0xC2B2_AE35) >> 31 == 0 {
                            continue;
                        }
                        let way = &release.ways(element)[0];
                        let name = if element.choice {
                            format!("{}{}{}", element.name, way.type_name[..1].to_uppercase(), &way.type_name[1..])
                        } else {
                            element.name.to_owned()
                        };
                        let value = match way.content {
                            Content::Primitive(_) => "\"true\"".to_owned(),
                            _ => "{\"extension\":[{}]}".to_owned(),
                        };
                        seen |= 1_u128 << element.place;
                        members.push(format!("\"{name}\":{value}"));
                    }
                    if !used.passes.iter().any(|presence| presence.fits(seen)) {
                        continue;
                    }
                    asked += 1;
                    let source = format!("{{{}}}", members.join(","));
                    let document =
                        crate::fhir::json::read(source.as_bytes(), &crate::fhir::json::Limits::default()).unwrap();
                    let environment = Environment::of(&document, release);
                    let focus =
                        Element { node: document.root(), content: Some(Content::Structure(id)), is_twin: false };
                    let constraint = &constraints.all[used.constraint];
                    let holds = constraint.expression.holds(&environment, focus);
                    // a value of the scatter may be no single boolean; it never makes a passing mask wrong
                    if let Ok(holds) = holds {
                        assert_eq!(holds, Some(true), "{} of {source}", constraint.rule.key);
                    }
                }
            }
        }
        assert!(asked > 5_000, "{asked}");
    }
}
