//! A finding's expression leads to its node: evaluated on the file's root it gives exactly one element, and that stands
//! at the finding's line and column, or above it.

use super::corpus::corpus;
use pushbridge::{
    fhir::{
        json::Limits,
        path::{Environment, Expression, Item},
    },
    stu3::release,
    validate::{self, Policy, Validator},
};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// Rules about what is nothing, or is there several times: their elements have no node of their own, or more than one.
const OF_NOTHING: [&str; 5] = ["empty", "null", "twin", "cardinality-max", "choice"];

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else if path.extension().is_some_and(|ending| ending == "json" || ending == "xml") {
            found.push(path);
        }
    }
}

#[test]
fn expressions_lead_to_their_nodes() {
    let mut paths = Vec::new();
    files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("samples"), &mut paths);
    for folder in ["official/json", "official/xml"] {
        if let Some(folder) = corpus(folder) {
            files(&folder, &mut paths);
        }
    }
    let (validator, policy) = (Validator::new(), Policy::default());
    let (mut checked, mut wrong) = (0, Vec::new());
    for path in paths {
        let bytes = fs::read(&path).unwrap();
        let Ok(document) = validate::read(&bytes, &Limits::default()) else { continue };
        let environment = Environment::of(&document, release());
        for finding in validator.resource(&document, &policy).findings {
            if finding.expression.is_empty() || OF_NOTHING.contains(&finding.key.as_str()) {
                continue;
            }
            let expression = Expression::parse(&finding.expression).unwrap();
            let items = expression.evaluate(&environment, environment.root()).unwrap();
            checked += 1;
            let [Item::Element(element)] = &items[..] else {
                wrong.push(format!(
                    "{}: {} {}: {} items",
                    path.display(),
                    finding.key,
                    finding.expression,
                    items.len()
                ));
                continue;
            };
            let place = document.place(element.node);
            if (place.line, place.column) > (finding.line, finding.column) {
                wrong.push(format!(
                    "{}: {} {} at {}:{}, its node at {place:?}",
                    path.display(),
                    finding.key,
                    finding.expression,
                    finding.line,
                    finding.column
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {checked}:\n{}", wrong.len(), wrong[..wrong.len().min(20)].join("\n"));
    assert!(checked > 100, "{checked}");
}
