//! Whose data a Bundle holds: every Patient in it and every reference to one, as identities.
//!
//! Two names are one patient only where the Bundle itself says so: a reference resolves to a Patient of
//! the Bundle (<http://hl7.org/fhir/STU3/bundle.html#references>), or both carry the same identifier.
//! Where it does not say so they are two, and a Bundle of two patients is held: no guess, ever.

use crate::{
    fhir::{Document, NodeId},
    validate::Bundle,
};
use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet, HashMap},
};

/// Elements that say whose data a resource is; a logical reference in them is a patient.
const SUBJECTS: [&str; 5] = ["subject", "patient", "for", "beneficiary", "individual"];

/// What a Bundle says of its patients.
#[derive(Debug, Default)]
pub(crate) struct Patients {
    /// How many different ones.
    pub(crate) count: usize,
    /// Identifiers of patients, system to values.
    pub(crate) identifiers: BTreeMap<String, BTreeSet<String>>,
}

/// A name that a patient goes by in this Bundle.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Name<'d> {
    /// A fullUrl or an absolute literal reference, without its version.
    Url(Cow<'d, str>),
    /// A relative literal reference, `Patient/1`.
    Relative(Cow<'d, str>),
    /// A contained resource of an entry's resource.
    Contained(NodeId, Cow<'d, str>),
    /// An identifier's system and value.
    Identifier(Cow<'d, str>, Cow<'d, str>),
    /// A Patient that nothing else names.
    Node(NodeId),
}

/// Names that mean the same patient, joined (union-find).
#[derive(Default)]
struct Names<'d> {
    numbers: HashMap<Name<'d>, usize>,
    joined: Vec<usize>,
    /// Whether the name is known to be a patient's.
    patient: Vec<bool>,
}

struct Search<'d> {
    document: &'d Document<'d>,
    names: Names<'d>,
    systems: BTreeSet<Cow<'d, str>>,
    references: Vec<Reference<'d>>,
    /// Identifiers that stand in Patient resources, by system.
    own: HashMap<Cow<'d, str>, Vec<usize>>,
}

/// A Reference element, and the resource that it stands in (the container of contained ones).
struct Reference<'d> {
    container: NodeId,
    element: Option<Cow<'d, str>>,
    literal: Option<Cow<'d, str>>,
    identifier: Option<(Cow<'d, str>, Cow<'d, str>)>,
}

/// The patients of a Bundle; `systems` are identifier systems that the channel knows to be patients'.
pub(crate) fn patients<'d>(bundle: &'d Bundle<'d>, systems: &'d [String]) -> Patients {
    let mut search = Search {
        document: bundle.document(),
        names: Names::default(),
        systems: systems.iter().map(|system| Cow::Borrowed(system.as_str())).collect(),
        references: Vec::new(),
        own: HashMap::new(),
    };
    for entry in bundle.entries() {
        let Some(resource) = entry.resource else { continue };
        search.resource(resource, resource, entry.full_url);
    }
    let references = std::mem::take(&mut search.references);
    for reference in references {
        search.refer(reference);
    }
    search.names.patients()
}

impl<'d> Search<'d> {
    /// A resource and everything in it; `url` is an entry's fullUrl.
    fn resource(&mut self, node: NodeId, container: NodeId, url: Option<Cow<'d, str>>) {
        if self.text(node, "resourceType").as_deref() == Some("Patient") {
            self.patient(node, container, url);
        }
        self.descend(node, container);
    }

    fn patient(&mut self, node: NodeId, container: NodeId, url: Option<Cow<'d, str>>) {
        let number = self.names.number(Name::Node(node));
        self.names.patient[number] = true;
        let id = self.text(node, "id");
        if node != container {
            if let Some(id) = id {
                self.names.join(number, Name::Contained(container, id));
            }
        } else {
            // A relative reference reaches it by its id, unless its fullUrl names it otherwise.
            if let Some(id) = id
                && url.as_ref().is_none_or(|url| url.ends_with(&format!("/Patient/{id}")))
            {
                self.names.join(number, Name::Relative(format!("Patient/{id}").into()));
            }
            if let Some(url) = url {
                self.names.join(number, Name::Url(without_version(url)));
            }
        }
        let Some(identifiers) = self.document.get(node, "identifier") else { return };
        for identifier in self.document.children(identifiers) {
            if let Some((system, value)) = self.identifier(identifier) {
                self.systems.insert(system.clone());
                let name = Name::Identifier(system.clone(), value);
                self.names.join(number, name.clone());
                let own = self.names.number(name);
                self.own.entry(system).or_default().push(own);
            }
        }
    }

    fn descend(&mut self, node: NodeId, container: NodeId) {
        for child in self.document.children(node) {
            if self.document.get(child, "resourceType").is_some() {
                self.resource(child, container, None);
                continue;
            }
            let literal = self.text(child, "reference");
            let identifier = self.document.get(child, "identifier").and_then(|node| self.identifier(node));
            if literal.is_some() || identifier.is_some() {
                let element = self.element(child);
                self.references.push(Reference { container, element, literal, identifier });
            }
            self.descend(child, container);
        }
    }

