//! Tests of the callbacks' client: against servers on the loopback, and against names that lie.

mod delivery;
mod signature;
mod target;
