//! What is wrong with a definition, and where.

use crate::stu3::errata::ProfileErratum;
use std::sync::Arc;

/// Something wrong with a definition, with its place.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
#[error("{file}{}: {defect}", .element.as_deref().map(|element| format!(", {element}")).unwrap_or_default())]
pub struct Problem {
    /// The file; in a package `package#version/file`.
    pub file: Arc<str>,
    /// Canonical URL of the definition.
    pub url: Option<Arc<str>>,
    /// The element's id or path.
    pub element: Option<Arc<str>>,
    /// What is wrong.
    pub defect: Defect,
}

/// What is wrong with a definition.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
#[non_exhaustive]
pub enum Defect {
    /// It cannot be read.
    #[error("line {line}, column {column}: {text}")]
    Unreadable {
        /// From 1.
        line: u32,
        /// From 1.
        column: u32,
        /// Why.
        text: String,
    },
    /// More bytes than any definition needs.
    #[error("it has more than {0} bytes; no definition needs as many")]
    FileTooLarge(u64),
    /// No definition that is used here.
    #[error("this is no StructureDefinition, ValueSet, CodeSystem or Questionnaire; take the file away")]
    OtherResource,
    /// Something that has to be there.
    #[error("{0} is missing; nothing can be made of it")]
    NoMember(&'static str),
    /// A code that the release does not have.
    #[error("{0} has a value that STU3 does not know")]
    Code(&'static str),
    /// More elements than any profile needs.
    #[error("more than {0} elements; no real profile has as many")]
    TooManyElements(usize),
    /// For another release of FHIR.
    #[error("it is for FHIR {0}, and STU3 (3.0.2) is needed; get its edition for STU3")]
    OtherRelease(Arc<str>),
    /// A logical model.
    #[error("it is no constraint on a type of STU3 but a model of its own; such models are not used")]
    NoConstraint,
    /// The same URL and version twice, with different content.
    #[error(
        "it is also in {0}, with the same URL and version and another content; which one is meant cannot be known, take one away"
    )]
    Twice(Arc<str>),
    /// What it derives from is not there.
    #[error("what it derives from, {0}, is not loaded; add the package that has it")]
    NoBase(Arc<str>),
    /// What it derives from, or takes elements from, cannot be used.
    #[error("it stands on {0}, which is unusable itself")]
    Unusable(Arc<str>),
    /// It derives from itself, or takes elements from itself.
    #[error("it stands on itself: the way leads through {0} once more")]
    Loop(Arc<str>),
    /// It derives through more profiles than any needs.
    #[error("it stands on more than {0} profiles, one above the other")]
    TooDeep(usize),
    /// It constrains another type than its base.
    #[error("it constrains {0}, and what it derives from constrains {1}")]
    OtherType(Arc<str>, Arc<str>),
    /// A path of more parts than any needs.
    #[error("its path has more than {0} parts; no element lies as deep")]
    PathTooDeep(usize),
    /// A path longer than any needs to be.
    #[error("its path has more than {0} bytes; no element has such a path")]
    PathTooLong(usize),
    /// A path that leads nowhere.
    #[error("there is no element {name} in {parent}")]
    NoElement {
        /// The name.
        name: String,
        /// Where it was looked for.
        parent: String,
    },
    /// A path through an element of several types.
    #[error("{0} may be of several types, so its elements cannot be constrained; name one type")]
    SeveralTypes(String),
    /// The same element twice.
    #[error("the element stands twice in the differential")]
    ElementTwice,
    /// A slice of something that is not sliced.
    #[error(
        "slice {0} of an element that nothing cuts into slices; where it is the only one, the whole element is meant"
    )]
    NoSlicing(Arc<str>),
    /// A slice of a slice that is not there.
    #[error("it slices the slice {0} once more, and that is not there")]
    NoSlice(Arc<str>),
    /// A slice of a type that has the name of one of another type.
    #[error("slice {0} is there already, and of another type; give this one another name")]
    OtherSlice(Arc<str>),
    /// `min` above `max`.
    #[error("at least {min}, but at most {max}: nothing can meet both")]
    MinAboveMax {
        /// The least.
        min: u32,
        /// The most.
        max: u32,
    },
    /// A type that the base does not allow.
    #[error("type {0} is none that the element may have in what it derives from")]
    TypeNotAllowed(Arc<str>),
    /// The whole has too many elements.
    #[error("with all its slices it has more than {0} elements; no real profile has as many")]
    TooLarge(usize),
    /// More often than the base allows.
    #[error("it may stand more often than what it derives from allows; the base's limit holds")]
    Wider,
    /// A slice of something that the same profile takes away.
    #[error("it is a slice of an element that the profile takes away; it is taken as if that were not said")]
    TakenAway,
    /// A profile of a type that is not there.
    #[error("profile {0}, which its type names, is not loaded; what it asks for is not checked")]
    NoTypeProfile(Arc<str>),
    /// A package that a package needs and that is not there.
    #[error("it needs the package {name} {version}, which is not loaded; what it takes from there is not checked")]
    NoPackage {
        /// Its name.
        name: String,
        /// Its version.
        version: String,
    },
    /// An expression that cannot be read.
    #[error("constraint {key} is not checked: {text}")]
    Expression {
        /// Its key.
        key: Arc<str>,
        /// Why.
        text: String,
    },
    /// A constraint that is known to be defective.
    #[error("constraint {} is not taken as it is published ({}): {}", .0.key, .0.file, .0.reason)]
    Corrected(Arc<ProfileErratum>),
    /// A file of errata that cannot be read.
    #[error("this is no file of errata: {0}")]
    Errata(String),
    /// An erratum of a constraint that no profile of the packages states.
    #[error("no profile of this URL that is loaded states a constraint {0}: correct the erratum, or take it out")]
    NoConstraintNamed(Arc<str>),
    /// Two errata of one constraint.
    #[error("{0} has another erratum of constraint {1}; which one is meant cannot be known, take one away")]
    ErratumTwice(Arc<str>, Arc<str>),
    /// A value set that takes itself in.
    #[error("it takes in value sets that take it in, by way of {0}; none of them is used")]
    Circle(Arc<str>),
}

impl Defect {
    /// It leaves the definition usable.
    pub const fn is_warning(&self) -> bool {
        matches!(
            self,
            Self::NoConstraint
                | Self::Wider
                | Self::TakenAway
                | Self::NoTypeProfile(_)
                | Self::NoPackage { .. }
                | Self::Expression { .. }
                | Self::Corrected(_)
                | Self::NoSlicing(_)
        )
    }
}
