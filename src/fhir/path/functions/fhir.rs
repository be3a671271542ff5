//! What FHIR adds: <https://hl7.org/fhir/STU3/fhirpath.html#functions>

use super::Call;
use crate::fhir::{
    Content, Kind,
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
        Function::MemberOf => {
            let Some(value_set) = cx.text_argument(call, 0)? else { return Ok(Vec::new()) };
            Ok(match items {
                [] => Vec::new(),
                [item] => boolean(is_member(cx, item, &value_set)?),
                _ => return Err(PathError::Evaluation("memberOf() needs a single code or concept")),
            })
        }
        // narratives are judged by rules of their own
        _ => Ok(boolean(true)),
    }
}

/// A concept is in a value set where one of its codings is; a Coding or a unit by system and code.
fn is_member<'d>(cx: &mut Evaluator<'_, 'd>, item: &Item<'d>, value_set: &str) -> Result<bool, PathError> {
    const NO_CODE: PathError = PathError::Evaluation("memberOf() is asked of something that is no code");
    const UNKNOWN: PathError = PathError::Evaluation("whether this code is in the value set is not known here");
    let environment = cx.environment;
    let value_sets = environment.value_sets;
    let Item::Element(Element { content: Some(Content::Structure(id)), .. }) = item else {
        let code = environment.text(item).ok_or(NO_CODE)?;
        return value_sets.has(value_set, None, &code).ok_or(UNKNOWN);
    };
    let is_a = |name| environment.is_kind_of(*id, name);
    let codings = if is_a("CodeableConcept") {
        cx.members(std::slice::from_ref(item), "coding")?
    } else if is_a("Coding") || is_a("Quantity") {
        vec![item.clone()]
    } else {
        return Err(NO_CODE);
    };
    let mut unknown = false;
    for coding in &codings {
        cx.spend(1)?;
        let Item::Element(coding) = coding else { continue };
        let (Some(system), Some(code)) = (member(cx, coding, "system"), member(cx, coding, "code")) else { continue };
        match value_sets.has(value_set, Some(&system), &code) {
            Some(true) => return Ok(true),
            Some(false) => {}
            None => unknown = true,
        }
    }
    if unknown { Err(UNKNOWN) } else { Ok(false) }
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
                found.push(Item::Element(cx.environment.element(node, Some(Content::Resource))));
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

#[cfg(test)]
mod tests {
    use crate::fhir::{
        json,
        path::{Environment, Expression, PathError, ValueSets},
    };

    #[test]
    fn codes_are_asked_of_value_sets_as_far_as_they_are_known() {
        struct Units;
        impl ValueSets for Units {
            fn has(&self, value_set: &str, system: Option<&str>, code: &str) -> Option<bool> {
                (value_set == "urn:units").then_some(system != Some("urn:other") && matches!(code, "kg" | "final"))
            }
        }
        let source = r#"{"resourceType":"Observation","status":"final","valueQuantity":{"value":1,"system":"urn:u",
            "code":"kg"},"code":{"coding":[{"system":"urn:other","code":"kg"},{"system":"urn:u","code":"kg"}]},
            "category":[{"coding":[{"system":"urn:other","code":"kg"},{"code":"kg"}]},{"text":"a"}]}"#;
        let document = json::read(source.as_bytes(), &json::Limits::default()).unwrap();
        let environment = Environment { value_sets: &Units, ..Environment::of(&document, crate::stu3::release()) };
        let holds = |text: &str| Expression::parse(text).unwrap().holds(&environment, environment.root());
        for (expression, expected) in [
            ("status.memberOf('urn:units')", Some(true)),
            ("'mg'.memberOf('urn:units')", Some(false)),
            ("value.memberOf('urn:units')", Some(true)),
            ("code.memberOf('urn:units')", Some(true)),
            ("code.coding[0].memberOf('urn:units')", Some(false)),
            // without a system nobody can say whose code it is
            ("category[0].memberOf('urn:units')", Some(false)),
            ("category[1].memberOf('urn:units')", Some(false)),
            ("bodySite.memberOf('urn:units')", None),
            ("status.memberOf({})", None),
        ] {
            assert_eq!(holds(expression), Ok(expected), "{expression}");
        }
        for expression in ["status.memberOf('urn:x')", "category.memberOf('urn:units')", "$this.memberOf('urn:units')"]
        {
            assert!(matches!(holds(expression), Err(PathError::Evaluation(_))), "{expression}");
        }
    }
}
