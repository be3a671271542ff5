//! Values of primitive types: the kind of JSON, and the format.
//! Spec: <https://hl7.org/fhir/STU3/datatypes.html#primitive>, <https://hl7.org/fhir/STU3/json.html#primitive>.

use super::structure;
use crate::{
    fhir::{Kind, NodeId, primitive as formats},
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
fn fault(primitive: Primitive, text: &str) -> Option<(&'static Rule, &'static str)> {
    let (fits, rule, wanted): (fn(&str) -> bool, &'static Rule, &'static str) = match primitive {
        Primitive::Boolean | Primitive::Xhtml => return None,
        Primitive::String | Primitive::Markdown => (
            formats::is_string,
            &STRING,
            "a string has other characters than white space, no control characters and at most 1 MB; correct it or leave it out",
        ),
        Primitive::Code => {
            (formats::is_code, &CODE, "a code has no white space around it and single spaces inside; remove the others")
        }
        Primitive::Id => (formats::is_id, &ID, "an id has 1 to 64 letters, digits, - and .; choose such a one"),
        Primitive::Uri => (formats::is_uri, &URI, "a uri has no white space; remove it or write it as %20"),
        Primitive::Oid => (formats::is_oid, &OID, "an oid is written urn:oid: and dotted numbers, urn:oid:1.2.3"),
        Primitive::Uuid => {
            (formats::is_uuid, &UUID, "a uuid is written urn:uuid: and five groups of hexadecimal digits")
        }
        Primitive::Integer => (
            formats::is_integer,
            &INTEGER,
            "an integer is a whole number from -2147483648 to 2147483647, 0 or without leading zeros",
        ),
        Primitive::UnsignedInt => {
            (formats::is_unsigned_int, &UNSIGNED_INT, "an unsignedInt is a whole number from 0 to 2147483647")
        }
        Primitive::PositiveInt => {
            (formats::is_positive_int, &POSITIVE_INT, "a positiveInt is a whole number from 1 to 2147483647")
        }
        Primitive::Decimal => (
            formats::is_decimal,
            &DECIMAL,
            "a decimal is digits with or without a fraction, and has no exponent in STU3; write it out",
        ),
        Primitive::Base64Binary => (
            formats::is_base64,
            &BASE64_BINARY,
            "this is not base64: letters, digits, + and /, filled up with = to a multiple of four; encode it again",
        ),
        Primitive::Date => (
            formats::is_date,
            &DATE,
            "a date is YYYY, YYYY-MM or YYYY-MM-DD, of a month and day that exist; correct it",
        ),
        Primitive::DateTime => (
            formats::is_date_time,
            &DATE_TIME,
            "a dateTime is a date that exists, or one with Thh:mm:ss and its zone (Z or +hh:mm); correct it",
        ),
        Primitive::Instant => (
            formats::is_instant,
            &INSTANT,
            "an instant is YYYY-MM-DDThh:mm:ss with its zone (Z or +hh:mm), of a day that exists; correct it",
        ),
        Primitive::Time => (formats::is_time, &TIME, "a time is hh:mm:ss without a zone; correct it"),
    };
    (!fits(text)).then_some((rule, wanted))
}
