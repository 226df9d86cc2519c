//! Where telemetry goes, as OpenTelemetry's own variables say.

use core::fmt;

/// The port of OTLP over gRPC, which is not spoken here.
const GRPC_PORT: &str = ":4317";

/// The port of OTLP over HTTP: collectors open both.
const HTTP_PORT: &str = ":4318";

/// The one form that is spoken: requests of HTTP with bodies of JSON.
const PROTOCOL: &str = "http/json";

/// A variable that holds what it must not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvalidSetting {
    /// The variable.
    pub name: &'static str,
    /// What it should hold.
    pub expected: &'static str,
}

/// Where telemetry goes, and as whose.
#[derive(Clone, PartialEq, Eq)]
pub struct OtlpSettings {
    /// The collector's URL, without the path of a signal.
    pub endpoint: String,
    /// Whether the port of gRPC was named, and the one of HTTP beside it is taken.
    pub is_moved: bool,
    /// What each request carries: often a key.
    pub headers: Vec<(String, String)>,
    /// The service's name.
    pub service: String,
}

/// Shows where, never with which key.
impl fmt::Debug for OtlpSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { endpoint, service, .. } = self;
        let mut shown = f.debug_struct("OtlpSettings");
        shown.field("endpoint", endpoint).field("service", service).finish_non_exhaustive()
    }
}

impl OtlpSettings {
    /// Reads `OTEL_EXPORTER_OTLP_ENDPOINT`, `OTEL_EXPORTER_OTLP_HEADERS`, `OTEL_EXPORTER_OTLP_PROTOCOL`,
    /// `OTEL_SERVICE_NAME` (`service` unless set) and `OTEL_SDK_DISABLED`. `None` when nothing is to be sent.
    ///
    /// # Errors
    /// [`InvalidSetting`] naming the variable, never its value.
    pub fn read<'a>(variable: impl Fn(&str) -> Option<&'a str>, service: &str) -> Result<Option<Self>, InvalidSetting> {
        let is_disabled = variable("OTEL_SDK_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true"));
        let Some(endpoint) = variable("OTEL_EXPORTER_OTLP_ENDPOINT").filter(|_| !is_disabled) else {
            return Ok(None);
        };
        if variable("OTEL_EXPORTER_OTLP_PROTOCOL").is_some_and(|protocol| protocol != PROTOCOL) {
            return Err(InvalidSetting { name: "OTEL_EXPORTER_OTLP_PROTOCOL", expected: "http/json, or not set" });
        }
        let expected = "the URL of a collector, such as http://localhost:4318";
        let endpoint = url(endpoint).ok_or(InvalidSetting { name: "OTEL_EXPORTER_OTLP_ENDPOINT", expected })?;
        let expected = "pairs such as name=value, separated by commas";
        let headers = headers(variable("OTEL_EXPORTER_OTLP_HEADERS").unwrap_or_default())
            .ok_or(InvalidSetting { name: "OTEL_EXPORTER_OTLP_HEADERS", expected })?;
        let service = variable("OTEL_SERVICE_NAME").unwrap_or(service).to_owned();
        let (endpoint, is_moved) = match endpoint.strip_suffix(GRPC_PORT) {
            Some(host) => (format!("{host}{HTTP_PORT}"), true),
            None => (endpoint, false),
        };
        Ok(Some(Self { endpoint, is_moved, headers, service }))
    }
}

/// A base URL without a slash at its end. One without a scheme is taken as `http`, as the variable is often written.
fn url(text: &str) -> Option<String> {
    let text = text.trim_end_matches('/');
    let whole = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
    let (scheme, rest) = whole.split_once("://")?;
    let host = rest.split('/').next().unwrap_or_default();
    let is_plain = |byte: u8| byte.is_ascii_graphic() && !b"?#@".contains(&byte);
    let is_usable = ["http", "https"].contains(&scheme) && !host.is_empty() && rest.bytes().all(is_plain);
    is_usable.then_some(whole)
}

/// `name=value,…`, the values percent-encoded where they must be.
fn headers(text: &str) -> Option<Vec<(String, String)>> {
    let pairs = text.split(',').map(str::trim).filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| {
            let (name, value) = pair.split_once('=')?;
            let (name, value) = (name.trim(), decoded(value.trim())?);
            let is_name =
                !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
            let is_text = value.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic());
            (is_name && is_text).then(|| (name.to_ascii_lowercase(), value))
        })
        .collect()
}

fn decoded(text: &str) -> Option<String> {
    let mut parts = text.split('%');
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let (escape, rest) = part.split_at_checked(2)?;
        bytes.extend(hex::decode(escape).ok()?);
        bytes.extend(rest.as_bytes());
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn read(pairs: &[(&str, &'static str)]) -> Result<Option<OtlpSettings>, InvalidSetting> {
        let variable = |name: &str| pairs.iter().find(|(known, _)| *known == name).map(|(_, value)| *value);
        OtlpSettings::read(variable, "webhook")
    }

    #[test]
    fn without_an_endpoint_nothing_is_sent() {
        assert_eq!(read(&[]), Ok(None));
        assert_eq!(read(&[("OTEL_SERVICE_NAME", "x"), ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")]), Ok(None));
        assert_eq!(read(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://a"), ("OTEL_SDK_DISABLED", "true")]), Ok(None));
    }

    #[rstest]
    #[case::url("http://localhost:4318", "http://localhost:4318", false)]
    #[case::slash("https://otlp.example.com/base/", "https://otlp.example.com/base", false)]
    #[case::no_scheme("localhost:4318", "http://localhost:4318", false)]
    #[case::grpc_as_documents_write_it("localhost:4317", "http://localhost:4318", true)]
    #[case::grpc("http://collector:4317/", "http://collector:4318", true)]
    fn endpoint_is_a_base_url(#[case] given: &'static str, #[case] endpoint: &str, #[case] is_moved: bool) {
        let settings = read(&[("OTEL_EXPORTER_OTLP_ENDPOINT", given)]).unwrap().unwrap();
        assert_eq!((settings.endpoint.as_str(), settings.is_moved), (endpoint, is_moved));
        assert_eq!(settings.service, "webhook");
    }

    #[test]
    fn headers_are_decoded_and_never_shown() {
        let pairs = [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://a"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "X-Key=hunter2, authorization=Bearer%20a=b"),
            ("OTEL_SERVICE_NAME", "mine"),
        ];
        let settings = read(&pairs).unwrap().unwrap();
        let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(settings.headers, [header("x-key", "hunter2"), header("authorization", "Bearer a=b")]);
        assert_eq!(settings.service, "mine");
        assert!(!format!("{settings:?}").contains("hunter2"));
    }

    #[rstest]
    #[case::scheme("OTEL_EXPORTER_OTLP_ENDPOINT", "ftp://hunter2")]
    #[case::no_host("OTEL_EXPORTER_OTLP_ENDPOINT", "http:///v1")]
    #[case::password("OTEL_EXPORTER_OTLP_ENDPOINT", "http://me:hunter2@a")]
    #[case::protocol("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")]
    #[case::no_pair("OTEL_EXPORTER_OTLP_HEADERS", "hunter2")]
    #[case::two_lines("OTEL_EXPORTER_OTLP_HEADERS", "a=b%0Ac")]
    #[case::half_an_escape("OTEL_EXPORTER_OTLP_HEADERS", "a=%2")]
    fn wrong_value_is_refused_by_the_variables_name(#[case] name: &'static str, #[case] value: &'static str) {
        let error = read(&[(name, value), ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://a")]).unwrap_err();
        assert_eq!(error.name, name);
        assert!(!error.expected.contains("hunter2"));
    }
}
