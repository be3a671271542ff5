//! FHIRPath (<http://hl7.org/fhirpath/>) over the tree: parsed once, evaluated many times.
//!
//! What an expression that finds values needs is here: paths, indexers, `|`, `=`, `!=`, `and`, `or`, literals
//! and the functions that select. Of choices `value` finds `valueQuantity`; others are written out (`effectiveDateTime`). Any other function is refused when the expression is parsed, by name, so
//! that nothing is ever half understood.

mod evaluate;
mod lexer;
mod parser;

use super::{Document, Kind};
use evaluate::{Cursor, Item};
use parser::Node;

/// An expression, parsed.
#[derive(Clone, Debug)]
pub struct Expression {
    root: Node,
}

/// Why an expression cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PathError {
    /// It is no FHIRPath.
    #[error("column {column}: {what}")]
    Syntax {
        /// 1-based, in characters.
        column: usize,
        /// What is wrong.
        what: String,
    },
    /// It has no single meaning for these data.
    #[error("{0}")]
    Evaluation(&'static str),
    /// It takes more steps than any expression needs.
    #[error("the expression takes too many steps on this resource")]
    Budget,
}

impl Expression {
    /// Parses an expression.
    ///
    /// # Errors
    /// It is no FHIRPath, or it uses what is not known here, with the column.
    pub fn parse(text: &str) -> Result<Self, PathError> {
        Ok(Self { root: parser::parse(&lexer::tokens(text)?)? })
    }

    /// Its values on the document's root, as text: strings as they are, numbers as written, `true` or `false`.
    ///
    /// # Errors
    /// It has no single meaning here, takes too many steps, or finds something that is not a single value.
    pub fn texts(&self, document: &Document<'_>) -> Result<Vec<String>, PathError> {
        let mut cursor = Cursor::new(document);
        let items = cursor.evaluate(&self.root, &[Item::Node(document.root())])?;
        let text = |item| match item {
            Item::Text(text) => Ok(text.into_owned()),
            Item::Boolean(value) => Ok(value.to_string()),
            Item::Node(node) => match document.kind(node) {
                Kind::Object | Kind::Array | Kind::Null => {
                    Err(PathError::Evaluation("the expression finds an element with parts, not a value"))
                }
                _ => document.text(node).map(Into::into).ok_or(PathError::Evaluation("a value has no text")),
            },
        };
        items.into_iter().map(text).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fhir::json;

    const BUNDLE: &str = r#"{"resourceType":"Bundle","identifier":{"system":"urn:s","value":"b-1"},"entry":[
        {"resource":{"resourceType":"Patient","active":true,"identifier":[
            {"system":"urn:a","value":"A1"},{"system":"urn:b","value":"B1"}],
            "_birthDate":{"extension":[{"url":"urn:e","valueCode":"masked"}]}}},
        {"resource":{"resourceType":"Observation","status":"final","valueQuantity":{"value":1.10,"unit":"kg"}}}]}"#;

    fn texts(expression: &str) -> Result<Vec<String>, PathError> {
        let document = json::read(BUNDLE.as_bytes(), &json::Limits::default()).unwrap();
        Expression::parse(expression)?.texts(&document)
    }

    #[test]
    fn paths_find_values() {
        for (expression, expected) in [
            ("Bundle.identifier.value", &["b-1"][..]),
            ("identifier.value", &["b-1"]),
            ("Patient.identifier", &[]),
            ("Bundle.entry.resource.ofType(Patient).identifier.where(system = 'urn:b').value", &["B1"]),
            ("Bundle.entry[0].resource.identifier[1].value", &["B1"]),
            ("Bundle.entry.resource.identifier.value", &["A1", "B1"]),
            ("Bundle.entry.resource.identifier.first().value", &["A1"]),
            ("Bundle.entry.resource.identifier.last().value | Bundle.identifier.value", &["B1", "b-1"]),
            ("Bundle.entry.resource.value.value", &["1.10"]),
            ("Bundle.entry.resource.value.as(Quantity).unit", &["kg"]),
            ("Bundle.entry.resource.where($this is Observation).status", &["final"]),
            ("Bundle.entry.resource.birthDate.extension('urn:e').value", &["masked"]),
            ("Bundle.entry.resource.where(identifier.exists() and active = true).identifier[0].system", &["urn:a"]),
            ("Bundle.entry.resource.where(status.empty() or status != 'final').active", &["true"]),
            ("(Bundle.nothing | 'x')", &["x"]),
            ("'a\\'b'", &["a'b"]),
            ("Bundle.entry.exists()", &["true"]),
            ("Bundle.entry.resource.identifier.where(value = 'A1').exists().not()", &["false"]),
            ("Bundle.entry.count()", &["2"]),
            ("Bundle.`identifier`.value", &["b-1"]),
        ] {
            assert_eq!(texts(expression).unwrap(), expected, "{expression}");
        }
    }

    #[test]
    fn what_is_not_understood_is_refused_with_its_column() {
        for (expression, column) in [
            ("Bundle.entry.matches('x')", 14),
            ("Bundle..entry", 8),
            ("Bundle.entry[", 14),
            ("'open", 1),
            ("a b", 3),
            ("", 1),
            ("a.where()", 3),
        ] {
            match texts(expression) {
                Err(PathError::Syntax { column: found, .. }) => assert_eq!(found, column, "{expression}"),
                other => panic!("{expression}: {other:?}"),
            }
        }
        assert!(matches!(texts("Bundle.entry"), Err(PathError::Evaluation(_))), "an entry is no value");
    }

    #[test]
    fn deep_expressions_and_many_steps_end() {
        assert!(texts(&format!("{}'x'{}", "(".repeat(5_000), ")".repeat(5_000))).is_err());
        let many: String = (0..200_000).map(|number| format!("{{\"value\":\"{number}\"}},")).collect();
        let bundle = format!("{{\"resourceType\":\"Bundle\",\"entry\":[{}{{}}]}}", many);
        let document = json::read(bundle.as_bytes(), &json::Limits::default()).unwrap();
        let nested = Expression::parse("Bundle.entry.where(%resource.entry.value.first() = value)").unwrap();
        assert_eq!(nested.texts(&document), Err(PathError::Budget));
    }
}
