//! The table's keys. All of them are made here and nowhere else.
//!
//! | item | pk | sk |
//! |---|---|---|
//! | level | `organization#S#sku` | `L#location` |
//! | journal page | `organization#S#sku` | `J#location#committed-at (ms)#first version` |
//! | what the central system holds of a level | `organization#S#sku` | `E#location` |
//! | idempotency record | `organization#I#key` | `I` |
//! | bulk sync | `organization#Y#name` | `Y` |
//! | its parts | `organization#Y#name` | `Y#begun (ms)#name of the part` |
//! | reservation | `organization#R#id` | `R` |
//! | job | `organization#Q` | `J#id` |
//! | place of jobs | `organization#Q` | `P#kind#subject` |
//! | switch of the periodic sync | `organization#Q` | `W` |
//! | counters | `metrics` | `C#function` |
//! | partition of a topic | `kafka` | `G#topic#number` |
//! | store | `T#store` | `T` |
//! | receipt | `T#store` | `T#receipt` |
//! | claim of a store's triple | `organization#T#marketplace#external name` | `TC` |
//! | sync token | `TT#SHA-256 of the token` | `TT` |
//! | endpoints of callbacks | `organization#W` | `W` |
//! | how an endpoint has been doing | `organization#W#endpoint` | `H` |
//! | delivery | `organization#W#endpoint` | `D#event time (ms)#hash` |
//! | what arrived at once | `organization#W#endpoint` | `A#written (ms)#hash` |
//! | page of the change feed | `organization#F` | `F#number of its first change` |
//! | marker of the change feed | `organization#F` | `M` |
//! | repair of the change feed | `repair` | `repair` |
//! | poll | `P#source` | `P` |
//! | warehouse | `H#warehouse` | `H` |
//! | conflict | `organization#X` | `X#time of the change (ms)-hash` |
//! | breaker | `B#name` | `B` |
//! | API key | `K#first 16 digits of the key's SHA-256` | `K#the other 48` |
//! | entry of the audit log | `organization#A` | `A#time (ms)#operation` |
//! | data key that seals secrets | `Z#id` | `Z` |
//!
//! Indexes carry keys only and are sparse: levels stand in `by-organization` (`o`, `pk`), what somebody must look at at
//! some time stands in `due` (`d` = `kind#group`, `dt` = when, milliseconds), and receipts that were answered stand in
//! `by-state` (`u` = `state#store`, `ut` = when, milliseconds).
//!
//! Names may hold any character, so `#` and `%` are escaped: two names never share a key.

use evenstock_domain::{
    DeliveryId, EndpointId, JobId, JobKind, LevelKey, LocationId, Marketplace, OrganizationId, Page, ReceiptId,
    ReceiptState, ReservationId, Sku, Source, StoreId, Timestamp,
};

/// The prefix of every level's sort key; the stream's filter in `template.yaml` names it too.
pub(crate) const LEVEL_PREFIX: &str = "L#";

/// The index from an organization to its levels.
pub(crate) const BY_ORGANIZATION: &str = "by-organization";

/// The index of what is due.
pub(crate) const DUE: &str = "due";

/// The index of receipts by what was answered.
pub(crate) const BY_STATE: &str = "by-state";

/// The sort key of every store; the stream's filter in `template.yaml` names it too.
const STORE: &str = "T";

/// The prefix of every receipt's sort key; the stream's filter in `template.yaml` names it too.
pub(crate) const RECEIPT_PREFIX: &str = "T#";

/// The sort key of every reservation; the stream's filter in `template.yaml` names it too.
const RESERVATION: &str = "R";

/// What both parts of an API key's key begin with.
const API_KEY_PREFIX: &str = "K#";

/// Digits of its hash that are an API key's id.
const KEY_ID_DIGITS: usize = 16;
/// What the sort keys of deliveries begin with.
pub(crate) const DELIVERY_PREFIX: &str = "D#";

/// What the sort keys of what arrived at once begin with. Smaller than that of deliveries: a list reads both in one go.
pub(crate) const ARRIVALS_PREFIX: &str = "A#";

/// A primary key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Key {
    pub(crate) pk: String,
    pub(crate) sk: String,
}

fn escape(name: &str) -> String {
    name.replace('%', "%25").replace('#', "%23")
}

fn unescape(text: &str) -> String {
    text.replace("%23", "#").replace("%25", "%")
}

pub(crate) fn sku_partition(organization: &OrganizationId, sku: &Sku) -> String {
    format!("{}#S#{}", escape(organization.as_str()), escape(sku.as_str()))
}

