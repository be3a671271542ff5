//! Whether a JSON or XML text is there whole, looked at block by block without keeping it.
//!
//! It only counts brackets outside strings, or tags: what is wrong inside a whole text is the reader's matter.

use super::wholeness_xml::Tags;

/// What was seen so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wholeness {
    /// Nothing but white space.
    Empty,
    /// It begins as an object, array or element whose end is not there.
    Truncated,
    /// The outermost object, array or element has ended.
    Whole,
    /// It begins as something else.
    Other,
}

/// Looks at blocks as they come.
#[derive(Clone, Copy, Debug)]
pub struct WholenessCheck {
    state: Wholeness,
    depth: u64,
    in_string: bool,
    escaped: bool,
    /// It is XML.
    tags: Option<Tags>,
}

impl WholenessCheck {
    /// With nothing seen yet.
    pub const fn new() -> Self {
        Self { state: Wholeness::Empty, depth: 0, in_string: false, escaped: false, tags: None }
    }

    /// The next block.
    pub fn feed(&mut self, block: &[u8]) {
        let mut rest = block;
        if self.tags.is_some() {
            return self.feed_xml(block);
        }
        while let Some(byte) = rest.first() {
            if self.in_string && !self.escaped {
                // Strings are most of a large file: they are searched, not stepped through.
                let Some(at) = memchr::memchr2(b'"', b'\\', rest) else { return };
                rest = &rest[at..];
                self.in_string = rest[0] != b'"';
                self.escaped = rest[0] == b'\\';
                rest = &rest[1..];
                continue;
            }
            rest = &rest[1..];
            match (self.state, byte) {
                _ if self.escaped => self.escaped = false,
                (Wholeness::Whole | Wholeness::Other, _) => return,
                (Wholeness::Truncated, b'"') => self.in_string = true,
                (Wholeness::Truncated | Wholeness::Empty, b'{' | b'[') => {
                    self.state = Wholeness::Truncated;
                    self.depth += 1;
                }
                (Wholeness::Truncated, b'}' | b']') => {
                    self.depth -= 1;
                    if self.depth == 0 {
                        self.state = Wholeness::Whole;
                    }
                }
                (Wholeness::Truncated, _) | (Wholeness::Empty, b' ' | b'\t' | b'\r' | b'\n') => {}
                (Wholeness::Empty, 0xef | 0xbb | 0xbf) => {} // a byte order mark
                (Wholeness::Empty, b'<') => {
                    self.state = Wholeness::Truncated;
                    let mut tags = Tags::new();
                    tags.feed(b'<');
                    self.tags = Some(tags);
                    return self.feed_xml(rest);
                }
                (Wholeness::Empty, _) => self.state = Wholeness::Other,
            }
        }
    }

    fn feed_xml(&mut self, block: &[u8]) {
        let Some(tags) = &mut self.tags else { return };
        if self.state != Wholeness::Whole && block.iter().any(|byte| tags.feed(*byte)) {
            self.state = Wholeness::Whole;
        }
    }

    /// What was seen so far.
    pub const fn verdict(&self) -> Wholeness {
        self.state
    }
}

impl Default for WholenessCheck {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(blocks: &[&[u8]]) -> Wholeness {
        let mut check = WholenessCheck::new();
        for block in blocks {
            check.feed(block);
        }
        check.verdict()
    }

    #[test]
    fn every_cut_of_a_text_is_seen_wherever_blocks_end() {
        let text = b"\xef\xbb\xbf {\"a\": \"}\\\"]\\\\\", \"b\": [{}, [1]]} \n";
        let whole = text.iter().rposition(|byte| *byte == b'}').unwrap() + 1;
        for cut in 0..=text.len() {
            for block in 1..7 {
                let blocks: Vec<_> = text[..cut].chunks(block).collect();
                let wanted = match cut {
                    0..=4 => Wholeness::Empty,
                    cut if cut < whole => Wholeness::Truncated,
                    _ => Wholeness::Whole,
                };
                assert_eq!(verdict(&blocks), wanted, "{cut} in blocks of {block}");
            }
        }
        assert_eq!(verdict(&[b"MSH|^~\\&|"]), Wholeness::Other);
    }

    #[test]
    fn every_cut_of_an_xml_text_is_seen_wherever_blocks_end() {
        let text = b"<?xml version='1.0'?>\n<!-- <a> -- -->\n<Bundle a='/>' b=\"</Bundle>\"><entry/><x><![CDATA[</Bundle>]]></x><y b='1'/></Bundle>\n";
        let whole = text.iter().rposition(|byte| *byte == b'>').unwrap() + 1;
        for cut in 1..=text.len() {
            for block in 1..5 {
                let blocks: Vec<_> = text[..cut].chunks(block).collect();
                let wanted = if cut < whole { Wholeness::Truncated } else { Wholeness::Whole };
                assert_eq!(verdict(&blocks), wanted, "{cut} in blocks of {block}");
            }
        }
        assert_eq!(verdict(&[b"<Bundle/>"]), Wholeness::Whole);
    }
}
