//! The links of an account that has just come: made at once where they were ordered, otherwise said.

use super::super::{
    context::Context,
    exit::{Exit, Failed},
};
use crate::{
    admin::{Answer, Question},
    config::Channel,
    model::{AccountReference, ChannelName, ContractName, EvidenceKind, shell_word},
};
use std::str::FromStr;

/// A link to be made: `CHANNEL:KIND=VALUE`, for a patient identifier `CHANNEL:patient=SYSTEM|VALUE`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LinkOrder {
    channel: ChannelName,
    kind: EvidenceKind,
    system: Option<String>,
    value: String,
}

impl FromStr for LinkOrder {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let form = || "a link is CHANNEL:folder=VALUE, sidecar, expression or patient=SYSTEM|VALUE".to_owned();
        let (evidence, value) = text.split_once('=').ok_or_else(form)?;
        let (channel, kind) = evidence.split_once(':').ok_or_else(form)?;
        let channel = channel.parse().map_err(|error| format!("{error}"))?;
        let kinds = [EvidenceKind::Folder, EvidenceKind::Sidecar, EvidenceKind::Patient, EvidenceKind::Expression];
        let kind = kinds.into_iter().find(|known| known.as_str() == kind).ok_or_else(form)?;
        let (system, value) = match kind {
            EvidenceKind::Patient => {
                let (system, value) = value.split_once('|').ok_or_else(form)?;
                (Some(system.to_owned()), value)
            }
            _ => (None, value),
        };
        if value.is_empty() || system.as_deref() == Some("") {
            return Err(form());
        }
        Ok(Self { channel, kind, system, value: value.to_owned() })
    }
}

/// Refuses, before anybody is asked anything, what could not be done afterwards.
pub(super) fn check(context: &Context, contract: &ContractName, orders: &[LinkOrder]) -> Result<(), Failed> {
    for LinkOrder { channel: name, kind, system, .. } in orders {
        let refuse = |why: String| Err(Failed::say(Exit::Usage, format!("use --link {name}:{kind}: {why}")));
        let Some(channel) = context.config.channels.get(name) else {
            return refuse("the configuration has no such channel".to_owned());
        };
        if channel.contract != *contract {
            return refuse(format!("the channel pushes under contract {}", channel.contract));
        }
        let is_used = match kind {
            EvidenceKind::Folder => channel.route.folder,
            EvidenceKind::Sidecar => channel.sidecar,
            EvidenceKind::Patient => {
                system.as_ref().is_some_and(|system| channel.route.patient_systems.contains(system))
            }
            EvidenceKind::Expression => channel.route.expression.is_some(),
            EvidenceKind::Default => false,
        };
        if !is_used {
            return refuse("the channel does not go by that evidence".to_owned());
        }
    }
    Ok(())
}

/// Makes the links; says what was done.
pub(super) async fn make(
    context: &Context,
    orders: &[LinkOrder],
    account: &AccountReference,
) -> Result<Vec<String>, Failed> {
    let mut told = Vec::new();
    for LinkOrder { channel, kind, system, value } in orders.iter().cloned() {
        let text = format!("linked: {kind} in channel {channel}");
        let question = Question::AddLink { channel, kind, system, value, account: account.clone() };
        context.ask_beside(question).await?;
        told.push(text);
    }
    Ok(told)
}

/// The commands that link the account, for each channel of its contract that has no link to it yet.
pub(super) async fn missing(
    context: &Context,
    contract: &ContractName,
    account: &AccountReference,
) -> Result<Vec<String>, Failed> {
    let Answer::Links { links } = context.ask_beside(Question::Links { channel: None }).await? else {
        return Err(Failed::say(Exit::Internal, "read the daemon's answer"));
    };
    let is_linked =
        |name: &ChannelName| links.iter().any(|view| view.link.channel == *name && view.link.account == *account);
    let channels = context.config.channels.iter();
    let own = channels.filter(|(name, channel)| channel.contract == *contract && !is_linked(name));
    Ok(own.flat_map(|(name, channel)| commands(name, channel, account)).collect())
}

fn commands(name: &ChannelName, channel: &Channel, account: &AccountReference) -> Vec<String> {
    let add = |evidence: &str| format!("pushbridge links add {name} {evidence} {}", shell_word(account.as_str()));
    let mut commands = Vec::new();
    if channel.route.folder {
        commands.push(add("folder FOLDER-NAME"));
    }
    if channel.sidecar {
        commands.push(add("sidecar KEY"));
    }
    for system in &channel.route.patient_systems {
        commands.push(add(&format!("patient --system {} IDENTIFIER", shell_word(system))));
    }
    if channel.route.expression.is_some() {
        commands.push(add("expression VALUE"));
    }
    commands
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_are_read_with_their_systems() {
        let order: LinkOrder = "clinic:patient=http://a.example/n?x=1|47=11".parse().unwrap();
        assert_eq!((order.system.as_deref(), order.value.as_str()), (Some("http://a.example/n?x=1"), "47=11"));
        let order: LinkOrder = "clinic:folder=jansen=7".parse().unwrap();
        assert_eq!((order.kind, order.value.as_str()), (EvidenceKind::Folder, "jansen=7"));
        for wrong in
            ["clinic", "clinic:folder", "clinic:folder=", "clinic:default=x", "clinic:patient=4711", ":folder=x"]
        {
            assert!(wrong.parse::<LinkOrder>().is_err(), "{wrong}");
        }
    }
}
