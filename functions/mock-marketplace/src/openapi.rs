//! The function's endpoint, as callers should know it.

use evenstock_runtime::http::{Endpoint, describe};
use utoipa::openapi::OpenApi;

use crate::wire::{PutOffBody, ValidateRequest, ValidationBody};

/// Describes the function.
pub fn openapi() -> OpenApi {
    let path = "/mock/{marketplace}/validate";
    let summary = "Plays a marketplace that says whether a receipt is an order. Not in production.";
    let validate = Endpoint::post(path, "validateReceipt", summary)
        .basic()
        .body::<ValidateRequest>()
        .answers::<ValidationBody>(200, "An order when the receipt's last digit is odd, else none.")
        .answers::<PutOffBody>(429, "The receipt ends in two digits whose sum is divisible by 6; comes first.")
        .refuses(&[404]);
    describe("mock-marketplace", [validate])
}
