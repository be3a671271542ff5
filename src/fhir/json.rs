//! Strict JSON (RFC 8259) into a [`Document`]: duplicate keys are refused, numbers stay as written.
//!
//! One pass without recursion; a string costs one search for its end. The time is linear in the input
//! whatever it holds.

use super::{
    document::{Document, Kind, Lines, NAME_ESCAPED, NAMED, Node, Position, TEXT_ESCAPED, hexadecimal, unescape},
    scan,
    word::Word,
};
use std::{borrow::Cow, collections::HashSet, sync::OnceLock};

/// What the reader lets pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes; never more than 4 GiB - 1, because places are 32-bit numbers.
    pub max_bytes: u64,
    /// Objects and arrays inside each other.
    pub max_depth: u32,
    /// Values in all. In JSON also never more than a million and one for every four bytes, which no resource comes near: a
    /// value takes more memory than the shortest text of one, and a reader's memory is to be in proportion to the file.
    pub max_nodes: u32,
}

/// See [`Limits::max_nodes`].
const FREE_NODES: u32 = 1_000_000;
const BYTES_FOR_A_NODE: usize = 4;

impl Default for Limits {
    fn default() -> Self {
        Self { max_bytes: 64 * 1024 * 1024, max_depth: 64, max_nodes: 8_000_000 }
    }
}

/// Why a text is no JSON document that can be judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReadErrorKind {
    /// There is nothing in it.
    Empty,
    /// It ends before its value does.
    Truncated,
    /// It is no JSON here.
    Syntax(&'static str),
    /// An object has the same key twice.
    DuplicateKey,
    /// Bytes that are no UTF-8.
    NotUtf8,
    /// UTF-16 or UTF-32, by its byte order mark or its zero bytes.
    OtherEncoding,
    /// XML where JSON is needed.
    Xml,
    /// It is no XML here.
    XmlSyntax(&'static str),
    /// Deeper than [`Limits::max_depth`].
    TooDeep(u32),
    /// More values than [`Limits::max_nodes`].
    TooManyNodes(u32),
    /// More bytes than [`Limits::max_bytes`].
    TooLarge(u64),
}

/// Why and where a text cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadError {
    /// Why.
    pub kind: ReadErrorKind,
    /// The byte.
    pub offset: usize,
    /// The same as people count.
    pub position: Position,
}

impl ReadError {
    /// Whether more bytes may make it whole.
    pub const fn is_truncated(&self) -> bool {
        matches!(self.kind, ReadErrorKind::Empty | ReadErrorKind::Truncated)
    }
}

impl std::error::Error for ReadError {}

impl std::fmt::Display for ReadError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.kind {
            ReadErrorKind::Empty => f.write_str("the file is empty; export it again"),
            ReadErrorKind::Truncated => {
                f.write_str("the file ends before the resource does; it was cut off, export it again")
            }
            ReadErrorKind::Syntax(what) => write!(f, "this is not JSON: {what}"),
            ReadErrorKind::DuplicateKey => {
                f.write_str("this key stands twice in one object; which value is meant cannot be known, remove one")
            }
            ReadErrorKind::NotUtf8 => f.write_str("these bytes are not UTF-8; FHIR is always UTF-8, export it so"),
            ReadErrorKind::OtherEncoding => {
                f.write_str("the file is UTF-16 or UTF-32; FHIR is always UTF-8, export it so")
            }
            ReadErrorKind::Xml => f.write_str("the file is XML, and JSON is needed here; export it as JSON"),
            ReadErrorKind::XmlSyntax(what) => write!(f, "this is not XML as FHIR has it: {what}"),
            ReadErrorKind::TooDeep(limit) => {
                write!(f, "objects and arrays lie more than {limit} deep in each other, which no FHIR resource needs")
            }
            ReadErrorKind::TooManyNodes(limit) => {
                write!(f, "the file holds more than {limit} values; split it into several Bundles")
            }
            ReadErrorKind::TooLarge(limit) => {
                write!(
                    f,
                    "the file has more than {limit} bytes; split it, or raise the limit (max_size of the channel, --max-size of validate)"
                )
            }
        }
    }
}

