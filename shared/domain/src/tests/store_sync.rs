//! When somebody looks at a store, and what each step of its synchronization leaves as it was.

use rstest::rstest;

use super::*;

const LEASE_MS: i64 = 10_000;

fn watch(second: i64, idle: bool) -> Watch {
    Watch { due_at: at(second), idle }
}

fn run() -> SyncRun {
    let counters = SyncCounters { processed: 4, success: 2, failed: 1, rate_limited: 1 };
    SyncRun { id: "run".to_owned(), started_at: at(1), ended_at: None, state: SyncRunState::Started, counters }
}

/// Watched as given, in the hands of `job`, in the middle of a run.
fn leased(watch: Watch) -> StoreSync {
    let lease = StoreLease { owner: "job".to_owned(), until: at(900) };
    StoreSync { watch: Some(watch), queued_at: Some(at(2)), lease: Some(lease), run: Some(run()) }
}

/// The watch that a run leaves which ends at second 1000 and began to look at `since`.
fn watch_after(before: Watch, since: i64, found: bool, next: Option<i64>) -> Option<Watch> {
    let seen = Seen { since: at(since), found, next: next.map(at) };
    leased(before).finished("job", RunEnd::Completed(seen), at(1000)).unwrap().watch
}

#[rstest]
#[case::first_run(watch(900, false), 999, false, None, Some(watch(1060, true)))]
#[case::one_that_is_due_later_waits_for_the_second_look(
    watch(900, false),
    999,
    true,
    Some(1061),
    Some(watch(1060, true))
)]
#[case::one_that_is_due_then_too(watch(900, false), 999, true, Some(1060), Some(watch(1060, true)))]
#[case::one_that_is_due_sooner_does_not_wait(watch(900, false), 999, true, Some(1059), Some(watch(1059, false)))]
#[case::second_run(watch(990, true), 990, false, None, None)]
#[case::second_run_with_one_that_waits(watch(990, true), 991, false, Some(1010), Some(watch(1010, false)))]
#[case::second_run_that_found_some_wrote_too(watch(990, true), 991, true, None, Some(watch(1060, true)))]
#[case::duplicate_looks_too_early(watch(1050, true), 999, false, None, Some(watch(1050, true)))]
#[case::duplicate_by_a_millisecond(Watch { due_at: at(999).plus_millis(1), idle: true }, 999, false, None, Some(Watch { due_at: at(999).plus_millis(1), idle: true }))]
#[case::duplicate_that_sees_an_early_one(watch(1050, true), 999, false, Some(1020), Some(watch(1020, false)))]
#[case::duplicate_that_sees_a_late_one(watch(1050, true), 999, false, Some(1050), Some(watch(1050, true)))]
fn watch_ends_with_a_look_that_is_late_enough_to_see_everything(
    #[case] before: Watch,
    #[case] since: i64,
    #[case] found: bool,
    #[case] next: Option<i64>,
    #[case] expected: Option<Watch>,
) {
    assert_eq!(watch_after(before, since, found, next), expected);
}

#[rstest]
#[case::nobody_looks(None, Some(watch(50, false)))]
#[case::too_late(Some(watch(51, false)), Some(watch(50, false)))]
#[case::in_time(Some(watch(50, false)), None)]
#[case::idle_may_end_before_the_receipt_shows(Some(watch(40, true)), Some(watch(40, false)))]
#[case::idle_and_too_late(Some(watch(60, true)), Some(watch(50, false)))]
fn receipt_is_looked_at_by_the_time_it_is_due(#[case] before: Option<Watch>, #[case] expected: Option<Watch>) {
    let before = StoreSync { watch: before, ..leased(watch(0, false)) };
    let expected = expected.map(|watch| StoreSync { watch: Some(watch), ..before.clone() });
    assert_eq!(before.watched_by(at(50)), expected);
}

#[rstest]
#[case::due(watch(50, false), None, None, true)]
#[case::not_due(watch(51, false), None, None, false)]
#[case::on_its_way(watch(0, false), Some(-249), None, false)]
#[case::lost(watch(0, false), Some(-250), None, true)]
#[case::at_work(watch(0, false), None, Some(51), false)]
#[case::dead_at_work(watch(0, false), None, Some(50), true)]
fn store_is_queued_when_it_is_due_and_nobody_is_about_to_look(
    #[case] watch: Watch,
    #[case] queued_at: Option<i64>,
    #[case] leased_until: Option<i64>,
    #[case] is_queued: bool,
) {
    let lease = leased_until.map(|until| StoreLease { owner: "job".to_owned(), until: at(until) });
    let before = StoreSync { watch: Some(watch), queued_at: queued_at.map(at), lease, run: Some(run()) };
    let expected = is_queued.then(|| StoreSync { queued_at: Some(at(50)), ..before.clone() });
    assert_eq!(before.queued(at(50)), expected);
}

