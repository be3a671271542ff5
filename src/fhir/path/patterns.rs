//! The patterns of `matches()` and `replaceMatches()`: those that an expression states itself are read once, others once in
//! an evaluation.

use super::{
    PathError,
    ast::{Ast, Function, Literal},
};
use regex::{Regex, RegexBuilder};
use std::sync::OnceLock;

/// Longest pattern once compiled, in bytes: published ones need a few thousand.
const MOST_SIZE: usize = 1 << 20;

/// Patterns that are kept; an expression has one or two.
const MOST_KEPT: usize = 16;

/// The patterns that an expression states itself, each read when it is first needed.
#[derive(Clone, Debug, Default)]
pub(super) struct Stated {
    list: Vec<(String, OnceLock<Result<Regex, PathError>>)>,
}

impl Stated {
    pub(super) fn of(ast: &Ast) -> Self {
        let mut stated = Self::default();
        stated.gather(ast);
        stated
    }

    fn gather(&mut self, ast: &Ast) {
        match ast {
            Ast::Call(of, function, arguments) => {
                let text = match (function, arguments.first()) {
                    (Function::Matches | Function::ReplaceMatches, Some(Ast::Literal(Literal::Text(text)))) => {
                        Some(text.clone())
                    }
                    (Function::MatchesFull, Some(Ast::Literal(Literal::Text(text)))) => Some(anchored(text)),
                    _ => None,
                };
                self.list.extend(text.map(|text| (text, OnceLock::new())));
                self.gather(of);
                arguments.iter().for_each(|argument| self.gather(argument));
            }
            Ast::Member(of, _) | Ast::Negative(of) | Ast::Type(_, of, _) => self.gather(of),
            Ast::At(one, other) | Ast::Binary(_, one, other) => {
                self.gather(one);
                self.gather(other);
            }
            Ast::Nothing | Ast::Literal(_) | Ast::Focus | Ast::Index | Ast::Total | Ast::Variable(_) => {}
        }
    }

    fn read(&self, text: &str) -> Result<Regex, PathError> {
        match self.list.iter().find(|(stated, _)| stated == text) {
            Some((_, pattern)) => pattern.get_or_init(|| read(text)).clone(),
            None => read(text),
        }
    }
}

/// A pattern that matches from the beginning of a text to its end.
pub(super) fn anchored(pattern: &str) -> String {
    format!("^(?:{pattern})$")
}

/// Reads a pattern. The engine takes time in proportion to text and pattern, whatever they are. A point matches line
/// ends too.
fn read(text: &str) -> Result<Regex, PathError> {
    let built = RegexBuilder::new(text).dot_matches_new_line(true).size_limit(MOST_SIZE).build();
    built.map_err(|_| PathError::Evaluation("the pattern cannot be read"))
}

/// The patterns of one evaluation.
#[derive(Debug, Default)]
pub(super) struct Patterns {
    kept: Vec<(String, Regex)>,
}

impl Patterns {
    /// Steps that reading a pattern stands for: it takes as long as looking at that many nodes.
    pub(super) const STEPS: usize = 20_000;

    /// The pattern, if it was read before.
    pub(super) fn known(&self, text: &str) -> Option<Regex> {
        self.kept.iter().find(|(known, _)| known == text).map(|(_, pattern)| pattern.clone())
    }

    /// Reads a pattern, or takes it from those that were read before.
    pub(super) fn read(&mut self, text: &str, stated: &Stated) -> Result<Regex, PathError> {
        let pattern = stated.read(text)?;
        if self.kept.len() == MOST_KEPT {
            self.kept.clear();
        }
        self.kept.push((text.to_owned(), pattern.clone()));
        Ok(pattern)
    }
}

/// A pattern matches one of these texts whole; `None` where it cannot be read.
pub(crate) fn matches_whole(pattern: &str, texts: &[&str]) -> Option<bool> {
    let pattern = read(&anchored(pattern)).ok()?;
    Some(texts.iter().any(|text| pattern.is_match(text)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_match_is_anchored_at_both_ends() {
        assert_eq!(matches_whole("a|b", &["xb", "a"]), Some(true));
        assert_eq!(matches_whole("a|b", &["ab"]), Some(false));
        assert_eq!(matches_whole("(", &["a"]), None);
    }

    #[test]
    fn patterns_are_kept_but_not_without_end() {
        let mut patterns = Patterns::default();
        assert!(patterns.known("a.b").is_none());
        let stated = Stated::default();
        assert!(patterns.read("a.b", &stated).unwrap().is_match("a\nb"));
        assert!(patterns.known("a.b").is_some_and(|pattern| pattern.is_match("xa-bx")));
        for number in 0..100 {
            patterns.read(&number.to_string(), &stated).unwrap();
            assert!(patterns.kept.len() <= MOST_KEPT);
        }
        assert!(patterns.known("99").is_some() && patterns.known("a.b").is_none());
    }

    #[test]
    fn patterns_that_an_expression_states_are_read_once() {
        let text = "a.matches('b.') or (c.matchesFull('d') and e[0].replaceMatches('f', 'g').exists()) or h.matches(i)";
        let expression = crate::fhir::path::Expression::parse(text).unwrap();
        let stated = Stated::of(expression.ast());
        let texts: Vec<&str> = stated.list.iter().map(|(text, _)| text.as_str()).collect();
        assert_eq!(texts, ["b.", "^(?:d)$", "f"]);
        assert!(stated.read("b.").unwrap().is_match("xby"));
        assert!(stated.list[0].1.get().is_some() && stated.list[1].1.get().is_none());
        assert!(stated.read("other").unwrap().is_match("another"));
    }

    #[test]
    fn what_is_no_pattern_or_too_large_a_one_is_refused() {
        for text in ["(", "(?=a)", "(a{1000}){1000}"] {
            assert!(Patterns::default().read(text, &Stated::default()).is_err(), "{text}");
        }
    }
}
