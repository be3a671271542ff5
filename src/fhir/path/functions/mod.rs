//! The functions, one file for each section of the specification.

mod conversion;
mod existence;
mod fhir;
mod filtering;
mod math;
mod strings;
mod subsetting;
mod utility;

use super::{
    PathError,
    ast::{Ast, Function},
    evaluate::{Evaluator, Scope},
    value::{Collection, Item},
};

/// A call: what it is made on, and its arguments, evaluated in the scope around it or once for each item.
#[derive(Clone, Copy)]
struct Call<'c, 'd> {
    function: Function,
    items: &'c [Item<'d>],
    arguments: &'c [Ast],
    scope: Scope<'c, 'd>,
}

impl<'d> Evaluator<'_, 'd> {
    pub(super) fn call(
        &mut self,
        function: Function,
        items: &[Item<'d>],
        arguments: &[Ast],
        scope: Scope<'_, 'd>,
    ) -> Result<Collection<'d>, PathError> {
        let call = Call { function, items, arguments, scope };
        use Function as F;
        match function {
            F::Empty
            | F::Exists
            | F::Not
            | F::All
            | F::AllTrue
            | F::AnyTrue
            | F::AllFalse
            | F::AnyFalse
            | F::SubsetOf
            | F::SupersetOf
            | F::Count
            | F::Distinct
            | F::IsDistinct => existence::call(self, call),
            F::Where | F::Select | F::Repeat | F::Aggregate | F::Children | F::Descendants => {
                filtering::call(self, call)
            }
            F::Single
            | F::First
            | F::Last
            | F::Tail
            | F::Skip
            | F::Take
            | F::Intersect
            | F::Exclude
            | F::Union
            | F::Combine => subsetting::call(self, call),
            F::Iif
            | F::ToBoolean
            | F::ConvertsToBoolean
            | F::ToInteger
            | F::ConvertsToInteger
            | F::ToDecimal
            | F::ConvertsToDecimal
            | F::ToDate
            | F::ConvertsToDate
            | F::ToDateTime
            | F::ConvertsToDateTime
            | F::ToTime
            | F::ConvertsToTime
            | F::ToQuantity
            | F::ConvertsToQuantity
            | F::ToText
            | F::ConvertsToText => conversion::call(self, call),
            F::IndexOf
            | F::Substring
            | F::StartsWith
            | F::EndsWith
            | F::ContainsText
            | F::Upper
            | F::Lower
            | F::Replace
            | F::Matches
            | F::MatchesFull
            | F::ReplaceMatches
            | F::Length
            | F::ToChars
            | F::Split
            | F::Join
            | F::Trim
            | F::Encode
            | F::Decode
            | F::Escape
            | F::Unescape => strings::call(self, call),
            F::Abs | F::Ceiling | F::Floor | F::Truncate | F::Round | F::Sqrt | F::Exp | F::Ln | F::Log | F::Power => {
                math::call(self, call)
            }
            F::Trace | F::Now | F::Today | F::TimeOfDay => utility::call(self, call),
            F::Resolve
            | F::Extension
            | F::HasValue
            | F::GetValue
            | F::ConformsTo
            | F::MemberOf
            | F::HtmlChecks
            | F::HtmlChecksLower => fhir::call(self, call),
        }
    }

    /// An argument that is evaluated once, in the scope around the call.
    fn argument<'c>(&mut self, call: Call<'c, 'd>, place: usize) -> Result<Option<Collection<'d>>, PathError> {
        call.arguments.get(place).map(|argument| self.of(argument, call.scope)).transpose()
    }

    fn text_argument(&mut self, call: Call<'_, 'd>, place: usize) -> Result<Option<String>, PathError> {
        let Some(items) = self.argument(call, place)? else { return Ok(None) };
        match self.single(&items)? {
            None => Ok(None),
            Some(Item::Text(text)) => Ok(Some(text.into_owned())),
            Some(_) => Err(PathError::Evaluation("a text is needed here")),
        }
    }

    fn integer_argument(&mut self, call: Call<'_, 'd>, place: usize) -> Result<Option<i64>, PathError> {
        match self.argument(call, place)? {
            None => Ok(None),
            Some(items) => self.integer(&items),
        }
    }
}
