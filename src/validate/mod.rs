//! The inspector: judges a document by the facts of STU3 and says everything that is wrong with it at once.
//!
//! [`Validator`] is immutable and shared by all workers. It makes a [`Valid`] Bundle or an [`Outcome`] that says why not.
//! `walk.rs` goes over a document by the release's own rules; each rule family has a file in `rules/`. `conformance/` goes over
//! a resource once more for each profile that it claims. Linear in the input: references are resolved through one index per Bundle.

mod bundle;
mod code_server;
mod conformance;
mod context;
mod issue;
mod outcome;
mod policy;
mod presence;
mod release;
pub mod render;
pub mod rules;
#[cfg(test)]
mod testing;
mod walk;

pub use bundle::{Bundle, Entry};
pub use code_server::CodeServer;
pub use issue::Rule;
pub use outcome::{NotChecked, Outcome, Overridden};
pub use policy::{Policy, RuleLevel, RuleRefusal, UnknownLevel, Unloaded};
pub use release::OtherRelease;

use crate::{
    fhir::{
        self, Document,
        json::{Limits, ReadError},
    },
    model::CodeQuestion,
    stu3::{self, Release, StructureId, Terminology, package::Library},
};
use std::{ops::Deref, sync::Arc};
use walk::Family;

/// Something that passed the inspection; only this room makes one.
#[derive(Debug)]
pub struct Valid<T>(T);

impl<T> Deref for Valid<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

/// Judges documents by the release's own rules, and by the profiles that resources claim.
#[derive(Debug)]
pub struct Validator {
    families: Families,
    server: Option<Arc<dyn CodeServer>>,
}

/// The release and which rule family looks at which structure.
#[derive(Debug)]
struct Families {
    release: &'static Release,
    terminology: &'static Terminology,
    library: Arc<Library>,
    by_structure: Vec<Family>,
    /// What the `_name` twin of a primitive is.
    element: StructureId,
}

impl Families {
    fn of(&self, id: StructureId) -> Family {
        self.by_structure[id.index()]
    }
}

/// Reads a resource of STU3, JSON or XML.
///
/// # Errors
/// The first thing that makes it unreadable, with its place.
pub fn read<'a>(bytes: &'a [u8], limits: &Limits) -> Result<Document<'a>, ReadError> {
    fhir::read(bytes, limits, stu3::release())
}

impl Validator {
    /// For the release STU3, with the profiles that it defines itself.
    pub fn new() -> Self {
        Self::with(Arc::default())
    }

    /// For the release STU3 and the profiles, value sets and code systems of a library.
    pub fn with(library: Arc<Library>) -> Self {
        let release = stu3::release();
        let by_structure = release
            .structures()
            .map(|(_, structure)| match structure.name {
                "Reference" => Family::Reference,
                "Extension" => Family::Extension,
                "Narrative" => Family::Narrative,
                "Range" => Family::Range,
                "Meta" => Family::Meta,
                "Attachment" => Family::Attachment,
                "Identifier" => Family::Identifier,
                "Bundle" => Family::Bundle,
                "Bundle.entry" => Family::BundleEntry,
                "CodeSystem" => Family::CodeSystem,
                "Questionnaire" => Family::Questionnaire,
                "QuestionnaireResponse" => Family::QuestionnaireResponse,
                "Coding" | "Quantity" | "Age" | "Count" | "Distance" | "Duration" | "Money" => Family::Coded,
                _ => Family::Plain,
            })
            .collect();
        let element = release.structure_named("Element").expect("the release has Element");
        let families = Families { release, terminology: stu3::terminology(), library, by_structure, element };
        Self { families, server: None }
    }

    /// The same, with somebody who is asked about codes that are not here.
    #[must_use]
    pub fn asking(self, server: Arc<dyn CodeServer>) -> Self {
        Self { server: Some(server), ..self }
    }

    /// Judges any resource.
    pub fn resource(&self, document: &Document<'_>, policy: &Policy) -> Outcome {
        let (mut outcome, mut open) = self.once(document, policy);
        if let Some(server) = &self.server {
            for _ in 0..code_server::ROUNDS {
                if open.is_empty() || !server.learn(&open) {
                    break;
                }
                (outcome, open) = self.once(document, policy);
            }
        }
        outcome
    }

    /// With what is known now, and the questions that are open.
    fn once(&self, document: &Document<'_>, policy: &Policy) -> (Outcome, Vec<CodeQuestion>) {
        let (cx, out) = walk::check(&self.families, document, policy, self.server.as_deref());
        let mut gathered = out.finish(&cx);
        let foreign = std::mem::take(&mut gathered.foreign);
        let outcome = Outcome::new(gathered);
        (release::recognise(document, &outcome, &foreign).unwrap_or(outcome), cx.asking.into_open())
    }

    /// Judges a document that has to be a Bundle.
    ///
    /// # Errors
    /// The outcome, where it holds an error.
    pub fn bundle<'d>(
        &self,
        document: &'d Document<'d>,
        policy: &Policy,
    ) -> Result<(Valid<Bundle<'d>>, Outcome), Outcome> {
        let mut outcome = self.resource(document, policy);
        let bundle = Bundle::of(document);
        if bundle.is_none() && outcome.valid() {
            outcome.refuse_other_resource(document);
        }
        match bundle {
            Some(bundle) if outcome.valid() => Ok((Valid(bundle), outcome)),
            _ => Err(outcome),
        }
    }
}

impl Default for Validator {
    fn default() -> Self {
        Self::new()
    }
}
