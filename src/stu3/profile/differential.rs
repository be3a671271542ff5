//! A profile as its author states it: a `StructureDefinition` with the changes of its differential.

use super::{
    Constraint, Discriminator, DiscriminatorKind, Formula, Slicing, SlicingRules, Type, Typed, Value,
    problem::{Defect, Problem},
};
use crate::{
    fhir::Primitive,
    stu3::{Strength, errata, package::Object},
};
use std::sync::Arc;

/// More changes than any profile needs; a file with more is made to do harm.
const MOST_CHANGES: usize = 10_000;

/// Bytes of a path; those of the release have at most a hundred.
const LONGEST_PATH: usize = 500;

const MAXIMUM: &str = "http://hl7.org/fhir/StructureDefinition/elementdefinition-maxValueSet";

/// A constraint profile, as published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StructureDefinition {
    /// Canonical URL.
    pub url: Arc<str>,
    /// Its version, where it has one.
    pub version: Option<Arc<str>>,
    /// The name for programs.
    pub name: Arc<str>,
    /// The type that is constrained: `Observation`.
    pub type_name: Arc<str>,
    /// Canonical URL of what it derives from.
    pub base: Arc<str>,
    /// Where it may stand, of an extension: element paths, types, URLs of extensions.
    pub contexts: Vec<Arc<str>>,
    /// `resource`, `datatype` or `extension`.
    pub context_kind: Option<Arc<str>>,
    /// FHIRPath that must hold where it stands, of an extension.
    pub context_invariants: Vec<Formula>,
    /// What it changes, in the order of the file.
    pub changes: Vec<Change>,
    /// Where it was read from.
    pub file: Arc<str>,
}

/// What a differential says of one element; what it does not say is inherited.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// `Observation.component.code`
    pub path: Arc<str>,
    /// `Observation.component:systolic.code`
    pub id: Option<Arc<str>>,
    /// The slice that begins or is changed here.
    pub slice: Option<Arc<str>>,
    /// See [`super::ElementDefinition::min`].
    pub min: Option<u32>,
    /// See [`super::ElementDefinition::max`].
    pub max: Option<Option<u32>>,
    /// All types that are left; empty where nothing is said.
    pub types: Vec<Type>,
    /// See [`super::ElementDefinition::content_reference`].
    pub content_reference: Option<Arc<str>>,
    /// See [`super::ElementDefinition::fixed`].
    pub fixed: Option<Typed>,
    /// See [`super::ElementDefinition::pattern`].
    pub pattern: Option<Typed>,
    /// See [`super::ElementDefinition::min_value`].
    pub min_value: Option<Typed>,
    /// See [`super::ElementDefinition::max_value`].
    pub max_value: Option<Typed>,
    /// See [`super::ElementDefinition::max_length`].
    pub max_length: Option<u32>,
    /// Parts that are not stated are inherited.
    pub binding: Option<StatedBinding>,
    /// Constraints in addition to those inherited.
    pub constraints: Vec<Constraint>,
    /// Conditions in addition to those inherited.
    pub conditions: Vec<Arc<str>>,
    /// See [`super::ElementDefinition::slicing`].
    pub slicing: Option<Slicing>,
    /// See [`super::ElementDefinition::must_support`].
    pub must_support: Option<bool>,
    /// See [`super::ElementDefinition::is_modifier`].
    pub is_modifier: Option<bool>,
}

/// What a differential says of a binding.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StatedBinding {
    /// How strictly.
    pub strength: Option<Strength>,
    /// Canonical URL.
    pub value_set: Option<Arc<str>>,
    /// See [`super::Binding::maximum`].
    pub maximum: Option<Arc<str>>,
}

impl StructureDefinition {
    /// Reads one.
    ///
    /// # Errors
    /// Something that cannot be understood, with its element.
    pub(in crate::stu3) fn read(object: Object<'_>, file: &Arc<str>) -> Result<Self, Problem> {
        let url = object.kept("url");
        let fail = |element: Option<&str>, defect| Problem {
            file: file.clone(),
            url: url.clone(),
            element: element.map(Into::into),
            defect,
        };
        let part = |name: &'static str| object.kept(name).ok_or_else(|| fail(None, Defect::NoMember(name)));
        // where an author publishes the whole only, the whole is what is stated
        let view = object.object("differential").or_else(|| object.object("snapshot"));
        let elements = view.ok_or_else(|| fail(None, Defect::NoMember("differential")))?.objects("element");
        let source = part("url")?;
        let mut changes = Vec::new();
        for element in elements {
            if changes.len() == MOST_CHANGES {
                return Err(fail(None, Defect::TooManyElements(MOST_CHANGES)));
            }
            let change = Change::read(element, &source);
            changes.push(change.map_err(|(id, defect)| fail(Some(&id), defect))?);
        }
        Ok(Self {
            version: object.kept("version"),
            name: part("name")?,
            type_name: part("type")?,
            base: part("baseDefinition")?,
            contexts: object.texts("context").flat_map(|text| split(&text)).collect(),
            context_kind: object.kept("contextType"),
            context_invariants: object.texts("contextInvariant").map(Formula::of_context).collect(),
            changes,
            file: file.clone(),
            url: source,
        })
    }
}

/// Some definitions write two contexts as one string.
fn split(text: &str) -> Vec<Arc<str>> {
    text.split(',').map(|part| part.trim().into()).collect()
}

