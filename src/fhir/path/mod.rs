//! tmp
use crate::fhir::Document;
/// tmp
#[derive(Debug)]
pub struct Expression(());
/// tmp
#[derive(Debug)]
pub struct PathError;
impl std::fmt::Display for PathError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("no")
    }
}
impl Expression {
    /// tmp
    /// # Errors
    /// tmp
    pub fn parse(_: &str) -> Result<Self, PathError> {
        Err(PathError)
    }
    /// tmp
    /// # Errors
    /// tmp
    pub fn texts(&self, _: &Document<'_>) -> Result<Vec<String>, PathError> {
        Err(PathError)
    }
}
