//! Test doubles of the ports, and the contract that every store must meet. Only with the feature `testing`.

pub mod admin_contract;
mod admin_memory;
mod callback_contract;
mod callback_faulty;
mod callback_memory;
pub mod contract;
mod fakes;
mod faulty;
mod faulty_jobs;
mod feed_contract;
pub mod job_contract;
mod marketplace;
mod memory;
mod memory_bus;
mod memory_feed;
mod memory_jobs;
mod memory_orders;
mod order_contract;
mod order_faults;
mod reservation_contract;
pub mod seal_contract;
mod sealer;
mod state_contract;
mod surface_contract;
pub mod warehouse_contract;
mod warehouses;
pub mod worlds;

pub use fakes::{FixedClock, MemoryQueue, ScriptedFeed};
pub use faulty::{Fault, FaultyStore};
pub use marketplace::ScriptedMarketplace;
pub use memory::MemoryStore;
pub use memory_bus::MemoryBus;
pub use sealer::MemorySealer;
