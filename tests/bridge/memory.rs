//! Memory: many large Bundles at once stay within the budget that the configuration sets.

use super::stand::Stand;
use std::fmt::Write;

/// A Bundle of about so many MB, in one of two shapes: a document as base64, or a great many small entries.
fn bundle(megabytes: usize, number: usize, dense: bool) -> Vec<u8> {
    let size = megabytes << 20;
    let mut text = String::with_capacity(size + 4096);
    text.push_str(r#"{"resourceType":"Bundle","type":"batch","entry":["#);
    if dense {
        let mut entry = 0;
        while text.len() < size {
            let comma = if entry == 0 { "" } else { "," };
            write!(
                text,
                r#"{comma}{{"fullUrl":"urn:uuid:00000000-0000-4000-8000-{number:04x}{entry:08x}","resource":{{"resourceType":"Observation","status":"final","code":{{"coding":[{{"system":"http://loinc.org","code":"29463-7"}}]}},"valueQuantity":{{"value":7{entry},"unit":"kg"}}}},"request":{{"method":"POST","url":"Observation"}}}}"#
            )
            .unwrap();
            entry += 1;
        }
    } else {
        write!(
            text,
            r#"{{"fullUrl":"urn:uuid:00000000-0000-4000-8000-{number:012x}","resource":{{"resourceType":"Binary","contentType":"application/pdf","content":"{}"}},"request":{{"method":"POST","url":"Binary"}}}}"#,
            "QUJD".repeat(size / 4)
        )
        .unwrap();
    }
    text.push_str("]}");
    text.into_bytes()
}

#[test]
fn many_large_bundles_at_once_stay_within_the_budget() {
    const BUDGET: u64 = 48;
    // The program itself, the store's cache, and one block of each push.
    const BESIDES: u64 = 80;
    let mut stand = Stand::new(
        "[channel.clinic]\ncontract = \"main\"\ninbox = \"inbox\"\nquiet = \"100ms\"\nmax_entries = 1000000\n[channel.clinic.route]\nfolder = true\n",
    );
    stand.edit_config(|text| {
        text.replace("[limits]\n", &format!("[limits]\nmemory = \"{BUDGET}MB\"\njudge_threads = 4\n"))
    });
    let person = stand.person(&["a", "b", "c", "d"]);
    for (number, account) in person.accounts.iter().enumerate() {
        stand.link_folder(&number.to_string(), &account.reference);
    }
    // 8 x 8 MB, and 4 of 1 MB whose trees are many times larger than their text.
    for number in 0..12 {
        let dense = number >= 8;
        stand.drop_file(&format!("{}/{number}.json", number % 4), &bundle(if dense { 1 } else { 8 }, number, dense));
    }
    stand.start_daemon();
    stand.wait("all are delivered", || stand.sandbox.received_count() == 12);
    let peak = stand.peak_megabytes();
    assert!(peak <= BUDGET + BESIDES, "{peak} MB");
}
