//! `pushbridge validate` as people and pipelines use it: the built program over the samples.

use serde_json::Value;
use std::{
    fs,
    io::Write,
    os::unix::fs::symlink,
    path::Path,
    process::{Command, Output, Stdio},
};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// Runs `validate` in the project's folder; `input` is its standard input.
fn validate(arguments: &[&str], input: &[u8]) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_pushbridge"))
        .current_dir(ROOT)
        .arg("validate")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(input).unwrap();
    drop(stdin);
    child.wait_with_output().unwrap()
}

/// Its exit code and standard output.
fn answer(arguments: &[&str]) -> (i32, String) {
    let output = validate(arguments, b"");
    (output.status.code().unwrap(), String::from_utf8(output.stdout).unwrap())
}

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn no_form_depends_on_the_number_of_jobs() {
    for format in ["text", "json", "outcome", "junit", "sarif"] {
        let one = answer(&["--format", format, "--jobs", "1", "samples"]);
        let four = answer(&["--format", format, "--jobs", "4", "samples"]);
        assert_eq!(one.0, 1, "{format}");
        assert!(one.1.len() > 10_000, "{format}");
        assert!(one == four, "{format}");
    }
}

#[test]
fn no_progress_is_shown_where_standard_error_is_no_terminal() {
    for format in ["text", "json", "junit", "sarif"] {
        let output = validate(&["--format", format, "samples/invalid"], b"");
        assert_eq!(String::from_utf8(output.stderr).unwrap(), "", "{format}");
        assert!(!output.stdout.contains(&b'\r'), "{format}");
    }
}

#[test]
fn every_form_tells_of_the_same_files_in_sorted_order() {
    let (_, json) = answer(&["--json", "samples/invalid"]);
    let json = lines(&json);
    let names: Vec<&str> = json.iter().map(|line| line["file"].as_str().unwrap()).collect();
    assert!(names.len() > 100);
    assert!(names.is_sorted_by_key(Path::new));
    let (_, outcomes) = answer(&["--format", "outcome", "samples/invalid"]);
    let outcomes = lines(&outcomes);
    let named: Vec<&str> =
        outcomes.iter().map(|outcome| outcome["extension"][0]["valueString"].as_str().unwrap()).collect();
    assert_eq!(named, names);
    for (line, outcome) in json.iter().zip(&outcomes) {
        let is_error = |issue: &&Value| issue["severity"] == "error";
        let errors = |list: &Value| list.as_array().unwrap().iter().filter(is_error).count();
        assert_eq!(errors(&line["issues"]), errors(&outcome["issue"]), "{}", line["file"]);
    }
    let (_, junit) = answer(&["--format", "junit", "samples/invalid"]);
    let cases: Vec<&str> = junit.lines().filter(|line| line.starts_with("<testcase ")).collect();
    assert_eq!(cases.len(), names.len());
    assert!(cases.iter().zip(&names).all(|(case, name)| case.contains(&format!("name=\"{name}\""))));
    let failing = json.iter().filter(|line| line["valid"] == false).count();
    assert!(junit.contains(&format!("tests=\"{}\" failures=\"{failing}\" errors=\"0\"", names.len())));
    assert_eq!(junit.matches("<failure ").count(), failing);
    let (_, sarif) = answer(&["--format", "sarif", "samples/invalid"]);
    let sarif: Value = serde_json::from_str(&sarif).unwrap();
    let results = sarif["runs"][0]["results"].as_array().unwrap();
    let found: usize = json.iter().map(|line| line["issues"].as_array().unwrap().len()).sum();
    let open: usize = json.iter().map(|line| line["not_checked"].as_array().unwrap().len()).sum();
    assert_eq!(results.iter().filter(|result| result["kind"] == "open").count(), open);
    assert_eq!(results.len(), found + open);
    assert_eq!(sarif["runs"][0]["invocations"][0]["executionSuccessful"], true);
}

#[test]
fn text_ends_with_a_summary_by_rule() {
    let (code, text) = answer(&["samples/invalid/binding"]);
    assert_eq!(code, 1);
    let summary = text.split("RULE ").nth(1).unwrap();
    assert!(summary.lines().any(|line| line.starts_with("binding-required") && line.contains(" error ")), "{summary}");
    assert!(text.ends_with(" not valid, 0 not readable\n"), "{text}");
    assert!(!text.contains('\u{1b}'), "no colours where no terminal is");
}

#[test]
fn standard_input_is_judged_once() {
    let bytes = fs::read(Path::new(ROOT).join("samples/valid/document.json")).unwrap();
    let output = validate(&["--json", "-"], &bytes);
    assert_eq!(output.status.code(), Some(0));
    let line: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((line["file"].as_str(), line["valid"].as_bool()), (Some("-"), Some(true)));
    assert_eq!(validate(&["-", "-"], b"").status.code(), Some(2));
    assert_eq!(validate(&["-"], b"{").status.code(), Some(1));
}

