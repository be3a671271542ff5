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
    /// A name between backticks or double quotes: never a keyword.
    Quoted(String),
    Text(String),
    Number(String),
    /// `@2015-02-07T14:28`, without the `@`.
    Temporal(String),
    /// `%resource` and the like, without the `%`.
    Variable(String),
    /// Punctuation and operators.
    Sign(&'static str),
    End,
}

/// Longer signs before those that they begin with.
const SIGNS: [&str; 24] = [
    "!=", "!~", "<=", ">=", ".", "(", ")", "[", "]", "{", "}", ",", "|", "=", "~", "<", ">", "+", "-", "*", "/", "&",
    ":", "#",
];

pub(super) fn tokens(text: &str) -> Result<Vec<Token>, PathError> {
    let characters: Vec<char> = text.chars().collect();
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(first) = characters.get(at).copied() {
        let column = at + 1;
        if let Some(end) = comment(&characters, at)? {
            at = end;
            continue;
        }
        let kind = match first {
            c if c.is_whitespace() => {
                at += 1;
                continue;
            }
            '\'' | '`' | '"' => {
                let (content, end) = quoted(&characters, at)?;
                at = end;
                if first == '\'' { TokenKind::Text(content) } else { TokenKind::Quoted(content) }
            }
            c if c.is_ascii_digit() => TokenKind::Number(number(&characters, &mut at)),
            '@' => {
                at += 1;
                TokenKind::Temporal(temporal(&characters, &mut at))
            }
            c if c.is_alphabetic() || c == '_' || c == '$' => {
                at += 1;
                TokenKind::Word(format!("{first}{}", word(&characters, &mut at)))
            }
            '%' => {
                at += 1;
                TokenKind::Variable(match characters.get(at) {
                    Some('`' | '"' | '\'') => {
                        let (content, end) = quoted(&characters, at)?;
                        at = end;
                        content
                    }
                    _ => run(&characters, &mut at, |c| c.is_alphanumeric() || matches!(c, '_' | '-')),
                })
            }
            _ => {
                let rest: String = characters[at..].iter().take(2).collect();
                let sign = SIGNS.into_iter().find(|sign| rest.starts_with(sign));
                let sign = sign.ok_or_else(|| PathError::syntax(column, "this sign or operator is not known here"))?;
                at += sign.len();
                TokenKind::Sign(sign)
            }
        };
        tokens.push(Token { kind, column });
    }
    tokens.push(Token { kind: TokenKind::End, column: characters.len() + 1 });
    Ok(tokens)
}

/// Where the comment ends that begins here.
fn comment(characters: &[char], at: usize) -> Result<Option<usize>, PathError> {
    let rest = &characters[at..];
    match rest {
        ['/', '/', ..] => Ok(Some(rest.iter().position(|c| *c == '\n').map_or(characters.len(), |end| at + end))),
        ['/', '*', ..] => {
            let end = rest[2..].windows(2).position(|pair| pair == ['*', '/']);
            end.map(|end| Some(at + 2 + end + 2))
                .ok_or_else(|| PathError::syntax(at + 1, "the end of the comment is missing"))
        }
        _ => Ok(None),
    }
}

fn run(characters: &[char], at: &mut usize, is_part: impl Fn(char) -> bool) -> String {
    let start = *at;
    while characters.get(*at).is_some_and(|c| is_part(*c)) {
        *at += 1;
    }
    characters[start..*at].iter().collect()
}

fn word(characters: &[char], at: &mut usize) -> String {
    run(characters, at, |c| c.is_alphanumeric() || c == '_')
}

/// A point belongs to a number only where a digit follows: `1.toString()`.
fn number(characters: &[char], at: &mut usize) -> String {
    let mut text = run(characters, at, |c| c.is_ascii_digit());
    if characters.get(*at) == Some(&'.') && characters.get(*at + 1).is_some_and(char::is_ascii_digit) {
        *at += 1;
        text.push('.');
        text.push_str(&run(characters, at, |c| c.is_ascii_digit()));
    }
    text
}

/// A date has hyphens, a zone may too; a point belongs to it only where a digit follows.
fn temporal(characters: &[char], at: &mut usize) -> String {
    let mut text = String::new();
    while let Some(c) = characters.get(*at).copied() {
        let timed = text.contains('T');
        let next_is_digit = characters.get(*at + 1).is_some_and(char::is_ascii_digit);
        let belongs = match c {
            '0'..='9' => true,
            'T' => !timed,
            '-' => next_is_digit && (timed || text.len() <= 7),
            '+' | '.' => timed && next_is_digit,
            ':' | 'Z' => timed,
            _ => false,
        };
        if !belongs {
            break;
        }
        text.push(c);
        *at += 1;
    }
    text
}

/// What stands between two equal quotes, with its escapes resolved, and where it ends.
fn quoted(characters: &[char], start: usize) -> Result<(String, usize), PathError> {
    let mut content = String::new();
    let mut at = start + 1;
    loop {
        match characters.get(at) {
            None => return Err(PathError::syntax(start + 1, "the closing quote is missing")),
            Some(c) if *c == characters[start] => return Ok((content, at + 1)),
            Some('\\') => {
                let escaped = characters.get(at + 1).copied();
                match escaped {
                    Some('n') => content.push('\n'),
                    Some('r') => content.push('\r'),
                    Some('t') => content.push('\t'),
                    Some('f') => content.push('\u{c}'),
                    Some('u') => {
                        let digits: String = characters.iter().skip(at + 2).take(4).collect();
                        let scalar = u32::from_str_radix(&digits, 16).ok().and_then(char::from_u32);
                        content.push(scalar.ok_or_else(|| PathError::syntax(at + 1, "no escape looks like this"))?);
                        at += 4;
                    }
                    Some(c @ ('\'' | '"' | '`' | '\\' | '/')) => content.push(c),
                    // published patterns escape for the pattern and not for the text around it
                    Some(c @ ('-' | '_' | '.' | '*' | '+' | 'd' | 'w' | 's')) => content.extend(['\\', c]),
                    _ => return Err(PathError::syntax(at + 1, "no escape looks like this")),
                }
                at += 2;
            }
            Some(c) => {
                content.push(*c);
                at += 1;
            }
        }
    }
}
