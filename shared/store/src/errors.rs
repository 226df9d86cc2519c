//! AWS errors as the ports know them: not done, perhaps done, never to be done.

use std::error::Error;

use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use evenstock_app::StoreError;

/// Service errors that say that nothing was done, and that a later try may succeed.
const PASSING: [&str; 6] = [
    "ProvisionedThroughputExceededException",
    "ThrottlingException",
    "RequestLimitExceeded",
    "TransactionConflictException",
    "LimitExceededException",
    "ReplicatedWriteConflictException",
];

/// Sorts an error. Whatever is not known to be without effect may have had one.
pub(crate) fn store_error<E, R>(error: SdkError<E, R>) -> StoreError
where
    E: ProvideErrorMetadata + Error + Send + Sync + 'static,
    R: core::fmt::Debug + Send + Sync + 'static,
{
    match &error {
        SdkError::ConstructionFailure(_) => StoreError::Refused(Box::new(error)),
        SdkError::ServiceError(context) => match context.err().code() {
            Some(code) if PASSING.contains(&code) => StoreError::Unavailable(Box::new(error)),
            Some("InternalServerError" | "ServiceUnavailable" | "InternalFailure") | None => {
                StoreError::Unknown(Box::new(error))
            }
            Some(_) => StoreError::Refused(Box::new(error)),
        },
        // Timeouts, broken connections and unreadable answers: it may have been done.
        _ => StoreError::Unknown(Box::new(error)),
    }
}

/// A request that could not even be built, or an item that could not be written as one: a bug, not a condition.
pub(crate) fn refused(error: impl Error + Send + Sync + 'static) -> StoreError {
    StoreError::Refused(Box::new(error))
}

/// An item that cannot be read.
pub(crate) fn corrupt(key: impl Into<String>, reason: impl core::fmt::Display) -> StoreError {
    StoreError::Corrupt { key: key.into(), reason: reason.to_string() }
}
