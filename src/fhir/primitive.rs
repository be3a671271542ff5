//! The formats of STU3's primitive types, judged on the text alone.
//! Spec: <https://hl7.org/fhir/STU3/datatypes.html#primitive>.
//!
//! Where the published patterns are wrong the text of the page decides: days are those of the calendar, base64 may
//! hold `/` and whitespace, a second may be 60, an arc of an OID may be 0. Decimals have no exponent in STU3.

use super::scan::{is_graphic, until};

/// The longest string, in characters.
const MOST_CHARACTERS: usize = 1024 * 1024;

/// `date`: a year, a month or a day of the calendar; a year may be negative, and as in XML Schema there is no year 0.
pub fn is_date(text: &str) -> bool {
    let unsigned = text.strip_prefix('-').unwrap_or(text).as_bytes();
    let Some((year, rest)) = unsigned.split_first_chunk::<4>() else { return false };
    let Some(year) = number(year).filter(|year| *year > 0) else { return false };
    match rest {
        [] => true,
        [b'-', month @ ..] if month.len() == 2 => number(month).is_some_and(|month| (1..=12).contains(&month)),
        [b'-', tens, ones, b'-', day @ ..] if day.len() == 2 => is_day(year, number(&[*tens, *ones]), number(day)),
        _ => false,
    }
}

fn is_day(year: u32, month: Option<u32>, day: Option<u32>) -> bool {
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let days = match month {
        Some(1 | 3 | 5 | 7 | 8 | 10 | 12) => 31,
        Some(4 | 6 | 9 | 11) => 30,
        Some(2) if leap => 29,
        Some(2) => 28,
        _ => 0,
    };
    day.is_some_and(|day| (1..=days).contains(&day))
}

/// `dateTime`: a date, or an instant.
pub fn is_date_time(text: &str) -> bool {
    if text.contains('T') { is_instant(text) } else { is_date(text) }
}

/// `instant`: a day, a time to the second, and a time zone.
pub fn is_instant(text: &str) -> bool {
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let Some((day, rest)) = unsigned.split_at_checked(DAY) else { return false };
    let Some(rest) = rest.strip_prefix('T') else { return false };
    let (time, zone) = rest.split_at(until(rest.as_bytes(), [b'Z', b'+', b'-']));
    is_date(day) && is_time(time) && is_zone(zone)
}

/// Characters of a whole day.
const DAY: usize = 10;

fn is_zone(text: &str) -> bool {
    match text.as_bytes() {
        b"Z" => true,
        [b'+' | b'-', hours @ .., b':', tens, ones] if hours.len() == 2 => {
            match (number(hours), number(&[*tens, *ones])) {
                (Some(hours), Some(minutes)) => (hours < 14 && minutes < 60) || (hours == 14 && minutes == 0),
                _ => false,
            }
        }
        _ => false,
    }
}

/// `time`: hours, minutes and seconds, with any fraction.
pub fn is_time(text: &str) -> bool {
    let Some(([h, hh, b':', m, mm, b':', s, ss], fraction)) = text.as_bytes().split_first_chunk::<8>() else {
        return false;
    };
    let clock = (number(&[*h, *hh]), number(&[*m, *mm]), number(&[*s, *ss]));
    let sound =
        matches!(clock, (Some(hours), Some(minutes), Some(seconds)) if hours < 24 && minutes < 60 && seconds <= 60);
    sound && matches!(fraction, [] | [b'.', _, ..]) && fraction.iter().skip(1).all(u8::is_ascii_digit)
}

/// A few digits.
fn number(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0, |number, digit| digit.is_ascii_digit().then(|| number * 10 + u32::from(digit - b'0')))
}

fn are_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// `integer`: 32 bits, signed.
pub fn is_integer(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    are_digits(digits) && (digits.len() == 1 || !digits.starts_with('0')) && text.parse::<i32>().is_ok()
}

/// `unsignedInt`: 0 to 2,147,483,647.
pub fn is_unsigned_int(text: &str) -> bool {
    is_integer(text) && !text.starts_with('-')
}

/// `positiveInt`: 1 to 2,147,483,647.
pub fn is_positive_int(text: &str) -> bool {
    is_unsigned_int(text) && text != "0"
}

