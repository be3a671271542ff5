//! `resume`: a paused API is asked again now.

use super::{
    Form,
    accounts::done,
    context::Context,
    exit::{Exit, Failed},
};
use crate::{admin::Question, model::ContractName};

/// Ask the API of a paused contract again now, however long it asked to wait
#[derive(Debug, clap::Args)]
#[command(
    after_help = "What is paused, why and until when: pushbridge status. A wait of one file alone ends with pushbridge \
queue retry.\n\nExamples:\n  pushbridge resume main\n  pushbridge resume          every paused contract"
)]
pub(super) struct Args {
    /// The contract; every paused one where it is not named
    contract: Option<ContractName>,
}

pub(super) fn run(context: &Context, Args { contract }: Args, form: Form) -> Result<Exit, Failed> {
    done(context, Question::Resume { contract }, form)
}
