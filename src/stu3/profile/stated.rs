//! Where the changes of a differential stand, before anything is known of the elements.

use super::{Change, build::DEEPEST};
use std::collections::{HashMap, HashSet};

/// Where a change stands by paths and slice names alone: the path's parts, each with its id.
#[derive(Default)]
pub(super) struct Chain(pub(super) Vec<(String, String)>);

impl Chain {
    /// On to the next change; the id of its element, without its own slice.
    pub(super) fn advance(&mut self, change: &Change) -> String {
        let parts: Vec<&str> = change.path.split('.').take(DEEPEST).collect();
        let outer = &parts[..parts.len() - 1];
        let common = self.0.iter().zip(outer).take_while(|((name, _), part)| name == *part).count();
        self.0.truncate(common);
        for part in &parts[common..] {
            let id = self.0.last().map_or_else(|| (*part).to_owned(), |(_, outer)| format!("{outer}.{part}"));
            self.0.push(((*part).to_owned(), id));
        }
        let element = self.id(parts.len() - 1).to_owned();
        if let (Some(slice), Some((_, id))) = (&change.slice, self.0.last_mut()) {
            *id = format!("{element}:{slice}");
        }
        element
    }

    fn id(&self, place: usize) -> &str {
        self.0.get(place).map(|(_, id)| id.as_str()).unwrap_or_default()
    }
}

/// What can be known of a differential before it is applied.
#[derive(Default)]
pub(super) struct Stated {
    /// All elements, by [`Chain`].
    pub(super) elements: HashSet<String>,
    /// How many slices are named for an element.
    pub(super) counts: HashMap<String, usize>,
    /// All slices, by [`Chain`].
    pub(super) slices: HashSet<String>,
}

impl Stated {
    pub(super) fn of(changes: &[Change]) -> Self {
        let (mut stated, mut chain) = (Self::default(), Chain::default());
        for change in changes {
            let element = chain.advance(change);
            let inner = chain.0.len() - 1;
            stated.elements.extend(chain.0[..inner].iter().map(|(_, id)| id.clone()));
            if change.slice.is_some() && stated.slices.insert(chain.id(inner).to_owned()) {
                *stated.counts.entry(element.clone()).or_default() += 1;
            }
            stated.elements.insert(element);
        }
        stated
    }
}
