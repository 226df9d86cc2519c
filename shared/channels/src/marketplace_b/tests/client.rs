//! The question on the wire, and what the status of an answer means.

use rstest::rstest;

use super::*;

#[rstest]
#[case::plain("", "/inventory/updates")]
#[case::outer_slash("/", "/inventory/updates")]
#[case::prefix("/api/v1", "/api/v1/inventory/updates")]
#[case::prefix_with_slash("/api/v1/", "/api/v1/inventory/updates")]
#[tokio::test]
async fn question_carries_time_limit_and_key(#[case] prefix: &str, #[case] path: &str) {
    let server = answering(ResponseTemplate::new(200).set_body_string(r#"{"items":[]}"#)).await;
    assert_eq!(ask(&format!("{}{prefix}", server.uri())).await.unwrap(), FeedPage::default());

    let requests = server.received_requests().await.unwrap();
    let [request] = requests.as_slice() else { panic!("one call a question, not {}", requests.len()) };
    assert_eq!((request.method.as_str(), request.url.path()), ("GET", path));
    assert_eq!(request.url.query(), Some("since=1700000000&limit=100"), "seconds, rounded down");
    assert_eq!(request.headers["authorization"], "Bearer b-key");
    assert_eq!(request.headers["accept"], "application/json");
    assert!(request.headers["user-agent"].to_str().unwrap().starts_with("Evenstock/"));
}

#[rstest]
#[case::relative("inventory")]
#[case::empty("")]
#[case::without_host("http://")]
#[case::file("file:///etc/passwd")]
#[case::ftp("ftp://b.example")]
#[case::mail("mailto:b@b.example")]
fn base_url_that_is_not_http_is_refused(#[case] base_url: &str) {
    assert!(matches!(client_of(base_url), Err(ClientError::BaseUrl(InvalidBaseUrl::NotHttp))));
}

#[rstest]
#[case::password("https://user:hidden@b.example", InvalidBaseUrl::Credentials)]
#[case::user("https://user@b.example", InvalidBaseUrl::Credentials)]
#[case::query("https://b.example/?key=hidden", InvalidBaseUrl::Query)]
#[case::fragment("https://b.example/#hidden", InvalidBaseUrl::Query)]
fn base_url_that_carries_more_is_refused_without_quoting_it(#[case] base_url: &str, #[case] expected: InvalidBaseUrl) {
    let error = client_of(base_url).unwrap_err();
    assert!(matches!(error, ClientError::BaseUrl(invalid) if invalid == expected));
    assert!(!format!("{error} {error:?} {expected}").contains("hidden"));
}

#[test]
fn client_does_not_show_its_key() {
    assert!(!format!("{:?}", client_of("https://b.example").unwrap()).contains("b-key"));
}

#[rstest]
#[case::unauthorized(401)]
#[case::forbidden(403)]
#[tokio::test]
async fn refused_key_is_told_apart(#[case] status: u16) {
    let answer = ask_one_answering(ResponseTemplate::new(status)).await;
    assert!(matches!(answer, Err(FeedError::Unauthorized)), "{answer:?}");
}

#[rstest]
#[case::without(None, None)]
#[case::seconds(Some("30"), Some(30))]
#[case::date(Some("Fri, 20 Nov 2026 08:00:45 GMT"), Some(45))]
#[case::more_than_a_day(Some("864000"), Some(86_400))]
#[case::unreadable(Some("later"), None)]
#[tokio::test]
async fn rate_limit_tells_how_long_to_wait(#[case] wait: Option<&str>, #[case] expected: Option<u32>) {
    let mut answer = ResponseTemplate::new(429).insert_header("date", "Fri, 20 Nov 2026 08:00:00 GMT");
    if let Some(wait) = wait {
        answer = answer.insert_header("retry-after", wait);
    }
    let answer = ask_one_answering(answer).await;
    assert!(matches!(answer, Err(FeedError::RateLimited { retry_after_seconds }) if retry_after_seconds == expected));
}

#[rstest]
#[case::internal(500, None)]
#[case::bad_gateway(502, None)]
#[case::unavailable(503, Some(120))]
#[case::unknown(599, Some(1))]
#[tokio::test]
async fn failing_marketplace_is_unavailable(#[case] status: u16, #[case] wait: Option<u32>) {
    let mut answer = ResponseTemplate::new(status).set_body_string("trace of a secret");
    if let Some(wait) = wait {
        answer = answer.insert_header("retry-after", wait.to_string());
    }
    match ask_one_answering(answer).await {
        Err(FeedError::Unavailable { reason, retry_after_seconds }) => {
            assert_eq!((reason, retry_after_seconds), (format!("it answered {status}"), wait));
        }
        other => panic!("{other:?}"),
    }
}

#[rstest]
#[case::created(201)]
#[case::no_content(204)]
#[case::partial_content(206)]
#[case::not_modified(304)]
#[case::bad_request(400)]
#[case::not_found(404)]
#[tokio::test]
async fn any_other_status_is_malformed(#[case] status: u16) {
    match ask_one_answering(ResponseTemplate::new(status)).await {
        Err(FeedError::Malformed { reason }) => assert_eq!(reason, format!("it answered {status}")),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn redirect_is_not_followed() {
    let elsewhere = answering(ResponseTemplate::new(200).set_body_string(r#"{"items":[]}"#)).await;
    for status in [301, 302, 307, 308] {
        let redirect = ResponseTemplate::new(status).insert_header("location", elsewhere.uri());
        let answer = ask_one_answering(redirect).await;
        assert!(matches!(answer, Err(FeedError::Malformed { .. })), "{answer:?}");
    }
    assert!(elsewhere.received_requests().await.unwrap().is_empty());
}

#[tokio::test]
async fn web_page_is_malformed_and_not_quoted() {
    let page = ResponseTemplate::new(200).set_body_raw("<html>secret</html>", "text/html");
    match ask_one_answering(page).await {
        Err(FeedError::Malformed { reason }) => {
            assert_eq!(reason, "body: is not valid JSON: expected value at line 1 column 1");
        }
        other => panic!("{other:?}"),
    }
}
