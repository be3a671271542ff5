//! `pushbridge profiles add` and `rm` from outside: files, a package cache, and a registry on this machine.

mod hostile;
pub(crate) mod registry;
mod shipped;

use registry::{Registry, files, package, profile};
use serde_json::{Value, json};
use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

/// A set-up folder, and a home with a package cache.
struct Stand {
    folder: tempfile::TempDir,
}

impl Stand {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("home/.fhir/packages")).unwrap();
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pushbridge"));
        command.current_dir(self.folder.path()).env("HOME", self.path("home")).env_remove("PUSHBRIDGE_CONFIG");
        command.arg("profiles").args(arguments).output().unwrap()
    }

    /// The JSON lines of a command that works.
    fn ok(&self, arguments: &[&str]) -> Vec<Value> {
        let output = self.run(&[arguments, &["--json"]].concat());
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", text(&output.stderr));
        text(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// What a command that does not work says, and how it ends; it leaves the folder as it was.
    fn no(&self, arguments: &[&str]) -> (i32, String) {
        let before = self.content();
        let output = self.run(arguments);
        assert_eq!(self.content(), before, "{arguments:?}");
        assert_eq!(text(&output.stdout), "");
        (output.status.code().unwrap(), text(&output.stderr))
    }

    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        fs::create_dir_all(self.path(name).parent().unwrap()).unwrap();
        fs::write(self.path(name), bytes).unwrap();
    }

    /// Unpacks a package into the cache.
    fn cache(&self, name: &str, version: &str, needs: &Value) {
        for (file, content) in files(name, version, needs) {
            self.write(&format!("home/.fhir/packages/{name}#{version}/package/{file}"), content);
        }
        self.write(&format!("home/.fhir/packages/{name}#{version}/package/.index.json"), "not read");
        self.write(&format!("home/.fhir/packages/{name}#{version}/package/example/a.json"), "not read");
    }

    /// Every file of the folder with its content.
    fn content(&self) -> Vec<(String, Vec<u8>)> {
        let Ok(entries) = fs::read_dir(self.path("profiles")) else { return Vec::new() };
        let read = |path: &Path| (path.file_name().unwrap().to_str().unwrap().to_owned(), fs::read(path).unwrap());
        let mut all: Vec<_> = entries.map(|entry| read(&entry.unwrap().path())).collect();
        all.sort();
        all
    }

    fn names(&self) -> Vec<String> {
        self.content().into_iter().map(|(name, _)| name).collect()
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn of<'v>(rows: &'v [Value], key: &str) -> Vec<&'v str> {
    rows.iter().filter_map(|row| row[key].as_str()).collect()
}

