//! An endpoint: where an organization wants to be told what.

use core::fmt;

use crate::{EndpointId, EventType, RetrySchedule, Timestamp};

/// How long a secret still signs after it was replaced, in milliseconds: a day.
pub const OVERLAP_MS: i64 = 24 * 60 * 60 * 1000;

/// What an endpoint wants to be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subscription {
    /// Everything.
    All,
    /// Events of one kind.
    Only(EventType),
}

impl Subscription {
    /// The name on the wire: an event's, or `*`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::All => "*",
            Self::Only(event) => event.as_str(),
        }
    }

    /// Reads a name.
    pub fn parse(text: &str) -> Option<Self> {
        if text == "*" { Some(Self::All) } else { EventType::parse(text).map(Self::Only) }
    }

    /// Whether it wants this event.
    pub fn wants(self, event: EventType) -> bool {
        match self {
            Self::All => true,
            Self::Only(only) => only == event,
        }
    }
}

/// Why an endpoint is told nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DisabledReason {
    /// Its owner wants it so.
    Owner,
    /// It answered 410.
    Gone,
    /// It did nothing but fail for five days.
    Failing,
}

impl DisabledReason {
    /// The name on the wire and in the table.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Gone => "gone",
            Self::Failing => "failing",
        }
    }

    /// Reads a name.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Owner, Self::Gone, Self::Failing].into_iter().find(|reason| reason.as_str() == text)
    }
}

/// Since when and why an endpoint is told nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Disabled {
    /// Why.
    pub reason: DisabledReason,
    /// Since when.
    pub at: Timestamp,
}

/// A secret that was replaced.
#[derive(Clone, PartialEq, Eq)]
pub struct RetiredSecret {
    /// The sealed text.
    pub sealed: String,
    /// It signs until then.
    pub until: Timestamp,
}

/// The secrets that sign, as sealed texts. Not shown in `Debug`: a log is no place for them.
#[derive(Clone, PartialEq, Eq)]
pub struct Secrets {
    /// The one that counts.
    pub current: String,
    /// Since when it does.
    pub since: Timestamp,
    /// The one before, while receivers learn the new one.
    pub previous: Option<RetiredSecret>,
}

impl Secrets {
    /// A first secret.
    pub const fn new(sealed: String, since: Timestamp) -> Self {
        Self { current: sealed, since, previous: None }
    }

    /// The sealed texts that sign at `now`, the current one first.
    pub fn signing(&self, now: Timestamp) -> impl Iterator<Item = &str> {
        let previous = self.previous.iter().filter(move |retired| now < retired.until);
        core::iter::once(self.current.as_str()).chain(previous.map(|retired| retired.sealed.as_str()))
    }

    /// Puts another secret in place; the one so far signs for another day.
    #[must_use]
    pub fn rotated(&self, sealed: String, now: Timestamp) -> Self {
        let retired = RetiredSecret { sealed: self.current.clone(), until: now.plus_millis(OVERLAP_MS) };
        Self { current: sealed, since: now, previous: Some(retired) }
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secrets(redacted)")
    }
}

impl fmt::Debug for RetiredSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RetiredSecret(redacted)")
    }
}

/// Where to tell what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// Its name.
    pub id: EndpointId,
    /// What it wants to be told.
    pub event: Subscription,
    /// The URL that is called, as it was registered.
    pub target: String,
    /// `None` while it is told.
    pub disabled: Option<Disabled>,
    /// When a delivery that failed is tried again; `None`: as everywhere.
    pub schedule: Option<RetrySchedule>,
    /// What signs.
    pub secrets: Secrets,
    /// When it was registered.
    pub created_at: Timestamp,
}

impl Endpoint {
    /// Whether it is told what happens.
    pub const fn is_active(&self) -> bool {
        self.disabled.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis).unwrap()
    }

    #[test]
    fn names_are_read_as_they_are_written() {
        for reason in [DisabledReason::Owner, DisabledReason::Gone, DisabledReason::Failing] {
            assert_eq!(DisabledReason::parse(reason.as_str()), Some(reason));
        }
        assert_eq!((DisabledReason::Gone.as_str(), DisabledReason::parse("")), ("gone", None));
        let only = Subscription::Only(EventType::StockLow);
        assert_eq!((Subscription::All.as_str(), only.as_str()), ("*", EventType::StockLow.as_str()));
    }

    #[test]
    fn replaced_secret_signs_for_another_day() {
        let secrets = Secrets::new("old".to_owned(), at(0)).rotated("new".to_owned(), at(0));
        let signing = |millis| secrets.signing(at(millis)).collect::<Vec<_>>();
        assert_eq!((signing(86_399_999), signing(86_400_000)), (vec!["new", "old"], vec!["new"]));
    }

    #[test]
    fn secrets_are_shown_nowhere() {
        let secrets = Secrets::new("sealed-1".to_owned(), at(0)).rotated("sealed-2".to_owned(), at(1));
        assert_eq!(format!("{secrets:?} {:?}", secrets.previous), "Secrets(redacted) Some(RetiredSecret(redacted))");
    }

    #[test]
    fn endpoint_is_active_until_it_is_disabled() {
        let active = Endpoint {
            id: EndpointId::parse("endpoint").unwrap(),
            event: Subscription::All,
            target: "https://shop.example/hook".to_owned(),
            disabled: None,
            schedule: None,
            secrets: Secrets::new("sealed".to_owned(), at(0)),
            created_at: at(0),
        };
        assert!(active.is_active());
        assert!(
            !Endpoint { disabled: Some(Disabled { reason: DisabledReason::Owner, at: at(1) }), ..active }.is_active()
        );
    }

    #[test]
    fn both_secrets_sign_for_a_day_after_a_rotation() {
        let rotated = Secrets::new("old".to_owned(), at(0)).rotated("new".to_owned(), at(1000));
        let signing = |now| rotated.signing(at(now)).map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(signing(1000), ["new", "old"]);
        assert_eq!(signing(1000 + OVERLAP_MS - 1), ["new", "old"]);
        assert_eq!(signing(1000 + OVERLAP_MS), ["new"]);
        let again = rotated.rotated("newest".to_owned(), at(2000));
        assert_eq!(again.signing(at(2000)).collect::<Vec<_>>(), ["newest", "new"]);
        assert!(!format!("{again:?}").contains("new"));
    }

    #[test]
    fn star_wants_everything_and_a_name_only_its_own() {
        assert!(Subscription::parse("*").unwrap().wants(EventType::OrderShort));
        let only = Subscription::parse("stock.low").unwrap();
        assert!(only.wants(EventType::StockLow) && !only.wants(EventType::StockChanged));
        assert_eq!(Subscription::parse("stock.*"), None);
    }
}
