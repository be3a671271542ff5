//! Character references, and what raw text stands for.

/// The character that a reference stands for, without `&` and `;`.
pub(super) fn referred(name: &str) -> Option<char> {
    let number = |digits: &str, radix| {
        let sound = !digits.is_empty() && digits.bytes().all(|byte| char::from(byte).is_digit(radix));
        let character = sound.then(|| u32::from_str_radix(digits, radix).ok()).flatten().and_then(char::from_u32)?;
        (character >= ' ' || matches!(character, '\t' | '\n' | '\r')).then_some(character)
    };
    match name {
        "amp" => Some('&'),
        "lt" => Some('<'),
        "gt" => Some('>'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        name => match name.strip_prefix("#x") {
            Some(digits) => number(digits, 16),
            None => number(name.strip_prefix('#')?, 10),
        },
    }
}

/// The text that an attribute's raw value stands for; the reader has checked its references.
pub(in crate::fhir) fn unescape(raw: &str) -> String {
    let mut text = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some(at) = rest.find(['&', '\t', '\n', '\r']) {
        text.push_str(&rest[..at]);
        let found = rest.as_bytes()[at];
        rest = &rest[at + 1..];
        if found == b'&' {
            let end = rest.find(';').unwrap_or(rest.len());
            text.push(referred(&rest[..end]).unwrap_or(char::REPLACEMENT_CHARACTER));
            rest = rest.get(end + 1..).unwrap_or_default();
        } else {
            // a line end of two characters is one
            if found == b'\r' && rest.starts_with('\n') {
                rest = &rest[1..];
            }
            text.push(' ');
        }
    }
    text.push_str(rest);
    text
}

/// Markup with every character as itself that may stand so: `&#39;` is `'`, and `&lt;` stays. This is how the release
/// prints the narratives of its JSON.
pub(in crate::fhir) fn markup(raw: &str) -> String {
    let mut text = String::with_capacity(raw.len());
    let mut rest = raw;
    // inside a tag, and there between these quotes
    let (mut in_tag, mut quote) = (false, None);
    while let Some(at) = rest.find(['&', '\r', '<', '>', '"', '\'']) {
        text.push_str(&rest[..at]);
        let found = rest.as_bytes()[at];
        rest = &rest[at + 1..];
        match found {
            b'&' => {
                let end = rest.find(';').unwrap_or(rest.len());
                let character = referred(&rest[..end]);
                rest = rest.get(end + 1..).unwrap_or_default();
                match character {
                    Some('&') | None => text.push_str("&amp;"),
                    Some('<') => text.push_str("&lt;"),
                    Some('>') => text.push_str("&gt;"),
                    Some('"') => text.push_str("&quot;"),
                    Some('\'') if quote == Some(b'\'') => text.push_str("&#39;"),
                    Some(character) => text.push(character),
                }
                continue;
            }
            // a line end of two characters is one
            b'\r' => {
                rest = rest.strip_prefix('\n').unwrap_or(rest);
                text.push('\n');
                continue;
            }
            b'<' if quote.is_none() => in_tag = true,
            b'>' if quote.is_none() => in_tag = false,
            b'"' | b'\'' if in_tag && quote.is_none() => quote = Some(found),
            b'"' | b'\'' if quote == Some(found) => quote = None,
            _ => {}
        }
        text.push(char::from(found));
    }
    text.push_str(rest);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_what_their_references_and_spaces_stand_for() {
        assert_eq!(unescape("a&lt;b&amp;&#x263A;&#10;c\r\nd\te"), "a<b&\u{263a}\nc d e");
    }

    #[test]
    fn markup_keeps_the_references_that_it_needs() {
        assert_eq!(
            markup("<p a=\"&#39;&quot;\">&#39;&lt;&#233;&quot;</p>\r\n"),
            "<p a=\"'&quot;\">'&lt;\u{e9}&quot;</p>\n"
        );
    }
}
