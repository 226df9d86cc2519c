//! One event on its way to one endpoint: its frozen content, its tries, and what comes next.
//!
//! A delivery that succeeds at once is never stored; this is what the others look like. The state machine is pure: the
//! time of a try, its answer and the jitter come in as values.

use crate::{DUE_BUCKETS, DeliveryId, EndpointId, EventType, OrganizationId, RetrySchedule, StoreId, Timestamp};

/// The longest body of a callback, in bytes: inside a message, with every quotation mark escaped, it still fits twice.
pub const BODY_BYTES_MAX: usize = 100 * 1024;

/// How long deliveries are kept after the last thing that happened to them, in milliseconds: 30 days.
pub const KEPT_MS: i64 = 30 * 24 * 60 * 60 * 1000;

/// Tries that are remembered. Replays add to them; the oldest give way.
const ATTEMPTS_KEPT: usize = 30;

/// The longest wait that a message can be delayed for, in milliseconds: a quarter of an hour.
const MESSAGE_DELAY_MS_MAX: i64 = 15 * 60 * 1000;

/// How long after its due time a delivery counts as forgotten, in milliseconds: its message was never sent, or lost.
const FORGOTTEN_AFTER_MS: i64 = 2 * 60 * 1000;

/// How far the clocks of two machines may differ, in milliseconds.
const CLOCKS_DIFFER_MS: i64 = 500;

/// The shortest wait of a parked delivery, in milliseconds.
const PARKED_MS_MIN: i64 = 5_000;

/// The longest, in milliseconds.
const PARKED_MS_MAX: i64 = 30 * 60 * 1000;

/// The longest wait that a receiver can ask for, in seconds: a day.
const RETRY_AFTER_SECONDS_MAX: u32 = 24 * 60 * 60;

/// Where a delivery stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeliveryState {
    /// It will be tried.
    Pending,
    /// It arrived.
    Succeeded,
    /// It will not be tried any more, unless somebody replays it.
    Failed,
}

impl DeliveryState {
    /// The name on the wire and in the table.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
        }
    }

    /// Reads a name.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Pending, Self::Succeeded, Self::Failed].into_iter().find(|state| state.as_str() == text)
    }
}

/// One try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// When it began.
    pub at: Timestamp,
    /// What the receiver answered; `None` without an answer.
    pub status_code: Option<u16>,
    /// How long it took, in milliseconds.
    pub duration_ms: u32,
    /// Why there was no answer, in a few words.
    pub error: Option<String>,
    /// The beginning of the answer.
    pub response: Option<String>,
}

impl Attempt {
    /// Whether the receiver took it.
    pub const fn succeeded(&self) -> bool {
        matches!(self.status_code, Some(200..=299))
    }

    /// Whether the receiver wants nothing of us any more.
    pub const fn gone(&self) -> bool {
        matches!(self.status_code, Some(410))
    }
}

/// A try, and how long the receiver wants us to wait before the next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tried {
    /// The try.
    pub attempt: Attempt,
    /// What `Retry-After` said, in seconds.
    pub retry_after_seconds: Option<u32>,
}

impl Tried {
    /// The wait that the receiver may ask for: with 429 and 503, a day at most. In milliseconds.
    pub fn wait_ms(&self) -> Option<i64> {
        let asked = self.retry_after_seconds.filter(|_| matches!(self.attempt.status_code, Some(429 | 503)))?;
        Some(i64::from(asked.min(RETRY_AFTER_SECONDS_MAX)).saturating_mul(1000))
    }
}

/// An event on its way to an endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// The tenant.
    pub organization: OrganizationId,
    /// Its name.
    pub id: DeliveryId,
    /// The event's name.
    pub event_id: String,
    /// The event's kind.
    pub event: EventType,
    /// The marketplace store that the event is about.
    pub store: Option<StoreId>,
    /// What is sent, byte for byte.
    pub body: String,
    /// Where it stands.
    pub state: DeliveryState,
    /// Its tries, oldest first.
    pub attempts: Vec<Attempt>,
    /// Tries since it began, or was last replayed.
    pub tries: u32,
    /// How often it had to wait for its endpoint without being tried.
    pub parked: u32,
    /// When it is tried next, while it is pending.
    pub next_attempt_at: Option<Timestamp>,
    /// When somebody must look after it, while it is pending: a little later than `next_attempt_at` if a message will come
    /// by then.
    pub due_at: Option<Timestamp>,
    /// When something last happened to it.
    pub updated_at: Timestamp,
}

