//! Extensions as the release defines them: where they stand, how often, what they hold; and those that nobody here knows.
//! Spec: <https://hl7.org/fhir/STU3/defining-extensions.html>, <https://hl7.org/fhir/STU3/extensibility.html>.
//!
//! A definition may set conditions for the element that its extension stands on (`contextInvariant`): FHIRPath on that
//! element, with `%extension` for the extension; all have to be true. What cannot be evaluated is not checked.
//! Spec: <https://hl7.org/fhir/STU3/structuredefinition-definitions.html#StructureDefinition.contextInvariant>.
//!
//! An extension's parts are judged by its definition. An extension inside another that has a whole URL is an
//! extension of its own, wherever it stands.

use super::{
    binding::{self, Value},
    invariant, reference,
};
use crate::{
    fhir::{Content, Kind, NodeId, path::Element, primitive::has_scheme},
    stu3::{Extension, Holder, Invariant, Most, Way},
    validate::{
        context::Context,
        issue::{At, Findings, Rule},
    },
};
use std::fmt;

const PAGE: &str = "https://hl7.org/fhir/STU3/extensibility.html";
const DEFINED: &str = "https://hl7.org/fhir/STU3/defining-extensions.html";

pub(in crate::validate) static CONTEXT: Rule = Rule::error("extension-context", "extension", DEFINED);
pub(in crate::validate) static INVARIANT: Rule = Rule::error(
    "extension-invariant",
    "invariant",
    "https://hl7.org/fhir/STU3/structuredefinition-definitions.html#StructureDefinition.contextInvariant",
);
static CARDINALITY: Rule = Rule::error("extension-cardinality", "structure", DEFINED);
pub(in crate::validate) static MODIFIER: Rule = Rule::error("extension-modifier", "extension", DEFINED);
pub(in crate::validate) static PART: Rule = Rule::error("extension-part", "extension", DEFINED);
static VALUE: Rule = Rule::error("extension-value", "structure", DEFINED);
static VALUE_TYPE: Rule = Rule::error("extension-value-type", "structure", DEFINED);
static UNKNOWN: Rule = Rule::information("extension-unknown", "extension", PAGE);
static URL: Rule = Rule::error("extension-url", "value", PAGE);

/// The keys of this family.
pub(crate) static RULES: &[&Rule] =
    &[&CONTEXT, &INVARIANT, &CARDINALITY, &MODIFIER, &PART, &VALUE, &VALUE_TYPE, &UNKNOWN, &URL];

/// Which of the two lists of extensions an extension stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum List {
    /// `extension`
    Plain,
    /// `modifierExtension`
    Modifiers,
}

/// The way from the path's end to an extension, printed only when something is found.
#[derive(Clone, Copy)]
struct Tail<'t> {
    outer: Option<&'t Tail<'t>>,
    name: &'static str,
    index: usize,
}

impl fmt::Display for Tail<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(outer) = self.outer {
            outer.fmt(f)?;
        }
        write!(f, ".{}[{}]", self.name, self.index)
    }
}

impl Tail<'_> {
    fn at(&self, node: NodeId) -> At<'static> {
        At::below(node, self.to_string())
    }
}

/// All extensions in one list of an element that is no extension itself; the path has reached the element.
pub(crate) fn check(cx: &Context<'_, '_>, list: List, array: NodeId, out: &mut Findings<'_>) {
    each(cx, list, array, None, None, out);
}

