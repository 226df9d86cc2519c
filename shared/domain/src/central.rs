//! What a central system is known to hold of one of our levels, and what it is to be told next.
//!
//! Both sides count versions on their own, so a push names *its* version as we know it. What is pushed next is a function
//! of the copy and the level's journal alone: whoever repeats a push, repeats it byte for byte. Knows no transport and no
//! store.

use crate::Timestamp;

/// What one side has of a level.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Holding {
    /// Units that can be sold; below 0 when more was sold than was there.
    pub quantity: i64,
    /// The side's own version of the level; 0 for "not there yet".
    pub version: u64,
}

/// Where a change of our level comes from, seen from the central system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangeOrigin {
    /// It has not heard of it.
    Ours,
    /// It told us: it has it already.
    Theirs,
    /// A settled conflict took its number over: it is there already, and was counted when the conflict was settled.
    Settled,
}

/// A change of our level behind what the central system has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PendingChange {
    /// Our version after it.
    pub version: u64,
    /// Change of available units.
    pub delta: i64,
    /// Whose it is.
    pub origin: ChangeOrigin,
}

/// Why the two sides need somebody to decide.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DisputeReason {
    /// It holds another quantity than what it was told and what it told us come to.
    Differs,
    /// It refuses the change, for example because it has less than we sold.
    Refuses,
}

/// The two sides disagree. Nothing is pushed until somebody decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CentralDispute {
    /// Why.
    pub reason: DisputeReason,
    /// What we had.
    pub ours: Holding,
    /// When our level last changed.
    pub ours_at: Timestamp,
    /// What it said that it has.
    pub theirs: Holding,
    /// What it should have had.
    pub expected: i64,
    /// When it said so.
    pub at: Timestamp,
}

/// What the central system is known to hold of a level.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CentralCopy {
    /// Our version up to which it has everything.
    pub through: u64,
    /// Its version after that.
    pub version: u64,
    /// Its quantity after that.
    pub quantity: i64,
    /// A difference that it is to be told before all further changes.
    pub correction: Option<i64>,
    /// That nothing may be pushed, and why.
    pub dispute: Option<CentralDispute>,
}

/// One change to be pushed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CentralPush {
    /// Change of units, never 0.
    pub delta: i64,
    /// The version that it must have: what makes a push that comes late, or twice, change nothing.
    pub expected_version: u64,
    /// Our version up to which it has everything afterwards.
    pub through: u64,
    /// Whether it corrects, rather than stands for a change of our level.
    pub is_correction: bool,
}

impl CentralPush {
    /// Names the push among all of its level. Its version only rises, so no two pushes have one name.
    pub fn name(&self) -> String {
        let mark = if self.is_correction { "c" } else { "" };
        format!("{}{mark}@{}", self.through, self.expected_version)
    }
}

impl CentralCopy {
    /// How a level begins to be followed; `None` when both sides have it and disagree.
    pub fn begin(ours: Holding, theirs: Option<Holding>) -> Option<Self> {
        let known = |theirs: Holding, correction| Self {
            through: ours.version,
            version: theirs.version,
            quantity: theirs.quantity,
            correction,
            dispute: None,
        };
        match theirs {
            None => Some(known(Holding { quantity: 0, version: 0 }, difference(ours.quantity, 0))),
            Some(theirs) if theirs.quantity == ours.quantity => Some(known(theirs, None)),
            Some(_) => None,
        }
    }

    /// What is to be pushed next, and the copy with everything before it passed by that need not be pushed. `pending` are
    /// the changes behind `through`, oldest first.
    pub fn next(&self, pending: &[PendingChange]) -> (Self, Option<CentralPush>) {
        let mut copy = self.clone();
        if copy.dispute.is_some() {
            return (copy, None);
        }
        let expected_version = copy.version;
        if let Some(delta) = copy.correction {
            let through = copy.through;
            return (copy, Some(CentralPush { delta, expected_version, through, is_correction: true }));
        }
        for change in pending.iter().filter(|change| change.version > self.through) {
            match change.origin {
                ChangeOrigin::Ours if change.delta != 0 => {
                    let (delta, through) = (change.delta, change.version);
                    return (copy, Some(CentralPush { delta, expected_version, through, is_correction: false }));
                }
                ChangeOrigin::Theirs => copy.quantity = copy.quantity.saturating_add(change.delta),
                ChangeOrigin::Ours | ChangeOrigin::Settled => {}
            }
            copy.through = change.version;
        }
        (copy, None)
    }

    /// The copy once a push of it was applied there, as this version.
    #[must_use]
    pub fn pushed(self, push: &CentralPush, version: u64) -> Self {
        let quantity = self.quantity.saturating_add(push.delta);
        Self { through: push.through, version, quantity, correction: None, dispute: None }
    }

    /// The quantity that it should have: changes that it told us are there already, whether we have come to them or not.
    pub fn expected(&self, pending: &[PendingChange]) -> i64 {
        let told =
            pending.iter().filter(|change| change.origin == ChangeOrigin::Theirs && change.version > self.through);
        told.fold(self.quantity, |sum, change| sum.saturating_add(change.delta))
    }

    /// The copy after it turned out to have another version; `None` when its quantity is another one too, because then
    /// something happened there that we were not told of.
    pub fn rebased(&self, theirs: Holding, pending: &[PendingChange]) -> Option<Self> {
        (theirs.quantity == self.expected(pending)).then(|| Self { version: theirs.version, ..self.clone() })
    }

