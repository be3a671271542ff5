//! Profiles: what a `StructureDefinition` states, and the whole that follows from it and from what it derives from.
//!
//! A [`StructureDefinition`] is read as its author states it ([`Change`]s); `build.rs` makes the [`Snapshot`]: a tree of
//! [`Node`]s that share what they have in common. What is wrong with a profile is a [`Problem`] with its element.
//!
//! How a snapshot is read:
//! - A [`Node`] says what holds for every occurrence of its element. Slices stand behind it in the same list, with the same
//!   name; what a slice says holds in addition, for those that its discriminators tell to be of it. How often the
//!   element stands is counted over all slices; a slice's own counts are its own.
//! - `extension` and `modifierExtension` are always sliced by `url`. Where types of a choice are named without a word on
//!   slicing, only they are left: one becomes the element itself (`valueQuantity`, as in the snapshots of the release), or,
//!   where it is named as a slice or beside others, the choice is sliced by type, closed. Slicing that is stated holds as it is.
//! - A node without children says nothing of what is in it: its type does, the profile of its type, or the element that
//!   it refers to ([`ElementDefinition::content_reference`], as the base has it: what a profile says of the one does not
//!   hold for the other). Where there are children they are all there.
//! - Constraints of a type are at the type's own root, not at the elements of that type.
//!
//! Spec: <https://hl7.org/fhir/STU3/profiling.html>.

mod base;
mod build;
#[cfg(test)]
mod build_test;
mod differential;
mod element;
mod formula;
mod merge;
mod problem;
mod share;
mod slices;
mod stated;
mod tree;
mod unfold;
mod value;

pub(in crate::stu3) use base::of_type;
pub(in crate::stu3) use build::{Types, build};
pub use differential::{Change, StatedBinding, StructureDefinition};
pub use element::{
    Binding, Constraint, Correction, Discriminator, DiscriminatorKind, ElementDefinition, Slicing, SlicingRules, Type,
    Typed,
};
pub use formula::Formula;
pub use problem::{Defect, Problem};
pub use tree::{Node, Placed, Snapshot};
pub use value::Value;

/// Where canonical URLs of the release's own definitions begin.
pub const RELEASE_URL: &str = "http://hl7.org/fhir/StructureDefinition/";