/// The extensions in a list; `whole` is the definition of the extension that they are parts of.
fn each(
    cx: &Context<'_, '_>,
    list: List,
    array: NodeId,
    outer: Option<&Tail<'_>>,
    whole: Option<&Extension>,
    out: &mut Findings<'_>,
) {
    if cx.document.kind(array) != Kind::Array {
        return;
    }
    let name = if list == List::Plain { "extension" } else { "modifierExtension" };
    let mut once = Vec::new();
    for (index, node) in cx.document.children(array).enumerate() {
        let Some(url) = cx.string(node, "url").filter(|url| !url.is_empty()) else { continue };
        let tail = Tail { outer, name, index };
        let part = whole.and_then(|whole| whole.parts.iter().find(|part| part.url == url));
        let definition = match part {
            Some(part) => Some(part),
            None if has_scheme(&url) => own(cx, list, node, &url, &tail, out),
            None => {
                relative(cx, node, &tail, whole, out);
                None
            }
        };
        if let Some(definition) = definition {
            if definition.most == Most::One {
                if once.contains(&definition.url) {
                    let text = "this extension may stand here once: remove the others, or merge them";
                    out.add(cx, &CARDINALITY, tail.at(node), text);
                } else {
                    once.push(definition.url);
                }
            }
            value(cx, definition, node, &tail, out);
        }
        if let Some(parts) = cx.document.get(node, "extension") {
            each(cx, List::Plain, parts, Some(&tail), definition, out);
        }
        if let Some(definition) = definition {
            missing(cx, definition, node, &tail, out);
        }
    }
}

/// Elements of an ElementDefinition that hold values of what it defines.
const SHOWN: [&str; 5] = ["defaultValue", "fixed", "pattern", "minValue", "maxValue"];

/// An extension with a whole URL: known or not, and where it stands.
fn own(
    cx: &Context<'_, '_>,
    list: List,
    node: NodeId,
    url: &str,
    tail: &Tail<'_>,
    out: &mut Findings<'_>,
) -> Option<&'static Extension> {
    let Some(definition) = cx.release.extension(url) else {
        // those of loaded profiles are judged by their profile
        if list == List::Plain && cx.library.extension(url).is_none() {
            out.add(cx, &UNKNOWN, tail.at(node), "this extension is not known here: its content is not judged");
        }
        return None;
    };
    match (list, definition.modifier) {
        (List::Plain, true) => {
            let text = "this extension changes the meaning of what it stands in: move it to modifierExtension";
            out.add(cx, &MODIFIER, tail.at(node), text);
        }
        (List::Modifiers, false) => {
            let text = "this extension changes no meaning: move it to extension";
            out.add(cx, &MODIFIER, tail.at(node), text);
        }
        _ => {}
    }
    let holder = if tail.outer.is_none() { cx.holder } else { cx.extension_holder() };
    let in_resource = |wanted: &str| cx.resource.type_name == wanted;
    // values that a definition prescribes or shows are meant for other places than the one they stand at
    let is_shown = cx.path.goes_through("element", &SHOWN) || cx.path.goes_through("example", &["value"]);
    if !is_shown && !definition.may_stand(cx.release, holder, in_resource) {
        let text = "the release lets this extension stand on other elements only: \
                    move it to where its definition says, or remove it";
        out.add(cx, &CONTEXT, tail.at(node), text);
    } else if !is_shown {
        invariants(cx, definition, holder, node, tail, out);
    }
    Some(definition)
}

/// The conditions on the element that holds an extension. All that have some stand on elements with parts.
fn invariants(
    cx: &Context<'_, '_>,
    definition: &Extension,
    holder: Holder,
    node: NodeId,
    tail: &Tail<'_>,
    out: &mut Findings<'_>,
) {
    if definition.invariants.is_empty() || out.is_off(&INVARIANT) {
        return;
    }
    let Some(held) = cx.document.parent(node).and_then(|list| cx.document.parent(list)) else { return };
    let element = |node, holds| Element { node, content: Some(Content::Structure(holds)), is_twin: false };
    let Some(extension) = cx.release.structure_named("Extension") else { return };
    for condition in &definition.invariants {
        let elements = (element(held, holder.holds), element(node, extension));
        judge(cx, condition, elements, tail.at(node), out);
    }
}

