//! Where each key stands: in the file, or in the environment.

use super::{
    errors::ConfigError,
    section::{Places, join},
};
use std::path::Path;

/// The environment variables' beginning; parts are joined by two underscores: `PUSHBRIDGE__LOG__LEVEL`.
pub(super) const PREFIX: &str = "PUSHBRIDGE";

/// Where each key stands in the file; the empty path is the file itself.
pub(super) fn places(file: &Path, text: &str) -> Result<Places, ConfigError> {
    let show = |offset: usize| {
        let before = &text[..offset.min(text.len())];
        let line = before.matches('\n').count() + 1;
        let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
        format!("{}:{line}:{column}", file.display())
    };
    let document = match toml_edit::Document::parse(text) {
        Ok(document) => document,
        Err(error) => {
            let place = error.span().map_or_else(|| file.display().to_string(), |span| show(span.start));
            let what = error.message().to_owned();
            let remedy = "mend the TOML there".to_owned();
            return Err(ConfigError { key: "(syntax)".to_owned(), place, what, remedy });
        }
    };
    let mut places = Places::from([(String::new(), file.display().to_string())]);
    note_places(document.as_table(), "", &show, &mut places);
    for (name, _) in std::env::vars_os() {
        let Some(key) = name.to_str().and_then(|name| name.strip_prefix(PREFIX)?.strip_prefix("__")) else { continue };
        places.insert(key.to_ascii_lowercase().replace("__", "."), format!("${PREFIX}__{key}"));
    }
    Ok(places)
}

fn note_places(table: &dyn toml_edit::TableLike, path: &str, show: &dyn Fn(usize) -> String, places: &mut Places) {
    for (name, item) in table.iter() {
        let path = join(path, name);
        let key_span = table.key(name).and_then(toml_edit::Key::span);
        if let Some(span) = item.as_value().and_then(toml_edit::Value::span).or(key_span).or_else(|| item.span()) {
            places.insert(path.clone(), show(span.start));
        }
        if let Some(table) = item.as_table_like() {
            note_places(table, &path, show, places);
        }
    }
}
