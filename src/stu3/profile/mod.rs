//! Profiles: what a `StructureDefinition` states, and the whole that follows from it and from what it derives from.
//!
//! A [`StructureDefinition`] is read as its author states it ([`Change`]s); [`build`] makes the [`Snapshot`]: a tree of
//! [`Node`]s that share what they have in common. What is wrong with a profile is a [`Problem`] with its element.
//! Spec: <https://hl7.org/fhir/STU3/profiling.html>.

mod base;
mod build;
#[cfg(test)]
mod build_test;
mod differential;
mod element;
mod merge;
mod problem;
mod slices;
mod stated;
mod tree;
mod unfold;
mod value;

pub(in crate::stu3) use base::of_type;
pub(in crate::stu3) use build::{Types, build};
pub use differential::{Change, StructureDefinition};
pub use element::{
    Binding, Constraint, Discriminator, DiscriminatorKind, ElementDefinition, Slicing, SlicingRules, Type, Typed,
};
pub use problem::{Defect, Problem};
pub use tree::{Node, Placed, Snapshot};
pub use value::Value;

/// Where canonical URLs of the release's own definitions begin.
pub const RELEASE_URL: &str = "http://hl7.org/fhir/StructureDefinition/";
