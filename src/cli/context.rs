//! What most commands need: the configuration, the keys, the store or the daemon that has it.

use super::{
    exit::{Exit, Failed},
    print,
    terminology::{self, Asked},
};
use crate::{
    admin::{self, Answer, Audit, CallError, Caller, Deed, Desk, Offline, Question, Schedule},
    config::{self, Config, ConfigErrors, RuleRefusal},
    intake::Spool,
    model::{ChannelName, ContractName, Secret},
    push::{Agent, Client, Destination, Timeouts, Trust},
    store::{SledStore, Store, StoreError},
    validate::Policy,
};
use std::{
    collections::BTreeMap,
    ffi::OsString,
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};

/// The configuration file where none is named.
pub(super) const DEFAULT_FILE: &str = "pushbridge.toml";

/// How long a store that another command has open is waited for.
const LOCK_PATIENCE: Duration = Duration::from_secs(10);
const LOCK_LOOK: Duration = Duration::from_millis(20);

/// A loaded configuration and the paths that follow from it.
pub(super) struct Context {
    pub(super) config: Config,
    /// What opening the store did about damage.
    pub(super) rebuilt: OnceLock<String>,
}

impl Context {
    /// Loads the configuration and tells its warnings.
    pub(super) fn load(file: &Path) -> Result<Self, Failed> {
        match config::load(file, admits_rule) {
            Ok(config) => Ok(Self { config, rebuilt: OnceLock::new() }),
            Err(error @ ConfigErrors::File { .. }) => Err(Failed::new(Exit::Unreadable, error)),
            Err(error) => Err(Failed::new(Exit::Config, error)),
        }
    }

    pub(super) fn socket(&self) -> PathBuf {
        self.config.state.join("control.sock")
    }

    pub(super) fn store_folder(&self) -> PathBuf {
        self.config.state.join("store")
    }

    /// Opens the store, which no daemon may have open. Another command has it for a moment only: that moment is waited for.
    pub(super) fn open_store(&self) -> Result<Arc<dyn Store>, Failed> {
        let sealer = self.sealer()?;
        let limit = Instant::now() + LOCK_PATIENCE;
        loop {
            match SledStore::open(&self.store_folder(), sealer.clone()) {
                Ok(store) => {
                    if let Some(rebuilt) = store.rebuilt() {
                        print::complain(&format!("pushbridge: {rebuilt}"));
                        self.rebuilt.get_or_init(|| rebuilt.to_string());
                    }
                    return Ok(Arc::new(store));
                }
                Err(StoreError::Locked { .. }) if Instant::now() < limit && !admin::is_running(&self.socket()) => {
                    std::thread::sleep(LOCK_LOOK);
                }
                Err(error @ StoreError::Locked { .. }) => return Err(Failed::new(Exit::Busy, error)),
                Err(error) => return Err(Failed::new(Exit::Unreadable, error)),
            }
        }
    }

    /// The terminology server, where one is named. Its answers are kept where the state folder is there already.
    pub(super) fn terminology(&self) -> Result<Option<Arc<Asked>>, Failed> {
        let settings = &self.config.terminology;
        let Some(url) = &settings.url else { return Ok(None) };
        Asked::new(settings, url, Some(self.config.state.join(terminology::FILE))).map(|asked| Some(Arc::new(asked)))
    }

    pub(super) fn audit(&self) -> Audit {
        Audit::new(&self.config.state)
    }

    /// Does what no daemon may do for us, with its lines in the audit log: none before, nothing done.
    pub(super) fn audited<T>(&self, deed: Deed, act: impl FnOnce() -> Result<T, Failed>) -> Result<T, Failed> {
        let audit = self.audit();
        own_folder(&self.config.state)?;
        let begun = audit.begin(&this_caller()?, vec![deed]).map_err(|error| {
            let path = audit.path().display();
            let text = format!("nothing was done, because it cannot be written into the audit log {path}: {error}");
            Failed::sentence(Exit::Unreadable, text)
        })?;
        let acted = act();
        let outcome = match &acted {
            Ok(_) => Ok("done".to_owned()),
            Err(failed) => Err(format!("failed to {:#}", failed.error)),
        };
        let ended = audit.end(begun.into_iter().map(|begun| (begun, outcome.clone())).collect());
        if let Err(error) = ended {
            print::complain(&format!("pushbridge: what became of it is not in the audit log: {error}"));
        }
        acted
    }

    pub(super) fn spools(&self) -> Result<BTreeMap<ChannelName, Spool>, Failed> {
        let open = |(name, channel): (&ChannelName, &config::Channel)| {
            let spool = Spool::open(&channel.folder).map_err(|error| Failed::new(Exit::Unreadable, error))?;
            Ok((name.clone(), spool))
        };
        self.config.channels.iter().map(open).collect()
    }

    pub(super) fn clients(&self) -> Result<BTreeMap<ContractName, Arc<Client>>, Failed> {
        let make = |(name, contract): (&ContractName, &config::Contract)| {
            Ok((name.clone(), Arc::new(client(name, contract, self.config.limits.connections)?)))
        };
        self.config.contracts.iter().map(make).collect()
    }

    /// What is looked after by the clock, by contract.
    pub(super) fn schedules(&self) -> BTreeMap<ContractName, Schedule> {
        let schedule = |contract: &config::Contract| Schedule {
            accounts_sync: contract.accounts_sync,
            token_warning: contract.token_warning,
        };
        self.config.contracts.iter().map(|(name, contract)| (name.clone(), schedule(contract))).collect()
    }

    /// Asks the daemon, or answers from the store where none runs.
    pub(super) fn ask(&self, question: Question) -> Result<Answer, Failed> {
        runtime()?.block_on(self.ask_beside(question))
    }

