//! Language tags by their grammar. Spec: <https://www.rfc-editor.org/rfc/bcp/bcp47.txt>, section 2.1.

/// A language, then script, region, variants, extensions and private use in their order; or private use alone.
pub(super) fn is_valid(text: &str) -> bool {
    let mut subtags = text.split('-').peekable();
    if !text
        .split('-')
        .all(|subtag| (1..=8).contains(&subtag.len()) && subtag.bytes().all(|b| b.is_ascii_alphanumeric()))
    {
        return false;
    }
    let Some(language) = subtags.next() else { return false };
    if language.eq_ignore_ascii_case("x") || language.eq_ignore_ascii_case("i") {
        return subtags.next().is_some();
    }
    if !(2..=8).contains(&language.len()) || !is_alphabetic(language) {
        return false;
    }
    for _ in 0..3 {
        // extended language subtags, after a language of two or three letters only
        if language.len() > 3 || subtags.next_if(|subtag| subtag.len() == 3 && is_alphabetic(subtag)).is_none() {
            break;
        }
    }
    let _script = subtags.next_if(|subtag| subtag.len() == 4 && is_alphabetic(subtag));
    let _region = subtags.next_if(|subtag| {
        (subtag.len() == 2 && is_alphabetic(subtag))
            || (subtag.len() == 3 && subtag.bytes().all(|b| b.is_ascii_digit()))
    });
    while subtags
        .next_if(|subtag| subtag.len() >= 5 || (subtag.len() == 4 && subtag.as_bytes()[0].is_ascii_digit()))
        .is_some()
    {}
    while let Some(singleton) = subtags.next() {
        let private = singleton.eq_ignore_ascii_case("x");
        if singleton.len() != 1 || subtags.peek().is_none() {
            return false;
        }
        let mut parts = 0;
        while subtags.next_if(|subtag| private || subtag.len() >= 2).is_some() {
            parts += 1;
        }
        if parts == 0 {
            return false;
        }
    }
    true
}

fn is_alphabetic(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphabetic())
}

#[cfg(test)]
mod tests {
    use super::is_valid;

    #[test]
    fn grammar_decides() {
        for good in
            ["nl", "en-US", "zh-Hant-TW", "sl-rozaj-1994", "de-CH-x-phonebk", "x-klingon", "es-419", "en-u-ca-gregory"]
        {
            assert!(is_valid(good), "{good}");
        }
        for bad in ["", "n", "en_US", "en-", "en-u", "toolonglanguage", "en-US-US", "12"] {
            assert!(!is_valid(bad), "{bad}");
        }
    }
}
