//! What the rules see while a document is walked: the facts, the document, where the walk stands, and
//! the resource and the Bundle around it.

use super::{code_server::Asking, policy::Policy, rules::questionnaire::Forms};
use crate::{
    fhir::{Document, Kind, NodeId},
    stu3::{Holder, Membership, Release, Terminology, package::Library},
};
use std::{
    borrow::Cow,
    cell::OnceCell,
    collections::{HashMap, HashSet, hash_map::Entry},
    fmt,
    sync::Arc,
};

/// Everything that a rule may look at; rules change nothing in it.
pub(super) struct Context<'v, 'd> {
    pub(super) release: &'static Release,
    pub(super) terminology: &'v Terminology,
    /// The profiles that are loaded.
    pub(super) library: &'v Library,
    pub(super) policy: &'v Policy,
    pub(super) document: &'d Document<'d>,
    pub(super) path: Path<'d>,
    /// The element whose members the walk is at.
    pub(super) holder: Holder,
    pub(super) resource: ResourceScope<'d>,
    pub(super) bundle: Option<BundleScope<'d>>,
    /// Resources that references lead to, held to profiles: whether they meet them.
    pub(super) trials: Trials,
    /// How many times anything was tried.
    pub(super) tries: u32,
    /// Codes that nobody here can tell.
    pub(super) asking: Asking<'v>,
    /// Questionnaires that responses were held to.
    pub(super) forms: Forms,
}

/// Resources by node and canonical URL of the profile; what is being tried counts as met until it is not.
pub(super) type Trials = HashMap<(NodeId, Arc<str>), bool>;

impl<'v, 'd> Context<'v, 'd> {
    /// The text of a string member; `None` where it is absent or no string.
    pub(super) fn string(&self, object: NodeId, name: &str) -> Option<Cow<'d, str>> {
        string(self.document, object, name)
    }

    /// Whether a code is in a value set of the release or of a package.
    pub(super) fn membership(&self, set: &str, system: Option<&str>, code: &str) -> Membership<'v> {
        match self.terminology.membership(set, system, code) {
            Membership::NoValueSet => self.library.membership(set, system, code),
            told => told,
        }
    }

    /// An extension that holds extensions of its own.
    pub(super) fn extension_holder(&self) -> Holder {
        self.release
            .structure_named("Extension")
            .map_or(self.holder, |holds| Holder { element: Some((holds, "extension")), holds })
    }

    /// An element or resource with this id stands in the resource that stands by itself here.
    pub(super) fn has_id(&self, id: &str) -> bool {
        let document = self.document;
        let ids = self.resource.ids.get_or_init(|| {
            let named = document.subtree(self.resource.outermost).filter(|node| document.is_named(*node, "id"));
            named.filter_map(|node| document.string(node)).collect()
        });
        ids.contains(id)
    }
}

/// The text of a string member of an object; `None` where it is absent or no string.
pub(super) fn string<'d>(document: &'d Document<'d>, object: NodeId, name: &str) -> Option<Cow<'d, str>> {
    let member = document.get(object, name)?;
    if document.kind(member) == Kind::String { document.text(member) } else { None }
}

/// Members of these names, in one pass; of equal names the first.
pub(super) fn members<const N: usize>(
    document: &Document<'_>,
    object: NodeId,
    names: [&str; N],
) -> [Option<NodeId>; N] {
    let mut found = [None; N];
    for child in document.children(object) {
        let place = names.iter().position(|name| document.is_named(child, name));
        if let Some(slot) = place.map(|place| &mut found[place]) {
            slot.get_or_insert(child);
        }
    }
    found
}

/// The items of an array member; none where it is absent or no array.
pub(super) fn items<'d>(
    document: &'d Document<'d>,
    object: NodeId,
    name: &str,
) -> impl Iterator<Item = NodeId> + use<'d> {
    document
        .get(object, name)
        .filter(|member| document.kind(*member) == Kind::Array)
        .into_iter()
        .flat_map(|member| document.children(member))
}

/// A member `stem[x]` of an element of this structure whose type, by the ending of its name, is none of those admitted. Of a
/// name that is none of the structure's it is told elsewhere that there is no such element.
pub(super) fn choice_but(
    cx: &Context<'_, '_>,
    element: NodeId,
    structure: &str,
    stem: &str,
    admits: impl Fn(&str) -> bool,
) -> Option<NodeId> {
    let structure = cx.release.structure_named(structure)?;
    cx.document.children(element).find(|member| {
        let name = cx.document.name(*member).unwrap_or_default();
        let is_another = name.strip_prefix(stem).is_some_and(|ending| !admits(ending));
        is_another && cx.release.member(structure, &name).is_some()
    })
}

