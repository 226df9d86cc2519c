//! The trace of a write, 25 bytes (`tc`) beside what it wrote, for who follows the stream: who asked for a change is told to
//! whom it is announced.
//!
//! Only of a write that belongs to a trace, so that all others stay as short as they are; the next write of the item
//! replaces or removes it.

use evenstock_telemetry::{TraceContext, current};
use serde_bytes::ByteBuf;

/// Where the running work stands, as an item keeps it; `None` outside of any trace.
pub(crate) fn written_in() -> Option<ByteBuf> {
    current().map(|trace| ByteBuf::from(trace.to_bytes()))
}

/// The trace of the write that left this image; `None` when it belonged to none, or its item keeps none.
pub fn trace_of(image: &serde_dynamo::Item) -> Option<TraceContext> {
    match image.get("tc") {
        Some(serde_dynamo::AttributeValue::B(bytes)) => TraceContext::from_bytes(bytes),
        _ => None,
    }
}
