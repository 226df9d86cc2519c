//! Receipts: the references under which a marketplace knows its orders, each asked about until it is settled.
//!
//! Owns the state machine of one receipt: who may ask the marketplace now (the claim), what an answer makes of it, and
//! when to ask again. Must not know how a receipt is stored, nor how a marketplace is asked.
//!
//! **Invariant:** an answer counts only under the claim's own token. Success is final, and only one write makes it, so
//! that what follows from an order follows once.

use crate::{Line, Marketplace, OrganizationId, ReceiptId, StoreId, Timestamp};

/// Where a receipt stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ReceiptState {
    /// The marketplace has not answered yet.
    Pending,
    /// It is an order.
    Success,
    /// The marketplace gave no order, or no answer.
    Failed,
    /// The marketplace wants us to come back later.
    RateLimited,
}

impl ReceiptState {
    /// All states.
    pub const ALL: [Self; 4] = [Self::Pending, Self::Success, Self::Failed, Self::RateLimited];

    /// The states that an answer leads to.
    pub const ANSWERED: [Self; 3] = [Self::Success, Self::Failed, Self::RateLimited];

    /// The state's name on the wire and in the table.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Success => "success",
            Self::Failed => "failed",
            Self::RateLimited => "rate_limited",
        }
    }

    /// Reads a state's name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }
}

/// Why a receipt is no order, or not yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ReceiptError {
    /// The marketplace knows no such order.
    InvalidReceipt,
    /// The marketplace limits our rate.
    RateLimited,
    /// The marketplace is out of reach, fails, or answers what nobody can read; or its breaker is open.
    MarketplaceUnavailable,
    /// The marketplace refuses the store's credentials.
    MarketplaceAuth,
    /// The order is in another currency than the store's.
    CurrencyMismatch,
}

impl ReceiptError {
    /// The error's name on the wire and in the table.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidReceipt => "invalid_receipt",
            Self::RateLimited => "rate_limited",
            Self::MarketplaceUnavailable => "marketplace_unavailable",
            Self::MarketplaceAuth => "marketplace_auth",
            Self::CurrencyMismatch => "currency_mismatch",
        }
    }

    /// Reads an error's name.
    pub fn parse(text: &str) -> Option<Self> {
        let all = [
            Self::InvalidReceipt,
            Self::RateLimited,
            Self::MarketplaceUnavailable,
            Self::MarketplaceAuth,
            Self::CurrencyMismatch,
        ];
        all.into_iter().find(|error| error.as_str() == text)
    }
}

/// An order, as far as it concerns us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceiptOrder {
    /// The marketplace's own id of the order.
    pub order_id: String,
    /// What the buyer pays: the decimal as it was stated, never calculated with.
    pub amount: String,
    /// In what currency: three capital letters.
    pub currency: String,
    /// When the marketplace recorded it.
    pub imported_at: Timestamp,
    /// What was sold and where it is taken from. A line's place among them is part of its name.
    pub lines: Vec<Line>,
    /// Whether the lines move stock: not for stores that state their stock themselves.
    pub moves_stock: bool,
}

/// What the marketplace's last answer makes of a receipt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReceiptOutcome {
    /// It is an order.
    Order(ReceiptOrder),
    /// It is none, or not yet.
    Error(ReceiptError),
}

/// The right to ask about a receipt, until it lapses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceiptClaim {
    /// Names the one who asks; no two claims share a token.
    pub token: String,
    /// From then on somebody else may claim it.
    pub until: Timestamp,
}

/// When to ask again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPolicy {
    /// The wait after the first call, in milliseconds; each further one is twice as long.
    pub base_ms: i64,
    /// The longest wait, in milliseconds.
    pub max_ms: i64,
    /// Calls after which a receipt that failed is asked about no more. One that is rate-limited always is.
    pub calls_max: u32,
}

impl RetryPolicy {
    /// The wait after call number `call`, which counts from 1.
    pub fn wait_ms(&self, call: u32) -> i64 {
        let doublings = call.saturating_sub(1).min(40);
        self.base_ms.saturating_mul(1 << doublings).min(self.max_ms)
    }
}

/// What came of a call to the marketplace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CallResult {
    /// An order.
    Order {
        /// What it holds.
        order: ReceiptOrder,
        /// Whether the marketplace says that it was called off.
        cancelled: bool,
    },
    /// No order.
    Error {
        /// Why.
        error: ReceiptError,
        /// How long the marketplace wants us to wait at least, in seconds.
        retry_after_seconds: Option<u32>,
    },
    /// The call was not made, because the breaker is open until then.
    NotMade {
        /// The earliest time of the next try.
        until: Timestamp,
    },
}