/// Reads a whole text.
///
/// # Errors
/// The first thing that makes it unreadable, with its place.
pub fn read<'a>(bytes: &'a [u8], limits: &Limits) -> Result<Document<'a>, ReadError> {
    let (source, byte_order_mark) = decoded(bytes, limits)?;
    let max_nodes = limits.max_nodes.min(FREE_NODES.saturating_add(narrow(source.len() / BYTES_FOR_A_NODE)));
    let mut reader = Reader {
        source,
        bytes: source.as_bytes(),
        at: 0,
        nodes: Vec::with_capacity(source.len() / 32 + 8),
        open: Vec::with_capacity(16),
        max_depth: limits.max_depth,
        max_nodes,
    };
    match reader.document() {
        Ok(()) => Ok(Document {
            source,
            nodes: reader.nodes,
            byte_order_mark,
            is_xml: false,
            remarks: Vec::new(),
            lines: OnceLock::new(),
        }),
        Err((kind, offset)) => Err(fail(kind, offset, source)),
    }
}

fn fail(kind: ReadErrorKind, offset: usize, source: &str) -> ReadError {
    ReadError { kind, offset, position: Lines::new(source).position(source, offset) }
}

/// The text of the bytes, and whether a byte order mark stood before it.
pub(super) fn decoded<'a>(bytes: &'a [u8], limits: &Limits) -> Result<(&'a str, bool), ReadError> {
    let most = limits.max_bytes.min(u64::from(u32::MAX));
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > most {
        return Err(fail(ReadErrorKind::TooLarge(most), 0, ""));
    }
    let is_other =
        bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") || bytes.iter().take(4).any(|byte| *byte == 0);
    if is_other {
        return Err(fail(ReadErrorKind::OtherEncoding, 0, ""));
    }
    let unmarked = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    match std::str::from_utf8(unmarked) {
        Ok(source) => Ok((source, unmarked.len() != bytes.len())),
        Err(error) => {
            let valid = std::str::from_utf8(&unmarked[..error.valid_up_to()]).unwrap_or_default();
            // A character cut in two by the end of the file is a file that was cut off.
            let kind = if error.error_len().is_none() { ReadErrorKind::Truncated } else { ReadErrorKind::NotUtf8 };
            Err(fail(kind, valid.len(), valid))
        }
    }
}

/// The text is a number as JSON writes them.
pub(super) fn is_number(text: &str) -> bool {
    let (nodes, open) = (Vec::new(), Vec::new());
    let mut reader = Reader { source: text, bytes: text.as_bytes(), at: 0, nodes, open, max_depth: 0, max_nodes: 0 };
    reader.number() == Ok(text.len())
}

type Failure = (ReadErrorKind, usize);

struct Reader<'a> {
    source: &'a str,
    bytes: &'a [u8],
    at: usize,
    nodes: Vec<Node>,
    /// Containers that are open, outermost first.
    open: Vec<u32>,
    max_depth: u32,
    max_nodes: u32,
}

/// A raw string: its place without the quotes.
struct Raw {
    start: usize,
    end: usize,
    escaped: bool,
}

