//! A value that a profile holds elements to, kept after its file is gone.

use crate::fhir::{Document, Kind, NodeId};
use std::sync::Arc;

/// A value as JSON has it; numbers as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// Members with names, in the order of the file.
    Object(Vec<(Arc<str>, Self)>),
    /// Items without names.
    Array(Vec<Self>),
    /// Text.
    String(Arc<str>),
    /// A number as written.
    Number(Arc<str>),
    /// A boolean.
    Boolean(bool),
    /// A gap in a list of primitives.
    Null,
}

impl Value {
    /// A copy of a node and all below it; documents are not deeper than their reader lets them be.
    pub fn of(document: &Document<'_>, node: NodeId) -> Self {
        let text = || document.text(node).unwrap_or_default().as_ref().into();
        match document.kind(node) {
            Kind::Object => {
                let member =
                    |child| (document.name(child).unwrap_or_default().as_ref().into(), Self::of(document, child));
                Self::Object(document.children(node).map(member).collect())
            }
            Kind::Array => Self::Array(document.children(node).map(|child| Self::of(document, child)).collect()),
            Kind::String => Self::String(text()),
            Kind::Number => Self::Number(text()),
            Kind::True => Self::Boolean(true),
            Kind::False => Self::Boolean(false),
            Kind::Null => Self::Null,
        }
    }

    /// An object's member.
    pub fn get(&self, name: &str) -> Option<&Self> {
        match self {
            Self::Object(members) => members.iter().find(|(known, _)| &**known == name).map(|(_, value)| value),
            _ => None,
        }
    }

    /// The text of a string.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }
}

impl std::fmt::Display for Value {
    /// As JSON on one line.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let listed = |f: &mut std::fmt::Formatter<'_>, place: usize| if place > 0 { f.write_str(",") } else { Ok(()) };
        match self {
            Self::Object(members) => {
                f.write_str("{")?;
                for (place, (name, value)) in members.iter().enumerate() {
                    listed(f, place)?;
                    write!(f, "{}:{value}", serde_json::Value::from(&**name))?;
                }
                f.write_str("}")
            }
            Self::Array(items) => {
                f.write_str("[")?;
                for (place, value) in items.iter().enumerate() {
                    listed(f, place)?;
                    write!(f, "{value}")?;
                }
                f.write_str("]")
            }
            Self::String(text) => write!(f, "{}", serde_json::Value::from(&**text)),
            Self::Number(text) => f.write_str(text),
            Self::Boolean(value) => write!(f, "{value}"),
            Self::Null => f.write_str("null"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fhir::json::{self, Limits};

    #[test]
    fn a_value_is_kept_as_it_is_written() {
        let text = r#"{"a":[1.10,null,true,{}],"b":"x\"y","c":{"d":false}}"#;
        let document = json::read(text.as_bytes(), &Limits::default()).unwrap();
        let value = Value::of(&document, document.root());
        assert_eq!(value.to_string(), text);
        assert_eq!(value.get("b").and_then(Value::as_str), Some("x\"y"));
        assert_eq!(value.get("c").and_then(|c| c.get("d")), Some(&Value::Boolean(false)));
    }
}
