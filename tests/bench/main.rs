//! The figures of the README: the built daemon against the sandbox on this machine, as ratios from one run.
//!
//! `cargo bench` prints them. The yardstick is one RSA-2048 PS512 signature by aws-lc-rs, which no push can do without.

use aws_lc_rs::{
    rand::SystemRandom,
    rsa::KeySize,
    signature::{RSA_PSS_SHA512, RsaKeyPair},
};
use pushbridge::sandbox::{self, NewPerson, Options, PublicKey, Sandbox, generate_key_pem};
use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

const ACCOUNTS: usize = 32;
const DELIVERIES: usize = 4_000;
const WAITING: usize = 100_000;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    // `cargo test --benches` and the like only want to know that it runs.
    if arguments.iter().any(|argument| argument == "--test") {
        return;
    }
    let is_wanted = |name: &str| arguments.is_empty() || arguments.iter().any(|argument| argument == name);
    for connections in [1, 32] {
        if is_wanted("deliveries") || arguments.contains(&connections.to_string()) {
            deliveries(connections);
        }
    }
    if is_wanted("start") {
        let stand = Stand::new(8);
        say(&format!("start to first push: {:.0} ms", stand.first_push().as_secs_f64() * 1e3));
    }
    if is_wanted("waiting") {
        let stand = Stand::new(8);
        let (rss, wall) = stand.hold_back(WAITING);
        let seconds = wall.as_secs_f64();
        say(&format!("{WAITING} files waiting: RSS {} MB; all claimed and judged in {seconds:.0} s", rss >> 20));
    }
}

fn deliveries(connections: usize) {
    let stand = Stand::new(connections);
    let before = signature_micros();
    let run = stand.deliver(DELIVERIES);
    // The machine may be another's too: the yardstick is taken on both sides of what it measures.
    let signature = f64::midpoint(before, signature_micros());
    let per_delivery = run.cpu.as_secs_f64() * 1e6 / DELIVERIES as f64;
    say(&format!(
        "{connections:2} connections: {:.0} deliveries/s; {per_delivery:.0} us of CPU each = {:.2} signatures of {signature:.0} us; RSS {} MB",
        DELIVERIES as f64 / run.wall.as_secs_f64(),
        per_delivery / signature,
        run.rss >> 20
    ));
}

fn say(text: &str) {
    writeln!(std::io::stdout(), "{text}").expect("standard output can be written");
}

fn signature_micros() -> f64 {
    const ROUNDS: u32 = 2_000;
    let key = RsaKeyPair::generate(KeySize::Rsa2048).expect("a key can be made");
    let (random, mut signature) = (SystemRandom::new(), vec![0; key.public_modulus_len()]);
    let begun = own_cpu();
    for round in 0..ROUNDS {
        key.sign(&RSA_PSS_SHA512, &random, &round.to_be_bytes(), &mut signature).expect("a key signs");
    }
    (own_cpu() - begun).as_secs_f64() * 1e6 / f64::from(ROUNDS)
}

/// CPU time of this thread, in the kernel's nanoseconds.
fn own_cpu() -> Duration {
    let facts = fs::read_to_string("/proc/thread-self/schedstat").expect("the kernel keeps its accounts");
    Duration::from_nanos(facts.split(' ').next().and_then(|spent| spent.parse().ok()).expect("a number of nanoseconds"))
}

struct Run {
    wall: Duration,
    cpu: Duration,
    rss: u64,
}

struct Stand {
    folder: tempfile::TempDir,
    sandbox: Sandbox,
    _runtime: tokio::runtime::Runtime,
    person: NewPerson,
}

/// A Bundle of about 10 KB; the number makes each another one.
fn bundle(number: usize) -> Vec<u8> {
    let entry = |index: usize| {
        format!(
            r#"{{"fullUrl":"urn:uuid:00000000-0000-4000-8000-{number:06x}{index:06x}","resource":{{"resourceType":"Observation","status":"final","category":[{{"coding":[{{"system":"http://hl7.org/fhir/observation-category","code":"vital-signs","display":"Vital Signs"}}]}}],"code":{{"coding":[{{"system":"http://loinc.org","code":"29463-7","display":"Body weight"}}]}},"subject":{{"reference":"urn:uuid:00000000-0000-4000-8000-{number:06x}ffffff","display":"Alex Example"}},"effectiveDateTime":"2026-11-{:02}T08:00:00+01:00","valueQuantity":{{"value":72.{index:02},"unit":"kg","system":"http://unitsofmeasure.org","code":"kg"}}}},"request":{{"method":"POST","url":"Observation"}}}}"#,
            index % 28 + 1
        )
    };
    let observations: Vec<_> = (0..14).map(entry).collect();
    format!(
        r#"{{"resourceType":"Bundle","type":"batch","entry":[{{"fullUrl":"urn:uuid:00000000-0000-4000-8000-{number:06x}ffffff","resource":{{"resourceType":"Patient","name":[{{"family":"Example","given":["Alex"]}}],"gender":"other","birthDate":"1985-12-16"}},"request":{{"method":"POST","url":"Patient"}}}},{}]}}"#,
        observations.join(",")
    )
    .into_bytes()
}

