//! FHIR packages and single definitions: bytes become a [`Library`] of profiles, value sets, code systems and
//! questionnaires.
//!
//! This room reads no files: a [`Shelf`] takes their names and bytes in any order, and makes a [`Library`] that does
//! not depend on it. What cannot be used is told with file and element, and never stops the rest.

mod archive;
mod circles;
mod correction;
mod display;
mod id;
mod library;
mod membership;
mod object;
mod own;
mod pack;
mod questionnaire;
mod shelf;
mod terminology;

pub use archive::{Archive, ArchiveError, ArchiveLimits, Manifest};
pub use id::{InvalidPackageId, PackageName, PackageVersion, VersionRange};
pub use library::{Library, Profile};
pub use membership::{Known, LooseSet};
pub(in crate::stu3) use object::Object;
pub use pack::{belongs_in_package, pack};
pub use questionnaire::{Answer, Asks, Condition, DEEPEST_ITEM, Listed, Question, Questionnaire, Wanted};
pub use shelf::Shelf;
pub use terminology::{Concept, DefinedCodeSystem, DefinedValueSet, Expanded, Filter, Include, SystemConcept};

/// A version of FHIR is the release that this library holds: STU3, 3.0 with any correction.
fn is_stu3(version: &str) -> bool {
    version == "3.0" || version.starts_with("3.0.")
}
