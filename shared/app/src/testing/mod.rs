//! Test doubles of the ports, and the contract that every store must meet. Only with the feature `testing`.

pub mod admin_contract;
mod admin_memory;
pub mod contract;
mod fakes;
mod faulty;
mod feed_contract;
mod marketplace;
mod memory;
mod memory_feed;
mod memory_orders;
mod order_contract;
mod order_faults;
mod reservation_contract;
pub mod seal_contract;
mod sealer;
mod state_contract;
mod surface_contract;

pub use fakes::{FixedClock, MemoryQueue, ScriptedFeed};
pub use faulty::{Fault, FaultyStore};
pub use marketplace::ScriptedMarketplace;
pub use memory::MemoryStore;
pub use sealer::MemorySealer;