pub(crate) fn level(key: &LevelKey) -> Key {
    let sk = format!("{LEVEL_PREFIX}{}", escape(key.location.as_str()));
    Key { pk: sku_partition(&key.organization, &key.sku), sk }
}

/// Reads a level's key back; `None` for every other item.
pub(crate) fn parse_level(pk: &str, sk: &str) -> Option<LevelKey> {
    let (organization, sku) = pk.split_once("#S#")?;
    Some(LevelKey {
        organization: OrganizationId::parse(&unescape(organization)).ok()?,
        sku: Sku::parse(&unescape(sku)).ok()?,
        location: LocationId::parse(&unescape(sk.strip_prefix(LEVEL_PREFIX)?)).ok()?,
    })
}

/// In the level's partition, and apart from all that its readers ask for.
pub(crate) fn central_copy(key: &LevelKey) -> Key {
    Key { pk: sku_partition(&key.organization, &key.sku), sk: format!("E#{}", escape(key.location.as_str())) }
}

/// What the sort keys of all of a level's pages begin with.
pub(crate) fn page_prefix(key: &LevelKey) -> String {
    format!("J#{}#", escape(key.location.as_str()))
}

pub(crate) fn page(key: &LevelKey, page: &Page) -> Key {
    let sk = format!("{}{:014}#{:016}", page_prefix(key), page.committed_at().as_millis(), page.first_version);
    Key { pk: sku_partition(&key.organization, &key.sku), sk }
}

/// The greatest sort key that a page begun by `until` can have.
pub(crate) fn last_page_until(key: &LevelKey, until: Timestamp) -> String {
    format!("{}{:014}#~", page_prefix(key), until.as_millis())
}

/// When a page was begun, and its first version.
pub(crate) fn parse_page(key: &LevelKey, sk: &str) -> Option<(Timestamp, u64)> {
    let (committed_at, first_version) = sk.strip_prefix(&page_prefix(key))?.split_once('#')?;
    Some((Timestamp::from_millis(committed_at.parse().ok()?).ok()?, first_version.parse().ok()?))
}

pub(crate) fn operation(organization: &OrganizationId, key: &str) -> Key {
    Key { pk: format!("{}#I#{}", escape(organization.as_str()), escape(key)), sk: "I".to_owned() }
}

pub(crate) fn bulk_sync(organization: &OrganizationId, id: &str) -> Key {
    Key { pk: format!("{}#Y#{}", escape(organization.as_str()), escape(id)), sk: "Y".to_owned() }
}

/// What the sort keys of a sync's parts begin with. Holds the time, so that a name used anew begins with none.
pub(crate) fn part_prefix(started_at: Timestamp) -> String {
    format!("Y#{:014}#", started_at.as_millis())
}

pub(crate) fn reservation(organization: &OrganizationId, id: &ReservationId) -> Key {
    let pk = format!("{}#R#{}", escape(organization.as_str()), escape(id.as_str()));
    Key { pk, sk: RESERVATION.to_owned() }
}

/// Whether an item with this sort key is a reservation.
pub(crate) fn is_reservation(sk: &str) -> bool {
    sk == RESERVATION
}

/// Reads a reservation's key back; `None` for every other item.
pub(crate) fn parse_reservation(pk: &str, sk: &str) -> Option<(OrganizationId, ReservationId)> {
    let (organization, id) = pk.split_once("#R#").filter(|_| is_reservation(sk))?;
    Some((OrganizationId::parse(&unescape(organization)).ok()?, ReservationId::parse(&unescape(id)).ok()?))
}

/// A group of due reservations.
pub(crate) fn due_reservations(bucket: u8) -> String {
    format!("reservation#{bucket}")
}

/// The key of a warehouse: of the whole system, because its name belongs to one organization.
pub(crate) fn warehouse(id: &LocationId) -> Key {
    Key { pk: format!("H#{}", escape(id.as_str())), sk: "H".to_owned() }
}

/// Reads a warehouse's key back.
pub(crate) fn parse_warehouse(pk: &str) -> Option<LocationId> {
    LocationId::parse(&unescape(pk.strip_prefix("H#")?)).ok()
}

/// An organization's warehouses in the index of what is due, where their time is that of the claim.
pub(crate) fn warehouses_of(organization: &OrganizationId) -> String {
    format!("warehouse#{}", escape(organization.as_str()))
}

/// The prefix of every conflict's sort key; the stream's filter in `template.yaml` names it too.
pub(crate) const CONFLICT_PREFIX: &str = "X#";

pub(crate) fn conflicts_of(organization: &OrganizationId) -> String {
    format!("{}#X", escape(organization.as_str()))
}