/// `decimal`: digits with or without a point, no exponent.
pub fn is_decimal(text: &str) -> bool {
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) =
        unsigned.split_once('.').map_or((unsigned, None), |(whole, fraction)| (whole, Some(fraction)));
    are_digits(whole) && (whole.len() == 1 || !whole.starts_with('0')) && fraction.is_none_or(are_digits)
}

/// `code`: no whitespace at the ends, single whitespace inside.
pub fn is_code(text: &str) -> bool {
    // nearly all are one word
    if is_graphic(text) {
        return !text.is_empty();
    }
    let mut spaced = true;
    for character in text.chars() {
        let space = character.is_whitespace();
        if space && spaced {
            return false;
        }
        spaced = space;
    }
    !spaced
}

/// `id`: 1 to 64 letters, digits, hyphens and points.
pub fn is_id(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.'))
}

/// `oid`: `urn:oid:` and arcs without leading zeros.
pub fn is_oid(text: &str) -> bool {
    let Some((root, arcs)) = text.strip_prefix("urn:oid:").and_then(|oid| oid.split_once('.')) else { return false };
    let is_arc = |arc: &str| are_digits(arc) && (arc == "0" || !arc.starts_with('0'));
    matches!(root, "0" | "1" | "2") && arcs.split('.').all(is_arc)
}

/// `uuid`: `urn:uuid:` and a UUID in lower case.
pub fn is_uuid(text: &str) -> bool {
    let Some(uuid) = text.strip_prefix("urn:uuid:") else { return false };
    let dashes = [8, 13, 18, 23];
    uuid.len() == 36
        && uuid.bytes().enumerate().all(|(place, byte)| match byte {
            b'-' => dashes.contains(&place),
            b'0'..=b'9' | b'a'..=b'f' => !dashes.contains(&place),
            _ => false,
        })
}

/// `uri`: no whitespace, no control characters.
pub fn is_uri(text: &str) -> bool {
    is_graphic(text) || !text.chars().any(|character| character.is_whitespace() || character.is_control())
}

/// A URI begins with its scheme, as absolute ones do: <https://www.rfc-editor.org/rfc/rfc3986#section-3.1>.
pub fn has_scheme(text: &str) -> bool {
    let (scheme, rest) = text.split_at(until(text.as_bytes(), [b':']));
    rest.len() > 1
        && scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'))
}

/// `string` and `markdown`: no control characters but tab, line feed and carriage return; at most 1 MB.
pub fn is_string(text: &str) -> bool {
    text.bytes().all(|byte| byte >= b' ' || matches!(byte, b'\t' | b'\n' | b'\r')) && is_short(text)
}

/// At most 1 MB, which is counted in characters.
pub(crate) fn is_short(text: &str) -> bool {
    text.len() <= MOST_CHARACTERS || text.chars().count() <= MOST_CHARACTERS
}

/// Nothing but what XML counts as white space.
pub fn is_blank(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r'))
}

