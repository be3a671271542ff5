//! What `profiles add` is going to put into the folder: what was named, and what that needs.

use super::{
    Exit, Failed,
    folder::Folder,
    load::{self, is_definition, unreadable},
    lock::{Locked, PackageId},
    origin::{Found, Origins},
};
use crate::{
    model::Digest,
    stu3::package::{Archive, ArchiveLimits, Manifest, PackageName, PackageVersion, VersionRange},
};
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    path::Path,
};

/// More packages than any needs.
const MOST: usize = 500;

/// A file on its way into the folder.
pub(super) struct Staged {
    pub(super) locked: Locked,
    pub(super) bytes: Vec<u8>,
    /// It is not in the folder yet.
    pub(super) is_new: bool,
}

/// What is going to be in the folder.
pub(super) struct Plan<'p> {
    pub(super) folder: &'p Folder,
    pub(super) origins: Origins,
    pub(super) present: &'p [load::LoadedFile],
    /// By file.
    pub(super) staged: BTreeMap<String, Staged>,
    pub(super) warnings: Vec<String>,
}

impl Plan<'_> {
    pub(super) fn file(&mut self, path: &Path) -> Result<(), Failed> {
        let bytes = load::read(path)?;
        if !is_definition(path) {
            return self.archive(bytes, "file", false, &path.display().to_string()).map(|_| ());
        }
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if name.starts_with('.') || name.chars().any(char::is_control) {
            let text =
                format!("{}: hidden files and strange names are not read from the folder; rename it", path.display());
            return Err(Failed::sentence(Exit::Usage, text));
        }
        self.stage(name.to_owned(), None, bytes, "file", false, BTreeMap::new())
    }

    /// By name: what is there already is not fetched again.
    pub(super) fn package(&mut self, name: &PackageName, range: &VersionRange) -> Result<(), Failed> {
        if name.is_release() {
            self.warnings.push(format!("{name} is the release itself, which is built in: there is nothing to add"));
            return Ok(());
        }
        if let Some(known) = self.present.iter().find(|known| is_meant(known.package.as_ref(), name, range)) {
            let (file, package) = (known.file.clone(), known.package.clone());
            let bytes = load::read(&self.folder.path().join(&file))?;
            let needs = read(&bytes, &file)?.dependencies;
            return self.stage(file, package, bytes, "file", false, needs);
        }
        if self.staged.values().any(|staged| is_meant(staged.locked.package.as_ref(), name, range)) {
            return Ok(());
        }
        match self.origins.find(name, range)? {
            Some(found) => self.found(name, found, false),
            None => {
                let text = format!("there is no {name}@{range}: {}; nothing was added", self.origins.looked());
                Err(Failed::sentence(Exit::No, text))
            }
        }
    }

    fn found(&mut self, name: &PackageName, found: Found, as_dependency: bool) -> Result<(), Failed> {
        let asked = format!("{name}@{}", found.version);
        if found.is_unchecked {
            self.warnings.push(format!("{} states no digest of {asked}: it is pinned as it came", found.source));
        }
        let id = self.archive(found.bytes, &found.source, as_dependency, &asked)?;
        match id {
            Some(id) if id.to_string() != asked => {
                let text = format!("what {} has as {asked} says that it is {id}; nothing was added", found.source);
                Err(Failed::sentence(Exit::No, text))
            }
            _ => Ok(()),
        }
    }

    /// A package's bytes; says which package it is. `what` names it in texts.
    fn archive(
        &mut self,
        bytes: Vec<u8>,
        source: &str,
        as_dependency: bool,
        what: &str,
    ) -> Result<Option<PackageId>, Failed> {
        let manifest = read(&bytes, what)?;
        let no = |error| Failed::sentence(Exit::No, format!("{what}: its package.json does not name it: {error}"));
        let name = manifest.name.parse::<PackageName>().map_err(no)?;
        let version = manifest.version.parse::<PackageVersion>().map_err(no)?;
        if name.is_release() {
            self.warnings.push(format!("{name} is the release itself, which is built in: there is nothing to add"));
            return Ok(None);
        }
        let id = PackageId { name: manifest.name, version: manifest.version };
        // the same package may lie there under another name
        let known = self.present.iter().find(|known| known.package.as_ref() == Some(&id));
        let file = known.map_or_else(|| PackageId::file(&name, &version), |known| known.file.clone());
        self.stage(file, Some(id.clone()), bytes, source, as_dependency, manifest.dependencies)?;
        Ok(Some(id))
    }

    fn stage(
        &mut self,
        file: String,
        package: Option<PackageId>,
        bytes: Vec<u8>,
        source: &str,
        as_dependency: bool,
        needs: BTreeMap<String, String>,
    ) -> Result<(), Failed> {
        let sha256 = Digest::of(&bytes);
        let other = |where_: &str| {
            let text = format!(
                "{file} is {where_} with another content, and is never replaced; to have the new one: \
                 `pushbridge profiles rm {file}` first"
            );
            Failed::sentence(Exit::No, text)
        };
        if self.staged.get(&file).is_some_and(|staged| staged.locked.sha256 != sha256) {
            return Err(other("named twice"));
        }
        let known = self.present.iter().find(|known| known.file == file);
        if known.is_some_and(|known| known.sha256 != sha256) {
            return Err(other("there already"));
        }
        let mut locked =
            Locked { file: file.clone(), package, source: source.to_owned(), sha256, as_dependency, needs };
        if let Some(load::LoadedFile { place: load::Place::Locked(before), .. }) = known {
            locked.source.clone_from(&before.source);
            locked.as_dependency &= before.as_dependency;
        }
        if self.staged.len() >= MOST {
            return Err(Failed::sentence(
                Exit::No,
                format!("more than {MOST} packages are needed; no real set-up has as many"),
            ));
        }
        self.staged.insert(file, Staged { locked, bytes, is_new: known.is_none() });
        Ok(())
    }
}

