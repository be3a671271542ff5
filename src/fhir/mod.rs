//! LANGUAGE: FHIR's formats as one tree, and what can be said of a text without knowing any resource.
//!
//! A [`Document`] is flat and borrows its text from the source; every node has its place, so that every
//! finding has line and column. This room does no I/O and knows no other room.

pub mod binary;
mod document;
pub mod json;
pub mod path;
pub mod primitive;
mod types;
mod wholeness;

pub use document::{Children, Document, Kind, NodeId, Position};
pub use types::{Content, Member, Primitive, Schema, StructureId};
pub use wholeness::{Wholeness, WholenessCheck};