impl Change {
    fn read(object: Object<'_>, source: &Arc<str>) -> Result<Self, (Arc<str>, Defect)> {
        let path = object.kept("path").unwrap_or_default();
        let id = object.kept("id");
        let place = id.clone().unwrap_or_else(|| path.clone());
        let fail = |defect| (place.clone(), defect);
        if path.is_empty() {
            return Err(fail(Defect::NoMember("path")));
        }
        if path.len() > LONGEST_PATH {
            return Err(fail(Defect::PathTooLong(LONGEST_PATH)));
        }
        let constraints = object.objects("constraint").map(|constraint| read_constraint(constraint, source));
        let constraints = constraints.collect::<Option<_>>().ok_or_else(|| fail(Defect::NoMember("constraint.key")))?;
        Ok(Self {
            slice: object.kept("sliceName").filter(|name| !name.is_empty()),
            min: object.number("min"),
            max: object.text("max").map(|text| read_max(&text)).transpose().map_err(fail)?,
            types: object.objects("type").filter_map(read_type).collect(),
            content_reference: object.text("contentReference").map(|text| text.trim_start_matches('#').into()),
            fixed: read_typed(object, "fixed"),
            pattern: read_typed(object, "pattern"),
            min_value: read_typed(object, "minValue"),
            max_value: read_typed(object, "maxValue"),
            max_length: object.number("maxLength"),
            binding: object.object("binding").map(|binding| read_binding(binding, source)).transpose().map_err(fail)?,
            constraints,
            conditions: object.texts("condition").collect(),
            slicing: object.object("slicing").map(read_slicing).transpose().map_err(fail)?,
            must_support: object.flag("mustSupport"),
            is_modifier: object.flag("isModifier"),
            path,
            id,
        })
    }

    /// Where it stands, for people.
    pub fn place(&self) -> &str {
        self.id.as_deref().unwrap_or(&self.path)
    }
}

fn read_max(text: &str) -> Result<Option<u32>, Defect> {
    if text == "*" { Ok(None) } else { text.parse().map(Some).map_err(|_| Defect::Code("max")) }
}

fn read_type(object: Object<'_>) -> Option<Type> {
    Some(Type {
        code: object.kept("code")?,
        profile: object.kept("profile"),
        target: object.kept("targetProfile"),
        aggregation: object.texts("aggregation").collect(),
    })
}

fn read_typed(object: Object<'_>, prefix: &str) -> Option<Typed> {
    let (suffix, node) = object.choice(prefix)?;
    let twin = object.document.get(object.node, &format!("_{prefix}{suffix}"));
    let mut lower = suffix.clone();
    if let Some(first) = lower.get_mut(..1) {
        first.make_ascii_lowercase();
    }
    let type_name = if Primitive::named(&lower).is_some() { lower } else { suffix };
    Some(Typed {
        type_name: type_name.into(),
        value: Value::of(object.document, node),
        twin: twin.map(|twin| Value::of(object.document, twin)),
    })
}

fn read_binding(object: Object<'_>, source: &str) -> Result<StatedBinding, Defect> {
    let read = |code: std::borrow::Cow<'_, str>| Strength::named(&code).ok_or(Defect::Code("binding.strength"));
    let reference = |of: Object<'_>, name: &str| {
        let canonical = of.object(name)?.kept("reference")?;
        // a value set that the profile contains
        Some(if canonical.starts_with('#') { format!("{source}{canonical}").into() } else { canonical })
    };
    let maximum = object.objects("extension").find(|extension| extension.text("url").is_some_and(|url| url == MAXIMUM));
    Ok(StatedBinding {
        strength: object.text("strength").map(read).transpose()?,
        value_set: reference(object, "valueSetReference").or_else(|| object.kept("valueSetUri")),
        maximum: maximum
            .and_then(|extension| reference(extension, "valueReference").or_else(|| extension.kept("valueUri"))),
    })
}

fn read_slicing(object: Object<'_>) -> Result<Slicing, Defect> {
    let read = |discriminator: Object<'_>| {
        let kind = discriminator.text("type").and_then(|code| DiscriminatorKind::named(&code));
        let path = discriminator.kept("path").ok_or(Defect::NoMember("slicing.discriminator.path"))?;
        Ok(Discriminator { kind: kind.ok_or(Defect::Code("slicing.discriminator.type"))?, path })
    };
    let rules = object.text("rules").and_then(|code| SlicingRules::named(&code));
    Ok(Slicing {
        discriminators: object.objects("discriminator").map(read).collect::<Result<_, _>>()?,
        ordered: object.flag("ordered").unwrap_or(false),
        rules: rules.ok_or(Defect::Code("slicing.rules"))?,
    })
}

fn read_constraint(object: Object<'_>, source: &Arc<str>) -> Option<Constraint> {
    let key = object.kept("key")?;
    let erratum = errata::profile_erratum(source, &key);
    let mut constraint = Constraint {
        is_warning: object.text("severity").is_some_and(|severity| severity == "warning"),
        expression: object.kept("expression").map(Formula::new::<Arc<str>>),
        human: object.kept("human").unwrap_or_default(),
        source: object.kept("source").unwrap_or_else(|| source.clone()),
        correction: None,
        key,
    };
    if let Some(erratum) = erratum {
        constraint.correct(erratum);
    }
    Some(constraint)
}
