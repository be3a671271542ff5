//! Profiles, security labels and tags are sets. Spec: <https://hl7.org/fhir/STU3/resource.html#Meta>.

use crate::{
    fhir::NodeId,
    validate::{
        context::{Context, items},
        issue::{At, Findings, Rule},
    },
};
use std::{borrow::Cow, collections::HashSet};

static DUPLICATE: Rule = Rule::warning("meta-duplicate", "duplicate", "https://hl7.org/fhir/STU3/resource.html#Meta");

/// The keys of this family.
pub(crate) static RULES: &[&Rule] = &[&DUPLICATE];

/// A Meta; labels and tags count as equal by system and code.
pub(crate) fn check(cx: &Context<'_, '_>, meta: NodeId, out: &mut Findings<'_>) {
    let document = cx.document;
    let repeated = |name: &'static str, out: &mut Findings<'_>| {
        let mut seen: HashSet<[Option<Cow<'_, str>>; 2]> = HashSet::new();
        for (index, item) in items(document, meta, name).enumerate() {
            let value = match document.string(item) {
                Some(profile) => [Some(profile), None],
                None => [cx.string(item, "system"), cx.string(item, "code")],
            };
            if value.iter().any(Option::is_some) && !seen.insert(value) {
                let text = format!("an earlier {name} of this resource is the same: remove one of them");
                out.add(cx, &DUPLICATE, At::below(item, format!(".{name}[{index}]")), text);
            }
        }
    };
    for name in ["profile", "security", "tag"] {
        repeated(name, out);
    }
}

#[cfg(test)]
mod tests {
    use crate::validate::testing::findings;

    #[test]
    fn sets_hold_each_member_once() {
        let source = r#"{"resourceType":"Patient","meta":{"profile":["http://a.org/b","http://a.org/b"],
            "tag":[{"system":"http://a.org","code":"a"},{"system":"http://a.org","code":"b"},
            {"system":"http://a.org","code":"a","display":"c"},{"display":"d"},{"display":"e"}]}}"#;
        assert_eq!(findings(source), ["meta-duplicate Patient.meta.profile[1]", "meta-duplicate Patient.meta.tag[2]"]);
    }
}
