//! A FHIR package file (`.tgz`) as its manifest and its resources' bytes; nothing is written anywhere.
//!
//! Packages are hostile input: what is unpacked is counted, names that lead out of the package and names that come twice
//! are refused, and links, folders and files that are no resources are passed over.
//! Spec: <https://confluence.hl7.org/display/FHIR/NPM+Package+Specification>.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{self, Read},
};

/// How much a package may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ArchiveLimits {
    /// Bytes of all its entries, unpacked.
    pub max_unpacked: u64,
    /// Bytes of one file.
    pub max_file: u64,
    /// Entries of any kind.
    pub max_entries: usize,
}

impl Default for ArchiveLimits {
    fn default() -> Self {
        Self { max_unpacked: 512 << 20, max_file: 32 << 20, max_entries: 50_000 }
    }
}

/// Why a package cannot be used at all.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ArchiveError {
    /// No gzip, no tar, or cut off.
    #[error("this is no whole .tgz archive ({0}); fetch the package again")]
    Unreadable(io::Error),
    /// It unpacks to more than the limit.
    #[error("the package unpacks to more than {0} bytes; no real package does, do not use it")]
    TooLarge(u64),
    /// One file is larger than the limit.
    #[error("{file} has more than {limit} bytes; no definition needs as many")]
    FileTooLarge {
        /// Its name in the package.
        file: String,
        /// The limit.
        limit: u64,
    },
    /// More entries than the limit.
    #[error("the package has more than {0} entries; no real package does, do not use it")]
    TooManyEntries(usize),
    /// A name that is absolute, leads out, or is no text.
    #[error("entry {0} of the package has a name that leads out of it; the package is made to do harm, do not use it")]
    StrayName(usize),
    /// A file stands twice.
    #[error("{0} stands twice in the package; which one is meant cannot be known")]
    Twice(String),
    /// There is no `package/package.json`.
    #[error("there is no package/package.json in the archive; it is no FHIR package")]
    NoManifest,
    /// The manifest is no JSON object with a name and a version.
    #[error("package/package.json says no name and version as text; it is no manifest of a FHIR package")]
    Manifest,
    /// The manifest names other releases of FHIR.
    #[error("the package is for FHIR {0}, and STU3 (3.0.2) is needed; get its edition for STU3")]
    OtherRelease(String),
}

/// What a package says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    /// `nictiz.fhir.nl.stu3.zib2017`
    pub name: String,
    /// `2.2.18`
    pub version: String,
    /// The packages that it needs, with their versions.
    pub dependencies: BTreeMap<String, String>,
}

/// A package, unpacked in memory.
#[derive(Debug)]
pub struct Archive {
    /// What it says of itself.
    pub manifest: Manifest,
    /// Its resource files by name, sorted.
    pub files: BTreeMap<String, Vec<u8>>,
}

pub(super) const FOLDER: &str = "package/";
pub(super) const MANIFEST: &str = "package/package.json";

impl Archive {
    /// Unpacks a package.
    ///
    /// # Errors
    /// The first thing that makes it unusable.
    pub fn read(bytes: &[u8], limits: &ArchiveLimits) -> Result<Self, ArchiveError> {
        let meter = Meter { source: flate2::read::GzDecoder::new(bytes), left: limits.max_unpacked };
        let failed = |error: io::Error| match error.get_ref() {
            Some(inner) if inner.is::<Spent>() => ArchiveError::TooLarge(limits.max_unpacked),
            // the tar reader wraps what its source says
            _ if error.to_string().contains(Spent::TEXT) => ArchiveError::TooLarge(limits.max_unpacked),
            _ => ArchiveError::Unreadable(error),
        };
        let mut archive = tar::Archive::new(meter);
        let (mut files, mut seen, mut manifest) = (BTreeMap::new(), BTreeSet::new(), None);
        for (number, entry) in archive.entries().map_err(failed)?.enumerate() {
            if number >= limits.max_entries {
                return Err(ArchiveError::TooManyEntries(limits.max_entries));
            }
            let mut entry = entry.map_err(failed)?;
            let name = plain_name(&entry.path_bytes()).ok_or(ArchiveError::StrayName(number + 1))?;
            if !entry.header().entry_type().is_file() || !(name == MANIFEST || is_resource(&name)) {
                continue;
            }
            if !seen.insert(name.clone()) {
                return Err(ArchiveError::Twice(name));
            }
            if entry.size() > limits.max_file {
                return Err(ArchiveError::FileTooLarge { file: name, limit: limits.max_file });
            }
            let mut content = Vec::new();
            entry.read_to_end(&mut content).map_err(failed)?;
            if name == MANIFEST {
                manifest = Some(Manifest::read(&content)?);
            } else {
                files.insert(name[FOLDER.len()..].to_owned(), content);
            }
        }
        Ok(Self { manifest: manifest.ok_or(ArchiveError::NoManifest)?, files })
    }
}

