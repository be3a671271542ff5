//! LANGUAGE: FHIR's formats as one tree, and what can be said of a text without knowing any resource
//! (primitive formats, units of measure, currencies).
//!
//! A [`Document`] is flat and borrows its text from the source; every node has its place, so that every
//! finding has line and column. This room does no I/O and knows no other room.

pub mod binary;
pub mod currency;
mod document;
pub mod json;
pub mod path;
pub mod primitive;
pub(crate) mod scan;
mod types;
pub mod ucum;
mod wholeness;
mod wholeness_xml;
mod word;
pub mod write;
pub mod xml;

pub use document::{Children, Document, Kind, NodeId, Places, Position};
pub use types::{Content, Member, Primitive, Schema, StructureId};
pub use wholeness::{Wholeness, WholenessCheck};
pub(crate) use word::{Word, Words};
pub use xml::{Remark, RemarkKind};

/// Reads JSON or XML, whichever the first character says it is.
///
/// # Errors
/// The first thing that makes it unreadable, with its place.
pub fn read<'a>(bytes: &'a [u8], limits: &json::Limits, schema: &dyn Schema) -> Result<Document<'a>, json::ReadError> {
    let unmarked = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    if unmarked.trim_ascii_start().first() == Some(&b'<') {
        xml::read(bytes, limits, schema)
    } else {
        json::read(bytes, limits)
    }
}
