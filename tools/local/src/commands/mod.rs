//! Commands that talk to a running instance over HTTP, as any client would.
//!
//! Must not reach into the runner: what they show works against a deployed stack too, but for the scheduler's call.

mod api;
mod demo;
mod dlq;
mod flow;
mod produce;
mod receiver;
mod scheduler;
mod smoke;

pub(crate) use api::{Api, ApiArgs};
pub(crate) use demo::demo;
pub(crate) use dlq::{DlqArgs, dlq};
pub(crate) use flow::FlowArgs;
pub(crate) use produce::{ProduceArgs, produce};
pub(crate) use receiver::{ReceiverArgs, receiver};
pub(crate) use scheduler::{SchedulerArgs, scheduler};
pub(crate) use smoke::{SmokeArgs, smoke};

/// Why a command cannot go on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CommandError {
    /// Nobody answers there.
    #[error("{url} does not answer; is the runner up? (cargo run -p evenstock-local)")]
    Unreachable {
        /// Where.
        url: String,
        /// Why.
        source: reqwest::Error,
    },
    /// Something on this machine.
    #[error("{0}")]
    Io(#[from] std::io::Error),
}
