//! <http://hl7.org/fhirpath/#string-manipulation>

use super::Call;
use crate::fhir::{
    binary,
    path::{
        PathError,
        ast::Function,
        evaluate::{Evaluator, boolean},
        patterns::anchored,
        value::{Collection, Item},
    },
};
use std::fmt::Write;

pub(super) fn call<'d>(cx: &mut Evaluator<'_, 'd>, call: Call<'_, 'd>) -> Result<Collection<'d>, PathError> {
    if call.function == Function::Join {
        return join(cx, call);
    }
    let text = match cx.single(call.items)? {
        None => return Ok(Vec::new()),
        Some(Item::Text(text)) => text,
        Some(other @ (Item::Temporal(_) | Item::Integer(_) | Item::Decimal(_) | Item::Boolean(_))) => {
            cx.environment.text(&other).unwrap_or_default()
        }
        Some(_) => return Err(PathError::Evaluation("a text is needed here")),
    };
    cx.spend(text.len() / 16)?;
    match call.function {
        Function::Length => return Ok(vec![whole(text.chars().count())]),
        Function::Upper => return made(cx, text.to_uppercase()),
        Function::Lower => return made(cx, text.to_lowercase()),
        Function::Trim => return made(cx, text.trim().to_owned()),
        Function::ToChars => {
            cx.make_items(text.chars().count())?;
            return Ok(text.chars().map(|c| Item::Text(c.to_string().into())).collect());
        }
        Function::Substring => return substring(cx, call, &text),
        _ => {}
    }
    let Some(first) = cx.text_argument(call, 0)? else { return Ok(Vec::new()) };
    Ok(match call.function {
        Function::IndexOf => vec![match text.find(&first) {
            Some(at) => whole(text[..at].chars().count()),
            None => Item::Integer(-1),
        }],
        Function::StartsWith => boolean(text.starts_with(&first)),
        Function::EndsWith => boolean(text.ends_with(&first)),
        Function::ContainsText => boolean(text.contains(&first)),
        Function::Matches => boolean(cx.pattern(&first)?.is_match(&text)),
        Function::MatchesFull => boolean(cx.pattern(&anchored(&first))?.is_match(&text)),
        Function::Split => {
            cx.make_items(text.matches(&first).count() + 1)?;
            text.split(&first).map(|part| Item::Text(part.to_owned().into())).collect()
        }
        Function::Replace => {
            let Some(second) = cx.text_argument(call, 1)? else { return Ok(Vec::new()) };
            let made_more = text.matches(&first).count().saturating_mul(second.len());
            cx.make_text(text.len().saturating_add(made_more))?;
            return made(cx, text.replace(&first, &second));
        }
        Function::ReplaceMatches => {
            let Some(second) = cx.text_argument(call, 1)? else { return Ok(Vec::new()) };
            if first.is_empty() {
                return made(cx, text.into_owned());
            }
            let pattern = cx.pattern(&first)?;
            let replaced = replace_matches(cx, &pattern, &text, &second)?;
            return made(cx, replaced);
        }
        Function::Encode => return perhaps(cx, encode(&text, &first)),
        Function::Decode => return perhaps(cx, decode(&text, &first)),
        Function::Escape => return perhaps(cx, escape(&text, &first)),
        _ => return perhaps(cx, unescape(&text, &first)),
    })
}

/// A text that was made, paid for.
fn made<'d>(cx: &mut Evaluator<'_, 'd>, text: String) -> Result<Collection<'d>, PathError> {
    cx.make_text(text.len())?;
    Ok(vec![Item::Text(text.into())])
}

fn perhaps<'d>(cx: &mut Evaluator<'_, 'd>, text: Option<String>) -> Result<Collection<'d>, PathError> {
    text.map_or(Ok(Vec::new()), |text| made(cx, text))
}

