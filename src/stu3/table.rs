//! Decodes the table of facts. Lines of tab-separated columns; the first column says what a line is:
//!
//! - `T name kind base`: a type or resource, after its base; its own lines follow
//! - `S path base`: a nested element with members of its own
//! - `E name min max flags types strength value-set maximum-value-set`: an element of the structure
//!   above it; missing columns at the end are empty. Flags: `m` modifier, `a` XML attribute. Types: names separated by
//!   spaces, `Reference(A|B)`, `Quantity{Profile}`, a path for nested members, `@path` for another element's definition
//! - `R key severity expression`: a constraint of the line above it (structure or element)
//!
//! The table is part of the program: a line that cannot be read is a mistake of the generator.

use super::{
    Binding, Content, Element, Most, Primitive, Release, Rule, Run, Strength, Structure, StructureId, StructureKind,
    Way,
    index::{Index, Names},
};
use std::collections::HashMap;

/// The release that the table describes.
pub(super) fn decode(table: &'static str) -> Release {
    let mut decoder = Decoder { release: empty(), by_name: HashMap::new(), owner: Owner::Structure };
    for line in table.lines() {
        let mut columns = line.split('\t');
        match columns.next() {
            Some("T") => {
                let (name, kind) = (next(&mut columns), structure_kind(next(&mut columns)));
                decoder.begin_structure(name, kind, next(&mut columns));
            }
            Some("S") => {
                let name = next(&mut columns);
                decoder.begin_structure(name, StructureKind::Nested, next(&mut columns));
            }
            Some("E") => decoder.add_element(columns),
            Some("R") => decoder.add_rule(columns),
            _ => unreachable!("the table of facts has no other lines"),
        }
    }
    finish(decoder)
}

type Columns = std::str::Split<'static, char>;

/// What the next rule belongs to.
enum Owner {
    Structure,
    Element,
}

struct Decoder {
    release: Release,
    by_name: HashMap<&'static str, StructureId>,
    owner: Owner,
}

impl Decoder {
    /// A structure begins with copies of its base's elements; a primitive type has none of its own.
    fn begin_structure(&mut self, name: &'static str, kind: StructureKind, base: &'static str) {
        let release = &mut self.release;
        let start = position(&release.elements);
        let base = Some(base).filter(|base| !base.is_empty());
        if let Some(base) = base.filter(|_| kind != StructureKind::Primitive) {
            let inherited = release.structure(self.by_name[base]).elements;
            let inherited = usize::from(inherited.start)..usize::from(inherited.start + inherited.length);
            release.elements.extend_from_within(inherited);
        }
        let elements = Run { start, length: position(&release.elements) - start };
        let rules = Run { start: position(&release.rules), length: 0 };
        self.by_name.insert(name, StructureId(position(&release.structures)));
        release.structures.push(Structure { name, kind, base, elements, required: 0, rules });
        self.owner = Owner::Structure;
    }

    fn add_element(&mut self, mut columns: Columns) {
        let name = next(&mut columns);
        let min = next(&mut columns).parse().expect("min is a number");
        let most = Most::of(next(&mut columns));
        let flags = next(&mut columns);
        let start = position(&self.release.ways);
        for text in next(&mut columns).split(' ') {
            self.add_way(text);
        }
        let ways = Run { start, length: position(&self.release.ways) - start };
        let (name, choice) = name.strip_suffix("[x]").map_or((name, false), |stem| (stem, true));
        let structure = self.release.structures.last_mut().expect("an element follows its structure");
        let place = u8::try_from(structure.elements.length).expect("at most 128 elements");
        structure.elements.length += 1;
        self.release.elements.push(Element {
            name,
            choice,
            min,
            most,
            modifier: flags.contains('m'),
            attribute: flags.contains('a'),
            binding: binding(columns),
            place,
            ways,
            rules: Run { start: position(&self.release.rules), length: 0 },
        });
        self.owner = Owner::Element;
    }

    /// The content is settled in [`finish`], when all structures are known.
    fn add_way(&mut self, text: &'static str) {
        let release = &mut self.release;
        let start = position(&release.targets);
        let (mut type_name, mut profile) = (text.trim_start_matches('@'), None);
        if let Some((name, targets)) = text.split_once('(') {
            type_name = name;
            release.targets.extend(targets.trim_end_matches(')').split('|').filter(|target| !target.is_empty()));
        } else if let Some((name, named)) = text.split_once('{') {
            type_name = name;
            profile = Some(named.trim_end_matches('}'));
        }
        let targets = Run { start, length: position(&release.targets) - start };
        release.ways.push(Way { type_name, content: Content::Resource, profile, targets });
    }

    fn add_rule(&mut self, mut columns: Columns) {
        let rule = Rule { key: next(&mut columns), severity: next(&mut columns), expression: next(&mut columns) };
        let release = &mut self.release;
        let owner = match self.owner {
            Owner::Structure => &mut release.structures.last_mut().expect("a rule follows its structure").rules,
            Owner::Element => &mut release.elements.last_mut().expect("a rule follows its element").rules,
        };
        owner.length += 1;
        release.rules.push(rule);
    }
}

fn empty() -> Release {
    Release {
        structures: Vec::new(),
        elements: Vec::new(),
        ways: Vec::new(),
        targets: Vec::new(),
        rules: Vec::new(),
        names: Names::default(),
        index: Index::default(),
    }
}

fn next(columns: &mut Columns) -> &'static str {
    columns.next().unwrap_or_default()
}

fn position<T>(list: &[T]) -> u16 {
    u16::try_from(list.len()).expect("the lists of a release are short")
}

fn structure_kind(text: &str) -> StructureKind {
    match text {
        "resource" => StructureKind::Resource,
        "abstract-resource" => StructureKind::AbstractResource,
        "primitive-type" => StructureKind::Primitive,
        _ => StructureKind::Type,
    }
}

/// Of the columns after the types.
fn binding(mut columns: Columns) -> Option<Binding> {
    let strength = Strength::named(next(&mut columns))?;
    let value_set = Some(next(&mut columns)).filter(|url| !url.is_empty());
    let maximum = Some(next(&mut columns)).filter(|url| !url.is_empty());
    Some(Binding { strength, value_set, maximum })
}

/// What can be settled only when everything is read: contents, required elements, the index.
fn finish(decoder: Decoder) -> Release {
    let Decoder { mut release, by_name, .. } = decoder;
    for place in 0..release.ways.len() {
        release.ways[place].content = content(&by_name, release.ways[place].type_name);
    }
    for place in 0..release.structures.len() {
        let elements = release.structures[place].elements.of(&release.elements);
        release.structures[place].required =
            elements.iter().filter(|element| element.min > 0).fold(0, |all, element| all | 1 << element.place);
    }
    release.names = Names::new(&release.structures);
    release.index = Index::new(&release);
    release
}

fn content(by_name: &HashMap<&str, StructureId>, type_name: &str) -> Content {
    if type_name == "Resource" {
        return Content::Resource;
    }
    match Primitive::named(type_name) {
        Some(primitive) => Content::Primitive(primitive),
        None => Content::Structure(by_name[type_name]),
    }
}
