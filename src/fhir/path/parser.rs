//! From tokens to a tree (<http://hl7.org/fhirpath/grammar.html>), by precedence, with a limit on nesting.

use super::{
    PathError,
    ast::{Ast, Function, Literal, Operator, TypeTest, Variable},
    decimal::Decimal,
    lexer::{Token, TokenKind},
    temporal::Temporal,
};

/// Parentheses and arguments inside each other.
const MOST_DEPTH: u32 = 100;

/// A chain of operators or steps: it becomes a tree as deep as the chain is long.
const MOST_LINKS: u32 = 500;

/// `given` are the variables that the environment will bring.
pub(super) fn parse(tokens: &[Token], given: &[&str]) -> Result<Ast, PathError> {
    let mut parser = Parser { tokens, given, at: 0, depth: 0, links: 0 };
    let root = parser.expression()?;
    match parser.peek() {
        TokenKind::End => Ok(root),
        _ => Err(parser.fail("the expression should end here")),
    }
}

struct Parser<'t> {
    tokens: &'t [Token],
    given: &'t [&'t str],
    at: usize,
    depth: u32,
    links: u32,
}

/// Operators of one precedence, weakest first.
const LEVELS: [&[(&str, Operator)]; 9] = [
    &[("implies", Operator::Implies)],
    &[("or", Operator::Or), ("xor", Operator::Xor)],
    &[("and", Operator::And)],
    &[("in", Operator::In), ("contains", Operator::Contains)],
    &[("=", Operator::Equal), ("~", Operator::Equivalent), ("!=", Operator::NotEqual), ("!~", Operator::NotEquivalent)],
    &[("<=", Operator::LessOrEqual), ("<", Operator::Less), (">=", Operator::GreaterOrEqual), (">", Operator::Greater)],
    &[("|", Operator::Union)],
    &[("+", Operator::Add), ("-", Operator::Subtract), ("&", Operator::Concatenate)],
    &[("*", Operator::Multiply), ("/", Operator::Divide), ("div", Operator::Div), ("mod", Operator::Mod)],
];

/// `is` and `as` bind tighter than `|`.
const TYPE_LEVEL: usize = 7;

