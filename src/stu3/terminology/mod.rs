//! Which codes there are: the code systems of the release and its value sets, expanded.
//!
//! `terminology.tsv` is written by the generator in `tests/generate`. [`terminology`] finds its lines when first asked
//! (about a millisecond); the codes of a list are split when the first of them is looked for. Membership has three
//! answers, because a value set may take codes from systems that the release does not have.
//! Spec: <https://hl7.org/fhir/STU3/terminologies.html>, <https://hl7.org/fhir/STU3/valueset.html>.

mod codes;
mod displays;
mod hierarchy;
mod table;

use codes::ByUrl;
pub use codes::Codes;
pub use displays::same_display;
pub use hierarchy::Hierarchy;
use std::{borrow::Cow, sync::OnceLock};

/// The codes of STU3. The same for the whole life of the program.
pub fn terminology() -> &'static Terminology {
    static TERMINOLOGY: OnceLock<Terminology> = OnceLock::new();
    TERMINOLOGY.get_or_init(|| table::decode(include_str!("../terminology.tsv")))
}

/// Code systems and value sets.
#[derive(Debug, Default)]
pub struct Terminology {
    systems: ByUrl<CodeSystem>,
    value_sets: ByUrl<ValueSet>,
    foreign: ByUrl<Foreign>,
}

/// A code system that value sets name and whose codes are not known.
#[derive(Debug)]
struct Foreign(Cow<'static, str>);

/// All codes of a system.
#[derive(Debug)]
pub struct CodeSystem {
    /// Canonical URL.
    pub url: Cow<'static, str>,
    /// The codes.
    pub codes: Codes,
    /// The codes are examples of what the system may hold.
    pub example: bool,
    /// How they stand to each other.
    pub hierarchy: Hierarchy,
}

/// A value set, as far as it is known.
#[derive(Debug)]
pub struct ValueSet {
    /// Canonical URL.
    pub url: Cow<'static, str>,
    /// What it is made of.
    pub parts: Vec<Part>,
}

/// What a value set takes from one system.
#[derive(Debug)]
pub enum Part {
    /// All codes of a system of the [`Terminology`].
    All {
        /// Its URL.
        system: Cow<'static, str>,
    },
    /// These codes.
    Listed {
        /// The system's URL.
        system: Cow<'static, str>,
        /// The codes.
        codes: Codes,
    },
    /// Codes that are not known, because the system is not.
    Open {
        /// The system's URL.
        system: Cow<'static, str>,
        /// Codes that the value set excludes by name.
        excluded: Codes,
    },
}

impl CodeSystem {
    /// A code is another one or stands below it; `None` where either is no code of the system.
    pub fn is_below(&self, code: &str, top: &str) -> Option<bool> {
        Some(self.hierarchy.is_below(self.codes.place(code)?, self.codes.place(top)?))
    }
}

impl Part {
    fn system(&self) -> &str {
        match self {
            Self::All { system } | Self::Listed { system, .. } | Self::Open { system, .. } => system,
        }
    }
}

/// Whether a code is in a value set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Membership<'t> {
    /// It is.
    In,
    /// It is not, whatever systems that are not known may hold.
    Out,
    /// Only somebody who knows this system can tell.
    Open {
        /// The system's URL.
        system: &'t str,
    },
    /// There is no value set with this URL.
    NoValueSet,
}

