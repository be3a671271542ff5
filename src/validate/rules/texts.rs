//! What each rule means and what to change, in plain words for a clinic's administrator: `rule_texts.tsv`, and
//! `explanations.tsv` for the constraints of the release.

use super::invariant;

/// The columns: key, what it means, what to change, a file below samples/invalid that breaks it (or nothing).
const TEXTS: &str = include_str!("rule_texts.tsv");

/// A rule in plain words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RuleText {
    /// What a breach means.
    pub meaning: &'static str,
    /// What to change.
    pub remedy: &'static str,
    /// A sample that breaks the rule, below `samples/invalid` of the sources.
    pub example: Option<&'static str>,
}

/// The words on the rule with this key.
pub fn text(key: &str) -> Option<RuleText> {
    let own = rows().find(|(other, _)| *other == key).map(|(_, text)| text);
    own.or_else(|| {
        let (meaning, remedy) = invariant::explanation(key)?.split_once(": ")?;
        Some(RuleText { meaning, remedy, example: None })
    })
}

fn rows() -> impl Iterator<Item = (&'static str, RuleText)> {
    TEXTS.lines().filter_map(|line| {
        let mut cells = line.split('\t');
        let (key, meaning, remedy) = (cells.next()?, cells.next()?, cells.next()?);
        let example = cells.next().filter(|example| !example.is_empty());
        Some((key, RuleText { meaning, remedy, example }))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::validate::rules;

    #[test]
    fn every_rule_has_a_text_and_every_text_a_rule() {
        assert_eq!(rows().count(), TEXTS.lines().count(), "each line has its columns");
        let with_text: Vec<_> = rows().map(|(key, _)| key).collect();
        let keys: Vec<_> = rules::all().into_iter().map(|rule| rule.key).collect();
        assert!(keys.iter().all(|key| text(key).is_some()));
        let keys: Vec<_> =
            keys.into_iter().filter(|key| invariant::explanation(key).is_none() || with_text.contains(key)).collect();
        let (mut sorted, mut unique) = (with_text.clone(), with_text);
        sorted.sort_unstable();
        unique.sort_unstable();
        unique.dedup();
        assert_eq!(sorted, unique, "one text for a rule");
        assert_eq!(sorted, keys);
        for (key, text) in rows() {
            assert!(text.meaning.ends_with('.') && text.meaning.len() > 30, "{key}");
            assert!(!text.remedy.ends_with('.') && text.remedy.len() > 20, "{key}");
        }
    }
}
