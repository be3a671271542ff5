//! A package file made of what was unpacked elsewhere: the same content always gives the same bytes.

use super::archive::{FOLDER, MANIFEST, is_resource};
use std::{
    collections::BTreeMap,
    io::{self, Write},
};

/// What a package file of a folder would hold: the manifest, and what lies directly beside it and is a resource.
pub fn belongs_in_package(file: &str) -> bool {
    is_resource(&format!("{FOLDER}{file}"))
}

/// The `.tgz` of a package's files by their names in `package/`, `package.json` among them.
///
/// # Errors
/// A name is too long for the format.
pub fn pack(files: &BTreeMap<String, Vec<u8>>) -> io::Result<Vec<u8>> {
    let mut archive = tar::Builder::new(flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default()));
    let manifest_first = |name: &&String| format!("{FOLDER}{name}") != MANIFEST;
    let mut names: Vec<&String> = files.keys().collect();
    names.sort_by_key(manifest_first);
    for name in names {
        // no time, no owner: they would make other bytes of the same content
        let mut header = tar::Header::new_gnu();
        header.set_size(files[name].len() as u64);
        header.set_mode(0o644);
        header.set_mtime(0);
        archive.append_data(&mut header, format!("{FOLDER}{name}"), &files[name][..])?;
    }
    let mut gzip = archive.into_inner()?;
    gzip.flush()?;
    gzip.finish()
}

#[cfg(test)]
mod tests {
    use super::{super::Archive, super::ArchiveLimits, *};

    #[test]
    fn what_is_packed_is_read_again_and_has_the_same_bytes() {
        let manifest = br#"{"name":"a.b","version":"1.0.0"}"#;
        let long = format!("StructureDefinition-{}.json", "a".repeat(150));
        let files = BTreeMap::from([
            ("a.json".to_owned(), b"{}".to_vec()),
            (long.clone(), b"[]".to_vec()),
            ("package.json".to_owned(), manifest.to_vec()),
        ]);
        let packed = pack(&files).unwrap();
        assert_eq!(packed, pack(&files).unwrap());
        let archive = Archive::read(&packed, &ArchiveLimits::default()).unwrap();
        assert_eq!(archive.manifest.name, "a.b");
        assert_eq!(archive.files, BTreeMap::from([("a.json".into(), b"{}".to_vec()), (long, b"[]".to_vec())]));
    }

    #[test]
    fn only_resources_and_the_manifest_belong_in_it() {
        assert!(belongs_in_package("package.json") && belongs_in_package("ValueSet-a.xml"));
        for file in [".index.json", "read.me", "other/a.json", ""] {
            assert!(!belongs_in_package(file), "{file}");
        }
    }
}
