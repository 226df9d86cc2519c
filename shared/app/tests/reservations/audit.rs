//! What must hold in every world once it has healed.

use std::collections::BTreeMap;

use evenstock_app::StockStore;
use evenstock_domain::{EventBody, Past, Reservation, ReservationState, StockEvent, Timestamp};

use crate::world::{INITIAL, LEVELS, Said, World, key};
use evenstock_app::testing::worlds::finish;

impl World {
    /// How many reservations ended held, released, fulfilled, expired.
    pub(crate) fn audit(&self) -> Result<[u64; 4], String> {
        let memory = &self.shared.store.inner().inner;
        let all = memory.reservations();
        for n in 0..LEVELS {
            let level = finish(Box::pin(memory.load(&key(n)))).unwrap().unwrap().level;
            let units = |state| -> i64 {
                let lines = all.iter().filter(|one| one.state == state).flat_map(|one| &one.lines);
                lines.filter(|line| line.sku == key(n).sku).map(|line| line.units).sum()
            };
            let restocked: i64 =
                self.restocks.iter().filter(|(at, _)| *at == key(n)).map(|(_, fact)| units_of(fact)).sum();
            let (held, shelf) =
                (units(ReservationState::Held), INITIAL + restocked - units(ReservationState::Fulfilled));
            if (level.reserved, level.on_hand()) != (held, shelf) {
                let found = (level.reserved, level.on_hand());
                return Err(format!("level {n}: reserved and on hand are {found:?}, not {:?}: {all:?}", (held, shelf)));
            }
            let past = Past::reaching(Timestamp::EPOCH, memory.pages(&key(n)));
            let sum: (i64, i64) = level
                .journal(&past)
                .fold((0, 0), |sum, placed| (sum.0 + placed.entry.available, sum.1 + placed.entry.reserved));
            if sum != (level.available, level.reserved) {
                return Err(format!("level {n}: the journal's sum is {sum:?}"));
            }
        }
        self.nobody_was_told_otherwise(&all)?;
        let count = |state| all.iter().filter(|one| one.state == state).count() as u64;
        use ReservationState::{Expired, Fulfilled, Held, Released};
        Ok([count(Held), count(Released), count(Fulfilled), count(Expired)])
    }

    fn nobody_was_told_otherwise(&self, all: &[Reservation]) -> Result<(), String> {
        let mut first = BTreeMap::new();
        for (id, said) in self.shared.said.lock().unwrap().iter() {
            let one = all.iter().find(|one| one.id == *id).ok_or("a reservation is gone")?;
            let holds = one.held_at.is_some()
                && match said {
                    Said::Held(n, levels) => {
                        let told = (id, levels);
                        *first.entry(*n).or_insert(told) == told
                    }
                    Said::Released => one.state == ReservationState::Released,
                    Said::Fulfilled => one.state == ReservationState::Fulfilled,
                };
            if !holds {
                return Err(format!("somebody was told {said:?} of {one:?}"));
            }
        }
        Ok(())
    }
}

fn units_of(fact: &StockEvent) -> i64 {
    match fact.body {
        EventBody::Delta(delta) => delta.get(),
        _ => 0,
    }
}
