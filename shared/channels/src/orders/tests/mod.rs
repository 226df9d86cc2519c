//! What we ask about receipts, and what the answers come to.

mod payload;

use core::net::{IpAddr, Ipv4Addr};
use core::time::Duration;
use std::io;

use evenstock_app::{InvalidTarget, MarketplaceAccount, MarketplaceError, OrderMarketplace, SecretText, Validation};
use evenstock_domain::Guard;
use futures::future::BoxFuture;
use rstest::rstest;
use serde_json::{Value, json};
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::*;
use crate::{ClientError, InvalidBaseUrl, Lookup};

/// `etsy_user:etsy_pass`.
const ETSY: &str = "Basic ZXRzeV91c2VyOmV0c3lfcGFzcw==";

fn account() -> MarketplaceAccount {
    MarketplaceAccount {
        marketplace: "etsy".to_owned(),
        base_url: None,
        access_token: SecretText::new("hunter2"),
        currency: "EUR".to_owned(),
    }
}

/// As a deployment has it.
const PUBLIC_ONLY: Guard = Guard { allow_private: false };

/// As a laptop has it.
const OPEN: Guard = Guard { allow_private: true };

fn client(base_url: Option<&str>, timeout: Duration) -> OrderClient {
    guarded(base_url, OPEN, timeout)
}

fn guarded(base_url: Option<&str>, guard: Guard, timeout: Duration) -> OrderClient {
    let credentials = [("etsy", SecretText::new("etsy_user:etsy_pass"))];
    OrderClient::new(base_url, credentials, guard, timeout).unwrap()
}

/// Resolves every name to one address.
struct Always(IpAddr);

impl Lookup for Always {
    fn lookup(&self, _host: String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
        let address = self.0;
        Box::pin(async move { Ok(vec![address]) })
    }
}

/// A marketplace that gives one answer to everything.
async fn answering(answer: ResponseTemplate) -> MockServer {
    let server = MockServer::start().await;
    Mock::given(wiremock::matchers::any()).respond_with(answer).mount(&server).await;
    server
}

async fn ask_one_answering(answer: ResponseTemplate) -> Result<Validation, MarketplaceError> {
    let server = answering(answer).await;
    client(Some(&server.uri()), OrderClient::TIMEOUT).validate(&account(), "order-1").await
}

fn refusing() -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_json(json!({ "status": false }))
}

/// The `Authorization` that an account shows to the deployment's marketplace.
async fn shown_by(account: &MarketplaceAccount) -> String {
    let server = answering(refusing()).await;
    let asked = client(Some(&server.uri()), OrderClient::TIMEOUT).validate(account, "order-1").await;
    assert_eq!(asked, Ok(Validation::Refused));
    let requests = server.received_requests().await.unwrap();
    requests[0].headers["authorization"].to_str().unwrap().to_owned()
}

#[tokio::test]
async fn receipt_is_asked_about_as_the_contract_says() {
    let server = answering(refusing()).await;
    let base_url = format!("{}/gateway/", server.uri());
    let asked = client(Some(&base_url), OrderClient::TIMEOUT).validate(&account(), "order \"1\"").await;
    assert_eq!(asked, Ok(Validation::Refused));
    let requests = server.received_requests().await.unwrap();
    let [request] = requests.as_slice() else { panic!("one call") };
    assert_eq!((request.method.as_str(), request.url.path()), ("POST", "/gateway/mock/etsy/validate"));
    let body: Value = serde_json::from_slice(&request.body).unwrap();
    assert_eq!(body, json!({ "receipt": "order \"1\"", "currency": "EUR" }));
    assert_eq!(request.headers["content-type"], "application/json");
    assert_eq!(request.headers["authorization"], ETSY);
    assert!(request.headers["user-agent"].to_str().unwrap().starts_with("Evenstock/"));
}

#[tokio::test]
async fn account_shows_its_token_unless_the_deployment_has_credentials() {
    assert_eq!(shown_by(&account()).await, ETSY);
    let other = MarketplaceAccount { marketplace: "ebay".to_owned(), ..account() };
    assert_eq!(shown_by(&other).await, "Bearer hunter2");
    let own = MarketplaceAccount { access_token: SecretText::new("ann:pässword"), ..account() };
    assert_eq!(shown_by(&own).await, "Basic YW5uOnDDpHNzd29yZA==", "user and password of its own");
}

#[tokio::test]
async fn address_of_an_account_never_sees_the_deployments_credentials() {
    let (ours, theirs) = (answering(refusing()).await, answering(refusing()).await);
    let account = MarketplaceAccount { base_url: Some(theirs.uri()), ..account() };
    let asked = client(Some(&ours.uri()), OrderClient::TIMEOUT).validate(&account, "order-1").await;
    assert_eq!(asked, Ok(Validation::Refused));
    assert!(ours.received_requests().await.unwrap().is_empty());
    assert_eq!(theirs.received_requests().await.unwrap()[0].headers["authorization"], "Bearer hunter2");
}

