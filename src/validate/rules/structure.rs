//! Names and JSON shape: is every member known here, and is it the kind of JSON that it has to be?
//! Spec: <https://hl7.org/fhir/STU3/json.html>.

use crate::{
    fhir::{Document, Kind, NodeId},
    stu3::{Element, Release, StructureId},
    validate::{
        context::Context,
        issue::{At, Findings, Rule},
        release,
    },
};

const PAGE: &str = "https://hl7.org/fhir/STU3/json.html";

static UNKNOWN_ELEMENT: Rule = Rule::error("unknown-element", "structure", PAGE);
static RESOURCE_TYPE: Rule = Rule::error("resource-type", "structure", PAGE);
static TYPE_JSON: Rule = Rule::error("type-json", "structure", PAGE);
static EMPTY: Rule = Rule::error("empty", "structure", PAGE);
static NULL: Rule = Rule::error("null", "structure", PAGE);
static TWIN: Rule = Rule::error("twin", "structure", PAGE);
static BYTE_ORDER_MARK: Rule = Rule::information("byte-order-mark", "informational", PAGE);
static DEPTH: Rule = Rule::error("depth", "too-long", PAGE);

/// The keys of this family.
pub(crate) static RULES: &[&Rule] =
    &[&UNKNOWN_ELEMENT, &RESOURCE_TYPE, &TYPE_JSON, &EMPTY, &NULL, &TWIN, &DEPTH, &BYTE_ORDER_MARK];

/// Those of which a file of another release breaks one.
pub(crate) static TELLING: [&Rule; 3] = [&UNKNOWN_ELEMENT, &RESOURCE_TYPE, &TYPE_JSON];

/// A byte order mark is read over; other readers of JSON stumble on it.
pub(crate) fn byte_order_mark(cx: &Context<'_, '_>, root: NodeId, out: &mut Findings<'_>) {
    if cx.document.has_byte_order_mark() {
        let text =
            "the file begins with a byte order mark, which UTF-8 does not need and JSON does not have: save it without";
        out.add(cx, &BYTE_ORDER_MARK, At::here(root), text);
    }
}

/// The structure that `resourceType` names.
pub(crate) fn resource_type(cx: &Context<'_, '_>, node: NodeId, out: &mut Findings<'_>) -> Option<StructureId> {
    let document = cx.document;
    if document.kind(node) != Kind::Object {
        out.add(cx, &TYPE_JSON, At::here(node), "a resource is a JSON object: write { \"resourceType\": ... }");
        return None;
    }
    let Some(member) = document.get(node, "resourceType") else {
        out.add(
            cx,
            &RESOURCE_TYPE,
            At::here(node),
            "resourceType is missing: name the kind of resource, \"Bundle\" for example",
        );
        return None;
    };
    let name = cx.string(node, "resourceType");
    let known = name.as_deref().and_then(|name| cx.release.resource(name));
    if known.is_none() {
        // a resource with nothing but its type tells no release
        if document.children(node).nth(1).is_some() {
            out.foreign("", name.as_deref().unwrap_or_default());
        }
        let mut text = "resourceType names no resource of STU3".to_owned();
        if let Some(nearest) =
            name.filter(|_| !out.is_crowded()).and_then(|name| nearest(&name, resource_names(cx.release)))
        {
            text.push_str(&format!(": did you mean \"{nearest}\"?"));
        }
        out.add(cx, &RESOURCE_TYPE, At::here(member), text);
    }
    known
}

fn resource_names(release: &Release) -> impl Iterator<Item = String> {
    release
        .structures()
        .map(|(_, structure)| structure.name)
        .filter(|name| release.resource(name).is_some())
        .map(str::to_owned)
}

