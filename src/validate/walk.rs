//! The traversal by the release's own rules: every node once, in document order; the rules are called where they apply.

use super::{
    Families,
    code_server::{Asking, CodeServer},
    conformance,
    context::{BundleScope, Context, Path, ResourceScope, Standing},
    issue::Findings,
    policy::Policy,
    rules::{
        attachment,
        binding::{self, Value},
        bundle, cardinality, choice, code_system, concepts, contained, display, element_id, extension, identifier,
        invariant,
        known_extension::{self, List},
        meta, narrative, primitive, quantity,
        questionnaire::{self, Forms},
        range, reference, structure, xml,
    },
};
use crate::{
    fhir::{Document, Kind, NodeId, Remark},
    stu3::{Content, Element, Holder, Most, StructureId, StructureKind, Way},
};
use std::{collections::HashMap, mem};

/// Deeper nodes are not judged, and that is an error: no stack grows with the input.
const MOST_DEPTH: usize = 200;

/// Structures that rules look at as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    /// No rule of its own.
    Plain,
    /// `Reference`.
    Reference,
    /// `Extension`.
    Extension,
    /// `Narrative`.
    Narrative,
    /// `Meta`.
    Meta,
    /// `Range`.
    Range,
    /// `Attachment`.
    Attachment,
    /// `Identifier`.
    Identifier,
    /// `Bundle`.
    Bundle,
    /// `Bundle.entry`.
    BundleEntry,
    /// `CodeSystem`.
    CodeSystem,
    /// `Questionnaire`.
    Questionnaire,
    /// `QuestionnaireResponse`.
    QuestionnaireResponse,
    /// `Coding`, and what has a unit: `Quantity` and the types made of it.
    Coded,
}

/// Walks a document from its root.
pub(super) fn check<'v, 'd>(
    families: &'v Families,
    document: &'d Document<'d>,
    policy: &'v Policy,
    server: Option<&'v dyn CodeServer>,
) -> (Context<'v, 'd>, Findings<'v>) {
    let resource = ResourceScope::new(document, document.root());
    let cx = Context {
        release: families.release,
        terminology: families.terminology,
        library: &families.library,
        policy,
        document,
        path: Path::default(),
        holder: Holder { element: None, holds: families.element },
        resource,
        bundle: None,
        trials: HashMap::new(),
        tries: 0,
        asking: Asking::of(server),
        forms: Forms::default(),
    };
    let mut walk = Walk { families, cx, out: Findings::new(policy), remarks: document.remarks() };
    walk.root();
    (walk.cx, walk.out)
}

struct Walk<'v, 'd> {
    families: &'v Families,
    cx: Context<'v, 'd>,
    out: Findings<'v>,
    /// What the reader of XML remarked about nodes that the walk has not reached.
    remarks: &'d [Remark],
}

/// An element that the walk is at, with the type that its name chose.
#[derive(Clone, Copy)]
struct Member {
    owner: StructureId,
    element: &'static Element,
    way: &'static Way,
}

impl Member {
    /// Its value, which is of this type, as what holds extensions.
    const fn holder(self, holds: StructureId) -> Holder {
        Holder { element: Some((self.owner, self.element.name)), holds }
    }
}