#[tokio::test]
async fn marketplace_name_cannot_leave_its_place_in_the_path() {
    let server = answering(refusing()).await;
    let account = MarketplaceAccount { marketplace: "../admin?x#/%".to_owned(), ..account() };
    let asked = client(Some(&server.uri()), OrderClient::TIMEOUT).validate(&account, "order-1").await;
    assert_eq!(asked, Ok(Validation::Refused));
    assert_eq!(server.received_requests().await.unwrap()[0].url.path(), "/mock/..%2Fadmin%3Fx%23%2F%25/validate");
}

#[rstest]
#[case::line_break("hunter2\r\nx-other: 1")]
#[case::empty("")]
#[tokio::test]
async fn token_that_cannot_be_shown_is_unauthorized_without_a_call(#[case] token: &str) {
    let server = answering(refusing()).await;
    let token = SecretText::new(token.replace(':', ""));
    let account = MarketplaceAccount { marketplace: "ebay".to_owned(), access_token: token, ..account() };
    let asked = client(Some(&server.uri()), OrderClient::TIMEOUT).validate(&account, "order-1").await;
    assert_eq!(asked, Err(MarketplaceError::Unauthorized));
    assert!(server.received_requests().await.unwrap().is_empty());
}

#[rstest]
#[case::unauthorized(401)]
#[case::forbidden(403)]
#[tokio::test]
async fn refused_credentials_are_told_apart(#[case] status: u16) {
    assert_eq!(ask_one_answering(ResponseTemplate::new(status)).await, Err(MarketplaceError::Unauthorized));
}

#[rstest]
#[case::without(None, None)]
#[case::seconds(Some("30"), Some(30))]
#[case::date(Some("Fri, 20 Nov 2026 08:00:45 GMT"), Some(45))]
#[case::more_than_a_day(Some("864000"), Some(86_400))]
#[case::unreadable(Some("later"), None)]
#[tokio::test]
async fn rate_limit_tells_how_long_to_wait(#[case] wait: Option<&str>, #[case] retry_after_seconds: Option<u32>) {
    let mut answer = ResponseTemplate::new(429).insert_header("date", "Fri, 20 Nov 2026 08:00:00 GMT");
    if let Some(wait) = wait {
        answer = answer.insert_header("retry-after", wait);
    }
    assert_eq!(ask_one_answering(answer).await, Err(MarketplaceError::RateLimited { retry_after_seconds }));
}

#[rstest]
#[case::internal(500, None)]
#[case::bad_gateway(502, None)]
#[case::unavailable(503, Some(120))]
#[tokio::test]
async fn failing_marketplace_is_unavailable(#[case] status: u16, #[case] retry_after_seconds: Option<u32>) {
    let mut answer = ResponseTemplate::new(status).set_body_string("trace of a secret");
    if let Some(wait) = retry_after_seconds {
        answer = answer.insert_header("retry-after", wait.to_string());
    }
    let reason = format!("it answered {status}");
    assert_eq!(ask_one_answering(answer).await, Err(MarketplaceError::Unavailable { reason, retry_after_seconds }));
}

#[rstest]
#[case::created(201)]
#[case::no_content(204)]
#[case::redirect(307)]
#[case::bad_request(400)]
#[case::not_found(404)]
#[tokio::test]
async fn any_other_status_is_unreadable(#[case] status: u16) {
    let reason = format!("it answered {status}");
    assert_eq!(ask_one_answering(ResponseTemplate::new(status)).await, Err(MarketplaceError::Unreadable { reason }));
}

#[tokio::test]
async fn redirect_is_not_followed() {
    let elsewhere = answering(refusing()).await;
    for status in [301, 302, 303, 307, 308] {
        let redirect = ResponseTemplate::new(status).insert_header("location", elsewhere.uri());
        assert!(matches!(ask_one_answering(redirect).await, Err(MarketplaceError::Unreadable { .. })), "{status}");
    }
    assert!(elsewhere.received_requests().await.unwrap().is_empty());
}

#[tokio::test]
async fn web_page_is_unreadable_and_not_quoted() {
    let page = ResponseTemplate::new(200).set_body_raw("<html>secret</html>", "text/html");
    let reason = "body: is not valid JSON: expected value at line 1 column 1".to_owned();
    assert_eq!(ask_one_answering(page).await, Err(MarketplaceError::Unreadable { reason }));
}

#[tokio::test]
async fn endless_answer_is_unreadable() {
    let mut body = br#"{"status":false}"#.to_vec();
    body.resize(1024 * 1024, b' ');
    let whole = ResponseTemplate::new(200).set_body_bytes(body.clone());
    assert_eq!(ask_one_answering(whole).await, Ok(Validation::Refused));
    body.push(b' ');
    let reason = "it is longer than 1048576 bytes".to_owned();
    let longer = ResponseTemplate::new(200).set_body_bytes(body);
    assert_eq!(ask_one_answering(longer).await, Err(MarketplaceError::Unreadable { reason }));
}

