//! Whether an XML text is there whole, looked at block by block without keeping it: its outermost element has ended.
//!
//! It only counts tags: what is wrong inside a whole text is the reader's matter.

/// Where the last byte left off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Between tags.
    Text,
    /// Behind `<`.
    Opened,
    /// In a start tag; the last byte was `/`.
    Start { slash: bool },
    /// In an attribute's value with this quote.
    Quoted(u8),
    /// In an end tag.
    End,
    /// In `<!...` or `<?...`; how much of the sign that begins a comment or CDATA was seen.
    Declared(u8),
    /// In a comment (`-`), CDATA (`]`) or an instruction (`?`); how much of its end was seen.
    Until(u8, u8),
}

/// Looks at bytes as they come.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tags {
    state: State,
    depth: u64,
}

impl Tags {
    /// Before the first `<`.
    pub(super) const fn new() -> Self {
        Self { state: State::Text, depth: 0 }
    }

    /// The next byte; whether the outermost element ends with it.
    pub(super) fn feed(&mut self, byte: u8) -> bool {
        let depth = self.depth;
        self.state = match (self.state, byte) {
            (State::Text, b'<') => State::Opened,
            (State::Text, _) => State::Text,
            (State::Opened, b'/') => State::End,
            (State::Opened, b'?') => State::Until(b'?', 0),
            (State::Opened, b'!') => State::Declared(0),
            (State::Opened, _) => State::Start { slash: false },
            (State::Start { .. }, quote @ (b'"' | b'\'')) => State::Quoted(quote),
            (State::Start { slash }, b'>') => {
                self.depth += u64::from(!slash);
                if slash && depth == 0 {
                    return true;
                }
                State::Text
            }
            (State::Start { .. }, byte) => State::Start { slash: byte == b'/' },
            (State::Quoted(quote), byte) if byte == quote => State::Start { slash: false },
            (State::Quoted(quote), _) => State::Quoted(quote),
            (State::End, b'>') => {
                self.depth = self.depth.saturating_sub(1);
                if depth <= 1 {
                    return true;
                }
                State::Text
            }
            (State::End, _) => State::End,
            (State::Declared(1), b'-') => State::Until(b'-', 0),
            (State::Declared(0), b'-') => State::Declared(1),
            (State::Declared(0), b'[') => State::Until(b']', 0),
            // a document type, which the reader refuses: what follows does not matter
            (State::Declared(_), _) => return true,
            (State::Until(b'?', 1), b'>') | (State::Until(b'-' | b']', 2), b'>') => State::Text,
            (State::Until(sign, seen), byte) if byte == sign => State::Until(sign, (seen + 1).min(2)),
            (State::Until(sign, _), _) => State::Until(sign, 0),
        };
        false
    }
}
