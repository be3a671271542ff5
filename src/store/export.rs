//! The whole store as JSON lines, and back.
//!
//! ```text
//! {"kind":"pushbridge-store","v":1,"record":{"secrets":"without"}}
//! {"kind":"account","v":1,"record":{...}}
//! {"kind":"person","v":1,"record":{...}}     "destination", "link", "submission" likewise
//! {"kind":"end","v":1,"record":{"records":3}}
//! ```
//!
//! Lines are sorted by kind and then as the store sorts, so that two exports of one state are equal byte for byte.
//! The end line tells a whole export from one that was cut. An export names files and folders as they are, which may
//! hold patients' names: it belongs in a file of mode 0600.

use super::{DestinationState, Order, Store, StoreError, Write};
use crate::model::{Account, Link, Person, Secret, Submission, Timestamp, TokenPair, TokenState, TokenValue};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::{
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

/// The form of the lines that this program writes.
const VERSION: u32 = 1;

/// How many records are read or written at a time.
const PAGE: usize = 256;

const HEAD: &str = "pushbridge-store";
const END: &str = "end";

/// Whether an export carries the tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Secrets {
    /// Persons come without their tokens; imported, they have to authorise again.
    Without,
    /// Tokens in clear: whoever has the file can push in these persons' names.
    With,
}

/// Why an export ended early.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// Of the store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Of the output.
    #[error("write the export: {0}")]
    Output(#[from] io::Error),
}

/// Why an import was refused. Records of the lines before it may be in the store by then; importing the mended
/// export puts them in once more without harm.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// Of the store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Of the input.
    #[error("read the export: {0}")]
    Input(#[from] io::Error),
    /// A line that this program does not take.
    #[error("import line {number}: {why}")]
    Line {
        /// Counted from 1.
        number: u64,
        /// What is wrong with it, without its contents.
        why: String,
    },
}

/// What an import did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Imported {
    /// Records put in.
    pub records: u64,
    /// Persons that came without tokens and were not known here: they have to authorise.
    pub without_tokens: u64,
    /// Persons that came without tokens and were left as they are here.
    pub kept: u64,
}

#[derive(Serialize)]
struct Line<'r, T> {
    kind: &'static str,
    v: u32,
    record: &'r T,
}

#[derive(Serialize, Deserialize)]
struct Head {
    secrets: Secrets,
}

#[derive(Serialize, Deserialize)]
struct End {
    records: u64,
}

/// Fills a new file, for us alone and on the disk when this returns. A file of that name is left as it is; one that
/// could not be filled is taken away again.
///
/// # Errors
/// Of the file system, or of what fills it.
pub fn fill_new_file<E: From<io::Error>>(
    path: &Path,
    fill: impl FnOnce(&mut dyn io::Write) -> Result<(), E>,
) -> Result<(), E> {
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    let mut out = io::BufWriter::new(file);
    let filled = fill(&mut out).and_then(|()| {
        io::Write::flush(&mut out)?;
        out.get_ref().sync_all()?;
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        Ok(File::open(folder.unwrap_or(Path::new(".")))?.sync_all()?)
    });
    if filled.is_err() {
        fs::remove_file(path)?;
    }
    filled
}

/// Writes everything that the store knows, in the order of the kinds above.
///
/// # Errors
/// Of the store or of the output.
pub fn export(store: &dyn Store, secrets: Secrets, out: &mut dyn io::Write) -> Result<(), ExportError> {
    let mut lines = Lines { out, records: 0 };
    lines.write(HEAD, &Head { secrets })?;
    lines.records = 0;
    everything(store, &mut |page: &[Write]| page.iter().try_for_each(|record| lines.record(record, secrets)))?;
    let records = lines.records;
    lines.write(END, &End { records })?;
    lines.out.flush()?;
    Ok(())
}

/// Hands over all records as writes, page by page, by kind and then as the store sorts.
pub(super) fn everything<E: From<StoreError>>(
    store: &dyn Store,
    take: &mut dyn FnMut(&[Write]) -> Result<(), E>,
) -> Result<(), E> {
    take(&store.accounts(None)?.into_iter().map(Write::Account).collect::<Vec<_>>())?;
    take(&store.destinations()?.into_iter().map(Write::Destination).collect::<Vec<_>>())?;
    take(&store.links(None)?.into_iter().map(Write::Link).collect::<Vec<_>>())?;
    take(&store.persons(None)?.into_iter().map(Write::Person).collect::<Vec<_>>())?;
    let mut after = None;
    loop {
        let page = store.submissions(Order::OldestFirst, after, PAGE)?;
        let Some(last) = page.last() else { return Ok(()) };
        after = Some(last.id);
        take(&page.into_iter().map(|submission| Write::Submission(Box::new(submission))).collect::<Vec<_>>())?;
    }
}

