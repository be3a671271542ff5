//! What an identifier's system and value say of each other. Spec: <https://hl7.org/fhir/STU3/datatypes.html#Identifier>.

use crate::{
    fhir::{NodeId, primitive::has_scheme},
    validate::{
        context::Context,
        issue::{At, Findings, Rule},
    },
};

const PAGE: &str = "https://hl7.org/fhir/STU3/datatypes.html#Identifier";

/// The system of values that are URIs themselves.
const URIS: &str = "urn:ietf:rfc:3986";

static URI: Rule = Rule::error("identifier-uri", "value", PAGE);
static SYSTEM: Rule = Rule::warning("identifier-system", "value", PAGE);

/// The keys of this family.
pub(crate) static RULES: &[&Rule] = &[&URI, &SYSTEM];

/// An Identifier.
pub(crate) fn check(cx: &Context<'_, '_>, node: NodeId, out: &mut Findings<'_>) {
    let system = cx.string(node, "system");
    if let Some(place) =
        cx.document.get(node, "system").filter(|_| system.as_deref().is_some_and(|text| !has_scheme(text)))
    {
        let text = "a system is the absolute URI of a set of identifiers: write the whole URI";
        out.add(cx, &SYSTEM, At::below(place, ".system"), text);
    }
    let (Some(place), Some(value)) = (cx.document.get(node, "value"), cx.string(node, "value")) else { return };
    if system.as_deref() == Some(URIS) {
        if !has_scheme(&value) {
            let text = "a value of system urn:ietf:rfc:3986 is a whole URI: write it with its scheme \
                        (urn:oid: before an OID, urn:uuid: before a UUID), or name another system";
            out.add(cx, &URI, At::below(place, ".value"), text);
        }
    } else if ["urn:oid:", "urn:uuid:"].iter().any(|scheme| value.starts_with(scheme)) {
        let text = "a value that is a whole URI belongs to the system urn:ietf:rfc:3986: name that system";
        out.add(cx, &SYSTEM, At::below(place, ".value"), text);
    }
}

#[cfg(test)]
mod tests {
    use crate::validate::testing::{findings, outcome};

    fn patient(system: &str, value: &str) -> String {
        format!(r#"{{"resourceType":"Patient","identifier":[{{"system":"{system}","value":"{value}"}}]}}"#)
    }

    #[test]
    fn uris_and_their_system_go_together() {
        assert_eq!(findings(&patient("urn:ietf:rfc:3986", "urn:oid:1.2.3")), Vec::<String>::new());
        assert_eq!(findings(&patient("http://a.org", "1.2.3")), Vec::<String>::new());
        assert_eq!(findings(&patient("urn:ietf:rfc:3986", "1.2.3")), ["identifier-uri Patient.identifier[0].value"]);
        let other = patient("http://a.org", "urn:oid:1.2.3");
        assert_eq!(findings(&other), ["identifier-system Patient.identifier[0].value"]);
        assert!(outcome(&other).valid(), "a warning");
        assert_eq!(findings(&patient("bsn", "1")), ["identifier-system Patient.identifier[0].system"]);
    }
}
