//! The demo's set-up: folder, key, sandbox, persons, configuration, and the daemon as a process of its own.

use super::super::{
    Form,
    context::{make_folder, write_new},
    exit::{Exit, Failed},
    print,
};
use crate::{
    admin::{self, Answer, CallError, Question, Recorded, Selector},
    config,
    model::{AccountReference, ContractName, EvidenceKind, random_bytes},
    push::{Client, Invitation, OfficialTokens},
    sandbox::{self, Fault, NewPerson, Options, PublicKey, Received, Sandbox, Target, generate_key_pem},
};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};
use tokio::process::{Child, Command};

const CONTRACT: &str = "sandbox";
const CHANNEL: &str = "demo";

/// Everything that the demo runs on.
pub(super) struct Stand {
    folder: PathBuf,
    inbox: PathBuf,
    socket: PathBuf,
    sandbox: Option<Sandbox>,
    daemon: Child,
    alex: NewPerson,
    robin: AccountReference,
    began: Instant,
}

impl Stand {
    /// Starts everything; the persons have said yes when this returns.
    pub(super) async fn set_up(form: Form) -> Result<Self, Failed> {
        let began = Instant::now();
        let number: [u8; 6] = random_bytes();
        let number: String = number.iter().map(|byte| format!("{byte:02x}")).collect();
        let folder = std::env::temp_dir().join(format!("pushbridge-demo-{number}"));
        let inbox = folder.join("inbox");
        for name in ["alex-home", "alex-clinic", "robin", "unmapped"] {
            make_folder(&inbox.join(name))?;
        }
        let pem = generate_key_pem();
        let internal = |error: std::io::Error| Failed::new(Exit::Internal, error);
        write_new(&folder.join("contract.key.pem"), pem.as_bytes()).map_err(internal)?;
        let public_key =
            PublicKey::from_pem(&pem).ok_or_else(|| Failed::say(Exit::Internal, "read the key that was just made"))?;
        let options = Options {
            port: 0,
            application_id: "demo-app".to_owned(),
            contract_id: "demo-contract".to_owned(),
            public_key,
            access_lifetime: Duration::from_secs(3600),
            refresh_lifetime: Duration::from_secs(30 * 24 * 3600),
        };
        let sandbox = sandbox::start(options).await.map_err(internal)?;
        let file = folder.join("pushbridge.toml");
        write_new(&file, configuration(&sandbox).as_bytes()).map_err(internal)?;
        let daemon = start_daemon(&file, &folder)?;
        let alex = sandbox.state().add_person(&["Home measurements", "Clinic"]);
        let mut stand = Self {
            socket: folder.join("state/control.sock"),
            robin: alex.accounts[0].reference.parse().map_err(|error| Failed::new(Exit::Internal, error))?,
            sandbox: Some(sandbox),
            folder,
            inbox,
            daemon,
            alex,
            began,
        };
        stand.wait_for_daemon().await?;
        stand.authorise(&file).await?;
        if form == Form::Text {
            print::line(&format!("folder   {}", stand.folder.display()))?;
            print::line("persons  Alex with two accounts, Robin with one; both have said yes")?;
            print::line("daemon   watches inbox/; the sub-folder says whose account it is\n")?;
        }
        stand.began = Instant::now();
        Ok(stand)
    }

    /// Alex' tokens are imported as the official client hands them out; Robin authorises with code and verifier.
    async fn authorise(&mut self, file: &Path) -> Result<(), Failed> {
        let contract: ContractName = parse(CONTRACT)?;
        let tokens: OfficialTokens =
            serde_json::from_value(self.alex.tokens.clone()).map_err(|error| Failed::new(Exit::Internal, error))?;
        let (tokens, person, consent_id) = tokens.into_parts();
        let person = person.ok_or_else(|| Failed::say(Exit::Internal, "read the sandbox' tokens"))?;
        self.ask(Question::ImportTokens { contract: contract.clone(), person, tokens, consent_id }).await?;
        let config = config::load(file, super::super::context::admits_rule)
            .map_err(|error| Failed::new(Exit::Internal, error))?;
        let client = super::super::context::client(&contract, &config.contracts[&contract], 1)?;
        let robin = self.authorise_robin(&client, &contract).await?;
        self.ask(Question::SyncAccounts { contract }).await?;
        let homes = [("alex-home", 0), ("alex-clinic", 1)];
        for (folder, account) in homes {
            let reference = parse(&self.alex.accounts[account].reference)?;
            self.link(folder, reference).await?;
        }
        self.link("robin", robin.clone()).await?;
        self.robin = robin;
        Ok(())
    }

    async fn authorise_robin(&self, client: &Client, contract: &ContractName) -> Result<AccountReference, Failed> {
        let api = |error: crate::push::Failure| Failed::new(Exit::Api, error);
        let begun = client
            .authorize(&Invitation { callback: "http://127.0.0.1/callback", ..Invitation::default() })
            .await
            .map_err(api)?;
        let callback = self.state().say_yes(&begun.url);
        let callback = callback.ok_or_else(|| Failed::say(Exit::Internal, "find the authorisation in the sandbox"))?;
        let granted = begun.callback(&callback).map_err(|error| Failed::new(Exit::Api, error))?;
        let code = granted.code.ok_or_else(|| Failed::say(Exit::Api, "read the code of the callback"))?;
        let tokens = client.exchange_code(&code, &begun.verifier).await.map_err(api)?;
        let (contract, person, consent_id) = (contract.clone(), tokens.person, tokens.consent_id);
        self.ask(Question::ImportTokens { contract, person, tokens: tokens.pair, consent_id }).await?;
        granted.reference.ok_or_else(|| Failed::say(Exit::Api, "read the accountReference of the callback"))
    }

