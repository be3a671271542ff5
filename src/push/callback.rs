//! The address that a person is sent back to after an authorisation: what it says, and whether it may be believed.

use crate::model::{AccountReference, Secret};
use reqwest::Url;

/// A callback's address, taken apart.
#[derive(Clone, Debug)]
pub struct Callback {
    state: String,
    given: bool,
    code: Option<Secret<String>>,
    reference: Option<AccountReference>,
    error: Option<String>,
}

/// What a callback brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Granted {
    /// To be exchanged for tokens; a new authorisation of one account may come without.
    pub code: Option<Secret<String>>,
    /// The account that the person chose.
    pub reference: Option<AccountReference>,
}

/// Why a callback brings nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallbackError {
    /// It is no address with a readable query.
    #[error("this is not the address that a person is sent back to: it has no readable success, state and code")]
    Unreadable,
    /// It answers another authorisation.
    #[error("the callback's state is not that of this authorisation; begin again")]
    State,
    /// The person said no, or the API did.
    #[error("the authorisation was not given ({code})")]
    Denied {
        /// `errorCode`
        code: String,
    },
}

impl Callback {
    /// Takes an address apart as a person pastes it or a browser asks for it: with blanks, quotes or angle brackets
    /// around it, or without its beginning.
    ///
    /// # Errors
    /// It has no query with a state, or says something twice.
    pub fn read(address: &str) -> Result<Self, CallbackError> {
        let address = address.trim().trim_matches(|c| matches!(c, '<' | '>' | '"' | '\''));
        let whole = if address.starts_with(['/', '?']) { format!("http://localhost{address}") } else { address.into() };
        let url = Url::parse(&whole).map_err(|_| CallbackError::Unreadable)?;
        let query = |name: &str| {
            let mut values = url.query_pairs().filter(|(key, _)| key == name).map(|(_, value)| value.into_owned());
            match (values.next(), values.next()) {
                (value, None) => Ok(value),
                // Whoever adds a second value wants the two of us to read different ones.
                _ => Err(CallbackError::Unreadable),
            }
        };
        Ok(Self {
            state: query("state")?.ok_or(CallbackError::Unreadable)?,
            given: query("success")?.as_deref() == Some("true"),
            code: query("code")?.filter(|code| !code.is_empty()).map(Secret::new),
            reference: query("accountReference")?.and_then(|reference| reference.parse().ok()),
            error: query("errorCode")?.filter(|code| is_word(code)),
        })
    }

    /// Which authorisation it says that it answers.
    pub fn state(&self) -> &str {
        &self.state
    }

    /// What it brings to the authorisation of that state.
    ///
    /// # Errors
    /// It is another authorisation's, or the person said no.
    pub fn granted(self, state: &str) -> Result<Granted, CallbackError> {
        if self.state != state {
            return Err(CallbackError::State);
        }
        if !self.given {
            let code = self.error.unwrap_or_else(|| "no reason given".to_owned());
            return Err(CallbackError::Denied { code });
        }
        Ok(Granted { code: self.code, reference: self.reference })
    }
}

/// An error code is one short word; anything else may be anything.
fn is_word(code: &str) -> bool {
    !code.is_empty() && code.len() <= 80 && code.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-')
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIVEN: &str = "http://127.0.0.1/cb?success=true&state=s1&code=c%2F1&accountReference=ref-1";

    fn granted(address: &str) -> Result<Granted, CallbackError> {
        Callback::read(address)?.granted("s1")
    }

    #[test]
    fn a_callback_must_answer_this_authorisation() {
        let found = granted(GIVEN).unwrap();
        assert_eq!((found.code.unwrap().expose().as_str(), found.reference.unwrap().as_str()), ("c/1", "ref-1"));
        assert_eq!(granted(&GIVEN.replace("s1", "s2")), Err(CallbackError::State));
        let denied = "http://127.0.0.1/cb?success=false&state=s1&errorCode=USER_CANCEL";
        assert_eq!(granted(denied), Err(CallbackError::Denied { code: "USER_CANCEL".to_owned() }));
        assert_eq!(granted("nonsense"), Err(CallbackError::Unreadable));
        assert_eq!(granted("http://127.0.0.1/cb?success=true&code=c"), Err(CallbackError::Unreadable));
    }

    #[test]
    fn it_is_read_as_people_paste_it_and_as_browsers_ask_for_it() {
        let whole = granted(GIVEN).unwrap();
        let below = GIVEN.trim_start_matches("http://127.0.0.1");
        for address in [format!("  <{GIVEN}>\n"), format!("\"{GIVEN}\""), below.to_owned(), below[3..].to_owned()] {
            assert_eq!(granted(&address).unwrap(), whole, "{address}");
        }
    }

    #[test]
    fn what_is_said_twice_is_not_believed() {
        for more in ["&state=s1", "&success=true", "&code=other", "&accountReference=ref-2"] {
            assert_eq!(granted(&format!("{GIVEN}{more}")), Err(CallbackError::Unreadable), "{more}");
        }
    }

    #[test]
    fn nothing_but_a_word_is_repeated_of_an_error_and_no_code_is_shown() {
        let denied = "http://127.0.0.1/cb?success=false&state=s1&errorCode=Jan%20Jansen";
        assert_eq!(granted(denied).unwrap_err().to_string(), "the authorisation was not given (no reason given)");
        assert!(!format!("{:?}", Callback::read(GIVEN)).contains("c/1"));
    }
}
