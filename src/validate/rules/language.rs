//! Language tags by their grammar. Spec: <https://www.rfc-editor.org/rfc/bcp/bcp47.txt>, section 2.1 and 2.2.9.

use std::iter::Peekable;

/// Tags that were registered before there was a grammar and do not follow it.
const IRREGULAR: [&str; 17] = [
    "en-GB-oed",
    "i-ami",
    "i-bnn",
    "i-default",
    "i-enochian",
    "i-hak",
    "i-klingon",
    "i-lux",
    "i-mingo",
    "i-navajo",
    "i-pwn",
    "i-tao",
    "i-tay",
    "i-tsu",
    "sgn-BE-FR",
    "sgn-BE-NL",
    "sgn-CH-DE",
];

/// A language, then script, region, variants, extensions and private use in their order; or private use alone; or a tag
/// of the time before.
pub(super) fn is_valid(text: &str) -> bool {
    let sound =
        |subtag: &str| (1..=8).contains(&subtag.len()) && subtag.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if !text.split('-').all(sound) {
        return false;
    }
    let mut subtags = text.split('-').peekable();
    (language(&mut subtags) && variants(&mut subtags) && extensions(&mut subtags))
        || IRREGULAR.iter().any(|tag| tag.eq_ignore_ascii_case(text))
}

/// Language, extended language, script and region. Private use alone has none of them.
fn language<'t>(subtags: &mut Peekable<impl Iterator<Item = &'t str>>) -> bool {
    if subtags.peek().is_some_and(|subtag| subtag.eq_ignore_ascii_case("x")) {
        return true;
    }
    let Some(language) = subtags.next_if(|subtag| subtag.len() >= 2 && is_alphabetic(subtag)) else { return false };
    // extended languages stand after two or three letters only
    let most = if language.len() <= 3 { 3 } else { 0 };
    for _ in 0..most {
        if subtags.next_if(|subtag| subtag.len() == 3 && is_alphabetic(subtag)).is_none() {
            break;
        }
    }
    let _script = subtags.next_if(|subtag| subtag.len() == 4 && is_alphabetic(subtag));
    let _region = subtags.next_if(|subtag| match subtag.len() {
        2 => is_alphabetic(subtag),
        3 => subtag.bytes().all(|byte| byte.is_ascii_digit()),
        _ => false,
    });
    true
}

/// None of them twice.
fn variants<'t>(subtags: &mut Peekable<impl Iterator<Item = &'t str>>) -> bool {
    let mut seen: Vec<&str> = Vec::new();
    while let Some(variant) =
        subtags.next_if(|subtag| subtag.len() >= 5 || (subtag.len() == 4 && subtag.as_bytes()[0].is_ascii_digit()))
    {
        if seen.iter().any(|known| known.eq_ignore_ascii_case(variant)) {
            return false;
        }
        seen.push(variant);
    }
    true
}

/// A letter or digit and what it announces, none of them twice; `x` and whatever follows it last.
fn extensions<'t>(subtags: &mut Peekable<impl Iterator<Item = &'t str>>) -> bool {
    let mut seen = 0_u128;
    while let Some(singleton) = subtags.next() {
        let &[letter] = singleton.as_bytes() else { return false };
        let letter = letter.to_ascii_lowercase();
        let repeated = seen & 1 << letter != 0;
        seen |= 1 << letter;
        let mut parts = 0_usize;
        while subtags.next_if(|subtag| letter == b'x' || subtag.len() >= 2).is_some() {
            parts += 1;
        }
        if repeated || parts == 0 {
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
        for good in [
            "nl",
            "en-US",
            "en-us",
            "zh-Hant-TW",
            "zh-cmn-Hans-CN",
            "sl-rozaj-1994",
            "de-CH-x-phonebk",
            "x-klingon",
            "x-a-1",
            "es-419",
            "en-u-ca-gregory",
            "en-a-bbb-x-a-ccc",
            "de-1996-u-co-phonebk",
            "i-klingon",
            "I-LUX",
            "en-GB-oed",
            "sgn-be-fr",
            "zh-min-nan",
            "art-lojban",
            "cel-gaulish",
            "qaa-Qaaa-QM-x-southern",
        ] {
            assert!(is_valid(good), "{good}");
        }
        for bad in [
            "",
            "n",
            "x",
            "i",
            "i-mine",
            "en_US",
            "en-",
            "-en",
            "en-u",
            "en-u-x-a",
            "toolonglanguage",
            "en-US-US",
            "en-US-Latn",
            "12",
            "1a",
            "de-1996-1996",
            "de-rozaj-1994-Rozaj",
            "en-a-bb-a-cc",
            "en-x",
            "n\u{e9}",
        ] {
            assert!(!is_valid(bad), "{bad}");
        }
    }
}
