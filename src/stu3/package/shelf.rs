//! Files as they come, in any order: read, sorted, and what stands twice found.

use super::{
    Archive, ArchiveError, ArchiveLimits, DefinedCodeSystem, DefinedValueSet, Library, Manifest, Object, Questionnaire,
    is_stu3,
    own::{is_own, own_type},
};
use crate::{
    fhir::{self, json::Limits},
    stu3::{
        errata::{self, ProfileErratum},
        profile::{Defect, Problem, StructureDefinition},
        release,
    },
};
use std::sync::Arc;

/// Definitions before they are a [`Library`].
#[derive(Debug, Default)]
pub struct Shelf {
    pub(super) packages: Vec<Manifest>,
    pub(super) profiles: Vec<StructureDefinition>,
    pub(super) value_sets: Vec<DefinedValueSet>,
    pub(super) code_systems: Vec<DefinedCodeSystem>,
    pub(super) questionnaires: Vec<Questionnaire>,
    pub(super) errata: Vec<ProfileErratum>,
    pub(super) problems: Vec<Problem>,
}

/// A definition file of its own says wrongly that it is one; a package has much else.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Origin {
    File,
    Package,
}

impl Shelf {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes all definitions of a package, and says what it says of itself; what is wrong with single definitions becomes
    /// a problem of the library.
    ///
    /// # Errors
    /// Nothing can be taken from it.
    pub fn add_package(&mut self, bytes: &[u8], limits: &ArchiveLimits) -> Result<&Manifest, ArchiveError> {
        let archive = Archive::read(bytes, limits)?;
        let package = format!("{}#{}", archive.manifest.name, archive.manifest.version);
        for (name, bytes) in &archive.files {
            self.add(&format!("{package}/{name}").into(), bytes, Origin::Package);
        }
        self.packages.push(archive.manifest);
        Ok(&self.packages[self.packages.len() - 1])
    }

    /// Takes a definition, JSON or XML, or errata (`.errata.json`); what is wrong with it becomes a problem of the library.
    pub fn add_file(&mut self, name: &str, bytes: &[u8]) {
        let file: Arc<str> = name.into();
        if !name.ends_with(errata::ENDING) {
            return self.add(&file, bytes, Origin::File);
        }
        match errata::read(&file, bytes) {
            Ok(mut errata) => self.errata.append(&mut errata),
            Err(why) => {
                let defect = Defect::Errata(why);
                self.problems.push(Problem { file, url: None, element: None, defect });
            }
        }
    }

    /// The library of what was taken.
    pub fn library(self) -> Library {
        Library::new(self)
    }

    fn add(&mut self, file: &Arc<str>, bytes: &[u8], origin: Origin) {
        let max_bytes = ArchiveLimits::default().max_file;
        if bytes.len() as u64 > max_bytes {
            let defect = Defect::FileTooLarge(max_bytes);
            return self.problems.push(Problem { file: file.clone(), url: None, element: None, defect });
        }
        let limits = Limits { max_bytes, ..Limits::default() };
        let document = match fhir::read(bytes, &limits, release()) {
            Ok(document) => document,
            Err(error) => {
                let (line, column) = (error.position.line, error.position.column);
                let defect = Defect::Unreadable { line, column, text: error.to_string() };
                return self.problems.push(Problem { file: file.clone(), url: None, element: None, defect });
            }
        };
        let object = Object::root(&document);
        let added = match object.text("resourceType").as_deref() {
            Some("StructureDefinition") => self.add_structure(object, file),
            Some("ValueSet") => DefinedValueSet::read(object, file).map(|set| self.value_sets.push(set)),
            Some("CodeSystem") => DefinedCodeSystem::read(object, file).map(|system| self.code_systems.push(system)),
            Some("Questionnaire") => self.add_questionnaire(object, file),
            _ if origin == Origin::Package => Ok(()),
            _ => Err(Problem { file: file.clone(), url: None, element: None, defect: Defect::OtherResource }),
        };
        if let Err(problem) = added {
            self.problems.push(problem);
        }
    }

    fn add_structure(&mut self, object: Object<'_>, file: &Arc<str>) -> Result<(), Problem> {
        let url = object.kept("url");
        let fail = |defect| Problem { file: file.clone(), url: url.clone(), element: None, defect };
        // the release's own types and profiles are known, and nothing else may define them
        if url.as_deref().is_some_and(|url| own_type(url).is_some() || is_own(url)) {
            return Ok(());
        }
        match object.kept("fhirVersion") {
            Some(version) if !is_stu3(&version) => return Err(fail(Defect::OtherRelease(version))),
            _ => {}
        }
        let is_model = object.text("kind").is_some_and(|kind| kind == "logical");
        if is_model || object.text("derivation").is_none_or(|derivation| derivation != "constraint") {
            return Err(fail(Defect::NoConstraint));
        }
        let profile = StructureDefinition::read(object, file)?;
        let url = profile.url.clone();
        self.profiles.push(profile);
        self.add_contained(object, &url, file)
    }

    fn add_questionnaire(&mut self, object: Object<'_>, file: &Arc<str>) -> Result<(), Problem> {
        let questionnaire = Questionnaire::read(object, file)?;
        let url = questionnaire.url.clone();
        self.questionnaires.push(questionnaire);
        self.add_contained(object, &url, file)
    }

    /// The value sets that a definition contains: it names them by `#id`.
    fn add_contained(&mut self, object: Object<'_>, url: &str, file: &Arc<str>) -> Result<(), Problem> {
        for contained in object.objects("contained") {
            let is_set = contained.text("resourceType").is_some_and(|name| name == "ValueSet");
            if let (true, Some(id)) = (is_set, contained.text("id")) {
                self.value_sets.push(DefinedValueSet::contained(contained, format!("{url}#{id}").into(), file)?);
            }
        }
        Ok(())
    }
}
