//! What an expression says, as a tree. `validate` reads it too, to see what a constraint needs to know.

use super::{decimal::Decimal, temporal::Temporal};

/// A part of an expression.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Ast {
    /// `{}`
    Nothing,
    /// A value written out.
    Literal(Literal),
    /// What the expression is evaluated on: `$this`, or the beginning of a path.
    Focus,
    /// `$index`
    Index,
    /// `$total`
    Total,
    /// `%resource` and the like.
    Variable(Variable),
    /// `of.name`
    Member(Box<Ast>, String),
    /// `of[index]`
    At(Box<Ast>, Box<Ast>),
    /// `of.function(arguments)`
    Call(Box<Ast>, Function, Vec<Ast>),
    /// `of.is(Type)`, `of is Type` and the like.
    Type(TypeTest, Box<Ast>, String),
    /// `-of`
    Negative(Box<Ast>),
    /// `left operator right`
    Binary(Operator, Box<Ast>, Box<Ast>),
}

/// A value written out.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Literal {
    Boolean(bool),
    Text(String),
    Integer(i64),
    Decimal(Decimal),
    Temporal(Temporal),
    /// A number and its unit: a UCUM code or a calendar word.
    Quantity(Decimal, String),
}

/// What a `%name` stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Variable {
    /// `%context`: what the whole expression is evaluated on.
    Context,
    /// `%resource`
    Resource,
    /// `%rootResource`
    RootResource,
    /// A URL that is the same everywhere: `%ucum`, `%vs-..`, `%ext-..`.
    Text(String),
    /// One that the environment brings.
    Given(String),
}

impl Variable {
    /// The variable of this name; `given` are those that the environment brings.
    /// <http://hl7.org/fhirpath/#environment-variables>, <https://hl7.org/fhir/STU3/fhirpath.html#variables>
    pub(super) fn named(name: &str, given: &[&str]) -> Option<Self> {
        let below = |prefix, folder| {
            let rest = name.strip_prefix(prefix).filter(|rest: &&str| !rest.is_empty())?;
            Some(Self::Text(format!("http://hl7.org/fhir/{folder}/{rest}")))
        };
        Some(match name {
            "context" => Self::Context,
            "resource" => Self::Resource,
            "rootResource" => Self::RootResource,
            "ucum" => Self::Text("http://unitsofmeasure.org".to_owned()),
            "sct" => Self::Text("http://snomed.info/sct".to_owned()),
            "loinc" => Self::Text("http://loinc.org".to_owned()),
            name if given.contains(&name) => Self::Given(name.to_owned()),
            _ => return below("vs-", "ValueSet").or_else(|| below("ext-", "StructureDefinition")),
        })
    }
}

/// What is asked of a type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TypeTest {
    /// `is`
    Is,
    /// `as` and `ofType()`
    As,
}

/// Operators between two expressions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operator {
    Union,
    Equal,
    NotEqual,
    Equivalent,
    NotEquivalent,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    In,
    Contains,
    And,
    Or,
    Xor,
    Implies,
    Add,
    Subtract,
    Multiply,
    Divide,
    Div,
    Mod,
    Concatenate,
}

macro_rules! functions {
    ($($variant:ident $name:literal $least:literal $most:literal)*) => {
        /// The functions by their names in the specification.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Function {
            $(#[doc = $name] $variant,)*
        }

        impl Function {
            /// The function of this name, and how many arguments it takes at least and at most.
            pub(super) fn named(name: &str) -> Option<(Self, usize, usize)> {
                match name {
                    $($name => Some((Self::$variant, $least, $most)),)*
                    _ => None,
                }
            }
        }
    };
}

functions! {
    // http://hl7.org/fhirpath/#existence
    Empty "empty" 0 0
    Exists "exists" 0 1
    Not "not" 0 0
    All "all" 1 1
    AllTrue "allTrue" 0 0
    AnyTrue "anyTrue" 0 0
    AllFalse "allFalse" 0 0
    AnyFalse "anyFalse" 0 0
    SubsetOf "subsetOf" 1 1
    SupersetOf "supersetOf" 1 1
    Count "count" 0 0
    Distinct "distinct" 0 0
    IsDistinct "isDistinct" 0 0
    // http://hl7.org/fhirpath/#filtering-and-projection
    Where "where" 1 1
    Select "select" 1 1
    Repeat "repeat" 1 1
    Aggregate "aggregate" 1 2
    // http://hl7.org/fhirpath/#subsetting
    Single "single" 0 0
    First "first" 0 0
    Last "last" 0 0
    Tail "tail" 0 0
    Skip "skip" 1 1
    Take "take" 1 1
    Intersect "intersect" 1 1
    Exclude "exclude" 1 1
    // http://hl7.org/fhirpath/#combining
    Union "union" 1 1
    Combine "combine" 1 1
    // http://hl7.org/fhirpath/#conversion
    Iif "iif" 2 3
    ToBoolean "toBoolean" 0 0
    ConvertsToBoolean "convertsToBoolean" 0 0
    ToInteger "toInteger" 0 0
    ConvertsToInteger "convertsToInteger" 0 0
    ToDecimal "toDecimal" 0 0
    ConvertsToDecimal "convertsToDecimal" 0 0
    ToDate "toDate" 0 0
    ConvertsToDate "convertsToDate" 0 0
    ToDateTime "toDateTime" 0 0
    ConvertsToDateTime "convertsToDateTime" 0 0
    ToTime "toTime" 0 0
    ConvertsToTime "convertsToTime" 0 0
    ToQuantity "toQuantity" 0 1
    ConvertsToQuantity "convertsToQuantity" 0 1
    ToText "toString" 0 0
    ConvertsToText "convertsToString" 0 0
    // http://hl7.org/fhirpath/#string-manipulation
    IndexOf "indexOf" 1 1
    Substring "substring" 1 2
    StartsWith "startsWith" 1 1
    EndsWith "endsWith" 1 1
    ContainsText "contains" 1 1
    Upper "upper" 0 0
    Lower "lower" 0 0
    Replace "replace" 2 2
    Matches "matches" 1 2
    MatchesFull "matchesFull" 1 2
    ReplaceMatches "replaceMatches" 2 3
    Length "length" 0 0
    ToChars "toChars" 0 0
    Split "split" 1 1
    Join "join" 0 1
    Trim "trim" 0 0
    Encode "encode" 1 1
    Decode "decode" 1 1
    Escape "escape" 1 1
    Unescape "unescape" 1 1
    // http://hl7.org/fhirpath/#math
    Abs "abs" 0 0
    Ceiling "ceiling" 0 0
    Floor "floor" 0 0
    Truncate "truncate" 0 0
    Round "round" 0 1
    Sqrt "sqrt" 0 0
    Exp "exp" 0 0
    Ln "ln" 0 0
    Log "log" 1 1
    Power "power" 1 1
    // http://hl7.org/fhirpath/#tree-navigation
    Children "children" 0 0
    Descendants "descendants" 0 0
    // http://hl7.org/fhirpath/#utility-functions
    Trace "trace" 1 2
    Now "now" 0 0
    Today "today" 0 0
    TimeOfDay "timeOfDay" 0 0
    // https://hl7.org/fhir/STU3/fhirpath.html#functions
    Resolve "resolve" 0 0
    Extension "extension" 1 1
    HasValue "hasValue" 0 0
    GetValue "getValue" 0 0
    ConformsTo "conformsTo" 1 1
    MemberOf "memberOf" 1 1
    HtmlChecks "htmlChecks" 0 0
    HtmlChecksLower "htmlchecks" 0 0
}
