//! What goes with a file to the library: the signed description in the header `FileDescriptor`.

use crate::{
    model::{AccountId, Labels},
    route::Descriptor,
};
use serde::Serialize;

/// Below the API's base; any file's octets are posted there.
pub(super) const PATH: &str = "permission-access/import";
/// The header's name.
pub(super) const HEADER: &str = "FileDescriptor";

/// The payload of the description, in the order in which the API's own client writes it. It has no other claims.
#[derive(Serialize)]
pub(super) struct FileDescriptor<'a> {
    metadata: Metadata<'a>,
}

#[derive(Serialize)]
struct Metadata<'a> {
    #[serde(rename = "mimeType")]
    mime_type: &'a str,
    accounts: [Account<'a>; 1],
    #[serde(skip_serializing_if = "Labels::is_empty")]
    reference: &'a Labels,
    #[serde(skip_serializing_if = "Labels::is_empty")]
    tags: &'a Labels,
}

#[derive(Serialize)]
struct Account<'a> {
    #[serde(rename = "accountId")]
    id: &'a str,
}

impl<'a> FileDescriptor<'a> {
    /// Of a file for exactly one account.
    pub(super) fn new(descriptor: &'a Descriptor, account: &'a AccountId) -> Self {
        Self {
            metadata: Metadata {
                mime_type: descriptor.mime_type(),
                accounts: [Account { id: account.as_str() }],
                reference: descriptor.reference(),
                tags: descriptor.tags(),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        model::ForeignName,
        route::{EnvelopeRules, LibraryRules, describe, media_type},
    };

    fn payload(sidecar: &str) -> String {
        let envelope =
            EnvelopeRules { contract: "main".parse().unwrap(), folder: false, sidecar: true, default_account: None };
        let tags = Labels::new(vec!["letter".to_owned()]).unwrap();
        let rules = LibraryRules { envelope, reference: Labels::default(), tags };
        let media_type = media_type(&ForeignName::new("letter"), b"%PDF-1.7");
        let descriptor = describe(media_type, Some(sidecar.as_bytes()), &rules).unwrap();
        serde_json::to_string(&FileDescriptor::new(&descriptor, &"a-1".parse().unwrap())).unwrap()
    }

    #[test]
    fn the_payload_is_written_to_the_letter() {
        assert_eq!(
            payload(r#"{"key": "k"}"#),
            r#"{"metadata":{"mimeType":"application/pdf","accounts":[{"accountId":"a-1"}],"tags":["letter"]}}"#
        );
        assert_eq!(
            payload(r#"{"key": "k", "reference": "case-7", "tags": []}"#),
            r#"{"metadata":{"mimeType":"application/pdf","accounts":[{"accountId":"a-1"}],"reference":["case-7"]}}"#
        );
    }
}
