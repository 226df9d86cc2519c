//! A bus that keeps what it was given, or is down.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::{Bus, BusError, FrozenEvent};

/// A bus in memory.
#[derive(Debug, Default)]
pub struct MemoryBus {
    events: Mutex<Vec<FrozenEvent>>,
    down: AtomicBool,
}

impl MemoryBus {
    /// Takes it down or brings it back.
    pub fn set_down(&self, down: bool) {
        self.down.store(down, Ordering::SeqCst);
    }

    /// What it was given so far, in order.
    pub fn events(&self) -> Vec<FrozenEvent> {
        self.events.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Bus for MemoryBus {
    async fn put(&self, events: &[FrozenEvent]) -> Result<(), BusError> {
        if self.down.load(Ordering::SeqCst) {
            return Err(BusError("the bus is down".into()));
        }
        self.events.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(events);
        Ok(())
    }
}
