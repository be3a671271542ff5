//! The files that profiles are read from: the folder of the set-up, and what is named.

use super::{Exit, Failed};
use crate::stu3::package::{ArchiveLimits, Library, Shelf};
use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// The folder's name, beside the configuration file.
const FOLDER: &str = "profiles";

/// Larger packages are not read; the largest real ones have a few dozen megabytes.
const LARGEST_FILE: u64 = 256 << 20;

/// Everything in the folder and everything named.
pub(super) fn library(config: &Path, named: &[PathBuf]) -> Result<Library, Failed> {
    let folder = config.parent().unwrap_or_else(|| Path::new("")).join(FOLDER);
    let mut files = match in_folder(&folder) {
        Ok(files) => files,
        Err(error) if error.kind() == io::ErrorKind::NotFound && named.is_empty() => {
            let text = format!(
                "there is no folder {}: make it and put packages there, or name one with --package",
                folder.display()
            );
            return Err(Failed::sentence(Exit::Usage, text));
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(unreadable(&folder, &error)),
    };
    files.extend_from_slice(named);
    files.sort();
    files.dedup();
    let mut shelf = Shelf::new();
    for file in &files {
        let size = fs::metadata(file).map_err(|error| unreadable(file, &error))?.len();
        if size > LARGEST_FILE {
            let text =
                format!("read {}: it has more than {LARGEST_FILE} bytes, which no package needs", file.display());
            return Err(Failed::say(Exit::Unreadable, text));
        }
        let bytes = fs::read(file).map_err(|error| unreadable(file, &error))?;
        if kind(file) == Some(Kind::Definition) {
            shelf.add_file(&file.display().to_string(), &bytes);
        } else {
            shelf.add_package(&bytes, &ArchiveLimits::default()).map_err(|error| unreadable(file, &error))?;
        }
    }
    Ok(shelf.library())
}

fn unreadable(file: &Path, error: &dyn std::fmt::Display) -> Failed {
    Failed::say(Exit::Unreadable, format!("read {}: {error}", file.display()))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Package,
    Definition,
}

fn kind(file: &Path) -> Option<Kind> {
    match file.extension()?.to_str()? {
        "tgz" => Some(Kind::Package),
        "json" | "xml" => Some(Kind::Definition),
        _ => None,
    }
}

/// Packages and definitions directly in the folder; hidden files and others are passed over.
fn in_folder(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let is_hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        if kind(&path).is_some() && !is_hidden && path.is_file() {
            files.push(path);
        }
    }
    Ok(files)
}