/// A member that the structure does not have.
pub(crate) fn unknown(cx: &Context<'_, '_>, id: StructureId, member: NodeId, out: &mut Findings<'_>) {
    let name = cx.document.name(member).unwrap_or_default();
    let structure = cx.release.structure(id).name;
    out.foreign(structure, &name);
    let mut text = format!("{structure} has no element {}", quoted(&name));
    let choice = cx.release.elements(id).iter().find(|element| element.choice && element.name == name);
    let suggestion = match choice {
        Some(element) => cx.release.ways(element).first().map(|way| json_name(element, way.type_name)),
        None if out.is_crowded() => None,
        None => nearest(&name, element_names(cx.release, id)),
    };
    match suggestion {
        Some(name) if choice.is_some() => {
            text.push_str(&format!(": its type belongs to the name, as in \"{name}\""));
        }
        Some(name) => text.push_str(&format!(": did you mean \"{name}\"?")),
        None => text.push_str(": remove it"),
    }
    out.add(cx, &UNKNOWN_ELEMENT, At::here(member), text);
}

/// A name as it may be shown: it is the file's own, so only letters and digits of a short one.
fn quoted(name: &str) -> String {
    let plain =
        name.len() <= 64 && name.chars().all(|character| character.is_alphanumeric() || "_-[]".contains(character));
    if plain { format!("\"{name}\"") } else { "of that name".to_owned() }
}

fn element_names(release: &'static Release, id: StructureId) -> impl Iterator<Item = String> {
    release
        .elements(id)
        .iter()
        .flat_map(move |element| release.ways(element).iter().map(|way| json_name(element, way.type_name)))
}

fn json_name(element: &Element, type_name: &str) -> String {
    let mut name = element.name.to_owned();
    if element.choice {
        name.push_str(&type_name[..1].to_ascii_uppercase());
        name.push_str(&type_name[1..]);
    }
    name
}

/// The known name that differs least, where it differs by a third of its letters at most.
pub(super) fn nearest(name: &str, known: impl Iterator<Item = String>) -> Option<String> {
    if name.chars().count() > 64 {
        return None;
    }
    known
        .map(|candidate| (distance(&name.to_lowercase(), &candidate.to_lowercase()), candidate))
        .filter(|(distance, candidate)| *distance <= (candidate.len() / 3).max(1))
        .min()
        .map(|(_, candidate)| candidate)
}

/// Levenshtein's distance in characters.
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (line, character) in left.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = line + 1;
        for (column, other) in right.iter().enumerate() {
            let replaced = diagonal + usize::from(character != *other);
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[right.len()]
}

/// An object or array with nothing in it.
pub(crate) fn empty(cx: &Context<'_, '_>, node: NodeId, out: &mut Findings<'_>) {
    out.add(cx, &EMPTY, At::here(node), "this is empty: leave the element out where it has nothing to say");
}

/// An empty string.
pub(crate) fn empty_string(cx: &Context<'_, '_>, node: NodeId, out: &mut Findings<'_>) {
    out.add(cx, &EMPTY, At::here(node), "this text is empty: leave the element out where it has nothing to say");
}

/// A single value where a list belongs.
pub(crate) fn not_array(cx: &Context<'_, '_>, node: NodeId, out: &mut Findings<'_>) {
    out.add(cx, &TYPE_JSON, At::here(node), "this element may repeat and is always an array: put the value in [ ]");
}

/// Something else where an object belongs.
pub(crate) fn not_object(cx: &Context<'_, '_>, node: NodeId, out: &mut Findings<'_>) {
    other_kind(cx, node, out);
    let text = if cx.document.is_xml() {
        "elements belong into this one, not a value: write its parts".to_owned()
    } else {
        format!("a JSON object belongs here, not {}", kind_name(cx.document.kind(node)))
    };
    out.add(cx, &TYPE_JSON, At::here(node), text);
}

/// Another kind of JSON where a primitive value belongs.
pub(crate) fn not_primitive(cx: &Context<'_, '_>, wanted: &str, type_name: &str, node: NodeId, out: &mut Findings<'_>) {
    other_kind(cx, node, out);
    let text = if cx.document.is_xml() {
        format!("this is no {type_name}: correct the value")
    } else {
        format!("a value of type {type_name} is {wanted} in JSON, not {}", kind_name(cx.document.kind(node)))
    };
    out.add(cx, &TYPE_JSON, At::here(node), text);
}

