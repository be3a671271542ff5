//! The tree that every format is read into: flat, borrowed from the source, with a place for every node.

use super::xml::{self, Remark};
use std::{borrow::Cow, ops::Range, sync::OnceLock};

/// A node's number; nodes are numbered in the order of the source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub(super) u32);

/// What a node is, in JSON's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Members with names.
    Object,
    /// Items without names.
    Array,
    /// Text.
    String,
    /// A number as written.
    Number,
    /// `true`
    True,
    /// `false`
    False,
    /// `null`
    Null,
}

/// A place in the source as people count: from 1, columns in Unicode scalars.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// From 1.
    pub line: u32,
    /// From 1, in Unicode scalars.
    pub column: u32,
}

/// One node: 28 bytes, no text of its own.
#[derive(Clone, Copy, Debug)]
pub(super) struct Node {
    /// The member name without its quotes; `name_start` is 0 and `name_length` 0 where there is none.
    pub(super) name_start: u32,
    pub(super) name_length: u32,
    /// The value: a string without its quotes, anything else whole.
    pub(super) start: u32,
    pub(super) end: u32,
    /// The number of the first node behind this one and all below it.
    pub(super) behind: u32,
    pub(super) parent: u32,
    pub(super) kind: Kind,
    pub(super) marks: u16,
}

/// [`Node::marks`]: it has a name.
pub(super) const NAMED: u16 = 1;
/// The name has escapes.
pub(super) const NAME_ESCAPED: u16 = 2;
/// The text has escapes.
pub(super) const TEXT_ESCAPED: u16 = 4;
/// In XML: it has no name, but a place of its own where its element is named.
pub(super) const PLACED: u16 = 8;
/// In XML: its name is `_` and the element's.
pub(super) const TWIN_NAME: u16 = 16;
/// In XML: it is the `resourceType` that the element's name tells.
pub(super) const RESOURCE_TYPE: u16 = 32;
/// In XML: the text has references, or white space that counts as spaces.
pub(super) const XML_ESCAPED: u16 = 64;
/// In XML: the text is markup as it is written.
pub(super) const RAW_XML: u16 = 128;

/// Names that are not simply those in the source.
const OTHER_NAME: u16 = NAME_ESCAPED | TWIN_NAME | RESOURCE_TYPE;
/// Texts that are not simply those in the source.
const OTHER_TEXT: u16 = TEXT_ESCAPED | XML_ESCAPED | RAW_XML;

/// A whole resource as a tree.
#[derive(Debug)]
pub struct Document<'a> {
    pub(super) source: &'a str,
    pub(super) nodes: Vec<Node>,
    pub(super) byte_order_mark: bool,
    pub(super) is_xml: bool,
    pub(super) remarks: Vec<Remark>,
    pub(super) lines: OnceLock<Lines>,
}

impl<'a> Document<'a> {
    /// The outermost node.
    pub const fn root(&self) -> NodeId {
        NodeId(0)
    }

