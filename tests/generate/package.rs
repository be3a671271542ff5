//! A FHIR package (`.tgz`) as its conformance resources, by canonical URL.

use serde_json::Value;
use std::{
    collections::BTreeMap,
    io::{self, Read},
};

/// The resources of a package that the table is made of, each by its `url`.
pub(crate) struct Package {
    /// `StructureDefinition`s that define types (no profiles, no logical models), by name.
    pub(crate) types: BTreeMap<String, Value>,
    /// `StructureDefinition`s of extensions, by URL.
    pub(crate) extensions: BTreeMap<String, Value>,
    /// `StructureDefinition`s that constrain others, extensions too, by URL.
    pub(crate) profiles: BTreeMap<String, Value>,
    /// `ValueSet`s by URL.
    pub(crate) value_sets: BTreeMap<String, Value>,
    /// `CodeSystem`s by URL.
    pub(crate) code_systems: BTreeMap<String, Value>,
}

/// Reads a gzipped tar of JSON files.
///
/// # Errors
/// Where the archive or one of its JSON files cannot be read.
pub(crate) fn read(bytes: &[u8]) -> io::Result<Package> {
    let mut package = Package {
        types: BTreeMap::new(),
        extensions: BTreeMap::new(),
        profiles: BTreeMap::new(),
        value_sets: BTreeMap::new(),
        code_systems: BTreeMap::new(),
    };
    for entry in tar::Archive::new(flate2::read::GzDecoder::new(bytes)).entries()? {
        let mut entry = entry?;
        if entry.path()?.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        let mut text = Vec::new();
        entry.read_to_end(&mut text)?;
        package.add(serde_json::from_slice(&text)?);
    }
    Ok(package)
}

impl Package {
    fn add(&mut self, resource: Value) {
        let url = text(&resource, "url").to_owned();
        if text(&resource, "derivation") == "constraint" && text(&resource, "fhirVersion").starts_with("3.0.") {
            self.profiles.insert(url.clone(), resource.clone());
        }
        match text(&resource, "resourceType") {
            "ValueSet" => drop(self.value_sets.insert(url, resource)),
            "CodeSystem" => drop(self.code_systems.insert(url, resource)),
            "StructureDefinition" if defines_type(&resource) => {
                drop(self.types.insert(text(&resource, "name").to_owned(), resource));
            }
            "StructureDefinition" if text(&resource, "type") == "Extension" => {
                drop(self.extensions.insert(url, resource));
            }
            _ => {}
        }
    }
}

fn defines_type(resource: &Value) -> bool {
    text(resource, "derivation") != "constraint"
        && matches!(text(resource, "kind"), "resource" | "complex-type" | "primitive-type")
}

/// A string member; empty where it is absent.
pub(crate) fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// The items of an array member; none where it is absent.
pub(crate) fn items<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    value.get(name).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}