    /// Joins what a reference names, where it is a patient.
    fn refer(&mut self, reference: Reference<'d>) {
        let subject = reference.element.as_deref().is_some_and(|name| SUBJECTS.contains(&name));
        let literal = reference.literal.and_then(|literal| literal_name(literal, reference.container));
        let known = literal.as_ref().is_some_and(|(name, _)| self.names.is_patient(name));
        let names_something = literal.is_some();
        let literal = literal.filter(|(_, target)| match target {
            Target::Patient => true,
            Target::Unsaid => known || subject,
            Target::Other => false,
        });
        let logical = reference
            .identifier
            .filter(|(system, _)| literal.is_some() || (subject && !names_something) || self.systems.contains(system));
        let names = literal.map(|(name, _)| name).into_iter();
        let names = names.chain(logical.map(|(system, value)| Name::Identifier(system, value)));
        let mut first = None;
        for name in names {
            let number = self.names.number(name.clone());
            self.names.patient[number] = true;
            match first {
                // The Patient that is meant has other values of that system, and not this one: somebody else is meant.
                Some(first) if self.contradicts(first, &name) => {}
                Some(first) => self.names.unite(first, number),
                None => first = Some(number),
            }
        }
    }

    /// Whether the patient has identifiers of the name's system in its own resource, and this is none of them.
    fn contradicts(&mut self, patient: usize, name: &Name<'d>) -> bool {
        let Name::Identifier(system, _) = name else { return false };
        let own = self.own.get(system).cloned().unwrap_or_default();
        let patient = self.names.root(patient);
        let number = self.names.number(name.clone());
        let of_patient: Vec<_> = own.into_iter().filter(|own| self.names.root(*own) == patient).collect();
        !of_patient.is_empty() && self.names.root(number) != patient
    }

    fn identifier(&self, node: NodeId) -> Option<(Cow<'d, str>, Cow<'d, str>)> {
        Some((self.text(node, "system").unwrap_or_default(), self.text(node, "value")?))
    }

    fn text(&self, node: NodeId, member: &str) -> Option<Cow<'d, str>> {
        self.document.get(node, member).and_then(|value| self.document.string(value))
    }

    /// The name of the element that a node is a value of.
    fn element(&self, node: NodeId) -> Option<Cow<'d, str>> {
        self.document.name(node).or_else(|| self.document.name(self.document.parent(node)?))
    }
}

/// What a literal reference says of its target's type.
enum Target {
    Patient,
    Other,
    Unsaid,
}

/// The name in a literal reference; `None` for a reference to the container itself.
fn literal_name(literal: Cow<'_, str>, container: NodeId) -> Option<(Name<'_>, Target)> {
    if literal.starts_with('#') {
        let id: Cow<'_, str> = Cow::Owned(literal.get(1..)?.to_owned());
        return (!id.is_empty()).then_some((Name::Contained(container, id), Target::Unsaid));
    }
    if literal.starts_with("urn:") {
        return Some((Name::Url(literal), Target::Unsaid));
    }
    // A conditional reference carries its identifier: Patient?identifier=system|value
    if let Some((kind, query)) = literal.split_once('?') {
        let target = if kind.rsplit('/').next() == Some("Patient") { Target::Patient } else { Target::Other };
        let token = query.split('&').find_map(|part| part.strip_prefix("identifier="));
        let name = match token.and_then(|token| token.split_once('|')) {
            Some((system, value)) => Name::Identifier(system.to_owned().into(), value.to_owned().into()),
            None => Name::Url(literal.clone()),
        };
        return Some((name, target));
    }
    let literal = without_version(literal);
    let mut parts = literal.rsplit('/');
    let (_, kind) = (parts.next(), parts.next());
    let target = match kind {
        Some("Patient") => Target::Patient,
        Some(kind) if kind.starts_with(|first: char| first.is_ascii_uppercase()) => Target::Other,
        _ => Target::Unsaid,
    };
    let name = if literal.contains(':') { Name::Url(literal) } else { Name::Relative(literal) };
    Some((name, target))
}

/// A reference to one version of a resource means the same patient as any other version.
fn without_version(url: Cow<'_, str>) -> Cow<'_, str> {
    match url.find("/_history/") {
        Some(end) => Cow::Owned(url[..end].to_owned()),
        None => url,
    }
}

impl<'d> Names<'d> {
    fn number(&mut self, name: Name<'d>) -> usize {
        let next = self.joined.len();
        let number = *self.numbers.entry(name).or_insert(next);
        if number == next {
            self.joined.push(next);
            self.patient.push(false);
        }
        number
    }

    fn join(&mut self, number: usize, name: Name<'d>) {
        let other = self.number(name);
        self.patient[other] = true;
        self.unite(number, other);
    }

    fn unite(&mut self, left: usize, right: usize) {
        let (left, right) = (self.root(left), self.root(right));
        self.joined[left.max(right)] = left.min(right);
    }

    /// The name that stands for all joined with it; halves the way there for the next time.
    fn root(&mut self, mut number: usize) -> usize {
        while self.joined[number] != number {
            self.joined[number] = self.joined[self.joined[number]];
            number = self.joined[number];
        }
        number
    }

    fn is_patient(&self, name: &Name<'d>) -> bool {
        self.numbers.get(name).is_some_and(|number| self.patient[*number])
    }

    fn patients(mut self) -> Patients {
        let mut roots = BTreeSet::new();
        for number in 0..self.joined.len() {
            if self.patient[number] {
                roots.insert(self.root(number));
            }
        }
        let mut identifiers: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (name, number) in &self.numbers {
            if let Name::Identifier(system, value) = name
                && self.patient[*number]
            {
                identifiers.entry(system.to_string()).or_default().insert(value.to_string());
            }
        }
        Patients { count: roots.len(), identifiers }
    }
}