impl<'d> Walk<'_, 'd> {
    fn root(&mut self) {
        let root = self.cx.document.root();
        structure::byte_order_mark(&self.cx, root, &mut self.out);
        if let Some(id) = structure::resource_type(&self.cx, root, &mut self.out) {
            self.cx.path.push(self.cx.release.structure(id).name, None);
            contained::unused(&self.cx, root, &mut self.out);
            self.resource_of(id, root);
            self.cx.path.pop();
        }
    }

    /// A resource inside another; its scopes end with it.
    fn resource(&mut self, node: NodeId, standing: Standing) {
        let Some(id) = structure::resource_type(&self.cx, node, &mut self.out) else { return };
        match standing {
            Standing::Independent => {
                let inner = ResourceScope::new(self.cx.document, node);
                let outer = mem::replace(&mut self.cx.resource, inner);
                contained::unused(&self.cx, node, &mut self.out);
                self.resource_of(id, node);
                self.cx.resource = outer;
            }
            Standing::Contained => {
                contained::check(&self.cx, node, &mut self.out);
                let outer_ids = mem::take(&mut self.cx.resource.element_ids);
                let outer = mem::replace(&mut self.cx.resource.standing, Standing::Contained);
                let outer_node = mem::replace(&mut self.cx.resource.node, node);
                self.resource_of(id, node);
                self.cx.resource.node = outer_node;
                self.cx.resource.standing = outer;
                self.cx.resource.element_ids = outer_ids;
            }
        }
    }

    fn resource_of(&mut self, id: StructureId, node: NodeId) {
        let holder = Holder { element: None, holds: id };
        let outer_type = mem::replace(&mut self.cx.resource.type_name, self.cx.release.structure(id).name);
        let family = self.families.of(id);
        let mut outer_bundle = None;
        if family == Family::Bundle {
            outer_bundle = Some(self.cx.bundle.replace(BundleScope::new(self.cx.document, node)));
            bundle::check(&self.cx, node, &mut self.out);
        }
        self.held(holder, id, node);
        conformance::check(&mut self.cx, id, node, &mut self.out);
        match family {
            Family::CodeSystem => concepts::check(&self.cx, node, &mut self.out),
            Family::Questionnaire => questionnaire::check_definition(&self.cx, node, &mut self.out),
            Family::QuestionnaireResponse => questionnaire::check(&self.cx, node, &mut self.out),
            _ => {}
        }
        if let Some(outer) = outer_bundle {
            self.cx.bundle = outer;
        }
        self.cx.resource.type_name = outer_type;
    }

    /// Remarks stand in the order of nodes, which is that of the walk; those on what it passes over are passed over.
    fn remarked(&mut self, node: NodeId) {
        while let Some((remark, rest)) = self.remarks.split_first().filter(|(remark, _)| remark.node <= node) {
            if remark.node == node {
                xml::check(&self.cx, remark, &mut self.out);
            }
            self.remarks = rest;
        }
    }

    /// An object, and the element or resource that it is the value of.
    fn held(&mut self, holder: Holder, id: StructureId, node: NodeId) {
        let outer = mem::replace(&mut self.cx.holder, holder);
        self.object(id, node);
        self.cx.holder = outer;
    }

    /// All members of an object, then what is missing.
    fn object(&mut self, id: StructureId, node: NodeId) {
        self.remarked(node);
        if self.cx.path.depth() > MOST_DEPTH {
            return structure::too_deep(&self.cx, node, &mut self.out);
        }
        let document = self.cx.document;
        let facts = self.cx.release.structure(id);
        let (mut seen, mut members) = (0, 0_usize);
        for child in document.children(node) {
            members += 1;
            let name = document.name(child).unwrap_or_default();
            if facts.kind == StructureKind::Resource && name == "resourceType" {
                continue;
            }
            let (stem, twin) = name.strip_prefix('_').map_or((&*name, false), |stem| (stem, true));
            let found = self.cx.release.member(id, stem).filter(|(element, way)| {
                let twinned = matches!(way.content, Content::Primitive(_)) && !element.attribute;
                element.most != Most::None && (!twin || twinned)
            });
            let Some((element, way)) = found else {
                structure::unknown(&self.cx, id, child, &mut self.out);
                continue;
            };
            let member = Member { owner: id, element, way };
            if seen & 1 << element.place != 0 && element.choice {
                choice::check(&self.cx, id, child, element, &mut self.out);
            }
            seen |= 1_u128 << element.place;
            if twin {
                self.twin(member, node, child);
            } else {
                self.member(member, node, child);
            }
        }
        if members == 0 {
            structure::empty(&self.cx, node, &mut self.out);
        } else if facts.required() & !seen != 0 {
            cardinality::missing(&self.cx, id, node, seen, &mut self.out);
        }
        if members == 1 && id != self.families.element && invariant::is_only_id(facts.kind, seen) {
            invariant::only_id(&self.cx, node, &mut self.out);
        }
        invariant::of_structure(&self.cx, id, node, seen, &mut self.out);
    }

    /// The value or values of an element.
    fn member(&mut self, member: Member, owner: NodeId, node: NodeId) {
        let document = self.cx.document;
        let element = member.element;
        if element.modifier {
            extension::modifier(&self.cx, element, node, &mut self.out);
        }
        if self.is_extension(member.way) && !self.is_extension_type(self.cx.holder.holds) {
            let list = if element.modifier { List::Modifiers } else { List::Plain };
            known_extension::check(&self.cx, list, node, &mut self.out);
        }
        if document.kind(node) != Kind::Array {
            let index = (element.most == Most::Many).then_some(0);
            self.cx.path.push(element.name, index);
            if index.is_some() {
                structure::not_array(&self.cx, node, &mut self.out);
            }
            self.value(member, node);
            self.cx.path.pop();
            return;
        }
        if element.most == Most::One {
            cardinality::array(&self.cx, element, node, &mut self.out);
        }
        let (mut items, mut nulls) = (0, 0_usize);
        for item in document.children(node) {
            self.cx.path.push(element.name, Some(items));
            if matches!(member.way.content, Content::Primitive(_)) && document.kind(item) == Kind::Null {
                nulls += 1;
            } else {
                self.enter_entry(member, items, item);
                self.value(member, item);
            }
            self.cx.path.pop();
            items += 1;
        }
        if items == 0 {
            self.cx.path.push(element.name, None);
            structure::empty(&self.cx, node, &mut self.out);
            self.cx.path.pop();
        }
        if nulls > 0 {
            structure::nulls(&self.cx, element, owner, node, &mut self.out);
        }
    }

    fn is_extension(&self, way: &Way) -> bool {
        matches!(way.content, Content::Structure(id) if self.is_extension_type(id))
    }

    fn is_extension_type(&self, id: StructureId) -> bool {
        self.families.of(id) == Family::Extension
    }

    fn enter_entry(&mut self, member: Member, number: u32, entry: NodeId) {
        let Content::Structure(id) = member.way.content else { return };
        if let Some(bundle) = self.cx.bundle.as_mut().filter(|_| self.families.of(id) == Family::BundleEntry) {
            bundle.enter(self.cx.document, number, entry);
        }
    }

    /// The id and extensions of a primitive: `_name` beside `name`.
    fn twin(&mut self, member: Member, owner: NodeId, node: NodeId) {
        let document = self.cx.document;
        let element = member.element;
        let own_type = self.cx.release.structure_named(member.way.type_name).unwrap_or(self.families.element);
        let holder = member.holder(own_type);
        match (document.kind(node), element.most) {
            (Kind::Object, Most::One) => {
                self.cx.path.push(element.name, None);
                self.held(holder, self.families.element, node);
                self.bare_twin(owner, node);
                self.cx.path.pop();
            }
            (Kind::Array, Most::Many) => {
                structure::twin_arrays(&self.cx, element, owner, node, &mut self.out);
                for (index, item) in (0..).zip(document.children(node)) {
                    self.cx.path.push(element.name, Some(index));
                    match document.kind(item) {
                        Kind::Object => self.held(holder, self.families.element, item),
                        Kind::Null => {}
                        _ => structure::not_object(&self.cx, item, &mut self.out),
                    }
                    self.cx.path.pop();
                }
            }
            _ => structure::twin_shape(&self.cx, element, node, &mut self.out),
        }
    }

    /// An id beside no value.
    fn bare_twin(&mut self, owner: NodeId, twin: NodeId) {
        let document = self.cx.document;
        let mut members = document.children(twin);
        let only_id = members.next().is_some_and(|member| document.is_named(member, "id")) && members.next().is_none();
        let valued = || {
            let name = document.name(twin).unwrap_or_default();
            document.get(owner, name.trim_start_matches('_')).is_some()
        };
        if only_id && !valued() {
            invariant::only_id(&self.cx, twin, &mut self.out);
        }
    }

    /// One value; the path has reached it.
    fn value(&mut self, member: Member, node: NodeId) {
        let document = self.cx.document;
        match (member.way.content, document.kind(node)) {
            (Content::Primitive(primitive), _) => {
                self.remarked(node);
                let sound = primitive::check(&self.cx, primitive, node, &mut self.out);
                if sound && member.element.name == "id" {
                    element_id::check(&mut self.cx, primitive, node, &mut self.out);
                }
            }
            (Content::Structure(id), Kind::Object) => {
                self.held(member.holder(id), id, node);
                self.family(id, member, node);
            }
            (Content::Resource, Kind::Object) => {
                let contained = member.element.name == "contained";
                self.resource(node, if contained { Standing::Contained } else { Standing::Independent });
                return;
            }
            (Content::Structure(_) | Content::Resource, _) => {
                return structure::not_object(&self.cx, node, &mut self.out);
            }
        }
        if let Some(bound) = &member.element.binding {
            binding::check(&self.cx, bound, &Value::here(node, member.way), &mut self.out);
        }
        let places = self.cx.release.element_rule_places(member.element);
        if !places.is_empty() {
            invariant::of_element(&self.cx, places, member.way.content, node, &mut self.out);
        }
    }

    fn family(&mut self, id: StructureId, member: Member, node: NodeId) {
        let (cx, out) = (&mut self.cx, &mut self.out);
        match self.families.of(id) {
            Family::Plain
            | Family::Bundle
            | Family::CodeSystem
            | Family::Questionnaire
            | Family::QuestionnaireResponse => {}
            Family::Reference => reference::check(cx, member.way, node, out),
            Family::Extension => {
                extension::check(cx, node, out);
                conformance::extension(cx, id, node, member.element.modifier, out);
            }
            Family::Range => range::check(cx, node, out),
            Family::Narrative => narrative::check(cx, node, out),
            Family::Meta => meta::check(cx, node, out),
            Family::Attachment => attachment::check(cx, node, out),
            Family::Identifier => identifier::check(cx, node, out),
            Family::BundleEntry => bundle::entry(cx, node, out),
            Family::Coded => {
                code_system::check(cx, node, out);
                display::check(cx, node, out);
                quantity::check(cx, member.way, node, out);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::{
        fhir::json::{self, Limits},
        validate::{Policy, Validator, testing::findings},
    };

    #[test]
    fn paths_go_through_entries_parameters_and_contained_resources() {
        let source = r##"{"resourceType":"Parameters","parameter":[{"name":"a","part":[{"name":"b","resource":
            {"resourceType":"Bundle","type":"collection","entry":[{"fullUrl":"urn:oid:2.999.1","resource":{"resourceType":"Patient","contained":
            [{"resourceType":"Observation","id":"o","status":"final","code":{"text":"a"},"valueQuantity":{"system":"http://example.org","code":1}}],"extension":[{"url":"http://example.org/e","valueReference":{"reference":"#o"}}]}}]}}]}]}"##;
        let expected = "type-json Parameters.parameter[0].part[0].resource.entry[0].resource.contained[0].value.code";
        let unknown = "extension-unknown Parameters.parameter[0].part[0].resource.entry[0].resource.extension[0]";
        assert_eq!(findings(source), [expected, unknown]);
    }

    #[test]
    fn depth_is_limited_whatever_the_reader_lets_through() {
        let depth = 2_000;
        let item = r#"{"linkId":"a","item":["#;
        let source = format!(
            r#"{{"resourceType":"QuestionnaireResponse","status":"completed","item":[{}{}]}}"#,
            item.repeat(depth),
            "]}".repeat(depth)
        );
        let limits = Limits { max_depth: 10_000, ..Limits::default() };
        let document = json::read(source.as_bytes(), &limits).unwrap();
        let outcome = Validator::new().resource(&document, &Policy::default());
        assert_eq!(outcome.findings.iter().map(|finding| finding.key.as_str()).collect::<Vec<_>>(), ["depth"]);
    }

    #[test]
    fn good_files_cost_time_in_proportion() {
        let entries = |count: usize| {
            let mut source = r#"{"resourceType":"Bundle","type":"collection","entry":[{"fullUrl":"urn:uuid:p","resource":{"resourceType":"Patient"}}"#.to_owned();
            for number in 0..count {
                source.push_str(&format!(
                    r#",{{"fullUrl":"urn:uuid:{number}","resource":{{"resourceType":"Observation","status":"final","code":{{"text":"a"}},"subject":{{"reference":"urn:uuid:p"}}}}}}"#
                ));
            }
            source + "]}"
        };
        let validator = Validator::new();
        let time = |count| {
            let source = entries(count);
            let document = json::read(source.as_bytes(), &Limits::default()).unwrap();
            let begin = std::time::Instant::now();
            assert!(validator.resource(&document, &Policy::default()).valid());
            begin.elapsed()
        };
        let (few, many) = (time(2_000), (0..3).map(|_| time(20_000)).min().unwrap());
        // ten times the entries: anything quadratic would take a hundred times as long
        assert!(many < few * 40, "{few:?} {many:?}");
    }
}
