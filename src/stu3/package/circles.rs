//! Value sets that take each other in without end.

use super::DefinedValueSet;
use crate::stu3::profile::{Defect, Problem};
use std::{collections::BTreeMap, sync::Arc};

/// The value sets without those that take themselves in, by way of others or not, which become problems. None of
/// them means anything; what takes one of them in stays, and its codes are not known then.
pub(super) fn without(sets: Vec<Arc<DefinedValueSet>>, problems: &mut Vec<Problem>) -> Vec<Arc<DefinedValueSet>> {
    let mut by_url: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (place, set) in sets.iter().enumerate() {
        by_url.entry(&set.url).or_default().push(place);
    }
    let taken_in: Vec<Vec<usize>> = sets
        .iter()
        .map(|set| {
            let named = set.include.iter().chain(&set.exclude).flat_map(|part| &part.value_sets);
            let url = |canonical: &'_ Arc<str>| canonical.split_once('|').map_or(canonical.len(), |(url, _)| url.len());
            let mut places: Vec<usize> =
                named.filter_map(|set| by_url.get(&set[..url(set)])).flatten().copied().collect();
            places.sort_unstable();
            places.dedup();
            places
        })
        .collect();
    let mut taken_by = vec![Vec::new(); sets.len()];
    for (place, others) in taken_in.iter().enumerate() {
        others.iter().for_each(|other| taken_by[*other].push(place));
    }
    // what takes in nothing is in no circle, and so on; then what nothing takes in
    let mut is_left = vec![true; sets.len()];
    for (onward, back) in [(&taken_in, &taken_by), (&taken_by, &taken_in)] {
        peel(&mut is_left, onward, back);
    }
    let left = |place: &usize| is_left[*place];
    for place in (0..sets.len()).filter(left) {
        let next = taken_in[place].iter().copied().find(left).unwrap_or(place);
        problems.push(Problem {
            file: sets[place].file.clone(),
            url: Some(sets[place].url.clone()),
            element: None,
            defect: Defect::Circle(sets[next].url.clone()),
        });
    }
    sets.into_iter().zip(is_left).filter(|(_, is_left)| !is_left).map(|(set, _)| set).collect()
}

/// Takes away what has nothing before it, again and again.
fn peel(is_left: &mut [bool], onward: &[Vec<usize>], back: &[Vec<usize>]) {
    let mut count: Vec<usize> =
        onward.iter().map(|others| others.iter().filter(|other| is_left[**other]).count()).collect();
    let mut free: Vec<usize> = (0..count.len()).filter(|place| is_left[*place] && count[*place] == 0).collect();
    while let Some(place) = free.pop() {
        is_left[place] = false;
        for other in back[place].iter().copied().filter(|other| is_left[*other]) {
            count[other] -= 1;
            if count[other] == 0 {
                free.push(other);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Shelf;
    use crate::stu3::Membership;

    fn set(name: &str, imports: &[String], code: &str) -> String {
        let imports: Vec<String> =
            imports.iter().map(|import| format!(r#"{{"valueSet":["http://example.org/{import}"]}}"#)).collect();
        let own = format!(r#"{{"system":"http://example.org/s","concept":[{{"code":"{code}"}}]}}"#);
        let parts = imports.into_iter().chain([own]).collect::<Vec<_>>().join(",");
        format!(
            r#"{{"resourceType":"ValueSet","url":"http://example.org/{name}","status":"draft","compose":{{"include":[{parts}]}}}}"#
        )
    }

    #[test]
    fn sets_that_take_each_other_in_are_told_and_not_used() {
        let mut shelf = Shelf::new();
        for (name, imports) in
            [("a", &["b"][..]), ("b", &["c"]), ("c", &["a"]), ("d", &["d"]), ("e", &["a"]), ("f", &[])]
        {
            let imports: Vec<String> = imports.iter().map(ToString::to_string).collect();
            shelf.add_file(&format!("{name}.json"), set(name, &imports, name).as_bytes());
        }
        let library = shelf.library();
        let told: Vec<&str> = library.problems().iter().map(|problem| &*problem.file).collect();
        assert_eq!(told, ["a.json", "b.json", "c.json", "d.json"]);
        assert!(library.problems()[0].to_string().contains("by way of http://example.org/b"));
        let judge = |name: &str, code: &str| {
            library.membership(&format!("http://example.org/{name}"), Some("http://example.org/s"), code)
        };
        assert_eq!(judge("a", "a"), Membership::NoValueSet);
        assert_eq!(judge("e", "e"), Membership::In);
        assert_eq!(judge("e", "x"), Membership::Open { system: "http://example.org/a" });
        assert_eq!(judge("f", "x"), Membership::Out);
    }

    #[test]
    fn a_set_that_many_ways_lead_to_is_asked_once() {
        let mut shelf = Shelf::new();
        let name = |level: usize, number: usize| format!("{level}-{number}");
        for level in 0..14 {
            let below: Vec<String> = (0..30).map(|number| name(level + 1, number)).collect();
            for number in 0..30 {
                let imports = if level == 13 { &[][..] } else { &below };
                let text = set(&name(level, number), imports, &format!("c{level}"));
                shelf.add_file(&format!("{level}-{number}.json"), text.as_bytes());
            }
        }
        let library = shelf.library();
        assert_eq!(library.problems(), &[]);
        let judge = |code: &str| library.membership("http://example.org/0-0", Some("http://example.org/s"), code);
        assert_eq!((judge("c13"), judge("c14")), (Membership::In, Membership::Out));
    }
}