#[test]
fn warnings_fail_only_where_they_count_and_quiet_leaves_the_rest_out() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let warned = r#"{"resourceType":"Patient","identifier":[{"system":"urn:uuid:A","value":"1"}]}"#;
    fs::write(path("good.json"), r#"{"resourceType":"Patient","active":true}"#).unwrap();
    fs::write(path("warned.json"), warned).unwrap();
    let all = folder.path().to_str().unwrap();
    assert_eq!(answer(&[all]).0, 0);
    assert_eq!(answer(&["--fail-on", "warning", all]).0, 1);
    assert_eq!(answer(&["--fail-on", "warning", "--rule", "uri-uuid=off", all]).0, 0);
    assert_eq!(answer(&["--quiet", all]), (0, String::new()));
    let (code, text) = answer(&["--quiet", "--fail-on", "warning", all]);
    assert_eq!(code, 1);
    assert!(
        text.contains("warning[uri-uuid]") && text.contains("warned.json") && !text.contains("good.json"),
        "{text}"
    );
    let (_, json) = answer(&["--json", "--quiet", "--fail-on", "warning", all]);
    assert_eq!(lines(&json).len(), 1);
}

#[test]
fn what_cannot_be_read_is_told_in_every_form_and_the_others_are_judged() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("missing & gone.json");
    // A link to itself cannot be read, whoever runs the tests.
    let circle = folder.path().join("circle.json");
    symlink(&circle, &circle).unwrap();
    let (missing, circle) = (missing.to_str().unwrap(), circle.to_str().unwrap());
    let run = |format: &str| validate(&["--format", format, missing, "samples/valid/document.json", circle], b"");
    for format in ["text", "json", "outcome", "junit", "sarif"] {
        assert_eq!(run(format).status.code(), Some(3), "{format}");
    }
    let text = run("text");
    assert!(String::from_utf8(text.stdout).unwrap().ends_with("3 files: 1 valid, 0 not valid, 2 not readable\n"));
    assert_eq!(String::from_utf8(text.stderr).unwrap().matches("cannot be read: ").count(), 2);
    let json = lines(&String::from_utf8(run("json").stdout).unwrap());
    assert_eq!((json.len(), &json[1]["valid"]), (3, &Value::Bool(true)));
    assert!(json[0]["error"].is_string() && json[2]["error"].is_string());
    let outcomes = lines(&String::from_utf8(run("outcome").stdout).unwrap());
    assert_eq!((&outcomes[0]["issue"][0]["severity"], outcomes.len()), (&"fatal".into(), 3));
    let junit = String::from_utf8(run("junit").stdout).unwrap();
    assert!(junit.contains("tests=\"3\" failures=\"0\" errors=\"2\"") && junit.contains("missing &amp; gone.json"));
    let sarif: Value = serde_json::from_slice(&run("sarif").stdout).unwrap();
    let invocation = &sarif["runs"][0]["invocations"][0];
    assert_eq!(invocation["executionSuccessful"], false);
    assert_eq!(invocation["toolExecutionNotifications"].as_array().unwrap().len(), 2);
}

#[test]
fn rules_are_explained_and_wrong_keys_answered_with_the_nearest() {
    let (code, page) = answer(&["--explain", "bdl-7"]);
    assert_eq!(code, 0);
    for wanted in ["level     error", "https://hl7.org/fhir/STU3/", "What to change:", "samples/invalid/bundle/"] {
        assert!(page.contains(wanted), "{wanted}: {page}");
    }
    let output = validate(&["--explain", "bdl-77"], b"");
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8(output.stderr).unwrap().contains("did you mean bdl-7?"));
    let output = validate(&["--rule", "unknown-elemnt=off", "samples/valid"], b"");
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8(output.stderr).unwrap().contains("did you mean unknown-element?"));
    assert_eq!(answer(&["--rule", "unreadable=off", "samples/valid"]).0, 2, "nothing changes the reader");
    assert_eq!(answer(&["--json", "--format", "sarif", "samples/valid"]).0, 2);
}

#[test]
fn the_example_of_each_rule_breaks_it() {
    let (_, rules) = answer(&["--json", "--rules"]);
    let mut examples = 0;
    for rule in lines(&rules) {
        let key = rule["key"].as_str().unwrap();
        let page: Value = serde_json::from_str(&answer(&["--json", "--explain", key]).1).unwrap();
        let Some(example) = page["example"].as_str() else { continue };
        // some rules only warn
        let (code, line) = answer(&["--json", "--fail-on", "warning", example]);
        let line: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(code, 1, "{example}");
        assert!(line["issues"].as_array().unwrap().iter().any(|issue| issue["key"] == key), "{key}: {example}");
        examples += 1;
    }
    assert!(examples >= 48, "{examples}");
}