impl Plan<'_> {
    /// What the staged packages need, and what that needs.
    pub(super) fn dependencies(&mut self) -> Result<(), Failed> {
        let mut open: VecDeque<Locked> = self.staged.values().map(|staged| staged.locked.clone()).collect();
        let (mut seen, mut missing) = (BTreeSet::new(), Vec::new());
        while let Some(package) = open.pop_front() {
            for (name, version) in &package.needs {
                let dependent = &package.file;
                let no =
                    |error| Failed::sentence(Exit::No, format!("{dependent} names no package that it needs: {error}"));
                let name = name.parse::<PackageName>().map_err(no)?;
                if name.is_release() || !seen.insert((name.clone(), version.clone())) {
                    continue;
                }
                let range = match version.parse::<VersionRange>() {
                    Ok(range) => range,
                    Err(error) => {
                        missing.push(format!("{dependent} needs a version of {name} that cannot be found: {error}"));
                        continue;
                    }
                };
                let is_there = self.present.iter().any(|known| is_meant(known.package.as_ref(), &name, &range))
                    || self.staged.values().any(|staged| is_meant(staged.locked.package.as_ref(), &name, &range));
                if is_there {
                    continue;
                }
                let Some(found) = self.origins.find(&name, &range)? else {
                    missing.push(format!("{dependent} needs {name}@{range}: {}", self.origins.looked()));
                    continue;
                };
                let before: BTreeSet<String> = self.staged.keys().cloned().collect();
                self.found(&name, found, true)?;
                let came = self.staged.iter().filter(|(file, _)| !before.contains(*file));
                open.extend(came.map(|(_, staged)| staged.locked.clone()));
            }
        }
        if missing.is_empty() {
            return Ok(());
        }
        let text = format!(
            "{}; nothing was added. Name the files of what is missing in the same command, or say --no-dependencies",
            missing.join("; ")
        );
        Err(Failed::sentence(Exit::No, text))
    }

    /// Packages that need themselves, through others: they can be used, and somebody should know.
    pub(super) fn circles(&mut self) {
        let mut needs: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        let staged = self.staged.values().map(|staged| &staged.locked);
        for locked in self.folder.lock.files().iter().chain(staged) {
            if let Some(package) = &locked.package {
                needs.entry(&package.name).or_default().extend(locked.needs.keys().map(String::as_str));
            }
        }
        let reaches = |from: &str, to: &str| {
            let (mut open, mut seen) = (vec![from], BTreeSet::new());
            while let Some(name) = open.pop() {
                for next in needs.get(name).into_iter().flatten() {
                    if *next == to {
                        return true;
                    }
                    if seen.insert(*next) {
                        open.push(*next);
                    }
                }
            }
            false
        };
        let packages = self.staged.values().filter_map(|staged| staged.locked.package.as_ref());
        let round: BTreeSet<&str> =
            packages.map(|package| package.name.as_str()).filter(|name| reaches(name, name)).collect();
        if !round.is_empty() {
            let names = round.into_iter().collect::<Vec<_>>().join(", ");
            let text =
                format!("these packages need each other in a circle, which their publishers should mend: {names}");
            self.warnings.push(text);
        }
    }
}

fn is_meant(package: Option<&PackageId>, name: &PackageName, range: &VersionRange) -> bool {
    package.is_some_and(|known| known.name == name.as_str() && range.admits(&known.version))
}

fn read(bytes: &[u8], what: &str) -> Result<Manifest, Failed> {
    let archive = Archive::read(bytes, &ArchiveLimits::default());
    archive.map(|archive| archive.manifest).map_err(|error| unreadable(Path::new(what), &error))
}