impl Delivery {
    /// A delivery that was never tried.
    pub fn new(
        organization: OrganizationId,
        id: DeliveryId,
        event_id: String,
        event: EventType,
        store: Option<StoreId>,
        body: String,
    ) -> Self {
        let time = id.time;
        Self {
            organization,
            id,
            event_id,
            event,
            store,
            body,
            state: DeliveryState::Pending,
            attempts: Vec::new(),
            tries: 0,
            parked: 0,
            next_attempt_at: Some(time),
            due_at: Some(time),
            updated_at: time,
        }
    }

    /// Its group in the index of what is due.
    pub fn due_bucket(&self) -> u8 {
        u8::try_from(self.id.spread(0, u32::from(DUE_BUCKETS))).unwrap_or_default()
    }

    /// To whom it goes.
    pub const fn endpoint(&self) -> &EndpointId {
        &self.id.endpoint
    }

    /// Whether it may be tried at `now`. A message that comes too early is one that was sent twice, unless it is early by
    /// the clock alone: its delay began on another machine.
    pub fn is_ready(&self, now: Timestamp) -> bool {
        let latest = now.plus_millis(CLOCKS_DIFFER_MS);
        self.state == DeliveryState::Pending && self.next_attempt_at.is_some_and(|next| next <= latest)
    }

    /// After a try that ended at `now`.
    #[must_use]
    pub fn tried(&self, answer: &Tried, schedule: &RetrySchedule, now: Timestamp) -> Self {
        let mut next = self.clone();
        next.attempts.push(answer.attempt.clone());
        let surplus = next.attempts.len().saturating_sub(ATTEMPTS_KEPT);
        next.attempts.drain(..surplus);
        next.tries = next.tries.saturating_add(1);
        (next.parked, next.updated_at) = (0, now);
        if answer.attempt.succeeded() {
            return next.ended(DeliveryState::Succeeded);
        }
        // Which way a wait is moved follows from the delivery: no two come back together, and nothing is random.
        let jitter = i64::from(self.id.spread(next.tries, 401)).saturating_sub(200);
        match schedule.wait_ms(next.tries, jitter) {
            Some(wait) if !answer.attempt.gone() => {
                next.awaits(now.plus_millis(wait.max(answer.wait_ms().unwrap_or_default())), now)
            }
            _ => next.ended(DeliveryState::Failed),
        }
    }

    /// Not tried, because its endpoint has enough to do or is down until `until`. Waits longer each time.
    #[must_use]
    pub fn parked(&self, until: Option<Timestamp>, now: Timestamp) -> Self {
        let mut next = self.clone();
        let wait = PARKED_MS_MIN.saturating_mul(1_i64.checked_shl(self.parked.min(16)).unwrap_or(1)).min(PARKED_MS_MAX);
        let spread = u32::try_from(wait).unwrap_or(u32::MAX);
        next.parked = self.parked.saturating_add(1);
        next.updated_at = now;
        let from = until.map_or(now, |until| until.max(now));
        let at = from.plus_millis(wait.saturating_add(i64::from(self.id.spread(next.parked, spread))));
        // A delivery that waits for others is found by its due time alone: it needs no message of its own.
        (next.state, next.next_attempt_at, next.due_at) = (DeliveryState::Pending, Some(at), Some(at));
        next
    }

    /// Not tried, and not to be tried before somebody replays it.
    #[must_use]
    pub fn kept(&self, now: Timestamp) -> Self {
        Self { updated_at: now, ..self.clone() }.ended(DeliveryState::Failed)
    }

    /// Begins again, with all its tries; `None` while it is pending.
    pub fn replayed(&self, now: Timestamp) -> Option<Self> {
        let again = Self { state: DeliveryState::Pending, tries: 0, parked: 0, updated_at: now, ..self.clone() };
        (self.state != DeliveryState::Pending).then(|| again.awaits(now, now))
    }

    /// For how many seconds the message of its next try is delayed; `None` when the wait is too long for a message, and
    /// the due time alone brings it back.
    pub fn message_delay_seconds(&self, now: Timestamp) -> Option<u16> {
        let next = self.next_attempt_at.filter(|_| self.due_at > self.next_attempt_at)?;
        let seconds = next.millis_since(now).max(0).saturating_add(999) / 1000;
        u16::try_from(seconds).ok()
    }

    /// When it may be deleted.
    pub const fn kept_until(&self) -> Timestamp {
        let pending_until = match self.next_attempt_at {
            Some(next) if next.as_millis() > self.updated_at.as_millis() => next,
            _ => self.updated_at,
        };
        pending_until.plus_millis(KEPT_MS)
    }

    fn awaits(mut self, at: Timestamp, now: Timestamp) -> Self {
        let by_message = at.millis_since(now) <= MESSAGE_DELAY_MS_MAX;
        let due = if by_message { at.plus_millis(FORGOTTEN_AFTER_MS) } else { at };
        (self.next_attempt_at, self.due_at) = (Some(at), Some(due));
        self
    }