impl Manifest {
    fn read(bytes: &[u8]) -> Result<Self, ArchiveError> {
        let json: serde_json::Value = serde_json::from_slice(bytes).map_err(|_| ArchiveError::Manifest)?;
        let text = |name: &str| json.get(name).and_then(serde_json::Value::as_str).map(str::to_owned);
        let (Some(name), Some(version)) = (text("name"), text("version")) else { return Err(ArchiveError::Manifest) };
        // two spellings are about; a package that says nothing is judged by its resources
        let releases: Vec<&str> = ["fhirVersions", "fhir-version-list"]
            .iter()
            .filter_map(|key| json.get(key)?.as_array())
            .flatten()
            .filter_map(serde_json::Value::as_str)
            .collect();
        if !releases.is_empty() && !releases.iter().any(|release| super::is_stu3(release)) {
            return Err(ArchiveError::OtherRelease(releases.join(", ")));
        }
        let dependencies = json.get("dependencies").and_then(serde_json::Value::as_object);
        let dependencies = dependencies.into_iter().flatten();
        let dependencies =
            dependencies.filter_map(|(name, version)| Some((name.clone(), version.as_str()?.to_owned()))).collect();
        Ok(Self { name, version, dependencies })
    }
}

/// The name with `/` and without `./`; `None` where it is absolute, leads up, or is no text.
fn plain_name(bytes: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(bytes).ok()?;
    if text.starts_with('/') || text.contains(['\\', '\0', ':']) || text.split('/').any(|part| part == "..") {
        return None;
    }
    Some(text.split('/').filter(|part| !matches!(*part, "" | ".")).collect::<Vec<_>>().join("/"))
}

/// A file directly in `package/`: no examples, no index, no hidden file.
pub(super) fn is_resource(name: &str) -> bool {
    name.strip_prefix(FOLDER).is_some_and(|file| {
        !file.contains('/') && !file.starts_with('.') && (file.ends_with(".json") || file.ends_with(".xml"))
    })
}

/// Counts what is unpacked, and stops at the limit.
struct Meter<R> {
    source: R,
    left: u64,
}

/// The limit was reached.
#[derive(Debug, thiserror::Error)]
#[error("{}", Spent::TEXT)]
struct Spent;

impl Spent {
    const TEXT: &str = "more is unpacked than may be";
}

