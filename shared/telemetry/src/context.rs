//! Trace context: <https://www.w3.org/TR/trace-context/>.

use core::fmt;
use std::sync::Arc;

/// The longest `tracestate` that is passed on. It is the vendors' and means nothing to us; a longer one is left out.
const STATE_BYTES_MAX: usize = 512;

/// The only flag that we know: the caller records this trace.
const SAMPLED: u8 = 1;

/// The place in a trace that work belongs to: the trace, and the span that asked for the work.
#[derive(Clone, PartialEq, Eq)]
pub struct TraceContext {
    trace_id: [u8; 16],
    span_id: [u8; 8],
    flags: u8,
    state: Option<Arc<str>>,
}

/// As its header.
impl fmt::Debug for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TraceContext").field(&self.traceparent()).finish()
    }
}

impl TraceContext {
    /// Bytes of the short form.
    const BYTES: usize = 25;

    /// A new place.
    pub const fn new(trace_id: [u8; 16], span_id: [u8; 8], sampled: bool) -> Self {
        Self { trace_id, span_id, flags: if sampled { SAMPLED } else { 0 }, state: None }
    }

    /// Another place in the same trace.
    #[must_use]
    pub fn at(&self, span_id: [u8; 8]) -> Self {
        Self { span_id, ..self.clone() }
    }

    /// Reads the two headers. `None` when `traceparent` is not valid: then there is no trace to go on with. A
    /// `tracestate` that is too long, or no text of one line, is left out.
    pub fn parse(traceparent: &str, tracestate: Option<&str>) -> Option<Self> {
        let mut parts = traceparent.split('-');
        let version = exact::<1>(parts.next()?)?;
        let (trace_id, span_id) = (exact::<16>(parts.next()?)?, exact::<8>(parts.next()?)?);
        let [flags] = exact::<1>(parts.next()?)?;
        // Later versions may say more; the first says exactly this.
        let is_known = version != [0xff] && (version != [0] || parts.next().is_none());
        let is_named = trace_id != [0; 16] && span_id != [0; 8];
        let is_passable = |state: &&str| {
            let text = state.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic());
            !state.is_empty() && state.len() <= STATE_BYTES_MAX && text
        };
        let state = tracestate.filter(is_passable).map(Arc::from);
        (is_known && is_named).then_some(Self { trace_id, span_id, flags: flags & SAMPLED, state })
    }

    /// The header `traceparent`.
    pub fn traceparent(&self) -> String {
        format!("00-{}-{}-{:02x}", self.trace_id(), self.span_id(), self.flags)
    }

    /// The header `tracestate`, where the caller sent one.
    pub fn tracestate(&self) -> Option<&str> {
        self.state.as_deref()
    }

    /// The trace, in hex.
    pub fn trace_id(&self) -> String {
        hex::encode(self.trace_id)
    }

    /// The span, in hex.
    pub fn span_id(&self) -> String {
        hex::encode(self.span_id)
    }

    /// Whether the spans of this trace are recorded.
    pub const fn is_sampled(&self) -> bool {
        self.flags & SAMPLED != 0
    }

    /// The short form, 25 bytes, without `tracestate`: for where every byte counts.
    pub fn to_bytes(&self) -> Vec<u8> {
        [self.trace_id.as_slice(), &self.span_id, &[self.flags]].concat()
    }

    /// Reads the short form; `None` when it is none.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (trace_id, rest) = bytes.split_first_chunk::<16>()?;
        let (span_id, rest) = rest.split_first_chunk::<8>()?;
        let is_whole = bytes.len() == Self::BYTES && *trace_id != [0; 16] && *span_id != [0; 8];
        let flags = rest.first().filter(|_| is_whole)?;
        Some(Self { trace_id: *trace_id, span_id: *span_id, flags: flags & SAMPLED, state: None })
    }
}

/// So many bytes in lower-case hex.
fn exact<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    let is_lower = text.bytes().all(|byte| !byte.is_ascii_uppercase());
    hex::decode_to_slice(text, &mut bytes).ok().filter(|()| is_lower)?;
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const VALID: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn header_reads_back_as_it_was() {
        let context = TraceContext::parse(VALID, Some("vendor=1")).unwrap();
        assert_eq!((context.traceparent().as_str(), context.tracestate()), (VALID, Some("vendor=1")));
        assert_eq!(context.trace_id(), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert!(context.is_sampled());
        let short = TraceContext::from_bytes(&context.to_bytes()).unwrap();
        assert_eq!((short.traceparent().as_str(), short.tracestate()), (VALID, None));
        assert_eq!(context.at([7; 8]).trace_id(), context.trace_id());
    }

    #[test]
    fn later_version_is_read_as_far_as_it_is_known() {
        let later = VALID.replacen("00", "01", 1) + "-more";
        assert_eq!(TraceContext::parse(&later, None).unwrap().traceparent(), VALID);
        let flags = VALID.replace("-01", "-ff");
        assert_eq!(TraceContext::parse(&flags, None).unwrap().traceparent(), VALID, "unknown flags are not passed on");
    }

    #[rstest]
    #[case::nothing("")]
    #[case::more_in_the_first_version("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-00")]
    #[case::no_version("ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")]
    #[case::upper_case("00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01")]
    #[case::no_trace("00-00000000000000000000000000000000-00f067aa0ba902b7-01")]
    #[case::no_span("00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01")]
    #[case::short("00-4bf92f3577b34da6a3ce929d0e0e47-00f067aa0ba902b7-01")]
    #[case::no_hex("00-4bf92f3577b34da6a3ce929d0e0e473g-00f067aa0ba902b7-01")]
    #[case::no_flags("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7")]
    fn invalid_header_is_no_context(#[case] header: &str) {
        assert_eq!(TraceContext::parse(header, None), None);
    }

    #[test]
    fn state_that_is_too_long_or_no_text_is_left_out() {
        for state in ["", &"x".repeat(513), "a\nb", "é"] {
            let context = TraceContext::parse(VALID, Some(state)).unwrap();
            assert_eq!(context.tracestate(), None, "{state:?}");
        }
        assert!(TraceContext::parse(VALID, Some(&"x".repeat(512))).unwrap().tracestate().is_some());
    }

    #[test]
    fn short_form_of_another_length_is_none() {
        let bytes = TraceContext::parse(VALID, None).unwrap().to_bytes();
        assert_eq!(bytes.len(), TraceContext::BYTES);
        assert_eq!(TraceContext::from_bytes(&bytes[1..]), None);
        assert_eq!(TraceContext::from_bytes(&[0; 25]), None);
        assert_eq!(TraceContext::from_bytes(&[bytes, vec![0]].concat()), None);
    }
}