impl Reader<'_> {
    fn document(&mut self) -> Result<(), Failure> {
        self.space();
        match self.peek() {
            None => return Err((ReadErrorKind::Empty, self.at)),
            Some(b'<') => return Err((ReadErrorKind::Xml, self.at)),
            Some(_) => {}
        }
        self.value(None)?;
        while let Some(container) = self.open.last().copied() {
            self.next_child(container)?;
        }
        self.space();
        if self.at < self.bytes.len() {
            return Err((ReadErrorKind::Syntax("there is more text after the end of the resource"), self.at));
        }
        Ok(())
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    /// Where there is any, it is mostly a line's end and the spaces before the next line.
    fn space(&mut self) {
        while let Some(byte @ (b' ' | b'\n' | b'\r' | b'\t')) = self.peek() {
            self.at += 1;
            if byte == b'\n' {
                self.at += scan::spaces(&self.bytes[self.at..]);
            }
        }
    }

    /// One step in an open container: its next child, or its end.
    fn next_child(&mut self, container: u32) -> Result<(), Failure> {
        let is_object = self.nodes[container as usize].kind == Kind::Object;
        let closing = if is_object { b'}' } else { b']' };
        let is_first = self.nodes.len() == container as usize + 1;
        self.space();
        match self.peek() {
            Some(byte) if byte == closing => return self.close(container),
            Some(b',') if !is_first => {
                self.at += 1;
                self.space();
                if self.peek() == Some(closing) {
                    return Err((ReadErrorKind::Syntax("a comma stands before the end; remove it"), self.at));
                }
            }
            None => return Err((ReadErrorKind::Truncated, self.at)),
            Some(_) if !is_first => return Err((ReadErrorKind::Syntax("a comma or the end is missing here"), self.at)),
            Some(_) => {}
        }
        if !is_object {
            return self.value(None);
        }
        match self.peek() {
            Some(b'"') => {}
            None => return Err((ReadErrorKind::Truncated, self.at)),
            Some(_) => return Err((ReadErrorKind::Syntax("a key in double quotes is missing here"), self.at)),
        }
        let name = self.string()?;
        self.space();
        match self.peek() {
            Some(b':') => self.at += 1,
            None => return Err((ReadErrorKind::Truncated, self.at)),
            Some(_) => return Err((ReadErrorKind::Syntax("a colon is missing after the key"), self.at)),
        }
        self.space();
        self.value(Some(name))
    }

    fn value(&mut self, name: Option<Raw>) -> Result<(), Failure> {
        let start = self.at;
        let (kind, start, end, escaped) = match self.peek() {
            None => return Err((ReadErrorKind::Truncated, self.at)),
            Some(b'"') => {
                let raw = self.string()?;
                (Kind::String, raw.start, raw.end, raw.escaped)
            }
            Some(b'{') => (Kind::Object, start, start, false),
            Some(b'[') => (Kind::Array, start, start, false),
            Some(b't') => (Kind::True, start, self.word("true")?, false),
            Some(b'f') => (Kind::False, start, self.word("false")?, false),
            Some(b'n') => (Kind::Null, start, self.word("null")?, false),
            Some(b'-' | b'0'..=b'9') => (Kind::Number, start, self.number()?, false),
            Some(_) => return Err((ReadErrorKind::Syntax("no value begins like this"), start)),
        };
        let id = u32::try_from(self.nodes.len()).unwrap_or(u32::MAX);
        if id >= self.max_nodes {
            return Err((ReadErrorKind::TooManyNodes(self.max_nodes), start));
        }
        let mut marks = if escaped { TEXT_ESCAPED } else { 0 };
        let mut name_span = (0, 0);
        if let Some(name) = name {
            marks |= NAMED | if name.escaped { NAME_ESCAPED } else { 0 };
            name_span = (narrow(name.start), narrow(name.end - name.start));
        }
        self.nodes.push(Node {
            name_start: name_span.0,
            name_length: name_span.1,
            start: narrow(start),
            end: narrow(end),
            behind: id + 1,
            parent: self.open.last().copied().unwrap_or(0),
            kind,
            marks,
        });
        if matches!(kind, Kind::Object | Kind::Array) {
            if self.open.len() >= self.max_depth as usize {
                return Err((ReadErrorKind::TooDeep(self.max_depth), start));
            }
            self.at += 1;
            self.open.push(id);
        }
        Ok(())
    }

    fn close(&mut self, container: u32) -> Result<(), Failure> {
        self.at += 1;
        let behind = narrow(self.nodes.len());
        let node = &mut self.nodes[container as usize];
        node.end = narrow(self.at);
        node.behind = behind;
        self.open.pop();
        if node.kind == Kind::Object { self.unique(container) } else { Ok(()) }
    }

    /// Keys are compared as what they stand for: `"a"` and `"\u0061"` are the same.
    fn unique(&self, object: u32) -> Result<(), Failure> {
        const FEW: u32 = 32;
        let behind = self.nodes[object as usize].behind;
        // a bit for each key so far: only where it is set already a key may be there twice
        let mut seen = 0_u128;
        let mut count = 0;
        let mut child = object + 1;
        while child < behind {
            let node = &self.nodes[child as usize];
            count += 1;
            if count > FEW || node.marks & NAME_ESCAPED != 0 {
                return self.unique_by_hash(object);
            }
            let name = self.raw(node);
            let bit = 1 << (Word::of(name).hash(0) % 128);
            if seen & bit != 0 && self.stands_before(object, child, name) {
                return Err((ReadErrorKind::DuplicateKey, node.name_start as usize));
            }
            seen |= bit;
            child = node.behind;
        }
        Ok(())
    }

    fn stands_before(&self, object: u32, child: u32, name: &[u8]) -> bool {
        let mut earlier = object + 1;
        while earlier < child {
            let node = &self.nodes[earlier as usize];
            if self.raw(node) == name {
                return true;
            }
            earlier = node.behind;
        }
        false
    }

    #[cold]
    fn unique_by_hash(&self, object: u32) -> Result<(), Failure> {
        let mut seen = HashSet::new();
        let mut child = object + 1;
        while child < self.nodes[object as usize].behind {
            let node = &self.nodes[child as usize];
            let start = node.name_start as usize;
            let raw = &self.source[start..start + node.name_length as usize];
            let name = if node.marks & NAME_ESCAPED == 0 { Cow::Borrowed(raw) } else { Cow::Owned(unescape(raw)) };
            if !seen.insert(name) {
                return Err((ReadErrorKind::DuplicateKey, node.name_start as usize));
            }
            child = node.behind;
        }
        Ok(())
    }

    /// The name as it is written.
    fn raw(&self, node: &Node) -> &[u8] {
        let start = node.name_start as usize;
        &self.bytes[start..start + node.name_length as usize]
    }

    fn string(&mut self) -> Result<Raw, Failure> {
        let start = self.at + 1;
        let mut escaped = false;
        let mut at = start;
        loop {
            at += scan::plain(&self.bytes[at..]);
            match self.bytes.get(at) {
                Some(b'"') => break,
                Some(b'\\') => {
                    escaped = true;
                    at = self.escape(at)?;
                }
                Some(_) => {
                    let what = "a line break, tab or other control character stands in a string; write it as an escape";
                    return Err((ReadErrorKind::Syntax(what), at));
                }
                None => return Err((ReadErrorKind::Truncated, at)),
            }
        }
        self.at = at + 1;
        Ok(Raw { start, end: at, escaped })
    }

    /// Checks the escape at a backslash; says where it ends.
    fn escape(&self, at: usize) -> Result<usize, Failure> {
        const WRONG: ReadErrorKind = ReadErrorKind::Syntax("no escape looks like this");
        const LONE: ReadErrorKind = ReadErrorKind::Syntax("half of a surrogate pair stands alone");
        match self.bytes.get(at + 1) {
            None => Err((ReadErrorKind::Truncated, self.bytes.len())),
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Ok(at + 2),
            Some(b'u') => {
                let unit = self.unit(at)?;
                match unit {
                    0xd800..0xdc00 => {
                        if self.bytes.len() < at + 12 {
                            let cut = self.bytes[at + 6..].iter().zip(b"\\u").all(|(have, want)| have == want);
                            return Err(if cut { (ReadErrorKind::Truncated, self.bytes.len()) } else { (LONE, at) });
                        }
                        if &self.bytes[at + 6..at + 8] != b"\\u" || !(0xdc00..0xe000).contains(&self.unit(at + 6)?) {
                            return Err((LONE, at));
                        }
                        Ok(at + 12)
                    }
                    0xdc00..0xe000 => Err((LONE, at)),
                    _ => Ok(at + 6),
                }
            }
            Some(_) => Err((WRONG, at)),
        }
    }

    /// The code unit of a `\uXXXX`.
    fn unit(&self, at: usize) -> Result<u32, Failure> {
        let Some(digits) = self.bytes.get(at + 2..at + 6) else {
            return Err((ReadErrorKind::Truncated, self.bytes.len()));
        };
        if !digits.iter().all(u8::is_ascii_hexdigit) {
            return Err((ReadErrorKind::Syntax("four hexadecimal digits belong here"), at));
        }
        Ok(hexadecimal(&self.source[at + 2..at + 6]))
    }

    fn word(&mut self, word: &'static str) -> Result<usize, Failure> {
        let rest = &self.bytes[self.at..];
        if rest.starts_with(word.as_bytes()) {
            self.at += word.len();
            return Ok(self.at);
        }
        if word.as_bytes().starts_with(rest) {
            return Err((ReadErrorKind::Truncated, self.bytes.len()));
        }
        Err((ReadErrorKind::Syntax("no value begins like this"), self.at))
    }

    fn digits(&mut self) -> usize {
        let start = self.at;
        while let Some(b'0'..=b'9') = self.peek() {
            self.at += 1;
        }
        self.at - start
    }

    fn number(&mut self) -> Result<usize, Failure> {
        let start = self.at;
        let fail = |reader: &Self| match reader.peek() {
            None => (ReadErrorKind::Truncated, reader.at),
            Some(_) => (ReadErrorKind::Syntax("no number is written like this"), start),
        };
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        let leading_zero = self.peek() == Some(b'0');
        let whole = self.digits();
        if whole == 0 {
            return Err(fail(self));
        }
        if leading_zero && whole > 1 {
            return Err((ReadErrorKind::Syntax("a number does not begin with a zero"), start));
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            if self.digits() == 0 {
                return Err(fail(self));
            }
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            if self.digits() == 0 {
                return Err(fail(self));
            }
        }
        Ok(self.at)
    }
}

