//! What the release itself says of its types, as snapshots: where every profile begins.

use super::{
    Binding, Constraint, DiscriminatorKind, ElementDefinition, Formula, Node, RELEASE_URL, Slicing, Snapshot, Type,
    tree::capitalised,
};
use crate::stu3::{self, Element, Most, Primitive, Release, Rule, Structure, StructureId, StructureKind, release};
use std::sync::{Arc, OnceLock};

/// The snapshot of a type of the release; made when it is first asked for.
pub(in crate::stu3) fn of_type(id: StructureId) -> Arc<Snapshot> {
    static SNAPSHOTS: OnceLock<Vec<OnceLock<Arc<Snapshot>>>> = OnceLock::new();
    let release = release();
    let all = SNAPSHOTS.get_or_init(|| release.structures().map(|_| OnceLock::new()).collect());
    all[id.index()].get_or_init(|| Arc::new(snapshot(release, id))).clone()
}

fn snapshot(release: &Release, id: StructureId) -> Snapshot {
    let structure = release.structure(id);
    let url: Arc<str> = format!("{RELEASE_URL}{}", structure.name).into();
    let element = ElementDefinition { constraints: inherited_constraints(release, id), ..ElementDefinition::default() };
    // the elements of a primitive's twin
    let id = match structure.kind {
        StructureKind::Primitive => release.structure_named("Element").unwrap_or(id),
        _ => id,
    };
    let root = Node::new(structure.name, element, children(release, id));
    Snapshot { url, type_name: structure.name.into(), root }
}

/// Nested elements lie in the tree; what another type or another element defines does not.
fn children(release: &Release, id: StructureId) -> Vec<Node> {
    release.elements(id).iter().map(|element| node(release, release.structure(id), element)).collect()
}

fn node(release: &Release, owner: &Structure, element: &Element) -> Node {
    let mut definition = ElementDefinition {
        min: element.min.into(),
        max: match element.most {
            Most::None => Some(0),
            Most::One => Some(1),
            Most::Many => None,
        },
        is_modifier: element.modifier,
        binding: element.binding.map(|bound| Binding {
            strength: bound.strength,
            value_set: bound.value_set.map(Into::into),
            maximum: bound.maximum.map(Into::into),
        }),
        constraints: constraints(owner.name, release.element_rules(element)).collect(),
        ..ElementDefinition::default()
    };
    let mut inside = Vec::new();
    let path = format!("{}.{}", owner.name, element.name);
    for way in release.ways(element) {
        let nested = way.type_name.contains('.').then(|| release.structure_named(way.type_name)).flatten();
        match nested {
            Some(_) if way.type_name != path => definition.content_reference = Some(way.type_name.into()),
            Some(id) => {
                definition.types.push(Type::plain(release.structure(id).base.unwrap_or("Element")));
                definition.constraints = inherited_constraints(release, id);
                inside = children(release, id);
            }
            None => types(release, way, &mut definition.types),
        }
    }
    // "extensions are always sliced by (at least) url"
    if matches!(element.name, "extension" | "modifierExtension") {
        definition.slicing = Some(Slicing::implied(DiscriminatorKind::Value, "url"));
    }
    let name = if element.choice { format!("{}[x]", element.name) } else { element.name.to_owned() };
    Node::new(&name, definition, inside)
}

/// One type for each target of a reference, as the release writes them.
fn types(release: &Release, way: &stu3::Way, out: &mut Vec<Type>) {
    let code: Arc<str> = way.type_name.into();
    let profile: Option<Arc<str>> = way.profile.map(definition_url);
    let targets = release.targets(way);
    if targets.is_empty() {
        out.push(Type { code, profile, ..Type::default() });
        return;
    }
    let of_target = |target: &&str| Type {
        code: code.clone(),
        profile: profile.clone(),
        target: Some(definition_url(target)),
        aggregation: Vec::new(),
    };
    out.extend(targets.iter().map(of_target));
}

fn definition_url(name: &str) -> Arc<str> {
    if name.contains(':') { name.into() } else { format!("{RELEASE_URL}{name}").into() }
}

/// Those of a structure and of what it derives from, the base's first.
fn inherited_constraints(release: &Release, id: StructureId) -> Vec<Constraint> {
    let mut lineage: Vec<StructureId> = release.lineage(id).collect();
    lineage.reverse();
    let mut all: Vec<Constraint> = Vec::new();
    for id in lineage {
        for constraint in constraints(release.structure(id).name, release.structure_rules(id)) {
            all.retain(|other| other.key != constraint.key);
            all.push(constraint);
        }
    }
    all
}

fn constraints(source: &str, rules: &[Rule]) -> impl Iterator<Item = Constraint> {
    let source = definition_url(source.split('.').next().unwrap_or(source));
    rules.iter().map(move |rule| Constraint {
        key: rule.key.into(),
        is_warning: rule.severity == "warning",
        expression: Some(Formula::new(rule.expression)),
        human: "".into(),
        source: source.clone(),
        correction: None,
    })
}

/// The type of a choice that an element's name ends with: `Quantity` of `valueQuantity`.
pub(super) fn chosen<'t>(stem: &str, name: &str, types: &'t [Type]) -> Option<&'t Type> {
    let suffix = name.strip_prefix(stem).filter(|suffix| !suffix.is_empty())?;
    types.iter().find(|known| capitalised(&known.code) == suffix)
}

/// A type is another one or derives from it; `Resource` stands for any resource.
pub(super) fn is_a(code: &str, wanted: &str) -> bool {
    let release = release();
    code == wanted
        || match (release.structure_named(code), release.structure_named(wanted)) {
            (Some(id), Some(wanted)) => release.is_a(id, wanted),
            _ => Primitive::named(code).is_some() && wanted == "Element",
        }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(name: &str) -> Arc<Snapshot> {
        of_type(release().structure_named(name).unwrap())
    }

    #[test]
    fn the_release_is_where_profiles_begin() {
        let patient = of("Patient");
        let ids: Vec<String> = patient.elements().into_iter().map(|placed| placed.id).collect();
        assert_eq!(ids[..3], ["Patient", "Patient.id", "Patient.meta"]);
        assert!(ids.contains(&"Patient.contact.name".to_owned()) && ids.contains(&"Patient.deceased[x]".to_owned()));
        let questionnaire = of("Questionnaire");
        let item = questionnaire.root.members().find(|node| &*node.name == "item").unwrap();
        let inner = item.members().find(|node| &*node.name == "item").unwrap();
        assert_eq!(inner.element.content_reference.as_deref(), Some("Questionnaire.item"));
        assert!(inner.element.types.is_empty() && inner.children.is_empty());
        assert!(item.element.constraints.iter().any(|constraint| &*constraint.key == "que-1"));
    }

    #[test]
    fn references_have_a_type_for_each_target() {
        let observation = of("Observation");
        let subject = observation.root.members().find(|node| &*node.name == "subject").unwrap();
        let targets: Vec<&str> = subject.element.types.iter().filter_map(|known| known.target.as_deref()).collect();
        assert_eq!(targets[0], "http://hl7.org/fhir/StructureDefinition/Patient");
        assert_eq!(targets.len(), 4);
    }
}