pub(crate) fn conflict(organization: &OrganizationId, id: &str) -> Key {
    Key { pk: conflicts_of(organization), sk: format!("{CONFLICT_PREFIX}{id}") }
}

/// Whether an item with this sort key is a conflict.
pub(crate) fn is_conflict(sk: &str) -> bool {
    sk.starts_with(CONFLICT_PREFIX)
}

/// The id in a conflict's sort key.
pub(crate) fn conflict_id(sk: &str) -> Option<String> {
    sk.strip_prefix(CONFLICT_PREFIX).map(str::to_owned)
}

/// Reads a conflict's key back.
pub(crate) fn parse_conflict(pk: &str, sk: &str) -> Option<(OrganizationId, String)> {
    let organization = OrganizationId::parse(&unescape(pk.strip_suffix("#X")?)).ok()?;
    Some((organization, conflict_id(sk)?))
}

pub(crate) fn jobs_partition(organization: &OrganizationId) -> String {
    format!("{}#Q", escape(organization.as_str()))
}

/// What the sort keys of jobs begin with.
pub(crate) const JOB_PREFIX: &str = "J#";

pub(crate) fn job(organization: &OrganizationId, id: &JobId) -> Key {
    Key { pk: jobs_partition(organization), sk: format!("{JOB_PREFIX}{}", escape(id.as_str())) }
}

pub(crate) fn job_place(organization: &OrganizationId, kind: JobKind, subject: &str) -> Key {
    Key { pk: jobs_partition(organization), sk: format!("P#{}#{}", kind.as_str(), escape(subject)) }
}

pub(crate) fn sync_switch(organization: &OrganizationId) -> Key {
    Key { pk: jobs_partition(organization), sk: "W".to_owned() }
}

/// The partition of all counters.
pub(crate) const COUNTERS: &str = "metrics";

pub(crate) fn counters(function: &str) -> Key {
    Key { pk: COUNTERS.to_owned(), sk: format!("C#{}", escape(function)) }
}

/// The function whose counters have this sort key.
pub(crate) fn parse_counters(sk: &str) -> Option<String> {
    sk.strip_prefix("C#").map(unescape)
}

/// The partition of all partitions of Kafka's topics.
pub(crate) const PARTITIONS: &str = "kafka";

pub(crate) fn partition(topic: &str, number: i64) -> Key {
    // Fixed width, so that the order of text is the order of numbers; Kafka's are 32 bits.
    Key { pk: PARTITIONS.to_owned(), sk: format!("G#{}#{number:010}", escape(topic)) }
}

fn store_partition(store: &StoreId) -> String {
    format!("T#{}", escape(store.as_str()))
}

pub(crate) fn store(store: &StoreId) -> Key {
    Key { pk: store_partition(store), sk: STORE.to_owned() }
}

/// Whether an item with this sort key is a store.
pub(crate) fn is_store(sk: &str) -> bool {
    sk == STORE
}

/// Reads a store's key back; `None` for every other item.
pub(crate) fn parse_store(pk: &str, sk: &str) -> Option<StoreId> {
    let store = pk.strip_prefix("T#").filter(|_| is_store(sk))?;
    StoreId::parse(&unescape(store)).ok()
}

pub(crate) fn receipt(store: &StoreId, receipt: &ReceiptId) -> Key {
    Key { pk: store_partition(store), sk: format!("{RECEIPT_PREFIX}{}", escape(receipt.as_str())) }
}

/// Reads a receipt's key back; `None` for every other item.
pub(crate) fn parse_receipt(pk: &str, sk: &str) -> Option<(StoreId, ReceiptId)> {
    let (store, receipt) = (pk.strip_prefix("T#")?, sk.strip_prefix(RECEIPT_PREFIX)?);
    Some((StoreId::parse(&unescape(store)).ok()?, ReceiptId::parse(&unescape(receipt)).ok()?))
}

pub(crate) fn store_claim(organization: &OrganizationId, marketplace: &Marketplace, external_id: &StoreId) -> Key {
    let (organization, marketplace) = (escape(organization.as_str()), escape(marketplace.as_str()));
    Key { pk: format!("{organization}#T#{marketplace}#{}", escape(external_id.as_str())), sk: "TC".to_owned() }
}

pub(crate) fn sync_token(hash: &[u8; 32]) -> Key {
    Key { pk: format!("TT#{}", hex::encode(hash)), sk: "TT".to_owned() }
}

/// A group of due stores.
pub(crate) fn due_stores(bucket: u8) -> String {
    format!("store#{bucket}")
}

