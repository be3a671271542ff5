//! `authorize` and `reauthorize`: a link for a person, their answer, and what follows from it.

mod links;
mod pending;
mod tell;

use super::{
    Form,
    context::{Context, runtime},
    exit::{Exit, Failed},
    print,
};
use crate::{
    admin::{Answer, Authorised, Begun, Called, Invite, Listener, Outcome, Question},
    config::duration,
    model::{ContractName, Secret, Timestamp},
    push::{Callback, CallbackError},
};
use links::LinkOrder;
use pending::{Pending, Shelf};
use std::{
    io::BufRead,
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

/// Have a person authorise us: makes the link, takes the answer, keeps tokens and account
#[derive(Debug, clap::Args)]
#[command(after_help = "Three ways for the answer to come back:\n\n\
1. The person sits here: the browser of this machine comes back to a listener of this command.\n     \
pushbridge authorize\n     \
pushbridge authorize --contract main --link clinic:folder=jansen-7\n\n\
2. The person is elsewhere, and you have an https address that leads here, by a proxy for example.\n     \
pushbridge authorize --listen 127.0.0.1:8765 --public-url https://push.clinic.example/cb\n\n\
3. The person is elsewhere, and you have none: send the link, and have the address that the browser ends at sent to \
you, also where it says that the page cannot be reached. Give it to a second command, best by standard input.\n     \
pushbridge authorize --by-hand case-4711\n     \
pushbridge authorize --callback-url -\n\n\
Between the two commands what finishes it lies in the state folder, for this user alone, for a day at most. A link \
that nobody answered in time on way 1 or 2 can be finished by --callback-url too. A contract may allow only certain \
callback addresses: then choose port or address by --listen and --public-url.\n\n\
Whoever answers the link decides whose account it is: give it to the person alone.")]
pub(super) struct Args {
    /// Your own word for the person, shown with the link and at the end, and forgotten then
    label: Option<String>,
    /// Under this contract; needed where there are several
    #[arg(long)]
    contract: Option<ContractName>,
    /// The provider's id at the API; without it the person chooses
    #[arg(long, value_name = "ID")]
    service: Option<String>,
    /// Link the account at once: CHANNEL:folder=VALUE, sidecar, expression or patient=SYSTEM|VALUE
    #[arg(long = "link", value_name = "CHANNEL:KIND=VALUE")]
    links: Vec<LinkOrder>,
    #[command(flatten)]
    way: Way,
}

/// Have a person, or one account at its provider, authorise us again; what was held for them goes by itself afterwards
#[derive(Debug, clap::Args)]
#[command(
    after_help = "pushbridge status and pushbridge accounts ls say who must authorise again, with this command.\n\n\
Examples:\n  pushbridge reauthorize PERSON-ID              the refresh token is spent or over\n  \
pushbridge reauthorize ACCOUNT-REFERENCE      its provider asks for it (HTTP 511)\n  \
pushbridge reauthorize PERSON-ID --by-hand    then: pushbridge reauthorize --callback-url -\n\n\
The answer comes back in the same ways as that of pushbridge authorize. Tokens of another person are not kept."
)]
pub(super) struct AgainArgs {
    /// The person's id, or the account's reference or id
    #[arg(required_unless_present = "callback_url", value_name = "PERSON|REFERENCE")]
    whom: Option<String>,
    /// Under this contract; needed where the word is known under several
    #[arg(long)]
    contract: Option<ContractName>,
    #[command(flatten)]
    way: Way,
}

/// How the answer comes back.
#[derive(Debug, clap::Args)]
struct Way {
    /// Finish with the address that the person was sent back to; - reads it from standard input
    #[arg(long, value_name = "ADDRESS", conflicts_with_all = ["by_hand", "listen", "public_url", "wait"])]
    callback_url: Option<String>,
    /// Print the link and end; --callback-url finishes it
    #[arg(long, conflicts_with_all = ["listen", "wait"])]
    by_hand: bool,
    /// Listen here; a free port of 127.0.0.1 unless said
    #[arg(long, value_name = "ADDR:PORT")]
    listen: Option<SocketAddr>,
    /// The address by which the person's browser reaches us, or a page of yours with --by-hand
    #[arg(long, value_name = "URL", value_parser = parse_public)]
    public_url: Option<String>,
    /// How long to wait for the answer
    #[arg(long, value_name = "DURATION", default_value = "15m", value_parser = parse_wait)]
    wait: Duration,
    /// The language of the pages that the person sees: en, nl, ..
    #[arg(long)]
    locale: Option<String>,
}

fn parse_wait(text: &str) -> Result<Duration, String> {
    duration(text).ok_or_else(|| "a duration is a number with ms, s, m, h or d: 15m".to_owned())
}

