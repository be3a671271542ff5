//! The formats of the release's primitive types (<http://hl7.org/fhir/STU3/datatypes.html#primitive>), with real calendar days.
//!
//! Written by hand where the published expressions are wrong or missing: base64 may hold white space and
//! `/`, the day 00 is no day, a decimal has no exponent, and seconds may be 60.

/// Longest string, in bytes.
const STRING_MAX: usize = 1024 * 1024;

/// `string` and `markdown`: not only white space, no control characters but tab, line feed and carriage return, at most 1 MB.
pub fn is_string(text: &str) -> bool {
    text.len() <= STRING_MAX
        && !text.trim().is_empty()
        && !text.bytes().any(|byte| byte < 0x20 && !matches!(byte, b'\t' | b'\n' | b'\r'))
}

/// `code`: no white space around it, and single spaces inside.
pub fn is_code(text: &str) -> bool {
    !text.is_empty() && text.split(' ').all(|part| !part.is_empty() && !part.contains(char::is_whitespace))
}

/// `id`: 1 to 64 letters, digits, `-` and `.`.
pub fn is_id(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.'))
}

/// `uri`: no white space.
pub fn is_uri(text: &str) -> bool {
    !text.is_empty() && !text.contains(char::is_whitespace)
}

/// `oid`: `urn:oid:` and dotted numbers without leading zeros, the first 0, 1 or 2.
pub fn is_oid(text: &str) -> bool {
    let Some(numbers) = text.strip_prefix("urn:oid:") else { return false };
    let number = |part: &str| digits(part).is_some() && (part == "0" || !part.starts_with('0'));
    matches!(numbers.as_bytes(), [b'0'..=b'2', b'.', ..]) && numbers.split('.').all(number)
}