/// A value of a kind that another release has here.
fn other_kind(cx: &Context<'_, '_>, node: NodeId, out: &mut Findings<'_>) {
    let document = cx.document;
    let name = document.name(node).or_else(|| document.parent(node).and_then(|list| document.name(list)));
    let structure = cx.release.structure(cx.holder.holds).name;
    if let Some(name) = name.filter(|name| release::tells(structure, name)) {
        out.foreign(structure, &name);
    }
}

fn kind_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Object => "an object",
        Kind::Array => "an array",
        Kind::String => "a string",
        Kind::Number => "a number",
        Kind::True | Kind::False => "a boolean",
        Kind::Null => "null",
    }
}

/// `null` among the values of an array: each needs an object at the same place of the `_name` twin.
pub(crate) fn nulls(cx: &Context<'_, '_>, element: &Element, owner: NodeId, array: NodeId, out: &mut Findings<'_>) {
    let document = cx.document;
    let twin = twin_of(document, owner, array);
    let mut twins = twin.into_iter().flat_map(|twin| document.children(twin));
    for (index, item) in document.children(array).enumerate() {
        let beside = twins.next();
        let filled = beside.is_some_and(|beside| document.kind(beside) == Kind::Object);
        if document.kind(item) == Kind::Null && !filled {
            let text = format!(
                "null stands only for a value that has an object at the same place of \"_{}\": remove it",
                element.name
            );
            out.add(cx, &NULL, At::below(item, format!(".{}[{index}]", element.name)), text);
        }
    }
}

/// The array `_name` beside the array `name`.
fn twin_of(document: &Document<'_>, owner: NodeId, array: NodeId) -> Option<NodeId> {
    let name = format!("_{}", document.name(array)?);
    document.get(owner, &name).filter(|twin| document.kind(*twin) == Kind::Array)
}

/// The array `_name` and the array `name` go together place by place.
pub(crate) fn twin_arrays(
    cx: &Context<'_, '_>,
    element: &Element,
    owner: NodeId,
    twin: NodeId,
    out: &mut Findings<'_>,
) {
    let document = cx.document;
    let name = document.name(twin).unwrap_or_default();
    let values =
        document.get(owner, name.trim_start_matches('_')).filter(|values| document.kind(*values) == Kind::Array);
    let length = |array: NodeId| document.children(array).count();
    if values.is_some_and(|values| length(values) != length(twin)) {
        let text = format!("\"{}\" and \"_{0}\" go together place by place: fill the shorter with null", element.name);
        out.add(cx, &TWIN, At::below(twin, format!(".{}", element.name)), text);
    }
    let mut values = values.into_iter().flat_map(|values| document.children(values));
    for (index, item) in document.children(twin).enumerate() {
        let value = values.next();
        let valued = value.is_some_and(|value| document.kind(value) != Kind::Null);
        if document.kind(item) == Kind::Null && !valued {
            let text = format!("null in \"_{}\" needs a value at the same place of \"{0}\": remove it", element.name);
            out.add(cx, &NULL, At::below(item, format!(".{}[{index}]", element.name)), text);
        }
    }
}

/// A `_name` twin that is no object, or no array where the element repeats.
pub(crate) fn twin_shape(cx: &Context<'_, '_>, element: &Element, node: NodeId, out: &mut Findings<'_>) {
    let text = format!(
        "\"_{}\" holds the id and extensions of \"{0}\": an object, or an array of objects and null where \"{0}\" is one",
        element.name
    );
    out.add(cx, &TWIN, At::below(node, format!(".{}", element.name)), text);
}

/// Nested beyond what is judged.
pub(crate) fn too_deep(cx: &Context<'_, '_>, node: NodeId, out: &mut Findings<'_>) {
    out.add(cx, &DEPTH, At::here(node), "this is nested too deeply and was not judged: nest less");
}

#[cfg(test)]
mod tests {
    use crate::validate::testing::{findings, outcome};