/// The way from the root to the present node, as FHIRPath.
#[derive(Debug, Default)]
pub(super) struct Path<'d> {
    steps: Vec<Step<'d>>,
}

#[derive(Debug)]
struct Step<'d> {
    name: &'d str,
    index: Option<u32>,
}

impl<'d> Path<'d> {
    pub(super) fn push(&mut self, name: &'d str, index: Option<u32>) {
        self.steps.push(Step { name, index });
    }

    pub(super) fn pop(&mut self) {
        self.steps.pop();
    }

    pub(super) fn depth(&self) -> usize {
        self.steps.len()
    }

    /// A step of one of these names directly below an item of a list of this name.
    pub(super) fn goes_through(&self, list: &str, names: &[&str]) -> bool {
        self.steps
            .windows(2)
            .any(|pair| pair[0].name == list && pair[0].index.is_some() && names.contains(&pair[1].name))
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, step) in self.steps.iter().enumerate() {
            if place > 0 {
                f.write_str(".")?;
            }
            f.write_str(step.name)?;
            if let Some(index) = step.index {
                write!(f, "[{index}]")?;
            }
        }
        Ok(())
    }
}

/// How a resource stands in the document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// By itself: the root, in a Bundle's entry, in a parameter.
    Independent,
    /// In `contained` of another.
    Contained,
}

/// The resource around the present node: one that stands by itself, with those contained in it.
#[derive(Debug)]
pub(super) struct ResourceScope<'d> {
    /// Whether the walk is in the resource itself or in one contained in it.
    pub(super) standing: Standing,
    /// The resource that the walk is in, be it contained or not.
    pub(super) node: NodeId,
    /// The resource that stands by itself.
    pub(super) outermost: NodeId,
    /// The type of the resource that the walk is in; nothing before the walk knows it.
    pub(super) type_name: &'static str,
    /// All ids in the resource that stands by itself; made when they are first asked for.
    ids: OnceCell<HashSet<Cow<'d, str>>>,
    /// The contained resources by id; of equal ids the first.
    pub(super) contained: HashMap<Cow<'d, str>, ContainedTarget<'d>>,
    /// The ids of elements seen in the present resource.
    pub(super) element_ids: HashSet<Cow<'d, str>>,
}

/// A contained resource that a reference may lead to.
#[derive(Clone, Debug)]
pub(super) struct ContainedTarget<'d> {
    /// Where it stands.
    pub(super) node: NodeId,
    /// Its type.
    pub(super) resource_type: Option<Cow<'d, str>>,
}

impl<'d> ResourceScope<'d> {
    /// Of a resource that stands by itself.
    pub(super) fn new(document: &'d Document<'d>, resource: NodeId) -> Self {
        let mut contained = HashMap::new();
        for node in items(document, resource, "contained") {
            if let Some(id) = string(document, node, "id") {
                let resource_type = string(document, node, "resourceType");
                contained.entry(id).or_insert(ContainedTarget { node, resource_type });
            }
        }
        Self {
            standing: Standing::Independent,
            node: resource,
            outermost: resource,
            type_name: "",
            ids: OnceCell::new(),
            contained,
            element_ids: HashSet::new(),
        }
    }
}

/// The Bundle around the present node.
#[derive(Debug)]
pub(super) struct BundleScope<'d> {
    bundle: NodeId,
    /// `Bundle.type`, where it is a string.
    pub(super) kind: Option<Cow<'d, str>>,
    /// The entries by fullUrl; of equal ones the first.
    by_full_url: HashMap<Cow<'d, str>, BundleTarget<'d>>,
    /// Further versions of them, by fullUrl and version.
    further: HashMap<Cow<'d, str>, HashMap<Cow<'d, str>, BundleTarget<'d>>>,
    /// `Type/id` of all resources; made when it is first asked for.
    own_names: OnceCell<HashSet<String>>,
    /// The number of the entry that the walk is in.
    pub(super) entry: u32,
    /// The base of the entry's RESTful fullUrl, with a slash at the end.
    pub(super) base: Option<String>,
    /// fullUrl and version of entries whose fullUrl occurs more than once.
    pub(super) versions: HashSet<(Cow<'d, str>, Option<Cow<'d, str>>)>,
    /// The addresses that entries of a transaction write to.
    pub(super) written: HashSet<String>,
}

/// An entry that a reference may lead to.
#[derive(Clone, Debug)]
pub(super) struct BundleTarget<'d> {
    /// Its number.
    pub(super) entry: u32,
    /// Where it stands.
    pub(super) node: NodeId,
    /// Its resource's type.
    pub(super) resource_type: Option<Cow<'d, str>>,
}