    /// The text that was read, without a byte order mark.
    pub const fn source(&self) -> &'a str {
        self.source
    }

    /// Whether the source began with a byte order mark.
    pub const fn has_byte_order_mark(&self) -> bool {
        self.byte_order_mark
    }

    /// Whether it was read from XML.
    pub const fn is_xml(&self) -> bool {
        self.is_xml
    }

    /// What its XML says beyond the tree, in the order of nodes.
    pub fn remarks(&self) -> &[Remark] {
        &self.remarks
    }

    /// How many nodes there are.
    pub const fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Never: a document has a root.
    pub const fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.0 as usize]
    }

    /// What the node is.
    pub fn kind(&self, id: NodeId) -> Kind {
        self.node(id).kind
    }

    /// The object or array that holds the node.
    pub fn parent(&self, id: NodeId) -> Option<NodeId> {
        (id.0 != 0).then(|| NodeId(self.node(id).parent))
    }

    /// Members of an object or items of an array, in the order of the source.
    pub fn children(&self, id: NodeId) -> Children<'_> {
        Children { nodes: &self.nodes, next: id.0 + 1, behind: self.node(id).behind }
    }

    /// The node and all below it, in the order of the source.
    pub fn subtree(&self, id: NodeId) -> impl Iterator<Item = NodeId> + use<> {
        (id.0..self.node(id).behind).map(NodeId)
    }

    /// The member's name; `None` for the root and for items of arrays.
    pub fn name(&self, id: NodeId) -> Option<Cow<'a, str>> {
        let node = self.node(id);
        let raw = self.raw_name(node)?;
        Some(if node.marks & OTHER_NAME == 0 { Cow::Borrowed(raw) } else { other_name(node.marks, raw) })
    }

    fn raw_name(&self, node: &Node) -> Option<&'a str> {
        let start = node.name_start as usize;
        (node.marks & NAMED != 0).then(|| &self.source[start..start + node.name_length as usize])
    }

    /// Whether the member has this name.
    pub fn is_named(&self, id: NodeId, name: &str) -> bool {
        let node = self.node(id);
        if node.marks & (NAMED | OTHER_NAME) == NAMED {
            // most are of another length, and most of the others begin otherwise
            let start = node.name_start as usize;
            return node.name_length as usize == name.len()
                && self.source.as_bytes()[start..start + name.len()] == *name.as_bytes();
        }
        match self.raw_name(node) {
            Some(raw) if node.marks & TWIN_NAME != 0 => name.strip_prefix('_') == Some(raw),
            Some(raw) => other_name(node.marks, raw) == name,
            None => false,
        }
    }

    /// An object's member.
    pub fn get(&self, object: NodeId, name: &str) -> Option<NodeId> {
        self.children(object).find(|child| self.is_named(*child, name))
    }

    /// The text of a string, unescaped; a number or literal as written; `None` for objects and arrays.
    pub fn text(&self, id: NodeId) -> Option<Cow<'a, str>> {
        let node = self.node(id);
        match node.kind {
            Kind::Object | Kind::Array => None,
            Kind::Null => Some(Cow::Borrowed("null")),
            Kind::String if node.marks & OTHER_TEXT != 0 => Some(other_text(node.marks, self.slice(node))),
            _ => Some(Cow::Borrowed(self.slice(node))),
        }
    }

    /// A string of JSON without escapes, in which the reader lets no control character stand.
    pub(crate) fn is_plain(&self, id: NodeId) -> bool {
        let node = self.node(id);
        !self.is_xml && node.kind == Kind::String && node.marks & OTHER_TEXT == 0
    }

    /// The text of a string, unescaped; `None` for anything else.
    pub fn string(&self, id: NodeId) -> Option<Cow<'a, str>> {
        if self.kind(id) == Kind::String { self.text(id) } else { None }
    }

    fn slice(&self, node: &Node) -> &'a str {
        &self.source[node.start as usize..node.end as usize]
    }

    /// Bytes of the source from the first character of the name (without its quote; of the value where
    /// there is no name) to the end of the value.
    pub fn span(&self, id: NodeId) -> Range<usize> {
        let node = self.node(id);
        let start = if node.marks & (NAMED | PLACED) == 0 { node.start } else { node.name_start };
        start as usize..node.end.max(start) as usize
    }

    /// The place of a byte of the source.
    pub fn position(&self, offset: usize) -> Position {
        self.lines.get_or_init(|| Lines::new(self.source)).position(self.source, offset)
    }

    /// Finds the places of many nodes, which come in the order of the source.
    pub fn places(&self) -> Places<'_> {
        Places { document: self, offset: 0, position: BEGIN }
    }

    /// The place of a node: of the first character of its name, or of its value.
    pub fn place(&self, id: NodeId) -> Position {
        self.position(self.start(id))
    }

    /// The byte of a node's place.
    pub fn start(&self, id: NodeId) -> usize {
        let node = self.node(id);
        // A name's place is that of its quote's neighbour, the first character of the name itself.
        let start = if node.marks & (NAMED | PLACED) != 0 {
            node.name_start
        } else if node.kind == Kind::String {
            node.start.saturating_sub(1)
        } else {
            node.start
        };
        start as usize
    }
}

