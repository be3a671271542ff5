//! XHTML read piece by piece, as strictly as XML asks: tags balance, attributes are quoted, references are those of XML.
//! Spec: <https://www.w3.org/TR/xml/>, <https://hl7.org/fhir/STU3/narrative.html>.

use crate::fhir::scan::until;
use std::collections::HashSet;

/// A piece of a fragment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Piece<'t> {
    /// A start tag; its attributes are [`Reader::attributes`].
    Start(&'t str),
    /// Text between tags; it may hold references.
    Text(&'t str),
}

/// Why a fragment cannot be read on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// Not XML; the text says how.
    NotWellFormed(&'static str),
    /// `&nbsp;` and other names that HTML has and XML has not.
    HtmlEntity,
    /// A document type or a processing instruction: they may pull something in.
    Declaration,
}

/// Reads a fragment from its beginning to its end or its first fault.
#[derive(Debug)]
pub(super) struct Reader<'t> {
    rest: &'t str,
    open: Vec<&'t str>,
    attributes: Vec<(&'t str, &'t str)>,
    /// The names of the attributes, where they are many.
    names: HashSet<&'t str>,
    opened: usize,
    /// How many paragraphs are open, and whether one was when the last start tag came.
    paragraphs: usize,
    in_paragraph: bool,
    failed: bool,
}

/// Attributes that are compared with each other.
const FEW: usize = 8;

const PARAGRAPH: &str = "p";

/// Names that XML itself gives to characters.
const ENTITIES: [&str; 5] = ["amp", "lt", "gt", "quot", "apos"];

