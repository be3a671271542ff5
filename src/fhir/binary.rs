//! base64 as FHIR writes it: groups of four, whitespace anywhere. Spec: RFC 4648 section 4,
//! <https://hl7.org/fhir/STU3/datatypes.html#base64Binary>.

/// Decoded bytes handed over at a time.
const BLOCK: usize = 3 * 1024;

/// How many bytes a sound text stands for; nothing is decoded.
pub fn decoded_length(text: &str) -> u64 {
    let digits = text.bytes().filter(|byte| value(*byte).is_some()).count();
    digits as u64 * 6 / 8
}

/// Decodes a sound text block by block: no memory grows with it. Anything that is no digit is passed over.
pub fn decode(text: &str, mut take: impl FnMut(&[u8])) {
    let mut block = [0; BLOCK];
    let (mut length, mut bits, mut count) = (0, 0_u32, 0_u8);
    for digit in text.bytes().filter_map(value) {
        bits = bits << 6 | u32::from(digit);
        count += 6;
        if count >= 8 {
            count -= 8;
            block[length] = (bits >> count & 0xff) as u8;
            length += 1;
        }
        if length == BLOCK {
            take(&block);
            length = 0;
        }
    }
    take(&block[..length]);
}

/// Writes bytes as base64 with padding.
pub fn encode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let bits = group.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - group.len()));
        for place in 0..4 {
            let digit = bits >> (18 - 6 * place) & 0x3f;
            text.push(if place > group.len() { '=' } else { char::from(DIGITS[digit as usize]) });
        }
    }
    text
}

const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

const fn value(byte: u8) -> Option<u8> {
    match byte {
        b'A'..=b'Z' => Some(byte - b'A'),
        b'a'..=b'z' => Some(byte - b'a' + 26),
        b'0'..=b'9' => Some(byte - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(text: &str) -> Vec<u8> {
        let mut bytes = Vec::new();
        decode(text, |block| bytes.extend_from_slice(block));
        bytes
    }

    #[test]
    fn the_examples_of_the_rfc_hold() {
        let examples = [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ];
        for (plain, text) in examples {
            assert_eq!(decoded(text), plain.as_bytes());
            assert_eq!(encode(plain.as_bytes()), text);
            assert_eq!(decoded_length(text), plain.len() as u64);
        }
    }

    #[test]
    fn whitespace_and_length_change_nothing() {
        assert_eq!(decoded("Zm9v\r\n YmFy\n"), b"foobar");
        let long: Vec<u8> = (0..10_000_u32).map(|number| (number % 251) as u8).collect();
        assert_eq!(decoded(&encode(&long)), long);
        assert_eq!(decoded_length(&encode(&long)), 10_000);
    }
}
