//! FHIRPath (<http://hl7.org/fhirpath/>) over the tree: parsed once, evaluated many times.
//!
//! Types come from a [`Schema`]: `Observation.value` finds `valueQuantity`, and dates compare as dates. What cannot be
//! understood is refused when the expression is parsed, with its column, so that nothing is ever half understood. No
//! evaluation takes more than a fixed number of steps, whatever the expression and the document are.
//!
//! `evaluate.rs` walks the expression, `operators.rs` and `arithmetic.rs` join two of its parts; `functions/` has a file for each section of the specification.

mod arithmetic;
mod ast;
mod compare;
mod decimal;
mod environment;
mod evaluate;
mod functions;
mod lexer;
mod operators;
mod parser;
mod patterns;
mod temporal;
mod twins;
mod value;

pub(crate) use ast::{Ast, Function, Operator};
pub(crate) use decimal::Decimal;
pub use environment::{Environment, NoValueSets, Resolution, Resolve, Unresolving, ValueSets};
pub(crate) use patterns::matches_whole;
pub(crate) use temporal::order_of_dates;
pub use value::{Collection, Element, Item};

use super::{Document, Schema};
use evaluate::Evaluator;
use patterns::Stated;

/// An expression, parsed.
#[derive(Clone, Debug)]
pub struct Expression {
    root: Ast,
    patterns: Stated,
}

/// Why an expression cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PathError {
    /// It is no FHIRPath.
    #[error("column {column}: {what}")]
    Syntax {
        /// 1-based, in characters.
        column: usize,
        /// What is wrong.
        what: String,
    },
    /// It has no single meaning for these data.
    #[error("{0}")]
    Evaluation(&'static str),
    /// It needs a resource that is not here, and not even its type is known.
    #[error("a reference leads to a resource that is not here")]
    Unresolved,
    /// It takes more steps than any expression needs.
    #[error("the expression takes too many steps on this resource")]
    Budget,
}

impl PathError {
    fn syntax(column: usize, what: impl Into<String>) -> Self {
        Self::Syntax { column, what: what.into() }
    }
}

impl Expression {
    /// Parses an expression.
    ///
    /// # Errors
    /// It is no FHIRPath, or it uses what is not known here, with the column.
    pub fn parse(text: &str) -> Result<Self, PathError> {
        Self::parse_with(text, &[])
    }

    /// Parses an expression that may use these variables too; [`Environment::variables`] has to bring them.
    ///
    /// # Errors
    /// As [`Expression::parse`].
    pub fn parse_with(text: &str, variables: &[&str]) -> Result<Self, PathError> {
        let root = parser::parse(&lexer::tokens(text)?, variables)?;
        let patterns = Stated::of(&root);
        Ok(Self { root, patterns })
    }

    /// The expression as a tree.
    pub(crate) const fn ast(&self) -> &Ast {
        &self.root
    }

    /// Its values on an element.
    ///
    /// # Errors
    /// It has no single meaning here, needs a resource that is not here, or takes too many steps.
    pub fn evaluate<'d>(&self, environment: &Environment<'_, 'd>, focus: Element) -> Result<Collection<'d>, PathError> {
        Evaluator::new(environment, focus, &self.patterns).evaluate(&self.root)
    }

    /// Whether it is true of an element; `None` where it has no value.
    ///
    /// # Errors
    /// As [`Expression::evaluate`]; also where it has several values.
    pub fn holds(&self, environment: &Environment<'_, '_>, focus: Element) -> Result<Option<bool>, PathError> {
        let items = self.evaluate(environment, focus)?;
        evaluate::truth(environment, &items)
    }

