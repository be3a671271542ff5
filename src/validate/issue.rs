//! What a rule is, and where findings gather while a document is walked.

use super::{
    context::Context,
    outcome::{NotChecked, Overridden},
    policy::{Policy, RuleLevel},
    release::Foreign,
};
use crate::{
    fhir::NodeId,
    model::{Finding, Severity},
};
use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    fmt::Write,
    sync::Arc,
};

/// Findings kept in memory; more are counted only.
const MOST_FINDINGS: usize = 10_000;

/// Of these at most so many that are no errors: a flood of warnings leaves room for what refuses the file.
const MOST_LESSER: usize = MOST_FINDINGS / 2;

/// From so many findings on, no nearest names are looked for: that takes longer than everything else.
const CROWDED: usize = 500;

/// Foreign names kept to tell another release.
const MOST_FOREIGN: usize = 256;

/// What is known of a rule before any file is seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Stable, short: `unknown-element`, `bdl-7`.
    pub key: &'static str,
    /// How grave a breach is unless a policy says otherwise.
    pub severity: Severity,
    /// FHIR issue type: <https://hl7.org/fhir/STU3/valueset-issue-type.html>.
    pub code: &'static str,
    /// The page of the release that states the rule.
    pub page: &'static str,
}

impl Rule {
    pub(super) const fn error(key: &'static str, code: &'static str, page: &'static str) -> Self {
        Self { key, severity: Severity::Error, code, page }
    }

    pub(super) const fn information(key: &'static str, code: &'static str, page: &'static str) -> Self {
        Self { key, severity: Severity::Information, code, page }
    }

    pub(super) const fn warning(key: &'static str, code: &'static str, page: &'static str) -> Self {
        Self { key, severity: Severity::Warning, code, page }
    }
}

/// The place of a finding: the present path and what follows it, and the node whose position is shown.
pub(super) struct At<'a> {
    node: NodeId,
    tail: Cow<'a, str>,
}

impl At<'_> {
    /// The node that the path has reached.
    pub(super) fn here(node: NodeId) -> Self {
        Self { node, tail: Cow::Borrowed("") }
    }
}

impl<'a> At<'a> {
    /// A node further down; the tail is `.fullUrl` or the like.
    pub(super) fn below(node: NodeId, tail: impl Into<Cow<'a, str>>) -> Self {
        Self { node, tail: tail.into() }
    }
}

/// A finding before its node is turned into line and column. Nodes are numbered in the order of the source.
#[derive(Debug)]
struct Draft {
    node: NodeId,
    severity: Severity,
    key: Cow<'static, str>,
    code: &'static str,
    expression: String,
    /// The profile that asks for it.
    profile: Option<Arc<str>>,
    text: String,
}

impl Draft {
    /// Its expression is the tail only.
    fn of(severity: Severity, key: Cow<'static, str>, code: &'static str, at: At<'_>, text: String) -> Self {
        Self { node: at.node, severity, key, code, expression: at.tail.into_owned(), profile: None, text }
    }
}

/// What a profile asks for: a rule that all profiles have in common, or a constraint of its own.
pub(super) struct Asked<'a> {
    /// The kind of rule.
    pub(super) rule: &'static Rule,
    /// The key of a constraint of the profile, in the place of the rule's.
    pub(super) constraint: Option<&'a str>,
    /// How grave a breach is.
    pub(super) severity: Severity,
    /// How grave it is by what is published.
    pub(super) published: Severity,
    /// Canonical URL.
    pub(super) profile: &'a Arc<str>,
}

impl<'a> Asked<'a> {
    /// By a rule that all profiles have in common.
    pub(super) const fn by(rule: &'static Rule, profile: &'a Arc<str>) -> Self {
        Self { rule, constraint: None, severity: rule.severity, published: rule.severity, profile }
    }

    fn key(&self) -> Cow<'static, str> {
        self.constraint.map_or(Cow::Borrowed(self.rule.key), |key| Cow::Owned(key.to_owned()))
    }
}

/// What was not judged, before its node is turned into line and column.
#[derive(Debug)]
struct Left {
    node: NodeId,
    key: Cow<'static, str>,
    expression: String,
    system: Option<String>,
    text: String,
}

/// Gathers findings and applies the policy to each.
pub(super) struct Findings<'v> {
    policy: &'v Policy,
    drafts: Vec<Draft>,
    cut: u64,
    errors: u64,
    warnings: u64,
    /// Kept findings that are no errors.
    lesser: usize,
    not_checked: Vec<Left>,
    /// The systems of which it has been said, once for the whole file, that their codes are not known.
    unknown_systems: Vec<Option<String>>,
    /// What is said once for a profile: where in the list, and how often it was to be said.
    said: HashMap<(&'static str, Arc<str>), (usize, u64)>,
    overridden: BTreeMap<String, Overridden>,
    /// What profiles said, so that two that ask for the same say it once.
    told: HashSet<(NodeId, String, String)>,
    /// The profiles that resources were held to.
    profiles: BTreeSet<Arc<str>>,
    claims_unloaded: bool,
    foreign: Vec<Foreign>,
}

