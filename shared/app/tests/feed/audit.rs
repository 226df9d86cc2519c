//! What must hold in every world once all records were published.

use std::collections::BTreeMap;

use evenstock_app::testing::FaultyStore;

use crate::store::Logged;
use crate::world::{Level, World};

impl World {
    pub(crate) fn audit(&self) -> Result<(), String> {
        let logged = FaultyStore::inner(&*self.store);
        self.numbers_rise_without_gaps(logged)?;
        self.changes_stand_once(logged)
    }

    /// In the order of putting, each page adjoins the one before, or begins where a marker said.
    fn numbers_rise_without_gaps(&self, logged: &Logged) -> Result<(), String> {
        let (pages, markers) = (logged.pages.lock().unwrap(), logged.markers.lock().unwrap());
        let mut next = 1;
        for page in pages.iter() {
            let jumps = page.first_seq > next && markers.iter().any(|marker| marker.start == page.first_seq);
            if page.first_seq != next && !jumps {
                return Err(format!("the page after {} begins with {}", next - 1, page.first_seq));
            }
            if !markers.iter().any(|marker| marker.ceiling >= page.last_seq()) {
                return Err(format!("{} is above every ceiling", page.last_seq()));
            }
            next = page.next_seq();
        }
        Ok(())
    }

    fn changes_stand_once(&self, logged: &Logged) -> Result<(), String> {
        let mut numbers: BTreeMap<(Level, u64), u64> = BTreeMap::new();
        for page in logged.pages.lock().unwrap().iter() {
            for (seq, change) in page.numbered() {
                if let Some(other) = numbers.insert((Level::of(change), change.version), seq) {
                    return Err(format!("{change:?} has the numbers {other} and {seq}"));
                }
            }
        }
        for (level, (version, _)) in &self.table {
            for version in 1..=*version {
                let number =
                    numbers.remove(&(*level, version)).ok_or_else(|| format!("{level:?} lacks version {version}"))?;
                for (change, told) in self.told.lock().unwrap().iter() {
                    if (Level::of(change), change.version) == (*level, version) && *told != number {
                        return Err(format!("a publisher was told {told} instead of {number} of {change:?}"));
                    }
                }
            }
        }
        if numbers.is_empty() { Ok(()) } else { Err(format!("nobody made {numbers:?}")) }
    }
}
