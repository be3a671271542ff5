//! The basic formatting that a narrative may have: elements, attributes, and what in them would run.
//! Spec: <https://hl7.org/fhir/STU3/narrative.html>, <https://www.w3.org/TR/html40/>.

use crate::fhir::Words;
use std::sync::LazyLock;

/// The namespace of XHTML.
pub(super) const NAMESPACE: &str = "http://www.w3.org/1999/xhtml";

/// What chapters 7 to 11 (without 9.4) and 15 of HTML 4.0 have, with links and images; sorted.
const ELEMENTS: [&str; 61] = [
    "a",
    "abbr",
    "acronym",
    "address",
    "area",
    "b",
    "basefont",
    "bdo",
    "big",
    "blockquote",
    "br",
    "caption",
    "center",
    "cite",
    "code",
    "col",
    "colgroup",
    "dd",
    "dfn",
    "dir",
    "div",
    "dl",
    "dt",
    "em",
    "font",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "hr",
    "i",
    "img",
    "kbd",
    "li",
    "map",
    "menu",
    "ol",
    "p",
    "pre",
    "q",
    "s",
    "samp",
    "small",
    "span",
    "strike",
    "strong",
    "sub",
    "sup",
    "table",
    "tbody",
    "td",
    "tfoot",
    "th",
    "thead",
    "tr",
    "tt",
    "u",
    "ul",
    "var",
];

/// The attributes of those elements; none of them runs anything by itself. Sorted.
const ATTRIBUTES: [&str; 59] = [
    "abbr",
    "accesskey",
    "align",
    "alt",
    "axis",
    "bgcolor",
    "border",
    "cellpadding",
    "cellspacing",
    "char",
    "charoff",
    "charset",
    "cite",
    "class",
    "clear",
    "color",
    "colspan",
    "compact",
    "coords",
    "dir",
    "face",
    "frame",
    "headers",
    "height",
    "href",
    "hreflang",
    "hspace",
    "id",
    "idref",
    "ismap",
    "lang",
    "longdesc",
    "name",
    "nohref",
    "noshade",
    "nowrap",
    "rel",
    "rev",
    "rowspan",
    "rules",
    "scope",
    "shape",
    "size",
    "span",
    "src",
    "start",
    "style",
    "summary",
    "tabindex",
    "title",
    "type",
    "usemap",
    "valign",
    "value",
    "vspace",
    "width",
    "xml:lang",
    "xml:space",
    "xmlns",
];

static KNOWN_ELEMENTS: LazyLock<Words> = LazyLock::new(|| Words::new(&ELEMENTS));
static KNOWN_ATTRIBUTES: LazyLock<Words> = LazyLock::new(|| Words::new(&ATTRIBUTES));

/// What the page does not let stand in a narrative, for people; `None` for a harmless element.
pub(super) fn forbidden(name: &str, attributes: &[(&str, &str)]) -> Option<&'static str> {
    if !KNOWN_ELEMENTS.has(name) {
        return Some("an element that is no basic formatting (script, form, frame, object, head and the like)");
    }
    attributes.iter().find_map(|(name, value)| match *name {
        _ if name.len() > 2 && name[..2].eq_ignore_ascii_case("on") => Some("an event handler"),
        "href" | "src" | "cite" | "longdesc" | "usemap" if runs(value) => Some("a link that runs a script"),
        "style" if is_active(value) => Some("a style that runs or loads something"),
        "xmlns" if *value != NAMESPACE => Some("an element of another namespace"),
        _ if !KNOWN_ATTRIBUTES.has(name) => Some("an attribute that is no basic formatting"),
        _ => None,
    })
}

/// The URL's scheme is one that browsers execute. References to characters hide nothing here: a scheme never needs one.
fn runs(url: &str) -> bool {
    let scheme: String = url
        .chars()
        .filter(|c| !c.is_whitespace() && !c.is_control())
        .take_while(|c| *c != ':' && *c != '/')
        .collect::<String>()
        .to_ascii_lowercase();
    matches!(scheme.as_str(), "javascript" | "vbscript") || (scheme.contains("&#") && !scheme.starts_with('#'))
}

/// Style sheets come with the narrative, and none of them runs a script.
fn is_active(style: &str) -> bool {
    let style = style.to_ascii_lowercase();
    ["@import", "expression(", "javascript:", "vbscript:", "-moz-binding", "behavior:"]
        .iter()
        .any(|active| style.contains(active))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_sorted() {
        assert!(ELEMENTS.is_sorted() && ATTRIBUTES.is_sorted());
    }

    #[test]
    fn every_element_and_attribute_passes_by_itself() {
        for element in ELEMENTS {
            for attribute in ATTRIBUTES.into_iter().filter(|name| *name != "xmlns") {
                assert_eq!(forbidden(element, &[(attribute, "a")]), None, "{element} {attribute}");
            }
        }
        assert_eq!(forbidden("div", &[("xmlns", NAMESPACE)]), None);
    }
}
