//! `--explain KEY` and `--rules`: what the rules are, in plain words.

use crate::{
    cli::{
        Form,
        exit::{Exit, Failed},
        print,
    },
    stu3::package::Library,
    validate::{Policy, rules},
};
use serde_json::json;

/// The widest line of a text, in characters.
const WIDTH: usize = 92;

/// The page of one rule.
pub(super) fn explain(key: &str, form: Form) -> Result<Exit, Failed> {
    let Some(rule) = rules::named(key) else { return Err(unknown(key)) };
    let text = rules::text(rule.key);
    let example = text.and_then(|text| text.example).map(|file| format!("samples/invalid/{file}"));
    if form == Form::Json {
        print::json(&json!({
            "key": rule.key, "severity": rule.severity, "code": rule.code, "page": rule.page,
            "changeable": !rules::is_fixed(rule),
            "meaning": text.map(|text| text.meaning), "remedy": text.map(|text| text.remedy), "example": example,
        }))?;
        return Ok(Exit::Done);
    }
    let mut page = format!(
        "{}\n\n  level     {}\n  code      {}\n  page      {}\n",
        rule.key,
        rule.severity.as_str(),
        rule.code,
        rule.page
    );
    if let Some(example) = example {
        page.push_str(&format!("  example   {example} (in pushbridge's sources)\n"));
    }
    if let Some(text) = text {
        page.push_str(&format!("\n{}\n", wrapped(text.meaning)));
        page.push_str(&format!("\n{}\n", wrapped(&format!("What to change: {}.", text.remedy))));
    }
    page.push_str(&if rules::is_fixed(rule) {
        "\nNo setting changes this rule.\n".to_owned()
    } else {
        format!(
            "\nTo let it pass: --rule {0}=warning here, {0} = \"warning\" in [channel.NAME.validate.rules] for the daemon.\n",
            rule.key
        )
    });
    print::out(&page)?;
    Ok(Exit::Done)
}

/// The list of the rules.
pub(super) fn list(form: Form) -> Result<Exit, Failed> {
    let rules = rules::all();
    match form {
        Form::Json => rules.iter().try_for_each(|rule| {
            print::json(&json!({"key": rule.key, "severity": rule.severity, "code": rule.code, "page": rule.page}))
        })?,
        Form::Text => {
            let rows: Vec<_> = rules
                .iter()
                .map(|rule| vec![rule.key.to_owned(), rule.severity.as_str().to_owned(), rule.page.to_owned()])
                .collect();
            print::out(&print::table(&["KEY", "LEVEL", "PAGE"], &rows))?;
        }
    }
    Ok(Exit::Done)
}

/// Whether `--rule` may name the key.
///
/// # Errors
/// Why not, and what to do.
pub(super) fn admit(library: &Library, key: &str) -> Result<(), Failed> {
    if library.has_constraint(key) {
        return Ok(());
    }
    Policy::admits(key)
        .map_err(|why| Failed::say(Exit::Usage, format!("change the rule {key}: {why}; {}", why.remedy())))
}

fn unknown(key: &str) -> Failed {
    let nearest = rules::nearest(key).map(|nearest| format!("did you mean {nearest}? "));
    Failed::say(
        Exit::Usage,
        format!(
            "explain the rule {key}: there is no such rule; {}pushbridge validate --rules lists all",
            nearest.unwrap_or_default()
        ),
    )
}

/// Broken into lines at blanks.
fn wrapped(text: &str) -> String {
    let (mut out, mut width) = (String::with_capacity(text.len() + 8), 0);
    for word in text.split(' ') {
        let length = word.chars().count();
        if width > 0 && width + 1 + length > WIDTH {
            out.push('\n');
            width = 0;
        } else if width > 0 {
            out.push(' ');
            width += 1;
        }
        out.push_str(word);
        width += length;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_are_broken_at_blanks() {
        let text = ["word"; 40].join(" ");
        let lines = wrapped(&text);
        assert!(lines.lines().count() == 3 && lines.lines().all(|line| line.chars().count() <= WIDTH));
        assert_eq!(lines.replace('\n', " "), text);
    }
}
