//! The items of an organization's endpoints, and of how an endpoint has been doing.

use evenstock_app::StoreError;
use evenstock_domain::{
    Breaker, Disabled, DisabledReason, Endpoint, EndpointHealth, EndpointId, InvalidSchedule, OrganizationId,
    ProbeToken, Registry, RetiredSecret, RetrySchedule, Secrets, Subscription, Timestamp,
};
use serde::{Deserialize, Serialize};

use crate::errors::corrupt;
use crate::keys::{self, Key};
use crate::level_item::item_name;
use crate::table::Attributes;

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct RegistryItem {
    pk: String,
    sk: String,
    /// The optimistic lock.
    rv: u64,
    /// Organization, as a plain name.
    og: String,
    /// Endpoints.
    en: Vec<EndpointPart>,
}

#[derive(Debug, Serialize, Deserialize)]
struct EndpointPart {
    /// Its name.
    i: String,
    /// What it wants to be told.
    ev: String,
    /// URL.
    t: String,
    /// Registered, milliseconds.
    ca: i64,
    /// The sealed secret, and since when it signs.
    s: String,
    ss: i64,
    /// The one before, and until when it signs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ps: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pu: Option<i64>,
    /// Why and since when it is disabled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    dr: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    da: Option<i64>,
    /// Waits between tries, seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    w: Option<Vec<u32>>,
}

impl RegistryItem {
    pub(crate) fn new(rev: u64, registry: &Registry) -> Self {
        let Key { pk, sk } = keys::callback_registry(&registry.organization);
        let en = registry.endpoints.iter().map(EndpointPart::new).collect();
        Self { pk, sk, rv: rev, og: registry.organization.to_string(), en }
    }
}

impl EndpointPart {
    fn new(endpoint: &Endpoint) -> Self {
        let previous = endpoint.secrets.previous.as_ref();
        Self {
            i: endpoint.id.to_string(),
            ev: endpoint.event.as_str().to_owned(),
            t: endpoint.target.clone(),
            ca: endpoint.created_at.as_millis(),
            s: endpoint.secrets.current.clone(),
            ss: endpoint.secrets.since.as_millis(),
            ps: previous.map(|retired| retired.sealed.clone()),
            pu: previous.map(|retired| retired.until.as_millis()),
            dr: endpoint.disabled.map(|disabled| disabled.reason.as_str().to_owned()),
            da: endpoint.disabled.map(|disabled| disabled.at.as_millis()),
            w: endpoint.schedule.as_ref().map(|schedule| schedule.seconds().to_vec()),
        }
    }

    fn read(self) -> Option<Endpoint> {
        let time = |millis| Timestamp::from_millis(millis).ok();
        let previous = match (self.ps, self.pu) {
            (Some(sealed), Some(until)) => Some(RetiredSecret { sealed, until: time(until)? }),
            (None, None) => None,
            _ => return None,
        };
        let disabled = match (self.dr, self.da) {
            (Some(reason), Some(at)) => Some(Disabled { reason: DisabledReason::parse(&reason)?, at: time(at)? }),
            (None, None) => None,
            _ => return None,
        };
        let schedule: Result<_, InvalidSchedule> = self.w.map(RetrySchedule::from_seconds).transpose();
        Some(Endpoint {
            id: EndpointId::parse(&self.i).ok()?,
            event: Subscription::parse(&self.ev)?,
            target: self.t,
            disabled,
            schedule: schedule.ok()?,
            secrets: Secrets { current: self.s, since: time(self.ss)?, previous },
            created_at: time(self.ca)?,
        })
    }
}

pub(crate) fn read_registry(attributes: Attributes) -> Result<(u64, Registry), StoreError> {
    let name = item_name(&attributes);
    let item: RegistryItem =
        serde_dynamo::aws_sdk_dynamodb_1::from_item(attributes).map_err(|error| corrupt(name.clone(), error))?;
    let organization = OrganizationId::parse(&item.og).map_err(|error| corrupt(name.clone(), error))?;
    let endpoints: Option<Vec<_>> = item.en.into_iter().map(EndpointPart::read).collect();
    let endpoints = endpoints.ok_or_else(|| corrupt(name, "an endpoint"))?;
    Ok((item.rv, Registry { organization, endpoints }))
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct HealthItem {
    pk: String,
    sk: String,
    /// The optimistic lock.
    rv: u64,
    /// Failing since, milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    fs: Option<i64>,
    /// Not to be called before, milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    nb: Option<i64>,
    /// Batches of failures in a row.
    f: u32,
    /// Not called until, milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ou: Option<i64>,
    /// Who probes, and when the probe counts as lost, milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pt: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pl: Option<i64>,
}

impl HealthItem {
    pub(crate) fn new(organization: &OrganizationId, endpoint: &EndpointId, rev: u64, health: &EndpointHealth) -> Self {
        let Key { pk, sk } = keys::endpoint_health(organization, endpoint);
        let probe = health.breaker.probe.as_ref();
        Self {
            pk,
            sk,
            rv: rev,
            fs: health.failing_since.map(Timestamp::as_millis),
            nb: health.not_before.map(Timestamp::as_millis),
            f: health.breaker.failures,
            ou: health.breaker.open_until.map(Timestamp::as_millis),
            pt: probe.map(|(token, _)| token.0.clone()),
            pl: probe.map(|(_, lost_at)| lost_at.as_millis()),
        }
    }
}

pub(crate) fn read_health(attributes: Attributes) -> Result<(u64, EndpointHealth), StoreError> {
    let name = item_name(&attributes);
    let item: HealthItem =
        serde_dynamo::aws_sdk_dynamodb_1::from_item(attributes).map_err(|error| corrupt(name.clone(), error))?;
    let time = |millis: Option<i64>| {
        millis.map(Timestamp::from_millis).transpose().map_err(|error| corrupt(name.clone(), error))
    };
    let probe = item.pt.map(ProbeToken).zip(time(item.pl)?);
    let breaker = Breaker { failures: item.f, open_until: time(item.ou)?, probe };
    Ok((item.rv, EndpointHealth { failing_since: time(item.fs)?, not_before: time(item.nb)?, breaker }))
}
