//! Who is outside: an endpoint that flaps and remembers what it was told, and a marketplace that knows orders and does
//! not always answer.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use evenstock_app::{
    Amount, Call, CallbackSender, InvalidTarget, MarketplaceAccount, MarketplaceError, OrderMarketplace, ValidatedLine,
    ValidatedOrder, Validation,
};
use evenstock_domain::{Attempt, LevelKey, Quantity, Timestamp, Tried};

use crate::nature::{Nature, START, turn};

/// The endpoint: each call that reached it, the event's id and the body.
#[derive(Debug, Clone)]
pub(crate) struct Endpoint {
    nature: Arc<Nature>,
    heard: Arc<Mutex<Vec<(String, String)>>>,
}

impl Endpoint {
    pub(crate) fn new(nature: &Arc<Nature>) -> Self {
        Self { nature: Arc::clone(nature), heard: Arc::default() }
    }

    pub(crate) fn heard(&self) -> Vec<(String, String)> {
        self.heard.lock().unwrap().clone()
    }

    /// Down for minutes at a time, and now and then in between.
    fn is_down(&self) -> bool {
        let minutes = (self.nature.now() - START) / 60_000;
        !self.nature.is_calm() && minutes % 5 == 3
    }
}

impl CallbackSender for Endpoint {
    async fn check(&self, _target: &str) -> Result<(), InvalidTarget> {
        Ok(())
    }

    async fn send(&self, call: Call<'_>) -> Tried {
        turn().await;
        let reached = !self.is_down() && !self.nature.strikes(10);
        if reached {
            self.heard.lock().unwrap().push((call.event_id.to_owned(), call.body.to_owned()));
        }
        turn().await;
        let (status_code, error) = match () {
            () if !reached => (None, Some("nobody is there".to_owned())),
            // It took the event, and says otherwise, or says nothing.
            () if self.nature.strikes(8) => (Some(500), None),
            () if self.nature.strikes(5) => (None, Some("no answer in time".to_owned())),
            () if self.nature.strikes(3) => (Some(429), None),
            () => (Some(200), None),
        };
        self.nature.tell(|| format!("call of {}: {status_code:?}", call.event_id));
        let retry_after_seconds = (status_code == Some(429)).then_some(20);
        let attempt = Attempt { at: call.sent_at, status_code, duration_ms: 5, error, response: None };
        Tried { attempt, retry_after_seconds }
    }
}

/// The lines of each order that the marketplace knows, by receipt.
pub(crate) type KnownOrders = BTreeMap<String, Vec<(LevelKey, i64)>>;

/// The marketplace.
#[derive(Debug, Clone)]
pub(crate) struct Marketplace {
    nature: Arc<Nature>,
    orders: Arc<KnownOrders>,
    calls: Arc<Mutex<u64>>,
}

impl Marketplace {
    pub(crate) fn new(nature: &Arc<Nature>, orders: KnownOrders) -> Self {
        Self { nature: Arc::clone(nature), orders: Arc::new(orders), calls: Arc::default() }
    }
}

impl OrderMarketplace for Marketplace {
    async fn validate(&self, _account: &MarketplaceAccount, receipt: &str) -> Result<Validation, MarketplaceError> {
        turn().await;
        let call = {
            let mut calls = self.calls.lock().unwrap();
            *calls += 1;
            *calls
        };
        if self.nature.strikes(12) {
            return Err(MarketplaceError::Unavailable { reason: "down".to_owned(), retry_after_seconds: None });
        }
        if self.nature.strikes(10) {
            return Err(MarketplaceError::RateLimited { retry_after_seconds: None });
        }
        turn().await;
        let line = |(key, units): &(LevelKey, i64)| ValidatedLine {
            sku: key.sku.clone(),
            quantity: Quantity::new(*units).unwrap(),
            location: Some(key.location.clone()),
        };
        Ok(self.orders.get(receipt).map_or(Validation::Refused, |lines| {
            Validation::Accepted(ValidatedOrder {
                // Another one each time, so that it shows which answer was believed.
                order_id: format!("{receipt}-{call}"),
                amount: Amount::parse("10.50").unwrap(),
                currency: "USD".to_owned(),
                imported_at: Timestamp::EPOCH.plus_millis(self.nature.now()),
                lines: lines.iter().map(line).collect(),
                cancelled: false,
            })
        }))
    }
}
