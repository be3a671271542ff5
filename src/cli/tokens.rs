//! `tokens`: what opens a person's accounts.

use super::{
    Form,
    accounts::done,
    context::Context,
    exit::{Exit, Failed},
    print,
};
use crate::{
    admin::{Answer, Question, TokenStatus},
    model::{ContractName, PersonId, Secret},
    push::OfficialTokens,
};
use std::{io::Read, path::PathBuf};

/// Persons' access and refresh tokens
#[derive(Debug, clap::Subcommand)]
#[command(
    after_help = "Persons come by pushbridge authorize; tokens that another program got are imported.\n\nExamples:\n  pushbridge tokens import --contract main tokens.json     what the official client hands out\n  \
pushbridge tokens status\n  pushbridge tokens refresh --contract main"
)]
pub(super) enum Command {
    /// Keep the tokens of a person: {accessToken: {value, expiry}, refreshToken: {value, expiry}, user, consentid}
    Import {
        /// Under this contract
        #[arg(long)]
        contract: ContractName,
        /// Whose they are, where the JSON does not say it
        #[arg(long)]
        person: Option<PersonId>,
        /// The file; - for standard input
        file: PathBuf,
    },
    /// Show when they end
    Status,
    /// Have the daemon renew them now
    Refresh {
        /// Under this contract
        #[arg(long)]
        contract: ContractName,
        /// Of this person alone
        #[arg(long)]
        person: Option<PersonId>,
    },
}

pub(super) fn run(context: &Context, command: Command, form: Form) -> Result<Exit, Failed> {
    match command {
        Command::Import { contract, person, file } => {
            if !context.config.contracts.contains_key(&contract) {
                return Err(Failed::say(Exit::Usage, format!("find contract {contract} in the configuration")));
            }
            let text = read(&file)?;
            // The parser's own message would quote what it met, and that may be a token.
            let tokens: OfficialTokens = serde_json::from_str(text.expose()).map_err(|error| {
                let place = format!("line {}, column {}", error.line(), error.column());
                Failed::say(
                    Exit::Unreadable,
                    format!("read {}: not tokens as the official client hands them out ({place})", file.display()),
                )
            })?;
            let (tokens, named, consent_id) = tokens.into_parts();
            let person = match (person, named) {
                (Some(person), Some(named)) if person != named => {
                    return Err(Failed::say(
                        Exit::Usage,
                        "keep these tokens: they are another person's than --person says",
                    ));
                }
                (person, named) => named.or(person),
            };
            let person =
                person.ok_or_else(|| Failed::say(Exit::Usage, "know whose tokens these are: say --person ID"))?;
            done(context, Question::ImportTokens { contract, person, tokens, consent_id }, form)
        }
        Command::Status => {
            let Answer::Tokens { tokens } = context.ask(Question::Tokens)? else {
                return Err(Failed::say(Exit::Internal, "read the daemon's answer"));
            };
            list(&tokens, form)
        }
        Command::Refresh { contract, person } => done(context, Question::RefreshTokens { contract, person }, form),
    }
}

fn read(file: &PathBuf) -> Result<Secret<String>, Failed> {
    let mut text = String::new();
    let read = if file.as_os_str() == "-" {
        std::io::stdin().lock().read_to_string(&mut text)
    } else {
        std::fs::File::open(file).and_then(|mut file| file.read_to_string(&mut text))
    };
    let text = Secret::new(text);
    read.map_err(|error| Failed::say(Exit::Unreadable, format!("read {}: {error}", file.display())))?;
    Ok(text)
}

/// One row a person.
pub(super) fn table(tokens: &[TokenStatus]) -> String {
    let rows: Vec<_> = tokens
        .iter()
        .map(|status| {
            let soon = status.ends_soon.then(|| "its refresh token ends soon".to_owned());
            let told = [status.why.clone(), soon, status.remedy.clone()].into_iter().flatten().collect::<Vec<_>>();
            let state = match &told[..] {
                [] => status.state.clone(),
                told => format!("{}: {}", status.state, told.join("; ")),
            };
            let ends = (status.access_expiry.to_string(), status.refresh_expiry.to_string());
            vec![status.person.to_string(), status.contract.to_string(), ends.0, ends.1, state]
        })
        .collect();
    print::table(&["PERSON", "CONTRACT", "ACCESS UNTIL", "REFRESH UNTIL", "STATE"], &rows)
}

fn list(tokens: &[TokenStatus], form: Form) -> Result<Exit, Failed> {
    match form {
        Form::Json => tokens.iter().try_for_each(print::json)?,
        Form::Text => print::out(&table(tokens))?,
    }
    Ok(if tokens.iter().any(|status| status.state == "paused") { Exit::No } else { Exit::Done })
}
