//! From tokens to a tree (<http://hl7.org/fhirpath/#operations>), lowest precedence first.

use super::{
    PathError,
    lexer::{Token, TokenKind},
};

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Node {
    Text(String),
    Number(String),
    Boolean(bool),
    /// `$this`, and what a path without a beginning begins at.
    This,
    /// `%resource`: the document's root.
    Root,
    Member(Box<Self>, String),
    Index(Box<Self>, usize),
    Call(Box<Self>, Function),
    Union(Box<Self>, Box<Self>),
    Compare(Comparison, Box<Self>, Box<Self>),
    Logic(Connective, Box<Self>, Box<Self>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Comparison {
    Equal,
    Unequal,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Connective {
    And,
    Or,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Function {
    Where(Box<Node>),
    /// `exists()` or `exists(criteria)`
    Exists(Option<Box<Node>>),
    Empty,
    Not,
    Count,
    First,
    Last,
    /// `ofType(X)` and `as(X)`
    OfType(String),
    Is(String),
    /// `extension(url)`
    Extension(String),
}

/// Deeper nesting is refused: evaluation recurses.
const DEPTH: usize = 100;

struct Parser<'t> {
    tokens: &'t [Token],
    at: usize,
    depth: usize,
}

pub(super) fn parse(tokens: &[Token]) -> Result<Node, PathError> {
    let mut parser = Parser { tokens, at: 0, depth: 0 };
    let node = parser.expression()?;
    match parser.peek() {
        TokenKind::End => Ok(node),
        _ => Err(parser.fail("an operator or the end is missing here")),
    }
}

impl Parser<'_> {
    fn peek(&self) -> &TokenKind {
        &self.tokens[self.at.min(self.tokens.len() - 1)].kind
    }

    fn fail(&self, what: impl Into<String>) -> PathError {
        self.fail_at(self.at, what)
    }

    fn fail_at(&self, at: usize, what: impl Into<String>) -> PathError {
        PathError::Syntax { column: self.tokens[at.min(self.tokens.len() - 1)].column, what: what.into() }
    }

    fn take_sign(&mut self, sign: &str) -> bool {
        let found = matches!(self.peek(), TokenKind::Sign(found) if *found == sign);
        self.at += usize::from(found);
        found
    }

    fn need_sign(&mut self, sign: &str) -> Result<(), PathError> {
        if self.take_sign(sign) { Ok(()) } else { Err(self.fail(format!("{sign} is missing here"))) }
    }

    fn take_word(&mut self, word: &str) -> bool {
        let found = matches!(self.peek(), TokenKind::Word(found) if found == word);
        self.at += usize::from(found);
        found
    }

    fn expression(&mut self) -> Result<Node, PathError> {
        self.depth += 1;
        if self.depth > DEPTH {
            return Err(self.fail("the expression is nested too deeply"));
        }
        let mut left = self.conjunction()?;
        while self.take_word("or") {
            left = Node::Logic(Connective::Or, left.into(), self.conjunction()?.into());
        }
        self.depth -= 1;
        Ok(left)
    }

    fn conjunction(&mut self) -> Result<Node, PathError> {
        let mut left = self.comparison()?;
        while self.take_word("and") {
            left = Node::Logic(Connective::And, left.into(), self.comparison()?.into());
        }
        Ok(left)
    }

    fn comparison(&mut self) -> Result<Node, PathError> {
        let left = self.union()?;
        let comparison = if self.take_sign("=") {
            Comparison::Equal
        } else if self.take_sign("!=") {
            Comparison::Unequal
        } else {
            return Ok(left);
        };
        Ok(Node::Compare(comparison, left.into(), self.union()?.into()))
    }

    fn union(&mut self) -> Result<Node, PathError> {
        let mut left = self.typed()?;
        while self.take_sign("|") {
            left = Node::Union(left.into(), self.typed()?.into());
        }
        Ok(left)
    }

    /// `x is T` and `x as T`.
    fn typed(&mut self) -> Result<Node, PathError> {
        let left = self.path()?;
        if self.take_word("is") {
            let name = self.type_name()?;
            return Ok(Node::Call(left.into(), Function::Is(name)));
        }
        if self.take_word("as") {
            let name = self.type_name()?;
            return Ok(Node::Call(left.into(), Function::OfType(name)));
        }
        Ok(left)
    }

    fn path(&mut self) -> Result<Node, PathError> {
        let mut node = self.term()?;
        loop {
            if self.take_sign(".") {
                node = self.step(node)?;
            } else if self.take_sign("[") {
                let TokenKind::Number(number) = self.peek() else { return Err(self.fail("a number is missing here")) };
                let index = number.parse().map_err(|_| self.fail("an index is a whole number from 0"))?;
                self.at += 1;
                self.need_sign("]")?;
                node = Node::Index(node.into(), index);
            } else {
                return Ok(node);
            }
        }
    }

    fn term(&mut self) -> Result<Node, PathError> {
        let node = match self.peek().clone() {
            TokenKind::Text(text) => Node::Text(text),
            TokenKind::Number(number) => Node::Number(number),
            TokenKind::Word(word) if word == "true" || word == "false" => Node::Boolean(word == "true"),
            TokenKind::Word(word) if word == "$this" => Node::This,
            TokenKind::Variable(name) if name == "resource" || name == "context" => Node::Root,
            TokenKind::Variable(_) => return Err(self.fail("this variable is not known here")),
            TokenKind::Word(_) | TokenKind::Quoted(_) => return self.step(Node::This),
            TokenKind::Sign("(") => {
                self.at += 1;
                let inner = self.expression()?;
                self.need_sign(")")?;
                return Ok(inner);
            }
            TokenKind::Sign(_) | TokenKind::End => return Err(self.fail("a path or a value is missing here")),
        };
        self.at += 1;
        Ok(node)
    }

    /// A member, or a function's call.
    fn step(&mut self, input: Node) -> Result<Node, PathError> {
        let at = self.at;
        let (name, is_quoted) = match self.peek().clone() {
            TokenKind::Word(name) => (name, false),
            TokenKind::Quoted(name) => (name, true),
            _ => return Err(self.fail("a name is missing here")),
        };
        self.at += 1;
        if is_quoted || !self.take_sign("(") {
            return Ok(Node::Member(input.into(), name));
        }
        let function = self.function(&name, at)?;
        self.need_sign(")")?;
        Ok(Node::Call(input.into(), function))
    }

    fn function(&mut self, name: &str, at: usize) -> Result<Function, PathError> {
        let without = matches!(self.peek(), TokenKind::Sign(")"));
        let needs = |wanted: &str| self.fail_at(at, format!("{name}() needs {wanted}"));
        Ok(match (name, without) {
            ("where", true) => return Err(needs("a condition")),
            ("where", false) => Function::Where(self.expression()?.into()),
            ("exists", true) => Function::Exists(None),
            ("exists", false) => Function::Exists(Some(self.expression()?.into())),
            ("empty", true) => Function::Empty,
            ("not", true) => Function::Not,
            ("count", true) => Function::Count,
            ("first", true) => Function::First,
            ("last", true) => Function::Last,
            ("ofType" | "as" | "is" | "extension", true) => return Err(needs("an argument")),
            ("ofType" | "as", false) => Function::OfType(self.type_name()?),
            ("is", false) => Function::Is(self.type_name()?),
            ("extension", false) => {
                let TokenKind::Text(url) = self.peek().clone() else { return Err(needs("a url in quotes")) };
                self.at += 1;
                Function::Extension(url)
            }
            ("empty" | "not" | "count" | "first" | "last", false) => {
                return Err(self.fail_at(at, format!("{name}() takes nothing")));
            }
            _ => return Err(self.fail_at(at, format!("the function {name}() is not known here"))),
        })
    }

    /// A type, with or without `FHIR.` before it.
    fn type_name(&mut self) -> Result<String, PathError> {
        let TokenKind::Word(name) = self.peek().clone() else { return Err(self.fail("a type is missing here")) };
        self.at += 1;
        if matches!(name.as_str(), "FHIR" | "System") && self.take_sign(".") {
            return self.type_name();
        }
        Ok(name)
    }
}
