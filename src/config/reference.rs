//! Every key of the configuration, once.

use std::fmt::Write;

/// A key.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// Its name.
    pub key: &'static str,
    /// The form of its value, for people.
    pub form: &'static str,
    /// What holds where it is absent, as it would be written; `None` where it must be there or nothing holds.
    pub default: Option<&'static str>,
    /// An example for keys without a default.
    pub example: &'static str,
    /// What it does.
    pub text: &'static str,
}

/// A table of the file.
#[derive(Clone, Copy, Debug)]
pub struct Table {
    /// Its header, `channel.NAME` for example; empty for the top.
    pub name: &'static str,
    /// What it is.
    pub text: &'static str,
    /// Its keys.
    pub entries: &'static [Entry],
}

const fn with(key: &'static str, form: &'static str, default: &'static str, text: &'static str) -> Entry {
    Entry { key, form, default: Some(default), example: default, text }
}

const fn without(key: &'static str, form: &'static str, example: &'static str, text: &'static str) -> Entry {
    Entry { key, form, default: None, example, text }
}

/// Every table, in the order of the file.
pub const fn reference() -> &'static [Table] {
    TABLES
}

const TABLES: &[Table] = &[
    Table {
        name: "",
        text: "",
        entries: &[with("state", "folder", "\"state\"", "the store, the keys and the socket; local, 0700")],
    },
    Table {
        name: "secrets",
        text: "tokens lie on the disk sealed with AES-256-GCM",
        entries: &[without(
            "key",
            "file:PATH|env:NAME|credential:NAME",
            "\"credential:pushbridge\"",
            "where the sealing keys are read from: 64 hexadecimal digits each, the present one first; \
             default: a file of the state folder, made at the first start",
        )],
    },
    Table {
        name: "log",
        text: "one line per transition, never with patient data",
        entries: &[
            with("level", "error|warn|info|debug", "\"info\"", "the least grave level that is written"),
            with("format", "human|json", "\"human\"", "for people, or a JSON object a line"),
        ],
    },
    Table {
        name: "limits",
        text: "what the daemon may use",
        entries: &[
            with("connections", "1 to 256", "8", "pushes under way at once to one contract's API"),
            with("judge_threads", "1 to 64", "2", "threads that read and validate"),
            with(
                "memory",
                "size",
                "\"512MB\"",
                "what reading and validating may take at once; one large file alone may exceed it",
            ),
            with("min_free", "size", "\"256MB\"", "with less free disk nothing is claimed; sending goes on"),
            with("shutdown_grace", "duration", "\"20s\"", "how long pushes under way may take to end at shutdown"),
        ],
    },
    Table {
        name: "retention",
        text: "how long files of what has ended are kept, with their reports; records are kept for ever, so a repeat is still known",
        entries: &[
            with("done", "duration|never", "\"90d\"", "delivered files go after so long; at least 24h"),
            with(
                "done_size",
                "size|never",
                "\"20GB\"",
                "delivered files of a channel: above this the oldest go, but none younger than 24h",
            ),
            with(
                "failed",
                "duration|never",
                "\"180d\"",
                "refused and dropped files, and those delivered with errors, go after so long; at least 14d; never by size",
            ),
            with("duplicates", "duration|never", "\"90d\"", "repeats go after so long; at least 14d; never by size"),
            with("every", "duration", "\"6h\"", "how often the daemon looks; pushbridge prune does it now"),
        ],
    },
    Table {
        name: "alerts",
        text: "who is told when trouble begins and when it ends; never patient data",
        entries: &[
            with(
                "command",
                "list: program, arguments",
                "[]",
                "run for each alert, without a shell, with a JSON object on its standard input",
            ),
            without(
                "webhook",
                "URL",
                "\"https://alerts.example/hook\"",
                "gets each alert as JSON by POST; https, or http to this machine",
            ),
            with(
                "timeout",
                "duration",
                "\"10s\"",
                "how long one delivery may take; a failed one is tried three times more",
            ),
            with("gather", "duration", "\"2s\"", "alerts of one kind within this time are one, with a count"),
        ],
    },
    Table {
        name: "contract.NAME",
        text: "an application's write contract with the API",
        entries: &[
            without("application_id", "text", "\"your-application-id\"", "the application's id"),
            without("contract_id", "text", "\"your-contract-id\"", "the contract's id; it must be a write contract"),
            without(
                "key_file",
                "file",
                "\"contract.key.pem\"",
                "the contract's RSA private key, PEM (PKCS#1 or PKCS#8), mode 0600",
            ),
            with("base_url", "URL", "\"https://api.digi.me/v1.7/\"", "the API's root; http only to this machine"),
            with("onboard_url", "URL", "\"https://api.digi.me/apps/saas/\"", "where a person is sent to authorise"),
            with("jku_origins", "list of origins", "[]", "where key sets may come from, beside the API's own origin"),
            without("ca_file", "file", "\"ca.pem\"", "a CA to trust in place of the system's"),
            without(
                "client_cert",
                "file",
                "\"client.pem\"",
                "our certificate (PEM, with its chain), where the API asks for one; with client_key",
            ),
            without("client_key", "file", "\"client.key.pem\"", "its private key, PEM, mode 0600"),
            without(
                "proxy",
                "URL",
                "\"http://proxy.example:3128\"",
                "an HTTP proxy; the environment's proxies are not used",
            ),
            with("connect_timeout", "duration", "\"10s\"", "the longest wait for a connection"),
            with("idle_timeout", "duration", "\"60s\"", "the longest silence on an open connection"),
            with("total_timeout", "duration", "\"10m\"", "the longest request"),
            with(
                "accounts_sync",
                "duration",
                "\"6h\"",
                "how often the daemon reads the accounts of persons whose token is good from the API; 0s: never by itself",
            ),
            with(
                "token_warning",
                "duration",
                "\"14d\"",
                "how long before its end a refresh token is told of; they are renewed by themselves 15 days ahead",
            ),
        ],
    },
    Table {
        name: "channel.NAME",
        text: "an inbox and what becomes of its files",
        entries: &[
            with(
                "type",
                "provider|library",
                "\"provider\"",
                "provider: valid Bundles, to the account's provider; library: any files, to the account's library",
            ),
            without("contract", "name", "\"main\"", "the [contract.NAME] that it pushes under"),
            without("inbox", "folder", "\"inbox/clinic\"", "the folder that files are dropped into; may be a share"),
            without(
                "folder",
                "folder",
                "\"channels/clinic\"",
                "the parent of work, done, failed, held and duplicates; local; default: channels/NAME",
            ),
            with("version", "stu3|3.0.2", "\"stu3\"", "the API's word for the release"),
            with(
                "quiet",
                "duration",
                "\"2s\"",
                "a file is complete when it has not changed for so long and its text is whole (of a library channel: it is not empty)",
            ),
            with(
                "truncated_limit",
                "duration",
                "\"10m\"",
                "how long a file that is empty, or whose text is cut off, is waited for before it is refused",
            ),
            with("rename_in", "true|false", "false", "files that are renamed into the inbox are complete at once"),
            without(
                "done_suffix",
                "text",
                "\".done\"",
                "x.json is complete at once when x.json with this ending is there",
            ),
            with(
                "sidecar",
                "true|false",
                "false",
                "every file has a sidecar <file>.route.json, and both are claimed as one",
            ),
            with(
                "ignore",
                "list of endings",
                "[]",
                "endings left alone, beside dot files, .tmp, .part, .filepart and .crdownload",
            ),
            with(
                "max_size",
                "size",
                "\"64MB\"",
                "larger files are left in the inbox and reported; a library channel's default is 512MB",
            ),
            with("max_depth", "8 to 1000", "64", "how deep JSON may be nested"),
            with("max_entries", "1 to 1000000", "10000", "how many entries a Bundle may have"),
            with(
                "rescan",
                "duration",
                "\"10s\"",
                "the longest time between two looks at the whole inbox; events come on top",
            ),
            without(
                "quiet_alert",
                "duration",
                "\"24h\"",
                "an alert when no file has come for so long, and one when files come again",
            ),
            with("polling", "auto|always", "\"auto\"", "auto uses file events where the file system has them"),
            with(
                "order",
                "claim|strict",
                "\"claim\"",
                "strict: nothing for an account passes a file whose fate is Unknown",
            ),
            with(
                "ambiguous",
                "hold|resend",
                "\"hold\"",
                "what becomes of a file that may have arrived; resend may deliver it twice",
            ),
            with("max_age", "duration", "\"14d\"", "how long a file is tried; the time of a paused API does not count"),
        ],
    },
    Table {
        name: "channel.NAME.route",
        text: "whose a file is: all evidence that is present must lead to the same account",
        entries: &[
            with("folder", "true|false", "false", "the name of the inbox' sub-folder is evidence"),
            with("patient_systems", "list of URIs", "[]", "patient identifiers of these systems are evidence"),
            without(
                "expression",
                "FHIRPath",
                "\"Bundle.identifier.value\"",
                "the values of this expression on the Bundle are evidence",
            ),
            without(
                "default_account",
                "accountReference",
                "\"account-reference\"",
                "the account of a channel for one person; needs single_person",
            ),
            with("single_person", "true|false", "false", "says that every file of this inbox is the same person's"),
        ],
    },
    Table {
        name: "channel.NAME.library",
        text: "what the files of a library channel are labelled with where their sidecar says nothing else",
        entries: &[
            with("reference", "list of texts", "[]", "references; 16 at most, of 128 bytes at most"),
            with("tags", "list of texts", "[]", "tags; 16 at most, of 128 bytes at most"),
        ],
    },
    Table {
        name: "channel.NAME.validate",
        text: "what the inspection lets pass",
        entries: &[
            with(
                "require",
                "list of URLs",
                "[]",
                "profiles that must be met, whatever is claimed: one of Bundle by the Bundle, another by each entry of its type",
            ),
            with(
                "allow",
                "list of URLs",
                "[]",
                "profiles of which one must be met by each entry (or the Bundle) of their type; other types are free",
            ),
            with(
                "unloaded_profiles",
                "pass|hold|refuse",
                "\"pass\"",
                "a claimed profile that is not in profiles/: pass says that it was not checked, hold waits until it is loaded",
            ),
            with(
                "allow_modifier_extensions",
                "list of URLs",
                "[]",
                "modifier extensions that your receiver understands",
            ),
        ],
    },
    Table {
        name: "channel.NAME.validate.rules",
        text: "rules that count otherwise than by themselves, so that one false alarm does not stop a clinic",
        entries: &[without(
            "KEY",
            "error|warning|information|off",
            "\"warning\", for example: binding-required = \"warning\"",
            "the level of the rule KEY (pushbridge validate --rules lists all); reports name each change",
        )],
    },
    Table {
        name: "profiles",
        text: "where profiles add looks for packages; nothing is asked over the network unless a registry is named",
        entries: &[
            without(
                "registry",
                "URL",
                "\"https://packages.simplifier.net\"",
                "the FHIR package registry for what is not in the cache",
            ),
            without(
                "cache",
                "folder",
                "\"/var/lib/.fhir/packages\"",
                "the FHIR package cache; default: ~/.fhir/packages",
            ),
            without(
                "ca_file",
                "path",
                "\"registry-ca.pem\"",
                "authorities to believe for the registry, instead of the system's",
            ),
            without("proxy", "URL", "\"http://proxy.example:3128\"", "the HTTP proxy on the way to the registry"),
        ],
    },
    Table {
        name: "terminology",
        text: "a terminology server (FHIR STU3, ValueSet/$validate-code) for codes that are not in profiles/; none is asked unless it is named, and nothing but codes goes there",
        entries: &[
            without("url", "URL", "\"https://terminology.example/fhir\"", "the root of its API"),
            without(
                "ca_file",
                "path",
                "\"terminology-ca.pem\"",
                "authorities to believe for it, instead of the system's",
            ),
            without("proxy", "URL", "\"http://proxy.example:3128\"", "the HTTP proxy on the way to it"),
            with(
                "timeout",
                "duration",
                "\"5s\"",
                "the longest wait for what a file asks; after one it is left alone for a minute, and its codes are not checked",
            ),
            with("keep", "duration", "\"30d\"", "how long its answers are kept, in codes.jsonl of the state folder"),
        ],
    },
];

