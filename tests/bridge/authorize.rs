//! Authorising a person with the built program: the listener and a browser that follows the sandbox' pages, the address
//! given by hand, and everything that may go wrong between.

use super::stand::{Stand, names, program, sample};
use pushbridge::sandbox::{Consent, Fault, Target};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead, BufReader, Read, Write},
    os::unix::fs::PermissionsExt,
    process::{Child, ChildStdout, Stdio},
};

/// What a browser got in the end.
struct Page {
    status: u16,
    headers: BTreeMap<String, String>,
    body: String,
}

fn request(method: reqwest::Method, url: &str) -> (Page, String) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let response = client.request(method, url).send().await.unwrap();
        let headers = response.headers().iter();
        let headers = headers.map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned())).collect();
        let (status, last) = (response.status().as_u16(), response.url().to_string());
        (Page { status, headers, body: response.text().await.unwrap() }, last)
    })
}

/// Opens the link, presses the button, and follows where it leads; the last page and its address.
fn press(link: &str, button: &str) -> (Page, String) {
    let (asked, _) = request(reqwest::Method::GET, link);
    assert_eq!(asked.status, 200, "{}", asked.body);
    let actions = asked.body.split("action=\"").skip(1).map(|rest| rest.split('"').next().unwrap().to_owned());
    let action = actions.into_iter().find(|action| action.ends_with(&format!("say={button}"))).unwrap();
    let address = format!("{}/{}", link.rsplit_once('/').unwrap().0, action.replace("&amp;", "&"));
    request(reqwest::Method::POST, &address)
}

/// A command that waits for an answer.
struct Waiting {
    command: Child,
    out: BufReader<ChildStdout>,
    begun: Value,
}

impl Waiting {
    fn start(stand: &Stand, arguments: &[&str]) -> Self {
        let mut command = spawn(stand, &[&["--json"], arguments].concat());
        let mut out = BufReader::new(command.stdout.take().unwrap());
        let mut line = String::new();
        out.read_line(&mut line).unwrap();
        let begun = serde_json::from_str(&line).unwrap_or_else(|_| {
            let mut error = String::new();
            command.stderr.take().unwrap().read_to_string(&mut error).unwrap();
            panic!("{arguments:?}: {line}{error}")
        });
        Self { command, out, begun }
    }

    fn link(&self) -> &str {
        self.begun["link"].as_str().unwrap()
    }

    fn callback(&self) -> &str {
        self.begun["callback"].as_str().unwrap()
    }

    /// Its code, what it printed last, and what it complained of.
    fn end(mut self) -> (i32, Value, String) {
        let (mut text, mut error) = (String::new(), String::new());
        self.out.read_to_string(&mut text).unwrap();
        self.command.stderr.take().unwrap().read_to_string(&mut error).unwrap();
        let code = self.command.wait().unwrap().code().unwrap();
        for secret in ["code-", "token-", "verifier"] {
            assert!(!text.contains(secret) && !error.contains(secret), "{secret}: {text}{error}");
        }
        (code, serde_json::from_str(&text).unwrap_or_default(), error)
    }
}

/// The link of a command that does not wait.
fn link_by_hand(stand: &Stand, arguments: &[&str]) -> String {
    let begun: Value = serde_json::from_str(&stand.ok(&[&["--json"], arguments, &["--by-hand"]].concat())).unwrap();
    assert!(begun["waits_until"].is_null());
    begun["link"].as_str().unwrap().to_owned()
}

/// Gives an address to standard input.
fn paste(stand: &Stand, command: &str, address: &str) -> (i32, String) {
    let mut child = spawn(stand, &[command, "--callback-url", "-"]);
    writeln!(child.stdin.take().unwrap(), "  {address}").unwrap();
    let output = child.wait_with_output().unwrap();
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(!text.contains("code-") && !text.contains("token-"), "{text}");
    (output.status.code().unwrap(), text)
}

fn pending(stand: &Stand) -> Vec<String> {
    names(&stand.path("state/authorisations"))
}

fn spent() -> Fault {
    let body = r#"{"error":{"code":"InvalidToken","message":"m"}}"#.to_owned();
    Fault::Status { status: 401, headers: BTreeMap::new(), body }
}

