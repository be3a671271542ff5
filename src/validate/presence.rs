//! What can be said of a constraint from nothing but which members are there.
//!
//! Most constraints ask whether elements exist, and most elements that they ask for are not there. The walk knows the
//! members of an object as bits, so that for most constraints of most objects a mask or two answer what the evaluator
//! would. [`passes_when`] finds those masks in the expression itself; each is a condition under which it is surely true.

use crate::{
    fhir::{
        StructureId,
        path::{Ast, Function, Operator},
    },
    stu3::Release,
};

/// Members that are not there and members that are, by [`crate::stu3::Element::place`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Presence {
    absent: u128,
    present: u128,
}

impl Presence {
    /// The object whose members are `seen` is of this kind.
    pub(super) const fn fits(self, seen: u128) -> bool {
        seen & self.absent == 0 && seen & self.present == self.present
    }

    /// Both conditions at once; `None` where they contradict.
    fn and(self, other: Self) -> Option<Self> {
        let both = Self { absent: self.absent | other.absent, present: self.present | other.present };
        (both.absent & both.present == 0).then_some(both)
    }
}

/// Alternatives beyond these are not looked for: the evaluator answers then.
const MOST_ALTERNATIVES: usize = 16;

/// Conditions under which the expression is true of an object of this structure, each by itself.
pub(super) fn passes_when(release: &Release, structure: StructureId, ast: &Ast) -> Vec<Presence> {
    Reader { release, structure }.read(ast).holds
}

/// Conditions under which an expression is true, false, and has no value. Each list may miss some.
#[derive(Clone, Debug, Default)]
struct Known {
    holds: Vec<Presence>,
    fails: Vec<Presence>,
    empty: Vec<Presence>,
}

struct Reader<'r> {
    release: &'r Release,
    structure: StructureId,
}

impl Reader<'_> {
    fn read(&self, ast: &Ast) -> Known {
        match ast {
            Ast::Call(of, function, arguments) => self.call(of, *function, arguments),
            Ast::Binary(operator, left, right) => binary(*operator, &self.read(left), &self.read(right)),
            Ast::Member(of, name) if **of == Ast::Focus => Known { empty: self.absence(name), ..Known::default() },
            Ast::Member(of, _) | Ast::At(of, _) | Ast::Negative(of) | Ast::Type(_, of, _) => {
                Known { empty: self.read(of).empty, ..Known::default() }
            }
            Ast::Nothing => Known { empty: vec![Presence::default()], ..Known::default() },
            Ast::Literal(_) | Ast::Focus | Ast::Index | Ast::Total | Ast::Variable(_) => Known::default(),
        }
    }

    fn place(&self, name: &str) -> Option<u128> {
        let element = self.release.elements(self.structure).iter().find(|element| element.name == name)?;
        Some(1 << element.place)
    }

    fn absence(&self, name: &str) -> Vec<Presence> {
        self.place(name).map(|bit| Presence { absent: bit, present: 0 }).into_iter().collect()
    }

    /// Where the collection surely has something: a member by itself that is there.
    fn certain(&self, ast: &Ast) -> Vec<Presence> {
        match ast {
            Ast::Member(of, name) if **of == Ast::Focus => {
                self.place(name).map(|bit| Presence { absent: 0, present: bit }).into_iter().collect()
            }
            _ => Vec::new(),
        }
    }

    fn call(&self, of: &Ast, function: Function, arguments: &[Ast]) -> Known {
        let input = self.read(of);
        match function {
            Function::Exists if arguments.is_empty() => {
                Known { holds: self.certain(of), fails: input.empty, empty: Vec::new() }
            }
            Function::Exists => Known { fails: input.empty, ..Known::default() },
            Function::Empty => Known { holds: input.empty, fails: self.certain(of), empty: Vec::new() },
            Function::Not => Known { holds: input.fails, fails: input.holds, empty: input.empty },
            Function::All | Function::AllTrue | Function::AllFalse | Function::IsDistinct => {
                Known { holds: input.empty, ..Known::default() }
            }
            Function::Trace => input,
            // of nothing these make nothing
            Function::Where
            | Function::Select
            | Function::Distinct
            | Function::First
            | Function::Last
            | Function::Tail
            | Function::Single
            | Function::Resolve
            | Function::Extension
            | Function::StartsWith
            | Function::ContainsText
            | Function::Matches
            | Function::Substring
            | Function::ToInteger
            | Function::ToText
            | Function::Length => Known { empty: input.empty, ..Known::default() },
            _ => Known::default(),
        }
    }
}

fn binary(operator: Operator, left: &Known, right: &Known) -> Known {
    match operator {
        Operator::And => Known {
            holds: both(&left.holds, &right.holds),
            fails: either(&left.fails, &right.fails),
            empty: Vec::new(),
        },
        Operator::Or => Known {
            holds: either(&left.holds, &right.holds),
            fails: both(&left.fails, &right.fails),
            empty: Vec::new(),
        },
        Operator::Implies => Known {
            holds: either(&left.fails, &right.holds),
            fails: both(&left.holds, &right.fails),
            empty: Vec::new(),
        },
        // of two booleans these say whether they differ
        Operator::Xor | Operator::NotEqual => Known {
            holds: either(&both(&left.holds, &right.fails), &both(&left.fails, &right.holds)),
            fails: either(&both(&left.holds, &right.holds), &both(&left.fails, &right.fails)),
            empty: either(&left.empty, &right.empty),
        },
        Operator::Equal => Known {
            holds: either(&both(&left.holds, &right.holds), &both(&left.fails, &right.fails)),
            fails: either(&both(&left.holds, &right.fails), &both(&left.fails, &right.holds)),
            empty: either(&left.empty, &right.empty),
        },
        Operator::In => Known { empty: left.empty.clone(), ..Known::default() },
        Operator::Union => Known { empty: both(&left.empty, &right.empty), ..Known::default() },
        Operator::Less | Operator::LessOrEqual | Operator::Greater | Operator::GreaterOrEqual => {
            Known { empty: either(&left.empty, &right.empty), ..Known::default() }
        }
        _ => Known::default(),
    }
}

fn either(left: &[Presence], right: &[Presence]) -> Vec<Presence> {
    let mut all = left.to_vec();
    all.extend(right.iter().filter(|presence| !left.contains(presence)));
    all.truncate(MOST_ALTERNATIVES);
    all
}

fn both(left: &[Presence], right: &[Presence]) -> Vec<Presence> {
    let mut all: Vec<Presence> = left.iter().flat_map(|one| right.iter().filter_map(|other| one.and(*other))).collect();
    all.truncate(MOST_ALTERNATIVES);
    all
}
