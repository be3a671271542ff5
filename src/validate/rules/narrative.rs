//! The human-readable text: an XHTML `div` without active content.
//! Spec: <https://hl7.org/fhir/STU3/narrative.html>.

use crate::{
    fhir::NodeId,
    validate::{
        context::Context,
        issue::{At, Findings, Rule},
    },
};

const PAGE: &str = "https://hl7.org/fhir/STU3/narrative.html";

static NARRATIVE_DIV: Rule = Rule::error("narrative-div", "structure", PAGE);
static NARRATIVE_ACTIVE: Rule = Rule::error("txt-1", "security", PAGE);

static NARRATIVE_BLANK: Rule = Rule::error("txt-2", "invariant", PAGE);

/// The keys of this family.
pub(crate) static RULES: &[&Rule] = &[&NARRATIVE_DIV, &NARRATIVE_ACTIVE, &NARRATIVE_BLANK];

/// Elements that run, load or frame something; the page forbids each of them.
const ACTIVE: [&str; 17] = [
    "applet", "base", "body", "button", "embed", "form", "frame", "frameset", "head", "iframe", "input", "link",
    "meta", "object", "script", "select", "textarea",
];

/// Attributes whose value is a URL.
const LINKS: [&str; 4] = ["href", "src", "action", "xlink:href"];

/// A Narrative; its `div` is one XHTML element of that name.
pub(crate) fn check(cx: &Context<'_, '_>, narrative: NodeId, out: &mut Findings<'_>) {
    let Some(div) = cx.document.get(narrative, "div") else { return };
    let Some(text) = cx.string(narrative, "div").filter(|text| !text.is_empty()) else { return };
    let inner = text.trim();
    let opened = inner.strip_prefix("<div").is_some_and(|rest| rest.starts_with([' ', '>', '/', '\t', '\n', '\r']));
    let closed = inner.ends_with("</div>") || (inner.ends_with("/>") && inner.matches('<').count() == 1);
    if !(opened && closed) {
        let text = "the narrative is one XHTML element: begin with <div xmlns=\"http://www.w3.org/1999/xhtml\"> and end with </div>";
        out.add(cx, &NARRATIVE_DIV, At::below(div, ".div"), text);
    }
    if is_blank(inner) {
        let text = "the narrative shows nothing: write some text into the div, or leave the narrative out";
        out.add(cx, &NARRATIVE_BLANK, At::below(div, ".div"), text);
    }
    if let Some(what) = active_content(inner) {
        out.add(cx, &NARRATIVE_ACTIVE, At::below(div, ".div"), format!("the narrative holds {what}: remove it"));
    }
}

/// Neither text nor an image stands in it.
fn is_blank(text: &str) -> bool {
    !text.contains("<img")
        && text.split('<').all(|part| part.split_once('>').map_or(part, |(_, after)| after).trim().is_empty())
}

/// What runs or loads something, for people; `None` in a harmless text.
fn active_content(text: &str) -> Option<&'static str> {
    let mut rest = text;
    while let Some(start) = rest.find('<') {
        rest = &rest[start + 1..];
        if let Some(comment) = rest.strip_prefix("!--") {
            rest = comment.split_once("-->").map_or("", |(_, after)| after);
            continue;
        }
        if rest.starts_with('!') || rest.starts_with('?') {
            return Some("a declaration or processing instruction");
        }
        let name_length = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == ':')).unwrap_or(rest.len());
        let (name, attributes) = rest.split_at(name_length);
        let local = name.rsplit(':').next().unwrap_or(name);
        if ACTIVE.iter().any(|active| active.eq_ignore_ascii_case(local)) {
            return Some("an element that may run or load something (script, form, frame or object)");
        }
        let (found, after) = active_attribute(attributes);
        if found.is_some() {
            return found;
        }
        rest = after;
    }
    None
}