/// What has been gathered, sorted.
pub(super) struct Gathered {
    pub(super) findings: Vec<Finding>,
    pub(super) cut: u64,
    pub(super) errors: u64,
    pub(super) warnings: u64,
    pub(super) not_checked: Vec<NotChecked>,
    pub(super) overridden: Vec<Overridden>,
    pub(super) profiles: Box<[String]>,
    pub(super) claims_unloaded: bool,
    pub(super) foreign: Vec<Foreign>,
}

impl<'v> Findings<'v> {
    pub(super) fn new(policy: &'v Policy) -> Self {
        Self {
            policy,
            drafts: Vec::new(),
            cut: 0,
            errors: 0,
            warnings: 0,
            lesser: 0,
            not_checked: Vec::new(),
            unknown_systems: Vec::new(),
            said: HashMap::new(),
            overridden: BTreeMap::new(),
            told: HashSet::new(),
            profiles: BTreeSet::new(),
            claims_unloaded: false,
            foreign: Vec::new(),
        }
    }

    /// A breach of `rule`; `text` says what is wrong and what to do, and quotes no value of the file.
    pub(super) fn add(&mut self, cx: &Context<'_, '_>, rule: &'static Rule, at: At<'_>, text: impl Into<String>) {
        if let Some(severity) = self.severity(rule.key, rule.severity, rule.severity) {
            let key = Cow::Borrowed(rule.key);
            self.draft(cx, Draft::of(severity, key, rule.code, at, text.into()));
        }
    }

    /// A breach of what a profile asks for.
    pub(super) fn add_of_profile(&mut self, cx: &Context<'_, '_>, asked: &Asked<'_>, at: At<'_>, text: String) {
        let key = asked.key();
        if !self.is_new(&at, &key, &text) {
            return;
        }
        if let Some(severity) = self.severity(&key, asked.published, asked.severity) {
            let draft = Draft::of(severity, key, asked.rule.code, at, text);
            self.draft(cx, Draft { profile: Some(asked.profile.clone()), ..draft });
        }
    }

    /// Not said of this node before; of a flood that is cut anyway it is not kept.
    fn is_new(&mut self, at: &At<'_>, key: &str, text: &str) -> bool {
        self.told.len() >= 2 * MOST_FINDINGS || self.told.insert((at.node, key.to_owned(), text.to_owned()))
    }

    fn draft(&mut self, cx: &Context<'_, '_>, mut draft: Draft) {
        match draft.severity {
            Severity::Error => self.errors += 1,
            Severity::Warning => self.warnings += 1,
            Severity::Information => {}
        }
        let is_lesser = draft.severity != Severity::Error;
        if self.drafts.len() == MOST_FINDINGS || (is_lesser && self.lesser == MOST_LESSER) {
            self.cut += 1;
            return;
        }
        self.lesser += usize::from(is_lesser);
        draft.expression.insert_str(0, &cx.path.to_string());
        self.drafts.push(draft);
    }

    /// How many errors were found.
    pub(super) const fn errors(&self) -> u64 {
        self.errors
    }

    /// Nothing is to be said of this rule.
    pub(super) fn is_off(&self, rule: &Rule) -> bool {
        self.policy.rules.get(rule.key) == Some(&RuleLevel::Off)
    }

    /// So much has been found that effort on the wording of more is wasted.
    pub(super) fn is_crowded(&self) -> bool {
        self.drafts.len() >= CROWDED
    }

    /// A member or resource type that STU3 does not have; it may tell another release.
    pub(super) fn foreign(&mut self, structure: &'static str, name: &str) {
        if self.foreign.len() < MOST_FOREIGN {
            self.foreign.push(Foreign { structure, name: name.to_owned() });
        }
    }

    /// A resource is held to a profile.
    pub(super) fn held_to(&mut self, profile: &Arc<str>) {
        if !self.profiles.contains(profile) {
            self.profiles.insert(profile.clone());
        }
    }

    /// A resource claims a profile that cannot be judged by.
    pub(super) const fn claims_unloaded(&mut self) {
        self.claims_unloaded = true;
    }

    /// Something that could not be judged.
    pub(super) fn not_checked(
        &mut self,
        cx: &Context<'_, '_>,
        rule: &'static Rule,
        at: At<'_>,
        text: impl Into<String>,
    ) {
        self.leave(cx, Cow::Borrowed(rule.key), at, None, text.into());
    }

    /// What a profile asks for and nobody here can tell.
    pub(super) fn profile_not_checked(&mut self, cx: &Context<'_, '_>, asked: &Asked<'_>, at: At<'_>, text: String) {
        let key = asked.key();
        if self.is_new(&at, &key, &text) {
            self.leave(cx, key, at, None, text);
        }
    }

