//! Searches in short texts, eight bytes at a time: most are shorter than what a search with wider registers needs to begin.

const ONES: u64 = u64::from_le_bytes([1; 8]);
const HIGH: u64 = ONES << 7;

/// The high bit of the lowest byte that is zero; higher ones may be set too.
const fn zero(word: u64) -> u64 {
    word.wrapping_sub(ONES) & !word & HIGH
}

/// The place of the first byte that is one of these; the length where there is none.
pub(crate) fn until<const N: usize>(bytes: &[u8], stops: [u8; N]) -> usize {
    first(
        bytes,
        |word| stops.iter().fold(0, |found, stop| found | zero(word ^ (ONES * u64::from(*stop)))),
        |byte| stops.contains(&byte),
    )
}

/// How many bytes at the beginning stand for themselves in a string of JSON: no quote, no backslash, no control character.
pub(super) fn plain(bytes: &[u8]) -> usize {
    first(
        bytes,
        |word| {
            // all below the space, and the quote two above it, change places with what is below 0x21
            let turned = word ^ (ONES * 0x02);
            let low = turned.wrapping_sub(ONES * 0x21) & !turned & HIGH;
            low | zero(word ^ (ONES * 0x5c))
        },
        |byte| byte < 0x20 || matches!(byte, b'"' | b'\\'),
    )
}

/// How many spaces stand at the beginning.
pub(super) fn spaces(bytes: &[u8]) -> usize {
    first(bytes, |word| word ^ (ONES * 0x20), |byte| byte != b' ')
}

/// Every character is one that ASCII shows, without spaces.
pub(super) fn is_graphic(text: &str) -> bool {
    let in_word = |word: u64| {
        let low = word.wrapping_sub(ONES * 0x21) & !word & HIGH;
        low | zero(word ^ (ONES * 0x7f)) | word & HIGH
    };
    first(text.as_bytes(), in_word, |byte| !byte.is_ascii_graphic()) == text.len()
}

/// The place of the first byte that stops. The lowest bit that is set in what a word is made into is in the byte of that word that does.
fn first(bytes: &[u8], in_word: impl Fn(u64) -> u64, stops: impl Fn(u8) -> bool) -> usize {
    let (words, rest) = bytes.as_chunks::<8>();
    for (number, chunk) in words.iter().enumerate() {
        let found = in_word(u64::from_le_bytes(*chunk));
        if found != 0 {
            return number * 8 + (found.trailing_zeros() / 8) as usize;
        }
    }
    words.len() * 8 + rest.iter().position(|byte| stops(*byte)).unwrap_or(rest.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_byte_that_stops_is_found_at_every_place() {
        for length in 0..20 {
            let mut bytes = vec![b'a'; length];
            assert_eq!(until(&bytes, [b'<', b'&']), length);
            for place in (0..length).rev() {
                bytes[place] = if place % 2 == 0 { b'<' } else { b'&' };
                assert_eq!(until(&bytes, [b'<', b'&']), place);
            }
        }
        assert_eq!(until("\u{bc}\u{a6}<".as_bytes(), [b'<', b'&']), 4, "only whole bytes count");
    }

    #[test]
    fn plain_ends_at_quotes_backslashes_and_controls() {
        for stop in 0..=u8::MAX {
            for place in 0..17 {
                let mut bytes = [0xc3; 17];
                bytes[place] = stop;
                let stops = stop < 0x20 || matches!(stop, b'"' | b'\\');
                assert_eq!(plain(&bytes), if stops { place } else { 17 }, "{stop}");
            }
        }
    }

    #[test]
    fn graphic_is_what_ascii_shows() {
        for other in 0..=char::from(u8::MAX) as u32 {
            let other = char::from_u32(other).unwrap();
            for place in 0..10 {
                let text = format!("{}{other}{}", "!".repeat(place), "~".repeat(9 - place));
                assert_eq!(is_graphic(&text), other.is_ascii_graphic(), "{text}");
            }
        }
    }

    #[test]
    fn spaces_are_counted() {
        for count in 0..20 {
            assert_eq!(spaces(" ".repeat(count).as_bytes()), count);
            assert_eq!(spaces(format!("{}a{}", " ".repeat(count), " ".repeat(9)).as_bytes()), count);
        }
    }
}