#[test]
fn a_person_at_this_machine_is_authorised_by_a_click_and_a_file_goes() {
    let stand = Stand::by_folder();
    let waiting = Waiting::start(&stand, &["authorize", "case-7"]);
    assert_eq!(waiting.begun["label"], "case-7");
    assert!(waiting.callback().starts_with("http://127.0.0.1:"), "{}", waiting.begun);
    assert!(waiting.link().contains("sourceType=push"));
    let (page, last) = press(waiting.link(), "yes");
    assert!(last.starts_with(waiting.callback()));
    assert_eq!((page.status, page.body.contains("Thank you")), (200, true), "{}", page.body);
    let policy = &page.headers["content-security-policy"];
    assert!(policy.starts_with("default-src 'none';") && policy.contains("frame-ancestors 'none'"), "{policy}");
    assert_eq!(page.headers["referrer-policy"], "no-referrer");
    assert_eq!(page.headers["cache-control"], "no-store");
    assert!(!page.body.contains("<script") && !page.body.contains("code-") && !page.body.contains("ref-"));
    let (code, ended, error) = waiting.end();
    assert_eq!(code, 0, "{error}");
    let reference = ended["authorised"]["account"]["reference"].as_str().unwrap().to_owned();
    let add = format!("pushbridge links add clinic folder FOLDER-NAME {reference}");
    assert_eq!(ended["links_to_add"], serde_json::json!([add]));
    assert!(pending(&stand).is_empty(), "what was kept is removed after its use");
    stand.link_folder("alex", &reference);
    let bytes = sample("valid/weight-batch.json");
    stand.drop_file("alex/weight.json", &bytes);
    assert_eq!(stand.once(), 0);
    assert_eq!(stand.received(&bytes)[0].account_id, ended["authorised"]["account"]["id"].as_str().unwrap());
}

#[test]
fn beside_a_daemon_the_ordered_link_releases_what_was_held() {
    let mut stand = Stand::by_folder();
    stand.start_daemon();
    stand.drop_file("alex/weight.json", &sample("valid/weight-batch.json"));
    stand.wait_for_stage("alex/weight.json", "held");
    let refused = stand.run(&["authorize", "--link", "clinic:patient=http://x.example|1"]);
    assert_eq!(refused.status.code(), Some(2), "what could not be linked is refused before anybody is asked");
    let waiting = Waiting::start(&stand, &["authorize", "--link", "clinic:folder=alex", "--locale", "nl"]);
    assert!(waiting.link().contains("lng=nl"));
    let (page, _) = press(waiting.link(), "yes");
    assert!(page.body.contains("<html lang=\"nl\">") && page.body.contains("Dank u"), "{}", page.body);
    let (code, ended, error) = waiting.end();
    assert_eq!(
        (code, ended["links_made"].as_u64(), ended["links_to_add"].as_array().unwrap().len()),
        (0, Some(1), 0),
        "{error}"
    );
    stand.wait_for_stage("alex/weight.json", "delivered");
    assert!(!stand.log().contains("code-") && !stand.log().contains("token-"));
}

#[test]
fn an_address_that_was_sent_back_is_given_by_hand_once() {
    let stand = Stand::by_folder();
    let link = link_by_hand(&stand, &["authorize", "case-8", "--public-url", "https://clinic.example/thanks"]);
    let kept = pending(&stand);
    let file = stand.path("state/authorisations").join(&kept[0]);
    assert_eq!((kept.len(), fs::metadata(&file).unwrap().permissions().mode() & 0o777), (1, 0o600));
    let address = stand.sandbox.say_yes(&link).unwrap();
    assert!(address.starts_with("https://clinic.example/thanks?"));
    let (code, text) = paste(&stand, "authorize", &address);
    assert_eq!(code, 0, "{text}");
    assert!(
        text.starts_with("case-8: person person-") && text.contains("pushbridge links add clinic folder"),
        "{text}"
    );
    assert!(pending(&stand).is_empty());
    let (code, text) = paste(&stand, "authorize", &address);
    assert_eq!((code, text.contains("begin again")), (1, true), "{text}");
    assert_eq!(stand.ok(&["--json", "accounts", "ls"]).lines().count(), 1);
    assert_eq!(stand.run(&["authorize", "--callback-url", "nonsense"]).status.code(), Some(2));
}