    async fn link(&self, folder: &str, account: AccountReference) -> Result<(), Failed> {
        let (channel, kind) = (parse(CHANNEL)?, EvidenceKind::Folder);
        self.ask(Question::AddLink { channel, kind, system: None, value: folder.to_owned(), account }).await.map(drop)
    }

    async fn ask(&self, question: Question) -> Result<Answer, Failed> {
        match admin::call(&self.socket, &question).await {
            Ok(Answer::Failed { text, .. }) => Err(Failed::sentence(Exit::No, text)),
            Ok(answer) => Ok(answer),
            Err(error) => Err(Failed::new(Exit::Unreadable, error)),
        }
    }

    async fn wait_for_daemon(&mut self) -> Result<(), Failed> {
        let limit = Instant::now() + Duration::from_secs(10);
        loop {
            match admin::call(&self.socket, &Question::Tokens).await {
                Ok(_) => return Ok(()),
                Err(CallError::NotRunning) if Instant::now() < limit => {}
                Err(error) => return Err(Failed::new(Exit::Internal, error)),
            }
            if let Ok(Some(status)) = self.daemon.try_wait() {
                return Err(Failed::say(Exit::Internal, format!("start the daemon: it ended with {status}")));
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    fn state(&self) -> std::sync::Arc<sandbox::State> {
        self.sandbox.as_ref().expect("the sandbox runs until the demo is shut down").state()
    }

    pub(super) fn inbox(&self) -> &Path {
        &self.inbox
    }

    pub(super) fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    pub(super) async fn submissions(&self) -> Result<Vec<Recorded>, Failed> {
        let selector = Selector { all: true, ..Selector::default() };
        match self.ask(Question::Find { selector }).await? {
            Answer::Submissions { submissions } => Ok(submissions),
            _ => Err(Failed::say(Exit::Internal, "read the daemon's answer")),
        }
    }

    pub(super) fn received(&self) -> Vec<Received> {
        self.state().received()
    }

    pub(super) fn expire_token_of_alex(&self) {
        self.state().expire_access_token(&self.alex.id);
    }

    pub(super) fn answer_503_once(&self) {
        let headers = BTreeMap::from([("retry-after".to_owned(), "1".to_owned())]);
        self.state().order(Target::Push, Fault::Status { status: 503, headers, body: String::new() }, 1);
    }

    pub(super) async fn link_unmapped_to_robin(&self) -> Result<(), Failed> {
        self.link("unmapped", self.robin.clone()).await
    }

    /// SIGTERM to the daemon, and the end of the sandbox.
    pub(super) async fn shut_down(&mut self) -> Result<(), Failed> {
        let id = self.daemon.id().and_then(|id| i32::try_from(id).ok()).and_then(rustix::process::Pid::from_raw);
        if let Some(id) = id {
            rustix::process::kill_process(id, rustix::process::Signal::TERM)
                .map_err(|error| Failed::new(Exit::Internal, error))?;
        }
        let ended = tokio::time::timeout(Duration::from_secs(10), self.daemon.wait()).await;
        let ended = ended.map_err(|_| Failed::say(Exit::Internal, "end the daemon: it did not leave in time"))?;
        let status = ended.map_err(|error| Failed::new(Exit::Internal, error))?;
        if let Some(sandbox) = self.sandbox.take() {
            sandbox.stop().await;
        }
        if status.success() {
            Ok(())
        } else {
            Err(Failed::say(Exit::Internal, format!("end the daemon well: {status}")))
        }
    }

    /// Says where the reports lie, or removes them.
    pub(super) fn leave(&self, keep: bool, form: Form) -> Result<(), Failed> {
        let reports = self.folder.join("channels").join(CHANNEL);
        if keep {
            return match form {
                Form::Text => print::line(&format!(
                    "files and reports lie in {}/done, failed, held and duplicates; the log is {}",
                    reports.display(),
                    self.folder.join("log").display()
                )),
                Form::Json => print::json(&serde_json::json!({"reports": reports})),
            };
        }
        fs::remove_dir_all(&self.folder).map_err(|error| Failed::new(Exit::Unreadable, error))?;
        if form == Form::Text {
            print::line(
                "a report lay beside every file in done, failed, held and duplicates; --keep leaves the folder",
            )?;
        }
        Ok(())
    }
}

fn parse<T: std::str::FromStr<Err = crate::model::InvalidId>>(text: &str) -> Result<T, Failed> {
    text.parse().map_err(|error| Failed::new(Exit::Internal, error))
}

fn configuration(sandbox: &Sandbox) -> String {
    format!(
        "[log]\nformat = \"human\"\n[limits]\nmin_free = \"1MB\"\n[contract.{CONTRACT}]\napplication_id = \"demo-app\"\n\
         contract_id = \"demo-contract\"\nkey_file = \"contract.key.pem\"\nbase_url = \"{}\"\nonboard_url = \"{}\"\n\
         [channel.{CHANNEL}]\ncontract = \"{CONTRACT}\"\ninbox = \"inbox\"\nquiet = \"200ms\"\nrename_in = true\n\
         [channel.{CHANNEL}.route]\nfolder = true\n",
        sandbox.base_url(),
        sandbox.onboard_url()
    )
}

fn start_daemon(file: &Path, folder: &Path) -> Result<Child, Failed> {
    let internal = |error: std::io::Error| Failed::new(Exit::Internal, error);
    let program = std::env::current_exe().map_err(internal)?;
    let log = fs::File::create(folder.join("log")).map_err(internal)?;
    Command::new(program)
        .arg("--config")
        .arg(file)
        .arg("run")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .kill_on_drop(true)
        .spawn()
        .map_err(internal)
}