impl Terminology {
    /// Whether a code of a system is in a value set (a version after `|` does not count). Without a system (a value of type `code`) any system of the set will do.
    pub fn membership(&self, value_set: &str, system: Option<&str>, code: &str) -> Membership<'_> {
        let url = value_set.split_once('|').map_or(value_set, |(url, _)| url);
        let Some(set) = self.value_sets.get(url) else { return Membership::NoValueSet };
        let mut open = None;
        for part in set.parts.iter().filter(|part| system.is_none_or(|system| system == part.system())) {
            match part {
                Part::All { system } if self.code_system(system).is_some_and(|system| system.codes.has(code)) => {
                    return Membership::In;
                }
                Part::Listed { codes, .. } if codes.has(code) => return Membership::In,
                Part::Open { system, excluded } if !excluded.has(code) => open = open.or(Some(&**system)),
                _ => {}
            }
        }
        open.map_or(Membership::Out, |system| Membership::Open { system })
    }

    /// A code system whose codes are known, by URL.
    pub fn code_system(&self, url: &str) -> Option<&CodeSystem> {
        self.systems.get(url)
    }

    /// What a code of a system of the release may be displayed as; nothing where it is not known.
    pub fn displays(&self, system: &str, code: &str) -> impl Iterator<Item = &'static str> + use<> {
        let place = self.code_system(system).and_then(|known| known.codes.place(code));
        place.map(|place| displays::of(system, place)).into_iter().flatten()
    }

    /// The URL of a code system that some value set names though its codes are not known.
    pub fn foreign_system(&self, url: &str) -> Option<&str> {
        self.foreign.get(url).map(|system| &*system.0).filter(|url| self.code_system(url).is_none())
    }

    /// A value set by URL.
    pub fn value_set(&self, url: &str) -> Option<&ValueSet> {
        self.value_sets.get(url)
    }

    /// All code systems whose codes are known.
    pub fn code_systems(&self) -> impl Iterator<Item = &CodeSystem> {
        self.systems.iter()
    }

    /// All value sets.
    pub fn value_sets(&self) -> impl Iterator<Item = &ValueSet> {
        self.value_sets.iter()
    }

    /// Adds a code system, or puts it in the place of the one with its URL.
    pub fn add_code_system(&mut self, system: CodeSystem) {
        self.systems.insert(system);
    }

    /// Adds a value set, or puts it in the place of the one with its URL.
    pub fn add_value_set(&mut self, set: ValueSet) {
        for part in &set.parts {
            let (Part::All { system } | Part::Listed { system, .. } | Part::Open { system, .. }) = part;
            if self.code_system(system).is_none() && self.foreign.get(system).is_none() {
                self.foreign.insert(Foreign(system.clone()));
            }
        }
        self.value_sets.insert(set);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETS: &str = "http://hl7.org/fhir/ValueSet/";

    fn judge(set: &str, system: Option<&str>, code: &str) -> Membership<'static> {
        terminology().membership(&format!("{SETS}{set}"), system, code)
    }

    #[test]
    fn the_whole_release_is_there() {
        assert_eq!(terminology().code_systems().count(), 939);
        assert_eq!(terminology().value_sets().count(), 1154 + 2);
        let examples: Vec<_> =
            terminology().code_systems().filter(|system| system.example).map(|system| &*system.url).collect();
        assert_eq!(examples, ["http://hl7.org/fhir/service-category", "http://hl7.org/fhir/service-type"]);
    }

    #[test]
    fn every_code_is_found_in_its_list() {
        let mut count = 0;
        for system in terminology().code_systems() {
            for code in system.codes.iter() {
                assert!(system.codes.has(code), "{} {code}", system.url);
                count += 1;
            }
        }
        assert_eq!(count, 18_895);
        for set in terminology().value_sets() {
            for part in &set.parts {
                if let Part::Listed { system, codes } = part {
                    for code in codes.iter() {
                        assert_eq!(
                            terminology().membership(&set.url, Some(system), code),
                            Membership::In,
                            "{}",
                            set.url
                        );
                        assert_eq!(terminology().membership(&set.url, None, code), Membership::In, "{}", set.url);
                    }
                } else if let Part::All { system } = part {
                    assert!(terminology().code_system(system).is_some(), "{system}");
                }
            }
        }
    }

    #[test]
    fn closed_sets_decide() {
        assert_eq!(judge("observation-status", None, "final"), Membership::In);
        assert_eq!(judge("observation-status|3.0.2", None, "final"), Membership::In);
        assert_eq!(judge("observation-status", None, "finished"), Membership::Out);
        assert_eq!(
            judge("observation-status", Some("http://hl7.org/fhir/observation-status"), "final"),
            Membership::In
        );
        assert_eq!(judge("observation-status", Some("http://loinc.org"), "final"), Membership::Out);
        assert_eq!(judge("none-such", None, "final"), Membership::NoValueSet);
    }

    #[test]
    fn hierarchies_and_exclusions_are_expanded() {
        let system = Some("http://hl7.org/fhir/v3/ActCode");
        assert_eq!(judge("v3-ActIncidentCode", system, "MVA"), Membership::In);
        assert_eq!(judge("v3-ActIncidentCode", system, "_ActIncidentCode"), Membership::Out, "excluded");
        assert_eq!(judge("v3-ActIncidentCode", system, "AMB"), Membership::Out, "elsewhere in the hierarchy");
        let moods = Some("http://hl7.org/fhir/v3/ActMood");
        assert_eq!(judge("inactive", moods, "CRT"), Membership::In);
        assert_eq!(judge("inactive", moods, "_ActMoodPredicate"), Membership::Out, "descendants only");
    }

    #[test]
    fn what_only_a_missing_system_can_tell_stays_open() {
        assert_eq!(
            judge("doc-typecodes", Some("http://loinc.org"), "34108-1"),
            Membership::Open { system: "http://loinc.org" }
        );
        assert_eq!(judge("doc-typecodes", Some("http://snomed.info/sct"), "1"), Membership::Out);
        assert_eq!(terminology().foreign_system("http://loinc.org"), Some("http://loinc.org"));
        assert_eq!(terminology().foreign_system("http://hl7.org/fhir/v2/0203"), None);
        assert_eq!(judge("all-languages", None, "nl"), Membership::Open { system: "urn:ietf:bcp:47" });
    }

    #[test]
    fn codes_stand_below_each_other() {
        let below = |system: &str, code: &str, top: &str| {
            terminology().code_system(&format!("http://hl7.org/fhir/{system}")).unwrap().is_below(code, top)
        };
        assert_eq!(
            below("v3/RoleCode", "MTH", "_PersonalRelationshipRoleType"),
            Some(true),
            "by way of PRN and FAMMEMB"
        );
        assert_eq!(below("v3/RoleCode", "MTH", "MTH"), Some(true));
        assert_eq!(below("v3/RoleCode", "FAMMEMB", "MTH"), Some(false));
        assert_eq!(below("v3/RoleCode", "MTH", "no such"), None);
        assert_eq!(below("observation-status", "final", "amended"), Some(false), "nothing stands below anything here");
    }

    #[test]
    fn codes_have_displays_in_several_languages() {
        let names = |system: &str, code: &str| -> Vec<&str> {
            terminology().displays(&format!("http://hl7.org/fhir/{system}"), code).collect()
        };
        assert_eq!(names("v3/RoleCode", "MTH"), ["mother"]);
        assert!(names("v2/0164", "AP").contains(&"Applikator"));
        assert_eq!(names("v3/RoleCode", "no such"), Vec::<&str>::new());
        assert_eq!(names("v3/none", "MTH"), Vec::<&str>::new());
        assert!(same_display("Mother", " mother ") && same_display("a  b", "A b") && !same_display("ab", "a b"));
    }

    #[test]
    fn case_counts_where_the_system_says_so() {
        let table = terminology().code_system("http://hl7.org/fhir/v2/0203").unwrap();
        assert!(table.codes.has("MR") && table.codes.has("mr") && !table.codes.has("MRR"));
        let status = terminology().code_system("http://hl7.org/fhir/observation-status").unwrap();
        assert!(status.codes.has("final") && !status.codes.has("Final"));
        assert_eq!(
            judge("languages", None, "en-us"),
            Membership::In,
            "tags of languages are the same in small letters"
        );
    }

    #[test]
    fn the_units_of_the_release_are_units_of_ucum() {
        let (mut count, mut unknown) = (0, Vec::new());
        for part in terminology().value_sets().flat_map(|set| &set.parts) {
            let Part::Listed { system, codes } = part else { continue };
            for code in codes.iter().filter(|_| system == "http://unitsofmeasure.org") {
                count += 1;
                if !crate::fhir::ucum::is_valid(code) {
                    unknown.push(code);
                }
            }
        }
        unknown.sort_unstable();
        // what remains are slips of the release's lists
        let slips = ["[M'U]", "[ppt]", "iU", "mmol/kg[H20]", "{Ehrlich'U}/100g", "{G}U"];
        assert_eq!((count, unknown), (1395, slips.to_vec()));
    }

    #[test]
    fn packages_can_add_theirs() {
        let mut terminology = Terminology::default();
        let system = || "http://example.org/s".to_owned().into();
        let codes = Codes::new(["b".to_owned(), "A".to_owned()], false);
        terminology.add_code_system(CodeSystem {
            url: system(),
            codes,
            example: false,
            hierarchy: Hierarchy::default(),
        });
        let url = "http://example.org/v";
        let set = |parts| ValueSet { url: url.to_owned().into(), parts };
        terminology.add_value_set(set(vec![Part::All { system: system() }]));
        assert_eq!(terminology.membership(url, None, "A"), Membership::In);
        assert_eq!(terminology.membership(url, None, "a"), Membership::Out);
        let excluded = Codes::new(["x".to_owned()], true);
        terminology.add_value_set(set(vec![Part::Open { system: "urn:o".into(), excluded }]));
        assert_eq!(terminology.membership(url, None, "X"), Membership::Out);
        assert_eq!(terminology.membership(url, Some("urn:o"), "a"), Membership::Open { system: "urn:o" });
        assert_eq!(terminology.value_sets().count(), 1);
    }
}
