//! What an operator is told: the link, and what the answer brought.

use super::{
    super::{
        Form,
        context::Context,
        exit::{Exit, Failed},
        print,
    },
    links::{self, LinkOrder},
    pending::Pending,
};
use crate::{
    admin::{Authorised, Whom},
    model::{Account, Timestamp},
};
use serde_json::json;

/// A link that was made.
pub(super) struct Link<'a> {
    /// For the person.
    pub(super) url: &'a str,
    /// Where the person is sent back to.
    pub(super) callback: &'a str,
    /// Until when it is waited for the answer; `None` where nobody waits.
    pub(super) until: Option<Timestamp>,
    /// What is out of the ordinary.
    pub(super) note: Option<String>,
    pub(super) pending: &'a Pending,
}

/// The link, and what happens next.
pub(super) fn link(link: &Link<'_>, form: Form) -> Result<(), Failed> {
    let Link { url, callback, until, note, pending } = link;
    if form == Form::Json {
        return print::json(&json!({
            "link": url, "label": pending.label, "callback": callback, "note": note,
            "waits_until": until.map(|until| until.to_string()),
        }));
    }
    let whom = match (&pending.label, &pending.begun.whom) {
        (Some(label), _) => format!("Send this link to {label}, and to nobody else"),
        (None, Whom::Anybody) => "Send this link to the person, and to nobody else".to_owned(),
        (None, Whom::Person { person }) => format!("Send this link to person {person}, and to nobody else"),
        (None, Whom::Account { person, reference }) => {
            format!("Send this link to person {person}, for account {reference}, and to nobody else")
        }
    };
    let note = note.as_ref().map_or_else(String::new, |note| format!("Note: {note}.\n"));
    let then = match until {
        Some(until) => format!(
            "The person's browser comes back to {callback}, and this command waits for it until {until}.\n\
             Where it cannot come here: have the address that it ends at sent to you, and give it to\n  \
             pushbridge authorize --callback-url -\n"
        ),
        None => format!(
            "The person's browser ends at {callback}?... Have that whole address sent to you, and give it to\n  \
             pushbridge authorize --callback-url -\n"
        ),
    };
    print::out(&format!("{note}{whom}; it is good for a short time:\n\n  {url}\n\n{then}"))
}

/// What the answer brought, and what is left to do.
pub(super) async fn authorised(
    context: &Context,
    pending: &Pending,
    authorised: &Authorised,
    orders: &[LinkOrder],
    form: Form,
) -> Result<Exit, Failed> {
    let (made, missing) = match &authorised.account {
        Some(account) => {
            let made = links::make(context, orders, &account.reference).await?;
            (made, links::missing(context, &authorised.contract, &account.reference).await?)
        }
        None => (Vec::new(), Vec::new()),
    };
    // Whoever authorises again has links already.
    let missing = if pending.begun.whom == Whom::Anybody { missing } else { Vec::new() };
    let unlinked = authorised.account.is_none() && !orders.is_empty();
    match form {
        Form::Json => print::json(&json!({
            "authorised": authorised, "label": pending.label, "links_made": made.len(), "links_to_add": missing,
        }))?,
        Form::Text => print::out(&text(pending, authorised, &made, &missing, unlinked))?,
    }
    let is_api = authorised.trouble.is_some() && authorised.accounts.is_empty();
    Ok(match (&authorised.trouble, unlinked) {
        (Some(_), _) if is_api => Exit::Api,
        (Some(_), _) | (None, true) => Exit::No,
        (None, false) => Exit::Done,
    })
}

fn text(pending: &Pending, authorised: &Authorised, made: &[String], missing: &[String], unlinked: bool) -> String {
    let named = |account: &Account| match &account.service {
        Some(service) => format!("{} ({service})", account.reference),
        None => account.reference.to_string(),
    };
    let who = pending.label.as_ref().map_or_else(String::new, |label| format!("{label}: "));
    let Authorised { contract, person, .. } = authorised;
    let mut text = format!("{who}person {person} has authorised contract {contract}; the tokens are kept.\n");
    match &authorised.account {
        Some(account) => text.push_str(&format!("Account: {}\n", named(account))),
        None if !authorised.accounts.is_empty() => {
            let all: Vec<_> = authorised.accounts.iter().map(named).collect();
            text.push_str(&format!("Accounts: {}\n", all.join(", ")));
        }
        None => {}
    }
    if pending.begun.whom != Whom::Anybody && authorised.trouble.is_none() {
        text.push_str("What waits for them goes by itself now.\n");
    }
    for made in made {
        text.push_str(&format!("{made}\n"));
    }
    if !missing.is_empty() {
        text.push_str("\nSay now which evidence means this account, whichever fits:\n");
        for command in missing {
            text.push_str(&format!("  {command}\n"));
        }
    }
    if unlinked {
        text.push_str("\nNo link was made, because it is not known which account was chosen: pushbridge accounts ls\n");
    }
    if let Some(trouble) = &authorised.trouble {
        text.push_str(&format!("\nNot yet in order: {trouble}\n"));
    }
    text
}
