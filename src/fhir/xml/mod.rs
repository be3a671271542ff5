//! FHIR's XML (<https://hl7.org/fhir/STU3/xml.html>) into the same tree as its JSON.
//!
//! The tree has the shape that the JSON form of the resource would have, so that no other room needs to know which it
//! was: repeating elements are arrays, `value` attributes are values, ids and extensions of primitives stand in their
//! twin. What XML can say wrongly beyond that is kept as [`Remark`]s.

mod references;
mod tokens;
mod tree;

pub(in crate::fhir) use references::{markup, unescape};

use super::{
    Document, NodeId, Schema,
    document::Lines,
    json::{Limits, ReadError, ReadErrorKind, decoded},
};
use std::sync::OnceLock;

/// Something in an XML document that its tree does not show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Remark {
    /// Where.
    pub node: NodeId,
    /// What.
    pub kind: RemarkKind,
}

/// What is remarkable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RemarkKind {
    /// The element belongs to another namespace than FHIR's, or than XHTML's.
    Namespace,
    /// An element stands after one that has to follow it, or apart from those of its name.
    Order,
    /// An attribute that the element does not have.
    Attribute,
    /// Text stands where only elements do.
    Text,
}

/// Reads a whole text.
///
/// # Errors
/// The first thing that makes it unreadable, with its place.
pub fn read<'a>(bytes: &'a [u8], limits: &Limits, schema: &dyn Schema) -> Result<Document<'a>, ReadError> {
    let (source, byte_order_mark) = decoded(bytes, limits)?;
    let fail = |(kind, offset): (ReadErrorKind, usize)| ReadError {
        kind,
        offset,
        position: Lines::new(source).position(source, offset),
    };
    let tokens = tokens::read(source, limits).map_err(fail)?;
    let tree = tree::build(source, &tokens, limits, schema).map_err(fail)?;
    Ok(Document {
        source,
        nodes: tree.nodes,
        byte_order_mark,
        is_xml: true,
        remarks: tree.remarks,
        lines: OnceLock::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fhir::{Kind, Position, json};

    const PATIENT: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<!-- a comment -->
<Patient xmlns="http://hl7.org/fhir">
  <id value="p"/>
  <text><status value="generated"/><div xmlns="http://www.w3.org/1999/xhtml"><p a='1'>x &amp; y</p></div></text>
  <contained><Organization><id value="o"/></Organization></contained>
  <extension url="http://example.org/e"><valueDecimal value="1.10"/></extension>
  <active value="true"/>
  <name><given value="a"/><given id="g"><extension url="http://example.org/f"><valueCode value="x"/></extension></given><given value="c&#10;&lt;d"/></name>
  <birthDate id="b" value="1970-01-01"/>
</Patient>
"#;

    const AS_JSON: &str = r#"{"resourceType":"Patient","id":"p","text":{"status":"generated",
        "div":"<div xmlns=\"http://www.w3.org/1999/xhtml\"><p a='1'>x &amp; y</p></div>"},
        "contained":[{"resourceType":"Organization","id":"o"}],
        "extension":[{"url":"http://example.org/e","valueDecimal":1.10}],"active":true,
        "name":[{"given":["a",null,"c\n<d"],"_given":[null,{"id":"g","extension":[{"url":"http://example.org/f","valueCode":"x"}]},null]}],
        "birthDate":"1970-01-01","_birthDate":{"id":"b"}}"#;

    fn xml(text: &str) -> Result<Document<'_>, ReadError> {
        read(text.as_bytes(), &Limits::default(), crate::stu3::release())
    }

    fn shape(document: &Document<'_>, node: NodeId) -> String {
        let name = document.name(node).map(|name| format!("{name}:")).unwrap_or_default();
        let inner: Vec<String> = document.children(node).map(|child| shape(document, child)).collect();
        match document.kind(node) {
            Kind::Object => format!("{name}{{{}}}", inner.join(",")),
            Kind::Array => format!("{name}[{}]", inner.join(",")),
            kind => format!("{name}{kind:?} {}", document.text(node).unwrap_or_default()),
        }
    }

    #[test]
    fn the_tree_is_that_of_the_json_form() {
        let (xml, json) = (xml(PATIENT).unwrap(), json::read(AS_JSON.as_bytes(), &Limits::default()).unwrap());
        assert_eq!(shape(&xml, xml.root()), shape(&json, json.root()));
        assert_eq!(xml.remarks(), []);
        let birth_date = xml.get(xml.root(), "birthDate").unwrap();
        assert_eq!(xml.place(birth_date), Position { line: 10, column: 4 });
        let name = xml.get(xml.root(), "name").unwrap();
        let given = xml.get(xml.children(name).next().unwrap(), "given").unwrap();
        assert_eq!(xml.place(xml.children(given).nth(2).unwrap()), Position { line: 9, column: 122 });
    }

    #[test]
    fn every_prefix_of_a_document_is_truncated() {
        for (end, _) in PATIENT.char_indices().skip(1) {
            if PATIENT[end..].trim().is_empty() {
                continue;
            }
            let error = xml(&PATIENT[..end]).unwrap_err();
            assert!(error.is_truncated(), "{:?} at {end}: {}", error.kind, &PATIENT[..end]);
        }
    }

    #[test]
    fn what_pulls_something_in_is_refused() {
        for (text, column) in [
            ("<!DOCTYPE Patient [<!ENTITY a \"b\">]><Patient xmlns='http://hl7.org/fhir'/>", 1),
            ("<?xml-stylesheet href='a'?><Patient/>", 1),
            ("<Patient><?php a ?></Patient>", 10),
            ("<Patient><id value='&a;'/></Patient>", 21),
            ("<Patient><id value='&#0;'/></Patient>", 21),
            ("<Patient></Person>", 10),
            ("<Patient a='1' a='2'/>", 16),
            ("<Patient a='<'/>", 13),
            ("<Patient a=1/>", 12),
            ("<Patient/><Patient/>", 11),
            ("<Patient/>text", 11),
            ("<Patient><!-- a -- b --></Patient>", 17),
            ("<f:Patient/>", 2),
            ("<1/>", 2),
        ] {
            let error = xml(text).unwrap_err();
            assert!(matches!(error.kind, ReadErrorKind::XmlSyntax(_)), "{text}: {:?}", error.kind);
            assert_eq!((error.position.line, error.position.column), (1, column), "{text}: {error}");
        }
        // what would stand twice in the JSON form
        for inner in [
            "<resourceType value='Person'/>",
            "<_id value='a'/>",
            "<name id='a'><id value='b'/></name>",
            "<active value='true'><id value='b'/></active>",
        ] {
            let text = format!("<Patient xmlns='http://hl7.org/fhir'>{inner}</Patient>");
            assert!(matches!(xml(&text).unwrap_err().kind, ReadErrorKind::XmlSyntax(_)), "{inner}");
        }
        let other = xml("<?xml version='1.0' encoding='ISO-8859-1'?><Patient/>").unwrap_err();
        assert_eq!(other.kind, ReadErrorKind::OtherEncoding);
        let deep = format!("<Patient xmlns='http://hl7.org/fhir'>{}", "<name>".repeat(100));
        assert!(matches!(xml(&deep).unwrap_err().kind, ReadErrorKind::TooDeep(_)));
    }

    #[test]
    fn what_the_tree_does_not_show_is_remarked() {
        let kinds = |text: &str| xml(text).unwrap().remarks().iter().map(|remark| remark.kind).collect::<Vec<_>>();
        let of = |inner: &str| format!("<Patient xmlns='http://hl7.org/fhir'>{inner}</Patient>");
        assert_eq!(kinds("<Patient/>"), [RemarkKind::Namespace]);
        assert_eq!(kinds("<f:Patient xmlns:f='http://hl7.org/fhir'><f:id value='a'/></f:Patient>"), []);
        assert_eq!(kinds(&of("<active value='true'/><id value='a'/>")), [RemarkKind::Order]);
        assert_eq!(
            kinds(&of("<name><text value='a'/></name><active value='true'/><name><text value='b'/></name>")),
            [RemarkKind::Order]
        );
        assert_eq!(kinds(&of("<active value='true' lang='nl'/>")), [RemarkKind::Attribute]);
        assert_eq!(kinds(&of("<active value='true' xml:lang='nl'/>")), [RemarkKind::Attribute]);
        assert_eq!(kinds(&of("<name xml:id='a'><text value='b'/></name>")), [RemarkKind::Attribute]);
        assert_eq!(kinds(&of("<name>Jan</name>")), [RemarkKind::Text]);
        assert_eq!(kinds(&of("<text><status value='generated'/><div>a</div></text>")), [RemarkKind::Namespace]);
    }

    #[test]
    fn what_is_not_known_is_kept() {
        let text = "<Patient xmlns='http://hl7.org/fhir'><nickname value='a'/><nickname value='b'/><pet><name value='c'/></pet><active value='yes'/><gender value='male'/><gender value='female'/></Patient>";
        let document = xml(text).unwrap();
        let expected = "{resourceType:String Patient,nickname:[String a,String b],pet:{name:String c},active:String yes,\
                        gender:[String male,String female]}";
        assert_eq!(shape(&document, document.root()), expected);
    }
}
