//! The contract that the store in memory meets too.

use crate::support;

evenstock_app::store_contract!(support::fresh);
evenstock_app::admin_contract!(support::fresh);
evenstock_app::warehouse_contract!(support::fresh);
evenstock_app::job_contract!(support::fresh);
evenstock_app::central_contract!(support::fresh);
