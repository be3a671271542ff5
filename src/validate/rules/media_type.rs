//! MIME types by their grammar. Spec: <https://www.rfc-editor.org/bcp/bcp13.txt>, RFC 2045 section 5.1.

/// The short names that STU3's own pages use where a MIME type belongs (<https://hl7.org/fhir/STU3/http.html#mime-type>).
const SHORT: [&str; 3] = ["xml", "json", "ttl"];

/// `type/subtype` with parameters `; name=value`, or a short name of FHIR's formats.
pub(super) fn is_valid(text: &str) -> bool {
    if SHORT.contains(&text) {
        return true;
    }
    let Some((kind, rest)) = text.split_once('/') else { return false };
    let (subtype, mut rest) = rest.split_at(rest.find([';', ' ']).unwrap_or(rest.len()));
    if !(is_token(kind) && is_token(subtype)) {
        return false;
    }
    loop {
        rest = rest.trim_start_matches(' ');
        if rest.is_empty() {
            return true;
        }
        match rest.strip_prefix(';').and_then(|rest| after_parameter(rest.trim_start_matches(' '))) {
            Some(after) => rest = after,
            None => return false,
        }
    }
}

/// What follows `name=value` or `name="value"`.
fn after_parameter(text: &str) -> Option<&str> {
    let (name, value) = text.split_once('=')?;
    if !is_token(name) {
        return None;
    }
    let Some(quoted) = value.strip_prefix('"') else {
        let (value, rest) = value.split_at(value.find([';', ' ']).unwrap_or(value.len()));
        return is_token(value).then_some(rest);
    };
    let mut escaped = false;
    let end = quoted.find(|character| {
        let ends = character == '"' && !escaped;
        escaped = character == '\\' && !escaped;
        ends
    })?;
    let (value, rest) = quoted.split_at(end);
    value.chars().all(|character| !character.is_control()).then(|| &rest[1..])
}

fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`{|}~".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::is_valid;

    #[test]
    fn grammar_decides() {
        for good in [
            "text/plain",
            "application/fhir+json",
            "text/plain; charset=utf-8",
            "text/plain;charset=\"utf-8\" ; format=flowed",
            "application/x; name=\"a \\\" b; c\"",
            "image/svg+xml",
            "json",
        ] {
            assert!(is_valid(good), "{good}");
        }
        for bad in [
            "",
            "text",
            "text/",
            "/plain",
            "text/pl ain",
            "text/plain;",
            "text/plain; charset",
            "text/plain; charset=",
            "text/plain; charset=\"utf-8",
            "text/plain; a=b c",
            "text/plain/x",
        ] {
            assert!(!is_valid(bad), "{bad}");
        }
    }
}
