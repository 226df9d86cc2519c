//! What becomes of a level at each answer of the central system, and at each point where another batch comes in between.
//! One scene each; knows no chance, which the worlds have.

use std::collections::VecDeque;
use std::pin::pin;
use std::sync::Mutex;

use evenstock_app::testing::worlds::{turns, turns_until};
use evenstock_app::testing::{Fault, FaultyStore, FixedClock, MemoryStore};
use evenstock_app::{
    CentralAnswer, CentralCopies, CentralError, CentralStock, CentralUpdate, Clock, Conflict, ConflictChoice,
    ConflictStore, CountDeps, PropagateDeps, PropagatePlan, PropagateReport, PushFate, Resolve, ResolveResult,
    apply_group, propagate, resolve_conflict,
};
use evenstock_domain::{
    ActorCode, BreakerConfig, CentralCopy, Delta, EventBody, EventIdKey, Holding, LevelKey, LocationId, OrganizationId,
    Outcome, Sku, Source, StockEvent, Timestamp,
};

use crate::centre::Centre;

/// The source under which the central system's changes come to us.
const THEIRS: &str = "centre/main";

/// More turns than anything here takes.
const TURNS: usize = 80;

/// The central system, lawful and well, that says what it was told to say while it was told something.
struct Scripted {
    centre: Centre,
    answers: Mutex<VecDeque<Vec<CentralAnswer>>>,
    /// How often it was asked what it holds.
    asked: Mutex<u64>,
}

impl CentralStock for Scripted {
    async fn push(&self, location: &LocationId, updates: &[CentralUpdate]) -> Result<Vec<CentralAnswer>, CentralError> {
        let answer = self.answers.lock().unwrap().pop_front();
        match answer {
            Some(answer) => Ok(answer),
            None => self.centre.push(location, updates).await,
        }
    }

    async fn holding(&self, location: &LocationId, sku: &Sku) -> Result<Option<Holding>, CentralError> {
        *self.asked.lock().unwrap() += 1;
        self.centre.holding(location, sku).await
    }
}

struct Scene {
    store: FaultyStore<MemoryStore>,
    central: Scripted,
    clock: FixedClock,
    ids: EventIdKey,
}

fn key(sku: &str) -> LevelKey {
    LevelKey {
        organization: OrganizationId::parse("demo").unwrap(),
        sku: Sku::parse(sku).unwrap(),
        location: LocationId::parse("main").unwrap(),
    }
}

const DONE: [Option<PushFate>; 1] = [Some(PushFate::Done)];