    /// The copy once somebody decided about its dispute: everything up to the version that was disputed is settled. If our
    /// number counts, it is told the difference.
    pub fn decided(dispute: &CentralDispute, ours_counts: bool) -> Self {
        let CentralDispute { ours, theirs, .. } = dispute;
        Self {
            through: ours.version,
            version: theirs.version,
            quantity: theirs.quantity,
            correction: if ours_counts { difference(ours.quantity, theirs.quantity) } else { None },
            dispute: None,
        }
    }
}

/// What leads from one quantity to another, unless they are equal.
pub const fn difference(to: i64, from: i64) -> Option<i64> {
    match to.saturating_sub(from) {
        0 => None,
        difference => Some(difference),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn holding(quantity: i64, version: u64) -> Holding {
        Holding { quantity, version }
    }

    fn copy(through: u64, version: u64, quantity: i64) -> CentralCopy {
        CentralCopy { through, version, quantity, correction: None, dispute: None }
    }

    const fn change(version: u64, delta: i64, origin: ChangeOrigin) -> PendingChange {
        PendingChange { version, delta, origin }
    }

    fn dispute(ours: Holding, theirs: Holding) -> CentralDispute {
        let time = Timestamp::EPOCH;
        CentralDispute { reason: DisputeReason::Differs, ours, ours_at: time, theirs, expected: 0, at: time }
    }

    #[test]
    fn level_that_is_not_there_is_created_with_what_there_is() {
        let begun = CentralCopy::begin(holding(12, 7), None).unwrap();
        assert_eq!(begun, CentralCopy { correction: Some(12), ..copy(7, 0, 0) });
        let (_, push) = begun.next(&[]);
        assert_eq!(push.map(|push| (push.delta, push.expected_version, push.through)), Some((12, 0, 7)));
        assert_eq!(CentralCopy::begin(holding(0, 7), None), Some(copy(7, 0, 0)), "a change of nothing is none");
    }

    #[test]
    fn level_that_is_there_is_taken_as_it_is_or_disputed() {
        assert_eq!(CentralCopy::begin(holding(5, 7), Some(holding(5, 3))), Some(copy(7, 3, 5)));
        assert_eq!(CentralCopy::begin(holding(5, 7), Some(holding(4, 3))), None);
    }

    #[test]
    fn changes_are_pushed_in_order_and_those_that_it_told_us_never() {
        let pending = [
            change(8, 3, ChangeOrigin::Theirs),
            change(9, 0, ChangeOrigin::Ours),
            change(10, 9, ChangeOrigin::Settled),
            change(11, -2, ChangeOrigin::Ours),
            change(12, -1, ChangeOrigin::Ours),
        ];
        let (passed, push) = copy(7, 30, 5).next(&pending);
        let push = push.unwrap();
        assert_eq!((passed.through, passed.quantity), (10, 8), "what was told counts, what was settled counted before");
        assert_eq!((push.delta, push.expected_version, push.through), (-2, 30, 11));
        let (_, second) = passed.pushed(&push, 31).next(&pending);
        assert_eq!(second.map(|push| (push.delta, push.expected_version, push.through)), Some((-1, 31, 12)));
        assert_eq!(
            [7, 8].map(|through| copy(through, 30, 5).expected(&pending)),
            [8, 5],
            "what was passed by is in it"
        );
        let done = copy(12, 32, 5);
        assert_eq!(done.next(&pending), (done, None), "known changes are no changes");
    }

    #[test]
    fn same_state_gives_the_same_push_and_another_version_another_name() {
        let pending = [change(8, -1, ChangeOrigin::Ours)];
        let name = |copy: &CentralCopy| copy.next(&pending).1.unwrap().name();
        assert_eq!(name(&copy(7, 30, 5)), name(&copy(7, 30, 5)));
        assert_ne!(name(&copy(7, 30, 5)), name(&copy(7, 31, 5)));
        assert_ne!(name(&copy(7, 30, 5)), name(&CentralCopy { correction: Some(1), ..copy(8, 30, 5) }));
    }

    #[test]
    fn another_version_with_the_quantity_that_was_told_is_no_divergence() {
        let pending = [change(8, -1, ChangeOrigin::Ours), change(9, -2, ChangeOrigin::Theirs)];
        let known = copy(7, 30, 5);
        assert_eq!(known.rebased(holding(3, 31), &pending), Some(copy(7, 31, 5)));
        assert_eq!(known.rebased(holding(4, 31), &pending), None);
    }

    #[test]
    fn decision_makes_both_sides_equal_and_later_changes_go_on_top() {
        let dispute = dispute(holding(10, 8), holding(7, 40));
        let later = [change(9, -1, ChangeOrigin::Ours)];
        let ours = CentralCopy::decided(&dispute, true);
        let (_, correction) = ours.next(&later);
        let correction = correction.unwrap();
        assert_eq!((correction.delta, correction.expected_version, correction.is_correction), (3, 40, true));
        let after = ours.pushed(&correction, 41);
        assert_eq!(after.next(&later).1.unwrap().delta, -1);
        let theirs = CentralCopy::decided(&dispute, false);
        assert_eq!(theirs.next(&later).1.map(|push| (push.delta, push.expected_version)), Some((-1, 40)));
    }

    #[test]
    fn nothing_is_pushed_while_it_is_disputed() {
        let disputed = CentralCopy { dispute: Some(dispute(holding(1, 8), holding(2, 3))), ..copy(7, 3, 1) };
        assert_eq!(disputed.next(&[change(8, 1, ChangeOrigin::Ours)]), (disputed, None));
    }
}
