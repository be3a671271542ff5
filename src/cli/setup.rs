//! From the configuration to what the engine is made of.

use super::{
    alerts,
    context::Context,
    exit::{Exit, Failed},
};
use crate::{
    config::{AmbiguousSetting, Channel, OrderSetting, PollingSetting, UnloadedSetting},
    engine::{
        Ambiguous, ChannelRules, ChannelSetup, Edition, Load, Order, Setup,
        judge::{self, Kind},
    },
    fhir::{json::Limits, path::Expression},
    intake::{Completeness, Contents, Inbox, Polling, Spool},
    model::{ChannelName, PushType},
    route,
    store::Store,
    validate::{Policy, RuleLevel, Unloaded},
};
use std::sync::Arc;

/// All that a run needs; begins the tasks that tell of trouble.
pub(super) fn setup(context: &Context, store: Arc<dyn Store>, edition: Edition, load: Load) -> Result<Setup, Failed> {
    let config = &context.config;
    let mut channels = std::collections::BTreeMap::new();
    for (name, channel) in &config.channels {
        let spool = Spool::open(&channel.folder).map_err(|error| Failed::new(Exit::Unreadable, error))?;
        let judging = judging(name, channel, &spool)?;
        let inbox = Inbox {
            channel: name.clone(),
            push: channel.push,
            path: channel.inbox.clone(),
            spool,
            completeness: Completeness {
                contents: match channel.push {
                    PushType::Provider => Contents::Text,
                    PushType::Library => Contents::Octets,
                },
                quiet: channel.quiet,
                truncated_limit: channel.truncated_limit,
                rename_in: channel.rename_in,
                done_suffix: channel.done_suffix.clone(),
                sidecar: channel.sidecar,
                ignored: channel.ignore.clone(),
            },
            max_bytes: channel.max_size,
            rescan: channel.rescan,
            polling: match channel.polling {
                PollingSetting::Auto => Polling::Auto,
                PollingSetting::Always => Polling::Always,
            },
            min_free: config.limits.min_free,
        };
        let rules = ChannelRules {
            contract: channel.contract.clone(),
            order: match channel.order {
                OrderSetting::Claim => Order::Claim,
                OrderSetting::Strict => Order::Strict,
            },
            ambiguous: match channel.ambiguous {
                AmbiguousSetting::Hold => Ambiguous::Hold,
                AmbiguousSetting::Resend => Ambiguous::Resend,
            },
            max_age: channel.max_age,
        };
        channels.insert(name.clone(), ChannelSetup { inbox, judging, rules });
    }
    let bell = alerts::bell(context, &*store)?;
    Ok(Setup {
        bell,
        store,
        hash_key: context.hash_key()?,
        clients: context.clients()?,
        channels,
        connections: config.limits.connections,
        judge_threads: config.limits.judge_threads,
        memory: config.limits.memory,
        grace: config.limits.shutdown_grace,
        edition,
        load,
    })
}

/// How a channel judges: for the daemon and for `route` alike.
pub(super) fn judging(name: &ChannelName, channel: &Channel, spool: &Spool) -> Result<judge::Channel, Failed> {
    let envelope = route::EnvelopeRules {
        contract: channel.contract.clone(),
        folder: channel.route.folder,
        sidecar: channel.sidecar,
        default_account: channel.route.default_account.clone(),
    };
    let kind = match channel.push {
        PushType::Provider => Kind::Bundles(Box::new(bundles(name, channel, envelope)?)),
        PushType::Library => Kind::Library(route::LibraryRules {
            envelope,
            reference: channel.reference.clone(),
            tags: channel.tags.clone(),
        }),
    };
    Ok(judge::Channel { kind, work: spool.work() })
}

fn bundles(name: &ChannelName, channel: &Channel, envelope: route::EnvelopeRules) -> Result<judge::Bundles, Failed> {
    let expression = channel
        .route
        .expression
        .as_deref()
        .map(Expression::parse)
        .transpose()
        .map_err(|error| Failed::say(Exit::Config, format!("use channel.{name}.route.expression: {error}")))?;
    let mut policy = Policy::default();
    policy.modifier_extensions.extend(channel.allow_modifier_extensions.iter().cloned());
    policy.require.extend(channel.require.iter().cloned());
    policy.allow.extend(channel.allow.iter().cloned());
    policy.unloaded = match channel.unloaded_profiles {
        UnloadedSetting::Pass | UnloadedSetting::Hold => Unloaded::NotChecked,
        UnloadedSetting::Refuse => Unloaded::Refused,
    };
    for (key, level) in &channel.rules {
        let level: RuleLevel = level.parse().map_err(|_| {
            Failed::say(Exit::Config, format!("use channel.{name}.validate.rules.{key}: this is no level"))
        })?;
        policy.rules.insert(key.clone(), level);
    }
    Ok(judge::Bundles {
        routing: route::Rules { envelope, patient_systems: channel.route.patient_systems.clone(), expression },
        policy,
        waits_for_profiles: channel.unloaded_profiles == UnloadedSetting::Hold,
        limits: Limits { max_bytes: channel.max_size, max_depth: channel.max_depth, ..Limits::default() },
        max_entries: channel.max_entries,
        version: channel.version.as_str().into(),
    })
}
