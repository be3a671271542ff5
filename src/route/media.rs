//! The media type of a file for the library: by its first bytes where they are certain, else by its name.
//!
//! A name is a claim by whoever saved the file. It counts where the bytes do not speak against it: a text's name only
//! for a text, and the name of a format that begins with a signature only where that signature stands. A container
//! (ZIP, OLE, XML) says less than the name of a format that is built on it.

use crate::model::{ForeignName, FoundBy, LibraryFacts};

/// How many of a file's first bytes are looked at.
pub const HEAD: usize = 16 * 1024;

/// A file's media type, and what it was found by. Only [`media_type`] makes one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MediaType {
    name: &'static str,
    found_by: FoundBy,
}

const UNKNOWN: &str = "application/octet-stream";

impl MediaType {
    /// `application/pdf`, for example.
    pub const fn name(self) -> &'static str {
        self.name
    }

    /// What it was found by.
    pub const fn found_by(self) -> FoundBy {
        self.found_by
    }

    /// As records keep it, without labels.
    pub fn facts(self) -> LibraryFacts {
        LibraryFacts { mime_type: self.name.to_owned(), found_by: self.found_by, references: 0, tags: 0 }
    }
}

/// What the first bytes tell.
enum Content {
    /// A format by a signature that nothing else has.
    Certain(&'static str),
    /// A container that other formats are built on.
    Container(&'static str, fn(&str) -> bool),
    /// A format by two or three bytes that may stand in another one too.
    Likely(&'static str),
    Unknown,
}

/// The media type of a file that begins with `head`, at most [`HEAD`] bytes of it.
pub fn media_type(name: &ForeignName, head: &[u8]) -> MediaType {
    let content = content(head);
    let named = by_name(name).filter(|named| is_borne_out(named, &content, head));
    let found = |name, found_by| MediaType { name, found_by };
    match (content, named) {
        (Content::Certain(name), _) => found(name, FoundBy::Content),
        (Content::Container(_, carries), Some(named)) if carries(named) => found(named, FoundBy::Name),
        (Content::Container(name, _), _) => found(name, FoundBy::Content),
        (Content::Likely(name), Some(named)) if named == name => found(name, FoundBy::Content),
        (Content::Likely(_) | Content::Unknown, Some(named)) => found(named, FoundBy::Name),
        (Content::Likely(name), None) => found(name, FoundBy::Content),
        (Content::Unknown, None) => found(UNKNOWN, FoundBy::Nothing),
    }
}

fn content(head: &[u8]) -> Content {
    let Some(kind) = infer::get(head) else { return Content::Unknown };
    match kind.mime_type() {
        UNKNOWN => Content::Unknown,
        "application/zip" => Content::Container("application/zip", is_zipped),
        // Every OLE file is found as the first format that is built on it.
        "application/msword" | "application/x-ole-storage" => Content::Container("application/x-ole-storage", is_ole),
        "text/xml" => Content::Container("text/xml", is_xml),
        name @ ("text/html" | "text/x-shellscript") => Content::Container(name, |named| named.starts_with("text/")),
        name if !LIKELY.contains(&name) => Content::Certain(name),
        _ if is_text(head) => Content::Unknown,
        name => Content::Likely(name),
    }
}

/// Formats that are found by two or three bytes.
const LIKELY: [&str; 10] = [
    "application/vnd.microsoft.portable-executable",
    "application/x-compress",
    "application/x-x509-ca-cert",
    "audio/aac",
    "audio/mpeg",
    "image/bmp",
    "image/jxl",
    "image/vnd.ms-photo",
    "video/mpeg",
    "application/font-sfnt",
];

fn by_name(name: &ForeignName) -> Option<&'static str> {
    const LONGEST: usize = 16;
    let bytes = name.as_bytes();
    let last = bytes.iter().rposition(|byte| *byte == b'/').map_or(bytes, |slash| &bytes[slash + 1..]);
    let dot = last.iter().rposition(|byte| *byte == b'.').filter(|dot| *dot > 0)?;
    let ending = std::str::from_utf8(&last[dot + 1..]).ok().filter(|ending| ending.len() <= LONGEST)?;
    mime_guess::from_ext(ending).first_raw().filter(|named| *named != UNKNOWN)
}

/// Whether the first bytes do not speak against a name.
fn is_borne_out(named: &str, content: &Content, head: &[u8]) -> bool {
    match content {
        Content::Certain(name) | Content::Likely(name) if named == *name => true,
        Content::Container(_, carries) => carries(named),
        _ if is_textual(named) => is_text(head),
        _ => !infer::is_mime_supported(named),
    }
}

fn is_zipped(named: &str) -> bool {
    let built_on = ["application/vnd.openxmlformats-officedocument.", "application/vnd.oasis.opendocument."];
    named.ends_with("+zip")
        || named.to_ascii_lowercase().ends_with(".macroenabled.12")
        || built_on.iter().any(|start| named.starts_with(start))
        || ["application/java-archive", "application/vnd.android.package-archive"].contains(&named)
}

fn is_ole(named: &str) -> bool {
    ["application/msword", "application/vnd.ms-", "application/vnd.visio", "application/x-msi"]
        .iter()
        .any(|start| named.starts_with(start))
}

fn is_xml(named: &str) -> bool {
    named.ends_with("+xml") || named.ends_with("/xml")
}

fn is_textual(named: &str) -> bool {
    named.starts_with("text/")
        || is_xml(named)
        || named.ends_with("json")
        || named.ends_with("/javascript")
        || named == "application/sql"
        || named == "application/yaml"
}

/// Whether it may be a text in any of the usual encodings.
fn is_text(head: &[u8]) -> bool {
    let utf_16 = head.starts_with(&[0xff, 0xfe]) || head.starts_with(&[0xfe, 0xff]);
    utf_16 || !head.iter().any(|byte| matches!(byte, 0..=8 | 11 | 14..=26 | 28..=31 | 127))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ZIP: &[u8] = b"PK\x03\x04\x14\0\0\0\x08\0________\0\0\0\0\0\0\0\0\x05\0\0\0a.bin";
    const OLE: &[u8] = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1________";
    const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR";

    fn found(name: &str, head: &[u8]) -> (&'static str, FoundBy) {
        let found = media_type(&ForeignName::new(name), head);
        (found.name(), found.found_by())
    }

    #[test]
    fn content_wins_where_it_is_certain() {
        assert_eq!(found("scan.jpg", PNG), ("image/png", FoundBy::Content));
        assert_eq!(found("letter", b"%PDF-1.7\n"), ("application/pdf", FoundBy::Content));
        assert_eq!(found("x.txt", b"%PDF-1.7\n"), ("application/pdf", FoundBy::Content));
        let dicom = [&[0; 128], &b"DICM\x02\0"[..]].concat();
        assert_eq!(found("IM000001", &dicom), ("application/dicom", FoundBy::Content));
    }

    #[test]
    fn a_container_says_less_than_the_name_of_what_is_built_on_it() {
        let docx = "application/vnd.openxmlformats-officedocument.wordprocessingml.document";
        assert_eq!(found("letter.docx", ZIP), (docx, FoundBy::Name));
        assert_eq!(found("letter.pdf", ZIP), ("application/zip", FoundBy::Content));
        assert_eq!(found("letter.xls", OLE), ("application/vnd.ms-excel", FoundBy::Name));
        assert_eq!(found("letter", OLE), ("application/x-ole-storage", FoundBy::Content));
        assert_eq!(found("chart.svg", b"<?xml version=\"1.0\"?><svg/>"), ("image/svg+xml", FoundBy::Name));
        assert_eq!(found("chart.png", b"<?xml version=\"1.0\"?><svg/>"), ("text/xml", FoundBy::Content));
        assert_eq!(found("notes.md", b"<!-- a note -->"), ("text/markdown", FoundBy::Name));
    }

    #[test]
    fn a_name_counts_where_the_bytes_do_not_speak_against_it() {
        assert_eq!(found("values.csv", b"date;value\n1;2\n"), ("text/csv", FoundBy::Name));
        assert_eq!(found("dir.pdf/values.CSV", b"date;value\n"), ("text/csv", FoundBy::Name));
        assert_eq!(found("values.csv", b"\0\x01\x02"), (UNKNOWN, FoundBy::Nothing));
        assert_eq!(found("record.json", b"{}"), ("application/json", FoundBy::Name));
        assert_eq!(found("letter.pdf", b"a text that is no PDF"), (UNKNOWN, FoundBy::Nothing));
        assert_eq!(found("BM.txt", b"BMI and weight\n"), ("text/plain", FoundBy::Name));
        assert_eq!(found("scan.bmp", b"BM\x10\0\0\0"), ("image/bmp", FoundBy::Content));
        assert_eq!(found("scan.pdf", b"BM\x10\0\0\0"), ("image/bmp", FoundBy::Content));
    }

    #[test]
    fn strange_names_tell_nothing() {
        for name in ["", ".", "..", ".pdf", "a.", "a.\n", "a.csv\0", "a.aaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "csv"] {
            assert_eq!(found(name, b"some text"), (UNKNOWN, FoundBy::Nothing), "{name:?}");
        }
        assert_eq!(media_type(&ForeignName::new(b"a.\xff\xfe".to_vec()), b"x").name(), UNKNOWN);
        assert_eq!(found("", b""), (UNKNOWN, FoundBy::Nothing));
    }

    #[test]
    fn cut_and_random_beginnings_find_their_way() {
        let mut seed = 1_u64;
        for start in
            [ZIP, OLE, PNG, b"%PDF", b"MZ", b"\x1f\x8b", b"RIFF", b"\0\0\0 ftyp", b"PK\x03\x04[Content_Types].xml"]
        {
            for length in 0..600 {
                let mut head = start.to_vec();
                while head.len() < length {
                    seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    head.push(seed.to_be_bytes()[0]);
                }
                head.truncate(length);
                assert!(found("x.docx", &head).0.contains('/'));
            }
        }
    }
}
