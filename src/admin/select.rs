//! Which submissions a selector means.

use super::protocol::{Selector, Word};
use crate::{
    model::{ForeignName, HashKey, Submission, SubmissionId},
    store::{Order, Store, StoreError},
};
use std::collections::BTreeSet;

const PAGE: usize = 500;

/// The submissions, newest first.
pub(super) fn select(
    store: &dyn Store,
    hash_key: &HashKey,
    selector: &Selector,
) -> Result<Vec<Submission>, StoreError> {
    let most = if selector.limit == 0 { usize::MAX } else { selector.limit };
    let mut found = Vec::new();
    let mut rest = Vec::new();
    let mut ids = BTreeSet::new();
    for word in &selector.words {
        let known = look_up(store, &read(hash_key, word))?;
        if known.is_empty() {
            rest.push(word.as_str()); // an accountReference, or a part of a path: found by going through all
        }
        ids.extend(known);
    }
    for id in ids.into_iter().rev() {
        found.extend(store.submission(id)?.filter(|record| fits(record, selector)));
    }
    if !rest.is_empty() || selector.all {
        let mut from = None;
        'pages: loop {
            let page = store.submissions(Order::NewestFirst, from, PAGE)?;
            let Some(last) = page.last() else { break };
            from = Some(last.id);
            for record in page {
                if selector.since.is_some_and(|since| record.claimed_at < since) {
                    break 'pages; // ids grow with the clock, so all that follow are older
                }
                let named = selector.all || rest.iter().any(|word| is_called(&record, word));
                if named && fits(&record, selector) && !found.iter().any(|other| other.id == record.id) {
                    found.push(record);
                }
                if found.len() >= most {
                    break 'pages;
                }
            }
        }
    }
    found.sort_by_key(|record| std::cmp::Reverse(record.id));
    found.truncate(most);
    Ok(found)
}

fn read(hash_key: &HashKey, word: &str) -> Word {
    if let Ok(id) = word.parse() {
        return Word::Id(id);
    }
    if let Ok(digest) = word.parse() {
        return Word::Digest(digest);
    }
    let name = word.rsplit('/').next().unwrap_or(word);
    Word::Name(hash_key.name(&ForeignName::new(name)))
}

fn look_up(store: &dyn Store, word: &Word) -> Result<Vec<SubmissionId>, StoreError> {
    match word {
        Word::Id(id) => Ok(store.submission(*id)?.map(|record| record.id).into_iter().collect()),
        Word::Digest(digest) => store.by_digest(digest),
        Word::Name(name) => store.by_name(name),
    }
}

fn is_called(record: &Submission, word: &str) -> bool {
    record
        .recipient
        .as_ref()
        .is_some_and(|recipient| recipient.reference.as_str() == word || recipient.account.as_str() == word)
        || record.origin.path.as_bytes() == word.as_bytes()
}

fn fits(record: &Submission, selector: &Selector) -> bool {
    selector.stage.as_deref().is_none_or(|stage| record.stage.as_str() == stage)
        && selector.channel.as_ref().is_none_or(|channel| record.channel == *channel)
        && selector.since.is_none_or(|since| record.claimed_at >= since)
        && (!selector.open || !record.stage.is_final())
}