impl Scene {
    /// Five shirts and five pairs of socks, of which the central system knows.
    async fn agreed(plan: impl FnMut(&'static str) -> Fault + Send + 'static) -> Self {
        let centre = Centre::new(0, true);
        centre.books().faults = 0;
        let scene = Self {
            store: FaultyStore::new(MemoryStore::default(), plan),
            central: Scripted { centre, answers: Mutex::default(), asked: Mutex::default() },
            clock: FixedClock::at(Timestamp::EPOCH.plus_millis(1_700_000_000_000)),
            ids: EventIdKey::new(*b"0123456789abcdef"),
        };
        for sku in ["SHIRT", "SOCKS"] {
            scene.change(sku, 5, "api").await;
            assert_eq!(scene.fates(&[sku]).await, DONE);
        }
        assert_eq!(scene.updates(), 2);
        scene
    }

    /// Both sides sold a shirt, and the central system does not tell.
    async fn differing() -> Self {
        let scene = Self::agreed(|_| Fault::None).await;
        scene.central.centre.books().change(&key("SHIRT").sku, -1);
        scene.change("SHIRT", -1, "api").await;
        scene
    }

    /// A change of our level by this source.
    async fn change(&self, sku: &str, delta: i64, source: &str) {
        self.clock.advance_ms(5);
        let event = StockEvent {
            id: self.ids.event_id(&self.clock.now().to_string()),
            time: self.clock.now(),
            source: Source::parse(source).unwrap(),
            actor: ActorCode::default(),
            body: EventBody::Delta(Delta::new(delta).unwrap()),
        };
        let applied = apply_group(self.store.inner(), &self.clock, &key(sku), &[event]).await;
        assert_eq!(applied.outcomes, [Outcome::Applied]);
    }

    /// One batch, begun before `until`, in which differences count.
    async fn batch(&self, skus: &[&str], until: Timestamp) -> PropagateReport {
        let levels: Vec<_> = skus.iter().map(|sku| (key(sku), true)).collect();
        let plan = PropagatePlan {
            theirs: Some(THEIRS),
            breaker: BreakerConfig { threshold: 1_000_000, cooldown_ms: 1, probe_ms: 1 },
            grace_seconds: 30,
            until,
            name: "batch",
        };
        let deps = PropagateDeps { store: &self.store, central: &self.central, clock: &self.clock, ids: &self.ids };
        propagate(deps, &plan, &levels).await
    }

    /// What becomes of these levels in a batch that has all the time it needs.
    async fn fates(&self, skus: &[&str]) -> Vec<Option<PushFate>> {
        let report = self.batch(skus, Timestamp::MAX).await;
        skus.iter().map(|sku| report.fates.get(&key(sku)).cloned()).collect()
    }

    /// The central system says this to the next push.
    fn answers(&self, answers: Vec<CentralAnswer>) {
        self.central.answers.lock().unwrap().push_back(answers);
    }

    /// How many updates came to the central system.
    fn updates(&self) -> u64 {
        self.central.centre.books().updates
    }

    fn theirs(&self, sku: &str) -> i64 {
        self.central.centre.books().levels[&key(sku).sku].quantity
    }

    async fn copy(&self) -> CentralCopy {
        self.store.inner().load_copy(&key("SHIRT")).await.unwrap().unwrap().1
    }

    async fn conflicts(&self) -> Vec<Conflict> {
        let organization = key("SHIRT").organization;
        self.store.inner().conflicts(&organization, None, None, 100).await.unwrap().conflicts
    }
}

#[tokio::test]
async fn change_that_is_put_off_or_refused_is_not_done() {
    let scene = Scene::agreed(|_| Fault::None).await;
    scene.change("SHIRT", -1, "api").await;
    scene.answers(vec![CentralAnswer::Later("busy".to_owned())]);
    assert_eq!(scene.fates(&["SHIRT"]).await, [Some(PushFate::Failed("busy".to_owned()))]);
    scene.answers(vec![CentralAnswer::Rejected("no such product".to_owned())]);
    assert_eq!(scene.fates(&["SHIRT"]).await, [Some(PushFate::Refused("no such product".to_owned()))]);
    assert_eq!(scene.theirs("SHIRT"), 5);
    assert_eq!(scene.fates(&["SHIRT"]).await, DONE, "once it takes it");
    assert_eq!(scene.theirs("SHIRT"), 4);
}

#[tokio::test]
async fn answer_that_names_fewer_updates_than_it_was_told_answers_none() {
    let scene = Scene::agreed(|_| Fault::None).await;
    scene.change("SHIRT", -1, "api").await;
    scene.change("SOCKS", -1, "api").await;
    scene.answers(vec![CentralAnswer::Applied { version: 2 }]);
    for fate in scene.fates(&["SHIRT", "SOCKS"]).await {
        assert!(matches!(fate, Some(PushFate::Failed(_))), "{fate:?}");
    }
    assert_eq!(scene.fates(&["SHIRT", "SOCKS"]).await, [Some(PushFate::Done), Some(PushFate::Done)]);
    assert_eq!((scene.theirs("SHIRT"), scene.theirs("SOCKS")), (4, 4));
}

#[tokio::test]
async fn level_that_a_batch_had_no_time_for_comes_again_at_once() {
    let scene = Scene::agreed(|_| Fault::None).await;
    scene.change("SHIRT", -1, "api").await;
    let report = scene.batch(&["SHIRT"], scene.clock.now()).await;
    let again = PushFate::Later { seconds: 0, again: true, put_off: false };
    assert_eq!(report.fates.into_values().collect::<Vec<_>>(), [again]);
    assert_eq!((scene.theirs("SHIRT"), report.failed), (5, 0));
}

#[tokio::test]
async fn dispute_whose_conflict_could_not_be_recorded_has_it_recorded_by_the_next_batch() {
    let mut records = 0;
    let scene = Scene::agreed(move |operation| {
        records += u32::from(operation == "record_conflict");
        if operation == "record_conflict" && records == 1 { Fault::NotDone } else { Fault::None }
    });
    let scene = scene.await;
    scene.central.centre.books().change(&key("SHIRT").sku, -1);
    scene.change("SHIRT", -1, "api").await;
    let failed = scene.fates(&["SHIRT"]).await;
    assert!(matches!(failed[..], [Some(PushFate::Failed(_))]), "{failed:?}");
    assert!(scene.copy().await.dispute.is_some() && scene.conflicts().await.is_empty());
    assert_eq!(scene.fates(&["SHIRT"]).await, DONE);
    assert_eq!(scene.conflicts().await.len(), 1);
}

/// A batch sees a difference. Before it writes it down, what makes up for it is told, and another batch pushes on.
#[tokio::test]
async fn difference_that_was_made_up_for_meanwhile_is_no_conflict() {
    let scene = Scene::differing().await;
    let mut slow = pin!(scene.fates(&["SHIRT"]));
    let asked = *scene.central.asked.lock().unwrap();
    turns_until(slow.as_mut(), || *scene.central.asked.lock().unwrap() > asked);
    scene.change("SHIRT", -1, THEIRS).await;
    assert_eq!(scene.fates(&["SHIRT"]).await, DONE);
    assert_eq!(scene.theirs("SHIRT"), 3);
    assert_eq!(slow.await, DONE);
    assert_eq!((scene.conflicts().await, scene.copy().await.dispute), (Vec::new(), None));
}

/// A batch follows a decision. Before it writes that down, another batch has followed it and gone on.
#[tokio::test]
async fn decision_that_another_batch_followed_meanwhile_is_told_once() {
    let mut met = 0;
    for meets_after in 0..TURNS {
        let scene = Scene::differing().await;
        assert_eq!(scene.fates(&["SHIRT"]).await, DONE);
        let organization = key("SHIRT").organization;
        let id = scene.conflicts().await.remove(0).id;
        let asked =
            Resolve { organization, id, choice: ConflictChoice::Warehouse, by: "k".to_owned(), actor: ActorCode(7) };
        let deps = CountDeps { store: scene.store.inner(), clock: &scene.clock, ids: &scene.ids };
        assert!(matches!(resolve_conflict(deps, &asked).await.unwrap(), ResolveResult::Resolved(_)));
        scene.change("SHIRT", 3, "api").await;

        let updates = scene.updates();
        let mut slow = pin!(scene.fates(&["SHIRT"]));
        assert_eq!(turns(slow.as_mut(), meets_after), None);
        if scene.copy().await.dispute.is_none() {
            break;
        }
        met += 1;
        assert_eq!(scene.fates(&["SHIRT"]).await, DONE);
        assert_eq!(slow.await, DONE, "met after {meets_after} turns");
        assert_eq!(scene.updates() - updates, 1, "both sides had four, and we have three more: {meets_after}");
        assert_eq!(scene.theirs("SHIRT"), 7, "met after {meets_after} turns");
    }
    assert!(met > 4, "it was met before each of its steps: {met}");
}
