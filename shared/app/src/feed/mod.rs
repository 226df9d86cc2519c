//! The change feed: publishing to it, reading from it, and repairing what it lacks.

mod event_body;
mod port;
mod publish;
mod read;
mod recent;
mod repair;

pub use event_body::FeedEventBody;
pub use port::{FeedStore, LevelScan, RepairStore, ScanPage};
pub use publish::{Candidate, FeedDeps, publish};
pub use read::{Behind, changes_behind, head_of_feed, snapshot_offset};
pub use recent::RecentPages;
pub use repair::{RepairLimits, RepairPass, RepairReport, repair};