/// What trying to claim a receipt comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claimed {
    /// The receipt as it should be stored, claimed.
    Taken(Box<Receipt>),
    /// It is claimed under this token already.
    Mine,
    /// Somebody else asks until then.
    Busy(Timestamp),
    /// There is nothing to ask now.
    Settled,
}

/// What completing a claim comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Completed {
    /// The receipt as it should be stored.
    Moved(Box<Receipt>),
    /// This very claim was completed before.
    Repeated,
    /// The claim lapsed and was taken over: the answer does not count.
    Lost,
}

/// What an order did to stock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OrderStock {
    /// Its units were taken.
    Taken,
    /// They were taken, and more than there were.
    Short,
    /// The order was called off; its units are back, or were never taken.
    Returned,
}

impl OrderStock {
    /// Its name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Taken => "taken",
            Self::Short => "short",
            Self::Returned => "returned",
        }
    }
}

/// A receipt of one store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// The tenant.
    pub organization: OrganizationId,
    /// The seller's account.
    pub store: StoreId,
    /// The kind of marketplace.
    pub marketplace: Marketplace,
    /// The marketplace's reference.
    pub id: ReceiptId,
    /// When we first heard of it.
    pub created_at: Timestamp,
    /// Calls begun.
    pub calls: u32,
    /// What the last answer made of it; `None` before the first.
    pub outcome: Option<ReceiptOutcome>,
    /// When that answer came, by our clock.
    pub answered_at: Option<Timestamp>,
    /// When to ask again; `None` when nobody will.
    pub next_retry_at: Option<Timestamp>,
    /// Who asks now.
    pub claim: Option<ReceiptClaim>,
    /// The token of the claim that was completed last, by which its repetition is recognized.
    pub completed_by: Option<String>,
    /// When the order was called off.
    pub cancelled_at: Option<Timestamp>,
    /// Whether the order took more than there was.
    pub short: bool,
}

impl Receipt {
    /// A receipt that we hear of for the first time, due at once.
    pub const fn begin(
        organization: OrganizationId,
        store: StoreId,
        marketplace: Marketplace,
        id: ReceiptId,
        now: Timestamp,
    ) -> Self {
        Self {
            organization,
            store,
            marketplace,
            id,
            created_at: now,
            calls: 0,
            outcome: None,
            answered_at: None,
            next_retry_at: Some(now),
            claim: None,
            completed_by: None,
            cancelled_at: None,
            short: false,
        }
    }

    /// Where it stands.
    pub const fn state(&self) -> ReceiptState {
        match self.outcome {
            None => ReceiptState::Pending,
            Some(ReceiptOutcome::Order(_)) => ReceiptState::Success,
            Some(ReceiptOutcome::Error(ReceiptError::RateLimited)) => ReceiptState::RateLimited,
            Some(ReceiptOutcome::Error(_)) => ReceiptState::Failed,
        }
    }

    /// The order, if it is one.
    pub const fn order(&self) -> Option<&ReceiptOrder> {
        match &self.outcome {
            Some(ReceiptOutcome::Order(order)) => Some(order),
            _ => None,
        }
    }

    /// Why it is none, if it was answered so.
    pub const fn error(&self) -> Option<ReceiptError> {
        match self.outcome {
            Some(ReceiptOutcome::Error(error)) => Some(error),
            _ => None,
        }
    }

    /// When somebody must look at it: when the claim lapses, else when it is to be asked about again. An order needs
    /// nobody any more, and nor does what was called off.
    pub fn due_at(&self) -> Option<Timestamp> {
        if self.order().is_some() || self.cancelled_at.is_some() {
            return None;
        }
        self.claim.as_ref().map_or(self.next_retry_at, |claim| Some(claim.until))
    }

    /// Claims it for somebody who wants its result: only if there is none yet.
    pub fn claim_first(&self, now: Timestamp, token: &str, lease_ms: i64) -> Claimed {
        if self.is_claimed_by(token) {
            return Claimed::Mine;
        }
        match &self.claim {
            _ if self.outcome.is_some() => Claimed::Settled,
            Some(claim) if now < claim.until => Claimed::Busy(claim.until),
            _ => self.claimed(now, token, lease_ms),
        }
    }

    /// Claims it for asking again: only if it is due.
    pub fn claim_due(&self, now: Timestamp, token: &str, lease_ms: i64) -> Claimed {
        if self.is_claimed_by(token) {
            return Claimed::Mine;
        }
        match (self.due_at(), &self.claim) {
            (Some(due_at), _) if due_at <= now => self.claimed(now, token, lease_ms),
            (Some(until), Some(_)) => Claimed::Busy(until),
            _ => Claimed::Settled,
        }
    }

    fn is_claimed_by(&self, token: &str) -> bool {
        self.claim.as_ref().is_some_and(|claim| claim.token == token)
    }