/// One condition on an element that holds an extension.
fn judge(
    cx: &Context<'_, '_>,
    condition: &Invariant,
    (focus, extension): (Element, Element),
    at: At<'_>,
    out: &mut Findings<'_>,
) {
    match invariant::holds(cx, &condition.expression, focus, &[(Invariant::VARIABLE, extension)]) {
        Ok(true) => {}
        Ok(false) => {
            let text = format!(
                "this extension may stand only where this holds of the element around it: {}; \
                 correct the element, or remove the extension",
                condition.text
            );
            out.add(cx, &INVARIANT, at, text);
        }
        Err(why) => out.not_checked(cx, &INVARIANT, at, why),
    }
}

/// A short name instead of a URL: only a part of an extension may have that.
fn relative(cx: &Context<'_, '_>, node: NodeId, tail: &Tail<'_>, whole: Option<&Extension>, out: &mut Findings<'_>) {
    if whole.is_some() {
        let text = "the definition of the extension knows no part of this name: correct its url, or remove it";
        out.add(cx, &PART, tail.at(node), text);
    } else if tail.outer.is_none() {
        let text = "the url of an extension is absolute: write the whole URL of its definition";
        out.add(cx, &URL, tail.at(node), text);
    }
}

/// The value has a type of the definition and its codes, and stands where the definition wants one.
fn value(cx: &Context<'_, '_>, definition: &Extension, node: NodeId, tail: &Tail<'_>, out: &mut Findings<'_>) {
    let Some((member, way)) = value_of(cx, node) else {
        // one with neither value nor extensions breaks ext-1 already
        if definition.valued && cx.document.get(node, "extension").is_some() {
            out.add(cx, &VALUE, tail.at(node), "this extension needs a value: add it, or remove the extension");
        }
        return;
    };
    let at = || At::below(member, format!("{tail}.value"));
    if definition.values.is_empty() {
        let text = "this extension has no value but parts: put the content into extensions inside it";
        return out.add(cx, &VALUE, at(), text);
    }
    let Some(wanted) = definition.values.iter().find(|wanted| wanted.name == way.type_name) else {
        let names: Vec<&str> = definition.values.iter().map(|wanted| wanted.name).collect();
        let text = format!("the value of this extension has the wrong type: it has to be {}", one_of(&names));
        return out.add(cx, &VALUE_TYPE, at(), text);
    };
    if !wanted.targets.is_empty() && reference::leads_elsewhere(cx, member, &wanted.targets) {
        let text = format!("the value of this extension has to lead to {}: correct it", one_of(&wanted.targets));
        out.add(cx, &VALUE_TYPE, at(), text);
    }
    if let Some(bound) = &definition.binding {
        binding::check(cx, bound, &Value::below(member, way, &format_args!("{tail}.value")), out);
    }
}

/// The value of an extension; its twin where it stands alone. A second value is found by another family.
fn value_of(cx: &Context<'_, '_>, node: NodeId) -> Option<(NodeId, &'static Way)> {
    let extension = cx.release.structure_named("Extension")?;
    let mut alone = None;
    for member in cx.document.children(node) {
        let name = cx.document.name(member).unwrap_or_default();
        let stem = name.strip_prefix('_').unwrap_or(&name);
        match cx.release.member(extension, stem).filter(|(element, _)| element.name == "value") {
            Some((_, way)) if stem.len() == name.len() => return Some((member, way)),
            Some((_, way)) => alone = alone.or(Some((member, way))),
            None => {}
        }
    }
    alone
}

fn one_of(names: &[&str]) -> String {
    match names {
        [name] => format!("a {name}"),
        _ => format!("one of {}", names.join(", ")),
    }
}

