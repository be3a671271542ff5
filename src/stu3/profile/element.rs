//! What a profile says of one element: the facts of an `ElementDefinition`, without its prose.
//!
//! Spec: <https://hl7.org/fhir/STU3/elementdefinition.html>.

use super::{Formula, Value};
use crate::stu3::{Strength, errata::ProfileErratum};
use std::sync::Arc;

/// The whole definition of an element, as a snapshot has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ElementDefinition {
    /// How often it must stand at least.
    pub min: u32,
    /// How often it may stand; `None` is `*`.
    pub max: Option<u32>,
    /// Its types, one for each profile and target, as the release writes them.
    pub types: Vec<Type>,
    /// Where the children are defined, if not here: the path of another element, without `#`.
    pub content_reference: Option<Arc<str>>,
    /// The value must be exactly this.
    pub fixed: Option<Typed>,
    /// The value must have at least this.
    pub pattern: Option<Typed>,
    /// The least value.
    pub min_value: Option<Typed>,
    /// The greatest value.
    pub max_value: Option<Typed>,
    /// The most characters.
    pub max_length: Option<u32>,
    /// Where its codes come from.
    pub binding: Option<Binding>,
    /// Its constraints, by key in the order in which they were stated; those of its types are not repeated here.
    pub constraints: Vec<Constraint>,
    /// Keys of constraints elsewhere that it has to do with.
    pub conditions: Vec<Arc<str>>,
    /// How it is cut into slices that follow it.
    pub slicing: Option<Slicing>,
    /// Systems have to support it; shown, never judged.
    pub must_support: bool,
    /// It changes the meaning of what it stands in.
    pub is_modifier: bool,
}

/// A type that an element may have.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Type {
    /// Its name: `Quantity`, `Reference`.
    pub code: Arc<str>,
    /// Canonical URL of a profile that the value must meet.
    pub profile: Option<Arc<str>>,
    /// Canonical URL of a profile that what is referred to must meet.
    pub target: Option<Arc<str>>,
    /// How what is referred to is carried: `contained`, `referenced`, `bundled`.
    pub aggregation: Vec<Arc<str>>,
}

/// A value with its type, as `fixed[x]` has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Typed {
    /// The type's name: `CodeableConcept`, `uri`.
    pub type_name: Arc<str>,
    /// The value.
    pub value: Value,
    /// What stands beside a primitive value in its twin: id and extensions.
    pub twin: Option<Value>,
}

/// The value set that codes come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    /// How strictly.
    pub strength: Strength,
    /// Canonical URL.
    pub value_set: Option<Arc<str>>,
    /// The value set that codes must come from even where the binding is weaker (`elementdefinition-maxValueSet`).
    pub maximum: Option<Arc<str>>,
}

/// A constraint with its FHIRPath.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Constraint {
    /// Its key; unique in an element.
    pub key: Arc<str>,
    /// It is a warning only.
    pub is_warning: bool,
    /// FHIRPath; `None` where it is stated in words alone.
    pub expression: Option<Formula>,
    /// What it asks for, in the author's words.
    pub human: Arc<str>,
    /// Canonical URL of the structure that states it.
    pub source: Arc<str>,
    /// Why it is not as published.
    pub correction: Option<Correction>,
}

/// What an erratum made of a constraint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Correction {
    /// The erratum.
    pub erratum: Arc<ProfileErratum>,
    /// It was published as an error, and is a warning.
    pub is_softened: bool,
}

/// How an element is cut into slices.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slicing {
    /// What tells slices apart; empty where nothing but the author knows.
    pub discriminators: Vec<Discriminator>,
    /// Slices stand in the order of the profile.
    pub ordered: bool,
    /// What may stand beside the slices.
    pub rules: SlicingRules,
}

/// What tells slices apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Discriminator {
    /// In which way.
    pub kind: DiscriminatorKind,
    /// FHIRPath from the sliced element.
    pub path: Arc<str>,
}

/// How a discriminator tells slices apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiscriminatorKind {
    /// By a fixed value, a pattern or a required binding.
    Value,
    /// By being there or not.
    Exists,
    /// By a pattern.
    Pattern,
    /// By type.
    Type,
    /// By meeting a profile.
    Profile,
}

/// What may stand beside slices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SlicingRules {
    /// Nothing.
    Closed,
    /// Anything.
    Open,
    /// Anything, behind all slices.
    OpenAtEnd,
}

impl Constraint {
    /// Takes it as an erratum says.
    pub(in crate::stu3) fn correct(&mut self, erratum: &Arc<ProfileErratum>) {
        let was_softened = self.correction.as_ref().is_some_and(|correction| correction.is_softened);
        let is_softened = was_softened || (erratum.is_warning && !self.is_warning);
        self.is_warning |= erratum.is_warning;
        if let Some(expression) = &erratum.expression {
            self.expression = Some(Formula::new(expression.clone()));
        }
        self.correction = Some(Correction { erratum: erratum.clone(), is_softened });
    }
}

impl DiscriminatorKind {
    /// By its code.
    pub fn named(code: &str) -> Option<Self> {
        match code {
            "value" => Some(Self::Value),
            "exists" => Some(Self::Exists),
            "pattern" => Some(Self::Pattern),
            "type" => Some(Self::Type),
            "profile" => Some(Self::Profile),
            _ => None,
        }
    }

    /// Its code.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Value => "value",
            Self::Exists => "exists",
            Self::Pattern => "pattern",
            Self::Type => "type",
            Self::Profile => "profile",
        }
    }
}

impl SlicingRules {
    /// By its code.
    pub fn named(code: &str) -> Option<Self> {
        match code {
            "closed" => Some(Self::Closed),
            "open" => Some(Self::Open),
            "openAtEnd" => Some(Self::OpenAtEnd),
            _ => None,
        }
    }

    /// Its code.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::OpenAtEnd => "openAtEnd",
        }
    }
}

impl Slicing {
    /// By one discriminator, open: what extensions and the types of a choice have though nobody says so.
    pub(super) fn implied(kind: DiscriminatorKind, path: &str) -> Self {
        let discriminators = vec![Discriminator { kind, path: path.into() }];
        Self { discriminators, ordered: false, rules: SlicingRules::Open }
    }
}

impl Type {
    /// A type by its name alone.
    pub(super) fn plain(code: &str) -> Self {
        Self { code: code.into(), ..Self::default() }
    }
}
