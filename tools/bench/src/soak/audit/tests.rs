//! An audit that finds nothing proves nothing unless it finds what is wrong.

use super::*;

fn level(deltas: &[i64]) -> Kept {
    let mut journal = BTreeMap::new();
    let mut quantity = 0;
    for (version, delta) in (1..).zip(deltas) {
        quantity += delta;
        journal.insert(version, (format!("event-{version}"), *delta, quantity));
    }
    Kept { available: quantity, reserved: 0, journal }
}

fn answered(known: &mut Known, product: &'static str, deltas: &[i64]) {
    let mut quantity = 0;
    for (version, delta) in (1..).zip(deltas) {
        quantity += delta;
        known.answers.insert((product, version), (*delta, quantity));
    }
}

fn found(known: &Known, product: &'static str, level: Kept, ends: &BTreeMap<String, String>) -> Vec<String> {
    let mut violations = Vec::new();
    journal(product, &level, known, &mut violations);
    let kept = BTreeMap::from([(product, level)]);
    requests(known, &kept, &mut violations);
    counts(known, &kept, &mut violations);
    reservations(known, ends, &kept, &mut violations);
    violations
}

fn finds(known: &Known, product: &'static str, level: Kept, what: &str) {
    let found = found(known, product, level, &BTreeMap::new());
    assert!(found.iter().any(|violation| violation.contains(what)), "{what} is not in {found:?}");
}

#[test]
fn nothing_is_found_where_all_was_kept() {
    let mut known = Known::default();
    answered(&mut known, KEYED[0], &[3, -1]);
    assert_eq!(found(&known, KEYED[0], level(&[3, -1]), &BTreeMap::new()), Vec::<String>::new());
}

#[test]
fn answer_that_was_lost_or_kept_otherwise_is_found() {
    let mut known = Known::default();
    answered(&mut known, KEYED[0], &[3, -1]);
    finds(&known, KEYED[0], level(&[3]), "version 2 was answered");
    finds(&known, KEYED[0], level(&[3, -2]), "version 2 was answered");
}

#[test]
fn change_that_nobody_asked_for_is_found_and_one_without_an_answer_is_not() {
    let mut known = Known::default();
    answered(&mut known, KEYLESS[0], &[3]);
    finds(&known, KEYLESS[0], level(&[3, 2]), "nobody asked for version 2");
    known.unknown.insert(KEYLESS[0], vec![2]);
    assert_eq!(found(&known, KEYLESS[0], level(&[3, 2]), &BTreeMap::new()), Vec::<String>::new());
    finds(&known, KEYLESS[0], level(&[3, 2, 2]), "nobody asked for version 3");
}

#[test]
fn level_below_zero_or_beside_its_journal_is_found() {
    let mut known = Known::default();
    answered(&mut known, KEYED[0], &[1]);
    finds(&known, KEYED[0], level(&[1, -2]), "the sum is -1");
    let beside = Kept { available: 7, ..level(&[1]) };
    finds(&known, KEYED[0], beside, "7 available, 1 by its journal");
}

#[test]
fn count_that_was_lost_or_overwritten_by_an_older_one_is_found() {
    let mut known = Known::default();
    known.counts.insert(COUNTED[0], (3, 3));
    assert_eq!(found(&known, COUNTED[0], level(&[1, 2]), &BTreeMap::new()), Vec::<String>::new());
    finds(&known, COUNTED[0], level(&[2]), "3 was acknowledged last, 2 stands");
    finds(&known, COUNTED[0], level(&[3, -2, 2]), "are not each newer");
}

#[test]
fn units_that_leak_from_reservations_are_found() {
    let mut known = Known::default();
    answered(&mut known, RESERVED[0], &[10]);
    known.reservations.insert("r".to_owned(), vec![(RESERVED[0], 4)]);
    let held = || Kept { reserved: 4, ..level(&[10, -4]) };
    let ended = |state: &str| BTreeMap::from([("r".to_owned(), state.to_owned())]);
    assert_eq!(found(&known, RESERVED[0], held(), &ended("held")), Vec::<String>::new());
    for (state, expected) in [("released", "10 and 0"), ("fulfilled", "6 and 0"), ("pending", "is still pending")] {
        let found = found(&known, RESERVED[0], held(), &ended(state));
        assert!(found.iter().any(|violation| violation.contains(expected)), "{state}: {found:?}");
    }
}