/// `base64Binary`: groups of four, whitespace anywhere.
pub fn is_base64(text: &str) -> bool {
    let (mut characters, mut padding) = (0_usize, 0_usize);
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'+' | b'/' if padding == 0 => characters += 1,
            b'=' => padding += 1,
            b' ' | b'\t' | b'\n' | b'\r' => {}
            _ => return false,
        }
    }
    padding <= 2 && (characters + padding).is_multiple_of(4) && characters > 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absolute_uris_begin_with_a_scheme() {
        assert!(["http://a.org", "urn:oid:1.2", "x-y+z.1:a"].into_iter().all(has_scheme));
        assert!(
            ["", "a", "Patient/1", ":a", "a:", "1a:b", "a b:c", "Patient?a=b:c"].iter().all(|text| !has_scheme(text))
        );
    }

    fn check(judge: fn(&str) -> bool, good: &[&str], bad: &[&str]) {
        for text in good {
            assert!(judge(text), "{text} is good");
        }
        for text in bad {
            assert!(!judge(text), "{text} is bad");
        }
    }

    #[test]
    fn dates_are_those_of_the_calendar() {
        let good = ["2020", "2020-02", "2020-02-29", "2000-02-29", "1999-12-31", "-0044-03-15"];
        let bad = [
            "20",
            "2020-",
            "2020-2",
            "2020-13",
            "2020-00",
            "2021-02-29",
            "1900-02-29",
            "2020-04-31",
            "2020-02-30",
            "2020-01-00",
            "2020-01-01-01",
            "20200101",
            "2020/01/01",
            " 2020",
            "2020-01-1",
            "\u{661}\u{661}\u{661}\u{661}",
            "",
            "2020x",
            "0000",
            "-0000-01",
            "2\u{e9}20",
        ];
        check(is_date, &good, &bad);
    }

    #[test]
    fn instants_have_seconds_and_a_zone() {
        let good = [
            "2020-01-01T00:00:00Z",
            "2020-01-01T23:59:60.123456789+14:00",
            "2020-01-01T12:30:00-13:59",
            "-0044-03-15T12:00:00Z",
        ];
        let bad = [
            "2020-01-01",
            "2020-01-01T00:00:00",
            "2020-01-01T00:00Z",
            "2020-01T00:00:00Z",
            "2020-02-30T00:00:00Z",
            "2020-01-01T24:00:00Z",
            "2020-01-01T00:60:00Z",
            "2020-01-01T00:00:61Z",
            "2020-01-01T00:00:00.Z",
            "2020-01-01T00:00:00+14:01",
            "2020-01-01T00:00:00+1:00",
            "2020-01-01t00:00:00Z",
            "2020-01-01T00:00:00ZZ",
            "2020-01-01T00:00:00Z01:00",
            "2020-01-01T00:00:00+",
            "2020-01-01T",
        ];
        check(is_instant, &good, &bad);
        check(is_date_time, &["2020", "2020-01", "2020-01-01", good[0]], &bad[1..]);
    }

    #[test]
    fn times_have_seconds() {
        check(
            is_time,
            &["00:00:00", "23:59:60", "12:00:00.5"],
            &["12:00", "24:00:00", "12:00:00Z", "12:00:00.", "1:00:00", ""],
        );
    }

    #[test]
    fn numbers_keep_their_range_and_form() {
        check(is_integer, &["0", "-1", "2147483647", "-2147483648"], &["2147483648", "1.0", "01", "1e2", "-", ""]);
        check(is_unsigned_int, &["0", "7"], &["-1", "2147483648"]);
        check(is_positive_int, &["1"], &["0", "-1"]);
        check(is_decimal, &["0", "-0.10", "12345678901234567890.1"], &["1e2", "1E2", "01", ".5", "1.", "-"]);
    }

    #[test]
    fn words_have_their_characters() {
        check(is_code, &["a", "a b", "<="], &["", " a", "a ", "a  b", "a\t\tb"]);
        check(is_id, &["a", "A-1.b"], &["", "a b", "a_b", &"a".repeat(65)]);
        check(is_string, &["a\n\tb", "\u{e9}"], &["a\u{1}b"]);
        check(is_string, &[&"\u{e9}".repeat(MOST_CHARACTERS)], &[&"a".repeat(MOST_CHARACTERS + 1)]);
    }

    #[test]
    fn blanks_are_those_of_xml() {
        check(is_blank, &["", " \t\r\n"], &["a", " .", "\u{a0}"]);
    }

    #[test]
    fn uris_oids_uuids() {
        check(is_uri, &["http://example.org/a", "urn:oid:1.2", "Patient"], &["http://example.org/a b", "a\n"]);
        check(
            is_oid,
            &["urn:oid:1.2.3", "urn:oid:2.16.840.0.1"],
            &["1.2.3", "urn:oid:3.1", "urn:oid:1.01", "urn:oid:1", "urn:oid:1."],
        );
        let uuid = "urn:uuid:c757873d-ec9a-4326-a141-556f43239520";
        let upper = uuid.replace("c757873d", "C757873D");
        check(is_uuid, &[uuid], &[&upper, "urn:uuid:c757873dec9a4326a141556f43239520", &uuid[9..]]);
    }

    #[test]
    fn base64_is_in_groups_of_four() {
        check(
            is_base64,
            &["AAAA", "AA==", "AAA=", "AA AA\n/+8=", "A A = ="],
            &["A", "AAA", "A===", "AA=A", "AA-A", "====", " "],
        );
    }
}
