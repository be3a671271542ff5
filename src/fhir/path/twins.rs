//! The twins of primitive values: `_name` beside `name`, or the item at the same place beside an array
//! (<https://hl7.org/fhir/STU3/json.html#primitive>).
//!
//! A value does not know its place in its array. Values are mostly asked for one after another, so that the place of the
//! last one is kept and the next is found a step further: all twins of an array together take time in proportion to it.

use crate::fhir::{Children, Document, Kind, NodeId};

/// Where the last twin was found.
#[derive(Debug, Default)]
pub(super) struct Twins<'d> {
    last: Option<Place<'d>>,
}

/// A place in an array and the same place in the array of its twins.
#[derive(Debug)]
struct Place<'d> {
    array: NodeId,
    value: NodeId,
    twin: Option<NodeId>,
    values: Children<'d>,
    twins: Option<Children<'d>>,
}

impl<'d> Twins<'d> {
    /// The twin of a value, where it has one, and how many nodes were looked at for it.
    pub(super) fn of(&mut self, document: &'d Document<'d>, value: NodeId) -> (Option<NodeId>, usize) {
        let Some(parent) = document.parent(value) else { return (None, 1) };
        let (twin, looked) = if document.kind(parent) == Kind::Array {
            self.of_item(document, parent, value)
        } else {
            beside(document, parent, value)
        };
        (twin.filter(|twin| document.kind(*twin) == Kind::Object), looked)
    }

    fn of_item(&mut self, document: &'d Document<'d>, array: NodeId, value: NodeId) -> (Option<NodeId>, usize) {
        let mut looked = 1;
        // nodes are numbered in the order of the source: a smaller one was passed already
        let mut place = match self.last.take() {
            Some(place) if place.array == array && place.value <= value => place,
            _ => {
                let (twins, steps) = document.parent(array).map_or((None, 1), |owner| beside(document, owner, array));
                looked += steps;
                let twins = twins.map(|twins| document.children(twins));
                Place { array, value: array, twin: None, values: document.children(array), twins }
            }
        };
        if place.twins.is_some() {
            while place.value != value {
                let Some(next) = place.values.next() else { break };
                place.value = next;
                place.twin = place.twins.as_mut().and_then(Iterator::next);
                looked += 1;
            }
        }
        let twin = place.twin;
        self.last = Some(place);
        (twin, looked)
    }
}

/// The member that is called as this one with `_` before it.
fn beside(document: &Document<'_>, owner: NodeId, member: NodeId) -> (Option<NodeId>, usize) {
    let Some(name) = document.name(member) else { return (None, 1) };
    let wanted = format!("_{name}");
    let mut looked = 0;
    let twin = document.children(owner).find(|child| {
        looked += 1;
        document.is_named(*child, &wanted)
    });
    (twin, looked)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fhir::json;

    #[test]
    fn values_are_put_together_with_their_twins_in_any_order() {
        let source = r#"{"given":["a",null,"c","d"],"_given":[{"id":"0"},{"id":"1"},null,{"id":"3"}],
            "family":"f","_family":{"id":"f"},"suffix":["s"],"prefix":["p","q"],"_prefix":[null]}"#;
        let document = json::read(source.as_bytes(), &json::Limits::default()).unwrap();
        let items = |name| document.children(document.get(document.root(), name).unwrap()).collect::<Vec<_>>();
        let (given, suffix, prefix) = (items("given"), items("suffix"), items("prefix"));
        let family = document.get(document.root(), "family").unwrap();
        let expected = [
            (given[0], Some("0")),
            (given[3], Some("3")),
            (given[3], Some("3")),
            (given[2], None),
            (family, Some("f")),
            (given[0], Some("0")),
            (suffix[0], None),
            (given[1], Some("1")),
            (prefix[1], None),
            (prefix[0], None),
            (given[3], Some("3")),
        ];
        let mut twins = Twins::default();
        for (value, id) in expected {
            let (twin, _) = twins.of(&document, value);
            let found = twin.and_then(|twin| document.get(twin, "id")).and_then(|id| document.text(id));
            assert_eq!(found.as_deref(), id, "{value:?}");
        }
    }

    #[test]
    fn the_twins_of_an_array_take_time_in_proportion_to_it() {
        let many = 3_000;
        let source =
            format!(r#"{{"given":[{}"x"],"_given":[{}{{}}]}}"#, "\"x\",".repeat(many - 1), "{},".repeat(many - 1));
        let document = json::read(source.as_bytes(), &json::Limits::default()).unwrap();
        let given = document.get(document.root(), "given").unwrap();
        let mut twins = Twins::default();
        let in_order: usize = document.children(given).map(|value| twins.of(&document, value).1).sum();
        assert!(in_order <= 3 * many, "{in_order}");
        let items: Vec<NodeId> = document.children(given).collect();
        let backwards: usize = items.iter().rev().map(|value| twins.of(&document, *value).1).sum();
        assert!(backwards >= many * many / 2, "what is looked at again is counted again: {backwards}");
    }
}
