//! A file for the library: no text of it is read, so only evidence from outside says whose it is.

use super::{
    address::{Addressing, Directory, Envelope, EnvelopeRules, Silence, decide, from_outside, sort},
    media::MediaType,
    parcel::{Addressed, ForLibrary},
};
use crate::model::{FoundBy, HoldReason, LabelFault, Labels, LibraryFacts};
use serde_json::{Map, Value};

/// How a library channel's files are addressed and labelled. A channel for Bundles has none of these.
#[derive(Debug)]
pub struct LibraryRules {
    /// Which evidence is accepted.
    pub envelope: EnvelopeRules,
    /// The references of files whose sidecar names none.
    pub reference: Labels,
    /// The tags of files whose sidecar names none.
    pub tags: Labels,
}

/// What a file goes to the library as, but for its account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Descriptor {
    media_type: MediaType,
    reference: Labels,
    tags: Labels,
}

impl Descriptor {
    /// Its media type.
    pub const fn mime_type(&self) -> &'static str {
        self.media_type.name()
    }

    /// What that was found by.
    pub const fn found_by(&self) -> FoundBy {
        self.media_type.found_by()
    }

    /// Its references.
    pub const fn reference(&self) -> &Labels {
        &self.reference
    }

    /// Its tags.
    pub const fn tags(&self) -> &Labels {
        &self.tags
    }

    /// What records and reports keep of it.
    pub fn facts(&self) -> LibraryFacts {
        LibraryFacts { references: self.reference.count(), tags: self.tags.count(), ..self.media_type.facts() }
    }
}

/// What a file goes as: its labels are its sidecar's where that names any, else the channel's.
///
/// # Errors
/// The sidecar is no JSON object, or its labels are not what they may be.
pub fn describe(media_type: MediaType, sidecar: Option<&[u8]>, rules: &LibraryRules) -> Result<Descriptor, HoldReason> {
    let members = match sidecar.filter(|_| rules.envelope.sidecar) {
        None => Map::new(),
        Some(bytes) => match serde_json::from_slice(bytes) {
            Ok(Value::Object(members)) => members,
            _ => return Err(HoldReason::SidecarUnreadable),
        },
    };
    let labels = |member: &str, default: &Labels| match members.get(member) {
        None => Ok(default.clone()),
        Some(value) => {
            let refused = |what: String| HoldReason::SidecarLabels { member: member.to_owned(), what };
            let texts = texts(value, member).ok_or_else(|| refused(form(member).to_owned()))?;
            Labels::new(texts).map_err(|fault: LabelFault| refused(fault.to_string()))
        }
    };
    Ok(Descriptor { reference: labels("reference", &rules.reference)?, tags: labels("tags", &rules.tags)?, media_type })
}

/// A reference may stand alone, tags are a list.
fn texts(value: &Value, member: &str) -> Option<Vec<String>> {
    match value {
        Value::String(text) if member == "reference" => Some(vec![text.clone()]),
        Value::Array(items) => items.iter().map(|item| item.as_str().map(str::to_owned)).collect(),
        _ => None,
    }
}

fn form(member: &str) -> &'static str {
    if member == "reference" { "this is no text and no list of texts" } else { "this is no list of texts" }
}

/// Finds the one account that a library channel's file belongs to.
///
/// # Errors
/// Only the directory's own: a file that cannot be addressed is a result, not an error.
pub fn address_file<D: Directory>(
    descriptor: Descriptor,
    envelope: Envelope<'_>,
    rules: &LibraryRules,
    directory: &D,
) -> Result<Addressing<ForLibrary>, D::Error> {
    let mut evidence = Vec::new();
    let held = from_outside(envelope, &rules.envelope, Silence::IsNoEvidence, directory, &mut evidence)?;
    sort(&mut evidence);
    let outcome = match held {
        Some(reason) => Err(reason),
        None => decide(&rules.envelope.contract, directory, &evidence)?
            .map(|recipient| Addressed::new(recipient, ForLibrary { descriptor })),
    };
    Ok(Addressing { evidence, outcome })
}
