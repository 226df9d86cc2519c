//! Properties that hold for every sequence of events, not only for the ones somebody thought of.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use super::*;

fn means() -> impl Strategy<Value = Means> {
    prop_oneof![Just(Means::Available), Just(Means::OnHand)]
}

/// Deltas and counts of one authority, with times that often coincide.
fn facts(means: Means) -> impl Strategy<Value = Vec<StockEvent>> {
    vec((any::<bool>(), 0_i64..40, -5_i64..=5, 0_i64..50, any::<u16>()), 1..70).prop_map(move |rows| {
        let event = |(n, (is_count, seconds, units, quantity, rare)): (usize, (bool, i64, i64, i64, u16))| {
            // One in eight is a count, so that long runs of deltas spill between two of them.
            if is_count && rare % 4 == 0 {
                count(&format!("c{n}"), seconds, quantity, means)
            } else {
                delta(&format!("d{n}"), seconds, if units == 0 { 1 } else { units })
            }
        };
        rows.into_iter().enumerate().map(event).collect()
    })
}

/// Every kind of event on one level.
fn anything() -> impl Strategy<Value = Vec<StockEvent>> {
    let one = prop_oneof![
        3 => (0_i64..40, -5_i64..=-1).prop_map(|(s, q)| (s, EventBody::Request { available: q, reserved: 0, expected_version: None })),
        3 => (0_i64..40, 1_i64..=4).prop_map(|(s, q)| (s, EventBody::Request { available: -q, reserved: q, expected_version: None })),
        1 => (0_i64..40, 1_i64..=4).prop_map(|(s, q)| (s, EventBody::Request { available: q, reserved: 0, expected_version: None })),
        2 => (0_i64..40, 1_i64..=2).prop_map(|(s, q)| (s, EventBody::Settlement { available: q, reserved: -q })),
        4 => (0_i64..40, 1_i64..=4).prop_map(|(s, q)| (s, EventBody::Delta(Delta::new(-q).unwrap()))),
        2 => (0_i64..40, 0_i64..50, means(), 0_u64..3).prop_map(|(s, q, means, sequence)| {
            (s, EventBody::Count { quantity: Quantity::new(q).unwrap(), means, sequence })
        }),
    ];
    vec(one, 1..80).prop_map(|rows| {
        rows.into_iter()
            .enumerate()
            .map(|(n, (seconds, body))| event(&format!("e{n}"), at(seconds), "authority", body))
            .collect()
    })
}

/// Splits events into batches at the given places.
fn batches(events: &[StockEvent], cuts: &[Index]) -> Vec<Vec<StockEvent>> {
    let mut places: Vec<_> = cuts.iter().map(|cut| cut.index(events.len() + 1)).chain([0, events.len()]).collect();
    places.sort_unstable();
    places.windows(2).map(|pair| events[pair[0]..pair[1]].to_vec()).filter(|batch| !batch.is_empty()).collect()
}

fn state(ledger: &Ledger) -> (i64, i64, Option<Watermark>) {
    (ledger.level.available, ledger.level.reserved, ledger.level.observed.clone())
}

