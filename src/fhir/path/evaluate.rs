//! From a tree to values (<http://hl7.org/fhirpath/#expressions>): collections flow from step to step.

use super::{
    PathError,
    parser::{Comparison, Connective, Function, Node},
};
use crate::fhir::{Document, Kind, NodeId};
use std::borrow::Cow;

/// One member of a collection.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Item<'d> {
    /// An element of the document. A primitive's twin (`_name`) stands for it where it has no value.
    Node(NodeId),
    /// A literal or a number.
    Text(Cow<'d, str>),
    Boolean(bool),
}

/// Steps that one evaluation may take: far beyond what any path over the largest Bundle needs.
const BUDGET: u64 = 10_000_000;

/// Walks a document.
pub(super) struct Cursor<'d, 'a> {
    document: &'d Document<'a>,
    steps: u64,
}

impl<'d, 'a> Cursor<'d, 'a> {
    pub(super) const fn new(document: &'d Document<'a>) -> Self {
        Self { document, steps: 0 }
    }

    fn spend(&mut self, steps: usize) -> Result<(), PathError> {
        self.steps = self.steps.saturating_add(u64::try_from(steps).unwrap_or(u64::MAX));
        if self.steps > BUDGET { Err(PathError::Budget) } else { Ok(()) }
    }

