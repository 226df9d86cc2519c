//! A marketplace that answers about receipts as it was told.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use crate::{MarketplaceAccount, MarketplaceError, OrderMarketplace, Validation};

/// Gives the answers that it was given, and remembers what it was asked.
#[derive(Debug, Default)]
pub struct ScriptedMarketplace {
    answers: Mutex<VecDeque<Result<Validation, MarketplaceError>>>,
    asked: Mutex<Vec<String>>,
}

impl ScriptedMarketplace {
    /// Adds an answer to give. When none is left, receipts are refused.
    pub fn then(self, answer: Result<Validation, MarketplaceError>) -> Self {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner).push_back(answer);
        self
    }

    /// The receipt of each call so far, in order.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl OrderMarketplace for ScriptedMarketplace {
    async fn validate(&self, _account: &MarketplaceAccount, receipt: &str) -> Result<Validation, MarketplaceError> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).push(receipt.to_owned());
        let answer = self.answers.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        // Lets twins run in between, as a call over the network would.
        tokio::task::yield_now().await;
        answer.unwrap_or(Ok(Validation::Refused))
    }
}