impl Parser<'_> {
    fn peek(&self) -> &TokenKind {
        &self.tokens[self.at.min(self.tokens.len() - 1)].kind
    }

    fn fail(&self, what: impl Into<String>) -> PathError {
        self.fail_at(self.at, what)
    }

    fn fail_at(&self, at: usize, what: impl Into<String>) -> PathError {
        PathError::syntax(self.tokens[at.min(self.tokens.len() - 1)].column, what)
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

    fn link(&mut self) -> Result<(), PathError> {
        self.links += 1;
        if self.links > MOST_LINKS { Err(self.fail("the expression is too long")) } else { Ok(()) }
    }

    fn expression(&mut self) -> Result<Ast, PathError> {
        self.depth += 1;
        if self.depth > MOST_DEPTH {
            return Err(self.fail("the expression is nested too deeply"));
        }
        let ast = self.level(0);
        self.depth -= 1;
        ast
    }

    /// Operators of this precedence and of all that bind tighter; all of them from left to right.
    fn level(&mut self, level: usize) -> Result<Ast, PathError> {
        let Some(operators) = LEVELS.get(level) else { return self.unary() };
        let mut left = self.tighter(level)?;
        while let Some(operator) = self.operator(operators) {
            self.link()?;
            let right = self.tighter(level)?;
            left = Ast::Binary(operator, left.into(), right.into());
        }
        Ok(left)
    }

    fn tighter(&mut self, level: usize) -> Result<Ast, PathError> {
        if level + 1 == TYPE_LEVEL { self.type_test() } else { self.level(level + 1) }
    }

    fn operator(&mut self, operators: &[(&str, Operator)]) -> Option<Operator> {
        let found = operators.iter().find(|(text, _)| match self.peek() {
            TokenKind::Sign(sign) => sign == text,
            TokenKind::Word(word) => word == text,
            _ => false,
        });
        self.at += usize::from(found.is_some());
        found.map(|(_, operator)| *operator)
    }

    fn type_test(&mut self) -> Result<Ast, PathError> {
        let mut of = self.level(TYPE_LEVEL)?;
        loop {
            let test = if self.take_word("is") {
                TypeTest::Is
            } else if self.take_word("as") {
                TypeTest::As
            } else {
                return Ok(of);
            };
            self.link()?;
            of = Ast::Type(test, of.into(), self.type_name()?);
        }
    }

    fn unary(&mut self) -> Result<Ast, PathError> {
        if self.take_sign("-") {
            self.link()?;
            return Ok(Ast::Negative(self.unary()?.into()));
        }
        if self.take_sign("+") {
            self.link()?;
            return self.unary();
        }
        self.path()
    }

    fn path(&mut self) -> Result<Ast, PathError> {
        let mut ast = self.term()?;
        loop {
            if self.take_sign(".") {
                self.link()?;
                ast = self.step(ast)?;
            } else if self.take_sign("[") {
                self.link()?;
                let index = self.expression()?;
                self.need_sign("]")?;
                ast = Ast::At(ast.into(), index.into());
            } else {
                return Ok(ast);
            }
        }
    }

    fn term(&mut self) -> Result<Ast, PathError> {
        let ast = match self.peek().clone() {
            TokenKind::Text(text) => Ast::Literal(Literal::Text(text)),
            TokenKind::Number(number) => return self.number(&number),
            TokenKind::Temporal(text) => Ast::Literal(Literal::Temporal(self.temporal(&text)?)),
            TokenKind::Word(word) => match word.as_str() {
                "true" | "false" => Ast::Literal(Literal::Boolean(word == "true")),
                "$this" => Ast::Focus,
                "$index" => Ast::Index,
                "$total" => Ast::Total,
                _ => return self.step(Ast::Focus),
            },
            TokenKind::Quoted(_) => return self.step(Ast::Focus),
            TokenKind::Variable(name) => {
                let known = Variable::named(&name, self.given);
                Ast::Variable(known.ok_or_else(|| self.fail("the expression uses a variable that is not known"))?)
            }
            TokenKind::Sign("(") => {
                self.at += 1;
                let inner = self.expression()?;
                self.need_sign(")")?;
                return Ok(inner);
            }
            TokenKind::Sign("{") => {
                self.at += 1;
                self.need_sign("}")?;
                return Ok(Ast::Nothing);
            }
            TokenKind::Sign(_) | TokenKind::End => return Err(self.fail("a path or a value is missing here")),
        };
        self.at += 1;
        Ok(ast)
    }

    fn temporal(&self, text: &str) -> Result<Temporal, PathError> {
        let read = match text.strip_prefix('T') {
            Some(time) => Temporal::time(time),
            None if text.contains('T') => Temporal::date_time(text),
            None => Temporal::date(text),
        };
        read.ok_or_else(|| self.fail("this is no date or time"))
    }

    /// A number, or a quantity where a unit follows.
    fn number(&mut self, text: &str) -> Result<Ast, PathError> {
        let number = Decimal::parse(text).ok_or_else(|| self.fail("this number has too many digits"))?;
        self.at += 1;
        let unit = match self.peek() {
            TokenKind::Text(unit) => Some(unit.clone()),
            TokenKind::Word(word) if is_calendar_word(word) => Some(word.clone()),
            _ => None,
        };
        if let Some(unit) = unit {
            self.at += 1;
            return Ok(Ast::Literal(Literal::Quantity(number, unit)));
        }
        Ok(Ast::Literal(match number.integer() {
            Some(integer) if !text.contains('.') => Literal::Integer(integer),
            _ => Literal::Decimal(number),
        }))
    }

    /// A member, or a function's call.
    fn step(&mut self, of: Ast) -> Result<Ast, PathError> {
        let at = self.at;
        let (name, is_quoted) = match self.peek().clone() {
            TokenKind::Word(name) if !name.starts_with('$') => (name, false),
            TokenKind::Quoted(name) => (name, true),
            _ => return Err(self.fail("a name is missing here")),
        };
        self.at += 1;
        if is_quoted || !self.take_sign("(") {
            return Ok(Ast::Member(of.into(), name));
        }
        let call = self.call(of, &name, at)?;
        self.need_sign(")")?;
        Ok(call)
    }

    fn call(&mut self, of: Ast, name: &str, at: usize) -> Result<Ast, PathError> {
        let test = match name {
            "is" => Some(TypeTest::Is),
            "as" | "ofType" => Some(TypeTest::As),
            _ => None,
        };
        if let Some(test) = test {
            if matches!(self.peek(), TokenKind::Sign(")")) {
                return Err(self.fail_at(at, format!("{name}() needs a type")));
            }
            return Ok(Ast::Type(test, of.into(), self.type_name()?));
        }
        let known = Function::named(name);
        let (function, least, most) =
            known.ok_or_else(|| self.fail_at(at, format!("the function {name}() is not known here")))?;
        let mut arguments = Vec::new();
        if !matches!(self.peek(), TokenKind::Sign(")")) {
            arguments.push(self.expression()?);
            while self.take_sign(",") {
                arguments.push(self.expression()?);
            }
        }
        let count = arguments.len();
        if count < least || count > most {
            let wanted = if least == most { least.to_string() } else { format!("{least} to {most}") };
            return Err(self.fail_at(at, format!("{name}() takes {wanted} arguments, here are {count}")));
        }
        Ok(Ast::Call(of.into(), function, arguments))
    }

    /// A type, with or without `FHIR.` or `System.` before it. `System.` stays: its types have FHIR's names.
    fn type_name(&mut self) -> Result<String, PathError> {
        let (TokenKind::Word(name) | TokenKind::Quoted(name)) = self.peek().clone() else {
            return Err(self.fail("a type is missing here"));
        };
        self.at += 1;
        match name.as_str() {
            "FHIR" if self.take_sign(".") => self.type_name(),
            "System" if self.take_sign(".") => Ok(format!("System.{}", self.type_name()?)),
            _ => Ok(name),
        }
    }
}

fn is_calendar_word(word: &str) -> bool {
    let singular = word.strip_suffix('s').unwrap_or(word);
    matches!(singular, "year" | "month" | "week" | "day" | "hour" | "minute" | "second" | "millisecond")
}