    fn ended(mut self, state: DeliveryState) -> Self {
        (self.state, self.next_attempt_at, self.due_at) = (state, None, None);
        self
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(1_700_000_000_000 + millis).unwrap()
    }

    fn delivery() -> Delivery {
        let endpoint = EndpointId::parse("endpoint").unwrap();
        let organization = OrganizationId::parse("us").unwrap();
        let id = DeliveryId::new(&endpoint, "event", at(0));
        Delivery::new(organization, id, "event".to_owned(), EventType::StockLow, None, "{}".to_owned())
    }

    fn answer(status: u16, retry_after_seconds: Option<u32>) -> Tried {
        let attempt = Attempt { at: at(0), status_code: Some(status), duration_ms: 3, error: None, response: None };
        Tried { attempt, retry_after_seconds }
    }

    fn schedule(text: &str) -> RetrySchedule {
        RetrySchedule::parse(text).unwrap()
    }

    fn wait_ms(delivery: &Delivery, now: Timestamp) -> i64 {
        delivery.next_attempt_at.unwrap().millis_since(now)
    }

    #[test]
    fn names_of_states_are_read_as_they_are_written() {
        for state in [DeliveryState::Pending, DeliveryState::Succeeded, DeliveryState::Failed] {
            assert_eq!(DeliveryState::parse(state.as_str()), Some(state));
        }
        assert_eq!((DeliveryState::Succeeded.as_str(), DeliveryState::parse("")), ("succeeded", None));
    }

    #[test]
    fn delivery_is_kept_for_thirty_days_after_its_last_time() {
        let days = 30 * 86_400_000;
        let fresh = Delivery { updated_at: at(5), next_attempt_at: Some(at(4)), ..delivery() };
        assert_eq!(fresh.kept_until(), at(5 + days), "what happened counts");
        let waiting = Delivery { next_attempt_at: Some(at(9)), ..fresh.clone() };
        assert_eq!(waiting.kept_until(), at(9 + days), "or what is to happen");
        assert_eq!(fresh.kept(at(7)).kept_until(), at(7 + days));
    }

    #[test]
    fn replay_begins_as_if_nothing_had_been() {
        let parked = Delivery { tries: 3, parked: 4, ..delivery() };
        let again = parked.kept(at(7)).replayed(at(8)).unwrap();
        assert_eq!((again.tries, again.parked, again.updated_at), (0, 0, at(8)));
        assert_eq!((again.state, again.next_attempt_at), (DeliveryState::Pending, Some(at(8))));
        assert_eq!(again.replayed(at(9)), None, "it is pending");
    }

    /// The group is stored, so no other version of this program may find another one.
    #[test]
    fn group_of_the_index_follows_from_the_name_for_ever() {
        let bucket = |event: &str| {
            let id = DeliveryId::new(&EndpointId::parse("endpoint").unwrap(), event, at(0));
            Delivery { id, ..delivery() }.due_bucket()
        };
        assert_eq!(["a", "b", "c", "d"].map(bucket), [12, 8, 6, 12]);
    }

    #[test]
    fn message_that_is_early_by_another_clock_is_in_time() {
        let waiting = delivery().tried(&answer(500, None), &schedule("5s"), at(0));
        let next = waiting.next_attempt_at.unwrap();
        assert!(waiting.is_ready(next.plus_millis(-CLOCKS_DIFFER_MS)));
        assert!(!waiting.is_ready(next.plus_millis(-CLOCKS_DIFFER_MS - 1)));
    }

    #[rstest]
    #[case(200, DeliveryState::Succeeded)]
    #[case(204, DeliveryState::Succeeded)]
    #[case(299, DeliveryState::Succeeded)]
    #[case(199, DeliveryState::Pending)]
    #[case(301, DeliveryState::Pending)]
    #[case(400, DeliveryState::Pending)]
    #[case(410, DeliveryState::Failed)]
    #[case(500, DeliveryState::Pending)]
    fn status_decides_what_follows(#[case] status: u16, #[case] state: DeliveryState) {
        assert_eq!(delivery().tried(&answer(status, None), &schedule("5s"), at(0)).state, state);
    }

    #[test]
    fn last_try_fails_for_good_until_a_replay() {
        let schedule = schedule("1s,1s");
        let mut delivery = delivery();
        for try_ in 1..=3 {
            assert_eq!(delivery.state, DeliveryState::Pending);
            delivery = delivery.tried(&answer(500, None), &schedule, at(0));
            assert_eq!(delivery.tries, try_);
        }
        assert_eq!((delivery.state, delivery.next_attempt_at, delivery.due_at), (DeliveryState::Failed, None, None));
        let again = delivery.replayed(at(9)).unwrap();
        assert!(again.is_ready(at(9)));
        assert_eq!((again.tries, again.attempts.len()), (0, 3));
        assert_eq!(again.replayed(at(9)), None, "it is on its way");
        let arrived = again.tried(&answer(200, None), &schedule, at(9));
        assert_eq!((arrived.state, arrived.attempts.len()), (DeliveryState::Succeeded, 4));
    }