/// The due receipts of a store.
pub(crate) fn due_receipts(store: &StoreId) -> String {
    format!("receipt#{}", escape(store.as_str()))
}

/// The receipts of a store that are in a state.
pub(crate) fn receipts_in(state: ReceiptState, store: &StoreId) -> String {
    format!("{}#{}", state.as_str(), escape(store.as_str()))
}

/// An organization's endpoints.
pub(crate) fn callback_registry(organization: &OrganizationId) -> Key {
    Key { pk: format!("{}#W", escape(organization.as_str())), sk: "W".to_owned() }
}

/// The partition of everything that goes to one endpoint.
pub(crate) fn endpoint_partition(organization: &OrganizationId, endpoint: &EndpointId) -> String {
    format!("{}#W#{}", escape(organization.as_str()), escape(endpoint.as_str()))
}

pub(crate) fn endpoint_health(organization: &OrganizationId, endpoint: &EndpointId) -> Key {
    Key { pk: endpoint_partition(organization, endpoint), sk: "H".to_owned() }
}

pub(crate) fn delivery(organization: &OrganizationId, id: &DeliveryId) -> Key {
    let sk = format!("{}{}", delivery_prefix_from(id.time), id.digest());
    Key { pk: endpoint_partition(organization, &id.endpoint), sk }
}

/// What the sort keys of deliveries of events at `time` begin with; smaller than those of later ones.
pub(crate) fn delivery_prefix_from(time: Timestamp) -> String {
    format!("{DELIVERY_PREFIX}{:014}#", time.as_millis())
}

/// Reads a delivery's key back; `None` for every other item.
pub(crate) fn parse_delivery(pk: &str, sk: &str) -> Option<(OrganizationId, DeliveryId)> {
    let (organization, endpoint) = pk.split_once("#W#")?;
    let (time, digest) = sk.strip_prefix(DELIVERY_PREFIX)?.split_once('#')?;
    let time: i64 = time.parse().ok()?;
    let id = DeliveryId::parse(&format!("{}.{time}.{digest}", unescape(endpoint))).ok()?;
    Some((OrganizationId::parse(&unescape(organization)).ok()?, id))
}

/// What the sort keys of what was written down at `time` begin with; smaller than those of what came later.
pub(crate) fn arrivals_prefix_from(time: Timestamp) -> String {
    format!("{ARRIVALS_PREFIX}{:014}#", time.as_millis().max(0))
}

pub(crate) fn arrivals(organization: &OrganizationId, endpoint: &EndpointId, at: Timestamp, digest: &str) -> Key {
    let sk = format!("{}{digest}", arrivals_prefix_from(at));
    Key { pk: endpoint_partition(organization, endpoint), sk }
}

/// A group of due deliveries.
pub(crate) fn due_deliveries(bucket: u8) -> String {
    format!("callback#{bucket}")
}

/// An organization's feed. The marker sorts behind the pages, so that one query backwards reads it and the newest ones.
pub(crate) fn feed(organization: &OrganizationId) -> String {
    format!("{}#F", escape(organization.as_str()))
}

/// The sort key of a feed's marker.
pub(crate) const FEED_MARKER: &str = "M";

/// What sort keys of a feed's pages begin with.
pub(crate) const CHANGE_PAGE_PREFIX: &str = "F#";

/// The sort key of the page that begins with this number.
pub(crate) fn change_page(first_seq: u64) -> String {
    format!("{CHANGE_PAGE_PREFIX}{first_seq:020}")
}

/// The number that a page begins with.
pub(crate) fn parse_change_page(sk: &str) -> Option<u64> {
    sk.strip_prefix(CHANGE_PAGE_PREFIX)?.parse().ok()
}

pub(crate) fn repair() -> Key {
    Key { pk: "repair".to_owned(), sk: "repair".to_owned() }
}

pub(crate) fn poll(source: &Source) -> Key {
    Key { pk: format!("P#{}", escape(source.as_str())), sk: "P".to_owned() }
}

pub(crate) fn breaker(name: &Source) -> Key {
    Key { pk: format!("B#{}", escape(name.as_str())), sk: "B".to_owned() }
}

/// Reads a breaker's key back.
pub(crate) fn parse_breaker(pk: &str) -> Option<Source> {
    Source::parse(&unescape(pk.strip_prefix("B#")?)).ok()
}

/// The failing breakers of an organization's stores and warehouses, in the index of what is due.
pub(crate) fn failing_breakers_of(organization: &OrganizationId) -> String {
    format!("breaker#{}", escape(organization.as_str()))
}