/// The findings of one file that is given as standard input.
fn judged(arguments: &[&str], input: &[u8]) -> (i32, Value) {
    let output = validate(&[&["--json"], arguments, &["-"]].concat(), input);
    (output.status.code().unwrap(), serde_json::from_slice(&output.stdout).unwrap())
}

#[test]
fn bombs_are_refused_with_a_word_on_why() {
    let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    let deep_xml = format!("<Patient xmlns=\"http://hl7.org/fhir\">{}", "<contact>".repeat(10_000));
    let entities = "<!DOCTYPE a [<!ENTITY b \"cc\"><!ENTITY d \"&b;&b;\">]><Patient/>";
    for (text, word) in [(deep.as_str(), "deep"), (deep_xml.as_str(), "deep"), (entities, "document type")] {
        let (code, line) = judged(&[], text.as_bytes());
        assert_eq!((code, &line["issues"][0]["key"]), (1, &Value::from("unreadable")));
        assert!(line["issues"][0]["text"].as_str().unwrap().contains(word), "{line}");
    }
}

#[test]
fn a_file_of_a_gigabyte_is_not_read_whole() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("huge.json");
    // of holes: it takes no room on the disk
    fs::File::create(&path).unwrap().set_len(1 << 30).unwrap();
    let (code, line) = answer(&["--json", path.to_str().unwrap()]);
    let line: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(code, 1);
    assert!(line["issues"][0]["text"].as_str().unwrap().contains("67108864 bytes"), "{line}");
}

#[test]
fn a_million_faults_are_counted_and_the_first_are_told() {
    let names = "1,".repeat(1_000_000);
    let patient = format!("{{\"resourceType\":\"Patient\",\"name\":[{}1]}}", names);
    let (code, line) = judged(&[], patient.as_bytes());
    assert_eq!(code, 1);
    assert_eq!(line["issues"].as_array().unwrap().len(), 10_000);
    assert_eq!(line["cut"], 1_000_001 - 10_000);
}

/// Each would take hours if anything looked through all of it for each of its parts.
#[test]
fn files_of_very_many_like_parts_are_judged_in_proportion() {
    const MANY: usize = 200_000;
    let each = |make: &dyn Fn(usize) -> String| (0..MANY).map(make).collect::<Vec<_>>();
    let patient = |div: &str, rest: &str| {
        format!("{{\"resourceType\":\"Patient\",\"text\":{{\"status\":\"generated\",\"div\":\"{div}\"}}{rest}}}")
    };
    let open = "<div xmlns='http://www.w3.org/1999/xhtml'";
    let names = each(&|_| "{\"text\":\"a\"}".to_owned()).join(",");
    let elements = each(&|number| format!("<a{number} value=\"1\"/>")).concat();
    let twins = each(&|number| format!("\"_a{number}\":{{}}")).join(",");
    let birth_time =
        "{\"url\":\"http://hl7.org/fhir/StructureDefinition/patient-birthTime\",\"valueDateTime\":\"2020\"}";
    for (what, text, key) in [
        ("comments", patient(&format!("{}{open}>a</div>", "<!----> ".repeat(MANY)), ""), ""),
        (
            "attributes",
            patient(&format!("{open}{}>a</div>", each(&|number| format!(" a{number}='1'")).concat()), ""),
            "txt-1",
        ),
        (
            "images",
            patient(&format!("{open}>{}</div>", "<img src='#a'/>".repeat(MANY)), &format!(",\"name\":[{names}]")),
            "narrative-image",
        ),
        (
            "names that come back",
            format!("<Patient xmlns=\"http://hl7.org/fhir\">{elements}{elements}</Patient>"),
            "unknown-element",
        ),
        ("twins", format!("{{\"resourceType\":\"Questionnaire\",\"status\":\"draft\",{twins}}}"), "unknown-element"),
        (
            "extensions",
            format!(
                "{{\"resourceType\":\"ValueSet\",\"status\":\"draft\",\"extension\":[{}]}}",
                vec![birth_time; MANY].join(",")
            ),
            "extension-context",
        ),
    ] {
        let (code, line) = judged(&[], text.as_bytes());
        assert_eq!(code, i32::from(!key.is_empty()), "{what}");
        let keys: Vec<_> =
            line["issues"].as_array().unwrap().iter().map(|issue| issue["key"].as_str().unwrap()).collect();
        assert_eq!(keys.contains(&key), !key.is_empty(), "{what}: {:?}", keys.first());
    }
}