fn narrow(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fhir::NodeId;

    fn fails(text: &str) -> (ReadErrorKind, u32, u32) {
        let error = read(text.as_bytes(), &Limits::default()).unwrap_err();
        (error.kind, error.position.line, error.position.column)
    }

    fn names(document: &Document<'_>, node: NodeId) -> Vec<String> {
        document.children(node).filter_map(|child| document.name(child)).map(Cow::into_owned).collect()
    }

    #[test]
    fn reads_a_tree_with_places() {
        let text = "\u{feff}{\n  \"a\": [1.10, -2e+5, {\"\\u0062\": null}],\n  \"c\": \"x\\ny\"\n}\n";
        let document = read(text.as_bytes(), &Limits::default()).unwrap();
        assert!(document.has_byte_order_mark());
        let root = document.root();
        assert_eq!(names(&document, root), ["a", "c"]);
        let array = document.get(root, "a").unwrap();
        let items: Vec<_> = document.children(array).collect();
        assert_eq!(document.text(items[0]).unwrap(), "1.10");
        assert_eq!(document.text(items[1]).unwrap(), "-2e+5");
        let inner = document.get(items[2], "b").unwrap();
        assert_eq!(document.kind(inner), Kind::Null);
        assert_eq!(document.parent(inner), Some(items[2]));
        let c = document.get(root, "c").unwrap();
        assert_eq!(document.text(c).unwrap(), "x\ny");
        assert_eq!(document.place(c), Position { line: 3, column: 4 });
        assert_eq!(document.subtree(array).count(), 5);
    }

    #[test]
    fn every_prefix_of_a_document_is_truncated() {
        let text = r#"{"a": [true, false, null, -1.5e+3, "\ud83d\ude00é\n"], "b": {"c": ""}}"#;
        for (end, _) in text.char_indices().skip(1) {
            let error = read(&text.as_bytes()[..end], &Limits::default()).unwrap_err();
            assert!(error.is_truncated(), "{:?} at {end}", error.kind);
        }
        assert!(read(text.as_bytes(), &Limits::default()).is_ok());
        assert!(read(&text.as_bytes()[..text.find('é').unwrap() + 1], &Limits::default()).unwrap_err().is_truncated());
    }

    #[test]
    fn refuses_what_is_not_json_with_its_place() {
        for (text, column) in [
            ("{\"a\":1,}", 8),
            ("[1 2]", 4),
            ("{a:1}", 2),
            ("[01]", 2),
            ("[1.]", 2),
            ("[+1]", 2),
            ("[NaN]", 2),
            ("{\"a\" 1}", 6),
            ("[\"\\x\"]", 3),
            ("[\"\\ud800x     \"]", 3),
            ("[\"\\udc00\"]", 3),
            ("[\"a\tb\"]", 4),
            ("{} {}", 4),
        ] {
            let (kind, line, found) = fails(text);
            assert!(matches!(kind, ReadErrorKind::Syntax(_)), "{text}: {kind:?}");
            assert_eq!((line, found), (1, column), "{text}");
        }
        assert_eq!(fails("").0, ReadErrorKind::Empty);
        assert_eq!(fails(" <Bundle/>").0, ReadErrorKind::Xml);
        assert_eq!(fails("\u{0}{").0, ReadErrorKind::OtherEncoding);
        assert_eq!(read(b"{\"a\":\"\xff\"}", &Limits::default()).unwrap_err().kind, ReadErrorKind::NotUtf8);
    }

    #[test]
    fn finds_duplicate_keys_in_small_and_in_large_objects() {
        assert_eq!(fails("{\"a\":1,\n\"\\u0061\":2}"), (ReadErrorKind::DuplicateKey, 2, 2));
        let mut large: Vec<_> = (0..5000).map(|number| format!("\"k{number}\":0")).collect();
        assert!(read(format!("{{{}}}", large.join(",")).as_bytes(), &Limits::default()).is_ok());
        large.push("\"k7\":0".to_owned());
        assert_eq!(fails(&format!("{{{}}}", large.join(","))).0, ReadErrorKind::DuplicateKey);
    }

    #[test]
    fn keeps_its_limits() {
        let deep = format!("{}{}", "[".repeat(65), "]".repeat(65));
        assert_eq!(fails(&deep).0, ReadErrorKind::TooDeep(64));
        assert!(read(format!("{}{}", "[".repeat(64), "]".repeat(64)).as_bytes(), &Limits::default()).is_ok());
        let limits = Limits { max_nodes: 3, ..Limits::default() };
        assert_eq!(read(b"[1,2,3]", &limits).unwrap_err().kind, ReadErrorKind::TooManyNodes(3));
        // so many values in so few bytes are no resource
        let dense = format!("[{}1]", "1,".repeat(2_000_000));
        assert_eq!(fails(&dense).0, ReadErrorKind::TooManyNodes(2_000_000));
        let limits = Limits { max_bytes: 3, ..Limits::default() };
        assert_eq!(read(b"[1,2,3]", &limits).unwrap_err().kind, ReadErrorKind::TooLarge(3));
    }
}