impl<'t> Reader<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        Self {
            rest: text.trim(),
            open: Vec::new(),
            attributes: Vec::new(),
            names: HashSet::new(),
            opened: 0,
            paragraphs: 0,
            in_paragraph: false,
            failed: false,
        }
    }

    /// Name and value of each attribute of the last start tag; references in values stand as written.
    pub(super) fn attributes(&self) -> &[(&'t str, &'t str)] {
        &self.attributes
    }

    /// The last start tag is that of the outermost element.
    pub(super) fn is_at_root(&self) -> bool {
        self.opened == 1
    }

    /// The last start tag stands in a paragraph, however deep.
    pub(super) fn is_in_paragraph(&self) -> bool {
        self.in_paragraph
    }

    fn piece(&mut self) -> Result<Option<Piece<'t>>, Fault> {
        loop {
            if self.open.is_empty() {
                // white space and comments may stand around the div
                self.rest = trimmed(self.rest);
                if self.rest.is_empty() {
                    let whole = self.opened > 0;
                    return if whole { Ok(None) } else { Err(Fault::NotWellFormed("there is no element")) };
                }
            }
            let Some(after) = self.rest.strip_prefix('<') else {
                return self.text().map(Some);
            };
            if let Some(comment) = after.strip_prefix("!--") {
                let end = comment.find("-->").ok_or(Fault::NotWellFormed("a comment has no end"))?;
                self.rest = &comment[end + 3..];
            } else if let Some(data) = after.strip_prefix("![CDATA[").filter(|_| !self.open.is_empty()) {
                let end = data.find("]]>").ok_or(Fault::NotWellFormed("a CDATA section has no end"))?;
                self.rest = &data[end + 3..];
                return Ok(Some(Piece::Text(&data[..end])));
            } else if after.starts_with(['!', '?']) {
                return Err(Fault::Declaration);
            } else if let Some(tag) = after.strip_prefix('/') {
                self.end_tag(tag)?;
            } else {
                return self.start_tag(after).map(Some);
            }
        }
    }

    fn text(&mut self) -> Result<Piece<'t>, Fault> {
        let bytes = self.rest.as_bytes();
        let stop = until(bytes, [b'<', b'&']);
        let has_references = bytes.get(stop) == Some(&b'&');
        let end = if has_references { stop + until(&bytes[stop..], [b'<']) } else { stop };
        let (text, rest) = self.rest.split_at(end);
        self.rest = rest;
        if self.open.is_empty() {
            return Err(Fault::NotWellFormed("text stands outside the div"));
        }
        if text.is_empty() {
            return Err(Fault::NotWellFormed("an element is not closed"));
        }
        if has_references {
            references(text)?;
        }
        Ok(Piece::Text(text))
    }

    fn end_tag(&mut self, tag: &'t str) -> Result<(), Fault> {
        let (name, rest) = name(tag)?;
        self.rest = trimmed(rest).strip_prefix('>').ok_or(Fault::NotWellFormed("an end tag is broken"))?;
        if self.open.pop() == Some(name) {
            self.paragraphs -= usize::from(name == PARAGRAPH);
            Ok(())
        } else {
            Err(Fault::NotWellFormed("an end tag closes no element, or another one than the last that was opened"))
        }
    }

    fn start_tag(&mut self, tag: &'t str) -> Result<Piece<'t>, Fault> {
        if self.open.is_empty() && self.opened > 0 {
            return Err(Fault::NotWellFormed("a second element stands beside the div"));
        }
        self.opened += 1;
        let (name, mut rest) = name(tag)?;
        self.attributes.clear();
        self.in_paragraph = self.paragraphs > 0;
        loop {
            let trimmed = trimmed(rest);
            if let Some(after) = trimmed.strip_prefix("/>") {
                self.rest = after;
                return Ok(Piece::Start(name));
            }
            if let Some(after) = trimmed.strip_prefix('>') {
                self.rest = after;
                self.open.push(name);
                self.paragraphs += usize::from(name == PARAGRAPH);
                return Ok(Piece::Start(name));
            }
            if trimmed.len() == rest.len() {
                return Err(Fault::NotWellFormed("a tag is broken"));
            }
            rest = self.attribute(trimmed)?;
        }
    }

    fn attribute(&mut self, text: &'t str) -> Result<&'t str, Fault> {
        let (name, rest) = name(text)?;
        let rest = trimmed(rest).strip_prefix('=').ok_or(Fault::NotWellFormed("an attribute has no value"))?;
        let rest = trimmed(rest);
        let quote = rest.bytes().next().filter(|first| matches!(first, b'"' | b'\''));
        let quote = quote.ok_or(Fault::NotWellFormed("the value of an attribute is not quoted"))?;
        let bytes = &rest.as_bytes()[1..];
        let stop = until(bytes, [quote, b'<', b'&']);
        let end = stop + until(&bytes[stop..], [quote]);
        if end == bytes.len() {
            return Err(Fault::NotWellFormed("the value of an attribute has no end"));
        }
        let (value, after) = (&rest[1..=end], &rest[end + 2..]);
        if stop != end {
            if value.contains('<') {
                return Err(Fault::NotWellFormed("the value of an attribute holds a bare <"));
            }
            references(value)?;
        }
        // few attributes are compared, many are hashed
        let repeated = if self.attributes.len() < FEW {
            self.attributes.iter().any(|(known, _)| *known == name)
        } else {
            if self.attributes.len() == FEW {
                self.names = self.attributes.iter().map(|(known, _)| *known).collect();
            }
            !self.names.insert(name)
        };
        if repeated {
            return Err(Fault::NotWellFormed("an element has the same attribute twice"));
        }
        self.attributes.push((name, value));
        Ok(after)
    }
}

impl<'t> Iterator for Reader<'t> {
    type Item = Result<Piece<'t>, Fault>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let piece = self.piece();
        self.failed = piece.is_err();
        piece.transpose()
    }
}

/// Without white space at its beginning, where there mostly is none.
fn trimmed(text: &str) -> &str {
    if text.starts_with(|first: char| first.is_ascii_graphic()) { text } else { text.trim_start() }
}

