//! The grammar of unit expressions. Spec: <https://ucum.org/ucum#section-Syntax-Rules>.
//!
//! `unit: "/"? term`, `term: component (("." | "/") component)*`, `component: ("(" term ")" | number | simple-unit
//! exponent?)? annotation?`. UCUM's own examples write annotations after numbers and parentheses (`/100{WBC}`), the
//! release's have spaces in them (`{3 times}/d`); its rules foresee neither, and both are read.

use super::atoms::{self, Atom, Prefix};

/// More parentheses inside one another are refused: no stack grows with the input.
const MOST_DEPTH: usize = 20;

/// One factor of a unit.
pub(super) enum Factor<'t> {
    /// A positive whole number.
    Number {
        /// As written.
        digits: &'t str,
        /// It divides.
        inverse: bool,
    },
    /// A unit to a power; below a slash that is negative.
    Unit {
        /// `k`
        prefix: Option<&'static Prefix>,
        /// `g`
        atom: &'static Atom,
        /// `1`
        exponent: i32,
    },
}

/// Reads a unit and hands over each factor; `false` where the text is none.
pub(super) fn parse<'t>(text: &'t str, found: &mut impl FnMut(Factor<'t>)) -> bool {
    let mut parser = Parser { rest: text };
    let inverse = parser.eat('/');
    parser.term([inverse, false], 0, found).is_some() && parser.rest.is_empty()
}

struct Parser<'t> {
    rest: &'t str,
}

impl<'t> Parser<'t> {
    fn eat(&mut self, wanted: char) -> bool {
        let rest = self.rest.strip_prefix(wanted);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    /// Whether the first component divides, and whether the whole term does: a slash is for the component after it alone.
    fn term(&mut self, [first, whole]: [bool; 2], depth: usize, found: &mut impl FnMut(Factor<'t>)) -> Option<()> {
        if depth > MOST_DEPTH {
            return None;
        }
        self.component(first, depth, found)?;
        loop {
            if self.eat('.') {
                self.component(whole, depth, found)?;
            } else if self.eat('/') {
                self.component(!whole, depth, found)?;
            } else {
                return Some(());
            }
        }
    }

    fn component(&mut self, inverse: bool, depth: usize, found: &mut impl FnMut(Factor<'t>)) -> Option<()> {
        if self.eat('(') {
            self.term([inverse, inverse], depth + 1, found)?;
            return if self.eat(')') { self.annotation() } else { None };
        }
        if self.rest.starts_with('{') {
            return self.annotation();
        }
        let symbol = self.symbol()?;
        if symbol.bytes().all(|byte| byte.is_ascii_digit()) {
            found(Factor::Number { digits: symbol, inverse });
            return self.annotation();
        }
        let (name, exponent) = split_exponent(symbol)?;
        let (prefix, atom) = atoms::find(name)?;
        found(Factor::Unit { prefix, atom, exponent: if inverse { -exponent } else { exponent } });
        self.annotation()
    }

    /// `{words}`, or nothing: printable ASCII without braces.
    fn annotation(&mut self) -> Option<()> {
        let Some(inside) = self.rest.strip_prefix('{') else { return Some(()) };
        let (inside, rest) = inside.split_once('}')?;
        self.rest = rest;
        inside.bytes().all(|byte| matches!(byte, b' '..=b'~') && byte != b'{').then_some(())
    }

    /// Everything up to the next operator; what stands in square brackets is one word.
    fn symbol(&mut self) -> Option<&'t str> {
        let mut bracket = false;
        let end = self.rest.bytes().position(|byte| {
            match byte {
                b'[' => bracket = true,
                b']' => bracket = false,
                _ => {}
            }
            !bracket && b"./(){}".contains(&byte)
        });
        let (symbol, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
        self.rest = rest;
        (!symbol.is_empty()).then_some(symbol)
    }
}

/// The `m` and `-2` of `m-2`; 1 where nothing is written.
fn split_exponent(symbol: &str) -> Option<(&str, i32)> {
    let stem = symbol.trim_end_matches(|character: char| character.is_ascii_digit());
    if stem.len() == symbol.len() {
        return Some((symbol, 1));
    }
    let name = stem.strip_suffix(['+', '-']).unwrap_or(stem);
    Some((name, symbol[name.len()..].parse().ok()?))
}
