//! From an expression to values (<http://hl7.org/fhirpath/#expressions>): collections flow from step to step.

use super::{
    Environment, PathError,
    ast::{Ast, Literal, TypeTest, Variable},
    patterns::{Patterns, Stated},
    twins::Twins,
    value::{Collection, Element, Item},
};
use std::borrow::Cow;

/// Steps that one evaluation may take: far beyond what any path over the largest Bundle needs.
const BUDGET: u64 = 20_000_000;

/// Evaluates one expression.
pub(super) struct Evaluator<'e, 'd> {
    pub(super) environment: &'e Environment<'e, 'd>,
    context: Element,
    steps: u64,
    twins: Twins<'d>,
    patterns: Patterns,
    stated: &'e Stated,
}

/// What `$this`, `$index` and `$total` are at present.
#[derive(Clone, Copy)]
pub(super) struct Scope<'s, 'd> {
    pub(super) this: &'s [Item<'d>],
    pub(super) index: Option<i64>,
    pub(super) total: Option<&'s [Item<'d>]>,
}

/// A boolean as a collection.
pub(super) fn boolean<'d>(value: bool) -> Collection<'d> {
    vec![Item::Boolean(value)]
}

/// Singleton evaluation: a boolean is itself, any other single item is true, nothing is nothing.
pub(super) fn truth<'d>(environment: &Environment<'_, 'd>, items: &[Item<'d>]) -> Result<Option<bool>, PathError> {
    match items {
        [] => Ok(None),
        [item] => Ok(Some(!matches!(environment.system(item), Item::Boolean(false)))),
        _ => Err(PathError::Evaluation("a condition needs a single value")),
    }
}

impl<'e, 'd> Evaluator<'e, 'd> {
    pub(super) fn new(environment: &'e Environment<'e, 'd>, context: Element, stated: &'e Stated) -> Self {
        Self { environment, context, steps: 0, twins: Twins::default(), patterns: Patterns::default(), stated }
    }

