//! `pushbridge profiles` from outside, with a small package of our own.

use serde_json::{Value, json};
use std::{
    fs,
    io::Write,
    path::Path,
    process::{Command, Output},
};

const VITAL: &str = "http://example.org/fhir/StructureDefinition/clinic-pressure";

/// A package that holds a profile with slices, an extension, a value set, and a profile that is broken if asked for.
fn package(broken: bool) -> Vec<u8> {
    let definition = |url: &str, type_name: &str, elements: Value| {
        json!({"resourceType": "StructureDefinition", "url": url, "name": "a", "status": "draft", "fhirVersion": "3.0.2",
            "kind": "resource", "abstract": false, "type": type_name, "derivation": "constraint",
            "baseDefinition": format!("http://hl7.org/fhir/StructureDefinition/{type_name}"),
            "differential": {"element": elements}})
    };
    let extension = "http://example.org/fhir/StructureDefinition/cuff";
    let pressure = json!([
        {"path": "Observation.extension", "sliceName": "cuff", "max": "1",
         "type": [{"code": "Extension", "profile": extension}]},
        {"path": "Observation.code", "patternCodeableConcept": {"coding": [{"system": "http://loinc.org", "code": "85354-9"}]}},
        {"path": "Observation.component", "min": 2, "mustSupport": true,
         "slicing": {"discriminator": [{"type": "pattern", "path": "code"}], "rules": "open"}},
        {"path": "Observation.component", "sliceName": "systolic", "min": 1, "max": "1"},
        {"path": "Observation.component.valueQuantity", "min": 1},
        {"path": "Observation.interpretation",
         "binding": {"strength": "required", "valueSetUri": "http://example.org/fhir/ValueSet/levels"}}
    ]);
    let cuff = json!([{"path": "Extension.url", "fixedUri": extension}, {"path": "Extension.valueString", "min": 1}]);
    let mut files = vec![
        (
            "package.json",
            json!({"name": "example.clinic", "version": "1.0.0", "fhirVersions": ["3.0.2"],
            "dependencies": if broken { json!({"example.other": "2.0.0"}) } else { json!({"hl7.fhir.r3.core": "3.0.2"}) }}),
        ),
        ("StructureDefinition-pressure.json", definition(VITAL, "Observation", pressure)),
        ("StructureDefinition-cuff.json", definition(extension, "Extension", cuff)),
        (
            "ValueSet-levels.json",
            json!({"resourceType": "ValueSet", "url": "http://example.org/fhir/ValueSet/levels",
            "status": "draft", "compose": {"include": [{"system": "http://example.org/levels", "concept": [{"code": "high"}]}]}}),
        ),
    ];
    if broken {
        let url = "http://example.org/fhir/StructureDefinition/broken";
        let elements = json!([{"id": "Patient.pet", "path": "Patient.pet", "min": 1}]);
        files.push(("StructureDefinition-broken.json", definition(url, "Patient", elements)));
    }
    let mut archive = tar::Builder::new(Vec::new());
    for (name, content) in files {
        let content = content.to_string();
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        archive.append_data(&mut header, format!("package/{name}"), content.as_bytes()).unwrap();
    }
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(&archive.into_inner().unwrap()).unwrap();
    gzip.finish().unwrap()
}

