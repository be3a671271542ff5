//! Where a package that is asked for by name comes from: the user's package cache, else the registry that was named.
//!
//! The cache is laid out as the FHIR package cache specification says: a folder `NAME#VERSION` for each package, in it
//! `package/` with the unpacked files. It is read only. Spec: <https://confluence.hl7.org/display/FHIR/FHIR+Package+Cache>.

use super::{Exit, Failed, load::unreadable};
use crate::{
    cli::context::{Context, runtime},
    config::Profiles,
    push::{Listing, Registry, RegistryAddress, RegistryError, RegistryLimits},
    stu3::package::{ArchiveLimits, PackageName, PackageVersion, VersionRange, belongs_in_package, pack},
};
use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

/// Cache and registry, for the time of one command.
pub(super) struct Origins {
    cache: Option<PathBuf>,
    registry: Option<Registry>,
}

/// A package that was found.
pub(super) struct Found {
    pub(super) version: PackageVersion,
    /// The `.tgz`.
    pub(super) bytes: Vec<u8>,
    /// For the lock.
    pub(super) source: String,
    /// The registry said no digest to check by.
    pub(super) is_unchecked: bool,
}

impl Origins {
    /// As configured; a set-up without a configuration file has the user's cache and no registry.
    pub(super) fn new(config: &Path, registry: Option<&str>) -> Result<Self, Failed> {
        let configured = if config.exists() { Context::load(config)?.config.profiles } else { Profiles::default() };
        let cache = configured.cache();
        let is_asked = registry.is_some();
        let Some(url) = registry.map(str::to_owned).or(configured.registry) else {
            return Ok(Self { cache, registry: None });
        };
        let read = |path: &PathBuf| {
            let told = |error| format!("read profiles.ca_file {}: {error}", path.display());
            fs::read_to_string(path).map_err(|error| Failed::say(Exit::Config, told(error)))
        };
        let authorities_pem = configured.ca_file.as_ref().map(read).transpose()?;
        let address = RegistryAddress { url, authorities_pem, proxy: configured.proxy };
        let registry = Registry::new(&address, RegistryLimits::default()).map_err(|error| {
            let exit = if is_asked { Exit::Usage } else { Exit::Config };
            Failed::say(exit, format!("use the package registry: {error}"))
        })?;
        Ok(Self { cache, registry: Some(registry) })
    }

    /// The newest version that is meant; the registry is asked only for what the cache does not have.
    pub(super) fn find(&self, name: &PackageName, range: &VersionRange) -> Result<Option<Found>, Failed> {
        match self.cached(name, range)? {
            Some(found) => Ok(Some(found)),
            None => self.registered(name, range),
        }
    }

    /// Where was looked, and what can be done, for a text.
    pub(super) fn looked(&self) -> String {
        let cache = self.cache.as_ref().map_or("no package cache".to_owned(), |cache| cache.display().to_string());
        match &self.registry {
            Some(registry) => format!("it is neither in {cache} nor in {}", registry.address()),
            None => format!("it is not in {cache}, and no registry is named ([profiles] registry, or --registry URL)"),
        }
    }

    fn cached(&self, name: &PackageName, range: &VersionRange) -> Result<Option<Found>, Failed> {
        let Some(cache) = &self.cache else { return Ok(None) };
        let entries = match fs::read_dir(cache) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(unreadable(cache, &error)),
        };
        let mut versions = Vec::new();
        for entry in entries {
            let file = entry.map_err(|error| unreadable(cache, &error))?.file_name();
            let version = file.to_str().and_then(|file| file.strip_prefix(name.as_str())?.strip_prefix('#'));
            versions.extend(version.map(str::to_owned));
        }
        let newest = range.newest(versions.iter().map(String::as_str));
        let Some(version) = newest.and_then(|version| version.parse::<PackageVersion>().ok()) else { return Ok(None) };
        let folder = cache.join(format!("{name}#{version}")).join("package");
        let bytes = packed(&folder).map_err(|error| unreadable(&folder, &error))?;
        Ok(Some(Found { version, bytes, source: "cache".to_owned(), is_unchecked: false }))
    }

    fn registered(&self, name: &PackageName, range: &VersionRange) -> Result<Option<Found>, Failed> {
        let Some(registry) = &self.registry else { return Ok(None) };
        let failed = |error: RegistryError| {
            let exit = if error == RegistryError::Digest { Exit::No } else { Exit::Api };
            Failed::say(exit, format!("fetch {name}@{range} from {}: {error}", registry.address()))
        };
        let asked = async {
            let listing: Listing = registry.listing(name.as_str()).await?;
            let newest = range.newest(listing.versions()).and_then(|version| version.parse::<PackageVersion>().ok());
            let version = newest.ok_or(RegistryError::Unknown)?;
            let fetched = registry.package(name.as_str(), version.as_str(), &listing).await?;
            Ok((version, fetched))
        };
        match runtime()?.block_on(asked) {
            Ok((version, fetched)) => Ok(Some(Found {
                version,
                bytes: fetched.bytes,
                source: registry.address().to_owned(),
                is_unchecked: !fetched.is_checked,
            })),
            Err(RegistryError::Unknown) => Ok(None),
            Err(error) => Err(failed(error)),
        }
    }
}

/// An unpacked package as one file; what is no part of a package is passed over.
fn packed(folder: &Path) -> io::Result<Vec<u8>> {
    let limits = ArchiveLimits::default();
    let (mut files, mut left) = (BTreeMap::new(), limits.max_unpacked);
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
        let facts = fs::metadata(&path)?;
        if !facts.is_file() || !belongs_in_package(name) {
            continue;
        }
        let too_large = || io::Error::other("it holds more than any package does");
        left = left.checked_sub(facts.len()).ok_or_else(too_large)?;
        files.insert(name.to_owned(), fs::read(&path)?);
        if files.len() > limits.max_entries {
            return Err(too_large());
        }
    }
    pack(&files)
}
