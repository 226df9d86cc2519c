//! The whole product in one process: the HTTP functions on one port, the queues and their workers, the schedules and
//! the table's stream, wired as `template.yaml` says.
//!
//! The functions are the ones that Lambda runs. What stands in for AWS is here: an embedded DynamoDB reached by the AWS
//! SDK, durable queues, timers. Needs no Docker, no cloud account and no network.

mod bus;
mod cli;
mod commands;
mod dead_letters;
pub mod dynamo;
pub mod filter;
pub mod functions;
mod home;
mod local_routes;
mod pump;
pub mod queue;
pub mod rights;
mod serve;
pub mod stream;
pub mod template;

pub use cli::run;
