//! `accounts`: whom Bundles can go to.

use super::{
    Form,
    context::Context,
    exit::{Exit, Failed},
    print,
};
use crate::{
    admin::{Answer, Question},
    model::{Account, AccountId, AccountReference, ContractName, PersonId, Timestamp},
};
use std::path::PathBuf;

/// The accounts that can be pushed to
#[derive(Debug, clap::Subcommand)]
#[command(
    after_help = "Accounts come by pushbridge authorize; the daemon looks after them every accounts_sync.\n\nExamples:\n  pushbridge accounts sync --contract main     reads them from the API\n  \
pushbridge accounts ls\n  pushbridge accounts import --contract main accounts.json     a list as the API gives it, with \"person\" in each"
)]
pub(super) enum Command {
    /// Read the accounts of every person from the API
    Sync {
        /// Under this contract
        #[arg(long)]
        contract: ContractName,
    },
    /// List them
    Ls {
        /// Under this contract
        #[arg(long)]
        contract: Option<ContractName>,
    },
    /// Show one
    Show {
        /// Its accountReference
        reference: AccountReference,
    },
    /// Add one by hand
    Add {
        /// Under this contract
        #[arg(long)]
        contract: ContractName,
        /// Whose token opens it
        #[arg(long)]
        person: PersonId,
        /// The API's account id
        #[arg(long)]
        id: AccountId,
        /// Its accountReference
        reference: AccountReference,
    },
    /// Forget one; its Bundles are held from then on
    Rm {
        /// Under this contract
        #[arg(long)]
        contract: ContractName,
        /// Its accountReference
        reference: AccountReference,
    },
    /// Add many: a JSON list of {"person", "id", "reference"}
    Import {
        /// Under this contract
        #[arg(long)]
        contract: ContractName,
        /// The file
        file: PathBuf,
    },
}

#[derive(serde::Deserialize)]
struct Imported {
    person: PersonId,
    id: AccountId,
    reference: AccountReference,
    service: Option<String>,
}

pub(super) fn run(context: &Context, command: Command, form: Form) -> Result<Exit, Failed> {
    match command {
        Command::Sync { contract } => done(context, Question::SyncAccounts { contract }, form),
        Command::Ls { contract } => list(&read(context, contract)?, form),
        Command::Show { reference } => {
            let mut accounts = read(context, None)?;
            accounts.retain(|account| account.reference == reference);
            list(&accounts, form)?;
            Ok(if accounts.is_empty() { Exit::No } else { Exit::Done })
        }
        Command::Add { contract, person, id, reference } => {
            let imported = Imported { person, id, reference, service: None };
            done(context, Question::KeepAccounts { accounts: vec![imported.account(&contract)] }, form)
        }
        Command::Rm { contract, reference } => done(context, Question::RemoveAccount { contract, reference }, form),
        Command::Import { contract, file } => {
            let text = std::fs::read_to_string(&file)
                .map_err(|error| Failed::say(Exit::Unreadable, format!("read {}: {error}", file.display())))?;
            let accounts: Vec<Imported> = serde_json::from_str(&text)
                .map_err(|error| Failed::say(Exit::Unreadable, format!("read {}: {error}", file.display())))?;
            let accounts = accounts.into_iter().map(|imported| imported.account(&contract)).collect();
            done(context, Question::KeepAccounts { accounts }, form)
        }
    }
}

impl Imported {
    fn account(self, contract: &ContractName) -> Account {
        Account {
            contract: contract.clone(),
            person: self.person,
            id: self.id,
            reference: self.reference,
            service: self.service,
            authorised: true,
            blocked: None,
            updated: Timestamp::now(),
        }
    }
}

fn read(context: &Context, contract: Option<ContractName>) -> Result<Vec<Account>, Failed> {
    match context.ask(Question::Accounts { contract })? {
        Answer::Accounts { accounts } => Ok(accounts),
        _ => Err(Failed::say(Exit::Internal, "read the daemon's answer")),
    }
}

fn list(accounts: &[Account], form: Form) -> Result<Exit, Failed> {
    if form == Form::Json {
        accounts.iter().try_for_each(print::json)?;
        return Ok(Exit::Done);
    }
    let state = |account: &Account| match account.blocked_because() {
        Some(why) => format!("{why}; {}", account.remedy()),
        None => "open".to_owned(),
    };
    let rows: Vec<_> = accounts
        .iter()
        .map(|account| {
            let service = account.service.clone().unwrap_or_else(|| "-".to_owned());
            let (reference, contract) = (account.reference.to_string(), account.contract.to_string());
            vec![reference, account.id.to_string(), contract, account.person.to_string(), service, state(account)]
        })
        .collect();
    print::out(&print::table(&["REFERENCE", "ACCOUNT ID", "CONTRACT", "PERSON", "SERVICE", "STATE"], &rows))?;
    Ok(Exit::Done)
}

/// Asks for something to be done and says that it was.
pub(super) fn done(context: &Context, question: Question, form: Form) -> Result<Exit, Failed> {
    let Answer::Done { text } = context.ask(question)? else {
        return Err(Failed::say(Exit::Internal, "read the daemon's answer"));
    };
    match form {
        Form::Json => print::json(&serde_json::json!({"done": text}))?,
        Form::Text => print::line(&text)?,
    }
    Ok(Exit::Done)
}
