//! MIME types by their grammar. Spec: <https://www.rfc-editor.org/bcp/bcp13.txt>, RFC 2045 section 5.1.

/// The short names that STU3's own pages use where a MIME type belongs (<https://hl7.org/fhir/STU3/http.html#mime-type>).
const SHORT: [&str; 3] = ["xml", "json", "ttl"];

/// `type/subtype` with parameters, or a short name of FHIR's formats.
pub(super) fn is_valid(text: &str) -> bool {
    if SHORT.contains(&text) {
        return true;
    }
    let (essence, parameters) = text.split_once(';').map_or((text, None), |(essence, rest)| (essence, Some(rest)));
    let essence = essence.trim_end_matches(' ');
    essence.split_once('/').is_some_and(|(kind, subtype)| is_token(kind) && is_token(subtype))
        && parameters.is_none_or(|parameters| {
            !parameters.trim().is_empty() && parameters.chars().all(|character| !character.is_control())
        })
}

fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`{|}~".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::is_valid;

    #[test]
    fn grammar_decides() {
        for good in ["text/plain", "application/fhir+json", "text/plain; charset=utf-8", "image/svg+xml", "json"] {
            assert!(is_valid(good), "{good}");
        }
        for bad in ["", "text", "text/", "/plain", "text/pl ain", "text/plain;"] {
            assert!(!is_valid(bad), "{bad}");
        }
    }
}