#[test]
fn a_no_is_a_no_on_both_ways() {
    let stand = Stand::by_folder();
    let waiting = Waiting::start(&stand, &["authorize"]);
    let (page, last) = press(waiting.link(), "no");
    assert_eq!((page.status, page.body.contains("You did not give permission")), (200, true), "{}", page.body);
    let (code, _, error) = waiting.end();
    assert_eq!((code, error.contains("not given (UserCancelled)")), (1, true), "{error}");
    let waiting = Waiting::start(&stand, &["authorize"]);
    let (code, text) = paste(&stand, "authorize", &last);
    assert_eq!((code, text.contains("begin again")), (1, true), "the first link is over: {text}");
    let mut waiting = waiting;
    waiting.command.kill().unwrap();
    waiting.command.wait().unwrap();
    let link = link_by_hand(&stand, &["authorize"]);
    // The page cannot be reached, as it is when the person sits elsewhere; its address is what counts.
    let state = stand.sandbox.say_yes(&link).unwrap();
    let state = state.split("state=").nth(1).unwrap().split('&').next().unwrap().to_owned();
    let no = format!("http://127.0.0.1/x?state={state}&success=false&errorCode=UserCancelled");
    let (code, text) = paste(&stand, "authorize", &no);
    assert_eq!((code, text.contains("UserCancelled")), (1, true), "{text}");
    assert_eq!(stand.ok(&["--json", "tokens", "status"]), "");
}

#[test]
fn a_callback_of_another_link_is_not_used_and_does_not_disturb() {
    let stand = Stand::by_folder();
    let waiting = Waiting::start(&stand, &["authorize"]);
    let callback = waiting.callback().to_owned();
    let foreign = format!("{callback}?success=true&state=somebodys&code=code-evil&accountReference=ref-evil");
    let (page, _) = request(reqwest::Method::GET, &foreign);
    assert_eq!((page.status, page.body.contains("This link cannot be used")), (400, true), "{}", page.body);
    assert!(!page.body.contains("evil"));
    assert_eq!(request(reqwest::Method::GET, &callback).0.status, 404);
    assert_eq!(request(reqwest::Method::HEAD, &foreign).0.status, 404);
    assert_eq!(press(waiting.link(), "yes").0.status, 200);
    let (code, ended, error) = waiting.end();
    assert_eq!(code, 0, "{error}");
    assert!(error.contains("another link"), "{error}");
    assert!(ended["authorised"]["account"]["reference"].as_str().unwrap() != "ref-evil");
}

#[test]
fn a_wait_ends_in_time_or_by_an_interrupt_and_the_link_can_still_be_answered() {
    let stand = Stand::by_folder();
    let waiting = Waiting::start(&stand, &["authorize", "--wait", "100ms"]);
    let link = waiting.link().to_owned();
    let (code, _, error) = waiting.end();
    assert_eq!((code, error.contains("nobody answered in time")), (7, true), "{error}");
    let (code, text) = paste(&stand, "authorize", &stand.sandbox.say_yes(&link).unwrap());
    assert_eq!(code, 0, "{text}");
    let waiting = Waiting::start(&stand, &["authorize"]);
    // The listener answers only once the interrupt is waited for as well.
    assert_eq!(request(reqwest::Method::GET, waiting.callback()).0.status, 404);
    let id = rustix::process::Pid::from_raw(i32::try_from(waiting.command.id()).unwrap()).unwrap();
    rustix::process::kill_process(id, rustix::process::Signal::INT).unwrap();
    let (code, _, error) = waiting.end();
    assert_eq!((code, error.contains("stopped before the person answered")), (1, true), "{error}");
}

#[test]
fn an_answer_that_cannot_be_used_at_once_can_be_given_again() {
    let stand = Stand::by_folder();
    let address = stand.sandbox.say_yes(&link_by_hand(&stand, &["authorize"])).unwrap();
    let body = r#"{"error":{"code":"Busy"}}"#.to_owned();
    stand.sandbox.order(Target::Exchange, Fault::Status { status: 503, headers: BTreeMap::new(), body }, 1);
    let (code, text) = paste(&stand, "authorize", &address);
    assert_eq!((code, text.contains("nothing is lost yet"), pending(&stand).len()), (6, true, 1), "{text}");
    let (code, text) = paste(&stand, "authorize", &address);
    assert_eq!((code, pending(&stand).len()), (0, 0), "{text}");
}