    pub(super) fn evaluate(&mut self, ast: &Ast) -> Result<Collection<'d>, PathError> {
        let this = [Item::Element(self.context)];
        self.of(ast, Scope { this: &this, index: None, total: None })
    }

    /// Steps are counted wherever the time may depend on the document.
    pub(super) fn spend(&mut self, steps: usize) -> Result<(), PathError> {
        self.steps = self.steps.saturating_add(steps as u64);
        if self.steps > BUDGET { Err(PathError::Budget) } else { Ok(()) }
    }

    /// A regular expression, read once however many items it is asked of; paid for in each evaluation, whoever was the first.
    pub(super) fn pattern(&mut self, text: &str) -> Result<regex::Regex, PathError> {
        if let Some(pattern) = self.patterns.known(text) {
            return Ok(pattern);
        }
        self.spend(Patterns::STEPS)?;
        self.patterns.read(text, self.stated)
    }

    /// Text that is about to be made is paid for, so that no expression fills the memory by doubling what it has.
    pub(super) fn make_text(&mut self, bytes: usize) -> Result<(), PathError> {
        self.spend(bytes / 4)
    }

    /// Items that are about to be copied or made are paid for, as texts are.
    pub(super) fn make_items(&mut self, count: usize) -> Result<(), PathError> {
        self.spend(count.saturating_mul(4))
    }

    pub(super) fn of(&mut self, ast: &Ast, scope: Scope<'_, 'd>) -> Result<Collection<'d>, PathError> {
        self.spend(1)?;
        Ok(match ast {
            Ast::Nothing => Vec::new(),
            Ast::Literal(literal) => vec![Self::literal(literal)],
            Ast::Focus => scope.this.to_vec(),
            Ast::Index => scope.index.map(Item::Integer).into_iter().collect(),
            Ast::Total => {
                let total = scope.total.unwrap_or_default();
                self.make_items(total.len())?;
                let texts = total.iter().map(|item| if let Item::Text(text) = item { text.len() } else { 0 });
                self.make_text(texts.sum())?;
                total.to_vec()
            }
            Ast::Variable(variable) => vec![self.variable(variable)?],
            Ast::Member(of, name) if **of == Ast::Focus => self.first_member(scope.this, name)?,
            Ast::Member(of, name) => {
                let items = self.of(of, scope)?;
                self.members(&items, name)?
            }
            Ast::At(of, index) => {
                let items = self.of(of, scope)?;
                let index = self.of(index, scope)?;
                match self.integer(&index)? {
                    Some(index) => {
                        usize::try_from(index).ok().and_then(|index| items.into_iter().nth(index)).into_iter().collect()
                    }
                    None => Vec::new(),
                }
            }
            Ast::Call(of, function, arguments) => {
                let items =
                    if **of == Ast::Focus { Cow::Borrowed(scope.this) } else { Cow::Owned(self.of(of, scope)?) };
                self.call(*function, &items, arguments, scope)?
            }
            Ast::Type(test, of, name) => {
                let items = self.of(of, scope)?;
                self.type_test(*test, items, name)?
            }
            Ast::Negative(of) => {
                let items = self.of(of, scope)?;
                match self.single(&items)? {
                    None => Vec::new(),
                    Some(Item::Integer(number)) => number.checked_neg().map(Item::Integer).into_iter().collect(),
                    Some(Item::Decimal(number)) => vec![Item::Decimal(number.negative())],
                    Some(Item::Quantity(number, unit)) => vec![Item::Quantity(number.negative(), unit)],
                    Some(_) => return Err(PathError::Evaluation("only a number has a sign")),
                }
            }
            Ast::Binary(operator, left, right) => self.binary(*operator, left, right, scope)?,
        })
    }

    fn literal(literal: &Literal) -> Item<'d> {
        match literal {
            Literal::Boolean(value) => Item::Boolean(*value),
            Literal::Text(text) => Item::Text(text.clone().into()),
            Literal::Integer(number) => Item::Integer(*number),
            Literal::Decimal(number) => Item::Decimal(*number),
            Literal::Temporal(value) => Item::Temporal(*value),
            Literal::Quantity(number, unit) => Item::Quantity(*number, unit.clone().into()),
        }
    }

    fn variable(&self, variable: &Variable) -> Result<Item<'d>, PathError> {
        let environment = self.environment;
        let resource = |node| Item::Element(environment.element(node, Some(crate::fhir::Content::Resource)));
        Ok(match variable {
            Variable::Context => Item::Element(self.context),
            Variable::Resource => resource(environment.resource),
            Variable::RootResource => resource(environment.root_resource),
            Variable::Text(text) => Item::Text(text.clone().into()),
            Variable::Given(name) => {
                let given = environment.variables.iter().find(|(given, _)| given == name);
                let (_, element) =
                    given.ok_or(PathError::Evaluation("a variable of the expression is not given here"))?;
                Item::Element(*element)
            }
        })
    }

    /// At the beginning of a path the name may be the resource's own type, or one that it is derived from.
    fn first_member(&mut self, items: &[Item<'d>], name: &str) -> Result<Collection<'d>, PathError> {
        let is_type = name.as_bytes().first().is_some_and(u8::is_ascii_uppercase);
        if is_type && items.iter().any(|item| self.environment.is_of(item, name)) {
            return Ok(items.iter().filter(|item| self.environment.is_of(item, name)).cloned().collect());
        }
        self.members(items, name)
    }

    /// All elements directly below an item.
    pub(super) fn children(&mut self, element: &Element, found: &mut Collection<'d>) -> Result<(), PathError> {
        let looked = self.environment.children(element, &mut self.twins, found);
        self.spend(looked)
    }

    pub(super) fn members(&mut self, items: &[Item<'d>], name: &str) -> Result<Collection<'d>, PathError> {
        let mut found = Vec::new();
        for item in items {
            if let Item::Element(element) = item {
                let looked = self.environment.members(element, name, &mut self.twins, &mut found);
                self.spend(looked)?;
            }
        }
        Ok(found)
    }

    fn type_test(&self, test: TypeTest, items: Collection<'d>, name: &str) -> Result<Collection<'d>, PathError> {
        match (test, &items[..]) {
            (_, []) => Ok(Vec::new()),
            (TypeTest::Is, [item]) => Ok(boolean(self.environment.is_of(item, name))),
            (TypeTest::Is, _) => Err(PathError::Evaluation("is needs a single element")),
            (TypeTest::As, _) => Ok(items.into_iter().filter(|item| self.environment.is_of(item, name)).collect()),
        }
    }

    /// The single item as a value; `None` of nothing.
    pub(super) fn single(&self, items: &[Item<'d>]) -> Result<Option<Item<'d>>, PathError> {
        match items {
            [] => Ok(None),
            [item] => Ok(Some(self.environment.system(item))),
            _ => Err(PathError::Evaluation("a single value is needed here, and there are several")),
        }
    }

    pub(super) fn integer(&self, items: &[Item<'d>]) -> Result<Option<i64>, PathError> {
        match self.single(items)? {
            None => Ok(None),
            Some(Item::Integer(number)) => Ok(Some(number)),
            Some(_) => Err(PathError::Evaluation("an integer is needed here")),
        }
    }

    pub(super) fn truth_of(&mut self, ast: &Ast, scope: Scope<'_, 'd>) -> Result<Option<bool>, PathError> {
        let items = self.of(ast, scope)?;
        truth(self.environment, &items)
    }
}
