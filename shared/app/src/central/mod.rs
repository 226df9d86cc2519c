//! Pushing our changes to a central system: the levels to be looked at, what it is known to hold, and what happens when it
//! and we disagree.
//!
//! A message only names levels. What is to be pushed follows from a level's journal and from the copy that we keep of the
//! other side, so messages may come twice, late and in any order. Must not know how the central system is called.

mod dispute;
mod job;
mod line;
mod port;
mod propagate;
mod task;

pub use dispute::{CENTRAL_SOURCE, central_conflict};
pub use job::{InvalidPushJob, LEVELS_MAX, LevelName, PushJob, push_jobs};
pub use port::{CentralAnswer, CentralCopies, CentralError, CentralStock, CentralUpdate};
pub use propagate::{PropagateDeps, PropagatePlan, PropagateReport, PushFate, propagate};