#[test]
fn a_daemon_that_is_told_to_end_keeps_the_tokens_that_are_on_their_way_first() {
    let mut stand = Stand::by_folder();
    let address = stand.sandbox.say_yes(&link_by_hand(&stand, &["authorize"])).unwrap();
    stand.sandbox.order(Target::Exchange, Fault::Slow { millis: 700 }, 1);
    stand.start_daemon();
    let command = spawn(&stand, &["authorize", "--callback-url", &address]);
    stand.wait("the exchange is under way", || stand.sandbox.stats().requests.contains_key("exchange"));
    assert_eq!(stand.stop_daemon(), Some(0));
    command.wait_with_output().unwrap();
    assert!(stand.ok(&["tokens", "status"]).contains("fresh"));
    stand.ok(&["accounts", "sync", "--contract", "main"]);
    assert_eq!(stand.ok(&["--json", "accounts", "ls"]).lines().count(), 1);
}

#[test]
fn a_spent_refresh_token_holds_its_bundles_until_the_right_person_authorises_again() {
    let mut stand = Stand::by_folder();
    let person = stand.person(&["clinic"]);
    stand.link_folder("alex", &person.accounts[0].reference);
    stand.sandbox.expire_access_token(&person.id);
    stand.sandbox.order(Target::Refresh, spent(), 1);
    stand.start_daemon();
    let bytes = sample("valid/weight-batch.json");
    stand.drop_file("alex/weight.json", &bytes);
    let command = format!("pushbridge reauthorize {} --contract main", person.id);
    stand.wait("the person is paused", || stand.ok(&["status"]).contains(&command));
    assert!(stand.log().contains(&command), "{}", stand.log());
    let why = stand.ok(&["queue", "why", "weight.json"]);
    assert!(why.contains("it waits for its person") && why.contains(&command), "{why}");
    // Somebody else follows the link.
    let robin = stand.sandbox.add_person(&["clinic"]);
    let waiting = Waiting::start(&stand, &["reauthorize", &person.id]);
    let address = stand.sandbox.say_yes_as(waiting.link(), Some(&robin.id)).unwrap();
    let (page, _) = request(reqwest::Method::GET, &address);
    assert_eq!((page.status, page.body.contains("This link cannot be used")), (400, true), "{}", page.body);
    let (code, _, error) = waiting.end();
    assert_eq!((code, error.contains("another person's tokens, and they were not kept")), (1, true), "{error}");
    let tokens: Value = serde_json::from_str(&stand.ok(&["status", "--json"])).unwrap();
    assert_eq!(
        (tokens["tokens"][0]["state"].as_str(), tokens["tokens"].as_array().unwrap().len()),
        (Some("paused"), 1)
    );
    assert_eq!(stand.stage("alex/weight.json"), "ready");
    let waiting = Waiting::start(&stand, &["reauthorize", &person.id]);
    assert!(waiting.link().contains("/user-reauth?"), "{}", waiting.link());
    assert_eq!(press(waiting.link(), "yes").0.status, 200);
    let (code, ended, error) = waiting.end();
    assert_eq!((code, ended["authorised"]["person"].as_str()), (0, Some(person.id.as_str())), "{error}");
    stand.wait_for_stage("alex/weight.json", "delivered");
    assert_eq!(stand.received(&bytes).len(), 1);
}