    #[test]
    fn unknown_elements_report_their_parent_and_the_nearest_name() {
        let outcome = outcome(r#"{"resourceType":"Patient","name":[{"familly":"a"}],"valueX":1,"_gender1":{}}"#);
        let found: Vec<_> =
            outcome.findings.iter().map(|f| (f.key.as_str(), f.expression.as_str(), f.column)).collect();
        assert_eq!(found[0], ("unknown-element", "Patient.name[0]", 37));
        assert_eq!(outcome.findings[0].text, "HumanName has no element \"familly\": did you mean \"family\"?");
        assert_eq!((found[1].1, found[2].1), ("Patient", "Patient"));
    }

    #[test]
    fn a_choice_without_its_type_is_told_how_to_name_it() {
        let source = r#"{"resourceType":"Observation","status":"final","code":{"text":"a"},"value":"b"}"#;
        assert_eq!(findings(source), ["unknown-element Observation"]);
        assert!(outcome(source).findings[0].text.contains("valueQuantity"));
    }

    #[test]
    fn resource_types_are_known_or_told() {
        assert_eq!(findings(r#"{"id":"a"}"#), ["resource-type "]);
        assert_eq!(findings(r#"{"resourceType":"Pateint"}"#), ["resource-type "]);
        assert!(outcome(r#"{"resourceType":"Pateint"}"#).findings[0].text.contains("\"Patient\""));
        assert_eq!(findings(r#"{"resourceType":"DomainResource"}"#), ["resource-type "]);
        assert_eq!(findings("[]"), ["type-json "]);
    }

    #[test]
    fn json_has_the_shape_that_the_element_asks_for() {
        let source = r#"{"resourceType":"Patient","name":{"family":"a"},"maritalStatus":"b","active":{},"photo":[1]}"#;
        let expected = [
            "type-json Patient.name[0]",
            "type-json Patient.maritalStatus",
            "type-json Patient.active",
            "type-json Patient.photo[0]",
        ];
        assert_eq!(findings(source), expected);
    }

    #[test]
    fn a_byte_order_mark_is_said_and_accepted() {
        let outcome = outcome("\u{feff}{\"resourceType\":\"Patient\"}");
        assert!(outcome.valid());
        assert_eq!((outcome.findings[0].key.as_str(), outcome.findings[0].column), ("byte-order-mark", 1));
    }

    #[test]
    fn nothing_stands_empty() {
        let source = r#"{"resourceType":"Patient","name":[],"maritalStatus":{},"contact":[{}],"language":""}"#;
        let expected = [
            "empty Patient.name",
            "empty Patient.maritalStatus",
            "empty Patient.contact[0]",
            "pat-1 Patient.contact[0]",
            "empty Patient.language",
        ];
        assert_eq!(findings(source), expected);
    }

    #[test]
    fn nulls_need_their_twin() {
        let good = r#"{"resourceType":"Patient","name":[{"given":["a",null],"_given":[null,{"id":"b"}]}]}"#;
        assert_eq!(findings(good), Vec::<String>::new());
        let alone = r#"{"resourceType":"Patient","name":[{"given":["a",null]}],"active":null}"#;
        assert_eq!(findings(alone), ["null Patient.name[0].given[1]", "type-json Patient.active"]);
        let both = r#"{"resourceType":"Patient","name":[{"given":["a",null],"_given":[null,null]}]}"#;
        assert_eq!(findings(both), ["null Patient.name[0].given[1]", "null Patient.name[0].given[1]"]);
        let shorter = r#"{"resourceType":"Patient","name":[{"given":["a","b"],"_given":[{"id":"b"}]}]}"#;
        assert_eq!(findings(shorter), ["twin Patient.name[0].given"]);
        let shape = r#"{"resourceType":"Patient","_birthDate":[{"id":"b"}],"name":[{"_given":{"id":"c"}}]}"#;
        assert_eq!(findings(shape), ["twin Patient.birthDate", "twin Patient.name[0].given"]);
    }
}