/// Puts an export's records into the store, in place of those of the same ids; what else the store knows stays.
///
/// # Errors
/// Of the store, of the input, and for a line of an unknown kind or a newer form, a broken line, or no end line.
pub fn import(store: &dyn Store, input: &mut dyn io::BufRead) -> Result<Imported, ImportError> {
    let mut imported = Imported::default();
    let mut writes = Vec::with_capacity(PAGE);
    let mut reader = Reader { input, text: Vec::new(), number: 0 };
    let Head { secrets } = match reader.next()? {
        Some(kind) if kind == HEAD => reader.record()?,
        Some(_) | None => return Err(reader.refuse(format!("an export begins with a line of kind `{HEAD}`"))),
    };
    let mut records = 0;
    loop {
        let Some(kind) = reader.next()? else {
            return Err(reader.refuse("the end line is missing: the export was cut".to_owned()));
        };
        match kind.as_str() {
            "account" => writes.push(Write::Account(reader.record::<Account>()?)),
            "destination" => writes.push(Write::Destination(reader.record::<DestinationState>()?)),
            "link" => writes.push(Write::Link(reader.record::<Link>()?)),
            "person" => {
                let person = reader.record::<Person>()?;
                writes.extend(receive_person(store, secrets, person, &mut imported)?.map(Write::Person));
            }
            "submission" => writes.push(Write::Submission(Box::new(reader.record::<Submission>()?))),
            END if reader.record::<End>()?.records == records => break,
            END => return Err(reader.refuse("lines are missing: the end line counts others".to_owned())),
            _ => return Err(reader.refuse("its kind is unknown: a newer pushbridge may have written it".to_owned())),
        }
        records += 1;
        if writes.len() >= PAGE {
            imported.records += flush(store, &mut writes)?;
        }
    }
    imported.records += flush(store, &mut writes)?;
    store.sync()?;
    Ok(imported)
}

struct Lines<'o> {
    out: &'o mut dyn io::Write,
    records: u64,
}

impl Lines<'_> {
    fn record(&mut self, record: &Write, secrets: Secrets) -> Result<(), ExportError> {
        match record {
            Write::Account(account) => self.write("account", account)?,
            Write::Destination(state) => self.write("destination", state)?,
            Write::Link(link) => self.write("link", link)?,
            Write::Person(person) if secrets == Secrets::Without => {
                self.write("person", &Person { tokens: no_tokens(), ..person.clone() })?;
            }
            Write::Person(person) => self.write("person", person)?,
            Write::Submission(submission) => self.write("submission", submission)?,
            Write::RemoveAccount { .. } | Write::RemovePerson { .. } | Write::RemoveLink { .. } => {}
        }
        Ok(())
    }

    fn write<T: Serialize>(&mut self, kind: &'static str, record: &T) -> io::Result<()> {
        serde_json::to_writer(&mut self.out, &Line { kind, v: VERSION, record })?;
        self.records += 1;
        self.out.write_all(b"\n")
    }
}

struct Reader<'i> {
    input: &'i mut dyn io::BufRead,
    text: Vec<u8>,
    number: u64,
}

impl Reader<'_> {
    /// Goes to the next line and tells its kind.
    fn next(&mut self) -> Result<Option<String>, ImportError> {
        #[derive(Deserialize)]
        struct Opening {
            kind: String,
            v: u32,
        }
        self.text.clear();
        self.number += 1;
        if self.input.read_until(b'\n', &mut self.text)? == 0 {
            return Ok(None);
        }
        let opening: Opening = self.parse()?;
        if opening.v > VERSION {
            let why = format!("its form {} is newer than this pushbridge, which knows {VERSION}", opening.v);
            return Err(self.refuse(why));
        }
        Ok(Some(opening.kind))
    }

    /// The present line's record.
    fn record<T: DeserializeOwned>(&self) -> Result<T, ImportError> {
        #[derive(Deserialize)]
        struct Whole<T> {
            record: T,
        }
        self.parse::<Whole<T>>().map(|whole| whole.record)
    }

    fn parse<T: DeserializeOwned>(&self) -> Result<T, ImportError> {
        // serde_json's own text may quote a value, so only the place is told
        serde_json::from_slice(&self.text)
            .map_err(|error| self.refuse(format!("not as an export has it at column {}", error.column())))
    }

    fn refuse(&self, why: String) -> ImportError {
        ImportError::Line { number: self.number, why }
    }
}

fn flush(store: &dyn Store, writes: &mut Vec<Write>) -> Result<u64, StoreError> {
    store.apply(writes)?;
    let count = u64::try_from(writes.len()).expect("a page's length fits");
    writes.clear();
    Ok(count)
}

/// The person to store: tokens that are known here are never replaced by none.
fn receive_person(
    store: &dyn Store,
    secrets: Secrets,
    mut person: Person,
    imported: &mut Imported,
) -> Result<Option<Person>, StoreError> {
    if secrets == Secrets::With {
        return Ok(Some(person));
    }
    if store.person(&person.contract, &person.id)?.is_some() {
        imported.kept += 1;
        return Ok(None);
    }
    imported.without_tokens += 1;
    person.tokens = no_tokens();
    person.state =
        TokenState::Paused { why: "imported without tokens; authorise again".to_owned(), since: person.updated };
    Ok(Some(person))
}

fn no_tokens() -> TokenPair {
    let none = TokenValue { value: Secret::new(String::new()), expiry: Timestamp::from_millis(0) };
    TokenPair { access: none.clone(), refresh: none }
}
