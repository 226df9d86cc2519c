//! All endpoints of one organization: one item, so that a registration is one conditional write.

use crate::{Disabled, Endpoint, EndpointId, EventType, OrganizationId};

/// Endpoints of one organization, at most: all of them stand in one item.
pub const ENDPOINTS_MAX: usize = 50;

/// The endpoints of an organization.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registry {
    /// Whose they are.
    pub organization: OrganizationId,
    /// In the order of their registration.
    pub endpoints: Vec<Endpoint>,
}

/// What a registration comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Registered {
    /// The registry as it should be stored.
    New(Registry),
    /// The same event and URL were registered before.
    Existing(Endpoint),
    /// There is no room for another.
    Full,
}

/// What a change of an endpoint comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Replaced {
    /// The registry as it should be stored.
    Moved(Registry),
    /// Nothing changes.
    Same,
    /// There is no such endpoint.
    Unknown,
    /// Another endpoint has the same event and URL.
    Taken(EndpointId),
}

impl Registry {
    /// A registry without endpoints.
    pub const fn empty(organization: OrganizationId) -> Self {
        Self { organization, endpoints: Vec::new() }
    }

    /// An endpoint by its name.
    pub fn find(&self, id: &EndpointId) -> Option<&Endpoint> {
        self.endpoints.iter().find(|endpoint| endpoint.id == *id)
    }

    /// The endpoints that want an event, disabled ones included.
    pub fn wanting(&self, event: EventType) -> impl Iterator<Item = &Endpoint> {
        self.endpoints.iter().filter(move |endpoint| endpoint.event.wants(event))
    }

    /// Adds an endpoint, unless its event and URL are registered already.
    pub fn register(&self, fresh: Endpoint) -> Registered {
        if let Some(known) = self.twin(&fresh) {
            return Registered::Existing(known.clone());
        }
        if self.endpoints.len() >= ENDPOINTS_MAX {
            return Registered::Full;
        }
        let mut next = self.clone();
        next.endpoints.push(fresh);
        Registered::New(next)
    }

    /// Changes an endpoint. Its name stays.
    pub fn replace(&self, id: &EndpointId, change: impl FnOnce(&mut Endpoint)) -> Replaced {
        let mut next = self.clone();
        let Some(endpoint) = next.endpoints.iter_mut().find(|endpoint| endpoint.id == *id) else {
            return Replaced::Unknown;
        };
        change(endpoint);
        endpoint.id = id.clone();
        let changed = endpoint.clone();
        match next.twin(&changed) {
            Some(other) => Replaced::Taken(other.id.clone()),
            None if next == *self => Replaced::Same,
            None => Replaced::Moved(next),
        }
    }

    /// Stops telling an endpoint, if it still leads where `called` did. One that is disabled keeps its first reason.
    pub fn disable(&self, called: &Endpoint, disabled: Disabled) -> Replaced {
        self.replace(&called.id, |endpoint| {
            if endpoint.target == called.target {
                endpoint.disabled.get_or_insert(disabled);
            }
        })
    }

    /// Removes an endpoint.
    pub fn remove(&self, id: &EndpointId) -> Replaced {
        let mut next = self.clone();
        next.endpoints.retain(|endpoint| endpoint.id != *id);
        if next == *self { Replaced::Unknown } else { Replaced::Moved(next) }
    }

    /// Another endpoint with the same event and URL.
    fn twin(&self, endpoint: &Endpoint) -> Option<&Endpoint> {
        let same = |known: &&Endpoint| known.event == endpoint.event && known.target == endpoint.target;
        self.endpoints.iter().filter(|known| known.id != endpoint.id).find(same)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{DisabledReason, Secrets, Subscription, Timestamp};

    fn endpoint(id: &str, target: &str) -> Endpoint {
        Endpoint {
            id: EndpointId::parse(id).unwrap(),
            event: Subscription::All,
            target: target.to_owned(),
            disabled: None,
            schedule: None,
            secrets: Secrets::new("sealed".to_owned(), Timestamp::EPOCH),
            created_at: Timestamp::EPOCH,
        }
    }

    fn registry(count: usize) -> Registry {
        let empty = Registry::empty(OrganizationId::parse("us").unwrap());
        (0..count).fold(empty, |registry, n| match registry.register(endpoint(&n.to_string(), &n.to_string())) {
            Registered::New(next) => next,
            other => panic!("{other:?}"),
        })
    }

    #[test]
    fn same_event_and_url_are_registered_once() {
        let registry = registry(2);
        let again = registry.register(endpoint("new", "1"));
        assert_eq!(again, Registered::Existing(registry.endpoints[1].clone()));
        let other = Endpoint { event: Subscription::Only(EventType::StockLow), ..endpoint("new", "1") };
        assert!(matches!(registry.register(other), Registered::New(_)));
    }

    #[test]
    fn registry_has_room_for_fifty() {
        assert_eq!(registry(ENDPOINTS_MAX).register(endpoint("one more", "x")), Registered::Full);
    }

    #[test]
    fn change_may_not_make_two_endpoints_alike() {
        let registry = registry(2);
        let zero = EndpointId::parse("0").unwrap();
        let taken = registry.replace(&zero, |endpoint| endpoint.target = "1".to_owned());
        assert_eq!(taken, Replaced::Taken(EndpointId::parse("1").unwrap()));
        assert_eq!(registry.replace(&zero, |_| {}), Replaced::Same);
        assert_eq!(registry.replace(&EndpointId::parse("x").unwrap(), |_| {}), Replaced::Unknown);
        assert!(matches!(registry.remove(&zero), Replaced::Moved(rest) if rest.endpoints.len() == 1));
        assert_eq!(registry.remove(&EndpointId::parse("x").unwrap()), Replaced::Unknown);
    }

    #[test]
    fn endpoint_keeps_the_first_reason_it_was_disabled_for() {
        let (known, because) = (registry(1), |reason| Disabled { reason, at: Timestamp::EPOCH });
        let zero = &known.endpoints[0];
        let Replaced::Moved(gone) = known.disable(zero, because(DisabledReason::Gone)) else { panic!("disabled") };
        assert_eq!(gone.disable(zero, because(DisabledReason::Failing)), Replaced::Same);
        assert_eq!(gone.find(&zero.id).unwrap().disabled.unwrap().reason, DisabledReason::Gone);
    }

    #[test]
    fn endpoint_that_leads_elsewhere_by_now_is_not_disabled_for_what_it_did_before() {
        let known = registry(1);
        let called = Endpoint { target: "before".to_owned(), ..known.endpoints[0].clone() };
        let gone = Disabled { reason: DisabledReason::Gone, at: Timestamp::EPOCH };
        assert_eq!(known.disable(&called, gone), Replaced::Same);
    }
}