fn pushbridge(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_pushbridge")).current_dir(folder).arg("profiles").args(arguments).output().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn a_package_in_the_folder_is_listed_drawn_and_checked() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("profiles")).unwrap();
    fs::write(folder.path().join("profiles/clinic.tgz"), package(false)).unwrap();
    fs::write(folder.path().join("profiles/README.md"), "not read").unwrap();

    let listed = pushbridge(folder.path(), &["ls", "--json"]);
    assert_eq!(listed.status.code(), Some(0), "{}", stderr(&listed));
    let rows: Vec<Value> = stdout(&listed).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let kinds: Vec<&str> = rows.iter().map(|row| row["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["file", "profile", "profile", "value-set"]);
    assert_eq!((rows[0]["file"].as_str(), rows[0]["source"].as_str()), (Some("clinic.tgz"), Some("dropped")));
    assert_eq!(rows[1]["url"], VITAL);
    assert_eq!(rows[1]["file"], "example.clinic#1.0.0/StructureDefinition-pressure.json");

    let drawn = pushbridge(folder.path(), &["show", "clinic-pressure"]);
    assert_eq!(drawn.status.code(), Some(0), "{}", stderr(&drawn));
    let text = stdout(&drawn);
    for line in [
        "├─ extension:cuff  0..1  Extension<cuff>",
        "├─ interpretation  0..1  CodeableConcept  codes: levels (required)",
        "   ├─ valueQuantity  1..1  Quantity",
        "├─ component  2..*  *  BackboneElement  sliced by pattern of code (open)",
        r#"├─ code  1..1  CodeableConcept  like {"coding":[{"system":"http://loinc.org","code":"85354-9"}]}"#,
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }

    let elements = pushbridge(folder.path(), &["show", VITAL, "--json"]);
    let ids: Vec<String> = stdout(&elements)
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["id"].as_str().unwrap().to_owned())
        .collect();
    assert!(ids.contains(&"Observation.component:systolic.valueQuantity".to_owned()), "{ids:#?}");

    let checked = pushbridge(folder.path(), &["check"]);
    assert_eq!(checked.status.code(), Some(0), "{}", stdout(&checked));
    assert_eq!(
        stdout(&checked),
        "2 profiles (0 unusable), 1 value sets, 0 code systems, 0 questionnaires, 0 errata; 0 errors, 0 warnings\n"
    );
}

#[test]
fn what_is_unusable_is_told_with_file_and_element() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("own.tgz");
    fs::write(&file, package(true)).unwrap();
    let file = file.to_str().unwrap();

    let checked = pushbridge(folder.path(), &["check", "--package", file]);
    assert_eq!(checked.status.code(), Some(1), "{}", stderr(&checked));
    let expected = "error: example.clinic#1.0.0/StructureDefinition-broken.json, Patient.pet: there is no element pet in Patient\n";
    assert!(stdout(&checked).starts_with(expected), "{}", stdout(&checked));
    assert!(stdout(&checked).contains("it needs the package example.other 2.0.0, which is not loaded"));
    let checked = pushbridge(folder.path(), &["check", "--json", "--package", file]);
    let told: Value = serde_json::from_str(stdout(&checked).lines().next().unwrap()).unwrap();
    assert_eq!((told["level"].as_str(), told["element"].as_str()), (Some("error"), Some("Patient.pet")));

    let shown = pushbridge(folder.path(), &["show", "broken", "--package", file]);
    assert_eq!(shown.status.code(), Some(1));
    assert!(stderr(&shown).contains("is unusable; `pushbridge profiles check` says why"), "{}", stderr(&shown));
    let shown = pushbridge(folder.path(), &["show", "http://example.org/none", "--package", file]);
    assert_eq!(shown.status.code(), Some(1));
    assert!(stderr(&shown).contains("there is no such profile"), "{}", stderr(&shown));
}

#[test]
fn what_cannot_be_read_is_told_with_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let nothing = pushbridge(folder.path(), &["ls"]);
    assert_eq!(nothing.status.code(), Some(2));
    assert!(stderr(&nothing).contains("there is no folder profiles"), "{}", stderr(&nothing));
    let file = folder.path().join("cut.tgz");
    fs::write(&file, &package(false)[..200]).unwrap();
    let cut = pushbridge(folder.path(), &["check", "--package", file.to_str().unwrap()]);
    assert_eq!(cut.status.code(), Some(3));
    assert!(stderr(&cut).contains("cut.tgz: this is no whole .tgz archive"), "{}", stderr(&cut));
    let gone = pushbridge(folder.path(), &["check", "--package", "gone.tgz"]);
    assert_eq!(gone.status.code(), Some(3));
    // the release's own are there without any package
    fs::create_dir(folder.path().join("profiles")).unwrap();
    let own = pushbridge(folder.path(), &["show", "http://hl7.org/fhir/StructureDefinition/bp"]);
    assert_eq!(own.status.code(), Some(0), "{}", stderr(&own));
    assert!(stdout(&own).contains("├─ component:SystolicBP  0..*"), "{}", stdout(&own));
    let listed = stdout(&pushbridge(folder.path(), &["ls", "--release"]));
    assert_eq!(listed.lines().count(), 409, "408 and the head");
}

