//! The human-readable text: one XHTML `div` with basic formatting, links and images, and nothing that runs.
//! Spec: <https://hl7.org/fhir/STU3/narrative.html>.

use super::{
    formatting::{NAMESPACE, forbidden},
    xhtml::{Fault, Piece, Reader},
};
use crate::{
    fhir::{NodeId, primitive::is_blank},
    validate::{
        context::Context,
        issue::{At, Findings, Rule},
    },
};

const PAGE: &str = "https://hl7.org/fhir/STU3/narrative.html";

static DIV: Rule = Rule::error("narrative-div", "structure", PAGE);
static ENTITY: Rule = Rule::error("narrative-entity", "structure", PAGE);
static IMAGE: Rule = Rule::error("narrative-image", "not-found", PAGE);

/// The release's schema lets a paragraph hold text, links and images; readers of HTML end it where a block begins.
static NESTING: Rule = Rule::error("narrative-nesting", "structure", PAGE);
static TXT_1: Rule = Rule::error("txt-1", "security", PAGE);
static TXT_2: Rule = Rule::error("txt-2", "invariant", PAGE);

/// The keys of this family.
pub(crate) static RULES: &[&Rule] = &[&DIV, &ENTITY, &IMAGE, &NESTING, &TXT_1, &TXT_2];

/// A Narrative; its `div` is one XHTML element of that name.
pub(crate) fn check(cx: &Context<'_, '_>, narrative: NodeId, out: &mut Findings<'_>) {
    let Some(div) = cx.document.get(narrative, "div") else { return };
    let Some(text) = cx.string(narrative, "div").filter(|text| !text.is_empty()) else { return };
    let place = Place(div);
    let mut reader = Reader::new(&text);
    let (mut shown, mut broken, mut told) = (false, false, Vec::new());
    while let Some(piece) = reader.next() {
        match piece {
            Ok(Piece::Text(text)) => shown = shown || !is_blank(text),
            Ok(Piece::Start(name)) => {
                shown |= name == "img";
                if reader.is_at_root() {
                    root(cx, place, name, reader.attributes(), out);
                }
                if let Some(what) = forbidden(name, reader.attributes()) {
                    // one finding a kind: all of them have the same place
                    if !told.contains(&what) {
                        told.push(what);
                        out.add(cx, &TXT_1, place.at(), format!("the narrative holds {what}: remove it"));
                    }
                } else if name == "img" {
                    image(cx, place, reader.attributes(), out);
                } else if reader.is_in_paragraph() && is_block(name) {
                    broken = true;
                }
            }
            Err(fault) => {
                shown = true;
                self::fault(cx, place, fault, out);
            }
        }
    }
    if broken {
        let text = "a paragraph of the narrative holds another paragraph, a list, a table or the like: \
                    end it (</p>) before them";
        out.add(cx, &NESTING, place.at(), text);
    }
    if !shown && told.is_empty() {
        let text = "the narrative shows nothing: write some text into the div, or leave the narrative out";
        out.add(cx, &TXT_2, place.at(), text);
    }
}

/// What stands beside paragraphs, by XHTML's grammar.
fn is_block(name: &str) -> bool {
    const BLOCKS: [&str; 16] = [
        "address",
        "blockquote",
        "div",
        "dl",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "hr",
        "ol",
        "p",
        "pre",
        "table",
        "ul",
    ];
    BLOCKS.contains(&name)
}

/// The `div`; the path has reached its narrative.
#[derive(Clone, Copy)]
struct Place(NodeId);

impl Place {
    fn at(self) -> At<'static> {
        At::below(self.0, ".div")
    }
}

fn fault(cx: &Context<'_, '_>, place: Place, fault: Fault, out: &mut Findings<'_>) {
    match fault {
        Fault::NotWellFormed(how) => {
            out.add(cx, &DIV, place.at(), format!("the narrative is no well-formed XHTML: {how}"));
        }
        Fault::HtmlEntity => {
            let text = "the narrative uses a name for a character that only HTML knows (&nbsp; and the like): \
                        write the character itself, or its number (&#160;)";
            out.add(cx, &ENTITY, place.at(), text);
        }
        Fault::Declaration => {
            let text = "the narrative holds a declaration or a processing instruction: remove it";
            out.add(cx, &TXT_1, place.at(), text);
        }
    }
}

fn root(cx: &Context<'_, '_>, place: Place, name: &str, attributes: &[(&str, &str)], out: &mut Findings<'_>) {
    let in_namespace = attributes.iter().any(|(name, value)| *name == "xmlns" && *value == NAMESPACE);
    if name != "div" || !in_namespace {
        let text = "the narrative is one XHTML element: begin with <div xmlns=\"http://www.w3.org/1999/xhtml\"> \
                    and end with </div>";
        out.add(cx, &DIV, place.at(), text);
    }
}

