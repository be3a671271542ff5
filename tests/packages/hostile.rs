//! Registries and packages that mean harm, or are broken: nothing comes into the folder, and it is said why.

use super::{
    Stand,
    registry::{Registry, Reply, package, profile},
    text,
};
use serde_json::json;

const NEVER: &[u8] = b"never used";

#[test]
fn what_a_registry_should_not_say_is_refused() {
    let stand = Stand::new();
    let registry = Registry::start();
    let elsewhere = Registry::start();
    let good = package("clinic.own", "1.0.0", &json!({}));
    let add = || stand.no(&["add", "clinic.own@1.0.0", "--registry", &registry.url]);
    let refused = |reply: Reply, code: i32, why: &str| {
        registry.says("clinic.own", reply);
        let (ended, told) = add();
        assert_eq!(ended, code, "{told}");
        assert!(told.contains(why), "{why}: {told}");
    };
    refused(Reply::Status("404 Not Found", String::new()), 1, "it is neither in");
    refused(Reply::Status("500 Internal Server Error", String::new()), 6, "the registry answered 500");
    let leads_away = format!("location: {}/clinic.own\r\n", elsewhere.url);
    refused(Reply::Status("302 Found", leads_away.clone()), 6, "answered with a redirect");
    refused(Reply::Endless, 6, "has more than 16777216 bytes");
    refused(Reply::Terabyte, 6, "has more than 16777216 bytes");
    refused(Reply::CutOff, 6, "its answer broke off");
    refused(Reply::Body(b"<html>".to_vec()), 6, "is no list of versions");

    registry.publishes("clinic.own", &[("1.0.0", &good)]);
    let tarball = "-/clinic.own-1.0.0.tgz";
    let refused = |reply: Reply, code: i32, why: &str| {
        registry.says(tarball, reply);
        let (ended, told) = add();
        assert_eq!(ended, code, "{told}");
        assert!(told.contains(why), "{why}: {told}");
    };
    refused(
        Reply::Body(package("clinic.own", "1.0.0", &json!({"a.b": "1.0.0"}))),
        1,
        "is not what the registry's own digest says",
    );
    refused(Reply::Status("301 Moved Permanently", leads_away), 6, "answered with a redirect");
    refused(Reply::Terabyte, 6, "has more than 268435456 bytes");
    refused(Reply::CutOff, 6, "its answer broke off");
    // another package's name, and no package at all
    registry.publishes("clinic.own", &[("1.0.0", &package("clinic.other", "1.0.0", &json!({})))]);
    let (code, told) = add();
    assert_eq!(code, 1);
    assert!(told.contains("says that it is clinic.other@1.0.0; nothing was added"), "{told}");
    registry.publishes("clinic.own", &[("1.0.0", NEVER)]);
    let (code, told) = add();
    assert_eq!(code, 3);
    assert!(told.contains("clinic.own@1.0.0: this is no whole .tgz archive"), "{told}");
    assert_eq!(elsewhere.asked(), [""; 0], "no redirect is followed");
}

#[test]
fn a_listing_sends_us_nowhere_else_and_may_lack_a_digest() {
    let stand = Stand::new();
    let (registry, elsewhere) = (Registry::start(), Registry::start());
    let tarball = format!("{}/-/clinic.own-1.0.0.tgz", elsewhere.url);
    registry.lists("clinic.own", &json!({"1.0.0": {"dist": {"tarball": tarball}}}));
    registry.says("clinic.own/1.0.0", Reply::Body(package("clinic.own", "1.0.0", &json!({}))));
    let added = stand.run(&["add", "clinic.own@1.0.0", "--registry", &registry.url]);
    assert_eq!(added.status.code(), Some(0), "{}", text(&added.stderr));
    assert!(text(&added.stderr).contains("states no digest of clinic.own@1.0.0"), "{}", text(&added.stderr));
    assert_eq!(registry.asked(), ["/npm/clinic.own", "/npm/clinic.own/1.0.0"]);
    assert_eq!(elsewhere.asked(), [""; 0]);
}

