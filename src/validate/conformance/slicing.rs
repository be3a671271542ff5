//! What repeats, sorted into slices: how often each stands, in which order, and what else may stand beside them.
//! Spec: <https://hl7.org/fhir/STU3/profiling.html#slicing>.

use super::{
    CLOSED, Judge, ORDER, SLICE,
    discriminator::{Fit, Way},
    element::Occurrence,
};
use crate::{
    stu3::profile::{ElementDefinition, Node, SlicingRules},
    validate::issue::At,
};

/// The slice that takes what no other does.
const DEFAULT: &str = "@default";

/// A list that is cut into slices.
#[derive(Clone, Copy)]
struct Cut<'n> {
    /// Says how.
    element: &'n ElementDefinition,
    /// The name of the slice that is cut once more.
    outer: Option<&'n str>,
    /// All slices of the list.
    slices: &'n [Node],
    released: Option<&'n Node>,
}

impl<'n> Cut<'n> {
    /// The slices that are no slices of others here, with their names within it.
    fn direct(&self) -> Vec<(&'n str, &'n Node)> {
        let named = |slice: &'n Node| {
            let name = slice.slice.as_deref()?;
            let rest = match self.outer {
                Some(outer) => name.strip_prefix(outer)?.strip_prefix('/')?,
                None => name,
            };
            (!rest.is_empty() && !rest.contains('/')).then_some((rest, slice))
        };
        self.slices.iter().filter_map(named).collect()
    }
}

/// What became of an occurrence.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sorted {
    /// Of the slice at this place.
    Into(usize),
    /// Of none.
    Beside,
    /// It cannot be told.
    Open,
}

impl Judge<'_, '_, '_> {
    /// The values of an element that is cut into slices; the path has reached what they stand in.
    pub(super) fn slices(
        &mut self,
        member: &Node,
        released: Option<&Node>,
        slices: &[Node],
        those: &[Occurrence],
        owner: Occurrence,
    ) {
        self.cut(Cut { element: &member.element, outer: None, slices, released }, &member.name, those, owner);
    }

    fn cut(&mut self, cut: Cut<'_>, name: &str, those: &[Occurrence], owner: Occurrence) {
        // of nothing no slice asks for anything
        if those.is_empty() && cut.slices.iter().all(|slice| slice.element.min == 0) {
            return;
        }
        let direct = cut.direct();
        if direct.is_empty() {
            return;
        }
        let Some(slicing) = &cut.element.slicing else { return self.untold(name, those) };
        let ways: Option<Vec<Way<'_>>> = slicing.discriminators.iter().map(Way::read).collect();
        let Some(ways) = ways.filter(|ways| !ways.is_empty()) else { return self.untold(name, those) };
        let default = direct.iter().position(|(name, _)| *name == DEFAULT);
        let mut sorted = Vec::with_capacity(those.len());
        // of each slice: a value may be of it
        let mut may_be = vec![false; direct.len()];
        for one in those {
            self.cx.path.push(one.name(), one.index);
            let mut into = Sorted::Beside;
            for (place, (_, slice)) in direct.iter().enumerate().filter(|(place, _)| Some(*place) != default) {
                match self.fits_all(slice, &ways, *one) {
                    Fit::Yes => {
                        into = Sorted::Into(place);
                        break;
                    }
                    Fit::No => {}
                    Fit::Open => {
                        may_be[place] = true;
                        into = Sorted::Open;
                    }
                }
            }
            if let (Sorted::Beside, Some(default)) = (into, default) {
                into = Sorted::Into(default);
            }
            match into {
                Sorted::Open => {
                    let text = format!("which slice of \"{name}\" this is of cannot be told here");
                    self.not_checked(&SLICE, At::here(one.node), text);
                }
                // a value of a type that is taken away has been told
                Sorted::Beside if slicing.rules == SlicingRules::Closed && self.has_type(cut.element, *one) => {
                    let names: Vec<&str> = direct.iter().map(|(name, _)| *name).collect();
                    let text = format!(
                        "the profile allows nothing beside these slices of \"{name}\": {}; this is of none of them: \
                         correct it or remove it",
                        names.join(", ")
                    );
                    self.add(&CLOSED, At::here(one.node), text);
                }
                Sorted::Into(_) | Sorted::Beside => {}
            }
            self.cx.path.pop();
            sorted.push(into);
        }
        self.order(slicing.ordered, slicing.rules, name, those, &sorted);
        for (place, (slice_name, slice)) in direct.iter().enumerate() {
            let of_slice = those.iter().zip(&sorted).filter(|(_, into)| **into == Sorted::Into(place));
            let of_slice: Vec<Occurrence> = of_slice.map(|(one, _)| *one).collect();
            self.slice(cut, (name, slice_name, slice), &of_slice, may_be[place], owner);
        }
    }

    /// What is of a slice.
    fn slice(
        &mut self,
        cut: Cut<'_>,
        (name, slice_name, slice): (&str, &str, &Node),
        those: &[Occurrence],
        may_be: bool,
        owner: Occurrence,
    ) {
        let (least, most) = (slice.element.min, slice.element.max);
        let count = u32::try_from(those.len()).unwrap_or(u32::MAX);
        let what = || format!("\"{name}\" of the slice {slice_name}");
        if count < least && !may_be {
            self.too_few(&what(), least, count, owner);
        }
        if let Some(most) = most.filter(|most| *most < count) {
            self.too_many(&what(), most, those);
        }
        for one in those {
            self.cx.path.push(one.name(), one.index);
            self.value(slice, cut.released, *one);
            self.cx.path.pop();
        }
        self.cut(Cut { element: &slice.element, outer: slice.slice.as_deref(), ..cut }, name, those, owner);
    }

    /// Slices stand in the order of the profile, and what is of none behind them, where the profile asks for it.
    fn order(&mut self, is_ordered: bool, rules: SlicingRules, name: &str, those: &[Occurrence], sorted: &[Sorted]) {
        let mut furthest = 0;
        let mut is_behind = false;
        for (one, into) in those.iter().zip(sorted) {
            let Sorted::Into(place) = *into else {
                is_behind |= *into == Sorted::Beside;
                continue;
            };
            let is_late = is_behind && rules == SlicingRules::OpenAtEnd;
            if is_late || (is_ordered && place < furthest) {
                let text = if is_late {
                    format!(
                        "the profile wants what is of no slice of \"{name}\" behind all slices: move this before it"
                    )
                } else {
                    format!("the profile wants the slices of \"{name}\" in its order: move this")
                };
                self.cx.path.push(one.name(), one.index);
                self.add(&ORDER, At::here(one.node), text);
                self.cx.path.pop();
            }
            furthest = furthest.max(place);
        }
    }

    /// Nothing says what tells slices apart.
    fn untold(&mut self, name: &str, those: &[Occurrence]) {
        let Some(first) = those.first() else { return };
        self.cx.path.push(first.name(), first.index);
        let text = format!("the profile does not say in a usable way what tells the slices of \"{name}\" apart");
        self.not_checked(&SLICE, At::here(first.node), text);
        self.cx.path.pop();
    }
}
