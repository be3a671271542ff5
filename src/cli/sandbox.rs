//! `sandbox`: the local API for people who integrate.

use super::{
    Form,
    context::{runtime, write_new},
    exit::{Exit, Failed},
    print,
};
use crate::sandbox::{Options, PublicKey, generate_key_pem, start};
use serde_json::json;
use std::{fs, path::PathBuf, time::Duration};

/// Run a local stand-in for the API, which checks what the real one would
#[derive(Debug, clap::Args)]
#[command(after_help = "It prints where it listens. Then:\n  \
curl -X POST -H 'content-type: application/json' -d '{\"services\":[\"clinic\"]}' http://127.0.0.1:PORT/sandbox/persons | jq .tokens > tokens.json\n  \
pushbridge tokens import --contract sandbox tokens.json\n  \
curl http://127.0.0.1:PORT/sandbox/received\n  \
curl -X POST -H 'content-type: application/json' -d '{\"target\":\"push\",\"fault\":{\"status\":{\"status\":503}},\"times\":3}' http://127.0.0.1:PORT/sandbox/faults\n\n\
The target of a fault is push, library, refresh, exchange or accounts.")]
pub(super) struct Args {
    /// On 127.0.0.1; 0 takes a free one
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// The application's id
    #[arg(long, default_value = "sandbox-app")]
    application_id: String,
    /// The contract's id
    #[arg(long, default_value = "sandbox-contract")]
    contract_id: String,
    /// The contract's key, PEM; made where there is none
    #[arg(long, default_value = "sandbox.key.pem")]
    key: PathBuf,
    /// How long access tokens live, in seconds
    #[arg(long, default_value_t = 3600)]
    access_lifetime: u64,
}

pub(super) fn run(args: &Args, form: Form) -> Result<Exit, Failed> {
    let unreadable = |error| Failed::say(Exit::Unreadable, format!("use the key {}: {error}", args.key.display()));
    if !args.key.exists() {
        write_new(&args.key, generate_key_pem().as_bytes()).map_err(unreadable)?;
    }
    let pem = fs::read_to_string(&args.key).map_err(unreadable)?;
    let public_key = PublicKey::from_pem(&pem).ok_or_else(|| {
        Failed::say(Exit::Unreadable, format!("use the key {}: it is no RSA key", args.key.display()))
    })?;
    let options = Options {
        port: args.port,
        application_id: args.application_id.clone(),
        contract_id: args.contract_id.clone(),
        public_key,
        access_lifetime: Duration::from_secs(args.access_lifetime),
        refresh_lifetime: Duration::from_secs(30 * 24 * 3600),
    };
    runtime()?.block_on(async {
        let failed = |error| Failed::say(Exit::Unreadable, format!("listen on 127.0.0.1:{}: {error}", args.port));
        let sandbox = start(options).await.map_err(failed)?;
        let (base, onboard) = (sandbox.base_url(), sandbox.onboard_url());
        match form {
            Form::Json => print::json(&json!({
                "base_url": base, "onboard_url": onboard, "application_id": args.application_id,
                "contract_id": args.contract_id, "key_file": args.key,
            }))?,
            Form::Text => print::out(&format!(
                "[contract.sandbox]\napplication_id = \"{}\"\ncontract_id = \"{}\"\nkey_file = \"{}\"\nbase_url = \"{base}\"\nonboard_url = \"{onboard}\"\n\nPaste this and set contract = \"sandbox\" in a channel. Ctrl-C ends it.\n",
                args.application_id,
                args.contract_id,
                args.key.display()
            ))?,
        }
        tokio::signal::ctrl_c().await.map_err(|error| Failed::new(Exit::Internal, error))?;
        sandbox.stop().await;
        Ok(Exit::Done)
    })
}