/// The file that `init` writes: every key with its default as a comment, one contract and one channel filled in.
pub fn commented_file() -> String {
    let mut file = String::from(
        "# pushbridge: what it watches and where it pushes. See the README for the whole table.\n# Durations: 500ms, 2s, 10m, 14d. Sizes: 64KB, 64MB, 1GB. Relative paths begin at this file's folder.\n",
    );
    for table in TABLES {
        if !table.name.is_empty() {
            let name = table.name.replace("contract.NAME", "contract.main").replace("channel.NAME", "channel.clinic");
            write!(file, "\n# {}\n[{name}]\n", table.text).expect("text can be written to a string");
        }
        for entry in table.entries {
            let needed = matches!(entry.key, "application_id" | "contract_id" | "key_file" | "contract" | "inbox")
                || (table.name == "channel.NAME.route" && entry.key == "folder");
            let value =
                if table.name == "channel.NAME.route" && entry.key == "folder" { "true" } else { entry.example };
            let comment = if needed { "" } else { "# " };
            writeln!(file, "# {}\n{comment}{} = {value}", entry.text, entry.key)
                .expect("text can be written to a string");
        }
    }
    file
}

/// The table in Markdown, for the README.
pub fn reference_table() -> String {
    let mut text = String::from("| table | key | value | default | what it does |\n|---|---|---|---|---|\n");
    for table in TABLES {
        for entry in table.entries {
            let name = if table.name.is_empty() { "(top)".to_owned() } else { format!("`[{}]`", table.name) };
            let form = entry.form.replace('|', "\\|");
            let default = entry.default.map_or_else(String::new, |default| format!("`{default}`"));
            writeln!(text, "| {name} | `{}` | {form} | {default} | {} |", entry.key, entry.text)
                .expect("text can be written to a string");
        }
    }
    text
}

/// The table of this name.
pub(super) fn table(name: &str) -> &'static Table {
    reference().iter().find(|table| table.name == name).expect("the reference names every table that is read")
}