#[test]
fn files_are_held_to_the_profiles_that_they_claim() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("profiles")).unwrap();
    fs::write(folder.path().join("profiles/clinic.tgz"), package(false)).unwrap();
    let component =
        |code: &str| json!({"code": {"coding": [{"system": "http://loinc.org", "code": code}]}, "valueString": "a"});
    let mut resource = json!({"resourceType": "Observation", "meta": {"profile": [VITAL]}, "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": "85354-9"}]}, "component": [component("1")]});
    let validate = |resource: &Value, arguments: &[&str]| -> (i32, Value) {
        let file = folder.path().join("observation.json");
        fs::write(&file, resource.to_string()).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_pushbridge"));
        let command = command.current_dir(folder.path()).args(["validate", "--json"]).args(arguments).arg(&file);
        let output = command.output().unwrap();
        let line = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| stderr(&output).into());
        (output.status.code().unwrap(), line)
    };
    let (code, line) = validate(&resource, &[]);
    assert_eq!((code, &line["issues"][0]["key"]), (1, &json!("profile-min")), "{line}");
    assert_eq!(line["issues"][0]["profile"], VITAL);
    // the profile that is asked for, whatever is claimed
    resource.as_object_mut().unwrap().remove("meta");
    assert_eq!(validate(&resource, &[]).0, 0);
    assert_eq!(validate(&resource, &["--profile", VITAL]).0, 1);
    let (code, text) = validate(&resource, &["--profile", "http://example.org/none"]);
    assert_eq!(code, 2);
    assert!(text.as_str().unwrap().contains("no such profile is loaded"), "{text}");
    // one of the release's own needs no package
    let bp = "http://hl7.org/fhir/StructureDefinition/bp";
    let (code, line) = validate(&resource, &["--profile", bp, "--rule", "profile-min=warning"]);
    assert_eq!((code, &line["issues"][0]["profile"]), (1, &json!(bp)), "{line}");
}

#[test]
fn errata_beside_a_package_are_pinned_listed_and_named_in_reports() {
    let folder = tempfile::tempdir().unwrap();
    let profile = json!({"resourceType": "StructureDefinition", "url": "http://example.org/strict", "name": "strict",
        "status": "draft", "kind": "resource", "abstract": false, "type": "Patient", "derivation": "constraint",
        "baseDefinition": "http://hl7.org/fhir/StructureDefinition/Patient", "differential": {"element": [
            {"path": "Patient", "constraint": [{"key": "s-1", "severity": "error", "human": "h", "expression": "name.exists()"}]}]}});
    let errata = |key: &str| {
        json!({"errata": [{"profile": "http://example.org/strict", "key": key, "severity": "warning", "reason": "too strict"}]})
            .to_string()
    };
    fs::write(folder.path().join("strict.json"), profile.to_string()).unwrap();
    fs::write(folder.path().join("strict.errata.json"), errata("s-2")).unwrap();
    let added = pushbridge(folder.path(), &["add", "strict.json", "strict.errata.json"]);
    assert_eq!(added.status.code(), Some(1), "{}", stdout(&added));
    assert!(stderr(&added).contains("states a constraint s-2: correct the erratum"), "{}", stderr(&added));

    fs::write(folder.path().join("strict.errata.json"), errata("s-1")).unwrap();
    let added = pushbridge(folder.path(), &["add", "strict.json", "strict.errata.json"]);
    assert_eq!(added.status.code(), Some(0), "{}", stderr(&added));
    let listed = stdout(&pushbridge(folder.path(), &["ls", "--json"]));
    let rows: Vec<Value> = listed.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let pinned = rows.iter().find(|row| row["file"] == "strict.errata.json").unwrap();
    assert_eq!((&pinned["kind"], &pinned["locked"]), (&json!("file"), &json!(true)));
    let row = rows.iter().find(|row| row["kind"] == "erratum").unwrap();
    assert_eq!(
        (&row["key"], &row["change"], &row["reason"]),
        (&json!("s-1"), &json!("a warning"), &json!("too strict"))
    );
    assert!(stdout(&pushbridge(folder.path(), &["ls"])).contains("ERRATUM OF"));
    let checked = pushbridge(folder.path(), &["check"]);
    assert_eq!(checked.status.code(), Some(0), "{}", stdout(&checked));
    let line = "constraint s-1 is not taken as it is published";
    assert!(stdout(&checked).contains(line) && stdout(&checked).contains("1 errata"), "{}", stdout(&checked));

    let file = folder.path().join("patient.json");
    let patient =
        json!({"resourceType": "Patient", "active": true, "meta": {"profile": ["http://example.org/strict"]}});
    fs::write(&file, patient.to_string()).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_pushbridge"));
    let output = command.current_dir(folder.path()).args(["validate", "--json"]).arg(&file).output().unwrap();
    let line: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((output.status.code(), &line["issues"][0]["key"]), (Some(0), &json!("s-1")), "{line}");

    // what was pinned has to stay as it was
    fs::write(folder.path().join("profiles/strict.errata.json"), errata("s-1").replace("too", "much too")).unwrap();
    assert!(stderr(&pushbridge(folder.path(), &["check"])).contains("strict.errata.json has another content"));
}

