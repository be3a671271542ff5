//! An attachment's size and hash agree with its data.
//! Spec: <https://hl7.org/fhir/STU3/datatypes.html#Attachment>.

use crate::{
    fhir::{Kind, NodeId, binary, primitive},
    model::Sha1,
    validate::{
        context::Context,
        issue::{At, Findings, Rule},
    },
};

const PAGE: &str = "https://hl7.org/fhir/STU3/datatypes.html#Attachment";

static SIZE: Rule = Rule::error("attachment-size", "value", PAGE);

/// An official example writes the hash in hexadecimal digits, and nobody is harmed by it.
static HASH: Rule = Rule::warning("attachment-hash", "value", PAGE);

/// The keys of this family.
pub(crate) static RULES: &[&Rule] = &[&SIZE, &HASH];

/// An Attachment; without data there is nothing to compare with.
pub(crate) fn check(cx: &Context<'_, '_>, node: NodeId, out: &mut Findings<'_>) {
    let document = cx.document;
    let (size, hash) = (document.get(node, "size"), document.get(node, "hash"));
    if size.is_none() && hash.is_none() {
        return;
    }
    // broken base64 is another family's finding
    let Some(data) = cx.string(node, "data").filter(|data| primitive::is_base64(data)) else { return };
    if let Some(size) = size.filter(|size| document.kind(*size) == Kind::Number) {
        let length = binary::decoded_length(&data);
        let stated = document.text(size).and_then(|text| text.parse::<u64>().ok());
        if stated.is_some_and(|stated| stated != length) {
            let text = format!("the data has {length} bytes, and size says otherwise: correct it, or leave it out");
            out.add(cx, &SIZE, At::below(size, ".size"), text);
        }
    }
    if let (Some(place), Some(stated)) = (hash, cx.string(node, "hash")) {
        let mut digester = Sha1::new();
        binary::decode(&data, |block| digester.update(block));
        let stated: String = stated.split_ascii_whitespace().collect();
        if stated != binary::encode(&digester.finish()) {
            let text = "hash is not the SHA-1 of the data in base64: the data may have been changed on its way; \
                        have it exported again, or leave hash out";
            out.add(cx, &HASH, At::below(place, ".hash"), text);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::validate::testing::{findings, outcome};

    fn media(rest: &str) -> String {
        format!(
            r#"{{"resourceType":"Media","type":"photo","content":{{"contentType":"text/plain","data":"Zm9v YmFy"{rest}}}}}"#
        )
    }

    #[test]
    fn size_and_hash_are_those_of_the_data() {
        // `printf foobar | openssl sha1 -binary | base64`
        assert_eq!(findings(&media(r#","size":6,"hash":"iEPX+SQWIR3p67lj/0zigSWTKHg=""#)), Vec::<String>::new());
        assert_eq!(findings(&media(r#","size":7"#)), ["attachment-size Media.content.size"]);
        let changed = media(r#","size":6,"hash":"iEPX+SQWIR3p67lj/0zigSWTKHg=""#).replace("Zm9v", "Zm9w");
        assert_eq!(findings(&changed), ["attachment-hash Media.content.hash"]);
        assert!(outcome(&changed).valid(), "a warning");
    }

    #[test]
    fn nothing_is_said_without_data_or_of_broken_data() {
        let elsewhere = media(r#","size":7,"hash":"AAAA""#).replace(r#""data":"Zm9v YmFy""#, r#""url":"http://a.org""#);
        assert_eq!(findings(&elsewhere), Vec::<String>::new());
        assert_eq!(findings(&media(r#","size":7"#).replace("Zm9v", "Zm9")), ["format-base64Binary Media.content.data"]);
    }
}
