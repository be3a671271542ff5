//! Values of primitive types: the kind of JSON, and the format.
//! Spec: <https://hl7.org/fhir/STU3/datatypes.html#primitive>, <https://hl7.org/fhir/STU3/json.html#primitive>.

use super::structure;
use crate::{
    fhir::{Kind, NodeId, primitive as format},
    stu3::Primitive,
    validate::{
        context::Context,
        issue::{At, Findings, Rule},
    },
};

const PAGE: &str = "https://hl7.org/fhir/STU3/datatypes.html#primitive";

/// Official examples have such URIs, and nothing is misunderstood by them.
static URI_UUID: Rule = Rule::warning("uri-uuid", "value", PAGE);

/// As with UUIDs: what the URI names is told apart by its text all the same.
static URI_OID: Rule = Rule::warning("uri-oid", "value", PAGE);

/// The pages on JSON and on XML want a character in every text; only the latter says that blanks are none.
static STRING_BLANK: Rule = Rule::warning("string-blank", "value", "https://hl7.org/fhir/STU3/xml.html");

/// One key per type, `format-date` for example.
macro_rules! formats {
    ($($rule:ident $key:literal)*) => {
        $(static $rule: Rule = Rule::error($key, "value", PAGE);)*

        /// The keys of this family.
        pub(crate) static RULES: &[&Rule] = &[&URI_UUID, &URI_OID, &STRING_BLANK, $(&$rule),*];
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
    // in most texts no character can be wrong
    let is_text = matches!(primitive, Primitive::String | Primitive::Markdown);
    if is_text && document.is_plain(node) && format::is_short(&text) && !format::is_blank(&text) {
        return true;
    }
    if let Some((rule, text)) = fault(primitive, &text) {
        out.add(cx, rule, At::here(node), text);
    }
    true
}

/// The rule that the text breaks, and what to do.
fn fault(primitive: Primitive, text: &str) -> Option<(&'static Rule, &'static str)> {
    let (is_sound, rule, advice) = match primitive {
        Primitive::Boolean | Primitive::Xhtml => return None,
        Primitive::Base64Binary => (
            format::is_base64(text),
            &BASE64_BINARY,
            "this is no base64: encode the bytes with A-Z, a-z, 0-9, + and /, padded with = to groups of four",
        ),
        Primitive::Code => {
            (format::is_code(text), &CODE, "a code has no whitespace at its ends and single spaces inside: correct it")
        }
        Primitive::Date => (
            format::is_date(text),
            &DATE,
            "this is no date: write YYYY, YYYY-MM or YYYY-MM-DD, a day that the calendar has",
        ),
        Primitive::DateTime => (
            format::is_date_time(text),
            &DATE_TIME,
            "this is no dateTime: write YYYY, YYYY-MM, YYYY-MM-DD, or YYYY-MM-DDThh:mm:ss with Z or +hh:mm",
        ),
        Primitive::Decimal => {
            (format::is_decimal(text), &DECIMAL, "a decimal is written with digits and a point, without an exponent")
        }
        Primitive::Id => (format::is_id(text), &ID, "an id is 1 to 64 letters, digits, hyphens and points: correct it"),
        Primitive::Instant => {
            (format::is_instant(text), &INSTANT, "this is no instant: write YYYY-MM-DDThh:mm:ss with Z or +hh:mm")
        }
        Primitive::Integer => {
            (format::is_integer(text), &INTEGER, "an integer is a whole number from -2147483648 to 2147483647")
        }
        Primitive::Oid => (format::is_oid(text), &OID, "an oid is written urn:oid: and numbers joined by points"),
        Primitive::PositiveInt => {
            (format::is_positive_int(text), &POSITIVE_INT, "this is a whole number from 1 to 2147483647")
        }
        Primitive::String | Primitive::Markdown if format::is_blank(text) => {
            return Some((&STRING_BLANK, "this text is blank: leave the element out where it has nothing to say"));
        }
        Primitive::String | Primitive::Markdown => (
            format::is_string(text),
            &STRING,
            "a text has no control characters but tab and line ends, and at most 1048576 characters: shorten or clean it",
        ),
        Primitive::Time => (format::is_time(text), &TIME, "this is no time: write hh:mm:ss"),
        Primitive::UnsignedInt => {
            (format::is_unsigned_int(text), &UNSIGNED_INT, "this is a whole number from 0 to 2147483647")
        }
        Primitive::Uri if text.starts_with("urn:uuid:") => {
            (format::is_uuid(text), &URI_UUID, "urn:uuid: is followed by a UUID in lower case, 8-4-4-4-12 digits")
        }
        Primitive::Uri if text.starts_with("urn:oid:") => {
            (format::is_oid(text), &URI_OID, "urn:oid: is followed by numbers without leading zeros, joined by points")
        }
        Primitive::Uri => (format::is_uri(text), &URI, "a URI has no whitespace: remove or escape it"),
        Primitive::Uuid => {
            (format::is_uuid(text), &UUID, "a uuid is written urn:uuid: and a UUID in lower case, 8-4-4-4-12 digits")
        }
    };
    (!is_sound).then_some((rule, advice))
}

#[cfg(test)]
mod tests {
    use crate::validate::testing::{findings, outcome};

    #[test]
    fn formats_are_judged_by_type() {
        let source = r#"{"resourceType":"Patient","id":"a b","meta":{"lastUpdated":"2020-01-01","versionId":"a b"},
            "birthDate":"2021-02-29","deceasedDateTime":"2020-01-01T10:00","multipleBirthInteger":1.5,
            "identifier":[{"system":"http://example.org/a b","period":{"start":"2020-1-1"}}],
            "photo":[{"contentType":"image/png","data":"A","size":-1}],"telecom":[{"rank":0}],"gender":" male"}"#;
        let expected = [
            "format-id Patient.id",
            "format-instant Patient.meta.lastUpdated",
            "format-id Patient.meta.versionId",
            "format-date Patient.birthDate",
            "format-dateTime Patient.deceased",
            "format-integer Patient.multipleBirth",
            "format-uri Patient.identifier[0].system",
            "format-dateTime Patient.identifier[0].period.start",
            "format-base64Binary Patient.photo[0].data",
            "format-unsignedInt Patient.photo[0].size",
            "format-positiveInt Patient.telecom[0].rank",
            "binding-required Patient.gender",
            "format-code Patient.gender",
        ];
        assert_eq!(findings(source), expected);
    }

    #[test]
    fn json_types_come_first() {
        let source = r#"{"resourceType":"Patient","active":"true","birthDate":2020,"multipleBirthInteger":"1"}"#;
        assert_eq!(
            findings(source),
            ["type-json Patient.active", "type-json Patient.birthDate", "type-json Patient.multipleBirth"]
        );
    }

    #[test]
    fn a_uuid_in_capitals_is_a_warning() {
        let source =
            r#"{"resourceType":"Patient","identifier":[{"system":"urn:uuid:68D043B5-9ECF-4559-A57A-396E0D452311"}]}"#;
        let outcome = outcome(source);
        assert!(outcome.valid());
        assert_eq!(outcome.findings[0].key, "uri-uuid");
    }

    #[test]
    fn an_oid_that_is_none_and_a_blank_text_are_warnings() {
        let patient = |system: &str, value: &str| {
            let source =
                format!(r#"{{"resourceType":"Patient","identifier":[{{"system":"{system}","value":"{value}"}}]}}"#);
            let outcome = outcome(&source);
            assert!(outcome.valid());
            findings(&source)
        };
        assert_eq!(patient("urn:oid:2.999.1", "1"), Vec::<String>::new());
        for system in ["urn:oid:9.2.3", "urn:oid:1.2.03", "urn:oid:1.2.3."] {
            assert_eq!(patient(system, "1"), ["uri-oid Patient.identifier[0].system"], "{system}");
        }
        for value in [" ", "\\n\\t"] {
            assert_eq!(patient("urn:oid:2.999.1", value), ["string-blank Patient.identifier[0].value"]);
        }
    }
}