/// `uuid`: `urn:uuid:` and the five groups of RFC 4122.
pub fn is_uuid(text: &str) -> bool {
    let Some(groups) = text.strip_prefix("urn:uuid:") else { return false };
    let lengths = [8, 4, 4, 4, 12];
    groups.split('-').count() == lengths.len()
        && groups
            .split('-')
            .zip(lengths)
            .all(|(group, length)| group.len() == length && group.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// `integer`: 32 bits, no leading zeros.
pub fn is_integer(text: &str) -> bool {
    let number = text.strip_prefix('-').unwrap_or(text);
    digits(number).is_some() && (number == "0" || !number.starts_with('0')) && text.parse::<i32>().is_ok()
}

/// `unsignedInt`: an integer from 0.
pub fn is_unsigned_int(text: &str) -> bool {
    is_integer(text) && !text.starts_with('-')
}

/// `positiveInt`: an integer from 1.
pub fn is_positive_int(text: &str) -> bool {
    is_unsigned_int(text) && text != "0"
}

/// `decimal`: digits, and a fraction where wanted; no exponent.
pub fn is_decimal(text: &str) -> bool {
    let number = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = match number.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (number, None),
    };
    digits(whole).is_some()
        && (whole == "0" || !whole.starts_with('0'))
        && fraction.is_none_or(|part| digits(part).is_some())
}

/// `base64Binary`: RFC 4648 with padding; white space between is allowed.
pub fn is_base64(text: &str) -> bool {
    let (mut count, mut padding) = (0_usize, 0_usize);
    for byte in text.bytes() {
        match byte {
            b' ' | b'\t' | b'\r' | b'\n' => {}
            b'=' => padding += 1,
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'+' | b'/' if padding == 0 => count += 1,
            _ => return false,
        }
    }
    count > 0 && padding <= 2 && (count + padding).is_multiple_of(4)
}

/// `date`: a year, a month or a day that exists.
pub fn is_date(text: &str) -> bool {
    split_date(text).is_some_and(|(_, rest)| rest.is_empty())
}

/// `dateTime`: a date, or a day with a time and its zone.
pub fn is_date_time(text: &str) -> bool {
    match split_date(text) {
        Some((_, "")) => true,
        Some((Precision::Day, rest)) => is_zoned_time(rest),
        _ => false,
    }
}

/// `instant`: a day with a time to the second and its zone.
pub fn is_instant(text: &str) -> bool {
    matches!(split_date(text), Some((Precision::Day, rest)) if is_zoned_time(rest))
}

/// `time`: hours, minutes and seconds without a zone.
pub fn is_time(text: &str) -> bool {
    split_time(text) == Some("")
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Precision {
    Year,
    Month,
    Day,
}

/// Takes as much of a date as there is from the beginning.
fn split_date(text: &str) -> Option<(Precision, &str)> {
    let (year, rest) = number(text, 4)?;
    let Some(rest) = rest.strip_prefix('-') else { return Some((Precision::Year, rest)) };
    let (month, rest) = number(rest, 2)?;
    if !(1..=12).contains(&month) {
        return None;
    }
    let Some(rest) = rest.strip_prefix('-') else { return Some((Precision::Month, rest)) };
    let (day, rest) = number(rest, 2)?;
    (1..=days_of(year, month)).contains(&day).then_some((Precision::Day, rest))
}

/// How many days a month has (Gregorian calendar).
fn days_of(year: u32, month: u32) -> u32 {
    match month {
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// `Thh:mm:ss[.fff]` and `Z` or an offset.
fn is_zoned_time(text: &str) -> bool {
    let Some(zone) = text.strip_prefix('T').and_then(split_time) else { return false };
    if zone == "Z" {
        return true;
    }
    let Some(offset) = zone.strip_prefix(['+', '-']) else { return false };
    let hours = number(offset, 2).and_then(|(hours, rest)| Some((hours, rest.strip_prefix(':')?)));
    let minutes = hours.and_then(|(hours, rest)| number(rest, 2).map(|(minutes, rest)| (hours, minutes, rest)));
    // The release's zones go from -14:00 to +14:00.
    minutes.is_some_and(|(hours, minutes, rest)| rest.is_empty() && minutes < 60 && hours * 60 + minutes <= 14 * 60)
}

/// Takes `hh:mm:ss[.fff]`; a leap second has the number 60.
fn split_time(text: &str) -> Option<&str> {
    let (hours, rest) = number(text, 2)?;
    let (minutes, rest) = number(rest.strip_prefix(':')?, 2)?;
    let (seconds, rest) = number(rest.strip_prefix(':')?, 2)?;
    if hours > 23 || minutes > 59 || seconds > 60 {
        return None;
    }
    let Some(fraction) = rest.strip_prefix('.') else { return Some(rest) };
    let end = fraction.find(|c: char| !c.is_ascii_digit()).unwrap_or(fraction.len());
    (end > 0).then(|| &fraction[end..])
}

/// Exactly so many digits at the beginning.
fn number(text: &str, length: usize) -> Option<(u32, &str)> {
    let digits = text.get(..length).and_then(digits)?;
    Some((digits.parse().ok()?, &text[length..]))
}

/// The text where it is digits alone.
fn digits(text: &str) -> Option<&str> {
    (!text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sorts(is: fn(&str) -> bool, good: &[&str], bad: &[&str]) {
        for text in good {
            assert!(is(text), "{text:?} is right");
        }
        for text in bad {
            assert!(!is(text), "{text:?} is wrong");
        }
    }

    #[test]
    fn dates_exist() {
        let good = ["2016", "2016-02", "2016-02-29", "2000-02-29", "0001-12-31"];
        let bad = [
            "",
            "16",
            "2016-",
            "2016-13",
            "2016-00",
            "2016-02-30",
            "2015-02-29",
            "1900-02-29",
            "2016-01-00",
            "2016-1-1",
            "2016-04-31",
            "2016-02-29T",
        ];
        sorts(is_date, &good, &bad);
        let bad = [
            "2016-02-29T10:00Z",
            "2016-02-29T10:00:00",
            "2016-02T10:00:00Z",
            "2016-02-29T24:00:00Z",
            "2016-02-29T10:00:00+14:01",
            "2016-02-29T10:00:00.Z",
            "2016-02-29 10:00:00Z",
            "2016-02-30T10:00:00Z",
            "2016-02-29T10:00:00ZZ",
        ];
        sorts(
            is_date_time,
            &["2016", "2016-02-29", "2016-02-29T10:00:00Z", "2016-02-29T23:59:60.123456789-14:00"],
            &bad,
        );
        sorts(is_instant, &["2016-02-29T10:00:00+02:00"], &["2016-02-29", "2016-02-29T10:00:00"]);
        sorts(is_time, &["00:00:00", "23:59:60.5"], &["24:00:00", "10:00", "10:00:00Z", "10:00:00.", "1:00:00"]);
    }

    #[test]
    fn numbers_keep_their_ranges() {
        sorts(
            is_integer,
            &["0", "-1", "2147483647", "-2147483648"],
            &["", "-", "01", "+1", "1.0", "2147483648", "1e2"],
        );
        sorts(is_unsigned_int, &["0", "7"], &["-1", "-0"]);
        sorts(is_positive_int, &["1"], &["0", "-1"]);
        sorts(is_decimal, &["0", "-0.0", "1.10", "12345678901234567890.123"], &["", ".5", "1.", "1e2", "01", "+1"]);
    }

    #[test]
    fn names_and_texts() {
        sorts(is_code, &["a", "a b"], &["", " a", "a ", "a  b", "a\tb"]);
        sorts(is_id, &["a-1.B"], &["", "a_b", "a b", &"x".repeat(65)]);
        sorts(is_string, &["a", " a\n"], &["", " \n", "a\u{1}"]);
        sorts(is_uri, &["urn:x", "a"], &["", "a b"]);
        sorts(is_oid, &["urn:oid:1.2.0"], &["1.2", "urn:oid:3.1", "urn:oid:1.02", "urn:oid:1."]);
        let uuid = "urn:uuid:c757873d-ec9a-4326-a141-556f43239520";
        sorts(
            is_uuid,
            &[uuid, &uuid.to_uppercase().replace("URN:UUID:", "urn:uuid:")],
            &[&uuid[9..], &uuid[..40], "urn:uuid:"],
        );
        sorts(is_base64, &["QQ==", "QUI=", "QUJD", "Q U\nJD", "a/+b"], &["", "Q", "QQ=", "QQ==QQ==", "Q-__", "===="]);
    }
}
