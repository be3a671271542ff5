//! The two types of push, and what goes with a file to a person's library.

use serde::{Deserialize, Serialize};

/// Where a channel's files go. Decided by the channel when a file is claimed, and kept with its record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PushType {
    /// A Bundle, to the account's provider.
    #[default]
    Provider,
    /// Any file, to the account's library.
    Library,
}

impl PushType {
    /// The word for it in the configuration, in reports and in commands.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Provider => "provider",
            Self::Library => "library",
        }
    }
}

impl std::fmt::Display for PushType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

/// What a media type was found by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FoundBy {
    /// The file's first bytes.
    Content,
    /// The ending of its name.
    Name,
    /// Nothing told: it is `application/octet-stream`.
    Nothing,
}

impl FoundBy {
    /// For people.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Content => "by its content",
            Self::Name => "by its name",
            Self::Nothing => "neither content nor name tells more",
        }
    }
}

/// What reports say of a library file. Its labels are counted only: they may be a person's data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LibraryFacts {
    /// The media type that it goes as.
    pub mime_type: String,
    /// What that was found by.
    pub found_by: FoundBy,
    /// How many references it carries.
    pub references: u32,
    /// How many tags it carries.
    pub tags: u32,
}

/// Short texts that go with a file: its references, or its tags. They travel in a header, so their size is bounded.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Labels(Vec<String>);

/// Why texts are no labels. The texts themselves are not repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LabelFault {
    /// More than [`Labels::MOST`].
    #[error("there are more than {most} of them", most = Labels::MOST)]
    TooMany,
    /// Nothing but blanks.
    #[error("one of them is empty")]
    Empty,
    /// More than [`Labels::LONGEST`] bytes.
    #[error("one of them is longer than {longest} bytes", longest = Labels::LONGEST)]
    TooLong,
    /// A line break, for example.
    #[error("one of them has a control character")]
    Control,
}

impl Labels {
    /// So many at most.
    pub const MOST: usize = 16;
    /// Bytes of each at most, in UTF-8.
    pub const LONGEST: usize = 128;

    /// Checks them; what is fine goes as it is written, in the order given.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn new(texts: Vec<String>) -> Result<Self, LabelFault> {
        if texts.len() > Self::MOST {
            return Err(LabelFault::TooMany);
        }
        for text in &texts {
            if text.trim().is_empty() {
                return Err(LabelFault::Empty);
            }
            if text.len() > Self::LONGEST {
                return Err(LabelFault::TooLong);
            }
            if text.chars().any(char::is_control) {
                return Err(LabelFault::Control);
            }
        }
        Ok(Self(texts))
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many.
    pub fn count(&self) -> u32 {
        u32::try_from(self.0.len()).unwrap_or(u32::MAX)
    }

    /// Themselves.
    pub fn texts(&self) -> &[String] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_bounded_and_plain() {
        let labels = |texts: &[&str]| Labels::new(texts.iter().map(|text| (*text).to_owned()).collect());
        assert_eq!(labels(&["discharge", "2026 a\u{e9}"]).unwrap().count(), 2);
        assert!(labels(&[]).unwrap().is_empty());
        assert_eq!(labels(&["a"; 17]), Err(LabelFault::TooMany));
        assert_eq!(labels(&["a", " "]), Err(LabelFault::Empty));
        assert_eq!(labels(&[&"\u{e9}".repeat(65)]), Err(LabelFault::TooLong));
        assert_eq!(labels(&["a\r\nHost: other"]), Err(LabelFault::Control));
        assert_eq!(LabelFault::TooLong.to_string(), "one of them is longer than 128 bytes");
    }

    #[test]
    fn types_of_push_keep_their_words() {
        assert_eq!(serde_json::to_string(&PushType::Library).unwrap(), "\"library\"");
        assert_eq!(PushType::default(), PushType::Provider);
    }
}
