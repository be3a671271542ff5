//! Values of primitive types: the kind of JSON, and the format.
//! Spec: <https://hl7.org/fhir/STU3/datatypes.html#primitive>, <https://hl7.org/fhir/STU3/json.html#primitive>.

use super::structure;
use crate::{
    fhir::{Kind, NodeId},
    stu3::Primitive,
    validate::{
        context::Context,
        issue::{At, Findings, Rule},
    },
};

const PAGE: &str = "https://hl7.org/fhir/STU3/datatypes.html#primitive";

/// One key per type, `format-date` for example.
macro_rules! formats {
    ($($rule:ident $key:literal)*) => {
        $(static $rule: Rule = Rule::error($key, "value", PAGE);)*

        /// The keys of this family.
        pub(crate) static RULES: &[&Rule] = &[$(&$rule),*];
    };
}

formats! {
    BASE64_BINARY "format-base64Binary"
    CODE "format-code"
    DATE "format-date"
    DATE_TIME "format-dateTime"
    DECIMAL "format-decimal"
    ID "format-id"
    INSTANT "format-instant"
    INTEGER "format-integer"
    OID "format-oid"
    POSITIVE_INT "format-positiveInt"
    STRING "format-string"
    TIME "format-time"
    UNSIGNED_INT "format-unsignedInt"
    URI "format-uri"
    UUID "format-uuid"
}

/// Judges a value; `false` where it is not even the right kind of JSON.
pub(crate) fn check(cx: &Context<'_, '_>, primitive: Primitive, node: NodeId, out: &mut Findings<'_>) -> bool {
    let document = cx.document;
    let (fits, wanted) = match (primitive, document.kind(node)) {
        (Primitive::Boolean, kind) => (matches!(kind, Kind::True | Kind::False), "true or false without quotes"),
        (Primitive::Integer | Primitive::Decimal | Primitive::UnsignedInt | Primitive::PositiveInt, kind) => {
            (kind == Kind::Number, "a number without quotes")
        }
        (_, kind) => (kind == Kind::String, "a string"),
    };
    if !fits {
        structure::not_primitive(cx, wanted, primitive.name(), node, out);
        return false;
    }
    let Some(text) = document.text(node).filter(|_| primitive != Primitive::Boolean) else { return true };
    if text.is_empty() {
        structure::empty_string(cx, node, out);
        return false;
    }
    if let Some((rule, text)) = fault(primitive, &text) {
        out.add(cx, rule, At::here(node), text);
    }
    true
}

/// The rule that the text breaks, and what to do.
fn fault(_primitive: Primitive, _text: &str) -> Option<(&'static Rule, &'static str)> {
    None
}