impl Stand {
    fn new(connections: usize) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let pem = generate_key_pem();
        fs::write(folder.path().join("key.pem"), &pem).expect("the key is written");
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
        let options = Options {
            port: 0,
            application_id: "app".to_owned(),
            contract_id: "contract".to_owned(),
            public_key: PublicKey::from_pem(&pem).expect("a key that was just made"),
            access_lifetime: Duration::from_secs(86_400),
            refresh_lifetime: Duration::from_secs(30 * 86_400),
        };
        let sandbox = runtime.block_on(sandbox::start(options)).expect("a sandbox");
        let config = format!(
            "[log]\nlevel = \"warn\"\n[limits]\nconnections = {connections}\nmin_free = \"1MB\"\n[contract.main]\napplication_id = \"app\"\n\
             contract_id = \"contract\"\nkey_file = \"key.pem\"\nbase_url = \"{}\"\n[channel.clinic]\ncontract = \"main\"\ninbox = \"inbox\"\n\
             quiet = \"50ms\"\n[channel.clinic.route]\nfolder = true\n",
            sandbox.base_url()
        );
        fs::write(folder.path().join("pushbridge.toml"), config).expect("the configuration is written");
        let services: Vec<String> = (0..ACCOUNTS).map(|number| format!("service {number}")).collect();
        let services: Vec<&str> = services.iter().map(String::as_str).collect();
        let person = sandbox.state().add_person(&services);
        let stand = Self { folder, sandbox, _runtime: runtime, person };
        for account in 0..ACCOUNTS {
            fs::create_dir_all(stand.path(&format!("inbox/{account}"))).expect("an inbox");
        }
        fs::write(stand.path("tokens.json"), stand.person.tokens.to_string()).expect("tokens");
        stand.command(&["tokens", "import", "--contract", "main", &stand.path("tokens.json").display().to_string()]);
        stand.command(&["accounts", "sync", "--contract", "main"]);
        for (number, account) in stand.person.accounts.iter().enumerate() {
            stand.command(&["links", "add", "clinic", "folder", &number.to_string(), &account.reference]);
        }
        stand
    }

    fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    fn program(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pushbridge"));
        command.arg("--config").arg(self.path("pushbridge.toml")).stdin(Stdio::null()).stdout(Stdio::null());
        command
    }

    fn command(&self, arguments: &[&str]) {
        assert!(self.program().args(arguments).status().expect("the program runs").success(), "{arguments:?}");
    }

    fn drop_files(&self, count: usize) {
        for number in 0..count {
            let path = self.path(&format!("inbox/{}/{number}.json", number % ACCOUNTS));
            fs::write(path, bundle(number)).expect("a file is dropped");
        }
    }

    fn received(&self) -> usize {
        self.sandbox.state().received_count()
    }

    fn daemon(&self) -> Daemon {
        Daemon(self.program().arg("run").spawn().expect("the daemon starts"))
    }

    /// All files lie there before it starts: what is measured is the daemon, not the exporter.
    fn deliver(&self, count: usize) -> Run {
        self.drop_files(count);
        let daemon = self.daemon();
        let begun = Instant::now();
        wait(|| self.received() >= count);
        let wall = begun.elapsed();
        // What is delivered is also settled: report, move, record.
        wait(|| fs::read_dir(self.path("channels/clinic/done")).is_ok_and(|entries| entries.count() == 3 * count));
        Run { wall, cpu: daemon.cpu(), rss: daemon.rss() }
    }

    fn first_push(&self) -> Duration {
        self.drop_files(1);
        let _daemon = self.daemon();
        let begun = Instant::now();
        wait(|| self.received() >= 1);
        // The time that the file must rest is the user's setting, not the daemon's work.
        begun.elapsed().saturating_sub(Duration::from_millis(50))
    }

    /// The API says no to everybody, so that all files wait.
    fn hold_back(&self, count: usize) -> (u64, Duration) {
        let body = r#"{"error":{"code":"InvalidClient"}}"#.to_owned();
        let refusal = sandbox::Fault::Status { status: 401, headers: std::collections::BTreeMap::new(), body };
        self.sandbox.state().order(sandbox::Target::Push, refusal.clone(), 1_000);
        self.sandbox.state().order(sandbox::Target::Accounts, refusal, 1_000_000);
        let daemon = self.daemon();
        let begun = Instant::now();
        self.drop_files(count);
        let work = self.path("channels/clinic/work");
        wait(|| fs::read_dir(&work).is_ok_and(|entries| entries.count() >= count));
        (daemon.rss(), begun.elapsed())
    }
}

fn wait(is_so: impl Fn() -> bool) {
    let limit = Instant::now() + Duration::from_secs(600);
    while !is_so() {
        assert!(Instant::now() < limit, "it takes too long");
        std::thread::sleep(Duration::from_millis(5));
    }
}

struct Daemon(Child);

impl Daemon {
    fn proc(&self, file: &str) -> String {
        fs::read_to_string(Path::new("/proc").join(self.0.id().to_string()).join(file)).expect("the daemon runs")
    }

    /// User and system time, in the kernel's hundredths of a second.
    fn cpu(&self) -> Duration {
        let stat = self.proc("stat");
        let fields: Vec<&str> = stat.rsplit(") ").next().expect("the fields behind the name").split(' ').collect();
        let ticks: u64 = [11, 12].iter().map(|field| fields[*field].parse::<u64>().expect("a number of ticks")).sum();
        Duration::from_millis(ticks * 10)
    }

    fn rss(&self) -> u64 {
        let status = self.proc("status");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("the kernel tells it");
        line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number of KB") * 1024
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.0.kill().unwrap_or_default();
        self.0.wait().map(drop).unwrap_or_default();
    }
}