#[test]
fn an_address_that_leaks_or_leads_nowhere_is_told() {
    let stand = Stand::new();
    for url in ["http://packages.example/", "ftp://127.0.0.1/", "https://me:secret@packages.example/"] {
        let (code, told) = stand.no(&["add", "clinic.own@1.0.0", "--registry", url]);
        assert_eq!(code, 2);
        assert!(told.contains("must be an https address") && !told.contains("secret"), "{told}");
    }
    stand.write("pushbridge.toml", "[profiles]\nregistry = \"http://packages.example\"\n");
    let (code, told) = stand.no(&["add", "clinic.own@1.0.0"]);
    assert_eq!(code, 4);
    assert!(told.contains("profiles.registry: packages could be changed on their way"), "{told}");
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    stand.write("pushbridge.toml", format!("[profiles]\nregistry = \"http://{closed}\"\n"));
    let (code, told) = stand.no(&["add", "clinic.own@1.0.0"]);
    assert_eq!(code, 6);
    assert!(told.contains("no connection to the registry"), "{told}");
}

#[test]
fn names_that_lead_elsewhere_are_refused() {
    let stand = Stand::new();
    for name in [
        "../evil@1.0.0",
        "clinic.own@../1.0.0",
        "/etc/passwd@1",
        "clinic.own@latest",
        "clinic.own@^1.0.0",
        "clinic.own",
    ] {
        let (code, told) = stand.no(&["add", name]);
        assert_eq!(code, 2, "{name}: {told}");
    }
    for (name, version) in [("../../evil", "1.0.0"), ("clinic.own", "../../1"), ("a/b", "1.0.0")] {
        stand.write("evil.tgz", package(name, version, &json!({})));
        let (code, told) = stand.no(&["add", "evil.tgz"]);
        assert_eq!(code, 1, "{told}");
        assert!(told.contains("its package.json does not name it"), "{told}");
    }
    stand.write("evil.tgz", package("clinic.own", "1.0.0", &json!({"../../../etc": "1.0.0"})));
    let (code, told) = stand.no(&["add", "evil.tgz"]);
    assert_eq!(code, 1);
    assert!(told.contains("names no package that it needs"), "{told}");
    // a folder of the cache that holds another package
    for (file, content) in super::files("clinic.other", "1.0.0", &json!({})) {
        stand.write(&format!("home/.fhir/packages/clinic.own#1.0.0/package/{file}"), content);
    }
    let (code, told) = stand.no(&["add", "clinic.own@1.0.0"]);
    assert_eq!(code, 1);
    assert!(told.contains("what cache has as clinic.own@1.0.0 says that it is clinic.other@1.0.0"), "{told}");
    let (code, told) = stand.no(&["rm", "../pushbridge.toml"]);
    assert_eq!(code, 1, "{told}");
}

#[test]
fn a_definition_that_would_be_unusable_is_refused_with_its_place() {
    let stand = Stand::new();
    let own = "http://example.org/fhir/StructureDefinition/own";
    let base = "http://example.org/fhir/StructureDefinition/base";
    stand.write("own.json", profile(own, base).to_string());
    let (code, told) = stand.no(&["add", "own.json"]);
    assert_eq!(code, 1);
    assert!(told.contains("own.json: what it derives from"), "{told}");
    stand.write("base.json", profile(base, "http://hl7.org/fhir/StructureDefinition/Patient").to_string());
    assert_eq!(stand.ok(&["add", "own.json", "base.json"]).len(), 2);
    for (name, content, why) in [
        ("cut.json", "{", "cut.json: line 1"),
        ("patient.json", r#"{"resourceType":"Patient"}"#, "this is no StructureDefinition"),
    ] {
        stand.write(name, content);
        let (code, told) = stand.no(&["add", name]);
        assert_eq!(code, 1);
        assert!(told.contains(why), "{told}");
    }
    stand.write(".hidden.json", "{}");
    assert_eq!(stand.no(&["add", ".hidden.json"]).0, 2);
    assert_eq!(stand.no(&["add", "gone.json"]).0, 3);
}