    pub(super) fn evaluate(&mut self, node: &Node, input: &[Item<'d>]) -> Result<Vec<Item<'d>>, PathError> {
        self.spend(1)?;
        Ok(match node {
            Node::Text(text) | Node::Number(text) => vec![Item::Text(text.clone().into())],
            Node::Boolean(value) => vec![Item::Boolean(*value)],
            Node::This => input.to_vec(),
            Node::Root => vec![Item::Node(self.document.root())],
            Node::Member(of, name) => {
                let items = self.evaluate(of, input)?;
                self.member(&items, name, matches!(**of, Node::This))?
            }
            Node::Index(of, index) => self.evaluate(of, input)?.into_iter().nth(*index).into_iter().collect(),
            Node::Call(of, function) => {
                let items = self.evaluate(of, input)?;
                self.call(function, items)?
            }
            Node::Union(left, right) => {
                let mut items = self.evaluate(left, input)?;
                for item in self.evaluate(right, input)? {
                    self.spend(items.len())?;
                    if !items.contains(&item) {
                        items.push(item);
                    }
                }
                items
            }
            Node::Compare(comparison, left, right) => {
                let (left, right) = (self.evaluate(left, input)?, self.evaluate(right, input)?);
                if left.is_empty() || right.is_empty() {
                    return Ok(Vec::new());
                }
                let equal =
                    left.len() == right.len() && left.iter().zip(&right).all(|(left, right)| self.equal(left, right));
                vec![Item::Boolean(equal == (*comparison == Comparison::Equal))]
            }
            Node::Logic(connective, left, right) => {
                let left = self.evaluate(left, input)?;
                let right = self.evaluate(right, input)?;
                let (left, right) = (self.truth(&left)?, self.truth(&right)?);
                let decided = match connective {
                    Connective::And => match (left, right) {
                        (Some(false), _) | (_, Some(false)) => Some(false),
                        (Some(true), Some(true)) => Some(true),
                        _ => None,
                    },
                    Connective::Or => match (left, right) {
                        (Some(true), _) | (_, Some(true)) => Some(true),
                        (Some(false), Some(false)) => Some(false),
                        _ => None,
                    },
                };
                decided.map(Item::Boolean).into_iter().collect()
            }
        })
    }

    /// The elements of that name. At the beginning of a path the name may be the resource's own type.
    fn member(&mut self, items: &[Item<'d>], name: &str, is_first: bool) -> Result<Vec<Item<'d>>, PathError> {
        let document = self.document;
        let mut found = Vec::new();
        for item in items {
            let Item::Node(node) = item else { continue };
            self.spend(1)?;
            if is_first && self.is_resource(*node, name) {
                found.push(item.clone());
                continue;
            }
            let twin = self.twin(*node).filter(|_| document.kind(*node) != Kind::Object);
            for child in document.children(twin.unwrap_or(*node)) {
                self.spend(1)?;
                if let Some(child_name) = document.name(child)
                    && is_member(&child_name, name)
                {
                    self.flatten(child, &mut found)?;
                }
            }
            // A primitive with a twin and no value is still an element: `birthDate.extension`.
            let only_twin = document.get(*node, &format!("_{name}")).filter(|_| document.get(*node, name).is_none());
            if let Some(twin) = only_twin {
                self.flatten(twin, &mut found)?;
            }
        }
        Ok(found)
    }

    fn flatten(&mut self, node: NodeId, found: &mut Vec<Item<'d>>) -> Result<(), PathError> {
        if self.document.kind(node) != Kind::Array {
            found.push(Item::Node(node));
            return Ok(());
        }
        for item in self.document.children(node) {
            self.spend(1)?;
            if self.document.kind(item) != Kind::Null {
                found.push(Item::Node(item));
            }
        }
        Ok(())
    }

    /// The `_name` beside a primitive member that is not in an array.
    fn twin(&self, node: NodeId) -> Option<NodeId> {
        let name = self.document.name(node)?;
        self.document.get(self.document.parent(node)?, &format!("_{name}"))
    }

    fn is_resource(&self, node: NodeId, name: &str) -> bool {
        let kind = self.document.get(node, "resourceType").and_then(|kind| self.document.string(kind));
        kind.as_deref() == Some(name)
    }

    /// Whether a node is of a type: a resource by its name, a choice by its ending.
    fn is_of(&self, item: &Item<'d>, name: &str) -> bool {
        let Item::Node(node) = item else { return false };
        let is_choice = self.document.name(*node).is_some_and(|member| {
            let rest = member.strip_suffix(name).or_else(|| member.strip_suffix(&capitalised(name)));
            rest.is_some_and(|rest| !rest.is_empty())
        });
        self.is_resource(*node, name) || is_choice
    }

    fn call(&mut self, function: &Function, items: Vec<Item<'d>>) -> Result<Vec<Item<'d>>, PathError> {
        let boolean = |value| vec![Item::Boolean(value)];
        Ok(match function {
            Function::Where(condition) => self.filter(condition, items)?,
            Function::Exists(None) => boolean(!items.is_empty()),
            Function::Exists(Some(condition)) => boolean(!self.filter(condition, items)?.is_empty()),
            Function::Empty => boolean(items.is_empty()),
            Function::Not => self.truth(&items)?.map(|value| Item::Boolean(!value)).into_iter().collect(),
            Function::Count => vec![Item::Text(items.len().to_string().into())],
            Function::First => items.into_iter().take(1).collect(),
            Function::Last => items.into_iter().last().into_iter().collect(),
            Function::OfType(name) => items.into_iter().filter(|item| self.is_of(item, name)).collect(),
            Function::Is(name) => match &items[..] {
                [] => Vec::new(),
                [item] => boolean(self.is_of(item, name)),
                _ => return Err(PathError::Evaluation("is() needs a single element")),
            },
            Function::Extension(url) => {
                let extensions = self.member(&items, "extension", false)?;
                let document = self.document;
                let has_url = |item: &Item<'d>| {
                    let Item::Node(node) = item else { return false };
                    let found = document.get(*node, "url").and_then(|url| document.string(url));
                    found.as_deref() == Some(url)
                };
                extensions.into_iter().filter(has_url).collect()
            }
        })
    }

    fn filter(&mut self, condition: &Node, items: Vec<Item<'d>>) -> Result<Vec<Item<'d>>, PathError> {
        let mut kept = Vec::new();
        for item in items {
            let held = self.evaluate(condition, std::slice::from_ref(&item))?;
            if self.truth(&held)? == Some(true) {
                kept.push(item);
            }
        }
        Ok(kept)
    }

    /// Singleton evaluation: a boolean is itself, any other single item is true, nothing is nothing.
    fn truth(&self, items: &[Item<'d>]) -> Result<Option<bool>, PathError> {
        match items {
            [] => Ok(None),
            [Item::Boolean(value)] => Ok(Some(*value)),
            [Item::Node(node)] => Ok(Some(self.document.kind(*node) != Kind::False)),
            [Item::Text(_)] => Ok(Some(true)),
            _ => Err(PathError::Evaluation("a condition needs a single value")),
        }
    }

    fn equal(&self, left: &Item<'d>, right: &Item<'d>) -> bool {
        match (self.text(left), self.text(right)) {
            (Some(left), Some(right)) => left == right,
            _ => left == right,
        }
    }

    fn text(&self, item: &Item<'d>) -> Option<Cow<'d, str>> {
        match item {
            Item::Text(text) => Some(text.clone()),
            Item::Boolean(value) => Some(Cow::Borrowed(if *value { "true" } else { "false" })),
            Item::Node(node) => self.document.text(*node),
        }
    }
}

/// `value` is also what `valueQuantity` is called; a published path may write the choice out.
fn is_member(child: &str, name: &str) -> bool {
    match child.strip_prefix(name) {
        Some("") => true,
        Some(rest) => name == "value" && rest.starts_with(|c: char| c.is_ascii_uppercase()),
        None => false,
    }
}

fn capitalised(name: &str) -> String {
    let mut characters = name.chars();
    characters.next().map_or_else(String::new, |first| first.to_uppercase().chain(characters).collect())
}
