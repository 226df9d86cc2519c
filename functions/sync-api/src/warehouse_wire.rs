//! Warehouses and conflicts as they go over the wire.

use evenstock_app::Warehouse;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A warehouse.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct WarehouseBody {
    warehouse_id: String,
    /// Its base URL: `{endpoint}/inventory` lists its stock.
    endpoint: String,
    /// Whether a key is kept that is shown to it. The key itself is never told.
    has_api_key: bool,
    /// `warehouse_wins`, `central_wins` or `manual`.
    conflict_policy: &'static str,
    created_at: String,
    updated_at: String,
}

impl WarehouseBody {
    pub(crate) fn new(warehouse: &Warehouse) -> Self {
        Self {
            warehouse_id: warehouse.id.to_string(),
            endpoint: warehouse.endpoint.clone(),
            has_api_key: warehouse.api_key.is_some(),
            conflict_policy: warehouse.policy.as_str(),
            created_at: warehouse.claimed_at.to_string(),
            updated_at: warehouse.updated_at.to_string(),
        }
    }
}

/// Warehouses in the order in which they were claimed.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct WarehouseListBody {
    pub(crate) items: Vec<WarehouseBody>,
    /// Where the next page begins; empty at the end.
    pub(crate) next_cursor: String,
}

/// Who decides when a warehouse contradicts us; of a conflict, as it was when that was found.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
#[expect(dead_code, reason = "this type describes; nothing is ever read into it")]
pub(crate) enum ConflictPolicyName {
    WarehouseWins,
    CentralWins,
    Manual,
}

/// How a warehouse is to be set up.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "this type describes; nothing is ever read into it")]
pub(crate) struct WarehouseSettingsBody {
    /// An https URL without a query. A deployment may have one for warehouses that name none.
    #[schema(required = false)]
    endpoint: String,
    /// What is shown to the warehouse as a bearer token. Absent: as it is. `null`: none.
    #[schema(required = false, nullable)]
    api_key: Option<String>,
    #[schema(inline)]
    conflict_policy: ConflictPolicyName,
}

/// A job that was started, or runs already.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct WarehouseJobBody {
    pub(crate) job_id: String,
    pub(crate) status: String,
}

/// A warehouse and we disagree about a level. With a central system that we push to, `warehouse` is our side and `central`
/// is that system's.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "this type describes what a conflict says of itself, to subscribers too")]
pub(crate) struct ConflictBody {
    id: String,
    sku: String,
    warehouse_id: String,
    #[schema(inline)]
    status: ConflictStatus,
    /// In what the two sides differ.
    reason: String,
    // Not a word of its own: it would stand as a second, contradicting schema beside the first.
    #[schema(inline)]
    policy: ConflictPolicyName,
    warehouse: WarehouseSideBody,
    central: CentralSideBody,
    found_at: String,
    /// How it was settled; `null` while it is open.
    resolved: Option<ConflictResolvedBody>,
}

/// Whether somebody still has to decide.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
#[expect(dead_code, reason = "this type describes; nothing is ever read into it")]
enum ConflictStatus {
    Open,
    Resolved,
}

/// What the warehouse said.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "this type describes; nothing is ever read into it")]
struct WarehouseSideBody {
    /// Units on hand after its change.
    quantity: i64,
    /// Units before it, as the warehouse knew them; `null` when it did not say.
    before: Option<i64>,
    /// The change's position in the warehouse's log; `null` when there is none.
    version: Option<u64>,
    time: String,
}

/// What we knew.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "this type describes; nothing is ever read into it")]
struct CentralSideBody {
    /// Units on hand.
    quantity: i64,
    version: u64,
    time: String,
}

/// How a conflict was settled.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "this type describes; nothing is ever read into it")]
struct ConflictResolvedBody {
    #[schema(inline)]
    resolution: ConflictChoiceName,
    /// The id of the key that decided, or `policy`.
    by: String,
    at: String,
    /// Units on hand, of the resolution `quantity`.
    #[schema(required = false)]
    quantity: i64,
}

/// Whose number counts.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
#[expect(dead_code, reason = "this type describes; nothing is ever read into it")]
enum ConflictChoiceName {
    Warehouse,
    Central,
    Quantity,
}

/// Conflicts, oldest change first.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "this type describes; nothing is ever read into it")]
pub(crate) struct ConflictListBody {
    items: Vec<ConflictBody>,
    /// Where the next page begins; empty at the end.
    next_cursor: String,
}

/// Whose number is to count.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "this type describes; nothing is ever read into it")]
pub(crate) struct ConflictResolutionBody {
    #[schema(inline)]
    resolution: ConflictChoiceName,
    /// Units on hand; with the resolution `quantity`, and only then.
    #[schema(required = false, minimum = 0)]
    quantity: i64,
}
