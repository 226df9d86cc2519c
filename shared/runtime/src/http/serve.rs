//! An HTTP function in Lambda, behind the gateway.

use axum::Router;
use tower::util::MapRequest;

use super::restore_path;

/// Serves requests of the gateway until the instance ends.
///
/// # Errors
/// When the runtime cannot be reached.
pub async fn serve(router: Router) -> Result<(), lambda_http::Error> {
    lambda_http::run(MapRequest::new(router, restore_path)).await
}