/// A replacement may hold its match many times: it is paid for before it is written.
fn replace_matches(
    cx: &mut Evaluator<'_, '_>,
    pattern: &regex::Regex,
    text: &str,
    replacement: &str,
) -> Result<String, PathError> {
    let insertions = replacement.matches('$').count();
    let (mut out, mut from) = (String::new(), 0);
    for captures in pattern.captures_iter(text) {
        let found = captures.get_match();
        cx.make_text(replacement.len().saturating_add(found.len().saturating_mul(insertions)))?;
        out.push_str(&text[from..found.start()]);
        captures.expand(replacement, &mut out);
        from = found.end();
    }
    out.push_str(&text[from..]);
    Ok(out)
}

fn whole<'d>(number: usize) -> Item<'d> {
    Item::Integer(i64::try_from(number).unwrap_or(i64::MAX))
}

fn substring<'d>(cx: &mut Evaluator<'_, 'd>, call: Call<'_, 'd>, text: &str) -> Result<Collection<'d>, PathError> {
    let Some(start) = cx.integer_argument(call, 0)? else { return Ok(Vec::new()) };
    let length = cx.integer_argument(call, 1)?;
    let Ok(start) = usize::try_from(start) else { return Ok(Vec::new()) };
    if start >= text.chars().count() {
        return Ok(Vec::new());
    }
    let length = length.map_or(usize::MAX, |length| usize::try_from(length).unwrap_or(0));
    Ok(vec![Item::Text(text.chars().skip(start).take(length).collect::<String>().into())])
}

fn join<'d>(cx: &mut Evaluator<'_, 'd>, call: Call<'_, 'd>) -> Result<Collection<'d>, PathError> {
    let separator = cx.text_argument(call, 0)?.unwrap_or_default();
    if call.items.is_empty() {
        return Ok(Vec::new());
    }
    let texts: Option<Vec<_>> = call.items.iter().map(|item| cx.environment.text(item)).collect();
    let texts = texts.ok_or(PathError::Evaluation("join() needs texts"))?;
    let separators = separator.len().saturating_mul(texts.len());
    cx.make_text(separators.saturating_add(texts.iter().map(|text| text.len()).sum()))?;
    Ok(vec![Item::Text(texts.join(&separator).into())])
}

fn encode(text: &str, form: &str) -> Option<String> {
    match form {
        "hex" => Some(text.bytes().fold(String::new(), |mut out, byte| {
            let _ = write!(out, "{byte:02x}");
            out
        })),
        "base64" => Some(binary::encode(text.as_bytes())),
        "urlbase64" => Some(binary::encode(text.as_bytes()).replace('+', "-").replace('/', "_")),
        _ => None,
    }
}

fn decode(text: &str, form: &str) -> Option<String> {
    let bytes = match form {
        "hex" => (0..text.len()).step_by(2).map(|at| u8::from_str_radix(text.get(at..at + 2)?, 16).ok()).collect(),
        "base64" => Some(from_base64(text)),
        "urlbase64" => Some(from_base64(&text.replace('-', "+").replace('_', "/"))),
        _ => None,
    };
    String::from_utf8(bytes?).ok()
}

fn from_base64(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    binary::decode(text, |block| bytes.extend_from_slice(block));
    bytes
}

fn escape(text: &str, form: &str) -> Option<String> {
    match form {
        "html" => Some(
            text.replace('&', "&amp;")
                .replace('<', "&lt;")
                .replace('>', "&gt;")
                .replace('"', "&quot;")
                .replace('\'', "&#39;"),
        ),
        "json" => Some(text.replace('\\', "\\\\").replace('"', "\\\"")),
        _ => None,
    }
}

fn unescape(text: &str, form: &str) -> Option<String> {
    match form {
        "html" => Some(
            text.replace("&lt;", "<")
                .replace("&gt;", ">")
                .replace("&quot;", "\"")
                .replace("&#39;", "'")
                .replace("&amp;", "&"),
        ),
        "json" => Some(text.replace("\\\"", "\"").replace("\\\\", "\\")),
        _ => None,
    }
}
