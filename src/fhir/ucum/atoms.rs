//! Decodes the facts of UCUM. Lines of tab-separated columns, sorted by code:
//!
//! - `P code factor`: a prefix
//! - `U code flags factor dimension`: an atom. Flags: `m` metric (takes prefixes), `s` special (a scale of its own, no
//!   factor), `a` arbitrary (comparable with itself alone). The factor is a decimal with a power of ten, or two with a
//!   slash. The dimension is seven exponents, nothing where all are 0; for an arbitrary atom its own name

use std::sync::OnceLock;

/// The base units, in the order of the dimension's exponents.
const BASE: [&str; 7] = ["m", "s", "g", "rad", "K", "C", "cd"];

#[derive(Debug)]
pub(super) struct Prefix {
    code: &'static str,
    pub(super) factor: &'static str,
}

#[derive(Debug)]
pub(super) struct Atom {
    code: &'static str,
    metric: bool,
    pub(super) special: bool,
    arbitrary: bool,
    pub(super) factor: &'static str,
    dimension: &'static str,
}

impl Atom {
    /// Base and arbitrary units with their exponents.
    pub(super) fn dimension(&self) -> Vec<(&'static str, i32)> {
        if self.arbitrary {
            return vec![(self.dimension, 1)];
        }
        let exponents = self.dimension.split_ascii_whitespace().map(|exponent| exponent.parse().unwrap_or(0));
        BASE.into_iter().zip(exponents).filter(|(_, exponent)| *exponent != 0).collect()
    }
}

/// The parts of a factor above and below its slash.
pub(super) fn fraction(factor: &'static str) -> (&'static str, &'static str) {
    factor.split_once('/').unwrap_or((factor, "1"))
}

#[derive(Debug)]
struct Facts {
    prefixes: Vec<Prefix>,
    atoms: Vec<Atom>,
    /// Where the atoms begin that begin with a character of ASCII, and those with any later one.
    begin: [u16; 129],
}

impl Facts {
    fn atom(&self, code: &str) -> Option<&Atom> {
        let first = usize::from(*code.as_bytes().first().filter(|byte| byte.is_ascii())?);
        let few = &self.atoms[usize::from(self.begin[first])..usize::from(self.begin[first + 1])];
        few.binary_search_by(|atom| atom.code.cmp(code)).ok().map(|place| &few[place])
    }

    fn prefix(&self, code: &str) -> Option<&Prefix> {
        self.prefixes.iter().find(|prefix| prefix.code == code)
    }
}

fn facts() -> &'static Facts {
    static FACTS: OnceLock<Facts> = OnceLock::new();
    FACTS.get_or_init(|| {
        let mut facts = Facts { prefixes: Vec::new(), atoms: Vec::new(), begin: [0; 129] };
        for line in include_str!("atoms.tsv").lines() {
            let mut columns = line.split('\t').skip(1);
            let mut next = || columns.next().unwrap_or_default();
            let code = next();
            if line.starts_with('P') {
                facts.prefixes.push(Prefix { code, factor: next() });
                continue;
            }
            let flags = next();
            facts.atoms.push(Atom {
                code,
                metric: flags.contains('m'),
                special: flags.contains('s'),
                arbitrary: flags.contains('a'),
                factor: next(),
                dimension: next(),
            });
        }
        for (first, begin) in (0..).zip(&mut facts.begin) {
            let before = facts.atoms.partition_point(|atom| atom.code.as_bytes()[0] < first);
            *begin = u16::try_from(before).expect("a few hundred atoms");
        }
        facts
    })
}

/// An atom, or a prefix and a metric atom. An atom that looks like both is itself (`cd`, `Pa`, `min`).
pub(super) fn find(name: &str) -> Option<(Option<&'static Prefix>, &'static Atom)> {
    let facts = facts();
    if let Some(atom) = facts.atom(name) {
        return Some((None, atom));
    }
    [1, 2].into_iter().find_map(|length| {
        let (prefix, rest) = name.split_at_checked(length)?;
        let prefix = facts.prefix(prefix)?;
        facts.atom(rest).filter(|atom| atom.metric).map(|atom| (Some(prefix), atom))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_facts_are_whole_and_sorted() {
        let facts = facts();
        assert_eq!((facts.prefixes.len(), facts.atoms.len()), (24, 312));
        assert!(facts.prefixes.is_sorted_by_key(|prefix| prefix.code));
        assert!(facts.atoms.is_sorted_by_key(|atom| atom.code));
        for atom in &facts.atoms {
            assert_eq!(atom.factor.is_empty(), atom.special, "{}", atom.code);
            assert!(atom.arbitrary || [0, 7].contains(&atom.dimension.split_whitespace().count()), "{}", atom.code);
        }
    }

    #[test]
    fn prefixes_go_with_metric_atoms_alone() {
        let found = |name| find(name).map(|(prefix, atom)| (prefix.map_or("", |prefix| prefix.code), atom.code));
        assert_eq!(found("mm[Hg]"), Some(("m", "m[Hg]")));
        assert_eq!(found("cd"), Some(("", "cd")));
        assert_eq!(found("dag"), Some(("da", "g")));
        assert_eq!(found("k[ft_i]"), None);
    }
}