    /// The same, once in a file; how many places there are is added to the text in the end.
    pub(super) fn profile_not_checked_once(
        &mut self,
        cx: &Context<'_, '_>,
        asked: &Asked<'_>,
        at: At<'_>,
        text: impl FnOnce() -> String,
    ) {
        if let Some((_, count)) = self.said.get_mut(&(asked.rule.key, asked.profile.clone())) {
            *count += 1;
            return;
        }
        let place = self.not_checked.len();
        self.leave(cx, asked.key(), at, None, text());
        if self.not_checked.len() > place {
            self.said.insert((asked.rule.key, asked.profile.clone()), (place, 1));
        }
    }

    /// A code that could not be judged, because the codes of its system are not known.
    pub(super) fn system_not_checked(
        &mut self,
        cx: &Context<'_, '_>,
        rule: &'static Rule,
        at: At<'_>,
        system: &str,
        text: impl Into<String>,
    ) {
        self.leave(cx, Cow::Borrowed(rule.key), at, Some(system.to_owned()), text.into());
    }

    /// The same, once for each system in a file; `None` stands for all systems that nobody here has heard of.
    pub(super) fn system_not_checked_once(
        &mut self,
        cx: &Context<'_, '_>,
        rule: &'static Rule,
        at: At<'_>,
        system: Option<&str>,
        text: impl FnOnce() -> String,
    ) {
        if self.unknown_systems.iter().all(|said| said.as_deref() != system) {
            self.unknown_systems.push(system.map(str::to_owned));
            self.leave(cx, Cow::Borrowed(rule.key), at, system.map(str::to_owned), text());
        }
    }

    fn leave(
        &mut self,
        cx: &Context<'_, '_>,
        key: Cow<'static, str>,
        at: At<'_>,
        system: Option<String>,
        text: String,
    ) {
        // a rule that is off asks nothing
        let off = self.policy.rules.get(&*key).is_some_and(|level| level.severity().is_none());
        if off || self.not_checked.len() == MOST_FINDINGS {
            return;
        }
        let mut expression = cx.path.to_string();
        expression.push_str(&at.tail);
        self.not_checked.push(Left { node: at.node, key, expression, system, text });
    }

    /// The severity under the policy, or by errata; `None` where the rule is off. Counts what either changes of what is
    /// published.
    fn severity(&mut self, key: &str, published: Severity, severity: Severity) -> Option<Severity> {
        let level = self.policy.rules.get(key).copied();
        let level = match level {
            None if severity == published => return Some(severity),
            None => RuleLevel::from(severity),
            Some(level) => level,
        };
        if level.severity() != Some(published) {
            let entry = self.overridden.entry(key.to_owned()).or_insert_with(|| Overridden {
                key: key.to_owned(),
                from: RuleLevel::from(published),
                to: level,
                count: 0,
            });
            entry.count += 1;
        }
        level.severity()
    }

    /// Sorted by position, severity, key; with lines and columns.
    pub(super) fn finish(mut self, cx: &Context<'_, '_>) -> Gathered {
        // by place, not by node: in XML a twin stands after all values of its element
        let start = |node| cx.document.start(node);
        self.drafts.sort_by(|a, b| {
            let (left, right) = (start(a.node), start(b.node));
            (left, a.severity, &a.key, &a.expression).cmp(&(right, b.severity, &b.key, &b.expression))
        });
        let mut places = cx.document.places();
        let findings = self
            .drafts
            .into_iter()
            .map(|draft| {
                let position = places.place(draft.node);
                Finding {
                    severity: draft.severity,
                    code: draft.code.to_owned(),
                    key: draft.key.into_owned(),
                    expression: draft.expression,
                    line: position.line,
                    column: position.column,
                    profile: draft.profile.map(|profile| profile.to_string()),
                    text: draft.text,
                }
            })
            .collect();
        for (place, count) in self.said.into_values().filter(|(_, count)| *count > 1) {
            let _infallible = write!(self.not_checked[place].text, " ({count} places)");
        }
        self.not_checked.sort_by_key(|left| start(left.node));
        let mut places = cx.document.places();
        let not_checked = self.not_checked.into_iter().map(|left| {
            let position = places.place(left.node);
            NotChecked {
                key: left.key.into_owned(),
                expression: left.expression,
                line: position.line,
                column: position.column,
                system: left.system,
                text: left.text,
            }
        });
        Gathered {
            findings,
            cut: self.cut,
            errors: self.errors,
            warnings: self.warnings,
            not_checked: not_checked.collect(),
            overridden: self.overridden.into_values().collect(),
            profiles: self.profiles.iter().map(ToString::to_string).collect(),
            claims_unloaded: self.claims_unloaded,
            foreign: self.foreign,
        }
    }
}
