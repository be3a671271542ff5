//! From text to tokens (<http://hl7.org/fhirpath/#lexical-elements>).

use super::PathError;

/// A token and its column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) kind: TokenKind,
    pub(super) column: usize,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum TokenKind {
    /// A name, a keyword or `$this`.
    Word(String),
    /// A name between backticks: never a keyword.
    Quoted(String),
    Text(String),
    Number(String),
    /// `%resource` and the like.
    Variable(String),
    /// Punctuation and operators.
    Sign(&'static str),
    End,
}

const SIGNS: [&str; 11] = ["!=", ".", "(", ")", "[", "]", ",", "|", "=", "$", "%"];

pub(super) fn tokens(text: &str) -> Result<Vec<Token>, PathError> {
    let characters: Vec<char> = text.chars().collect();
    let mut tokens = Vec::new();
    let mut at = 0;
    while at < characters.len() {
        let column = at + 1;
        let first = characters[at];
        let kind = match first {
            c if c.is_whitespace() => {
                at += 1;
                continue;
            }
            '\'' | '`' => {
                let (content, end) = quoted(&characters, at)?;
                at = end;
                if first == '`' { TokenKind::Quoted(content) } else { TokenKind::Text(content) }
            }
            c if c.is_ascii_digit() => {
                let is_part = |c: char| c.is_ascii_digit() || c == '.';
                TokenKind::Number(run(&characters, &mut at, is_part))
            }
            c if c.is_alphabetic() || c == '_' || c == '$' => {
                at += 1;
                let rest = run(&characters, &mut at, |c| c.is_alphanumeric() || c == '_');
                TokenKind::Word(format!("{first}{rest}"))
            }
            '%' => {
                at += 1;
                TokenKind::Variable(run(&characters, &mut at, |c| c.is_alphanumeric() || c == '_'))
            }
            _ => {
                let rest: String = characters[at..].iter().take(2).collect();
                let sign = SIGNS.into_iter().find(|sign| rest.starts_with(sign)).ok_or_else(|| PathError::Syntax {
                    column,
                    what: "this sign or operator is not known here".to_owned(),
                })?;
                at += sign.len();
                TokenKind::Sign(sign)
            }
        };
        tokens.push(Token { kind, column });
    }
    tokens.push(Token { kind: TokenKind::End, column: characters.len() + 1 });
    Ok(tokens)
}

fn run(characters: &[char], at: &mut usize, is_part: impl Fn(char) -> bool) -> String {
    let start = *at;
    while characters.get(*at).is_some_and(|c| is_part(*c)) {
        *at += 1;
    }
    characters[start..*at].iter().collect()
}

/// What stands between two equal quotes, with its escapes resolved, and where it ends.
fn quoted(characters: &[char], start: usize) -> Result<(String, usize), PathError> {
    let fail = |column: usize, what: &str| PathError::Syntax { column, what: what.to_owned() };
    let mut content = String::new();
    let mut at = start + 1;
    loop {
        match characters.get(at) {
            None => return Err(fail(start + 1, "the closing quote is missing")),
            Some(c) if *c == characters[start] => return Ok((content, at + 1)),
            Some('\\') => {
                let escaped = match characters.get(at + 1) {
                    Some('n') => '\n',
                    Some('r') => '\r',
                    Some('t') => '\t',
                    Some(c @ ('\'' | '"' | '`' | '\\' | '/')) => *c,
                    _ => return Err(fail(at + 1, "no escape looks like this")),
                };
                content.push(escaped);
                at += 2;
            }
            Some(c) => {
                content.push(*c);
                at += 1;
            }
        }
    }
}