#[test]
fn a_refresh_that_is_under_way_does_no_harm_to_the_tokens_that_come_meanwhile() {
    let mut stand = Stand::by_folder();
    let person = stand.person(&["clinic"]);
    stand.link_folder("alex", &person.accounts[0].reference);
    stand.sandbox.expire_access_token(&person.id);
    stand.sandbox.order(Target::Refresh, Fault::Slow { millis: 800 }, 1);
    stand.start_daemon();
    let bytes = sample("valid/weight-batch.json");
    stand.drop_file("alex/weight.json", &bytes);
    let link = link_by_hand(&stand, &["reauthorize", &person.id]);
    stand.wait("the refresh is under way", || stand.sandbox.stats().requests.contains_key("refresh"));
    let (code, text) = paste(&stand, "reauthorize", &stand.sandbox.say_yes(&link).unwrap());
    assert_eq!(code, 0, "{text}");
    stand.wait("the refresh has ended", || stand.log().contains("authorised again meanwhile"));
    stand.wait_for_stage("alex/weight.json", "delivered");
    assert_eq!(stand.stop_daemon(), Some(0));
    let tokens: Value = serde_json::from_str(&stand.ok(&["--json", "tokens", "status"])).unwrap();
    assert_eq!(tokens["state"], "fresh", "the old pair's end says nothing of the new one, nor does the store");
    stand.drop_file("alex/glucose.json", &sample("valid/glucose-batch.json"));
    assert_eq!(stand.once(), 0);
    assert_eq!(stand.sandbox.stats().refreshes, 0);
}

#[test]
fn a_person_whom_the_api_no_longer_knows_by_the_token_is_asked_as_for_the_first_time() {
    let stand = Stand::by_folder();
    let person = stand.person(&["clinic"]);
    // Another program has renewed the tokens: ours are nobody's now.
    let link = link_by_hand(&stand, &["authorize"]);
    let elsewhere = stand.sandbox.say_yes_as(&link, Some(&person.id)).unwrap();
    assert_eq!(paste(&stand, "authorize", &elsewhere).0, 0);
    stand.ok(&["tokens", "import", "--contract", "main", stand.path("tokens.json").to_str().unwrap()]);
    let begun = stand.ok(&["--json", "reauthorize", &person.id, "--by-hand"]);
    let begun: Value = serde_json::from_str(&begun).unwrap();
    let link = begun["link"].as_str().unwrap();
    assert!(link.contains("/authorize?") && begun["note"].as_str().unwrap().contains("first time"), "{begun}");
    let (code, text) = paste(&stand, "reauthorize", &stand.sandbox.say_yes(link).unwrap());
    assert_eq!((code, text.contains("were not kept")), (1, true), "a new person is not that person: {text}");
    let link = link_by_hand(&stand, &["reauthorize", &person.id]);
    let (code, text) = paste(&stand, "reauthorize", &stand.sandbox.say_yes_as(&link, Some(&person.id)).unwrap());
    assert_eq!(code, 0, "{text}");
}

#[test]
fn an_account_that_its_provider_blocks_goes_again_after_reauthorize_also_over_a_restart() {
    let mut stand = Stand::by_folder();
    let person = stand.person(&["clinic"]);
    let account = &person.accounts[0];
    stand.link_folder("alex", &account.reference);
    stand.sandbox.set_authorised(&account.id, Consent::Withdrawn);
    stand.start_daemon();
    let bytes = sample("valid/weight-batch.json");
    stand.drop_file("alex/weight.json", &bytes);
    let command = format!("pushbridge reauthorize {} --contract main", account.reference);
    stand.wait("the account is blocked", || stand.ok(&["accounts", "ls"]).contains(&command));
    let why = stand.ok(&["queue", "why", "weight.json"]);
    assert!(why.contains("it waits for its account") && why.contains(&command), "{why}");
    assert!(stand.ok(&["status"]).contains(&command));
    stand.stop_daemon();
    let pushes = stand.sandbox.stats().requests["push"];
    assert_eq!(stand.once(), 0);
    assert_eq!(stand.sandbox.stats().requests["push"], pushes, "what is blocked is not tried again by a restart");
    stand.start_daemon();
    let waiting = Waiting::start(&stand, &["reauthorize", &account.reference]);
    assert!(
        waiting.link().contains("/reauthorize?")
            && waiting.link().contains(&format!("accountRef={}", account.reference))
    );
    assert_eq!(press(waiting.link(), "yes").0.status, 200);
    let (code, ended, error) = waiting.end();
    assert_eq!((code, ended["authorised"]["account"]["id"].as_str()), (0, Some(account.id.as_str())), "{error}");
    stand.wait_for_stage("alex/weight.json", "delivered");
    assert_eq!(stand.received(&bytes).len(), 1);
    assert_eq!(stand.run(&["reauthorize", "nobody"]).status.code(), Some(1));
}

