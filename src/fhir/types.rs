//! What readers and expressions need to know of a release's types, and no more: [`Schema`]. `stu3::Release` is one.

/// The types of a release: which members they have, and what those are made of.
pub trait Schema: Sync {
    /// The resource type of this name; abstract ones do not count.
    fn resource(&self, name: &str) -> Option<StructureId>;
    /// The type of this name (`Quantity`, `boolean`, `Resource`), or the nested structure of this path (`Patient.contact`).
    fn structure_named(&self, name: &str) -> Option<StructureId>;
    /// The type's name, or the path of a nested structure.
    fn structure_name(&self, id: StructureId) -> &'static str;
    /// The type that it extends; `None` for `Element` and `Resource`.
    fn structure_base(&self, id: StructureId) -> Option<StructureId>;
    /// What a member of this name is in this structure. The name is the one of the wire, without `_`: `valueQuantity`.
    fn member_named(&self, owner: StructureId, name: &str) -> Option<Member>;
}

/// A type of a [`Schema`], or a nested structure; a place in its list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StructureId(pub u16);

impl StructureId {
    /// The place as a number.
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// A member of a structure, with the type that its name chose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member {
    /// The element's name; for a choice without `[x]` (`value`).
    pub element: &'static str,
    /// `value[x]`: the name on the wire carries the type.
    pub choice: bool,
    /// It may stand more than once; in JSON always an array.
    pub repeats: bool,
    /// An attribute in XML.
    pub attribute: bool,
    /// Its number in the order of XML.
    pub place: u8,
    /// What the value is made of.
    pub content: Content,
}

/// What a value of some type is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// A JSON string, number or boolean, with a twin for id and extensions.
    Primitive(Primitive),
    /// An object with these members.
    Structure(StructureId),
    /// An object that is a resource and names its own type.
    Resource,
}

/// A primitive data type of STU3. Spec: <https://hl7.org/fhir/STU3/datatypes.html#primitive>.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Primitive {
    /// `base64Binary`
    Base64Binary,
    /// `boolean`
    Boolean,
    /// `code`
    Code,
    /// `date`
    Date,
    /// `dateTime`
    DateTime,
    /// `decimal`
    Decimal,
    /// `id`
    Id,
    /// `instant`
    Instant,
    /// `integer`
    Integer,
    /// `markdown`
    Markdown,
    /// `oid`
    Oid,
    /// `positiveInt`
    PositiveInt,
    /// `string`
    String,
    /// `time`
    Time,
    /// `unsignedInt`
    UnsignedInt,
    /// `uri`
    Uri,
    /// `uuid`
    Uuid,
    /// `xhtml`
    Xhtml,
}

impl Primitive {
    /// The primitive type of this name.
    pub fn named(name: &str) -> Option<Self> {
        ALL.into_iter().find(|primitive| primitive.name() == name)
    }

    /// Its name in the release.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Base64Binary => "base64Binary",
            Self::Boolean => "boolean",
            Self::Code => "code",
            Self::Date => "date",
            Self::DateTime => "dateTime",
            Self::Decimal => "decimal",
            Self::Id => "id",
            Self::Instant => "instant",
            Self::Integer => "integer",
            Self::Markdown => "markdown",
            Self::Oid => "oid",
            Self::PositiveInt => "positiveInt",
            Self::String => "string",
            Self::Time => "time",
            Self::UnsignedInt => "unsignedInt",
            Self::Uri => "uri",
            Self::Uuid => "uuid",
            Self::Xhtml => "xhtml",
        }
    }
}

const ALL: [Primitive; 18] = [
    Primitive::Base64Binary,
    Primitive::Boolean,
    Primitive::Code,
    Primitive::Date,
    Primitive::DateTime,
    Primitive::Decimal,
    Primitive::Id,
    Primitive::Instant,
    Primitive::Integer,
    Primitive::Markdown,
    Primitive::Oid,
    Primitive::PositiveInt,
    Primitive::String,
    Primitive::Time,
    Primitive::UnsignedInt,
    Primitive::Uri,
    Primitive::Uuid,
    Primitive::Xhtml,
];
