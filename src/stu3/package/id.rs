//! Names and versions of packages: what may stand in a path and an address, and which versions a dependency means.
//!
//! Spec: <https://confluence.hl7.org/display/FHIR/NPM+Package+Specification>.

use super::library::{RELEASE_PACKAGES, by_version};
use std::{fmt, str::FromStr};

/// Longer names and versions are no real ones.
const LONGEST: usize = 128;

/// Why a text names no package or no version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidPackageId {
    /// No name.
    #[error("a package's name has letters, digits, dots, - and _, and begins with a letter or digit")]
    Name,
    /// No version.
    #[error("a package's version is one version (2.2.18), or the newest patch of one (3.0.x)")]
    Version,
    /// A word that means another version every day.
    #[error("latest, current and dev mean another package every day; name a version")]
    Moving,
}

/// A package's name: safe as a part of a path and of an address.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PackageName(String);

impl PackageName {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The release itself is published under this name: it is there without a package.
    pub fn is_release(&self) -> bool {
        RELEASE_PACKAGES.contains(&self.as_str())
    }
}

impl FromStr for PackageName {
    type Err = InvalidPackageId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if is_plain(text, "._-") { Ok(Self(text.to_owned())) } else { Err(InvalidPackageId::Name) }
    }
}

impl fmt::Display for PackageName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A package's one version: safe as a part of a path and of an address.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PackageVersion(String);

impl PackageVersion {
    /// The version.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for PackageVersion {
    type Err = InvalidPackageId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_version = is_plain(text, ".-+_") && text.starts_with(|first: char| first.is_ascii_digit());
        if is_version { Ok(Self(text.to_owned())) } else { Err(InvalidPackageId::Version) }
    }
}

impl fmt::Display for PackageVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The versions that a dependency means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VersionRange {
    /// One.
    Exact(PackageVersion),
    /// Any patch: `3.0.x` is kept as `3.0.`.
    Patch(String),
}

impl VersionRange {
    /// Whether it means this version.
    pub fn admits(&self, version: &str) -> bool {
        match self {
            Self::Exact(exact) => exact.as_str() == version,
            // a version before its release is meant only where it is named
            Self::Patch(begin) => version.strip_prefix(begin.as_str()).is_some_and(is_number),
        }
    }

    /// The newest of these versions that it means.
    pub fn newest<'v>(&self, versions: impl IntoIterator<Item = &'v str>) -> Option<&'v str> {
        let admitted = versions.into_iter().filter(|version| self.admits(version));
        admitted.max_by(|one, other| by_version(Some(one), Some(other)))
    }
}

impl FromStr for VersionRange {
    type Err = InvalidPackageId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if ["latest", "current", "dev"].contains(&text) || text.starts_with("current$") {
            return Err(InvalidPackageId::Moving);
        }
        let Some(begin) = [".x", ".X", ".*"].iter().find_map(|end| text.strip_suffix(end)) else {
            return text.parse().map(Self::Exact);
        };
        let are_numbers = begin.split('.').count() == 2 && begin.split('.').all(is_number);
        if are_numbers { Ok(Self::Patch(format!("{begin}."))) } else { Err(InvalidPackageId::Version) }
    }
}

impl fmt::Display for VersionRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(version) => version.fmt(f),
            Self::Patch(begin) => write!(f, "{begin}x"),
        }
    }
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.len() < 10 && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_plain(text: &str, others: &str) -> bool {
    text.len() <= LONGEST
        && text.starts_with(|first: char| first.is_ascii_alphanumeric())
        && text.chars().all(|letter| letter.is_ascii_alphanumeric() || others.contains(letter))
        && !text.contains("..")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_versions_lead_nowhere() {
        for text in ["", "..", "../a", "a/b", "/a", "a\\b", "a..b", ".a", "a b", "a\nb", "-a", "a#1", "@a/b", "%2e"] {
            assert_eq!(text.parse::<PackageName>(), Err(InvalidPackageId::Name), "{text}");
            assert!(text.parse::<VersionRange>().is_err(), "{text}");
        }
        assert!("a".repeat(129).parse::<PackageName>().is_err());
        let name: PackageName = "nictiz.fhir.nl.stu3.zib2017".parse().unwrap();
        assert!(!name.is_release());
        assert!("hl7.fhir.r3.core".parse::<PackageName>().unwrap().is_release());
    }

    #[test]
    fn a_range_is_one_version_or_its_newest_patch() {
        let range = |text: &str| text.parse::<VersionRange>();
        let versions = ["3.0.9", "3.0.10", "3.0.11-beta", "3.1.0", "3.0.1", "3.0"];
        assert_eq!(range("3.0.x").unwrap().newest(versions), Some("3.0.10"));
        assert_eq!(range("3.0.1").unwrap().newest(versions), Some("3.0.1"));
        assert_eq!(range("3.0.11-beta").unwrap().newest(versions), Some("3.0.11-beta"));
        assert_eq!(range("2.0.x").unwrap().newest(versions), None);
        assert_eq!(range("3.0.x").unwrap().to_string(), "3.0.x");
        for text in ["^1.0.0", "~1.0", ">=1", "1.x", "x", "1.0.0 - 2.0.0", "a.b.x", "*"] {
            assert_eq!(range(text), Err(InvalidPackageId::Version), "{text}");
        }
        for text in ["latest", "current", "dev", "current$branch"] {
            assert_eq!(range(text), Err(InvalidPackageId::Moving), "{text}");
        }
    }
}