proptest! {
    #[test]
    fn facts_end_in_one_level_in_any_order_duplication_and_batching(
        (facts, shuffled) in means().prop_flat_map(facts).prop_flat_map(|facts| {
            let twice: Vec<_> = facts.iter().chain(&facts).cloned().collect();
            (Just(facts), Just(twice).prop_shuffle())
        }),
        cuts in vec(any::<Index>(), 0..8),
    ) {
        let (mut ordered, mut chaotic) = (Ledger::new(), Ledger::new());
        ordered.apply(&facts);
        for batch in batches(&shuffled, &cuts) {
            chaotic.apply(&batch);
        }
        prop_assert_eq!(state(&ordered), state(&chaotic));

        let newest = facts.iter().filter(|fact| matches!(fact.body, EventBody::Count { .. })).max_by_key(|fact| (fact.time, fact.id));
        let counted = newest.map_or(0, |fact| match fact.body { EventBody::Count { quantity, .. } => quantity.get(), _ => 0 });
        let since = newest.map_or(Timestamp::EPOCH, |fact| fact.time);
        let later: i64 = facts.iter().filter(|fact| fact.time > since).map(|fact| match fact.body { EventBody::Delta(units) => units.get(), _ => 0 }).sum();
        prop_assert_eq!(ordered.level.on_hand(), counted + later, "the newest count and the deltas after it");
    }

    #[test]
    fn no_request_takes_available_below_zero(events in anything()) {
        let mut ledger = Ledger::new();
        for event in events {
            let before = ledger.level.available;
            let takes = matches!(event.body, EventBody::Request { available, .. } if available < 0);
            let outcome = ledger.one(event);
            if takes && outcome == Outcome::Applied {
                prop_assert!(ledger.level.available >= 0);
            }
            if outcome == Outcome::Insufficient {
                prop_assert_eq!(ledger.level.available, before);
            }
        }
    }

    #[test]
    fn event_applied_twice_counts_once_however_long_ago(events in anything(), again in any::<Index>(), after in 0_usize..60) {
        let mut ledger = Ledger::new();
        let outcomes = ledger.apply(&events);
        let filler: Vec<_> = (0..after).map(|n| delta(&format!("filler{n}"), 100, 1)).collect();
        ledger.apply(&filler);
        let before = ledger.level.clone();
        let chosen = again.index(events.len());
        if outcomes[chosen] == Outcome::Applied {
            let repeated = ledger.one(events[chosen].clone());
            prop_assert!(matches!(repeated, Outcome::Duplicate | Outcome::Stale | Outcome::Absorbed), "{repeated:?}");
            prop_assert_eq!(state(&ledger).0, before.available);
            prop_assert_eq!(ledger.level.version, before.version);
        }
    }

    #[test]
    fn batch_is_decided_as_its_events_one_by_one(events in anything(), cuts in vec(any::<Index>(), 0..6)) {
        let (mut single, mut batched) = (Ledger::new(), Ledger::new());
        let one_by_one: Vec<_> = events.iter().map(|event| single.one(event.clone())).collect();
        let together: Vec<_> = batches(&events, &cuts).iter().flat_map(|batch| batched.apply(batch)).collect();
        prop_assert_eq!(one_by_one, together);
        prop_assert_eq!(single.level.available, batched.level.available);
        prop_assert_eq!(single.whole_journal(), batched.whole_journal());
    }

    #[test]
    fn journal_from_the_first_page_replays_to_the_level(events in anything()) {
        let mut ledger = Ledger::new();
        ledger.apply(&events);
        let (mut available, mut reserved) = (0, 0);
        let journal = ledger.whole_journal();
        for (position, placed) in journal.iter().enumerate() {
            available += placed.entry.available;
            reserved += placed.entry.reserved;
            prop_assert_eq!(placed.version, position as u64 + 1);
            prop_assert_eq!(placed.available_after, available);
        }
        prop_assert_eq!((available, reserved, journal.len() as u64), (ledger.level.available, ledger.level.reserved, ledger.level.version));
    }

    #[test]
    fn counts_never_touch_reserved_units(events in anything()) {
        let mut ledger = Ledger::new();
        for event in events {
            let before = ledger.level.clone();
            let is_count = matches!(event.body, EventBody::Count { .. });
            ledger.one(event);
            let level = &ledger.level;
            prop_assert_eq!(level.on_hand(), level.available + level.reserved);
            if is_count {
                prop_assert_eq!(level.reserved, before.reserved);
            }
        }
    }

    #[test]
    fn merged_sources_add_up_whatever_order_they_lag_in(
        mut shop in vec(0_i64..30, 1..12), sales in vec(1_i64..4, 0..12), late in any::<Index>(),
    ) {
        let mut ledger = Ledger::new();
        ledger.one(merged("base", 0, "shop", 20));
        for (n, units) in sales.iter().enumerate() {
            ledger.one(delta(&format!("sale{n}"), 1 + n as i64, -units));
        }
        shop.insert(0, 20);
        let says: Vec<_> = shop.iter().enumerate().map(|(n, q)| merged(&format!("m{n}"), 1 + n as i64, "shop", *q)).collect();
        ledger.apply(&says);
        ledger.one(says[late.index(says.len())].clone());
        let expected = 20 - sales.iter().sum::<i64>() + (shop.last().unwrap() - 20);
        prop_assert_eq!(ledger.level.available, expected);
    }

    #[test]
    fn entries_survive_their_binary_form(
        id in any::<[u8; 8]>(), fingerprint in any::<[u8; 4]>(), available in any::<i64>(), reserved in any::<i64>(),
        source in any::<u16>(), actor in any::<u32>(), stated in any::<i64>(), kind in 0..7,
        time in 0..=Timestamp::MAX.as_millis(), committed_at in 0..=Timestamp::MAX.as_millis(),
    ) {
        let kind = match kind {
            0 => EntryKind::Request,
            1 => EntryKind::Delta,
            2 => EntryKind::Settlement,
            6 => EntryKind::Void,
            3 => EntryKind::Count { means: Means::Available, stated },
            4 => EntryKind::Count { means: Means::OnHand, stated },
            _ => EntryKind::Merged { stated },
        };
        let entry = Entry {
            id: EventId(id), kind, available, reserved, source, actor: ActorCode(actor), fingerprint,
            time: Timestamp::from_millis(time).unwrap(), committed_at: Timestamp::from_millis(committed_at).unwrap(),
        };
        prop_assert_eq!(decode_entry(&encode_entry(&entry)), Ok(entry));
    }

    #[test]
    fn any_bytes_decode_or_are_corrupt(bytes in vec(any::<u8>(), 0..60)) {
        if let Ok(entry) = decode_entry(&bytes) {
            prop_assert_eq!(decode_entry(&encode_entry(&entry)), Ok(entry));
        }
    }
}

proptest! {
    #[test]
    fn blind_write_lets_through_only_what_a_decision_applies(
        events in anything(), takes in -60_i64..60, expected in proptest::option::of(0_u64..80), seconds in 0_i64..60,
    ) {
        let mut ledger = Ledger::new();
        ledger.apply(&events);
        let body = EventBody::Request { available: takes, reserved: 0, expected_version: expected };
        let asked = event("asked", at(seconds), "api", body);
        let blind = BlindRequest::new(&asked, ledger.now).unwrap();
        if blind.fits(&ledger.level) {
            let decision = decide(&ledger.level, &[asked], &Past::none(), ledger.now);
            let mut blindly = ledger.level.clone();
            blind.apply(&mut blindly);
            prop_assert_eq!(decision.outcomes, [Outcome::Applied]);
            prop_assert_eq!(decision.level, blindly);
        }
    }
}
