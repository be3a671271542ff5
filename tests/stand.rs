//! What the tests of the whole bridge stand on: a folder, the sandbox, and the built program as a process.

use pushbridge::{
    model::Digest,
    sandbox::{NewPerson, Options, PublicKey, Received, Sandbox, State, generate_key_pem, start},
};
use serde_json::Value;
use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};

/// Making a key takes a moment: all tests share one.
static KEY: OnceLock<String> = OnceLock::new();

pub(crate) struct Stand {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) sandbox: Arc<State>,
    pub(crate) daemon: Option<Child>,
    // The sandbox lives as long as its runtime.
    _served: (tokio::runtime::Runtime, Sandbox),
}

/// The program under test.
pub(crate) fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pushbridge"));
    command.env_remove("PUSHBRIDGE_CONFIG");
    command
}

impl Stand {
    /// With one contract and these channel tables; `INBOX` stands for a channel's inbox.
    pub(crate) fn new(channels: &str) -> Self {
        Self::with_access_lifetime(channels, Duration::from_secs(3600))
    }

    pub(crate) fn with_access_lifetime(channels: &str, access_lifetime: Duration) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let pem = KEY.get_or_init(generate_key_pem);
        fs::write(folder.path().join("key.pem"), pem).unwrap();
        let options = Options {
            port: 0,
            application_id: "app".to_owned(),
            contract_id: "contract".to_owned(),
            public_key: PublicKey::from_pem(pem).unwrap(),
            access_lifetime,
            refresh_lifetime: Duration::from_secs(86_400 * 30),
        };
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let sandbox = runtime.block_on(start(options)).unwrap();
        let config = format!(
            "[limits]\nmin_free = \"1MB\"\nshutdown_grace = \"5s\"\n[contract.main]\napplication_id = \"app\"\n\
             contract_id = \"contract\"\nkey_file = \"key.pem\"\nbase_url = \"{}\"\nonboard_url = \"{}\"\n\
             connect_timeout = \"2s\"\nidle_timeout = \"1s\"\ntotal_timeout = \"30s\"\n{channels}",
            sandbox.base_url(),
            sandbox.onboard_url()
        );
        fs::write(folder.path().join("pushbridge.toml"), config).unwrap();
        fs::create_dir(folder.path().join("inbox")).unwrap();
        Self { folder, sandbox: sandbox.state(), daemon: None, _served: (runtime, sandbox) }
    }

    /// A channel `clinic` that goes by folders and settles quickly.
    pub(crate) fn by_folder() -> Self {
        Self::new(
            "[channel.clinic]\ncontract = \"main\"\ninbox = \"inbox\"\nquiet = \"100ms\"\n[channel.clinic.route]\nfolder = true\n",
        )
    }

    /// Changes the configuration's text before a daemon reads it.
    pub(crate) fn edit_config(&self, edit: impl FnOnce(String) -> String) {
        let path = self.path("pushbridge.toml");
        fs::write(&path, edit(fs::read_to_string(&path).unwrap())).unwrap();
    }

    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    /// A person whose tokens and accounts the program knows.
    pub(crate) fn person(&self, services: &[&str]) -> NewPerson {
        let person = self.sandbox.add_person(services);
        let tokens = self.path("tokens.json");
        fs::write(&tokens, person.tokens.to_string()).unwrap();
        self.ok(&["tokens", "import", "--contract", "main", tokens.to_str().unwrap()]);
        self.ok(&["accounts", "sync", "--contract", "main"]);
        person
    }

    pub(crate) fn link_folder(&self, folder: &str, reference: &str) {
        self.ok(&["links", "add", "clinic", "folder", folder, reference]);
    }

    /// Puts a file into the inbox by a rename, as a careful exporter does.
    pub(crate) fn drop_file(&self, path: &str, bytes: &[u8]) {
        let target = self.path("inbox").join(path);
        fs::create_dir_all(target.parent().unwrap()).unwrap();
        let draft = target.with_extension("tmp");
        fs::write(&draft, bytes).unwrap();
        fs::rename(draft, target).unwrap();
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        let config = self.path("pushbridge.toml");
        program().arg("--config").arg(config).args(arguments).stdin(Stdio::null()).output().unwrap()
    }

    /// Runs a command that must succeed; its standard output.
    pub(crate) fn ok(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let (out, error) =
            (String::from_utf8(output.stdout).unwrap(), String::from_utf8_lossy(&output.stderr).into_owned());
        assert!(output.status.success(), "{arguments:?}: {out}{error}{}", self.log());
        out
    }

    /// `run --once`, with the code that it ends with.
    pub(crate) fn once(&self) -> i32 {
        let output = self.run(&["run", "--once", "--max-time", "30s"]);
        let code = output.status.code().unwrap();
        let log = String::from_utf8_lossy(&output.stderr);
        assert!([0, 1].contains(&code), "{log}");
        println!("{log}{}", self.ok(&["queue", "why", "ALL"]));
        code
    }

    pub(crate) fn start_daemon(&mut self) {
        self.start_daemon_with(&[]);
    }

    /// Starts the daemon with these variables.
    pub(crate) fn start_daemon_with(&mut self, variables: &[(&str, PathBuf)]) {
        self.spawn_daemon(variables);
        self.wait("the daemon answers", || self.run(&["--json", "status"]).stdout.starts_with(br#"{"running":true"#));
    }

    /// Starts the daemon with these variables, and does not wait for it.
    pub(crate) fn spawn_daemon(&mut self, variables: &[(&str, PathBuf)]) {
        let log = fs::File::options().create(true).append(true).open(self.path("log")).unwrap();
        let mut command = program();
        let config = self.path("pushbridge.toml");
        command.arg("--config").arg(config).arg("run").stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        self.daemon = Some(command.envs(variables.iter().cloned()).spawn().unwrap());
    }

    pub(crate) fn kill_daemon(&mut self) {
        if let Some(mut daemon) = self.daemon.take() {
            daemon.kill().unwrap();
            daemon.wait().unwrap();
        }
    }

    /// SIGTERM; the code that it ends with.
    pub(crate) fn stop_daemon(&mut self) -> Option<i32> {
        let mut daemon = self.daemon.take()?;
        let id = rustix::process::Pid::from_raw(i32::try_from(daemon.id()).unwrap()).unwrap();
        rustix::process::kill_process(id, rustix::process::Signal::TERM).unwrap();
        daemon.wait().unwrap().code()
    }

    /// A file of /proc about the daemon.
    pub(crate) fn proc(&self, file: &str) -> PathBuf {
        Path::new("/proc").join(self.daemon.as_ref().expect("a daemon").id().to_string()).join(file)
    }

    /// The most memory that the daemon had at once, in MB.
    pub(crate) fn peak_megabytes(&self) -> u64 {
        let status = fs::read_to_string(self.proc("status")).unwrap();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        peak.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1024
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    /// Waits for what must come; a limit, not a pace.
    pub(crate) fn wait(&self, what: &str, is_so: impl FnMut() -> bool) {
        self.wait_at_most(Duration::from_secs(120), what, is_so);
    }

    /// As [`Stand::wait`], for what is more work than a machine that is busy otherwise does in two minutes.
    pub(crate) fn wait_at_most(&self, limit: Duration, what: &str, mut is_so: impl FnMut() -> bool) {
        let limit = Instant::now() + limit;
        while !is_so() {
            assert!(Instant::now() < limit, "{what}\n{}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Every record, newest first.
    pub(crate) fn records(&self) -> Vec<Value> {
        let text = self.ok(&["--json", "queue", "ls", "ALL"]);
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// The one record of a file that was dropped under this path.
    pub(crate) fn record(&self, path: &str) -> Value {
        let mut found: Vec<_> =
            self.records().into_iter().filter(|record| record["submission"]["origin"]["path"] == path).collect();
        assert_eq!(found.len(), 1, "records of {path}\n{}", self.log());
        found.remove(0)
    }

    pub(crate) fn stage(&self, path: &str) -> String {
        let found = self.records();
        let record = found.iter().find(|record| record["submission"]["origin"]["path"] == path);
        record.map_or_else(String::new, |record| record["submission"]["stage"]["stage"].as_str().unwrap().to_owned())
    }

    pub(crate) fn wait_for_stage(&self, path: &str, stage: &str) {
        self.wait(&format!("{path} is {stage}, it is {}", self.stage(path)), || self.stage(path) == stage);
    }

    /// What the sandbox took of these bytes.
    pub(crate) fn received(&self, bytes: &[u8]) -> Vec<Received> {
        let digest = Digest::of(bytes);
        self.sandbox.received().into_iter().filter(|push| push.sha256 == digest).collect()
    }
}

impl Drop for Stand {
    fn drop(&mut self) {
        self.kill_daemon();
    }
}

/// A sample.
pub(crate) fn sample(path: &str) -> Vec<u8> {
    fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("samples").join(path)).unwrap()
}

/// The names in a folder.
pub(crate) fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(folder)
        .map(|entries| entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect())
        .unwrap_or_default();
    names.sort();
    names
}