/// See [`Document::children`].
#[derive(Clone, Debug)]
pub struct Children<'d> {
    nodes: &'d [Node],
    next: u32,
    behind: u32,
}

impl Iterator for Children<'_> {
    type Item = NodeId;

    fn next(&mut self) -> Option<NodeId> {
        if self.next >= self.behind {
            return None;
        }
        let id = NodeId(self.next);
        self.next = self.nodes[self.next as usize].behind;
        Some(id)
    }
}

const BEGIN: Position = Position { line: 1, column: 1 };

/// See [`Document::places`].
#[derive(Debug)]
pub struct Places<'d> {
    document: &'d Document<'d>,
    /// How far it has come.
    offset: usize,
    position: Position,
}

impl Places<'_> {
    /// As [`Document::place`]. It goes on from the last one, and begins again where a node stands before that.
    pub fn place(&mut self, id: NodeId) -> Position {
        let (source, to) = (self.document.source, self.document.start(id).min(self.document.source.len()));
        if to < self.offset {
            (self.offset, self.position) = (0, BEGIN);
        }
        let between = &source.as_bytes()[self.offset..to];
        match memchr::memrchr(b'\n', between) {
            Some(end) => {
                self.position.line += count_lines(between);
                self.position.column = 1 + count_characters(&between[end + 1..]);
            }
            None => self.position.column += count_characters(between),
        }
        self.offset = to;
        self.position
    }
}

/// What stands before every stretch of the source, so that each look-up takes the same time in a file of one line and in a
/// file of many.
#[derive(Debug)]
pub(super) struct Lines {
    stretches: Vec<Before>,
    /// Every character is one byte.
    is_ascii: bool,
}

/// What stands before a stretch.
#[derive(Clone, Copy, Debug, Default)]
struct Before {
    /// Ends of lines.
    lines: u32,
    /// Where the line begins that the stretch begins in.
    line: u32,
    /// Characters; not counted where every one is one byte.
    characters: u32,
}

const STRETCH: usize = 1024;

impl Lines {
    pub(super) fn new(source: &str) -> Self {
        let is_ascii = source.is_ascii();
        let mut stretches = Vec::with_capacity(source.len() / STRETCH + 1);
        let mut before = Before::default();
        for (number, stretch) in source.as_bytes().chunks(STRETCH).enumerate() {
            stretches.push(before);
            before.lines += count_lines(stretch);
            if let Some(end) = memchr::memrchr(b'\n', stretch) {
                before.line = narrow(number * STRETCH + end + 1);
            }
            if !is_ascii {
                before.characters += count_characters(stretch);
            }
        }
        stretches.push(before);
        Self { stretches, is_ascii }
    }

    pub(super) fn position(&self, source: &str, offset: usize) -> Position {
        let offset = offset.min(source.len());
        let before = self.stretches[offset / STRETCH];
        let stretch = &source.as_bytes()[offset / STRETCH * STRETCH..offset];
        let start =
            memchr::memrchr(b'\n', stretch).map_or(before.line as usize, |end| offset - stretch.len() + end + 1);
        let column = self.characters_before(source, offset) - self.characters_before(source, start) + 1;
        Position { line: before.lines + count_lines(stretch) + 1, column }
    }

    fn characters_before(&self, source: &str, offset: usize) -> u32 {
        if self.is_ascii {
            return narrow(offset);
        }
        let stretch = offset / STRETCH;
        self.stretches[stretch].characters + count_characters(&source.as_bytes()[stretch * STRETCH..offset])
    }
}

fn count_lines(bytes: &[u8]) -> u32 {
    narrow(memchr::memchr_iter(b'\n', bytes).count())
}

