//! What stands between two expressions (<http://hl7.org/fhirpath/#operations>); numbers and dates are calculated in
//! `arithmetic.rs`.

use super::{
    PathError,
    ast::{Ast, Operator},
    compare::{Equality, all_equivalent, equal, order},
    evaluate::{Evaluator, Scope, boolean},
    value::{Collection, Item},
};
use std::cmp::Ordering;

impl<'d> Evaluator<'_, 'd> {
    pub(super) fn binary(
        &mut self,
        operator: Operator,
        left: &Ast,
        right: &Ast,
        scope: Scope<'_, 'd>,
    ) -> Result<Collection<'d>, PathError> {
        if matches!(operator, Operator::And | Operator::Or | Operator::Xor | Operator::Implies) {
            return Ok(self.logic(operator, left, right, scope)?.map(Item::Boolean).into_iter().collect());
        }
        let (left, right) = (self.of(left, scope)?, self.of(right, scope)?);
        match operator {
            Operator::Union => self.union(left, right),
            Operator::Equal | Operator::NotEqual => {
                if left.is_empty() || right.is_empty() {
                    return Ok(Vec::new());
                }
                Ok(match self.equal_all(&left, &right)? {
                    Equality::Undecided => Vec::new(),
                    found => boolean((found == Equality::Equal) == (operator == Operator::Equal)),
                })
            }
            Operator::Equivalent | Operator::NotEquivalent => {
                let same = all_equivalent(self, &left, &right, 0)?;
                Ok(boolean(same == (operator == Operator::Equivalent)))
            }
            Operator::Less | Operator::LessOrEqual | Operator::Greater | Operator::GreaterOrEqual => {
                self.inequality(operator, &left, &right)
            }
            Operator::In => self.is_in(&left, &right),
            Operator::Contains => self.is_in(&right, &left),
            _ => self.arithmetic(operator, &left, &right),
        }
    }

    /// Three-valued: <http://hl7.org/fhirpath/#boolean-logic>. What the left side decides is not asked of the right.
    fn logic(
        &mut self,
        operator: Operator,
        left: &Ast,
        right: &Ast,
        scope: Scope<'_, 'd>,
    ) -> Result<Option<bool>, PathError> {
        let left = self.truth_of(left, scope);
        match (operator, &left) {
            (Operator::And, Ok(Some(false))) => return Ok(Some(false)),
            (Operator::Or, Ok(Some(true))) | (Operator::Implies, Ok(Some(false))) => return Ok(Some(true)),
            _ => {}
        }
        let right = self.truth_of(right, scope);
        // what the right side decides needs nothing of a left side that cannot be told
        match (operator, &right) {
            (Operator::And, Ok(Some(false))) => return Ok(Some(false)),
            (Operator::Or | Operator::Implies, Ok(Some(true))) => return Ok(Some(true)),
            _ => {}
        }
        let (left, right) = (left?, right?);
        Ok(match operator {
            Operator::And => (left == Some(true) && right == Some(true)).then_some(true),
            Operator::Or => (left == Some(false) && right == Some(false)).then_some(false),
            Operator::Xor => left.zip(right).map(|(left, right)| left != right),
            _ => (left == Some(true) && right == Some(false)).then_some(false),
        })
    }

    /// Without repetitions, in order.
    pub(super) fn union(
        &mut self,
        mut left: Collection<'d>,
        right: Collection<'d>,
    ) -> Result<Collection<'d>, PathError> {
        left.extend(right);
        self.distinct(left)
    }

    fn inequality(
        &self,
        operator: Operator,
        left: &[Item<'d>],
        right: &[Item<'d>],
    ) -> Result<Collection<'d>, PathError> {
        let (Some(left), Some(right)) = (self.single(left)?, self.single(right)?) else { return Ok(Vec::new()) };
        let Some(order) = order(&left, &right)? else { return Ok(Vec::new()) };
        Ok(boolean(match operator {
            Operator::Less => order == Ordering::Less,
            Operator::LessOrEqual => order != Ordering::Greater,
            Operator::Greater => order == Ordering::Greater,
            _ => order != Ordering::Less,
        }))
    }

    fn is_in(&mut self, item: &[Item<'d>], items: &[Item<'d>]) -> Result<Collection<'d>, PathError> {
        match item {
            [] => Ok(Vec::new()),
            [item] => Ok(boolean(self.has(items, item)?)),
            _ => Err(PathError::Evaluation("a single value is needed here, and there are several")),
        }
    }

    /// An equal item is among these.
    pub(super) fn has(&mut self, items: &[Item<'d>], item: &Item<'d>) -> Result<bool, PathError> {
        for other in items {
            self.spend(1)?;
            if equal(self, item, other)? == Equality::Equal {
                return Ok(true);
            }
        }
        Ok(false)
    }

    pub(super) fn equal_all(&mut self, left: &[Item<'d>], right: &[Item<'d>]) -> Result<Equality, PathError> {
        if left.len() != right.len() {
            return Ok(Equality::Different);
        }
        for (left, right) in left.iter().zip(right) {
            match equal(self, left, right)? {
                Equality::Equal => {}
                other => return Ok(other),
            }
        }
        Ok(Equality::Equal)
    }
}