    /// [`Context::ask`] for a command that does something else meanwhile. Without a daemon the store is open only for
    /// the moment of the answer.
    pub(super) async fn ask_beside(&self, question: Question) -> Result<Answer, Failed> {
        let answer = match admin::call(&self.socket(), &question).await {
            Ok(answer) => answer,
            Err(CallError::NotRunning) => match self.desk() {
                Ok(desk) => desk.answer(question, &this_caller()?).await,
                // A daemon that was just starting has the store now, and answers.
                Err(busy) if busy.exit == Exit::Busy => {
                    admin::call(&self.socket(), &question).await.map_err(|_| busy)?
                }
                Err(failed) => return Err(failed),
            },
            Err(error) => return Err(Failed::new(Exit::Unreadable, error)),
        };
        match answer {
            Answer::Failed { text, api } => Err(Failed::sentence(if api { Exit::Api } else { Exit::No }, text)),
            answer => Ok(answer),
        }
    }

    /// A desk of our own, for the moment of one command.
    fn desk(&self) -> Result<Desk<Offline>, Failed> {
        let store = self.open_store()?;
        // Only a few questions speak to the API; a key that is not there yet must not stop the others.
        let (mut clients, mut unusable) = (BTreeMap::new(), BTreeMap::new());
        for (name, contract) in &self.config.contracts {
            match client(name, contract, self.config.limits.connections) {
                Ok(client) => drop(clients.insert(name.clone(), Arc::new(client))),
                Err(failed) => drop(unusable.insert(name.clone(), format!("failed to {:#}", failed.error))),
            }
        }
        Ok(Desk {
            hash_key: self.hash_key()?,
            sealer: self.sealer()?,
            spools: self.spools()?,
            clients,
            unusable,
            schedules: self.schedules(),
            audit: self.audit(),
            retention: self.config.retention,
            hands: Offline { store: store.clone() },
            store,
        })
    }
}

/// Whether a channel's settings may change the rule of a key.
pub(super) fn admits_rule(key: &str) -> Result<(), RuleRefusal> {
    Policy::admits(key).map_err(|why| RuleRefusal { what: why.to_string(), remedy: why.remedy() })
}

fn this_caller() -> Result<Caller, Failed> {
    Caller::of_this_process()
        .map_err(|error| Failed::say(Exit::Unreadable, format!("read from /proc who runs this: {error}")))
}

/// The client of one contract.
pub(super) fn client(name: &ContractName, contract: &config::Contract, connections: usize) -> Result<Client, Failed> {
    let read = |path: &Path, key: &str| {
        fs::read_to_string(path).map_err(|error| {
            Failed::say(Exit::Config, format!("read contract.{name}.{key} {}: {error}", path.display()))
        })
    };
    let key_pem = Secret::new(read(&contract.key_file, "key_file")?);
    let authorities_pem = contract.ca_file.as_deref().map(|path| read(path, "ca_file")).transpose()?;
    let identity_pem = match (&contract.client_cert, &contract.client_key) {
        (Some(certificate), Some(key)) => {
            let key = Secret::new(read(key, "client_key")?);
            Some(Secret::new(format!("{}\n{}", read(certificate, "client_cert")?, key.expose())))
        }
        _ => None,
    };
    let destination = Destination {
        base_url: contract.base_url.clone(),
        onboard_url: contract.onboard_url.clone(),
        application_id: contract.application_id.clone(),
        contract_id: contract.contract_id.clone(),
        key_pem,
        jku_origins: contract.jku_origins.clone(),
        timeouts: Timeouts {
            connect: contract.connect_timeout,
            idle: contract.idle_timeout,
            total: contract.total_timeout,
            ..Timeouts::default()
        },
        trust: Trust { authorities_pem, identity_pem },
        proxy: contract.proxy.clone(),
        idle_connections: connections,
        agent: Agent::default(),
    };
    Client::new(destination).map_err(|error| Failed::say(Exit::Config, format!("use contract.{name}: {error}")))
}

pub(super) fn make_folder(path: &Path) -> Result<(), Failed> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|error| Failed::say(Exit::Unreadable, format!("make the folder {}: {error}", path.display())))
}

/// A folder that only we may look into: made, or closed again; another user's is refused, because what we put there
/// would be that user's to read, and what that user's daemon needs would be ours.
pub(super) fn own_folder(path: &Path) -> Result<(), Failed> {
    make_folder(path)?;
    let failed = |error| Failed::say(Exit::Unreadable, format!("use the folder {}: {error}", path.display()));
    let metadata = fs::metadata(path).map_err(failed)?;
    if metadata.uid() != rustix::process::geteuid().as_raw() {
        return Err(Failed::say(
            Exit::Unreadable,
            format!(
                "use the folder {}: it belongs to another user (uid {}); run this as that user, or chown the folder",
                path.display(),
                metadata.uid()
            ),
        ));
    }
    close_to_others(path, &metadata, 0o700).map_err(failed)
}

/// Takes away what others may do with it.
pub(super) fn close_to_others(path: &Path, metadata: &fs::Metadata, mode: u32) -> io::Result<()> {
    if metadata.mode() & 0o077 == 0 {
        return Ok(());
    }
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
}

/// Removes a file; none of that name is no error.
pub(super) fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// A file for us alone in the place of the one before: it has the old bytes or the new ones, whatever happens.
pub(super) fn write_anew(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut name = OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(".new");
    let draft = path.with_file_name(name);
    remove_if_there(&draft)?;
    write_new(&draft, bytes)?;
    fs::rename(&draft, path)?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

/// A new file for us alone; never replaces one.
pub(super) fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

pub(super) fn runtime() -> Result<tokio::runtime::Runtime, Failed> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failed::new(Exit::Internal, error))
}
