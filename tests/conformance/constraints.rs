//! Each constraint of the release, by a resource that satisfies it and one that breaks it and nothing else.
//!
//! `constraints/cases.jsonl` has an object a line: `key`, `at` (where the release states it), `good`, `bad`, `expression` (the node
//! that the finding names in `bad`) and `implies` (keys that break with it whatever one does). A constraint has several
//! cases where its published expression and what is meant differ, or where it has more than one side.

use pushbridge::{
    fhir::json::{self, Limits},
    model::Severity,
    validate::{Outcome, Policy, Validator},
};
use serde_json::Value;
use std::collections::BTreeSet;

const CASES: &str = include_str!("constraints/cases.jsonl");
const UNREACHABLE: &str = include_str!("constraints/unreachable.txt");
const EXPLANATIONS: &str = include_str!("../../src/validate/rules/explanations.tsv");
const TABLE: &str = include_str!("../../src/stu3/release.tsv");

/// A constraint: its key and the path of the structure or element that states it.
type Constraint = (String, String);

fn cases() -> Vec<Value> {
    CASES.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The constraints of the table: an `R` line belongs to the `T`, `S` or `E` line before it.
fn constraints_of_the_release() -> BTreeSet<Constraint> {
    let (mut structure, mut path) = (String::new(), String::new());
    let mut constraints = BTreeSet::new();
    for line in TABLE.lines() {
        let columns: Vec<&str> = line.split('\t').collect();
        match columns[0] {
            "T" | "S" => {
                columns[1].clone_into(&mut structure);
                path.clone_from(&structure);
            }
            "E" => path = format!("{structure}.{}", columns[1]),
            "R" => assert!(constraints.insert((columns[1].to_owned(), path.clone())), "{line} stands there twice"),
            _ => {}
        }
    }
    constraints
}

/// The first two columns of the lines that are no comments.
fn first_columns(lines: &str) -> Vec<Constraint> {
    let lines = lines.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| {
            let columns: Vec<&str> = line.split('\t').collect();
            assert_eq!(columns.len(), 3, "{line}");
            (columns[0].to_owned(), columns[1].to_owned())
        })
        .collect()
}

/// The errors and warnings about a resource, as key and place.
fn judged(validator: &Validator, resource: &Value) -> Vec<(String, String)> {
    let bytes = serde_json::to_vec(resource).unwrap();
    let outcome = match json::read(&bytes, &Limits::default()) {
        Ok(document) => validator.resource(&document, &Policy::default()),
        Err(error) => Outcome::of_unreadable(&error),
    };
    let findings = outcome.findings.into_iter().filter(|finding| finding.severity != Severity::Information);
    // keys that several resources have are told by the resource too: `Task.inv-1`
    let key = |key: &str| key.rsplit('.').next().unwrap_or_default().to_owned();
    findings.map(|finding| (key(&finding.key), finding.expression)).collect()
}

#[test]
fn each_constraint_has_a_case_or_a_reason_why_not() {
    let with_case: BTreeSet<Constraint> = cases()
        .iter()
        .map(|case| (case["key"].as_str().unwrap().to_owned(), case["at"].as_str().unwrap().to_owned()))
        .collect();
    let unreachable: BTreeSet<Constraint> = first_columns(UNREACHABLE).into_iter().collect();
    assert!(with_case.is_disjoint(&unreachable));
    assert_eq!(&with_case | &unreachable, constraints_of_the_release());
}

#[test]
fn each_constraint_is_explained() {
    let explained = first_columns(EXPLANATIONS);
    assert!(explained.is_sorted());
    assert_eq!(explained.into_iter().collect::<BTreeSet<_>>(), constraints_of_the_release());
    for line in EXPLANATIONS.lines() {
        let text = line.split('\t').next_back().unwrap();
        assert!(text.starts_with(char::is_lowercase) && !text.ends_with('.') && text.contains(": "), "{line}");
    }
}

#[test]
fn what_satisfies_a_constraint_is_accepted() {
    let validator = Validator::new();
    let refused: Vec<String> = cases()
        .iter()
        .map(|case| (case, judged(&validator, &case["good"])))
        .filter(|(_, findings)| !findings.is_empty())
        .map(|(case, findings)| format!("{} at {}: {findings:?} in {}", case["key"], case["at"], case["good"]))
        .collect();
    assert!(refused.is_empty(), "{} refused:\n{}", refused.len(), refused.join("\n"));
}

#[test]
fn what_breaks_a_constraint_is_found_at_its_place_and_nothing_else_is() {
    let validator = Validator::new();
    let mut differing = Vec::new();
    for case in cases() {
        let (key, expression) = (case["key"].as_str().unwrap(), case["expression"].as_str().unwrap());
        let implied: BTreeSet<&str> =
            case["implies"].as_array().unwrap().iter().map(|implied| implied.as_str().unwrap()).collect();
        let findings = judged(&validator, &case["bad"]);
        let (own, others): (Vec<_>, Vec<_>) = findings.iter().partition(|(found, _)| found == key);
        let own_is_right = own.len() == 1 && own[0].1 == expression;
        let others_are_implied = others.iter().map(|(found, _)| found.as_str()).collect::<BTreeSet<_>>() == implied;
        if !own_is_right || !others_are_implied {
            differing.push(format!("{key} at {expression}: {findings:?} in {}", case["bad"]));
        }
    }
    assert!(differing.is_empty(), "{} differ:\n{}", differing.len(), differing.join("\n"));
}
