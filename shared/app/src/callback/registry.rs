//! Registering endpoints and changing them: load the registry, decide, write it if nobody else did.

use evenstock_domain::{
    Disabled, Endpoint, EndpointHealth, EndpointId, OrganizationId, Registered, Registry, Replaced,
};

use crate::{CallbackStore, Clock, StoreError};

/// Tries at a registry that others write too, or whose write had an unknown outcome.
const TRIES_MAX: u32 = 8;

/// What a registration comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Registration {
    /// It was registered by this call.
    New(Endpoint),
    /// The same event and URL were registered before.
    Existing(Endpoint),
    /// The organization has as many as it may have.
    Full,
}

/// What a change comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EndpointChange {
    /// The endpoint as it is now, `None` when it is gone.
    Done(Option<Endpoint>),
    /// There is no such endpoint.
    Unknown,
    /// Another one has the same event and URL.
    Taken(EndpointId),
}

/// Names what an endpoint's secrets are sealed for.
pub fn secret_context(organization: &OrganizationId, endpoint: &EndpointId) -> String {
    format!("callback/{organization}/{endpoint}/secret")
}

/// Registers an endpoint, unless its event and URL are registered already.
///
/// # Errors
/// [`StoreError`] when the registry cannot be read or written; the same call may be made again.
pub async fn register_endpoint<S: CallbackStore, C: Clock>(
    store: &S,
    clock: &C,
    organization: &OrganizationId,
    fresh: Endpoint,
) -> Result<Registration, StoreError> {
    let id = fresh.id.clone();
    let registered = write(store, clock, organization, |registry| match registry.register(fresh.clone()) {
        Registered::New(next) => Step::Write(next, ()),
        Registered::Existing(endpoint) => Step::Answer(Registration::Existing(endpoint)),
        Registered::Full => Step::Answer(Registration::Full),
    });
    match registered.await? {
        Written::Done(()) => Ok(Registration::New(fresh)),
        // A write whose outcome was not known, found again.
        Written::Answered(Registration::Existing(endpoint)) if endpoint.id == id => Ok(Registration::New(endpoint)),
        Written::Answered(answer) => Ok(answer),
    }
}

/// Changes an endpoint.
///
/// # Errors
/// [`StoreError`] as above.
pub async fn change_endpoint<S: CallbackStore, C: Clock>(
    store: &S,
    clock: &C,
    organization: &OrganizationId,
    id: &EndpointId,
    change: impl Fn(&mut Endpoint) + Send + Sync,
) -> Result<EndpointChange, StoreError> {
    replace(store, clock, organization, id, |registry| registry.replace(id, &change)).await
}

/// Stops telling an endpoint, unless it leads somewhere else by now than `called`: what an address did says nothing
/// about the next one.
///
/// # Errors
/// [`StoreError`] as above.
pub async fn disable_endpoint<S: CallbackStore, C: Clock>(
    store: &S,
    clock: &C,
    organization: &OrganizationId,
    called: &Endpoint,
    disabled: Disabled,
) -> Result<EndpointChange, StoreError> {
    replace(store, clock, organization, &called.id, |registry| registry.disable(called, disabled)).await
}

/// Removes an endpoint. Its deliveries stay until they are forgotten, and nobody sends them any more.
///
/// # Errors
/// [`StoreError`] as above.
pub async fn remove_endpoint<S: CallbackStore, C: Clock>(
    store: &S,
    clock: &C,
    organization: &OrganizationId,
    id: &EndpointId,
) -> Result<EndpointChange, StoreError> {
    replace(store, clock, organization, id, |registry| registry.remove(id)).await
}

/// Forgets how an endpoint has been doing: it begins anew.
///
/// # Errors
/// [`StoreError`] as above.
pub async fn reset_health<S: CallbackStore, C: Clock>(
    store: &S,
    clock: &C,
    organization: &OrganizationId,
    id: &EndpointId,
) -> Result<(), StoreError> {
    mend_health(store, clock, organization, id, |_| EndpointHealth::default()).await
}

/// Lets an endpoint be called again at once, because somebody who knows asks for it.
///
/// # Errors
/// [`StoreError`] as above.
pub async fn try_again<S: CallbackStore, C: Clock>(
    store: &S,
    clock: &C,
    organization: &OrganizationId,
    id: &EndpointId,
) -> Result<(), StoreError> {
    mend_health(store, clock, organization, id, EndpointHealth::tried_again).await
}

async fn mend_health<S: CallbackStore, C: Clock>(
    store: &S,
    clock: &C,
    organization: &OrganizationId,
    id: &EndpointId,
    mended: impl Fn(&EndpointHealth) -> EndpointHealth + Send + Sync,
) -> Result<(), StoreError> {
    for attempt in 1..=TRIES_MAX {
        let (rev, health) = store.load_health(organization, id).await?;
        let next = mended(&health);
        if health == next || store.save_health(organization, id, rev, &next).await? {
            return Ok(());
        }
        clock.back_off(attempt).await;
    }
    Err(StoreError::exhausted(TRIES_MAX))
}

async fn replace<S: CallbackStore, C: Clock>(
    store: &S,
    clock: &C,
    organization: &OrganizationId,
    id: &EndpointId,
    decide: impl Fn(&Registry) -> Replaced + Send + Sync,
) -> Result<EndpointChange, StoreError> {
    let written = write(store, clock, organization, |registry| match decide(registry) {
        Replaced::Moved(next) => {
            let now = next.find(id).cloned();
            Step::Write(next, now)
        }
        Replaced::Same => Step::Answer(EndpointChange::Done(registry.find(id).cloned())),
        Replaced::Unknown => Step::Answer(EndpointChange::Unknown),
        Replaced::Taken(other) => Step::Answer(EndpointChange::Taken(other)),
    });
    match written.await? {
        Written::Done(endpoint) => Ok(EndpointChange::Done(endpoint)),
        Written::Answered(answer) => Ok(answer),
    }
}

enum Step<W, A> {
    Write(Registry, W),
    Answer(A),
}

enum Written<W, A> {
    Done(W),
    Answered(A),
}

/// Decides on the registry as it stands, until a decision could be written down or needs no write.
async fn write<S: CallbackStore, C: Clock, W: Send, A: Send>(
    store: &S,
    clock: &C,
    organization: &OrganizationId,
    decide: impl Fn(&Registry) -> Step<W, A> + Send + Sync,
) -> Result<Written<W, A>, StoreError> {
    for attempt in 1..=TRIES_MAX {
        let (rev, registry) = store.load_registry(organization).await?;
        let (next, done) = match decide(&registry) {
            Step::Write(next, done) => (next, done),
            Step::Answer(answer) => return Ok(Written::Answered(answer)),
        };
        match store.save_registry(rev, &next).await {
            Ok(true) => return Ok(Written::Done(done)),
            Ok(false) => {}
            Err(error) if error.is_passing() => {}
            Err(error) => return Err(error),
        }
        clock.back_off(attempt).await;
    }
    Err(StoreError::exhausted(TRIES_MAX))
}
