//! Resources inside resources. Spec: <https://hl7.org/fhir/STU3/references.html#contained>.

use crate::{
    fhir::{Kind, NodeId},
    validate::{
        context::{Context, Standing, items},
        issue::{At, Findings, Rule},
    },
};
use std::{borrow::Cow, collections::HashMap};

const PAGE: &str = "https://hl7.org/fhir/STU3/references.html#contained";

static CONTAINED_ID: Rule = Rule::error("contained-id", "required", PAGE);
static CONTAINED_DUPLICATE: Rule = Rule::error("contained-duplicate", "duplicate", PAGE);
static CONTAINED_NESTED: Rule = Rule::error("dom-2", "invariant", PAGE);
static CONTAINED_UNUSED: Rule = Rule::error("dom-3", "invariant", PAGE);
/// Later releases accept a contained resource that nothing refers to where it refers to its container itself.
static CONTAINED_REFERS_BACK: Rule = Rule::warning("contained-refers-back", "invariant", PAGE);

/// The keys of this family.
pub(crate) static RULES: &[&Rule] =
    &[&CONTAINED_ID, &CONTAINED_DUPLICATE, &CONTAINED_NESTED, &CONTAINED_UNUSED, &CONTAINED_REFERS_BACK];

/// A resource in `contained`; the scope is still its container's.
pub(crate) fn check(cx: &Context<'_, '_>, node: NodeId, out: &mut Findings<'_>) {
    if cx.resource.standing == Standing::Contained {
        let text = "a contained resource holds no contained resources: move this one up to the outer resource";
        return out.add(cx, &CONTAINED_NESTED, At::here(node), text);
    }
    match cx.string(node, "id") {
        None => {
            let text = "a contained resource needs an id, and a reference \"#id\" to it: add both";
            out.add(cx, &CONTAINED_ID, At::here(node), text);
        }
        Some(id) if cx.resource.contained.get(&id).is_some_and(|first| first.node != node) => {
            let text = "an earlier contained resource has the same id: give each its own";
            let place = cx.document.get(node, "id").unwrap_or(node);
            out.add(cx, &CONTAINED_DUPLICATE, At::below(place, ".id"), text);
        }
        Some(_) => {}
    }
}

/// Contained resources that nothing in the resource refers to (dom-3). One pass over the resource, whatever it contains.
pub(crate) fn unused(cx: &Context<'_, '_>, resource: NodeId, out: &mut Findings<'_>) {
    let document = cx.document;
    let mut contained = (0..).zip(items(document, resource, "contained")).peekable();
    if contained.peek().is_none() {
        return;
    }
    let mut uses: HashMap<Cow<'_, str>, usize> = HashMap::new();
    for reference in fragments(cx, resource) {
        *uses.entry(reference).or_default() += 1;
    }
    for (index, inner) in contained {
        let Some(id) = (document.kind(inner) == Kind::Object).then(|| cx.string(inner, "id")).flatten() else {
            continue;
        };
        let wanted = format!("#{id}");
        // what it says of itself is not said elsewhere
        let own = || fragments(cx, inner).filter(|reference| *reference == wanted).count();
        if uses.get(wanted.as_str()).is_some_and(|uses| *uses > own()) {
            continue;
        }
        let at = At::below(inner, format!(".contained[{index}]"));
        if fragments(cx, inner).any(|reference| reference == "#") {
            let text = "this contained resource refers to its container, but nothing refers to it, as STU3 wants: \
                        add a reference \"#id\" to it";
            out.add(cx, &CONTAINED_REFERS_BACK, at, text);
        } else {
            let text = "nothing in the resource refers to this contained resource: add a reference \"#id\" to it, or remove it";
            out.add(cx, &CONTAINED_UNUSED, at, text);
        }
    }
}

/// The texts of all members `reference` below a node that begin with `#`.
fn fragments<'d>(cx: &Context<'_, 'd>, below: NodeId) -> impl Iterator<Item = Cow<'d, str>> + use<'d> {
    let document = cx.document;
    document
        .subtree(below)
        .filter(move |node| document.kind(*node) == Kind::String && document.is_named(*node, "reference"))
        .filter_map(move |node| document.string(node).filter(|text| text.starts_with('#')))
}

#[cfg(test)]
mod tests {
    use crate::validate::testing::findings;

    #[test]
    fn contained_resources_have_ids_of_their_own_and_contain_nothing() {
        let source = r#"{"resourceType":"Patient","contained":[{"resourceType":"Organization","name":"a"},
            {"resourceType":"Organization","id":"o","name":"b"},{"resourceType":"Organization","id":"o","name":"c",
            "contained":[{"resourceType":"Organization","id":"p","name":"d"}]}]}"#;
        let expected = [
            "contained-id Patient.contained[0]",
            "contained-duplicate Patient.contained[2].id",
            "dom-2 Patient.contained[2].contained[0]",
        ];
        let found = findings(&source.replace("}]}]}", r##"}]}],"managingOrganization":{"reference":"#o"}}"##));
        assert_eq!(found, expected);
    }

    #[test]
    fn contained_resources_are_referred_to() {
        let source = r##"{"resourceType":"Patient","contained":[{"resourceType":"Organization","id":"o","name":"a"},
            {"resourceType":"Organization","id":"p","name":"b","partOf":{"reference":"#"}},
            {"resourceType":"Organization","id":"q","name":"c"}],"managingOrganization":{"reference":"#o"}}"##;
        assert_eq!(findings(source), ["contained-refers-back Patient.contained[1]", "dom-3 Patient.contained[2]"]);
    }

    #[test]
    fn a_contained_resource_does_not_refer_to_itself_alone() {
        let source = r##"{"resourceType":"Patient","contained":[{"resourceType":"Organization","id":"o","name":"a",
            "partOf":{"reference":"#o"}}]}"##;
        assert_eq!(findings(source), ["dom-3 Patient.contained[0]"]);
        let used = source.replace("}]}", r##"}],"managingOrganization":{"reference":"#o"}}"##);
        assert_eq!(findings(&used), Vec::<String>::new());
    }
}