/// A name and what follows it.
fn name(text: &str) -> Result<(&str, &str), Fault> {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b':' | b'-' | b'_' | b'.');
    let mut length = text.bytes().position(|byte| !is_part(byte)).unwrap_or(text.len());
    if text.as_bytes().get(length).is_some_and(|byte| !byte.is_ascii()) {
        let behind = &text[length..];
        let more = behind.find(|c: char| !(c.is_alphanumeric() || matches!(c, ':' | '-' | '_' | '.')));
        length += more.unwrap_or(behind.len());
    }
    let (name, rest) = text.split_at(length);
    if name.starts_with(|first: char| first.is_alphabetic() || matches!(first, '_' | ':')) {
        Ok((name, rest))
    } else {
        Err(Fault::NotWellFormed("a bare < stands in the text (write &lt;), or a tag is broken"))
    }
}

/// Every `&` begins a reference that XML knows.
fn references(text: &str) -> Result<(), Fault> {
    for after in text.split('&').skip(1) {
        let name = after.split_once(';').map_or("", |(name, _)| name);
        if ENTITIES.contains(&name) || name.strip_prefix('#').and_then(character).is_some() {
            continue;
        }
        let named = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric());
        return Err(if named {
            Fault::HtmlEntity
        } else {
            Fault::NotWellFormed("a bare & stands in the text (write &amp;)")
        });
    }
    Ok(())
}

/// The character of a numeric reference: `160`, `xA0`.
fn character(number: &str) -> Option<char> {
    let code = match number.strip_prefix('x') {
        Some(digits) if digits.bytes().all(|byte| byte.is_ascii_hexdigit()) => u32::from_str_radix(digits, 16).ok()?,
        None if number.bytes().all(|byte| byte.is_ascii_digit()) => number.parse().ok()?,
        _ => return None,
    };
    char::from_u32(code).filter(|character| !character.is_control() || matches!(character, '\t' | '\n' | '\r'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(text: &str) -> Option<Fault> {
        Reader::new(text).find_map(Result::err)
    }

    #[test]
    fn pieces_come_in_order_with_their_attributes() {
        let mut reader = Reader::new(" <div a='1' b = \"2>\"><!-- <x --> c<br/>&#160;<![CDATA[<d>]]></div> ");
        assert_eq!(reader.next(), Some(Ok(Piece::Start("div"))));
        assert_eq!(reader.attributes(), [("a", "1"), ("b", "2>")]);
        let rest: Vec<_> = reader.map(Result::unwrap).collect();
        assert_eq!(rest, [Piece::Text(" c"), Piece::Start("br"), Piece::Text("&#160;"), Piece::Text("<d>")]);
    }

    #[test]
    fn what_is_no_xml_is_told() {
        for bad in [
            "",
            "a",
            "<div>",
            "<div></p>",
            "<div><b></div></b>",
            "<div/><div/>",
            "<div>a</div>b",
            "<div>a < b</div>",
            "<div>a & b</div>",
            "<div a>b</div>",
            "<div a=b>c</div>",
            "<div a='b>c</div>",
            "<div a='1' a='2'/>",
            "<div a='<'/>",
            "<div a='1'b='2'/>",
            "<div",
            "<div><!-- a</div>",
            "<div>&#0;</div>",
            "<div>&#xZ;</div>",
            "</div>",
        ] {
            assert!(matches!(fault(bad), Some(Fault::NotWellFormed(_))), "{bad}");
        }
        assert_eq!(fault("<div>&nbsp;</div>"), Some(Fault::HtmlEntity));
        assert_eq!(fault("<!DOCTYPE html><div/>"), Some(Fault::Declaration));
        assert_eq!(fault("<div><?a b?></div>"), Some(Fault::Declaration));
        for good in ["<div/>", "<div>&amp;&lt;&#xA0;</div>", "<!-- a --> <div>b</div> <!-- c -->"] {
            assert_eq!(fault(good), None, "{good}");
        }
    }
}