/// Reads the attributes of a tag; returns what is active among them, and the text after the tag.
fn active_attribute(mut rest: &str) -> (Option<&'static str>, &str) {
    loop {
        rest = rest.trim_start_matches(|c: char| c.is_whitespace() || c == '/');
        if let Some(after) = rest.strip_prefix('>') {
            return (None, after);
        }
        if rest.is_empty() || rest.starts_with('<') {
            return (None, rest);
        }
        let length = rest.find(|c: char| c.is_whitespace() || matches!(c, '=' | '>' | '/' | '<')).unwrap_or(rest.len());
        if length == 0 {
            // a stray character: step over it
            let mut characters = rest.chars();
            characters.next();
            rest = characters.as_str();
            continue;
        }
        let (name, after) = rest.split_at(length);
        rest = after.trim_start();
        let mut value = "";
        if let Some(after) = rest.strip_prefix('=') {
            let after = after.trim_start();
            let quote = after.chars().next().filter(|c| matches!(c, '"' | '\''));
            (value, rest) = match quote {
                Some(quote) => after[1..].split_once(quote).unwrap_or((&after[1..], "")),
                None => after.split_at(after.find([' ', '>']).unwrap_or(after.len())),
            };
        }
        let lower = name.to_ascii_lowercase();
        if lower.starts_with("on") {
            return (Some("an event handler"), rest);
        }
        if LINKS.contains(&lower.as_str()) && runs(value) {
            return (Some("a link that runs a script"), rest);
        }
    }
}

/// The URL's scheme is one that browsers execute. Character references hide nothing here: a scheme never needs one.
fn runs(url: &str) -> bool {
    let scheme: String = url
        .chars()
        .filter(|c| !c.is_whitespace() && !c.is_control())
        .take_while(|c| *c != ':' && *c != '/')
        .collect::<String>()
        .to_ascii_lowercase();
    matches!(scheme.as_str(), "javascript" | "vbscript") || (scheme.contains("&#") && !scheme.starts_with('#'))
}

#[cfg(test)]
mod tests {
    use super::{active_content, is_blank};
    use crate::validate::testing::findings;

    #[test]
    fn a_narrative_is_one_div_that_shows_something() {
        let patient =
            |div: &str| format!(r#"{{"resourceType":"Patient","text":{{"status":"generated","div":"{div}"}}}}"#);
        assert_eq!(findings(&patient("<div>a</div>")), Vec::<String>::new());
        assert_eq!(findings(&patient("a")), ["narrative-div Patient.text.div"]);
        assert_eq!(findings(&patient("<divide>a</divide>")), ["narrative-div Patient.text.div"]);
        assert_eq!(findings(&patient("<div> <p/></div>")), ["txt-2 Patient.text.div"]);
        assert!(!is_blank("<div><img src='a'/></div>") && is_blank("<div/>"));
    }

    #[test]
    fn active_content_is_found() {
        for bad in [
            "<div><script>x</script></div>",
            "<div><SCRIPT/></div>",
            "<div><p onclick=\"x\">a</p></div>",
            "<div><a href=\"javascript:x\">a</a></div>",
            "<div><a href='java\nscript:x'>a</a></div>",
            "<div><a href='&#106;avascript:x'>a</a></div>",
            "<div><p a=b OnLoad='x'/></div>",
            "<div><iframe src='http://example.org'/></div>",
            "<!DOCTYPE html><div/>",
        ] {
            assert!(active_content(bad).is_some(), "{bad}");
        }
    }

    #[test]
    fn harmless_text_passes() {
        for good in [
            "<div xmlns=\"http://www.w3.org/1999/xhtml\"><p class=\"on\">once upon</p></div>",
            "<div><a href=\"Patient/1#x\">a &lt;script&gt;</a><!-- <script> --></div>",
            "<div><img src='data:image/png;base64,AAAA' alt='on=1'/><a name=\"q\"/></div>",
        ] {
            assert_eq!(active_content(good), None, "{good}");
        }
    }
}
