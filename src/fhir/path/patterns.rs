//! The patterns of `matches()` and `replaceMatches()`, each read once in an evaluation.

use super::PathError;
use regex::{Regex, RegexBuilder};

/// Longest pattern once compiled, in bytes: published ones need a few thousand.
const MOST_SIZE: usize = 1 << 20;

/// Patterns that are kept; an expression has one or two.
const MOST_KEPT: usize = 16;

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

    /// Reads a pattern. The engine takes time in proportion to text and pattern, whatever they are. A point matches line
    /// ends too.
    pub(super) fn read(&mut self, text: &str) -> Result<Regex, PathError> {
        let built = RegexBuilder::new(text).dot_matches_new_line(true).size_limit(MOST_SIZE).build();
        let pattern = built.map_err(|_| PathError::Evaluation("the pattern cannot be read"))?;
        if self.kept.len() == MOST_KEPT {
            self.kept.clear();
        }
        self.kept.push((text.to_owned(), pattern.clone()));
        Ok(pattern)
    }
}

/// A pattern matches one of these texts whole; `None` where it cannot be read.
pub(crate) fn matches_whole(pattern: &str, texts: &[&str]) -> Option<bool> {
    let pattern = Patterns::default().read(&format!("^(?:{pattern})$")).ok()?;
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
        assert!(patterns.read("a.b").unwrap().is_match("a\nb"));
        assert!(patterns.known("a.b").is_some_and(|pattern| pattern.is_match("xa-bx")));
        for number in 0..100 {
            patterns.read(&number.to_string()).unwrap();
            assert!(patterns.kept.len() <= MOST_KEPT);
        }
        assert!(patterns.known("99").is_some() && patterns.known("a.b").is_none());
    }

    #[test]
    fn what_is_no_pattern_or_too_large_a_one_is_refused() {
        for text in ["(", "(?=a)", "(a{1000}){1000}"] {
            assert!(Patterns::default().read(text).is_err(), "{text}");
        }
    }
}
