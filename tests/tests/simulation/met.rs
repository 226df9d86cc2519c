//! What the worlds met, so that a run can be seen to have tried something.

/// Counts over all worlds of a run.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Met {
    pub(crate) steps: u64,
    pub(crate) died: u64,
    pub(crate) abandoned: u64,
    pub(crate) changes: u64,
    pub(crate) calls: u64,
    pub(crate) refused: u64,
    pub(crate) lost: u64,
    pub(crate) expired: u64,
    pub(crate) orders: u64,
    pub(crate) given_up: u64,
}

impl Met {
    pub(crate) fn add(&mut self, other: Self) {
        let both = |mine: &mut u64, theirs: u64| *mine += theirs;
        both(&mut self.steps, other.steps);
        both(&mut self.died, other.died);
        both(&mut self.abandoned, other.abandoned);
        both(&mut self.changes, other.changes);
        both(&mut self.calls, other.calls);
        both(&mut self.refused, other.refused);
        both(&mut self.lost, other.lost);
        both(&mut self.expired, other.expired);
        both(&mut self.orders, other.orders);
        both(&mut self.given_up, other.given_up);
    }

    pub(crate) fn least(&self) -> u64 {
        let Self { steps, died, abandoned, changes, calls, refused, lost, expired, orders, given_up } = *self;
        [steps, died, abandoned, changes, calls, refused, lost, expired, orders, given_up].into_iter().min().unwrap()
    }
}