    /// Its values on the document's root, as text: strings as they are, numbers as written, `true` or `false`.
    ///
    /// # Errors
    /// As [`Expression::evaluate`]; also where it finds something that is not a single value.
    pub fn texts(&self, document: &Document<'_>, schema: &dyn Schema) -> Result<Vec<String>, PathError> {
        let environment = Environment::of(document, schema);
        let items = self.evaluate(&environment, environment.root())?;
        let no_value = PathError::Evaluation("the expression finds an element with parts, not a value");
        let is_value = |item: &Item<'_>| match item {
            Item::Element(element) => {
                element.is_twin || !matches!(document.kind(element.node), super::Kind::Object | super::Kind::Array)
            }
            _ => true,
        };
        if !items.iter().all(is_value) {
            return Err(no_value);
        }
        Ok(items.iter().filter_map(|item| environment.text(item)).map(Into::into).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fhir::json;

    const BUNDLE: &str = r##"{"resourceType":"Bundle","identifier":{"system":"urn:s","value":"b-1"},"entry":[
        {"resource":{"resourceType":"Patient","active":true,"identifier":[
            {"system":"urn:a","value":"A1"},{"system":"urn:b","value":"B1"}],
            "name":[{"given":["a",null,"c"],"_given":[null,{"id":"g"},{"id":"h"}]}],
            "_birthDate":{"extension":[{"url":"urn:e","valueCode":"masked"}]}}},
        {"resource":{"resourceType":"Observation","status":"final","subject":{"reference":"Patient/1"},
            "effectivePeriod":{"start":"2012-03-04","end":"2012-03"},
            "valueQuantity":{"value":1.10,"unit":"kg","system":"http://unitsofmeasure.org","code":"kg"}}}]}"##;

    fn texts(expression: &str) -> Result<Vec<String>, PathError> {
        let document = json::read(BUNDLE.as_bytes(), &json::Limits::default()).unwrap();
        Expression::parse(expression)?.texts(&document, crate::stu3::release())
    }

    #[test]
    fn paths_find_values() {
        for (expression, expected) in [
            ("Bundle.identifier.value", &["b-1"][..]),
            ("identifier.value", &["b-1"]),
            ("Patient.identifier", &[]),
            ("Resource.identifier.value", &["b-1"]),
            ("Bundle.entry.resource.ofType(Patient).identifier.where(system = 'urn:b').value", &["B1"]),
            ("Bundle.entry[0].resource.identifier[1].value", &["B1"]),
            ("Bundle.entry.resource.identifier.value", &["A1", "B1"]),
            ("Bundle.entry.resource.identifier.first().value", &["A1"]),
            ("Bundle.entry.resource.identifier.last().value | Bundle.identifier.value", &["B1", "b-1"]),
            ("Bundle.entry.resource.value.value", &["1.10"]),
            ("Bundle.entry.resource.valueQuantity.value", &["1.10"]),
            ("Bundle.entry.resource.value.as(Quantity).unit", &["kg"]),
            ("Bundle.entry.resource.where($this is Observation).status", &["final"]),
            ("Bundle.entry.resource.where($this is DomainResource).count()", &["2"]),
            ("Bundle.entry.resource.birthDate.extension('urn:e').value", &["masked"]),
            ("Bundle.entry.resource.birthDate.hasValue()", &["false"]),
            ("Bundle.entry.resource.name.given.count()", &["3"]),
            ("Bundle.entry.resource.name.given.id", &["g", "h"]),
            ("Bundle.entry.resource.name.given.where(hasValue()).select($this & '!')", &["a!", "c!"]),
            ("Bundle.entry.resource.where(identifier.exists() and active = true).identifier[0].system", &["urn:a"]),
            ("Bundle.entry.resource.where(status.empty() or status != 'final').active", &["true"]),
            ("Bundle.entry.resource.value > 500 'g'", &["true"]),
            ("Bundle.entry.resource.effective.select(start <= end)", &[]),
            ("Bundle.entry.resource.effective.select(iif(start > end, 'no', 'yes'))", &["yes"]),
            ("Bundle.entry.resource.children().count() > 5", &["true"]),
            ("Bundle.descendants().where($this is Quantity).code", &["kg"]),
            ("Bundle.entry.resource.all(id.empty())", &["true"]),
            ("(Bundle.nothing | 'x')", &["x"]),
            ("'a\\'b'", &["a'b"]),
            ("Bundle.entry.exists()", &["true"]),
            ("Bundle.entry.resource.identifier.where(value = 'A1').exists().not()", &["false"]),
            ("Bundle.entry.count()", &["2"]),
            ("Bundle.`identifier`.value", &["b-1"]),
            ("1 + 2 * 3 - 0.5", &["6.5"]),
            ("2 in (1 | 2) and 'abc'.substring(1).startsWith('b')", &["true"]),
            ("'a-b'.matches('^[a-z\\\\-]+$')", &["true"]),
            ("@2012-01-31 + 1 month", &["2012-02-29"]),
            ("{}.empty() implies true", &["true"]),
        ] {
            assert_eq!(texts(expression).unwrap(), expected, "{expression}");
        }
    }

    #[test]
    fn what_is_not_understood_is_refused_with_its_column() {
        for (expression, column) in [
            ("Bundle.entry.nothing('x')", 14),
            ("Bundle..entry", 8),
            ("Bundle.entry[", 14),
            ("'open", 1),
            ("a b", 3),
            ("", 1),
            ("a.where()", 3),
            ("a.first(1)", 3),
            ("@2012-13", 1),
            ("a and", 6),
            ("a = %nothing", 5),
            ("a.where(b = %`vs-`)", 13),
            ("%extension.value", 1),
        ] {
            match texts(expression) {
                Err(PathError::Syntax { column: found, .. }) => assert_eq!(found, column, "{expression}"),
                other => panic!("{expression}: {other:?}"),
            }
        }
        assert!(matches!(texts("Bundle.entry"), Err(PathError::Evaluation(_))), "an entry is no value");
    }

    #[test]
    fn variables_stand_for_what_they_say() {
        for (expression, expected) in [
            ("%ucum", &["http://unitsofmeasure.org"][..]),
            ("%`vs-administrative-gender`", &["http://hl7.org/fhir/ValueSet/administrative-gender"]),
            ("%vs-a & %ext-b", &["http://hl7.org/fhir/ValueSet/ahttp://hl7.org/fhir/StructureDefinition/b"]),
            ("entry.resource.where(active = true).select(%context.identifier.value)", &["b-1"]),
            ("%resource.identifier.value | %rootResource.identifier.value", &["b-1"]),
        ] {
            assert_eq!(texts(expression).unwrap(), expected, "{expression}");
        }
        let document = json::read(BUNDLE.as_bytes(), &json::Limits::default()).unwrap();
        let environment = Environment::of(&document, crate::stu3::release());
        let variables = [("mine", environment.root())];
        let given = Environment { variables: &variables, ..environment };
        let expression = Expression::parse_with("%mine.identifier.value = 'b-1'", &["mine"]).unwrap();
        assert_eq!(expression.holds(&given, given.root()), Ok(Some(true)));
        assert!(expression.holds(&environment, environment.root()).is_err(), "the environment has to bring it");
    }

    #[test]
    fn deep_expressions_and_many_steps_end() {
        assert!(texts(&format!("{}'x'{}", "(".repeat(5_000), ")".repeat(5_000))).is_err());
        assert!(texts(&format!("1{}", " + 1".repeat(5_000))).is_err());
        let many: String = (0..200_000).map(|number| format!("{{\"fullUrl\":\"{number}\"}},")).collect();
        let bundle = format!("{{\"resourceType\":\"Bundle\",\"entry\":[{many}{{}}]}}");
        let document = json::read(bundle.as_bytes(), &json::Limits::default()).unwrap();
        let nested = Expression::parse("Bundle.entry.where(%resource.entry.fullUrl.first() = fullUrl)").unwrap();
        assert_eq!(nested.texts(&document, crate::stu3::release()), Err(PathError::Budget));
        // a pattern is read once, not for each item; one that is another each time is paid for
        let same =
            Expression::parse("Bundle.entry.all(fullUrl.matches('^[0-9]+$') or fullUrl.matches('^.?$'))").unwrap();
        assert_eq!(same.texts(&document, crate::stu3::release()), Ok(vec!["false".to_owned()]));
        let others = Expression::parse("Bundle.entry.all(fullUrl.matches('^' & fullUrl))").unwrap();
        assert_eq!(others.texts(&document, crate::stu3::release()), Err(PathError::Budget));
    }

    #[test]
    fn what_doubles_ends_before_it_fills_the_memory() {
        let numbers = |count: u32| (0..count).map(|number| number.to_string()).collect::<Vec<_>>().join(" | ");
        let (many, few) = (numbers(60), numbers(22));
        for expression in [
            format!("({many}).aggregate($total & $total, 'ab').length()"),
            format!("({many}).aggregate($total + $total, 'ab').length()"),
            format!("({many}).aggregate($total.combine($total), 1).count()"),
            format!("({many}).aggregate($total.combine($total).join('ab'), 'a').length()"),
            format!("'aaaaaaaaaa'{}", ".replace('a', 'aaaaaaaaaaaaaaaaaaaa')".repeat(12)),
            format!("({few}).aggregate($total & $total, 'ab').toChars()"),
            format!("({few}).aggregate($total & $total, 'ab').split('a')"),
            format!("({few}).aggregate($total & $total, 'ab').replaceMatches('.+', '$0$0$0$0$0$0$0')"),
            format!("'\\\\'{}", ".escape('json')".repeat(40)),
        ] {
            assert_eq!(texts(&expression), Err(PathError::Budget), "{expression}");
        }
        for (expression, expected) in [
            ("'a-b-c'.replaceMatches('-(.)', '[$1]')", "a[b][c]"),
            ("'2012-03'.replaceMatches('(?<y>[0-9]+)-(?<m>[0-9]+)', '${m}/${y}$$')", "03/2012$"),
            ("'abc'.replaceMatches('x', 'y')", "abc"),
            ("('a' | 'b').aggregate($total & $this, '')", "ab"),
        ] {
            assert_eq!(texts(expression).unwrap(), [expected], "{expression}");
        }
    }

    #[test]
    fn references_are_followed_as_far_as_they_can_be() {
        struct Types;
        impl Resolve for Types {
            fn resolve(&self, reference: &str) -> Resolution {
                match reference.split_once('/') {
                    Some((name, _)) => Resolution::Type(name.to_owned()),
                    None => Resolution::Unknown,
                }
            }
        }
        let document = json::read(BUNDLE.as_bytes(), &json::Limits::default()).unwrap();
        let environment = Environment { resolver: &Types, ..Environment::of(&document, crate::stu3::release()) };
        let holds = |text: &str| Expression::parse(text).unwrap().holds(&environment, environment.root());
        assert_eq!(holds("entry[1].resource.subject.resolve() is Patient"), Ok(Some(true)));
        assert_eq!(holds("entry[1].resource.subject.resolve() is Device"), Ok(Some(false)));
        assert_eq!(holds("entry[0].resource.identifier.first().resolve().exists()"), Err(PathError::Unresolved));
        assert_eq!(holds("entry.exists() or identifier.resolve().exists()"), Ok(Some(true)));
    }

    #[test]
    fn every_constraint_of_the_release_is_understood() {
        let release = crate::stu3::release();
        let mut count = 0;
        for (id, _) in release.structures() {
            let of_elements = release.elements(id).iter().flat_map(|element| release.element_rules(element));
            for rule in release.structure_rules(id).iter().chain(of_elements) {
                Expression::parse(rule.expression).unwrap_or_else(|error| panic!("{}: {error}", rule.key));
                count += 1;
            }
        }
        for erratum in crate::stu3::errata::errata() {
            Expression::parse(erratum.evaluated).unwrap_or_else(|error| panic!("{}: {error}", erratum.key));
        }
        assert!(count >= 189, "{count}");
    }
}