impl<'d> BundleScope<'d> {
    /// The index of a Bundle, built once, in one pass over its entries.
    pub(super) fn new(document: &'d Document<'d>, bundle: NodeId) -> Self {
        let mut by_full_url = HashMap::new();
        let mut further: HashMap<_, HashMap<_, _>> = HashMap::new();
        for (entry, node) in (0..).zip(items(document, bundle, "entry")) {
            let Some(full_url) = string(document, node, "fullUrl") else { continue };
            let resource_type =
                document.get(node, "resource").and_then(|resource| string(document, resource, "resourceType"));
            let target = BundleTarget { entry, node, resource_type };
            match by_full_url.entry(full_url) {
                Entry::Vacant(place) => {
                    place.insert(target);
                }
                Entry::Occupied(first) => {
                    if let Some(version) = version(document, node) {
                        further.entry(first.key().clone()).or_default().entry(version).or_insert(target);
                    }
                }
            }
        }
        Self {
            bundle,
            own_names: OnceCell::new(),
            kind: string(document, bundle, "type"),
            by_full_url,
            further,
            entry: 0,
            base: None,
            versions: HashSet::new(),
            written: HashSet::new(),
        }
    }

    /// The walk enters an entry.
    pub(super) fn enter(&mut self, document: &'d Document<'d>, number: u32, entry: NodeId) {
        self.entry = number;
        self.base = string(document, entry, "fullUrl")
            .and_then(|full_url| restful(&full_url).map(|(base, _, _)| base.to_owned()));
    }

    /// The Bundle is of this type.
    pub(super) fn is(&self, kind: &str) -> bool {
        self.kind.as_deref() == Some(kind)
    }

    /// An entry's resource has the type and id that `Type/id` names, whatever its fullUrl.
    pub(super) fn holds(&self, document: &Document<'_>, name: &str) -> bool {
        let names = self.own_names.get_or_init(|| {
            let resources = items(document, self.bundle, "entry").filter_map(|entry| document.get(entry, "resource"));
            resources
                .filter_map(|resource| {
                    let resource_type = string(document, resource, "resourceType")?;
                    Some(format!("{resource_type}/{}", string(document, resource, "id")?))
                })
                .collect()
        });
        names.contains(name)
    }

    /// The entry with this fullUrl.
    pub(super) fn at(&self, full_url: &str) -> Option<&BundleTarget<'d>> {
        self.by_full_url.get(full_url)
    }

    /// The entry with this fullUrl and version. A resource without a version may be any; and those of a transaction get
    /// theirs from the server.
    pub(super) fn at_version(
        &self,
        document: &Document<'_>,
        full_url: &str,
        wanted: &str,
    ) -> Option<&BundleTarget<'d>> {
        let first = self.at(full_url)?;
        let of_first = version(document, first.node);
        if of_first.as_deref() == Some(wanted) {
            return Some(first);
        }
        let further = self.further.get(full_url).and_then(|versions| versions.get(wanted));
        further.or_else(|| (of_first.is_none() || self.is("transaction")).then_some(first))
    }
}

/// `meta.versionId` of an entry's resource.
pub(super) fn version<'d>(document: &'d Document<'d>, entry: NodeId) -> Option<Cow<'d, str>> {
    let meta = document.get(document.get(entry, "resource")?, "meta")?;
    string(document, meta, "versionId")
}

/// Splits a RESTful URL `http://server/base/Type/id` into base (with slash), type and id.
pub(super) fn restful(url: &str) -> Option<(&str, &str, &str)> {
    if !(url.starts_with("http://") || url.starts_with("https://")) {
        return None;
    }
    let (rest, id) = url.rsplit_once('/')?;
    let slash = rest.rfind('/')?;
    let resource_type = &rest[slash + 1..];
    let named = crate::stu3::release().resource(resource_type).is_some();
    (named && !id.is_empty() && !id.contains(['?', '#'])).then_some((&url[..=slash], resource_type, id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_print_as_fhirpath() {
        let mut path = Path::default();
        path.push("Bundle", None);
        path.push("entry", Some(0));
        path.push("resource", None);
        path.push("value", None);
        assert_eq!(path.to_string(), "Bundle.entry[0].resource.value");
        path.pop();
        assert_eq!(path.to_string(), "Bundle.entry[0].resource");
    }

    #[test]
    fn restful_urls_name_type_and_id() {
        let url = "https://example.org/fhir/Patient/1";
        assert_eq!(restful(url), Some(("https://example.org/fhir/", "Patient", "1")));
        assert_eq!(restful("https://example.org/fhir/Patients/1"), None);
        assert_eq!(restful("urn:uuid:Patient/1"), None);
    }
}