/// Parts that the definition requires.
fn missing(cx: &Context<'_, '_>, definition: &Extension, node: NodeId, tail: &Tail<'_>, out: &mut Findings<'_>) {
    for part in definition.parts.iter().filter(|part| part.min > 0) {
        let parts = cx.document.get(node, "extension").filter(|parts| cx.document.kind(*parts) == Kind::Array);
        let there = parts.is_some_and(|parts| {
            cx.document.children(parts).any(|item| cx.string(item, "url").is_some_and(|url| url == part.url))
        });
        if !there {
            let text = format!("this extension needs its part \"{}\": add it", part.url);
            out.add(cx, &CARDINALITY, tail.at(node), text);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        fhir::{
            json::{self, Limits},
            path::Expression,
        },
        validate::{Policy, Validator, testing::findings, walk},
    };

    const BASE: &str = "http://hl7.org/fhir/StructureDefinition";

    /// What is found of extensions in a resource with these members; `$` stands for the release's own address.
    fn found(resource: &str, members: &str) -> Vec<String> {
        let mut found = findings(&format!(r#"{{"resourceType":"{resource}",{members}}}"#).replace('$', BASE));
        found.retain(|line| line.starts_with("ext"));
        found
    }

    #[test]
    fn places_are_those_of_the_definition() {
        let good = r#""_birthDate":{"extension":[{"url":"$/patient-birthTime","valueDateTime":"1990-01-01T10:00:00Z"}]},
            "name":[{"_family":{"extension":[{"url":"$/humanname-own-name","valueString":"a"}]}}]"#;
        assert_eq!(found("Patient", good), Vec::<String>::new());
        let bad = r#""extension":[{"url":"$/patient-birthTime","valueDateTime":"1990-01-01T10:00:00Z"}],
            "contact":[{"extension":[{"url":"$/humanname-own-name","valueString":"a"}]}]"#;
        let expected = ["extension-context Patient.extension[0]", "extension-context Patient.contact[0].extension[0]"];
        assert_eq!(found("Patient", bad), expected);
    }

    #[test]
    fn paths_that_begin_in_a_resource_need_that_resource() {
        let element = r#""element":[{"path":"a","code":[{"code":"b","extension":[
            {"url":"$/11179-de-is-data-element-concept","valueBoolean":true}]}]}]"#;
        let data_element = format!(r#""status":"draft",{element}"#);
        assert_eq!(found("DataElement", &data_element), Vec::<String>::new());
        let snapshot = format!(
            r#""url":"http://a.org/b","name":"a","status":"draft","kind":"logical","abstract":false,"type":"a","snapshot":{{{element}}}"#
        );
        let at = "StructureDefinition.snapshot.element[0].code[0].extension[0]";
        assert_eq!(found("StructureDefinition", &snapshot), [format!("extension-context {at}")]);
    }

    #[test]
    fn values_have_a_type_of_the_definition() {
        let members = r#""extension":[{"url":"$/patient-importance","valueString":"a"},
            {"url":"$/patient-nationality","valueCode":"a"},
            {"url":"$/patient-congregation","valueString":"a"}]"#;
        let expected =
            ["extension-value-type Patient.extension[0].value", "extension-value Patient.extension[1].value"];
        assert_eq!(found("Patient", members), expected);
        let parts = r#""extension":[{"url":"$/valueset-map","valueReference":{"reference":"Patient/1"}}],
            "url":"http://a.org/b","status":"draft""#;
        assert_eq!(found("ValueSet", parts), ["extension-value-type ValueSet.extension[0].value"]);
    }

    #[test]
    fn a_missing_value_is_told_once() {
        let members = |rest: &str| {
            let extension = format!(r#"{{"url":"$/questionnaireresponse-author"{rest}}}"#);
            found(
                "QuestionnaireResponse",
                &format!(r#""status":"completed","item":[{{"linkId":"1","extension":[{extension}]}}]"#),
            )
        };
        assert_eq!(members(""), ["ext-1 QuestionnaireResponse.item[0].extension[0]"]);
        let inner = r#","extension":[{"url":"$/data-absent-reason","valueCode":"unknown"}]"#;
        assert_eq!(members(inner), ["extension-value QuestionnaireResponse.item[0].extension[0]"]);
        assert_eq!(members(r#","valueReference":{"reference":"Patient/1"}"#), Vec::<String>::new());
    }

    #[test]
    fn parts_are_known_present_and_not_too_many() {
        let members = r#""url":"http://a.org/b","status":"draft","extension":[{"url":"$/valueset-history","extension":[
            {"url":"name","valueString":"a"},{"url":"name","valueString":"b"},{"url":"title","valueString":"c"},
            {"url":"revision","extension":[{"url":"date","valueDateTime":"2020"},{"url":"id","valueString":"1"}]},
            {"url":"http://example.org/other","valueString":"d"}]}]"#;
        let expected = [
            "extension-cardinality ValueSet.extension[0].extension[1]",
            "extension-part ValueSet.extension[0].extension[2]",
            "extension-cardinality ValueSet.extension[0].extension[3]",
            "extension-unknown ValueSet.extension[0].extension[4]",
        ];
        assert_eq!(found("ValueSet", members), expected);
    }

    /// What is found of codes and extensions in a resource with these members.
    fn found_codes(resource: &str, members: &str) -> Vec<String> {
        findings(&format!(r#"{{"resourceType":"{resource}",{members}}}"#).replace('$', BASE))
    }

    #[test]
    fn parts_have_codes_of_their_sets() {
        let goal = |status: &str, kind: &str| {
            let members = format!(
                r#""status":"proposed","description":{{"text":"a"}},"subject":{{"display":"b"}},"extension":[
                {{"url":"$/goal-acceptance","extension":[{{"url":"individual","valueReference":{{"reference":"Patient/1"}}}},
                {{"url":"status","valueCode":"{status}"}}]}},{{"url":"$/goal-relationship","extension":[
                {{"url":"type","valueCodeableConcept":{{"coding":[{{"system":"http://hl7.org/fhir/goal-relationship-type",
                "code":"{kind}"}}]}}}},{{"url":"target","valueReference":{{"reference":"Goal/1"}}}}]}}]"#
            );
            found_codes("Goal", &members)
        };
        assert_eq!(goal("agree", "successor"), Vec::<String>::new());
        let expected = [
            "binding-required Goal.extension[0].extension[1].value",
            "binding-extensible Goal.extension[1].extension[0].value",
            "code-unknown Goal.extension[1].extension[0].value.coding[0].code",
        ];
        assert_eq!(goal("maybe", "sister"), expected);
        let patient = |lang: &str| {
            let translation = format!(
                r#"{{"url":"$/translation","extension":[{{"url":"lang","valueCode":"{lang}"}},{{"url":"content","valueString":"a"}}]}}"#
            );
            found_codes("Patient", &format!(r#""name":[{{"text":"a","_text":{{"extension":[{translation}]}}}}]"#))
        };
        assert_eq!(patient("nl"), Vec::<String>::new());
        assert_eq!(patient("nl_NL"), ["binding-maximum Patient.name[0].text.extension[0].extension[0].value"]);
    }

    #[test]
    fn a_twin_before_its_value_hides_nothing() {
        let members = r#""_birthDate":{"extension":[{"url":"$/data-absent-reason",
            "_valueCode":{"id":"a"},"valueCode":"secret"}]}"#;
        assert_eq!(found_codes("Patient", members), ["binding-required Patient.birthDate.extension[0].value"]);
    }

    #[test]
    fn conditions_are_asked_of_the_element_that_holds_the_extension() {
        let item = |members: &str, name: &str, value: &str| {
            let item = format!(
                r#"{{"linkId":"1","text":"a",{members},"extension":[{{"url":"$/questionnaire-{name}",{value}}}]}}"#
            );
            let inner = format!(r#"{{"linkId":"0","type":"group","item":[{item}]}}"#).replace("\"1\"", "\"2\"");
            let mut found =
                found("Questionnaire", &format!(r#""url":"http://a.org/q","status":"draft","item":[{item},{inner}]"#));
            found.dedup();
            found
        };
        let broken = [
            "extension-invariant Questionnaire.item[0].extension[0]",
            "extension-invariant Questionnaire.item[1].item[0].extension[0]",
        ];
        let orientation = r#""valueCode":"horizontal""#;
        assert_eq!(item(r#""type":"choice""#, "choiceOrientation", orientation), Vec::<String>::new());
        assert_eq!(item(r#""type":"string""#, "choiceOrientation", orientation), broken);
        // the extension itself may decide
        assert_eq!(item(r#""type":"string""#, "minOccurs", r#""valueInteger":0"#), Vec::<String>::new());
        assert_eq!(item(r#""type":"string""#, "minOccurs", r#""valueInteger":2"#), broken);
        assert_eq!(
            item(r#""type":"string","required":true"#, "minOccurs", r#""valueInteger":2"#),
            Vec::<String>::new()
        );
    }

    #[test]
    fn a_condition_that_cannot_be_told_is_not_checked() {
        let source = r#"{"resourceType":"Patient","gender":"male","extension":[{"url":"http://example.org/a","valueCode":"b"}]}"#;
        let document = json::read(source.as_bytes(), &Limits::default()).unwrap();
        let (validator, policy) = (Validator::new(), Policy::default());
        let (cx, _) = walk::check(&validator.families, &document, &policy, None);
        let element = |node, name| Element {
            node,
            content: cx.release.structure_named(name).map(Content::Structure),
            is_twin: false,
        };
        let list = document.get(document.root(), "extension").unwrap();
        let extension = document.children(list).next().unwrap();
        let outcome = |text: &'static str| {
            let expression = Expression::parse_with(text, &[Invariant::VARIABLE]).unwrap();
            let mut out = Findings::new(&policy);
            let elements = (element(document.root(), "Patient"), element(extension, "Extension"));
            judge(&cx, &Invariant { text, expression }, elements, At::here(extension), &mut out);
            let gathered = out.finish(&cx);
            (gathered.findings.len(), gathered.not_checked.len())
        };
        assert_eq!(outcome("gender = 'male' and %extension.value = 'b'"), (0, 0));
        assert_eq!(outcome("gender = 'female'"), (1, 0));
        assert_eq!(outcome("gender.memberOf(%`vs-administrative-gender`)"), (0, 0));
        assert_eq!(outcome("%extension.value.memberOf(%`vs-administrative-gender`)"), (1, 0));
        assert_eq!(outcome("gender.memberOf('http://example.org/unknown')"), (0, 1));
    }

    #[test]
    fn an_extension_stands_as_often_as_its_definition_says() {
        let importance = r#"{"url":"$/patient-importance","valueCodeableConcept":{"text":"a"}}"#;
        let disability = importance.replace("importance", "disability");
        let members = format!(r#""extension":[{importance},{importance},{disability},{disability}]"#);
        assert_eq!(found("Patient", &members), ["extension-cardinality Patient.extension[1]"]);
    }

    #[test]
    fn modifiers_stand_among_modifiers_alone() {
        let members = r#""status":"final","code":{"text":"a"},"extension":[{"url":"$/event-notDone","valueBoolean":true}],
            "modifierExtension":[{"url":"$/data-absent-reason","valueCode":"unknown"}]"#;
        let expected = [
            "extension-modifier DiagnosticReport.extension[0]",
            "extension-modifier DiagnosticReport.modifierExtension[0]",
        ];
        assert_eq!(found("DiagnosticReport", members), expected);
    }

    #[test]
    fn urls_are_absolute_except_inside_another() {
        let members = r#""extension":[{"url":"a","valueCode":"b"},
            {"url":"http://example.org/a","extension":[{"url":"b","valueCode":"c"}]}]"#;
        let expected = ["extension-url Patient.extension[0]", "extension-unknown Patient.extension[1]"];
        assert_eq!(found("Patient", members), expected);
    }
}