impl<R: Read> Read for Meter<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.source.read(buffer)?;
        let Some(left) = self.left.checked_sub(count as u64) else { return Err(io::Error::other(Spent)) };
        self.left = left;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    const MANIFEST_TEXT: &str = r#"{"name":"a.b","version":"1.0.0","fhirVersions":["3.0.2"],"dependencies":{"c":"2"}}"#;

    /// Written by hand: the tar builder refuses the names that matter here.
    fn packed(entries: &[(&str, &[u8])]) -> Vec<u8> {
        let mut tar = Vec::new();
        for (name, content) in entries {
            let mut header = tar::Header::new_ustar();
            header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
            header.set_size(content.len() as u64);
            header.set_entry_type(tar::EntryType::Regular);
            header.set_mode(0o644);
            header.set_cksum();
            tar.extend_from_slice(header.as_bytes());
            tar.extend_from_slice(content);
            tar.resize(tar.len().next_multiple_of(512), 0);
        }
        tar.resize(tar.len() + 1024, 0);
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(&tar).unwrap();
        gzip.finish().unwrap()
    }

    fn read(entries: &[(&str, &[u8])]) -> Result<Archive, ArchiveError> {
        Archive::read(&packed(entries), &ArchiveLimits::default())
    }

    fn refused(entries: &[(&str, &[u8])]) -> String {
        read(entries).unwrap_err().to_string()
    }

    #[test]
    fn resources_and_the_manifest_are_found_and_nothing_else() {
        let archive = read(&[
            ("package/b.json", b"{}"),
            ("./package/a.xml", b"<a/>"),
            ("package/.index.json", b"no"),
            ("package/example/c.json", b"no"),
            ("package/read.me", b"no"),
            ("other/d.json", b"no"),
            ("package/package.json", MANIFEST_TEXT.as_bytes()),
        ])
        .unwrap();
        assert_eq!(archive.files.keys().collect::<Vec<_>>(), ["a.xml", "b.json"]);
        assert_eq!((archive.manifest.name.as_str(), archive.manifest.version.as_str()), ("a.b", "1.0.0"));
        assert_eq!(archive.manifest.dependencies.get("c").map(String::as_str), Some("2"));
    }

    #[test]
    fn names_that_lead_out_are_refused() {
        for name in ["../a.json", "package/../../a.json", "/package/a.json", "package\\a.json", "C:/a.json"] {
            let text = refused(&[("package/package.json", MANIFEST_TEXT.as_bytes()), (name, b"{}")]);
            assert!(text.starts_with("entry 2 of the package has a name that leads out"), "{name}: {text}");
        }
    }

    #[test]
    fn what_is_no_package_is_told() {
        assert!(refused(&[("package/a.json", b"{}")]).contains("no package/package.json"));
        assert!(refused(&[("package/package.json", b"[]")]).contains("no name and version"));
        let other = br#"{"name":"a","version":"1","fhirVersions":["4.0.1"]}"#;
        assert!(refused(&[("package/package.json", other)]).contains("is for FHIR 4.0.1"));
        let twice: [(&str, &[u8]); 2] = [("package/a.json", b"{}"), ("package/./a.json", b"{}")];
        assert!(refused(&twice).contains("a.json stands twice"));
        let whole = packed(&[("package/package.json", MANIFEST_TEXT.as_bytes()), ("package/a.json", &[b' '; 9999])]);
        for end in [0, 1, 20, whole.len() / 2] {
            let error = Archive::read(&whole[..end], &ArchiveLimits::default()).unwrap_err();
            assert!(matches!(error, ArchiveError::Unreadable(_)), "{end}: {error}");
        }
    }

    #[test]
    fn bombs_are_not_unpacked() {
        let large = vec![b' '; 4 << 20];
        let entries: [(&str, &[u8]); 2] =
            [("package/package.json", MANIFEST_TEXT.as_bytes()), ("other/large", large.as_slice())];
        let bytes = packed(&entries);
        assert!(bytes.len() < 1 << 16);
        let few = ArchiveLimits { max_unpacked: 1 << 20, ..ArchiveLimits::default() };
        assert!(matches!(Archive::read(&bytes, &few).unwrap_err(), ArchiveError::TooLarge(_)));
        let small = ArchiveLimits { max_file: 10, ..ArchiveLimits::default() };
        assert!(matches!(Archive::read(&bytes, &small).unwrap_err(), ArchiveError::FileTooLarge { .. }));
        let one = ArchiveLimits { max_entries: 1, ..ArchiveLimits::default() };
        assert!(matches!(Archive::read(&bytes, &one).unwrap_err(), ArchiveError::TooManyEntries(1)));
    }
}
