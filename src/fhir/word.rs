//! Short names as numbers: comparing and hashing them calls nothing.

/// The ends of a text and its length. Of texts of up to [`Word::WHOLE`] bytes it is equal where they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Word {
    first: u64,
    last: u64,
    length: u32,
}

impl Word {
    /// Longer texts may differ where their words do not.
    pub(crate) const WHOLE: usize = 16;

    /// Both ends overlap where the text is short, so that no byte is left out.
    pub(crate) fn of(bytes: &[u8]) -> Self {
        let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        let (first, last) = match (bytes.first_chunk::<8>(), bytes.last_chunk::<8>()) {
            (Some(first), Some(last)) => (u64::from_le_bytes(*first), u64::from_le_bytes(*last)),
            _ => match (bytes.first_chunk::<4>(), bytes.last_chunk::<4>()) {
                (Some(first), Some(last)) => {
                    (u64::from(u32::from_le_bytes(*first)), u64::from(u32::from_le_bytes(*last)))
                }
                _ => (bytes.iter().fold(0, |all, byte| all << 8 | u64::from(*byte)), 0),
            },
        };
        Self { first, last, length }
    }

    /// It is that of no text.
    pub(crate) const fn is_empty(self) -> bool {
        self.length == 0
    }

    /// Equal words are those of equal texts.
    pub(crate) const fn is_whole(self) -> bool {
        self.length as usize <= Self::WHOLE
    }

    /// 24 bits for a table of names that are known beforehand; `seed` tells tables in one apart.
    pub(crate) fn hash(self, seed: u16) -> usize {
        const MULTIPLIER: u64 = 0x9E37_79B9_7F4A_7C15;
        let start = u64::from(seed) << 32 | u64::from(self.length);
        let state = (start ^ self.first).wrapping_mul(MULTIPLIER).rotate_left(29) ^ self.last;
        usize::try_from(state.wrapping_mul(MULTIPLIER) >> 40).expect("24 bits fit")
    }
}

/// A list of names that never changes, to ask whether a name is in it.
#[derive(Debug)]
pub(crate) struct Words {
    /// An open hash table, at least half of it empty.
    slots: Vec<Option<Word>>,
}

impl Words {
    /// Of names of up to [`Word::WHOLE`] bytes.
    pub(crate) fn new(names: &[&str]) -> Self {
        let mut slots = vec![None; (2 * names.len()).next_power_of_two()];
        for name in names {
            let word = Word::of(name.as_bytes());
            debug_assert!(word.is_whole(), "{name}");
            let mut place = word.hash(0) & (slots.len() - 1);
            while slots[place].is_some() {
                place = (place + 1) & (slots.len() - 1);
            }
            slots[place] = Some(word);
        }
        Self { slots }
    }

    /// The name is in the list.
    pub(crate) fn has(&self, name: &str) -> bool {
        let word = Word::of(name.as_bytes());
        let mut place = word.hash(0) & (self.slots.len() - 1);
        while let Some(known) = self.slots[place] {
            if known == word {
                return word.is_whole();
            }
            place = (place + 1) & (self.slots.len() - 1);
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_up_to_16_bytes_are_equal_where_the_texts_are() {
        let mut texts: Vec<String> = vec![String::new()];
        for length in 1..=17 {
            for place in 0..length {
                let mut text = "a".repeat(length);
                text.replace_range(place..=place, "b");
                texts.push(text);
            }
            texts.push("a".repeat(length));
        }
        for (one, text) in texts.iter().enumerate() {
            for (other, second) in texts.iter().enumerate().filter(|(_, second)| second.len() <= Word::WHOLE) {
                assert_eq!(Word::of(text.as_bytes()) == Word::of(second.as_bytes()), one == other, "{text} {second}");
            }
        }
        assert_eq!(Word::of(b"aaaaaaaabaaaaaaaa"), Word::of(b"aaaaaaaacaaaaaaaa"));
        assert!(!Word::of(b"aaaaaaaabaaaaaaaa").is_whole());
    }

    #[test]
    fn lists_have_their_names_and_no_others() {
        let words = Words::new(&["a", "abbr", "blockquote"]);
        assert!(words.has("a") && words.has("abbr") && words.has("blockquote"));
        assert!(!words.has("") && !words.has("b") && !words.has("blockquot") && !words.has("aaaaaaaabaaaaaaaa"));
    }
}