/// All failing breakers, in the index of states.
pub(crate) const FAILING_BREAKERS: &str = "breaker";

pub(crate) fn api_key(hash: &[u8; 32]) -> Key {
    let digits = hex::encode(hash);
    let (id, rest) = digits.split_at_checked(KEY_ID_DIGITS).unwrap_or_default();
    Key { pk: api_key_partition(id), sk: format!("{API_KEY_PREFIX}{rest}") }
}

/// Where the key with this id stands, alone.
pub(crate) fn api_key_partition(id: &str) -> String {
    format!("{API_KEY_PREFIX}{id}")
}

/// Reads a key's hash back.
pub(crate) fn parse_api_key(pk: &str, sk: &str) -> Option<[u8; 32]> {
    let (id, rest) = pk.strip_prefix(API_KEY_PREFIX).zip(sk.strip_prefix(API_KEY_PREFIX))?;
    hex::decode(format!("{id}{rest}")).ok()?.try_into().ok()
}

/// An organization's keys in the index. No organization's name begins with a space, so they never stand among levels.
pub(crate) fn api_keys_of(organization: &OrganizationId) -> String {
    format!(" K#{organization}")
}

/// An organization's audit log.
pub(crate) fn audit_log(organization: &OrganizationId) -> String {
    format!("{}#A", escape(organization.as_str()))
}

/// An entry's place in its log: by time, then by operation.
pub(crate) fn audit_entry(at: Timestamp, id: &str) -> String {
    format!("A#{:014}#{}", at.as_millis(), escape(id))
}

pub(crate) fn seal_key(id: &str) -> Key {
    Key { pk: format!("Z#{}", escape(id)), sk: "Z".to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn level_keys_read_back_whatever_the_names_hold() {
        for (sku, location) in [("a", "b"), ("a#S#b", "L#c"), ("50% off #1", "%23"), ("🦀/x", "a%25#")] {
            let key = LevelKey {
                organization: OrganizationId::parse("org#S#").unwrap(),
                sku: Sku::parse(sku).unwrap(),
                location: LocationId::parse(location).unwrap(),
            };
            let Key { pk, sk } = level(&key);
            assert_eq!(parse_level(&pk, &sk), Some(key));
        }
    }

    #[test]
    fn reservation_keys_read_back_whatever_the_names_hold() {
        let name = |text| ReservationId::parse(text).unwrap();
        let organization = OrganizationId::parse("org#R#%").unwrap();
        let Key { pk, sk } = reservation(&organization, &name("a#R#b%23"));
        assert_eq!(parse_reservation(&pk, &sk), Some((organization, name("a#R#b%23"))));
        assert_eq!(parse_reservation("org#I#key", "I"), None);
    }

    #[test]
    fn store_and_receipt_keys_read_back_whatever_the_names_hold() {
        let (id, name) = (StoreId::parse("T#T").unwrap(), ReceiptId::parse("a#T#/%23").unwrap());
        let Key { pk, sk } = store(&id);
        assert_eq!((parse_store(&pk, &sk), parse_receipt(&pk, &sk)), (Some(id.clone()), None));
        let Key { pk, sk } = receipt(&id, &name);
        assert_eq!((parse_store(&pk, &sk), parse_receipt(&pk, &sk)), (None, Some((id, name))));
        let Key { pk, sk } = sync_token(&[7; 32]);
        assert_eq!((parse_store(&pk, &sk), parse_receipt(&pk, &sk)), (None, None));
    }

    #[test]
    fn delivery_keys_read_back_whatever_the_names_hold() {
        let organization = OrganizationId::parse("org#W#%").unwrap();
        for endpoint in ["0198-a", "a.b#W#c", "%23"] {
            let endpoint = EndpointId::parse(endpoint).unwrap();
            let id = DeliveryId::new(&endpoint, "event", Timestamp::EPOCH.plus_millis(1_700_000_000_000));
            let Key { pk, sk } = delivery(&organization, &id);
            assert_eq!(parse_delivery(&pk, &sk), Some((organization.clone(), id)));
            assert!(sk >= delivery_prefix_from(Timestamp::EPOCH) && sk < DELIVERY_PREFIX.replace('#', "$"));
        }
        assert_eq!(parse_delivery("org#W", "W"), None);
        assert_eq!(parse_delivery("org#W#e", "H"), None);
    }

    #[test]
    fn other_items_are_no_levels() {
        assert_eq!(parse_level("org#S#sku", "J#main#0001#1"), None);
        assert_eq!(parse_level("P#source", "P"), None);
    }
}