fn parse_public(text: &str) -> Result<String, String> {
    let is_here = |rest: &str| {
        let host = rest.split('/').next().unwrap_or_default();
        let host = host.rsplit_once(':').filter(|(_, port)| port.parse::<u16>().is_ok()).map_or(host, |(host, _)| host);
        matches!(host, "localhost" | "[::1]") || host.parse().is_ok_and(|host: Ipv4Addr| host.is_loopback())
    };
    let is_safe = text.starts_with("https://") || text.strip_prefix("http://").is_some_and(is_here);
    let is_plain = text.chars().all(|c| c.is_ascii_graphic()) && !text.contains(['#', '?', '@']);
    if is_safe && is_plain {
        return Ok(text.to_owned());
    }
    Err("write an https address without ? and # (http only to this machine): the code would travel in clear".to_owned())
}

/// Where the person is sent back to when nobody listens: their browser says that there is nothing, and shows the address.
const NOWHERE: &str = "http://127.0.0.1/pushbridge-callback";

pub(super) fn run(context: &Context, args: Args, form: Form) -> Result<Exit, Failed> {
    let Args { label, contract, service, links, way } = args;
    if let Some(address) = &way.callback_url {
        return by_hand(context, address, &links, form);
    }
    if way.by_hand && !links.is_empty() {
        return Err(Failed::say(
            Exit::Usage,
            "use --link with --by-hand: say it with --callback-url, when the account is known",
        ));
    }
    let contract = contract_of(context, contract)?;
    links::check(context, &contract, &links)?;
    let begin = |invite: Invite| Question::BeginAuthorisation { contract, invite: Invite { service, ..invite } };
    Asking { context, form, label, links: &links, way: &way }.ask(begin)
}

pub(super) fn again(context: &Context, args: AgainArgs, form: Form) -> Result<Exit, Failed> {
    let AgainArgs { whom, contract, way } = args;
    match (&way.callback_url, whom) {
        (Some(address), _) => by_hand(context, address, &[], form),
        (None, None) => Err(Failed::say(Exit::Usage, "know whom to ask: say PERSON or REFERENCE")),
        (None, Some(word)) => {
            let begin = |invite| Question::BeginReauthorisation { word, contract, invite };
            Asking { context, form, label: None, links: &[], way: &way }.ask(begin)
        }
    }
}

fn contract_of(context: &Context, contract: Option<ContractName>) -> Result<ContractName, Failed> {
    let known = &context.config.contracts;
    match contract {
        Some(name) if known.contains_key(&name) => Ok(name),
        Some(name) => Err(Failed::say(Exit::Usage, format!("find contract {name} in the configuration"))),
        None if known.len() == 1 => known.keys().next().cloned().ok_or_else(|| no_contract("no contract")),
        None if known.is_empty() => Err(no_contract("no contract")),
        None => Err(no_contract("several contracts: say which by --contract")),
    }
}

fn no_contract(what: &str) -> Failed {
    Failed::say(Exit::Usage, format!("choose a contract: the configuration has {what}"))
}

/// The address that an operator was given.
fn by_hand(context: &Context, address: &str, orders: &[LinkOrder], form: Form) -> Result<Exit, Failed> {
    let mut line = String::new();
    let address = if address == "-" {
        let read = std::io::stdin().lock().read_line(&mut line);
        read.map_err(|error| Failed::say(Exit::Unreadable, format!("read standard input: {error}")))?;
        Secret::new(line)
    } else {
        Secret::new(address.to_owned())
    };
    let callback =
        Callback::read(address.expose()).map_err(|error| Failed::sentence(Exit::Usage, error.to_string()))?;
    let shelf = Shelf::open(context)?;
    let Some(pending) = shelf.find(callback.state())? else {
        return Err(Failed::sentence(
            Exit::No,
            "no authorisation that was begun here waits for this address: it was finished already, or is older than a day, \
             or was begun elsewhere; begin again",
        ));
    };
    links::check(context, &pending.begun.contract, orders)?;
    if let Err(error) = callback.granted(&pending.begun.state) {
        shelf.remove(&pending.begun.state)?;
        return Err(denied(&error));
    }
    runtime()?.block_on(async {
        let authorised = finish(context, &shelf, &pending.begun, address).await?;
        tell::authorised(context, &pending, &authorised, orders, form).await
    })
}

fn denied(error: &CallbackError) -> Failed {
    Failed::sentence(Exit::No, format!("{error}; nothing was kept, and nothing is sent"))
}

/// Has the answer's code exchanged. What finishes it is kept where the same address may work later.
async fn finish(
    context: &Context,
    shelf: &Shelf,
    begun: &Begun,
    callback: Secret<String>,
) -> Result<Authorised, Failed> {
    let question = Question::FinishAuthorisation { begun: Box::new(begun.clone()), callback };
    match context.ask_beside(question).await {
        Ok(Answer::Authorised(authorised)) => {
            shelf.remove(&begun.state)?;
            Ok(*authorised)
        }
        Ok(Answer::NotAuthorised { text, api }) => {
            shelf.remove(&begun.state)?;
            Err(Failed::sentence(if api { Exit::Api } else { Exit::No }, text))
        }
        Ok(_) => Err(Failed::say(Exit::Internal, "read the daemon's answer")),
        Err(failed) => {
            let again = "nothing is lost yet: give the same address once more to pushbridge authorize --callback-url -";
            let begin = if failed.is_sentence { "" } else { "failed to " };
            Err(Failed::sentence(failed.exit, format!("{begin}{:#}; {again}", failed.error)))
        }
    }
}

