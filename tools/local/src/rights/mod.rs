//! What each function may do in AWS, as its role in the template says. Here it may do no more: a call that its role does
//! not allow fails, as it would in AWS.
//!
//! Owns calls, statements and the judgement of the one by the other. Must not know who makes the calls.

mod call;
mod dynamodb;
mod queues;
mod record;

use std::sync::Arc;

use tracing::error;

pub use call::{Call, calls_of};
pub(crate) use dynamodb::guarded;
pub(crate) use queues::OwnQueues;
pub use record::{Made, Record};

/// A permission of a role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// What may be done, such as `dynamodb:Query`.
    pub actions: Vec<String>,
    /// To what, such as `StockTable/index/due`.
    pub resources: Vec<String>,
    /// Under which conditions; all of them hold.
    pub conditions: Vec<Condition>,
}

/// A condition of a permission: what a call says under a key, against patterns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    /// How many of a call's values must fit.
    pub how_many: HowMany,
    /// The key, such as `dynamodb:LeadingKeys`.
    pub key: String,
    /// What fits: `*` stands for any text.
    pub patterns: Vec<String>,
}

/// How many of the values of a call must fit one of the patterns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HowMany {
    /// Every one, also when there is none.
    All,
    /// At least one.
    Any,
}

impl Condition {
    /// The patterns that the call's values fit; `None` when the condition does not hold.
    fn fitting(&self, call: &Call) -> Option<Vec<String>> {
        let values = call.said(&self.key);
        let pattern_of = |value: &String| self.patterns.iter().find(|pattern| fits(pattern, value)).cloned();
        let fitting: Vec<_> = values.iter().filter_map(pattern_of).collect();
        let holds = match self.how_many {
            HowMany::All => fitting.len() == values.len(),
            HowMany::Any => !fitting.is_empty(),
        };
        holds.then_some(fitting)
    }
}

impl Statement {
    /// The patterns of its conditions that the call fits; `None` when it does not allow the call.
    fn allows(&self, call: &Call) -> Option<Vec<String>> {
        if !self.actions.contains(&call.action) || !self.resources.contains(&call.resource) {
            return None;
        }
        let fitting: Option<Vec<_>> = self.conditions.iter().map(|condition| condition.fitting(call)).collect();
        fitting.map(|patterns| patterns.concat())
    }
}

/// Whether a text fits a pattern in which `*` stands for any text.
fn fits(pattern: &str, text: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else {
        return pattern == text;
    };
    let Some(mut left) = text.strip_prefix(first) else {
        return false;
    };
    let mut parts = rest.split('*').peekable();
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return left.ends_with(part);
        }
        let Some((_, behind)) = left.split_once(part) else {
            return false;
        };
        left = behind;
    }
    true
}

/// A call that a function's role does not allow.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the role of {function} does not allow {action} on {resource} ({said})")]
pub struct Denied {
    /// The function's logical id.
    pub function: String,
    /// What it tried.
    pub action: String,
    /// On what.
    pub resource: String,
    /// What conditions look at.
    pub said: String,
}

/// What a function may do.
#[derive(Debug)]
pub struct Rights {
    function: String,
    statements: Vec<Statement>,
    record: Option<Arc<Record>>,
}

impl Rights {
    /// The rights of a function. Calls that it makes are noted in `record`.
    pub fn new(function: &str, statements: Vec<Statement>, record: Option<Arc<Record>>) -> Self {
        Self { function: function.to_owned(), statements, record }
    }

    /// Checks a call, and notes it when it is allowed.
    ///
    /// # Errors
    /// [`Denied`] when no statement allows it.
    pub fn check(&self, call: &Call) -> Result<(), Denied> {
        let Some(under) = self.statements.iter().find_map(|statement| statement.allows(call)) else {
            let denied = Denied {
                function: self.function.clone(),
                action: call.action.clone(),
                resource: call.resource.clone(),
                said: call.to_string(),
            };
            // Whoever made the call may take it for an outage.
            error!("{denied}");
            return Err(denied);
        };
        if let Some(record) = &self.record {
            record.note(&self.function, call, under);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