/// An image lies in the resource itself, at a relative or web address, or in the address as data.
fn image(cx: &Context<'_, '_>, place: Place, attributes: &[(&str, &str)], out: &mut Findings<'_>) {
    let Some((_, source)) = attributes.iter().find(|(name, _)| *name == "src") else {
        let text = "an image of the narrative has no src: add it, or remove the image";
        return out.add(cx, &IMAGE, place.at(), text);
    };
    if let Some(id) = source.strip_prefix('#') {
        if !cx.has_id(id) {
            let text = "an image of the narrative refers to an id that no element of the resource has: \
                        add the image to contained, or remove it from the narrative";
            out.add(cx, &IMAGE, place.at(), text);
        }
        return;
    }
    let scheme = source.split_once(':').map_or("", |(scheme, _)| scheme).to_ascii_lowercase();
    let relative = scheme.is_empty() || scheme.contains(['/', '?', '#']);
    if !relative && !matches!(scheme.as_str(), "http" | "https" | "data" | "cid") {
        let text = "an image of the narrative lies where a reader cannot get it: \
                    give it a web address, or put it into the address as data";
        out.add(cx, &IMAGE, place.at(), text);
    }
}

#[cfg(test)]
mod tests {
    use crate::validate::testing::findings;

    const OPEN: &str = "<div xmlns='http://www.w3.org/1999/xhtml'>";

    fn found(div: &str) -> Vec<String> {
        findings(&format!(r#"{{"resourceType":"Patient","text":{{"status":"generated","div":"{div}"}}}}"#))
    }

    fn inside(content: &str) -> Vec<String> {
        found(&format!("{OPEN}{content}</div>"))
    }

    #[test]
    fn a_narrative_is_one_div_that_shows_something() {
        assert_eq!(inside("a"), Vec::<String>::new());
        for bad in ["a", "<div>a</div>", "<divide xmlns='http://www.w3.org/1999/xhtml'>a</divide>", "<p>a</p>"] {
            assert!(found(bad).contains(&"narrative-div Patient.text.div".to_owned()), "{bad}");
        }
        assert_eq!(inside("<b>a"), ["narrative-div Patient.text.div"]);
        assert_eq!(inside("a&nbsp;b"), ["narrative-entity Patient.text.div"]);
        assert_eq!(inside(" <p/>"), ["txt-2 Patient.text.div"]);
        assert_eq!(inside("\u{a0}"), Vec::<String>::new(), "white space is that of XML, as in the release's own XPath");
        assert_eq!(inside("<img src='http://a.org'/>"), Vec::<String>::new());
    }

    #[test]
    fn a_paragraph_holds_no_blocks() {
        for good in
            ["<p>a<b>b</b><br/></p><p>c</p>", "<table><tr><td><p>a</p></td></tr></table>", "<ul><li><p>a</p></li></ul>"]
        {
            assert_eq!(inside(good), Vec::<String>::new(), "{good}");
        }
        for bad in ["<p><div>a</div></p>", "<p><b><ul><li>a</li></ul></b></p>", "<p>a<hr/></p>", "<p><p>a</p></p>"] {
            assert_eq!(inside(bad), ["narrative-nesting Patient.text.div"], "{bad}");
        }
    }

    #[test]
    fn active_content_is_found() {
        for bad in [
            "<script>x</script>",
            "<SCRIPT/>a",
            "<p onclick='x'>a</p>",
            "<p OnLoad='x'>a</p>",
            "<a href='javascript:x'>a</a>",
            "<a href='java\\nscript:x'>a</a>",
            "<a href='&#106;avascript:x'>a</a>",
            "<iframe src='http://example.org'>a</iframe>",
            "<p style='behavior: url(a)'>a</p>",
            "<ins>a</ins>",
            "<p foo='a'>a</p>",
            "<form>a</form>",
            "<svg xmlns='http://www.w3.org/2000/svg'>a</svg>",
            "a<?b?>",
        ] {
            assert_eq!(inside(bad), ["txt-1 Patient.text.div"], "{bad}");
        }
        assert_eq!(found("<!DOCTYPE html><div/>"), ["txt-1 Patient.text.div"]);
    }

    #[test]
    fn harmless_text_passes() {
        for good in [
            "<p class='on'>once upon</p>",
            "<a href='Patient/1#x'>a &lt;script&gt;</a><!-- <script> -->",
            "<img src='data:image/png;base64,AAAA' alt='on=1'/><a name='q'/>",
            "<table style='background-image: url(data:image/png;base64,AA)'><tr><td colspan='2'>a</td></tr></table>",
        ] {
            assert_eq!(inside(good), Vec::<String>::new(), "{good}");
        }
    }

    #[test]
    fn images_are_there() {
        let image = |source: &str| inside(&format!("a<img src='{source}'/>"));
        for good in ["image.png", "a/b?c=d:e", "https://a.org/b", "data:image/png;base64,AA"] {
            assert_eq!(image(good), Vec::<String>::new(), "{good}");
        }
        assert_eq!(image("#x"), ["narrative-image Patient.text.div"]);
        assert_eq!(image("file:///a.png"), ["narrative-image Patient.text.div"]);
        let source = format!(
            r##"{{"resourceType":"Patient","text":{{"status":"generated","div":"{OPEN}<img src='#x'/></div>"}},
            "photo":[{{"id":"x","title":"a"}}]}}"##
        );
        assert_eq!(findings(&source), Vec::<String>::new());
    }
}
