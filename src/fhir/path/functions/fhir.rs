//! What FHIR adds: <https://hl7.org/fhir/STU3/fhirpath.html#functions>

use super::Call;
use crate::fhir::{
    Kind,
    path::{
        PathError, Resolution,
        ast::Function,
        evaluate::{Evaluator, boolean},
        value::{Collection, Element, Item},
    },
};
use std::borrow::Cow;

/// Canonical URLs of the release's own types begin so.
const DEFINITION: &str = "http://hl7.org/fhir/StructureDefinition/";

pub(super) fn call<'d>(cx: &mut Evaluator<'_, 'd>, call: Call<'_, 'd>) -> Result<Collection<'d>, PathError> {
    let items = call.items;
    match call.function {
        Function::Resolve => resolve(cx, items),
        Function::Extension => {
            let Some(url) = cx.text_argument(call, 0)? else { return Ok(Vec::new()) };
            let extensions = cx.members(items, "extension")?;
            let has_url = |item: &Item<'d>| match item {
                Item::Element(element) => member(cx, element, "url").is_some_and(|found| found == url),
                _ => false,
            };
            Ok(extensions.into_iter().filter(has_url).collect())
        }
        Function::HasValue => Ok(boolean(match items {
            [item] => is_value(cx, item),
            _ => false,
        })),
        Function::GetValue => Ok(match items {
            [item] if is_value(cx, item) => vec![cx.environment.system(item)],
            _ => Vec::new(),
        }),
        Function::ConformsTo => {
            let Some(url) = cx.text_argument(call, 0)? else { return Ok(Vec::new()) };
            let named =
                url.strip_prefix(DEFINITION).filter(|name| cx.environment.schema.structure_named(name).is_some());
            let name = named.ok_or(PathError::Evaluation("conformsTo() names a profile that is not known here"))?;
            Ok(boolean(!items.is_empty() && items.iter().all(|item| cx.environment.is_of(item, name))))
        }
        Function::MemberOf => Err(PathError::Evaluation("memberOf() needs a terminology that is not known here")),
        // narratives are judged by rules of their own
        _ => Ok(boolean(true)),
    }
}

fn is_value<'d>(cx: &Evaluator<'_, 'd>, item: &Item<'d>) -> bool {
    match item {
        Item::Element(element) => {
            !element.is_twin
                && !matches!(cx.environment.document.kind(element.node), Kind::Object | Kind::Array | Kind::Null)
        }
        Item::Target(_) => false,
        _ => true,
    }
}

fn member<'d>(cx: &Evaluator<'_, 'd>, element: &Element, name: &str) -> Option<Cow<'d, str>> {
    let document = cx.environment.document;
    document.get(element.node, name).and_then(|member| document.string(member))
}

/// References, uris and canonical texts to what they lead to.
fn resolve<'d>(cx: &mut Evaluator<'_, 'd>, items: &[Item<'d>]) -> Result<Collection<'d>, PathError> {
    let mut found = Vec::new();
    for item in items {
        cx.spend(1)?;
        let reference = match item {
            Item::Element(element) if cx.environment.document.kind(element.node) == Kind::Object => {
                member(cx, element, "reference")
            }
            other => cx.environment.text(other),
        };
        // a logical reference, or one that only has a display, leads to nothing that can be found
        let Some(reference) = reference else { return Err(PathError::Unresolved) };
        match cx.environment.resolver.resolve(&reference) {
            Resolution::Found(node) => {
                found.push(Item::Element(cx.environment.element(node, Some(crate::fhir::Content::Resource))));
            }
            Resolution::Type(name) => match cx.environment.schema.resource(&name) {
                Some(id) => found.push(Item::Target(id)),
                None => return Err(PathError::Unresolved),
            },
            Resolution::Unknown => return Err(PathError::Unresolved),
        }
    }
    Ok(found)
}