/// One person being asked.
struct Asking<'a> {
    context: &'a Context,
    form: Form,
    label: Option<String>,
    links: &'a [LinkOrder],
    way: &'a Way,
}

impl Asking<'_> {
    fn ask(self, begin: impl FnOnce(Invite) -> Question) -> Result<Exit, Failed> {
        let shelf = Shelf::open(self.context)?;
        runtime()?.block_on(async {
            let listener = self.listen().await?;
            let callback = match (&self.way.public_url, &listener) {
                (Some(public), _) => public.clone(),
                (None, Some(listener)) => format!("http://{}/callback", listener.address),
                (None, None) => NOWHERE.to_owned(),
            };
            let invite = Invite { callback: callback.clone(), service: None, locale: self.way.locale.clone() };
            let Answer::Begun { url, begun, note } = self.context.ask_beside(begin(invite)).await? else {
                return Err(Failed::say(Exit::Internal, "read the daemon's answer"));
            };
            let pending = Pending { begun: *begun, label: self.label.clone(), made: Timestamp::now() };
            shelf.keep(&pending)?;
            let until = listener.as_ref().map(|_| Timestamp::now().plus(self.way.wait));
            tell::link(&tell::Link { url: &url, callback: &callback, until, note, pending: &pending }, self.form)?;
            match listener {
                Some(listener) => self.wait(listener, &shelf, &pending).await,
                None => Ok(Exit::Done),
            }
        })
    }

    async fn listen(&self) -> Result<Option<Listener>, Failed> {
        if self.way.by_hand {
            return Ok(None);
        }
        let address = self.way.listen.unwrap_or(SocketAddr::from(([127, 0, 0, 1], 0)));
        if !address.ip().is_loopback() && self.way.public_url.is_none() {
            return Err(Failed::say(
                Exit::Usage,
                "listen there: say by --public-url at which https address the person's browser reaches it",
            ));
        }
        let failed = |error| Failed::say(Exit::Unreadable, format!("listen on {address}: {error}"));
        Ok(Some(Listener::start(address, self.way.locale.clone()).await.map_err(failed)?))
    }

    async fn wait(&self, mut listener: Listener, shelf: &Shelf, pending: &Pending) -> Result<Exit, Failed> {
        let limit = tokio::time::sleep(self.way.wait);
        tokio::pin!(limit);
        let still = "the link can still be answered; then: pushbridge authorize --callback-url ADDRESS";
        let ended = loop {
            tokio::select! {
                called = listener.next() => {
                    let Some(called) = called else { break Err(Failed::say(Exit::Internal, "listen for the answer")) };
                    if let Some(ended) = self.called(called, shelf, pending).await {
                        break ended;
                    }
                }
                _ = tokio::signal::ctrl_c() => {
                    break Err(Failed::sentence(Exit::No, format!("stopped before the person answered; {still}")));
                }
                () = &mut limit => {
                    break Err(Failed::sentence(Exit::TimedOut, format!("nobody answered in time; {still}")));
                }
            }
        };
        listener.stop().await;
        tell::authorised(self.context, pending, &ended?, self.links, self.form).await
    }

    /// A browser has come back; `None` where it is not the one that is waited for.
    async fn called(&self, called: Called, shelf: &Shelf, pending: &Pending) -> Option<Result<Authorised, Failed>> {
        let read = Callback::read(called.address.expose());
        match read.and_then(|callback| callback.granted(&pending.begun.state)) {
            Err(error @ CallbackError::Denied { .. }) => {
                called.answer(Outcome::Denied);
                Some(shelf.remove(&pending.begun.state).and(Err(denied(&error))))
            }
            Err(CallbackError::Unreadable | CallbackError::State) => {
                called.answer(Outcome::Foreign);
                print::complain(
                    "pushbridge: somebody came back from another link; that was not used, and it is waited on",
                );
                None
            }
            Ok(_) => {
                let ended = finish(self.context, shelf, &pending.begun, called.address.clone()).await;
                called.answer(match &ended {
                    Ok(_) => Outcome::Given,
                    // What finishes it was thrown away: the link is over.
                    Err(_) if matches!(shelf.find(&pending.begun.state), Ok(None)) => Outcome::Foreign,
                    Err(_) => Outcome::Failed,
                });
                Some(ended)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_never_travels_in_clear() {
        assert!(parse_public("https://push.clinic.example/callback").is_ok());
        for here in ["http://127.0.0.1:8765/callback", "http://localhost:1", "http://[::1]/x"] {
            assert!(parse_public(here).is_ok(), "{here}");
        }
        for wrong in [
            "http://push.clinic.example/",
            "http://127.0.0.1.example/",
            "http://localhost.example/",
            "http://127.0.0.1@push.example/",
            "https://x.example/?a=1",
            "https://x.example/#a",
            "push.example",
        ] {
            assert!(parse_public(wrong).is_err(), "{wrong}");
        }
    }
}
