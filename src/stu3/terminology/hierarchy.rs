//! Which codes of a system stand below which.

use std::sync::OnceLock;

/// The codes above each code of a system, by their places in its list.
#[derive(Debug, Default)]
pub struct Hierarchy {
    above: OnceLock<Vec<Vec<u32>>>,
    /// What the list is made of when first needed; empty where nothing stands below anything.
    text: &'static str,
}

impl Hierarchy {
    /// Of a line of the table.
    pub(super) const fn of_line(text: &'static str) -> Self {
        Self { above: OnceLock::new(), text }
    }

    fn above(&self) -> &[Vec<u32>] {
        let places = |column: &str| column.split(',').filter_map(|place| place.parse().ok()).collect();
        self.above.get_or_init(|| match self.text {
            "" => Vec::new(),
            text => text.split('\t').map(places).collect(),
        })
    }

    /// A code is another one or stands below it.
    pub(super) fn is_below(&self, code: usize, top: usize) -> bool {
        let above = self.above();
        let (mut waiting, mut seen) = (vec![code], vec![code]);
        while let Some(place) = waiting.pop() {
            if place == top {
                return true;
            }
            for parent in above.get(place).into_iter().flatten().map(|parent| *parent as usize) {
                if !seen.contains(&parent) {
                    seen.push(parent);
                    waiting.push(parent);
                }
            }
        }
        false
    }
}