    #[rstest]
    #[case::longer_than_planned(429, Some(7), 7_000)]
    #[case::with_503(503, Some(60), 60_000)]
    #[case::a_day_at_most(503, Some(u32::MAX), 86_400_000)]
    fn wait_that_the_receiver_asks_for_is_kept(#[case] status: u16, #[case] asked: Option<u32>, #[case] wait: i64) {
        let tried = delivery().tried(&answer(status, asked), &schedule("1s"), at(0));
        assert_eq!(wait_ms(&tried, at(0)), wait);
    }

    #[test]
    fn wait_is_never_shorter_than_planned_and_other_answers_cannot_ask() {
        let planned = 4_000..=6_000;
        assert!(planned.contains(&wait_ms(&delivery().tried(&answer(429, Some(0)), &schedule("5s"), at(0)), at(0))));
        assert!(planned.contains(&wait_ms(&delivery().tried(&answer(500, Some(99)), &schedule("5s"), at(0)), at(0))));
    }

    #[test]
    fn short_waits_come_by_message_and_long_ones_by_their_due_time() {
        let short = delivery().tried(&answer(500, None), &schedule("5s"), at(0));
        assert!(matches!(short.message_delay_seconds(at(0)), Some(4..=6)));
        assert_eq!(short.due_at.unwrap().millis_since(short.next_attempt_at.unwrap()), FORGOTTEN_AFTER_MS);
        let long = delivery().tried(&answer(500, None), &schedule("2h"), at(0));
        assert_eq!((long.message_delay_seconds(at(0)), long.due_at), (None, long.next_attempt_at));
    }

    #[test]
    fn parked_delivery_waits_longer_each_time_and_uses_up_no_try() {
        let mut delivery = delivery();
        let mut last = 0;
        for n in 0..20 {
            delivery = delivery.parked(None, at(0));
            let wait = wait_ms(&delivery, at(0));
            assert!((PARKED_MS_MIN..=2 * PARKED_MS_MAX).contains(&wait));
            assert!(n == 0 || 2 * wait > last, "{wait} after {last}");
            last = wait;
        }
        assert_eq!((delivery.tries, delivery.state), (0, DeliveryState::Pending));
        assert_eq!(delivery.message_delay_seconds(at(0)), None);
        assert!(wait_ms(&delivery.parked(Some(at(60_000)), at(0)), at(0)) >= 60_000);
    }

    #[derive(Debug, Clone, Copy)]
    enum Step {
        Try(u16, Option<u32>),
        Park,
        Keep,
        Replay,
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            4 => (prop_oneof![Just(200_u16), Just(410), Just(429), Just(500), Just(503)], proptest::option::of(any::<u32>()))
                .prop_map(|(status, wait)| Step::Try(status, wait)),
            1 => Just(Step::Park),
            1 => Just(Step::Keep),
            1 => Just(Step::Replay),
        ]
    }

    proptest! {
        /// Whatever happens: a pending delivery is found again, an ended one is left alone, and no round has more tries than
        /// the schedule.
        #[test]
        fn delivery_is_never_lost_and_never_tried_too_often(steps in proptest::collection::vec(step(), 0..60)) {
            let schedule = schedule("5s,5m,2h");
            let (mut delivery, mut now) = (delivery(), at(0));
            for step in steps {
                delivery = match step {
                    Step::Try(status, wait) if delivery.is_ready(now) => delivery.tried(&answer(status, wait), &schedule, now),
                    Step::Try(..) => delivery,
                    Step::Park if delivery.state == DeliveryState::Pending => delivery.parked(None, now),
                    Step::Park => delivery,
                    Step::Keep => delivery.kept(now),
                    Step::Replay => delivery.replayed(now).unwrap_or(delivery),
                };
                let pending = delivery.state == DeliveryState::Pending;
                prop_assert_eq!(pending, delivery.due_at.is_some());
                prop_assert_eq!(pending, delivery.next_attempt_at.is_some());
                prop_assert!(delivery.due_at >= delivery.next_attempt_at);
                prop_assert!(delivery.tries <= 4 && delivery.attempts.len() <= ATTEMPTS_KEPT);
                prop_assert!(delivery.kept_until() >= delivery.updated_at.plus_millis(KEPT_MS));
                prop_assert!(delivery.message_delay_seconds(now).is_none_or(|delay| delay <= 900));
                now = delivery.next_attempt_at.map_or(now, |next| next.max(now));
            }
        }
    }
}
