//! The FHIRPath of a constraint: text that is read once, however many snapshots share it.

use crate::{
    fhir::path::{Expression, PathError},
    stu3::Invariant,
};
use std::sync::{Arc, OnceLock};

/// An expression as its author writes it, read when it is first needed.
#[derive(Clone, Debug)]
pub struct Formula {
    text: Arc<str>,
    variables: &'static [&'static str],
    parsed: Arc<OnceLock<Result<Expression, PathError>>>,
}

impl Formula {
    /// Of a text that may be no FHIRPath.
    pub fn new<T: Into<Arc<str>>>(text: T) -> Self {
        Self { text: text.into(), variables: &[], parsed: Arc::default() }
    }

    /// Of a context invariant, which may name the extension that it is about.
    pub fn of_context<T: Into<Arc<str>>>(text: T) -> Self {
        Self { variables: &[Invariant::VARIABLE], ..Self::new(text) }
    }

    /// As written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Ready to be evaluated.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn expression(&self) -> Result<&Expression, &PathError> {
        self.parsed.get_or_init(|| Expression::parse_with(&self.text, self.variables)).as_ref()
    }
}

impl PartialEq for Formula {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text && self.variables == other.variables
    }
}

impl Eq for Formula {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formulas_are_their_texts_and_are_read_once() {
        let (one, other) = (Formula::new("name.exists()"), Formula::new("name.exists()"));
        assert_eq!(one, other);
        assert!(std::ptr::eq(one.expression().unwrap(), one.clone().expression().unwrap()));
        assert!(Formula::new("name.(").expression().is_err());
        assert!(Formula::of_context("%extension.exists()").expression().is_ok());
        assert!(Formula::new("%extension.exists()").expression().is_err());
    }
}