    fn claimed(&self, now: Timestamp, token: &str, lease_ms: i64) -> Claimed {
        let claim = ReceiptClaim { token: token.to_owned(), until: now.plus_millis(lease_ms) };
        // Counted before it is made: a call that kills its caller counts too.
        let calls = self.calls.saturating_add(1);
        Claimed::Taken(Box::new(Self { claim: Some(claim), calls, ..self.clone() }))
    }

    /// Whether its answer was taken under this claim.
    pub fn was_completed_by(&self, token: &str) -> bool {
        self.completed_by.as_deref() == Some(token)
    }

    /// Takes the marketplace's answer, under the claim that it was asked under.
    pub fn complete(&self, token: &str, result: &CallResult, now: Timestamp, policy: &RetryPolicy) -> Completed {
        if !self.is_claimed_by(token) {
            let repeated = self.was_completed_by(token);
            return if repeated { Completed::Repeated } else { Completed::Lost };
        }
        let mut next = Self { claim: None, completed_by: Some(token.to_owned()), ..self.clone() };
        // Two answers of one receipt never share a time, whatever our clocks say.
        let now = self.answered_at.map_or(now, |before| now.max(before.plus_millis(1)));
        // Nor does an answer come before a cancellation that stands there already: its order takes nothing.
        let now = self.cancelled_at.map_or(now, |cancelled_at| now.max(cancelled_at));
        next.answered_at = Some(now);
        match result {
            CallResult::Order { order, cancelled } => {
                next.outcome = Some(ReceiptOutcome::Order(order.clone()));
                next.next_retry_at = None;
                if *cancelled {
                    next.cancelled_at = Some(self.cancelled_at.unwrap_or(now));
                }
            }
            CallResult::Error { error, retry_after_seconds } => {
                next.outcome = Some(ReceiptOutcome::Error(*error));
                let asked = i64::from(retry_after_seconds.unwrap_or_default()).saturating_mul(1000);
                let wait = policy.wait_ms(self.calls).max(asked);
                let again = *error == ReceiptError::RateLimited || self.calls < policy.calls_max;
                next.next_retry_at = again.then(|| now.plus_millis(wait));
            }
            CallResult::NotMade { until } => {
                next.calls = self.calls.saturating_sub(1);
                if next.outcome.is_none() {
                    next.outcome = Some(ReceiptOutcome::Error(ReceiptError::MarketplaceUnavailable));
                }
                next.next_retry_at = Some(now.plus_millis(policy.wait_ms(1)).max(*until));
            }
        }
        Completed::Moved(Box::new(next))
    }

    /// Calls the order off; `None` when it was called off before. Also before it is imported: its units are then never
    /// taken.
    #[must_use]
    pub fn cancel(&self, now: Timestamp) -> Option<Self> {
        if self.cancelled_at.is_some() {
            return None;
        }
        // Behind the import, so that the two can be told apart by their times.
        let behind = self.order().and(self.answered_at).map(|answered_at| answered_at.plus_millis(1));
        let cancelled_at = behind.map_or(now, |behind| now.max(behind));
        Some(Self { cancelled_at: Some(cancelled_at), ..self.clone() })
    }

    /// Notes that the order took more than there was; `None` when that is known.
    #[must_use]
    pub fn mark_short(&self) -> Option<Self> {
        (!self.short).then(|| Self { short: true, ..self.clone() })
    }

    /// The lines whose units the order took, with the time that it did; none for an order that was called off before.
    pub fn taken(&self) -> Option<(Timestamp, &[Line])> {
        let order = self.order().filter(|order| order.moves_stock && !order.lines.is_empty())?;
        let answered_at = self.answered_at?;
        let before = self.cancelled_at.is_some_and(|cancelled_at| cancelled_at <= answered_at);
        (!before).then_some((answered_at, order.lines.as_slice()))
    }

    /// The lines whose units it gave back, with the time that it did.
    pub fn returned(&self) -> Option<(Timestamp, &[Line])> {
        let (_, lines) = self.taken()?;
        Some((self.cancelled_at?, lines))
    }

    /// What it did to stock; `None` when it moves none.
    pub fn stock(&self) -> Option<OrderStock> {
        self.order().filter(|order| order.moves_stock && !order.lines.is_empty())?;
        Some(match (self.cancelled_at, self.short) {
            (Some(_), _) => OrderStock::Returned,
            (None, true) => OrderStock::Short,
            (None, false) => OrderStock::Taken,
        })
    }

    /// The name of the event that takes a line's units.
    pub fn line_event(&self, place: usize) -> String {
        format!("{}/{}/{place}", self.store, self.id)
    }

    /// The name of the event that gives them back.
    pub fn cancel_event(&self, place: usize) -> String {
        format!("{}/{}/{place}/cancel", self.store, self.id)
    }

    /// The source of its events.
    pub fn source(&self) -> String {
        format!("{}/{}", self.marketplace, self.store)
    }
}
