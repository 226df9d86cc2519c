//! AWS clients, built by hand: the default provider chain and the parsing of the system's trust store cost most of a
//! cold start. One client a process.

use std::sync::LazyLock;
use std::time::Duration;

use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::config::timeout::TimeoutConfig;
use aws_sdk_dynamodb::config::{BehaviorVersion, Credentials, Region, SharedHttpClient};
use aws_smithy_http_client::Builder;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};

/// The roots that AWS endpoints are signed by (<https://www.amazontrust.com/repository/>), so that no other authority
/// can vouch for one.
const AMAZON_ROOTS: &[u8] = include_bytes!("../amazon-roots.pem");

/// Time for one try of a call.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(1);

/// Time for a call with all its tries.
const CALL_TIMEOUT: Duration = Duration::from_millis(2_500);

/// Where and as whom AWS is called.
#[derive(Clone)]
pub struct AwsSettings {
    /// The region, such as `eu-central-1`.
    pub region: String,
    /// Another endpoint than AWS's own, for emulators.
    pub endpoint_url: Option<String>,
    /// Access key id.
    pub access_key_id: String,
    /// Secret access key.
    pub secret_access_key: String,
    /// Session token, in Lambda.
    pub session_token: Option<String>,
}

/// Shows where, never as whom.
impl core::fmt::Debug for AwsSettings {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let Self { region, endpoint_url, .. } = self;
        let mut shown = f.debug_struct("AwsSettings");
        shown.field("region", region).field("endpoint_url", endpoint_url).finish_non_exhaustive()
    }
}

impl AwsSettings {
    fn credentials(&self) -> Credentials {
        let (id, secret) = (self.access_key_id.clone(), self.secret_access_key.clone());
        Credentials::new(id, secret, self.session_token.clone(), None, "environment")
    }

    /// Emulators have certificates of their own, or none.
    fn http_client(&self) -> SharedHttpClient {
        match &self.endpoint_url {
            None => AMAZON_CLIENT.clone(),
            Some(url) if url.starts_with("http:") => Builder::new().build_http(),
            Some(_) => SYSTEM_CLIENT.clone(),
        }
    }
}

/// The client of AWS itself: one a process, so that the roots are read once, whatever is called.
static AMAZON_CLIENT: LazyLock<SharedHttpClient> =
    LazyLock::new(|| tls_client(TrustStore::empty().with_pem_certificate(AMAZON_ROOTS)));

/// The same with the roots of the system.
static SYSTEM_CLIENT: LazyLock<SharedHttpClient> = LazyLock::new(|| tls_client(TrustStore::default()));

fn tls_client(roots: TrustStore) -> SharedHttpClient {
    let builder = Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring));
    match TlsContext::builder().with_trust_store(roots).build() {
        Ok(context) => builder.tls_context(context).build_https(),
        Err(_) => builder.build_https(),
    }
}

/// Tries of one call by the SDK itself. Repeating is safe here, because every write recognizes its own repetition.
fn retries() -> RetryConfig {
    RetryConfig::standard().with_max_attempts(3).with_initial_backoff(Duration::from_millis(50))
}

fn timeouts() -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(Duration::from_secs(1))
        .operation_attempt_timeout(ATTEMPT_TIMEOUT)
        .operation_timeout(CALL_TIMEOUT)
        .build()
}

/// A client of one of the SDK's crates. Their configurations look alike and share no type.
macro_rules! client {
    ($sdk:ident, $settings:expr) => {{
        let mut config = $sdk::Config::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .region(Region::new($settings.region.clone()))
            .credentials_provider($settings.credentials())
            .http_client($settings.http_client())
            .retry_config(retries())
            .timeout_config(timeouts());
        config.set_endpoint_url($settings.endpoint_url.clone());
        $sdk::Client::from_conf(config.build())
    }};
}

/// A DynamoDB client.
pub fn dynamodb_client(settings: &AwsSettings) -> aws_sdk_dynamodb::Client {
    client!(aws_sdk_dynamodb, settings)
}

/// An SQS client.
pub fn sqs_client(settings: &AwsSettings) -> aws_sdk_sqs::Client {
    client!(aws_sdk_sqs, settings)
}

/// An EventBridge client.
pub fn event_bridge_client(settings: &AwsSettings) -> aws_sdk_eventbridge::Client {
    client!(aws_sdk_eventbridge, settings)
}

/// A KMS client.
pub fn kms_client(settings: &AwsSettings) -> aws_sdk_kms::Client {
    client!(aws_sdk_kms, settings)
}