#[test]
fn store_that_nobody_watches_is_not_queued() {
    assert_eq!(StoreSync::default().queued(at(50)), None);
}

#[rstest]
#[case::own("job", 50, true)]
#[case::held_by_another("other", 899, false)]
#[case::left_by_another("other", 900, true)]
fn lease_is_given_to_its_owner_or_when_it_ran_out(#[case] owner: &str, #[case] now: i64, #[case] is_given: bool) {
    let before = leased(watch(0, false));
    let lease = Some(StoreLease { owner: owner.to_owned(), until: at(now).plus_millis(LEASE_MS) });
    let expected = is_given.then(|| StoreSync { lease, queued_at: None, ..before.clone() });
    assert_eq!(before.leased(owner, at(now), LEASE_MS), expected);
}

#[test]
fn each_step_of_a_job_changes_what_it_says_and_nothing_else() {
    let before = leased(watch(40, true));
    let further = SyncRun { counters: SyncCounters { processed: 9, ..run().counters }, ..run() };
    let prolonged = Some(StoreLease { owner: "job".to_owned(), until: at(60) });
    let progressed = StoreSync { lease: prolonged, run: Some(further.clone()), ..before };
    assert_eq!(before.progressed("job", &further, at(50), LEASE_MS), Some(progressed));
    let on = StoreSync { watch: Some(watch(50, false)), queued_at: Some(at(50)), lease: None, run: Some(run()) };
    assert_eq!(before.handed_on("job", at(50)), Some(on));
    assert_eq!(before.given_up("job"), Some(StoreSync { lease: None, ..before.clone() }));
    let ended = SyncRun { state: SyncRunState::Failed, ended_at: Some(at(50)), ..run() };
    let failed = StoreSync { watch: Some(watch(70, false)), queued_at: None, lease: None, run: Some(ended.clone()) };
    assert_eq!(before.finished("job", RunEnd::Failed(at(70)), at(50)), Some(failed.clone()));
    let again = StoreSync { run: Some(ended), ..before.clone() };
    assert_eq!(again.finished("job", RunEnd::Failed(at(70)), at(55)), Some(failed), "a run ends once");
    assert_eq!(before.progressed("other", &further, at(50), LEASE_MS), None);
    assert_eq!(before.handed_on("other", at(50)), None);
    assert_eq!(before.given_up("other"), None);
    assert_eq!(before.finished("other", RunEnd::Failed(at(70)), at(50)), None);
}

#[test]
fn run_that_is_under_way_goes_on_and_one_that_ended_does_not() {
    let before = leased(watch(0, false));
    assert_eq!(before.run_under_way("new", at(50)), run());
    let ended = StoreSync { run: Some(SyncRun { state: SyncRunState::Completed, ..run() }), ..before };
    let counters = SyncCounters::default();
    let new =
        SyncRun { id: "new".to_owned(), started_at: at(50), ended_at: None, state: SyncRunState::Started, counters };
    assert_eq!(ended.run_under_way("new", at(50)), new);
    assert_eq!(StoreSync::default().run_under_way("new", at(50)), new);
}

#[test]
fn counters_of_pages_add_up_each_on_its_own() {
    let one = SyncCounters { processed: 1, success: 2, failed: 3, rate_limited: 4 };
    let other = SyncCounters { processed: 10, success: 20, failed: 30, rate_limited: u32::MAX };
    let both = SyncCounters { processed: 11, success: 22, failed: 33, rate_limited: u32::MAX };
    assert_eq!(one.plus(other), both);
}

#[test]
fn states_of_runs_have_names_that_lead_back() {
    for state in [SyncRunState::Started, SyncRunState::Completed, SyncRunState::Failed] {
        assert_eq!(SyncRunState::parse(state.as_str()), Some(state));
    }
    assert_eq!(SyncRunState::parse("other"), None);
}

/// The group is stored, so no other version of this program may find another one.
#[test]
fn group_of_the_index_follows_from_the_name_for_ever() {
    let bucket = |id: &str| StoreSync::due_bucket(&StoreId::parse(id).unwrap());
    assert_eq!(["s-1", "s-2", "s-3", "s-4"].map(bucket), [10, 5, 2, 6]);
}