/// Two profiles of Observation and three that meet one of them, the other, and none.
#[test]
fn each_resource_of_a_type_meets_one_of_the_profiles_that_are_allowed() {
    let folder = tempfile::tempdir().unwrap();
    let url = |name: &str| format!("http://example.org/fhir/StructureDefinition/{name}");
    for (name, element) in [("with-comment", "comment"), ("with-issued", "issued")] {
        let definition = json!({"resourceType": "StructureDefinition", "url": url(name), "name": name, "status": "draft",
            "fhirVersion": "3.0.2", "kind": "resource", "abstract": false, "type": "Observation", "derivation": "constraint",
            "baseDefinition": "http://hl7.org/fhir/StructureDefinition/Observation",
            "differential": {"element": [{"path": format!("Observation.{element}"), "min": 1}]}});
        fs::create_dir_all(folder.path().join("profiles")).unwrap();
        fs::write(folder.path().join(format!("profiles/{name}.json")), definition.to_string()).unwrap();
    }
    let observation = |more: Value| {
        let mut resource = json!({"resourceType": "Observation", "status": "final", "code": {"text": "weight"}});
        resource.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!({"fullUrl": "http://example.org/fhir/Observation/1", "resource": resource})
    };
    let judged = |entries: Value, more: &[&str]| {
        let bundle = json!({"resourceType": "Bundle", "type": "collection", "entry": entries});
        fs::write(folder.path().join("bundle.json"), bundle.to_string()).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_pushbridge"));
        command.current_dir(folder.path()).args([
            "validate",
            "--json",
            "--quiet",
            "bundle.json",
            "--rule",
            "bdl-7=off",
        ]);
        let output = command.args(more).output().unwrap();
        let line: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        let issues = line["issues"].as_array().cloned().unwrap_or_default();
        let told =
            |issue: &Value| format!("{} {}", issue["expression"].as_str().unwrap(), issue["key"].as_str().unwrap());
        (output.status.code(), issues.iter().map(told).collect::<Vec<_>>())
    };
    let (comment, issued) = (url("with-comment"), url("with-issued"));
    let both = ["--allow-profile", &comment, "--allow-profile", &issued];
    let meeting = [json!({"comment": "a"}), json!({"issued": "2026-01-01T10:00:00Z"})].map(observation);
    assert_eq!(judged(json!(meeting), &both), (Some(0), vec![]));
    // what meets none says which it claims, and is told what is missing; what claims none is told the profiles
    let claims = observation(json!({"meta": {"profile": [comment]}}));
    let told = judged(json!([meeting[0], observation(json!({})), claims]), &both);
    let wanted = ["Bundle.entry[1].resource profile-not-allowed", "Bundle.entry[2].resource profile-min"];
    assert_eq!(told, (Some(1), wanted.map(str::to_owned).to_vec()));
    // a single one, and one that is required, is told by what is missing
    let missing = vec!["Bundle.entry[1].resource profile-min".to_owned()];
    assert_eq!(judged(json!(meeting), &["--allow-profile", &comment]), (Some(1), missing.clone()));
    assert_eq!(judged(json!(meeting), &["--profile", &comment]), (Some(1), missing));
    // other types are free
    let patient = json!({"fullUrl": "http://example.org/fhir/Patient/1", "resource": {"resourceType": "Patient"}});
    assert_eq!(judged(json!([patient]), &both), (Some(0), vec![]));
    // a claim that nobody can judge
    let unknown = observation(json!({"meta": {"profile": [url("none")]}}));
    assert_eq!(judged(json!([unknown]), &[]).0, Some(0));
    let refused = vec!["Bundle.entry[0].resource.meta.profile[0] profile-not-loaded".to_owned()];
    assert_eq!(judged(json!([unknown]), &["--unloaded-profiles", "refuse"]), (Some(1), refused));
}