#[tokio::test]
async fn late_answer_and_refused_connection_are_unavailable() {
    let unavailable =
        |reason: &str| Err(MarketplaceError::Unavailable { reason: reason.to_owned(), retry_after_seconds: None });
    let slow = answering(refusing().set_delay(Duration::from_secs(30))).await;
    let asked = client(Some(&slow.uri()), Duration::from_millis(200)).validate(&account(), "order-1").await;
    assert_eq!(asked, unavailable("it did not answer in time"));
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let nobody = client(Some(&format!("http://{nobody}")), OrderClient::TIMEOUT);
    assert_eq!(nobody.validate(&account(), "order-1").await, unavailable("no connection"));
    let nowhere = client(None, OrderClient::TIMEOUT);
    assert_eq!(nowhere.validate(&account(), "order-1").await, unavailable("no address of it is known"));
}

fn unavailable(reason: &str) -> Result<Validation, MarketplaceError> {
    Err(MarketplaceError::Unavailable { reason: reason.to_owned(), retry_after_seconds: None })
}

#[tokio::test]
async fn account_names_a_plain_address_on_a_laptop_only() {
    let laptop = client(Some("http://127.0.0.1:3000"), OrderClient::TIMEOUT);
    assert_eq!(laptop.check_base_url("http://127.0.0.1:4000"), Ok(()));
    for base_url in [Some("https://api.example"), Some("http://127.0.0.1:3000"), None] {
        let deployed = guarded(base_url, PUBLIC_ONLY, OrderClient::TIMEOUT);
        assert_eq!(deployed.check_base_url("https://etsy.example/api"), Ok(()));
        assert_eq!(deployed.check_base_url("http://etsy.example"), Err(InvalidBaseUrl::NotHttps));
        assert_eq!(deployed.check_base_url("https://a:b@etsy.example"), Err(InvalidBaseUrl::Credentials));
        assert_eq!(deployed.check_base_url("etsy.example"), Err(InvalidBaseUrl::NotHttp));
        let account = MarketplaceAccount { base_url: Some("http://127.0.0.1:9001".to_owned()), ..account() };
        assert_eq!(deployed.validate(&account, "order-1").await, unavailable("its address must be an https URL"));
    }
}

#[rstest]
#[case::metadata("https://169.254.169.254/latest", true)]
#[case::metadata_in_disguise("https://0xa9fea9fe", true)]
#[case::metadata_v6("https://[fd00:ec2::254]", true)]
#[case::mapped("https://[::ffff:127.0.0.1]:3000", true)]
#[case::loopback("https://127.0.0.1:3000", false)]
#[case::private("https://10.0.0.7", false)]
#[tokio::test]
async fn address_inside_our_network_is_refused_and_never_asked(#[case] base_url: &str, #[case] also_on_a_laptop: bool) {
    let forbidden = Err(InvalidBaseUrl::Target(InvalidTarget::Forbidden));
    let deployed = guarded(None, PUBLIC_ONLY, OrderClient::TIMEOUT);
    assert_eq!(deployed.check_base_url(base_url), forbidden);
    let account = MarketplaceAccount { base_url: Some(base_url.to_owned()), ..account() };
    let expected = unavailable("its address must lead to an address of the public internet");
    assert_eq!(deployed.validate(&account, "order-1").await, expected);
    let laptop = client(None, OrderClient::TIMEOUT).check_base_url(base_url);
    assert_eq!(laptop, if also_on_a_laptop { forbidden } else { Ok(()) });
}

#[tokio::test]
async fn name_that_leads_into_our_network_is_never_asked() {
    let inside = answering(refusing()).await;
    let base_url = format!("http://shop.example:{}", inside.address().port());
    let account = MarketplaceAccount { base_url: Some(base_url), ..account() };
    let asked = async |guard: Guard, address: [u8; 4]| {
        let resolving = (guard, Always(IpAddr::V4(Ipv4Addr::from(address))));
        let client = OrderClient::resolving(None, [], resolving, Duration::from_secs(2)).unwrap();
        client.validate(&account, "order-1").await
    };
    assert_eq!(asked(OPEN, [127, 0, 0, 1]).await, Ok(Validation::Refused), "the name is resolved by us");
    assert_eq!(inside.received_requests().await.unwrap().len(), 1);
    assert_eq!(asked(OPEN, [169, 254, 169, 254]).await, unavailable("no connection"));
    assert_eq!(inside.received_requests().await.unwrap().len(), 1);
}

#[test]
fn client_refuses_what_is_no_address_and_shows_no_credentials() {
    let refused = OrderClient::new(Some("https://user:hidden@a.example"), [], OPEN, OrderClient::TIMEOUT).unwrap_err();
    assert!(matches!(refused, ClientError::BaseUrl(InvalidBaseUrl::Credentials)));
    let shown = format!("{:?} {:?}", client(Some("https://a.example"), OrderClient::TIMEOUT), account());
    assert!(!shown.contains("etsy_pass") && !shown.contains("ZXRze") && !shown.contains("hunter2"), "{shown}");
}