/// Characters whose first byte is among these: all bytes but those that continue one.
fn count_characters(bytes: &[u8]) -> u32 {
    narrow(bytes.iter().filter(|byte| **byte & 0xc0 != 0x80).count())
}

fn narrow(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

#[cold]
fn other_name(marks: u16, raw: &str) -> Cow<'_, str> {
    match marks {
        marks if marks & RESOURCE_TYPE != 0 => Cow::Borrowed("resourceType"),
        marks if marks & TWIN_NAME != 0 => Cow::Owned(format!("_{raw}")),
        _ => Cow::Owned(unescape(raw)),
    }
}

#[cold]
fn other_text(marks: u16, raw: &str) -> Cow<'_, str> {
    match marks {
        marks if marks & TEXT_ESCAPED != 0 => Cow::Owned(unescape(raw)),
        marks if marks & XML_ESCAPED != 0 => Cow::Owned(xml::unescape(raw)),
        _ if raw.contains(['&', '\r']) => Cow::Owned(xml::markup(raw)),
        _ => Cow::Borrowed(raw),
    }
}

/// The text that a JSON string's raw form stands for; the reader has checked the escapes.
pub(super) fn unescape(raw: &str) -> String {
    let mut text = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some(at) = memchr::memchr(b'\\', rest.as_bytes()) {
        text.push_str(&rest[..at]);
        let escape = rest.as_bytes().get(at + 1).copied().unwrap_or(b'\\');
        rest = &rest[(at + 2).min(rest.len())..];
        match escape {
            b'b' => text.push('\u{8}'),
            b'f' => text.push('\u{c}'),
            b'n' => text.push('\n'),
            b'r' => text.push('\r'),
            b't' => text.push('\t'),
            b'u' => {
                let first = hexadecimal(rest);
                rest = rest.get(4..).unwrap_or_default();
                let scalar = if (0xd800..0xdc00).contains(&first) {
                    let second = hexadecimal(rest.get(2..).unwrap_or_default());
                    rest = rest.get(6..).unwrap_or_default();
                    0x1_0000 + ((first - 0xd800) << 10) + (second.wrapping_sub(0xdc00) & 0x3ff)
                } else {
                    first
                };
                text.push(char::from_u32(scalar).unwrap_or(char::REPLACEMENT_CHARACTER));
            }
            other => text.push(char::from(other)),
        }
    }
    text.push_str(rest);
    text
}

/// Four hexadecimal digits at the beginning of the text.
pub(super) fn hexadecimal(text: &str) -> u32 {
    text.get(..4).and_then(|digits| u32::from_str_radix(digits, 16).ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_count_characters_in_short_and_in_long_lines() {
        let source = format!("a\n{}b\nd", "\u{e9}".repeat(3000));
        let lines = Lines::new(&source);
        assert_eq!(lines.position(&source, 0), Position { line: 1, column: 1 });
        assert_eq!(lines.position(&source, 2), Position { line: 2, column: 1 });
        assert_eq!(lines.position(&source, 2 + 6000), Position { line: 2, column: 3001 });
        assert_eq!(lines.position(&source, source.len() - 1), Position { line: 3, column: 1 });
        assert_eq!(lines.position(&source, source.len()), Position { line: 3, column: 2 });
    }

    #[test]
    fn places_are_the_same_one_by_one_and_in_a_row() {
        let source = "{\"a\":\"\u{e9}\",\"b\":\n[1,\n\n \"\u{e9}\", 2, {\"\u{1f600}\":3}]\n}";
        let document = crate::fhir::json::read(source.as_bytes(), &crate::fhir::json::Limits::default()).unwrap();
        let mut places = document.places();
        for id in document.subtree(document.root()).chain(document.subtree(document.root()).step_by(3)) {
            assert_eq!(places.place(id), document.place(id), "{id:?}");
        }
    }

    #[test]
    fn escapes_become_what_they_stand_for() {
        assert_eq!(unescape(r#"a\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00z"#), "a\"\\/\u{8}\u{c}\n\r\t\u{e9}\u{1f600}z");
    }
}
