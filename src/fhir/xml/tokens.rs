//! XML 1.0 (<https://www.w3.org/TR/xml/>) as a flat list of elements with their places.
//!
//! Strict, without recursion, linear. What pulls anything in or grows on its own is refused: document types, entities
//! of one's own, processing instructions.

use super::references::referred;
use crate::fhir::json::{Limits, ReadErrorKind};
use std::collections::HashSet;

/// Why reading stopped, and at which byte.
pub(super) type Failure = (ReadErrorKind, usize);

/// Which names an element belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Namespace {
    Fhir,
    Xhtml,
    Other,
    /// No namespace is declared.
    None,
}

/// A part of the source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) start: u32,
    pub(super) end: u32,
}

impl Span {
    fn new(start: usize, end: usize) -> Self {
        Self { start: narrow(start), end: narrow(end) }
    }

    pub(super) fn of(self, source: &str) -> &str {
        &source[self.start as usize..self.end as usize]
    }
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Element {
    /// Without the prefix.
    pub(super) name: Span,
    pub(super) namespace: Namespace,
    /// From `<` to behind the last `>`.
    pub(super) whole: Span,
    /// Its attributes in the list of all.
    pub(super) attributes: (u32, u32),
    /// The number of the first element behind this one and all below it.
    pub(super) behind: u32,
    /// Text other than white space stands directly in it.
    pub(super) has_text: bool,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Attribute {
    pub(super) name: Span,
    pub(super) value: Span,
    /// There are references in it, or white space that counts as spaces.
    pub(super) escaped: bool,
}

/// A whole document.
#[derive(Debug, Default)]
pub(super) struct Tokens {
    pub(super) elements: Vec<Element>,
    pub(super) attributes: Vec<Attribute>,
}

const FHIR: &str = "http://hl7.org/fhir";
const XHTML: &str = "http://www.w3.org/1999/xhtml";

pub(super) fn read(source: &str, limits: &Limits) -> Result<Tokens, Failure> {
    let mut reader = Reader {
        source,
        bytes: source.as_bytes(),
        at: 0,
        limits,
        open: Vec::new(),
        scopes: Vec::new(),
        tokens: Tokens::default(),
    };
    reader.document()?;
    Ok(reader.tokens)
}

struct Reader<'a, 'l> {
    source: &'a str,
    bytes: &'a [u8],
    at: usize,
    limits: &'l Limits,
    /// Elements that are open, outermost first, each with its whole name.
    open: Vec<(u32, Span)>,
    /// Declared namespaces: depth, prefix (empty for the default), namespace.
    scopes: Vec<(usize, &'a str, Namespace)>,
    tokens: Tokens,
}

const fn syntax(what: &'static str) -> ReadErrorKind {
    ReadErrorKind::XmlSyntax(what)
}

impl Reader<'_, '_> {
    fn document(&mut self) -> Result<(), Failure> {
        self.declaration()?;
        loop {
            self.text()?;
            let Some(next) = self.bytes.get(self.at + 1).copied() else {
                return match (self.at < self.bytes.len(), self.tokens.elements.is_empty(), self.open.is_empty()) {
                    (false, true, _) => Err((ReadErrorKind::Empty, self.at)),
                    (false, false, true) => Ok(()),
                    _ => Err((ReadErrorKind::Truncated, self.bytes.len())),
                };
            };
            match next {
                b'/' => self.close()?,
                b'!' => self.declared()?,
                b'?' => return Err((syntax("a processing instruction stands here; remove it"), self.at)),
                _ => self.element()?,
            }
        }
    }

    /// `<?xml version="1.0" encoding="UTF-8"?>`
    fn declaration(&mut self) -> Result<(), Failure> {
        if !self.source.starts_with("<?xml") {
            let cut = "<?xml".starts_with(self.source) && !self.source.is_empty();
            return if cut { Err((ReadErrorKind::Truncated, self.bytes.len())) } else { Ok(()) };
        }
        let Some(end) = self.source.find("?>") else {
            return Err((ReadErrorKind::Truncated, self.bytes.len()));
        };
        let text = &self.source[5..end];
        if !text.starts_with([' ', '\t', '\r', '\n']) {
            return Err((syntax("a processing instruction stands here; remove it"), 0));
        }
        if let Some(place) = text.find("encoding") {
            let named = text[place + "encoding".len()..].trim_start_matches([' ', '\t', '\r', '\n', '=', '"', '\'']);
            let named = named.split(['"', '\'']).next().unwrap_or_default();
            if !matches!(named.to_ascii_lowercase().as_str(), "utf-8" | "utf8" | "us-ascii") {
                return Err((ReadErrorKind::OtherEncoding, 5 + place));
            }
        }
        self.at = end + 2;
        Ok(())
    }

    /// Text up to the next tag.
    fn text(&mut self) -> Result<(), Failure> {
        let start = self.at;
        let end = memchr::memchr(b'<', &self.bytes[start..]).map_or(self.bytes.len(), |at| start + at);
        let text = &self.source[start..end];
        if !text.bytes().all(is_space) {
            self.characters(start, end)?;
            match self.open.last() {
                Some((element, _)) => self.tokens.elements[*element as usize].has_text = true,
                None => {
                    let at = start + text.bytes().position(|byte| !is_space(byte)).unwrap_or(0);
                    return Err((syntax("text stands outside the root element; remove it"), at));
                }
            }
        }
        self.at = end;
        Ok(())
    }

    /// Characters that XML allows, and references to such; says whether there are any references.
    fn characters(&self, start: usize, end: usize) -> Result<bool, Failure> {
        let text = &self.bytes[start..end];
        if let Some(at) = text.iter().position(|byte| *byte < 0x20 && !is_space(*byte)) {
            return Err((syntax("a control character stands here; remove it"), start + at));
        }
        let mut referring = false;
        for at in memchr::memchr_iter(b'&', text) {
            referring = true;
            self.reference(start + at, end)?;
        }
        Ok(referring)
    }

    fn reference(&self, at: usize, end: usize) -> Result<(), Failure> {
        let rest = &self.source[at + 1..end];
        let Some(length) = rest.find(';').filter(|length| *length <= 12) else {
            let cut = end == self.bytes.len() && rest.len() <= 12;
            let kind = if cut {
                ReadErrorKind::Truncated
            } else {
                syntax("& begins a reference; write &amp; for the sign itself")
            };
            return Err((kind, if cut { end } else { at }));
        };
        if referred(&rest[..length]).is_some() {
            return Ok(());
        }
        Err((syntax("this entity is not defined; only amp, lt, gt, quot, apos and numbers are"), at))
    }

    /// Comments and CDATA; a document type is refused.
    fn declared(&mut self) -> Result<(), Failure> {
        let rest = &self.source[self.at..];
        if let Some(comment) = rest.strip_prefix("<!--") {
            let Some(end) = comment.find("--") else { return Err((ReadErrorKind::Truncated, self.bytes.len())) };
            return match comment.as_bytes().get(end + 2) {
                Some(b'>') => {
                    self.at += 4 + end + 3;
                    Ok(())
                }
                Some(_) => Err((syntax("-- stands inside a comment; remove it"), self.at + 4 + end)),
                None => Err((ReadErrorKind::Truncated, self.bytes.len())),
            };
        }
        if let Some(data) = rest.strip_prefix("<![CDATA[") {
            let Some((element, _)) = self.open.last() else {
                return Err((syntax("text stands outside the root element; remove it"), self.at));
            };
            let Some(end) = data.find("]]>") else { return Err((ReadErrorKind::Truncated, self.bytes.len())) };
            let is_text = !data[..end].bytes().all(is_space);
            self.tokens.elements[*element as usize].has_text |= is_text;
            self.at += 9 + end + 3;
            return Ok(());
        }
        if ["<!--", "<![CDATA["].into_iter().any(|whole| whole.starts_with(rest)) {
            return Err((ReadErrorKind::Truncated, self.bytes.len()));
        }
        if "<!DOCTYPE".starts_with(rest) {
            return Err((ReadErrorKind::Truncated, self.bytes.len()));
        }
        Err((
            syntax("a document type is declared here; FHIR has none, and what it defines is never read: remove it"),
            self.at,
        ))
    }

    fn element(&mut self) -> Result<(), Failure> {
        let start = self.at;
        if self.open.is_empty() && !self.tokens.elements.is_empty() {
            return Err((syntax("there is more after the end of the resource"), start));
        }
        self.at += 1;
        let whole_name = self.name()?;
        let number = narrow(self.tokens.elements.len());
        if number >= self.limits.max_nodes {
            return Err((ReadErrorKind::TooManyNodes(self.limits.max_nodes), start));
        }
        if self.open.len() >= self.limits.max_depth as usize {
            return Err((ReadErrorKind::TooDeep(self.limits.max_depth), start));
        }
        let first = narrow(self.tokens.attributes.len());
        let is_closed = self.attributes()?;
        let last = narrow(self.tokens.attributes.len());
        let depth = self.open.len();
        self.declare(first, depth);
        let text = whole_name.of(self.source);
        let (prefix, local) = text.split_once(':').unwrap_or(("", text));
        let namespace = self.scopes.iter().rev().find(|scope| scope.1 == prefix).map(|scope| scope.2);
        let namespace = match namespace {
            Some(namespace) => namespace,
            None if prefix.is_empty() => Namespace::None,
            None => return Err((syntax("the namespace prefix of this element is not declared"), start + 1)),
        };
        let name = Span { start: whole_name.end - narrow(local.len()), end: whole_name.end };
        self.tokens.elements.push(Element {
            name,
            namespace,
            whole: Span::new(start, self.at),
            attributes: (first, last),
            behind: number + 1,
            has_text: false,
        });
        if is_closed {
            self.leave(depth);
        } else {
            self.open.push((number, whole_name));
        }
        Ok(())
    }

    /// Namespaces that the attributes from `first` on declare.
    fn declare(&mut self, first: u32, depth: usize) {
        for attribute in &self.tokens.attributes[first as usize..] {
            let name = attribute.name.of(self.source);
            let prefix = match name.strip_prefix("xmlns") {
                Some("") => "",
                Some(rest) if rest.starts_with(':') => &rest[1..],
                _ => continue,
            };
            let namespace = match attribute.value.of(self.source) {
                FHIR => Namespace::Fhir,
                XHTML => Namespace::Xhtml,
                "" => Namespace::None,
                _ => Namespace::Other,
            };
            self.scopes.push((depth, prefix, namespace));
        }
    }

    fn leave(&mut self, depth: usize) {
        while self.scopes.last().is_some_and(|scope| scope.0 >= depth) {
            self.scopes.pop();
        }
    }

    /// Up to the end of the tag; whether that closes the element.
    fn attributes(&mut self) -> Result<bool, Failure> {
        let first = self.tokens.attributes.len();
        let mut names = HashSet::new();
        loop {
            let spaced = self.space();
            match self.bytes.get(self.at) {
                None => return Err((ReadErrorKind::Truncated, self.at)),
                Some(b'>') => {
                    self.at += 1;
                    return Ok(false);
                }
                Some(b'/') => {
                    return match self.bytes.get(self.at + 1) {
                        Some(b'>') => {
                            self.at += 2;
                            Ok(true)
                        }
                        None => Err((ReadErrorKind::Truncated, self.bytes.len())),
                        Some(_) => Err((syntax("> is missing after /"), self.at)),
                    };
                }
                Some(_) if !spaced => return Err((syntax("white space is missing before this attribute"), self.at)),
                Some(_) => {}
            }
            let attribute = self.attribute()?;
            let name = attribute.name.of(self.source);
            // few attributes are compared, many are hashed
            let earlier = &self.tokens.attributes[first..];
            let repeated = if earlier.len() < 8 {
                earlier.iter().any(|other| other.name.of(self.source) == name)
            } else {
                if names.is_empty() {
                    names.extend(earlier.iter().map(|other| other.name.of(self.source)));
                }
                !names.insert(name)
            };
            if repeated {
                return Err((
                    syntax("this attribute stands twice in one element; remove one"),
                    attribute.name.start as usize,
                ));
            }
            self.tokens.attributes.push(attribute);
        }
    }

    fn attribute(&mut self) -> Result<Attribute, Failure> {
        let name = self.name()?;
        self.space();
        self.need(b'=', "= is missing after the attribute's name")?;
        self.space();
        let quote = match self.bytes.get(self.at) {
            Some(quote @ (b'"' | b'\'')) => *quote,
            None => return Err((ReadErrorKind::Truncated, self.at)),
            Some(_) => return Err((syntax("an attribute's value stands in quotes"), self.at)),
        };
        let start = self.at + 1;
        let Some(length) = memchr::memchr(quote, &self.bytes[start..]) else {
            self.characters(start, self.bytes.len())?;
            return Err((ReadErrorKind::Truncated, self.bytes.len()));
        };
        let end = start + length;
        let text = &self.bytes[start..end];
        if let Some(at) = memchr::memchr(b'<', text) {
            return Err((syntax("< stands in an attribute's value; write &lt;"), start + at));
        }
        let referring = self.characters(start, end)?;
        let escaped = referring || text.iter().any(|byte| matches!(byte, b'\t' | b'\n' | b'\r'));
        self.at = end + 1;
        Ok(Attribute { name, value: Span::new(start, end), escaped })
    }

    fn close(&mut self) -> Result<(), Failure> {
        let start = self.at;
        self.at += 2;
        let name = self.name()?;
        self.space();
        self.need(b'>', "> is missing at the end of the tag")?;
        let Some((number, opened)) = self.open.pop() else {
            return Err((syntax("this end tag has no beginning"), start));
        };
        if opened.of(self.source) != name.of(self.source) {
            return Err((syntax("this end tag is not that of the element that is open"), start));
        }
        let behind = narrow(self.tokens.elements.len());
        let element = &mut self.tokens.elements[number as usize];
        element.behind = behind;
        element.whole.end = narrow(self.at);
        self.leave(self.open.len());
        Ok(())
    }

    fn need(&mut self, byte: u8, what: &'static str) -> Result<(), Failure> {
        match self.bytes.get(self.at) {
            Some(found) if *found == byte => {
                self.at += 1;
                Ok(())
            }
            None => Err((ReadErrorKind::Truncated, self.at)),
            Some(_) => Err((syntax(what), self.at)),
        }
    }

    fn space(&mut self) -> bool {
        let start = self.at;
        while self.bytes.get(self.at).copied().is_some_and(is_space) {
            self.at += 1;
        }
        self.at > start
    }

    /// Letters, digits, `_`, `-`, `.` and at most one colon; any character beyond ASCII counts as a letter.
    fn name(&mut self) -> Result<Span, Failure> {
        let start = self.at;
        let is_part =
            |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b':') || byte >= 0x80;
        while self.bytes.get(self.at).copied().is_some_and(is_part) {
            self.at += 1;
        }
        let name = &self.bytes[start..self.at];
        let sound = name.first().is_some_and(|byte| byte.is_ascii_alphabetic() || *byte == b'_' || *byte >= 0x80)
            && name.iter().filter(|byte| **byte == b':').count() <= 1
            && !name.ends_with(b":");
        if self.at == self.bytes.len() {
            return Err((ReadErrorKind::Truncated, self.at));
        }
        if sound { Ok(Span::new(start, self.at)) } else { Err((syntax("a name is missing here"), start)) }
    }
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

fn narrow(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
