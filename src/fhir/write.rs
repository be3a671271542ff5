//! A document as JSON: numbers and texts as they are written, nothing else but what stands in it.

use super::{Document, Kind, NodeId};
use std::io::{self, Write};

/// Writes the whole document.
///
/// # Errors
/// What the sink says.
pub fn json(document: &Document<'_>, out: &mut impl Write) -> io::Result<()> {
    // what is open, and where its next child is
    let mut open = vec![(document.root(), document.children(document.root()), true)];
    begin(document, document.root(), out)?;
    while let Some((node, children, is_first)) = open.last_mut() {
        let Some(child) = children.next() else {
            match document.kind(*node) {
                Kind::Object => out.write_all(b"}")?,
                Kind::Array => out.write_all(b"]")?,
                _ => {}
            }
            open.pop();
            continue;
        };
        if !std::mem::replace(is_first, false) {
            out.write_all(b",")?;
        }
        if let Some(name) = document.name(child) {
            string(&name, out)?;
            out.write_all(b":")?;
        }
        begin(document, child, out)?;
        if matches!(document.kind(child), Kind::Object | Kind::Array) {
            open.push((child, document.children(child), true));
        }
    }
    Ok(())
}

/// A value, or the beginning of what has parts.
fn begin(document: &Document<'_>, node: NodeId, out: &mut impl Write) -> io::Result<()> {
    match document.kind(node) {
        Kind::Object => out.write_all(b"{"),
        Kind::Array => out.write_all(b"["),
        Kind::Null => out.write_all(b"null"),
        Kind::String => string(&document.text(node).unwrap_or_default(), out),
        Kind::Number | Kind::True | Kind::False => out.write_all(document.text(node).unwrap_or_default().as_bytes()),
    }
}

fn string(text: &str, out: &mut impl Write) -> io::Result<()> {
    out.write_all(b"\"")?;
    let mut rest = text;
    while let Some(at) = rest.bytes().position(|byte| byte < 0x20 || matches!(byte, b'"' | b'\\')) {
        out.write_all(&rest.as_bytes()[..at])?;
        match rest.as_bytes()[at] {
            b'\n' => out.write_all(b"\\n")?,
            b'\r' => out.write_all(b"\\r")?,
            b'\t' => out.write_all(b"\\t")?,
            sign @ (b'"' | b'\\') => out.write_all(&[b'\\', sign])?,
            control => write!(out, "\\u{control:04x}")?,
        }
        rest = &rest[at + 1..];
    }
    out.write_all(rest.as_bytes())?;
    out.write_all(b"\"")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fhir::json::{self as reader, Limits};

    #[test]
    fn a_document_is_written_as_it_stands() {
        let text = r#"{"a":[1.10,-2e+5,null,true,{}],"b":"x\"\\\né\u0001","c":[],"d":{"e":[[{"f":false}]]}}"#;
        let document = reader::read(text.as_bytes(), &Limits::default()).unwrap();
        let mut out = Vec::new();
        json(&document, &mut out).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), text);
    }
}