#[test]
fn a_file_is_added_listed_and_removed() {
    use std::os::unix::fs::PermissionsExt;
    let stand = Stand::new();
    stand.write("in/any-name.tgz", package("clinic.own", "1.0.0", &json!({"hl7.fhir.r3.core": "3.0.2"})));
    let base = "http://hl7.org/fhir/StructureDefinition/Patient";
    stand.write("in/own.json", profile("http://example.org/fhir/StructureDefinition/own", base).to_string());
    let added = stand.ok(&["add", "in/any-name.tgz", "in/own.json"]);
    assert_eq!(of(&added, "file"), ["clinic.own-1.0.0.tgz", "own.json"]);
    assert_eq!(of(&added, "state"), ["added", "added"]);
    assert_eq!(stand.names(), ["clinic.own-1.0.0.tgz", "own.json", "profiles.lock"]);
    for name in stand.names() {
        let mode = fs::metadata(stand.path("profiles").join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    // once more changes nothing
    let before = stand.content();
    assert_eq!(of(&stand.ok(&["add", "in/any-name.tgz", "clinic.own@1.0.x"]), "state"), ["present"]);
    assert_eq!(stand.content(), before);

    stand.write("profiles/dropped.json", profile("http://example.org/fhir/StructureDefinition/d", base).to_string());
    let listed = stand.ok(&["ls"]);
    let files: Vec<(&str, &str, bool)> = listed
        .iter()
        .filter(|row| row["kind"] == "file")
        .map(|row| (row["file"].as_str().unwrap(), row["source"].as_str().unwrap(), row["locked"].as_bool().unwrap()))
        .collect();
    let expected =
        [("clinic.own-1.0.0.tgz", "file", true), ("dropped.json", "dropped", false), ("own.json", "file", true)];
    assert_eq!(files, expected);
    assert_eq!(listed.iter().filter(|row| row["kind"] == "profile").count(), 3);
    let drawn = text(&stand.run(&["ls"]).stdout);
    assert!(drawn.contains("dropped.json          -                 -       dropped there by hand"), "{drawn}");

    assert_eq!(of(&stand.ok(&["rm", "clinic.own", "dropped.json"]), "state"), ["removed", "removed"]);
    assert_eq!(stand.names(), ["own.json", "profiles.lock"]);
    let (code, told) = stand.no(&["rm", "clinic.own"]);
    assert_eq!(code, 1);
    assert!(told.contains("there is no clinic.own in profiles"), "{told}");
}

#[test]
fn a_package_and_what_it_needs_come_from_the_cache_and_then_from_the_registry() {
    let stand = Stand::new();
    let registry = Registry::start();
    stand.cache("clinic.own", "1.0.0", &json!({"clinic.base": "2.0.x", "hl7.fhir.r3.core": "3.0.1"}));
    stand.cache("clinic.own", "1.0.1-beta", &json!({}));
    let base = package("clinic.base", "2.0.10", &json!({"clinic.deep": "1.0.0"}));
    registry.publishes("clinic.base", &[("2.0.9", b"never fetched"), ("2.0.10", &base), ("2.1.0", b"never fetched")]);
    registry.publishes("clinic.deep", &[("1.0.0", &package("clinic.deep", "1.0.0", &json!({})))]);

    let (code, told) = stand.no(&["add", "clinic.own@1.0.x"]);
    assert_eq!(code, 1);
    assert!(told.contains("clinic.own-1.0.0.tgz needs clinic.base@2.0.x: it is not in"), "{told}");
    assert!(told.contains("no registry is named"), "{told}");
    assert_eq!(registry.asked(), [""; 0], "nothing is asked unless a registry is named");

    stand.write("pushbridge.toml", format!("[profiles]\nregistry = \"{}\"\n", registry.url));
    let added = stand.ok(&["add", "clinic.own@1.0.x"]);
    let expected = ["clinic.base-2.0.10.tgz", "clinic.deep-1.0.0.tgz", "clinic.own-1.0.0.tgz"];
    assert_eq!(of(&added, "file"), expected);
    let address = format!("{}/", registry.url);
    assert_eq!(of(&added, "source"), [&address, &address, "cache"]);
    assert_eq!(added[0]["as_dependency"], true);
    let asked =
        ["/npm/clinic.base", "/npm/-/clinic.base-2.0.10.tgz", "/npm/clinic.deep", "/npm/-/clinic.deep-1.0.0.tgz"];
    assert_eq!(registry.asked(), asked);
    assert_eq!(stand.content()[0].1, base, "the package's own bytes");

    let lock: Value = serde_json::from_slice(&fs::read(stand.path("profiles/profiles.lock")).unwrap()).unwrap();
    let digest = pushbridge::model::Digest::of(&base).to_string();
    assert_eq!(lock["files"][0]["sha256"], digest.as_str());
    assert_eq!(lock["files"][2]["needs"]["clinic.base"], "2.0.x");
    let checked = stand.run(&["check"]);
    assert_eq!(checked.status.code(), Some(0), "{}", text(&checked.stdout));

    let (code, told) = stand.no(&["rm", "clinic.base"]);
    assert_eq!(code, 1);
    assert!(told.contains("clinic.own-1.0.0.tgz needs clinic.base@2.0.10; nothing was removed"), "{told}");
    let removed = stand.run(&["rm", "clinic.own", "clinic.base@2.0.10"]);
    assert_eq!(removed.status.code(), Some(0));
    assert!(
        text(&removed.stderr).contains("nothing needs clinic.deep-1.0.0.tgz any more"),
        "{}",
        text(&removed.stderr)
    );
    assert_eq!(stand.names(), ["clinic.deep-1.0.0.tgz", "profiles.lock"]);
}

#[test]
fn the_cache_gives_the_same_bytes_every_time() {
    let (one, other) = (Stand::new(), Stand::new());
    for stand in [&one, &other] {
        stand.cache("clinic.own", "1.0.0", &json!({}));
        assert_eq!(of(&stand.ok(&["add", "clinic.own#1.0.0"]), "source"), ["cache"]);
    }
    assert_eq!(one.content(), other.content());
}

#[test]
fn packages_that_need_each_other_are_added_and_told() {
    let stand = Stand::new();
    stand.cache("clinic.a", "1.0.0", &json!({"clinic.b": "1.0.0"}));
    stand.cache("clinic.b", "1.0.0", &json!({"clinic.a": "1.0.0"}));
    let added = stand.run(&["add", "clinic.a@1.0.0"]);
    assert_eq!(added.status.code(), Some(0), "{}", text(&added.stderr));
    assert!(text(&added.stderr).contains("need each other in a circle"), "{}", text(&added.stderr));
    assert!(text(&added.stderr).contains("clinic.a, clinic.b"));
    assert_eq!(stand.names(), ["clinic.a-1.0.0.tgz", "clinic.b-1.0.0.tgz", "profiles.lock"]);
}

#[test]
fn what_is_missing_is_told_unless_it_is_left_out() {
    let stand = Stand::new();
    stand.write("own.tgz", package("clinic.own", "1.0.0", &json!({"clinic.base": "2.0.0", "clinic.other": "^1.0.0"})));
    let (code, told) = stand.no(&["add", "own.tgz"]);
    assert_eq!(code, 1);
    assert!(told.contains("needs clinic.base@2.0.0: it is not in"), "{told}");
    assert!(told.contains("needs a version of clinic.other that cannot be found"), "{told}");
    assert_eq!(of(&stand.ok(&["add", "own.tgz", "--no-dependencies"]), "state"), ["added"]);
    // two files of one command are each other's
    let stand = Stand::new();
    stand.write("own.tgz", package("clinic.own", "1.0.0", &json!({"clinic.base": "2.0.0"})));
    stand.write("base.tgz", package("clinic.base", "2.0.0", &json!({})));
    assert_eq!(of(&stand.ok(&["add", "own.tgz", "base.tgz"]), "state"), ["added", "added"]);
}

#[test]
fn a_changed_or_lost_file_is_told_at_every_load() {
    let stand = Stand::new();
    stand.write("own.tgz", package("clinic.own", "1.0.0", &json!({})));
    stand.write("other.tgz", package("clinic.other", "1.0.0", &json!({})));
    stand.ok(&["add", "own.tgz", "other.tgz"]);
    stand.write("profiles/clinic.own-1.0.0.tgz", package("clinic.own", "1.0.0", &json!({"a.b": "1.0.0"})));
    fs::remove_file(stand.path("profiles/clinic.other-1.0.0.tgz")).unwrap();
    for arguments in [&["ls"][..], &["check"], &["show", "clinic.own-1.0.0"], &["add", "own.tgz"]] {
        let (code, told) = stand.no(arguments);
        assert_eq!(code, 1);
        assert!(told.contains("profiles is not as profiles.lock says: clinic.other-1.0.0.tgz is gone"), "{told}");
        assert!(told.contains("clinic.own-1.0.0.tgz has another content (SHA-256 "), "{told}");
    }
    stand.ok(&["rm", "clinic.own-1.0.0.tgz", "clinic.other"]);
    assert_eq!(stand.names(), ["profiles.lock"]);
    stand.ok(&["add", "own.tgz"]);
    stand.write("profiles/profiles.lock", "{}");
    let (code, told) = stand.no(&["ls"]);
    assert_eq!(code, 3);
    assert!(told.contains("profiles.lock: it is damaged"), "{told}");
}

#[test]
fn one_command_at_a_time_changes_the_folder() {
    let stand = Stand::new();
    stand.write("own.tgz", package("clinic.own", "1.0.0", &json!({})));
    stand.write("profiles/README.md", "not read");
    let held = fs::File::open(stand.path("profiles")).unwrap();
    held.lock().unwrap();
    for arguments in [["add", "own.tgz"], ["rm", "clinic.own"]] {
        let (code, told) = stand.no(&arguments);
        assert_eq!(code, 5);
        assert!(told.contains("another pushbridge is changing profiles"), "{told}");
    }
    drop(held);
    stand.ok(&["add", "own.tgz"]);
}

#[test]
fn another_content_is_never_put_in_place_of_what_is_there() {
    let stand = Stand::new();
    stand.write("own.tgz", package("clinic.own", "1.0.0", &json!({})));
    stand.write("unlike.tgz", package("clinic.own", "1.0.0", &json!({"hl7.fhir.r3.core": "3.0.2"})));
    for both in [["own.tgz", "unlike.tgz"], ["unlike.tgz", "own.tgz"]] {
        let (code, told) = stand.no(&[&["add"][..], &both].concat());
        assert_eq!(code, 1);
        assert!(told.contains("clinic.own-1.0.0.tgz is named twice with another content"), "{told}");
    }
    // dropped by hand under another name
    stand.write("profiles/mine.tgz", package("clinic.own", "1.0.0", &json!({})));
    let (code, told) = stand.no(&["add", "unlike.tgz"]);
    assert_eq!(code, 1);
    assert!(told.contains("mine.tgz is there already with another content"), "{told}");
    let added = stand.ok(&["add", "own.tgz"]);
    assert_eq!((of(&added, "file"), of(&added, "state")), (vec!["mine.tgz"], vec!["present"]));
    assert_eq!(stand.names(), ["mine.tgz", "profiles.lock"]);
}