#[test]
fn accounts_are_read_on_a_schedule_and_one_that_vanishes_keeps_its_bundles_until_it_is_back() {
    let mut stand = Stand::by_folder();
    set_contract(&stand, "accounts_sync = \"200ms\"");
    let person = stand.person(&["home", "clinic"]);
    let account = &person.accounts[0];
    stand.link_folder("alex", &account.reference);
    stand.sandbox.set_listed(&account.id, false);
    stand.start_daemon();
    stand.wait("it is told", || stand.ok(&["status"]).contains("no longer lists it"));
    stand.drop_file("alex/weight.json", &sample("valid/weight-batch.json"));
    stand.wait_for_stage("alex/weight.json", "ready");
    let why = stand.ok(&["queue", "why", "weight.json"]);
    assert!(why.contains("no longer lists it") && why.contains("pushbridge authorize --contract main"), "{why}");
    assert_eq!(stand.sandbox.stats().requests.get("push"), None);
    stand.sandbox.set_listed(&account.id, true);
    stand.wait_for_stage("alex/weight.json", "delivered");
    let log = stand.log();
    assert_eq!((log.matches("account blocked").count(), log.matches("account open again").count()), (1, 1), "{log}");
    assert_eq!(stand.sandbox.stats().refreshes, 0);
}

#[test]
fn an_account_that_the_api_says_is_not_authorised_waits_and_its_answer_may_come_without_a_code() {
    let mut stand = Stand::by_folder();
    set_contract(&stand, "accounts_sync = \"200ms\"");
    let person = stand.person(&["clinic"]);
    let account = &person.accounts[0];
    stand.link_folder("alex", &account.reference);
    stand.sandbox.set_authorised(&account.id, Consent::Withdrawn);
    stand.start_daemon();
    let command =
        format!("no longer authorised at its provider; pushbridge reauthorize {} --contract main", account.reference);
    stand.wait("it is told", || stand.ok(&["status"]).contains(&command));
    stand.drop_file("alex/weight.json", &sample("valid/weight-batch.json"));
    stand.wait_for_stage("alex/weight.json", "ready");
    let link = link_by_hand(&stand, &["reauthorize", &account.reference]);
    let address = stand.sandbox.say_yes(&link).unwrap();
    let (before, rest) = address.split_once("&code=").unwrap();
    let without = format!("{before}&{}", rest.split_once('&').unwrap().1);
    let (code, text) = paste(&stand, "reauthorize", &without);
    assert_eq!(code, 0, "{text}");
    stand.wait_for_stage("alex/weight.json", "delivered");
    assert_eq!(stand.sandbox.stats().requests.get("exchange"), None);
}

#[test]
fn a_refresh_token_that_ends_soon_is_told_once_and_where_one_looks() {
    let mut stand = Stand::by_folder();
    set_contract(&stand, "token_warning = \"40d\"");
    let person = stand.person(&["clinic"]);
    stand.link_folder("alex", &person.accounts[0].reference);
    stand.start_daemon();
    let command = format!("pushbridge reauthorize {} --contract main", person.id);
    stand.wait("it is told", || stand.log().contains("a refresh token ends soon"));
    assert!(stand.log().contains(&command));
    assert!(stand.ok(&["status"]).contains("its refresh token ends soon"));
    let doctor = String::from_utf8(stand.run(&["doctor"]).stdout).unwrap();
    assert!(doctor.contains("warn  tokens of") && doctor.contains(&command), "{doctor}");
    assert_eq!(stand.log().matches("a refresh token ends soon").count(), 1);
}

/// A command that goes on while the test does something else.
fn spawn(stand: &Stand, arguments: &[&str]) -> Child {
    let mut command = program();
    command.arg("--config").arg(stand.path("pushbridge.toml")).args(arguments).stdin(Stdio::piped());
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Adds settings to the contract.
fn set_contract(stand: &Stand, settings: &str) {
    stand.edit_config(|text| text.replace("[contract.main]\n", &format!("[contract.main]\n{settings}\n")));
}
